// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Opens a file and has a server count what is in it. The server gets the open file, not its
 * name: it need not be able to open it itself.
 *
 *   fd-client ADDRESS FILE
 */

static void ask (string address, string file_name) throws Error {
  var client = new Ipc.SocketClient (address);
  var list = new UnixFDList ();
  var fd = Posix.open (file_name, Posix.O_RDONLY);

  if (fd < 0)
    throw new FileError.FAILED ("%s: %s", file_name, Posix.strerror (Posix.errno));
  // The list has a descriptor of its own, so ours can be closed.
  list.append (fd);
  Posix.close (fd);

  client.open ();
  var request = new Ipc.Message.full ("count", Ipc.PayloadFormat.TEXT, null, null, list);
  print ("%s\n", client.request (request, 5000).get_text ());
  client.close ();
}

static int main (string[] args) {
  Intl.setlocale ();
  if (args.length != 3) {
    printerr ("usage: fd-client ADDRESS FILE\n");
    return 2;
  }
  try {
    ask (args[1], args[2]);
    return 0;
  } catch (Error error) {
    printerr ("fd-client: %s\n", error.message);
    return 1;
  }
}
