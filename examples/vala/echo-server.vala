// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Answers requests of type "echo" with what they contain, until SIGINT or SIGTERM.
 *
 *   echo-server ADDRESS
 *
 * ADDRESS is a name, like "echo", or the absolute path of a socket.
 */

/* What is returned is the reply; an error that is thrown is sent instead. */
static Ipc.Message? echo (Ipc.Server? server, Ipc.Connection connection, Ipc.Message request) throws Error {
  return new Ipc.Message.full ("echo_response", request.get_format (), request.get_payload (), null, null);
}

static void serve (string address) throws Error {
  var loop = new MainLoop ();
  var server = new Ipc.SocketServer (address);

  server.add_handler ("echo", echo);
  server.start ();
  foreach (var number in new int[] { Posix.Signal.INT, Posix.Signal.TERM })
    Unix.signal_add (number, () => { loop.quit (); return Source.CONTINUE; });
  printerr ("listening on %s\n", address);
  loop.run ();
  server.stop ();
}

static int main (string[] args) {
  if (args.length != 2) {
    printerr ("usage: echo-server ADDRESS\n");
    return 2;
  }
  try {
    serve (args[1]);
    return 0;
  } catch (Error error) {
    printerr ("echo-server: %s\n", error.message);
    return 1;
  }
}
