// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the tests in Vala share: asynchronous tests, turns of the main loop, a scope of their own. */

public const int DEADLINE_S = 60;

public delegate void BeginFunc (owned AsyncReadyCallback callback);
public delegate void EndFunc (AsyncResult result) throws Error;

/* One turn of the main loop. */
public async void turn () {
  Idle.add (turn.callback, Priority.DEFAULT);
  yield;
}

/* Runs an async function to its end in a loop of its own. */
public void add_async_test (string path, owned BeginFunc begin, owned EndFunc end) {
  Test.add_data_func (path, () => {
    var loop = new MainLoop ();
    begin ((source, result) => {
      try {
        end (result);
      } catch (Error error) {
        assert_no_error (error);
      }
      loop.quit ();
    });
    loop.run ();
  });
}

public void remove_all (string path) throws FileError {
  if (FileUtils.test (path, FileTest.IS_DIR) && !FileUtils.test (path, FileTest.IS_SYMLINK)) {
    var names = Dir.open (path);
    string? name;
    while ((name = names.read_name ()) != null)
      remove_all (Path.build_filename (path, name));
  }
  FileUtils.remove (path);
}

/* The scope of the user is not to be touched. */
public int run_in_scope () {
  try {
    var scope = DirUtils.make_tmp ("ipc-glib-scope-XXXXXX");
    Environment.set_variable ("IPC_GLIB_DIR", scope, true);
    var status = Test.run ();
    remove_all (scope);
    return status;
  } catch (FileError error) {
    printerr ("%s\n", error.message);
    return 1;
  }
}
