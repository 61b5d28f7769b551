// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Does jobs of a queue. Start as many of these as you like: each job goes to one of them. Kill one: the next one gets its job.
 *
 *   queue-worker URI QUEUE COUNT
 *
 * It ends after COUNT jobs. One whose text begins with "bad" fails: it comes again, and after too many attempts it is a dead letter, which is
 * told at the end.
 */

static async void work (Ipc.Delivery delivery) throws Error {
  var text = delivery.get_message ().get_text ();

  if (text.has_prefix ("bad")) {
    print ("failed %s, attempt %u\n", text, delivery.attempt);
    // Without a delay it would be longer each time.
    yield delivery.nack_async (0);
  } else {
    print ("did %s\n", text);
    yield delivery.ack_async ();
  }
}

static async void run (string uri, string name, uint count) throws Error {
  var manager = new Ipc.QueueManager.for_uri (uri);
  var queue = yield manager.open_queue_async (name);

  for (; count > 0; count--)
    yield work (yield queue.consume_async (-1));
  foreach (var letter in (yield queue.list_dead_async (100)).data)
    print ("dead %s, after %u attempts\n", letter.get_message ().get_text (), letter.get_attempts ());
}

static int main (string[] args) {
  var loop = new MainLoop ();
  var status = 0;

  if (args.length != 4) {
    printerr ("usage: queue-worker URI QUEUE COUNT\n");
    return 2;
  }
  run.begin (args[1], args[2], uint.parse (args[3]), (source, result) => {
    try {
      run.end (result);
    } catch (Error error) {
      printerr ("queue-worker: %s\n", error.message);
      status = 1;
    }
    loop.quit ();
  });
  loop.run ();
  return status;
}
