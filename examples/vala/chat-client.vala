// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Says each line of standard input in a chat room, and prints what is said there.
 *
 *   chat-client ADDRESS
 *
 * It leaves at the end of its input, or when the server does.
 */

static async void say_lines (Ipc.Client client, Cancellable gone) throws Error {
  var input = new DataInputStream (new UnixInputStream (0, false));
  string? line;

  while ((line = yield input.read_line_utf8_async (Priority.DEFAULT, gone)) != null) {
    // Waits while the server is too slow to take more; send () would fail then.
    yield client.send_async (new Ipc.Message.text ("say", line));
  }
  if (client.connection != null)
    yield client.connection.flush_async ();
}

static async void chat (string address) throws Error {
  var client = new Ipc.SocketClient (address);
  var gone = new Cancellable ();

  client.add_handler ("said", (server, connection, message) => {
    stdout.printf ("%s\n", message.get_text () ?? "");
    stdout.flush ();
    return null;
  });
  client.closed.connect ((error) => gone.cancel ());
  yield client.open_async ();
  try {
    yield say_lines (client, gone);
  } catch (IOError.CANCELLED error) {
    // the server has left
  }
  client.close ();
}

static int main (string[] args) {
  Intl.setlocale ();
  if (args.length != 2) {
    printerr ("usage: chat-client ADDRESS\n");
    return 2;
  }
  var loop = new MainLoop ();
  var status = 0;
  chat.begin (args[1], (source, result) => {
    try {
      chat.end (result);
    } catch (Error error) {
      printerr ("chat-client: %s\n", error.message);
      status = 1;
    }
    loop.quit ();
  });
  loop.run ();
  return status;
}
