// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Shared memory from Vala, in one process and in two. Run as `test-memory hold NAME` it is the other process: it writes, tells,
 * and holds the lock until its standard input is closed.
 */

static uint n = 0;

static Ipc.SharedMemory make (size_t size) throws Error {
  return new Ipc.SharedMemoryManager ().create_segment (@"s$(n++)", size);
}

static void assert_text (Ipc.SharedMemory segment, size_t offset, string text) throws Error {
  assert_true (segment.read (offset, text.length).compare (new Bytes (text.data)) == 0);
}

static void test_manager () {
  var manager = new Ipc.SharedMemoryManager ();

  try {
    var segment = manager.create_segment ("listed");
    assert_true (segment.size == manager.default_segment_size);
    assert_true (manager.open_segment ("listed") == segment);
    var is_listed = false;
    for (var i = 0; i < manager.items.get_n_items (); i++)
      is_listed |= ((Ipc.SharedMemory) manager.items.get_item (i)).name == "listed";
    assert_true (is_listed);
    try {
      manager.create_segment ("listed", 4);
      assert_not_reached ();
    } catch (Ipc.Error.MISMATCH error) {
    }
    manager.delete_segment ("listed");
    assert_true (segment.is_deleted);
  } catch (Error error) {
    assert_no_error (error);
  }
}

static void test_read_and_write () {
  try {
    var segment = make (4096);
    var reader = new Ipc.SharedMemoryManager ().open_segment (segment.name, Ipc.Access.READ);
    int64 number;
    double real;

    segment.write (4000, new Bytes ("abc".data));
    assert_text (segment, 4000, "abc");
    segment.write_int64 (8, 40);
    segment.add_int64 (8, 3);
    segment.add_int64 (8, -1, out number);
    assert_true (number == 42);
    segment.read_int64 (8, out number);
    assert_true (number == 42);
    segment.write_double (16, 1.5);
    segment.read_double (16, out real);
    assert_true (real == 1.5);
    var view = reader.get_bytes (4000, 3);
    segment.write (4001, new Bytes ("X".data));
    assert_true (view.get (1) == 'X');
    try {
      segment.read (4090, 7);
      assert_not_reached ();
    } catch (Ipc.Error.OUT_OF_BOUNDS error) {
      assert_true (segment.name in error.message);
    }
    try {
      reader.write (0, new Bytes ("abc".data));
      assert_not_reached ();
    } catch (Ipc.Error.PERMISSION_DENIED error) {
    }
    segment.resize (8192);
    assert_true (reader.size == 8192);
  } catch (Error error) {
    assert_no_error (error);
  }
}

static void test_sealed () {
  try {
    var segment = new Ipc.SharedMemory.anonymous (100);
    assert_null (segment.name);
    segment.write (0, new Bytes ("mine".data));
    segment.seal ();
    var fd = segment.dup_fd ();
    var other = new Ipc.SharedMemory.from_fd (fd);
    Posix.close (fd);
    assert_text (other, 0, "mine");
    assert_true (other.is_sealed);
    assert_true (other.access == Ipc.Access.READ);
  } catch (Error error) {
    assert_no_error (error);
  }
}

static async void test_lock () throws Error {
  var segment = make (100);
  var other = new Ipc.SharedMemoryManager ().open_segment (segment.name);

  segment.lock ();
  assert_false (other.try_lock ());
  try {
    other.lock (10);
    assert_not_reached ();
  } catch (Ipc.Error.TIMED_OUT error) {
  }
  segment.unlock ();
  yield segment.lock_async ();
  try {
    yield other.lock_async (10);
    assert_not_reached ();
  } catch (Ipc.Error.TIMED_OUT error) {
  }
  segment.unlock ();
  try {
    segment.unlock ();
    assert_not_reached ();
  } catch (Ipc.Error.NOT_HELD error) {
  }
}

static async void wait_for_change (Ipc.SharedMemory segment, Subprocess peer) throws Error {
  var is_changed = false;
  var handler = segment.changed.connect (() => { is_changed = true; });

  peer.get_stdin_pipe ().write ("!".data);
  while (!is_changed)
    yield turn ();
  segment.disconnect (handler);
}

static async void test_processes () throws Error {
  var segment = make (4096);

  for (var is_killed = 0; is_killed < 2; is_killed++) {
    var flags = SubprocessFlags.STDIN_PIPE | SubprocessFlags.STDOUT_PIPE;
    var peer = new Subprocess (flags, "/proc/self/exe", "hold", segment.name);
    assert_cmpint (peer.get_stdout_pipe ().read_bytes (1).get_data ()[0], CompareOperator.EQ, '!');
    yield wait_for_change (segment, peer);
    assert_text (segment, 0, "news");
    assert_false (segment.try_lock ());
    if (is_killed == 1)
      peer.force_exit ();
    else
      peer.get_stdin_pipe ().close ();
    try {
      segment.lock (20000);
      assert_cmpint (is_killed, CompareOperator.EQ, 0);
    } catch (Ipc.Error.OWNER_DIED error) {
      assert_cmpint (is_killed, CompareOperator.EQ, 1);
      segment.mark_consistent ();
    }
    segment.unlock ();
    peer.wait ();
  }
  assert_true (segment.is_consistent);
}

static int hold (string name) {
  try {
    var segment = new Ipc.SharedMemoryManager ().open_segment (name);
    segment.lock ();
    print ("!");
    new UnixInputStream (0, false).read_bytes (1);
    segment.write (0, new Bytes ("news".data));
    segment.notify_changed ();
    new UnixInputStream (0, false).read_bytes (1);
    segment.unlock ();
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
  Test.add_func ("/vala/memory/manager", test_manager);
  Test.add_func ("/vala/memory/read-and-write", test_read_and_write);
  Test.add_func ("/vala/memory/sealed", test_sealed);
  add_async_test ("/vala/memory/lock", (done) => test_lock.begin ((owned) done), (result) => test_lock.end (result));
  add_async_test ("/vala/memory/processes", (done) => test_processes.begin ((owned) done), (result) => test_processes.end (result));
  return run_in_scope ();
}
