// SPDX-License-Identifier: LGPL-2.1-or-later
/* Mapped files from Vala: read and written, synced, locked, and changed by transactions. */

static uint n = 0;

static Ipc.MappedFile make (size_t size) throws Error {
  return new Ipc.MappedFileManager ().map_file (Path.build_filename (Environment.get_variable ("IPC_GLIB_DIR"), @"x$(n++)"), size);
}

static void assert_text (Ipc.MappedFile file, size_t offset, string text) throws Error {
  assert_true (file.read (offset, text.length).compare (new Bytes (text.data)) == 0);
}

static void test_read_and_write () {
  try {
    var file = make (10000);

    file.write (5, new Bytes ("hello".data));
    assert_text (file, 5, "hello");
    assert_true (file.size == 10000 && file.is_dirty && file.dirty_bytes == 4096);
    file.sync ();
    assert_false (file.is_dirty);
    try {
      file.read (10000, 1);
      assert_not_reached ();
    } catch (Ipc.Error.OUT_OF_BOUNDS error) {
    }
    file.unmap ();
    assert_false (file.is_mapped);
  } catch (Error error) {
    assert_no_error (error);
  }
}

static async void test_transaction () throws Error {
  var file = make (10000);
  var transaction = file.begin ();

  transaction.write (0, new Bytes ("one".data));
  transaction.write (9000, new Bytes ("two".data));
  yield transaction.commit_async ();
  assert_text (file, 0, "one");
  assert_text (file, 9000, "two");
  yield file.lock_range_async (0, 0, Ipc.Access.WRITE);
  file.unlock_range (0, 0);
  yield file.sync_async ();
  assert_false (file.is_dirty);
}

static int main (string[] args) {
  Intl.setlocale ();
  Test.init (ref args);
  Posix.alarm (DEADLINE_S);
  Test.add_func ("/vala/files/read-and-write", test_read_and_write);
  add_async_test ("/vala/files/transaction", (done) => test_transaction.begin ((owned) done), (result) => test_transaction.end (result));
  return run_in_scope ();
}
