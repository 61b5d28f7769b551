// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The library from Vala: through the vapi, in one process and in two. Run as `test-ipc serve ADDRESS` it is the
 * other process: a server with a few handlers, which goes when its standard input is closed.
 */

static Ipc.Message? mirror (Ipc.Server? server, Ipc.Connection connection, Ipc.Message request) throws Error {
  string[] headers = {};

  request.get_headers ().foreach ((key, value) => {
    headers += key;
    headers += value;
  });
  return new Ipc.Message.full ("mirrored", request.get_format (), request.get_payload (), headers, null);
}

static Ipc.Message? refuse (Ipc.Server? server, Ipc.Connection connection, Ipc.Message request) throws Error {
  throw new Ipc.Error.FULL ("no room for more");
}

static Ipc.Message? refuse_foreign (Ipc.Server? server, Ipc.Connection connection, Ipc.Message request) throws Error {
  throw new IOError.NOT_FOUND ("no such thing");
}

/* A directory of its own, a server and a client in it. */
class Fixture {
  public string directory;
  public string address;
  public Ipc.SocketServer server;
  public Ipc.SocketClient client;

  public Fixture () throws Error {
    directory = DirUtils.make_tmp ("ipc-glib-test-XXXXXX");
    address = Path.build_filename (directory, "server");
    server = new Ipc.SocketServer (address);
    client = new Ipc.SocketClient (address);
  }

  public async void open () throws Error {
    server.start ();
    yield client.open_async ();
  }

  ~Fixture () {
    client.close ();
    server.stop ();
    try {
      var names = Dir.open (directory);
      string? name;
      while ((name = names.read_name ()) != null)
        FileUtils.remove (Path.build_filename (directory, name));
    } catch (FileError error) {
      assert_no_error (error);
    }
    assert_cmpint (DirUtils.remove (directory), CompareOperator.EQ, 0);
  }

  public async void assert_refused (string message_type, int code, string text) {
    try {
      yield client.request_async (new Ipc.Message (message_type, null), Ipc.TIMEOUT_DEFAULT);
      assert_not_reached ();
    } catch (Error error) {
      assert_cmpstr (error.domain.to_string (), CompareOperator.EQ, Ipc.Error.quark ().to_string ());
      assert_cmpint (error.code, CompareOperator.EQ, code);
      assert_true (text in error.message);
    }
  }
}

static void test_message () {
  var message = new Ipc.Message.full ("t", Ipc.PayloadFormat.JSON, new Bytes ("[1]".data), { "k", "v" }, null);

  assert_cmpstr (message.get_message_type (), CompareOperator.EQ, "t");
  assert_true (message.get_format () == Ipc.PayloadFormat.JSON);
  assert_cmpint ((int) message.get_json ().get_array ().get_int_element (0), CompareOperator.EQ, 1);
  assert_cmpstr (message.get_header ("k"), CompareOperator.EQ, "v");
  assert_null (message.get_header ("other"));
  assert_cmpuint (message.get_headers ().size (), CompareOperator.EQ, 1);
  assert_false (message.get_is_request ());
  assert_cmpstr (new Ipc.Message.text ("t", "grüß dich").get_text (), CompareOperator.EQ, "grüß dich");
  message = new Ipc.Message.variant ("t", new Variant.int32 (7));
  assert_cmpint (message.get_variant ().get_int32 (), CompareOperator.EQ, 7);
  assert_cmpuint (new Ipc.Message ("t", null).get_payload ().length, CompareOperator.EQ, 0);
}

static async void test_formats () throws Error {
  var fixture = new Fixture ();
  Ipc.Message[] messages = {
    new Ipc.Message ("mirror", new Bytes ({ 0, 1, 255 })),
    new Ipc.Message.text ("mirror", "grüß dich"),
    new Ipc.Message.variant ("mirror", new Variant ("(si)", "x", 1)),
    new Ipc.Message.json ("mirror", Json.from_string ("{\"a\": [1, null]}")),
    new Ipc.Message.full ("mirror", Ipc.PayloadFormat.BYTES, null, { "lang", "de", "empty", "" }, null)
  };

  fixture.server.add_handler ("mirror", mirror);
  yield fixture.open ();
  foreach (unowned var sent in messages) {
    var got = yield fixture.client.request_async (sent, 5000);
    assert_cmpstr (got.get_message_type (), CompareOperator.EQ, "mirrored");
    assert_true (got.get_format () == sent.get_format ());
    assert_true (got.get_payload ().compare (sent.get_payload ()) == 0);
    assert_cmpstr (got.get_text (), CompareOperator.EQ, sent.get_text ());
    assert_cmpstr (got.get_header ("lang"), CompareOperator.EQ, sent.get_header ("lang"));
    assert_cmpuint (got.get_headers ().size (), CompareOperator.EQ, sent.get_headers ().size ());
  }
}

