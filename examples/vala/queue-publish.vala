// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Puts jobs into a queue, which is made if there is none.
 *
 *   queue-publish URI QUEUE TEXT…
 *
 * URI says where the queue is kept: "sqlite:" for a database that all your programs share, "ipc:ADDRESS" for the queues that another
 * process serves (gipc queue serve ADDRESS).
 */

static Ipc.MessageQueue open_queue (Ipc.QueueManager manager, string name) throws Error {
  try {
    return manager.create_queue (name);
  } catch (Ipc.Error.EXISTS error) {
    return manager.open_queue (name);
  }
}

static int main (string[] args) {
  if (args.length < 3) {
    printerr ("usage: queue-publish URI QUEUE TEXT…\n");
    return 2;
  }
  try {
    var queue = open_queue (new Ipc.QueueManager.for_uri (args[1]), args[2]);

    foreach (var text in args[3:args.length]) {
      queue.publish (new Ipc.Message.text ("job", text));
      print ("published %s\n", text);
    }
    return 0;
  } catch (Error error) {
    printerr ("queue-publish: %s\n", error.message);
    return 1;
  }
}
