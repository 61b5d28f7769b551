// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Semaphores from Vala, in one process and in two. Run as `test-semaphores hold NAME` it is the other process: it holds a permit
 * until its standard input is closed.
 */

static uint n = 0;

static Ipc.Semaphore make (uint permits) throws Error {
  return new Ipc.SemaphoreManager (null).create_semaphore (@"s$(n++)", permits);
}

static void assert_free (Ipc.Semaphore semaphore, uint n_free) {
  assert_cmpuint (semaphore.available_permits, CompareOperator.EQ, n_free);
}

static async void wait_for_waiters (Ipc.Semaphore semaphore, uint n_waiters) {
  while (semaphore.waiters != n_waiters)
    yield turn ();
}

/* The end of a block is the end of what was acquired in it. */
static void test_blocking () {
  try {
    var semaphore = make (2);
    {
      var permit = semaphore.acquire (1000);
      assert_true (permit.get_is_held ());
      assert_true (permit.get_semaphore () == semaphore);
      assert_free (semaphore, 1);
      var other = semaphore.try_acquire ();
      assert_nonnull (other);
      assert_null (semaphore.try_acquire ());
      try {
        semaphore.acquire (10);
        assert_not_reached ();
      } catch (Ipc.Error.TIMED_OUT error) {
        assert_true (semaphore.name in error.message);
      }
      permit.release ();
      permit.release ();
      assert_false (permit.get_is_held ());
      assert_free (semaphore, 1);
    }
    assert_free (semaphore, 2);
    assert_cmpuint ((uint) semaphore.acquired_count, CompareOperator.EQ, 2);
  } catch (Error error) {
    assert_no_error (error);
  }
}

static void test_manager () {
  var manager = new Ipc.SemaphoreManager (null);

  try {
    var semaphore = manager.create_semaphore ("listed", 3);
    assert_true (manager.open_semaphore ("listed") == semaphore);
    var is_listed = false;
    for (var i = 0; i < manager.items.get_n_items (); i++)
      is_listed |= ((Ipc.Semaphore) manager.items.get_item (i)).name == "listed";
    assert_true (is_listed);
    try {
      manager.create_semaphore ("listed", 4);
      assert_not_reached ();
    } catch (Ipc.Error.MISMATCH error) {
    }
    manager.delete_semaphore ("listed");
    assert_true (semaphore.is_deleted);
  } catch (Error error) {
    assert_no_error (error);
  }
}

static async void test_async () throws Error {
  var semaphore = make (1);
  var cancellable = new Cancellable ();
  {
    var permit = yield semaphore.acquire_async (-1);
    assert_true (permit.get_is_held ());
    try {
      yield semaphore.acquire_async (10);
      assert_not_reached ();
    } catch (Ipc.Error.TIMED_OUT error) {
    }
    AsyncResult? result = null;
    semaphore.acquire_async.begin (-1, cancellable, (source, r) => result = r);
    yield wait_for_waiters (semaphore, 1);
    cancellable.cancel ();
    while (result == null)
      yield turn ();
    try {
      semaphore.acquire_async.end (result);
      assert_not_reached ();
    } catch (IOError.CANCELLED error) {
    }
    assert_free (semaphore, 0);
  }
  assert_free (semaphore, 1);
}

static void test_processes () {
  try {
    var semaphore = make (1);

    for (var is_killed = 0; is_killed < 2; is_killed++) {
      var flags = SubprocessFlags.STDIN_PIPE | SubprocessFlags.STDOUT_PIPE;
      var peer = new Subprocess (flags, "/proc/self/exe", "hold", semaphore.name);
      assert_cmpint (peer.get_stdout_pipe ().read_bytes (1).get_data ()[0], CompareOperator.EQ, '!');
      assert_free (semaphore, 0);
      assert_null (semaphore.try_acquire ());
      var holders = semaphore.list_holders ();
      assert_cmpint (holders.length, CompareOperator.EQ, 1);
      assert_true (holders[0].get_label ().has_prefix (peer.get_identifier () + " "));
      if (is_killed == 1)
        peer.force_exit ();
      else
        peer.get_stdin_pipe ().close ();
      semaphore.acquire (20000).release ();
      peer.wait ();
      assert_cmpuint ((uint) semaphore.recovered_count, CompareOperator.EQ, is_killed);
    }
  } catch (Error error) {
    assert_no_error (error);
  }
}

static int hold (string name) {
  try {
    var permit = new Ipc.SemaphoreManager (null).open_semaphore (name).acquire (Ipc.TIMEOUT_DEFAULT);
    print ("!");
    new UnixInputStream (0, false).read_bytes (1);
    permit.release ();
    return 0;
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
}

static int main (string[] args) {
  if (args.length == 3 && args[1] == "hold")
    return hold (args[2]);

  Intl.setlocale ();
  Test.init (ref args);
  Posix.alarm (DEADLINE_S);
  Test.add_func ("/vala/semaphores/blocking", test_blocking);
  Test.add_func ("/vala/semaphores/manager", test_manager);
  add_async_test ("/vala/semaphores/async", (done) => test_async.begin ((owned) done), (result) => test_async.end (result));
  Test.add_func ("/vala/semaphores/processes", test_processes);
  return run_in_scope ();
}