static async void test_errors () throws Error {
  var fixture = new Fixture ();

  try {
    yield fixture.client.open_async ();
    assert_not_reached ();
  } catch (Ipc.Error.NO_SERVER error) {
    assert_true ("server" in error.message);
  }
  fixture.server.add_handler ("refuse", refuse);
  fixture.server.add_handler ("refuse-foreign", refuse_foreign);
  fixture.server.add_handler ("forget", () => { return null; });
  yield fixture.open ();
  yield fixture.assert_refused ("refuse", Ipc.Error.FULL, "no room for more");
  yield fixture.assert_refused ("refuse-foreign", Ipc.Error.REMOTE, "no such thing");
  yield fixture.assert_refused ("forget", Ipc.Error.REMOTE, "without an answer");
  yield fixture.assert_refused ("nonsense", Ipc.Error.UNKNOWN_TYPE, "nonsense");
  yield fixture.assert_refused ("", Ipc.Error.INVALID_DATA, "");
  try {
    fixture.server.start ();
    assert_not_reached ();
  } catch (Ipc.Error.ALREADY error) {
  }
}

static async void test_deferred () throws Error {
  var fixture = new Fixture ();
  Ipc.Connection? asker = null;
  Ipc.Message? question = null, answer = null;

  fixture.server.add_handler ("ask", (server, connection, request) => {
    asker = connection;
    question = request; // a reference: it stays valid
    return null;
  });
  yield fixture.open ();
  fixture.client.request_async.begin (new Ipc.Message.text ("ask", "why?"), 5000, null, (source, result) => {
    try {
      answer = fixture.client.request_async.end (result);
    } catch (Error error) {
      assert_no_error (error);
    }
  });
  while (question == null)
    yield turn ();
  assert_cmpstr (question.get_text (), CompareOperator.EQ, "why?");
  assert_true (question.get_is_request ());
  asker.reply (question, new Ipc.Message.text ("answer", "because"));
  while (answer == null)
    yield turn ();
  assert_cmpstr (answer.get_text (), CompareOperator.EQ, "because");
  // The handler shares its captured variables with this function, and so holds the server that holds it.
  fixture.server.remove_handler ("ask");
}

static async void test_timeout_and_cancel () throws Error {
  var fixture = new Fixture ();
  var cancellable = new Cancellable ();
  Ipc.Message? kept = null;

  fixture.server.add_handler ("keep", (server, connection, request) => {
    kept = request;
    cancellable.cancel ();
    return null;
  });
  yield fixture.open ();
  try {
    yield fixture.client.request_async (new Ipc.Message ("keep", null), -1, cancellable);
    assert_not_reached ();
  } catch (IOError.CANCELLED error) {
  }
  try {
    yield fixture.client.request_async (new Ipc.Message ("keep", null), 20);
    assert_not_reached ();
  } catch (Ipc.Error.TIMED_OUT error) {
  }
}

static async void test_signals () throws Error {
  var fixture = new Fixture ();
  string[] seen = {};
  Ipc.Connection? connected = null, disconnected = null;

  fixture.server.client_connected.connect ((connection) => { connected = connection; });
  fixture.server.client_disconnected.connect ((connection, error) => { disconnected = connection; });
  fixture.server.message_received["ping"].connect ((connection, message) => { seen += message.get_text (); });
  fixture.server.add_handler ("sync", mirror);
  yield fixture.open ();
  fixture.client.send (new Ipc.Message.text ("ping", "1"));
  fixture.client.send (new Ipc.Message.text ("pong", "2"));
  yield fixture.client.send_async (new Ipc.Message.text ("ping", "3"));
  yield fixture.client.request_async (new Ipc.Message ("sync", null), 5000);
  assert_cmpstr (string.joinv (" ", seen), CompareOperator.EQ, "1 3");

  assert_cmpuint (fixture.server.n_clients, CompareOperator.EQ, 1);
  assert_true (fixture.server.connections.get_item (0) == connected);
  assert_true (fixture.server.get_client (connected.id) == connected);
  assert_true (connected.is_open);
  fixture.client.close ();
  while (disconnected == null)
    yield turn ();
  assert_true (disconnected == connected);
  assert_false (connected.is_open);
}

static async void test_broadcast () throws Error {
  var fixture = new Fixture ();
  var other = new Ipc.SocketClient (fixture.address);
  var n_seen = 0;
  uint n_dropped;

  fixture.client.message_received["news"].connect ((message) => { n_seen++; });
  other.message_received.connect ((message) => { n_seen++; });
  yield fixture.open ();
  yield other.open_async ();
  while (fixture.server.n_clients < 2)
    yield turn ();
  assert_cmpuint (fixture.server.broadcast (new Ipc.Message.text ("news", "x"), out n_dropped), CompareOperator.EQ, 2);
  assert_cmpuint (n_dropped, CompareOperator.EQ, 0);
  while (n_seen < 2)
    yield turn ();
  other.close ();
}

