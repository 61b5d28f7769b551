// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Counts the lines and bytes of files that clients have open and send, until SIGINT or SIGTERM.
 *
 *   fd-server ADDRESS
 *
 * ADDRESS is a name, like "count", or the absolute path of a socket.
 */

/* What a client sends can be anything that is open. Reading another kind than a regular file could
 * block this process for as long as the client likes. */
static void check_file (int fd) throws Error {
  Posix.Stat status;

  if (Posix.fstat (fd, out status) != 0 || !Posix.S_ISREG (status.st_mode))
    throw new Ipc.Error.INVALID_ARGUMENT ("what was sent is not a regular file");
}

static Ipc.Message? count (Ipc.Server? server, Ipc.Connection connection, Ipc.Message request) throws Error {
  unowned UnixFDList? list = request.get_fd_list ();

  if (list == null)
    throw new Ipc.Error.INVALID_ARGUMENT ("no file was sent");
  // What get () returns is ours, and the stream's from here on; what stays in the list is closed with the message.
  var stream = new UnixInputStream (list.get (0), true);
  var n_lines = 0, n_bytes = 0;

  check_file (stream.fd);
  for (var data = stream.read_bytes (65536); data.length > 0; data = stream.read_bytes (65536)) {
    foreach (var byte in data.get_data ())
      n_lines += byte == '\n' ? 1 : 0;
    n_bytes += data.length;
  }
  return new Ipc.Message.text ("counted", "%d lines, %d bytes".printf (n_lines, n_bytes));
}

static void serve (string address) throws Error {
  var loop = new MainLoop ();
  var server = new Ipc.SocketServer (address);

  // A server takes no descriptors unless it says how many a message may have.
  server.max_fds = 1;
  server.add_handler ("count", count);
  server.start ();
  foreach (var number in new int[] { Posix.Signal.INT, Posix.Signal.TERM })
    Unix.signal_add (number, () => { loop.quit (); return Source.CONTINUE; });
  printerr ("listening on %s\n", address);
  loop.run ();
  server.stop ();
}

static int main (string[] args) {
  if (args.length != 2) {
    printerr ("usage: fd-server ADDRESS\n");
    return 2;
  }
  try {
    serve (args[1]);
    return 0;
  } catch (Error error) {
    printerr ("fd-server: %s\n", error.message);
    return 1;
  }
}
