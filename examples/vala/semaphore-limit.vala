// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Start as many of these as you like: at most PERMITS of them do their work at the same
 * time, the others wait for their turn. Kill one while it works: the next one takes over.
 *
 *   semaphore-limit NAME PERMITS MILLISECONDS
 *
 * The work is to say so and to sleep for MILLISECONDS.
 */

// Whoever comes first makes the semaphore.
static Ipc.Semaphore open_semaphore (string name, uint permits) throws Error {
  var manager = new Ipc.SemaphoreManager (null);

  try {
    return manager.create_semaphore (name, permits);
  } catch (Ipc.Error.EXISTS error) {
    return manager.open_semaphore (name);
  }
}

static async void pause_for (uint milliseconds) {
  Timeout.add (milliseconds, pause_for.callback);
  yield;
}

static async void work (string name, uint permits, uint milliseconds) throws Error {
  var semaphore = open_semaphore (name, permits);
  // It goes back when it goes out of scope, at the latest.
  var permit = yield semaphore.acquire_async (-1);

  print ("%d works, %u of %u permits are free\n", Posix.getpid (), semaphore.available_permits, semaphore.total_permits);
  yield pause_for (milliseconds);
  print ("%d is done\n", Posix.getpid ());
  permit.release ();
}

static int main (string[] args) {
  var loop = new MainLoop ();
  var status = 0;

  if (args.length != 4) {
    printerr ("usage: semaphore-limit NAME PERMITS MILLISECONDS\n");
    return 2;
  }
  work.begin (args[1], uint.parse (args[2]), uint.parse (args[3]), (source, result) => {
    try {
      work.end (result);
    } catch (Error error) {
      printerr ("semaphore-limit: %s\n", error.message);
      status = 1;
    }
    loop.quit ();
  });
  loop.run ();
  return status;
}
