// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A chat room: what one client says is sent to all, until SIGINT or SIGTERM.
 *
 *   chat-server ADDRESS
 *
 * Clients send events of type "say" and get events of type "said".
 */

static void tell_all (Ipc.Server server, string text) {
  uint n_dropped;

  server.broadcast (new Ipc.Message.text ("said", text), out n_dropped);
  if (n_dropped > 0)
    printerr ("chat-server: %u clients read too slowly and missed a line\n", n_dropped);
}

static void serve (string address) throws Error {
  var loop = new MainLoop ();
  var server = new Ipc.SocketServer (address);

  server.add_handler ("say", (server, connection, message) => {
    if (message.get_text () != null)
      tell_all (server, @"$(connection.id): $(message.get_text ())");
    return null; // an event has no reply
  });
  server.client_connected.connect ((connection) => tell_all (server, @"$(connection.id) came in"));
  server.client_disconnected.connect ((connection, error) => tell_all (server, @"$(connection.id) left"));
  server.start ();
  foreach (var number in new int[] { Posix.Signal.INT, Posix.Signal.TERM })
    Unix.signal_add (number, () => { loop.quit (); return Source.CONTINUE; });
  printerr ("listening on %s\n", address);
  loop.run ();
  server.stop ();
}

static int main (string[] args) {
  if (args.length != 2) {
    printerr ("usage: chat-server ADDRESS\n");
    return 2;
  }
  try {
    serve (args[1]);
    return 0;
  } catch (Error error) {
    printerr ("chat-server: %s\n", error.message);
    return 1;
  }
}
