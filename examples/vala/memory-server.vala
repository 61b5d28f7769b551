// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Counts the words in sealed shared memory that clients hand over, until SIGINT or SIGTERM.
 *
 *   memory-server ADDRESS
 *
 * ADDRESS is a name, like "words", or the absolute path of a socket.
 */

static Ipc.SharedMemory open_segment (UnixFDList? list) throws Error {
  if (list == null)
    throw new Ipc.Error.INVALID_ARGUMENT ("no shared memory was sent");
  // What get () returns is ours to close; the segment has a descriptor of its own.
  var fd = list.get (0);
  try {
    return new Ipc.SharedMemory.from_fd (fd);
  } finally {
    Posix.close (fd);
  }
}

static Ipc.Message? count_words (Ipc.Server? server, Ipc.Connection connection, Ipc.Message request) throws Error {
  var segment = open_segment (request.get_fd_list ());
  var n_words = 0;
  var is_in_word = false;

  // What is sealed and has no name does not change while it is looked at, whoever sent it.
  if (!segment.is_sealed)
    throw new Ipc.Error.INVALID_ARGUMENT ("the shared memory is not sealed");
  var bytes = segment.get_bytes (0, segment.get_size ());
  foreach (var byte in bytes.get_data ()) {
    var is_space = ((char) byte).isspace ();
    n_words += is_in_word || is_space ? 0 : 1;
    is_in_word = !is_space;
  }
  return new Ipc.Message.text ("counted", "%d words, %d bytes".printf (n_words, bytes.length));
}

static void serve (string address) throws Error {
  var loop = new MainLoop ();
  var server = new Ipc.SocketServer (address);

  // A server takes no descriptors unless it says how many a message may have.
  server.max_fds = 1;
  server.add_handler ("count-words", count_words);
  server.start ();
  foreach (var number in new int[] { Posix.Signal.INT, Posix.Signal.TERM })
    Unix.signal_add (number, () => { loop.quit (); return Source.CONTINUE; });
  printerr ("listening on %s\n", address);
  loop.run ();
  server.stop ();
}

static int main (string[] args) {
  if (args.length != 2) {
    printerr ("usage: memory-server ADDRESS\n");
    return 2;
  }
  try {
    serve (args[1]);
    return 0;
  } catch (Error error) {
    printerr ("memory-server: %s\n", error.message);
    return 1;
  }
}
