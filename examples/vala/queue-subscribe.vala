// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Gets a copy of all that is published in a queue, as does everybody else who runs this; nothing is taken from the queue.
 *
 *   queue-subscribe URI QUEUE COUNT
 *
 * It ends after COUNT messages.
 */

static int main (string[] args) {
  if (args.length != 4) {
    printerr ("usage: queue-subscribe URI QUEUE COUNT\n");
    return 2;
  }
  try {
    var queue = new Ipc.QueueManager.for_uri (args[1]).open_queue (args[2]);
    var count = uint.parse (args[3]);
    var loop = new MainLoop ();
    var subscription = queue.subscribe ((queue, message) => {
      print ("heard %s\n", message.get_text ());
      if (--count == 0)
        loop.quit ();
    });

    print ("subscribed to %s\n", args[2]);
    loop.run ();
    subscription.stop ();
    return 0;
  } catch (Error error) {
    printerr ("queue-subscribe: %s\n", error.message);
    return 1;
  }
}
