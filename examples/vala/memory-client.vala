// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Has a server count the words of the standard input. They are written into shared memory,
 * which is sealed and handed over: not a byte of it goes through the socket, and nobody can
 * change it any more.
 *
 *   memory-client ADDRESS < FILE
 */

static Bytes read_input () throws Error {
  var all = new MemoryOutputStream.resizable ();

  all.splice (new UnixInputStream (0, false), OutputStreamSpliceFlags.CLOSE_TARGET);
  return all.steal_as_bytes ();
}

static Ipc.Message make_request (Bytes data) throws Error {
  var segment = new Ipc.SharedMemory.anonymous (data.length);
  var list = new UnixFDList ();

  segment.write (0, data);
  segment.seal ();
  var fd = segment.dup_fd ();
  // The list has a descriptor of its own, so ours can be closed.
  list.append (fd);
  Posix.close (fd);
  return new Ipc.Message.full ("count-words", Ipc.PayloadFormat.BYTES, null, null, list);
}

static void ask (string address) throws Error {
  var request = make_request (read_input ());
  var client = new Ipc.SocketClient (address);

  client.open ();
  print ("%s\n", client.request (request, 5000).get_text ());
  client.close ();
}

static int main (string[] args) {
  Intl.setlocale ();
  if (args.length != 2) {
    printerr ("usage: memory-client ADDRESS < FILE\n");
    return 2;
  }
  try {
    ask (args[1]);
    return 0;
  } catch (Error error) {
    printerr ("memory-client: %s\n", error.message);
    return 1;
  }
}