static async void test_authorize () throws Error {
  var verdicts = new Ipc.Authorization[] {
    Ipc.Authorization.UNDECIDED, Ipc.Authorization.DENIED, Ipc.Authorization.GRANTED
  };

  foreach (var verdict in verdicts) {
    var fixture = new Fixture ();
    fixture.server.authorize_client.connect ((connection) => { return verdict; });
    try {
      yield fixture.open ();
      assert_true (verdict == Ipc.Authorization.GRANTED);
    } catch (Ipc.Error.PERMISSION_DENIED error) {
      assert_true (verdict != Ipc.Authorization.GRANTED);
    }
  }
}

/* The handler has the only reference to what it captured. */
static void add_capturing_handler (Ipc.Server server, out unowned Object witness) {
  var captured = new Object ();

  witness = captured;
  server.add_handler ("t", (server, connection, request) => {
    assert_true (captured.ref_count > 0);
    return new Ipc.Message ("t", null);
  });
}

static async void test_handlers_are_freed () throws Error {
  var fixture = new Fixture ();
  unowned Object captured;
  var is_freed = false;

  add_capturing_handler (fixture.server, out captured);
  captured.weak_ref (() => { is_freed = true; });
  yield fixture.open ();
  yield fixture.client.request_async (new Ipc.Message ("t", null), 5000);
  assert_false (is_freed);
  fixture.server.remove_handler ("t");
  assert_true (is_freed);
  yield fixture.assert_refused ("t", Ipc.Error.UNKNOWN_TYPE, "t");
}

static void test_processes () {
  try {
    var fixture = new Fixture ();
    var peer = new Subprocess (SubprocessFlags.STDIN_PIPE, "/proc/self/exe", "serve", fixture.address);

    fixture.client.wait_for_server = true;
    fixture.client.open ();
    for (var i = 0; i < 100; i++) {
      var reply = fixture.client.request (new Ipc.Message.text ("mirror", @"$i"), 5000);
      assert_cmpstr (reply.get_text (), CompareOperator.EQ, @"$i");
    }
    try {
      fixture.client.request (new Ipc.Message ("refuse", null), 5000);
      assert_not_reached ();
    } catch (Ipc.Error.FULL error) {
    }
    fixture.client.close ();
    peer.get_stdin_pipe ().close ();
    peer.wait ();
    assert_cmpint (peer.get_exit_status (), CompareOperator.EQ, 0);
  } catch (Error error) {
    assert_no_error (error);
  }
}

static int serve (string address) {
  var loop = new MainLoop ();
  var server = new Ipc.SocketServer (address);

  server.add_handler ("mirror", mirror);
  server.add_handler ("refuse", refuse);
  try {
    server.start ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  new UnixInputStream (0, false).read_bytes_async.begin (1, Priority.DEFAULT, null, () => loop.quit ());
  loop.run ();
  server.stop ();
  return 0;
}

/* Runs an async function to its end in a loop of its own. */
static int main (string[] args) {
  if (args.length == 3 && args[1] == "serve")
    return serve (args[2]);

  Intl.setlocale ();
  Test.init (ref args);
  Posix.alarm (DEADLINE_S);
  Test.add_func ("/vala/message", test_message);
  add_async_test ("/vala/formats", (done) => test_formats.begin ((owned) done),
                  (result) => test_formats.end (result));
  add_async_test ("/vala/errors", (done) => test_errors.begin ((owned) done),
                  (result) => test_errors.end (result));
  add_async_test ("/vala/deferred", (done) => test_deferred.begin ((owned) done),
                  (result) => test_deferred.end (result));
  add_async_test ("/vala/timeout-and-cancel", (done) => test_timeout_and_cancel.begin ((owned) done),
                  (result) => test_timeout_and_cancel.end (result));
  add_async_test ("/vala/signals", (done) => test_signals.begin ((owned) done),
                  (result) => test_signals.end (result));
  add_async_test ("/vala/broadcast", (done) => test_broadcast.begin ((owned) done),
                  (result) => test_broadcast.end (result));
  add_async_test ("/vala/authorize", (done) => test_authorize.begin ((owned) done),
                  (result) => test_authorize.end (result));
  add_async_test ("/vala/handlers-are-freed", (done) => test_handlers_are_freed.begin ((owned) done),
                  (result) => test_handlers_are_freed.end (result));
  Test.add_func ("/vala/processes", test_processes);
  return run_in_scope ();
}
