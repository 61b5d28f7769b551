// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Named pipes from Vala: lines of anybody, and a client of the library.
 */

static void write_text (string path, string text) {
  var stream = FileStream.open (path, "w");

  assert_nonnull (stream);
  stream.puts (text);
}

static async void test_lines () throws Error {
  var server = new Ipc.PipeServer ("lines");
  var path = Path.build_filename (Environment.get_variable ("IPC_GLIB_DIR"), "pipe", "lines");
  var seen = "";

  server.add_handler ("line", (server, connection, line) => {
    assert_true (connection.wire_format == Ipc.WireFormat.LINES);
    seen += line.get_text () + ";";
    return null;
  });
  server.line_dropped.connect ((error) => {
    assert_true (error.matches (Ipc.Error.quark (), Ipc.Error.INVALID_DATA));
    seen += "!;";
  });
  server.start ();
  write_text (path, "one\ntwo\n\xff\nthree");
  while (!seen.has_suffix ("three;"))
    yield turn ();
  assert_cmpstr (seen, CompareOperator.EQ, "one;two;!;three;");
  server.stop ();
  assert_false (FileUtils.test (path, FileTest.EXISTS));
}

static async void test_client () throws Error {
  var server = new Ipc.PipeServer ("client");
  var client = new Ipc.PipeClient ("client");

  server.add_handler ("shout", (server, connection, request) => {
    return new Ipc.Message.text ("shouted", request.get_text ().up ());
  });
  server.start ();
  yield client.open_async ();
  var reply = yield client.request_async (new Ipc.Message.text ("shout", "hello"), 10000);
  assert_cmpstr (reply.get_text (), CompareOperator.EQ, "HELLO");
  assert_cmpuint (server.n_clients, CompareOperator.EQ, 1);
  client.close ();
  server.stop ();
  yield turn ();
}

static int main (string[] args) {
  Intl.setlocale ();
  Test.init (ref args);
  Posix.alarm (DEADLINE_S);
  add_async_test ("/vala/pipes/lines", (done) => test_lines.begin ((owned) done), (result) => test_lines.end (result));
  add_async_test ("/vala/pipes/client", (done) => test_client.begin ((owned) done), (result) => test_client.end (result));
  return run_in_scope ();
}
