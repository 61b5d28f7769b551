// SPDX-License-Identifier: LGPL-2.1-or-later
/* Queues from Vala. */

static Ipc.MessageQueue make () throws Error {
  return new Ipc.QueueManager ().create_queue ("jobs");
}

static Ipc.Message job (string text) {
  return new Ipc.Message.text ("job", text);
}

static void test_blocking () {
  try {
    var queue = make ();

    queue.publish (job ("a"));
    var id = queue.publish (job ("b"), Ipc.Priority.CRITICAL, 0, 0, "x");
    assert_cmpuint ((uint) queue.publish (job ("again"), Ipc.Priority.NORMAL, 0, 0, "x"), CompareOperator.EQ, (uint) id);
    var delivery = queue.consume (0);
    assert_cmpstr (delivery.get_message ().get_text (), CompareOperator.EQ, "b");
    assert_cmpuint (delivery.attempt, CompareOperator.EQ, 1);
    delivery.ack ();
    try {
      delivery.ack ();
      assert_not_reached ();
    } catch (Ipc.Error.NOT_HELD error) {
    }
    delivery = queue.consume (0);
    delivery.nack (0);
    delivery = queue.consume (0);
    assert_true (delivery.redelivered);
    delivery.reject ("why");
    assert_cmpstr (queue.list_dead (10)[0].get_reason (), CompareOperator.EQ, "why");
    assert_cmpuint ((uint) queue.redrive (0), CompareOperator.EQ, 1);
    assert_cmpuint (queue.n_ready, CompareOperator.EQ, 1);
    assert_cmpuint ((uint) queue.purge (), CompareOperator.EQ, 1);
    try {
      queue.consume (10);
      assert_not_reached ();
    } catch (Ipc.Error.TIMED_OUT error) {
    }
  } catch (Error error) {
    assert_no_error (error);
  }
}

static async void test_async () throws Error {
  var manager = new Ipc.QueueManager ();
  var queue = yield manager.create_queue_async ("jobs");

  for (var i = 0; i < 3; i++)
    yield queue.publish_async (job (@"$i"));
  for (var i = 0; i < 3; i++) {
    var delivery = yield queue.consume_async ();
    assert_cmpstr (delivery.get_message ().get_text (), CompareOperator.EQ, @"$i");
    yield delivery.ack_async ();
  }
  assert_cmpuint (queue.n_messages, CompareOperator.EQ, 0);
  yield manager.delete_queue_async ("jobs");
}

static int main (string[] args) {
  Intl.setlocale ();
  Test.init (ref args);
  Posix.alarm (DEADLINE_S);
  Test.add_func ("/vala/queues/blocking", test_blocking);
  add_async_test ("/vala/queues/async", (done) => test_async.begin ((owned) done), (result) => test_async.end (result));
  return run_in_scope ();
}
