// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sends a request of type "echo" and prints the reply.
 *
 *   echo-client ADDRESS TEXT
 *
 * Every *_async method can be yielded. A program without a main loop uses client.open () and
 * client.request (), which block.
 */

static async void ask (string address, string text) throws Error {
  var client = new Ipc.SocketClient (address);

  // Rather than failing when nobody serves the address, wait until somebody does.
  client.wait_for_server = true;
  yield client.open_async ();
  var reply = yield client.request_async (new Ipc.Message.text ("echo", text), 5000);
  print ("%s: %s\n", reply.get_message_type (), reply.get_text ());
  client.close ();
}

static int main (string[] args) {
  Intl.setlocale ();
  if (args.length != 3) {
    printerr ("usage: echo-client ADDRESS TEXT\n");
    return 2;
  }
  var loop = new MainLoop ();
  var status = 0;
  ask.begin (args[1], args[2], (source, result) => {
    try {
      ask.end (result);
    } catch (Error error) {
      printerr ("echo-client: %s\n", error.message);
      status = 1;
    }
    loop.quit ();
  });
  loop.run ();
  return status;
}
