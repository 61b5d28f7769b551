// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Prints what memory-writer shows, whenever it changes, until the segment is deleted.
 *
 *   memory-reader NAME
 *
 * Who reads slowly misses frames, and always sees the newest one whole.
 */

// The number of the frame, then the text.
const size_t FRAME_SIZE = 1024;

static void show (Ipc.SharedMemory segment) {
  try {
    var frame = segment.read (0, FRAME_SIZE).get_data ();
    int64 number = 0;

    Memory.copy (&number, frame, sizeof (int64));
    if (number > 0)
      print ("%lld: %.*s\n", number, (int) (FRAME_SIZE - sizeof (int64)), (string) ((uint8*) frame + sizeof (int64)));
  } catch (Error error) {
    printerr ("memory-reader: %s\n", error.message);
  }
}

static void follow (string name) throws Error {
  var loop = new MainLoop ();
  var segment = new Ipc.SharedMemoryManager ().open_segment (name, Ipc.Access.READ);

  segment.changed.connect (show);
  segment.deleted.connect (() => loop.quit ());
  // Listening comes first, so that nothing is missed in between.
  show (segment);
  loop.run ();
}

static int main (string[] args) {
  Intl.setlocale ();
  if (args.length != 2) {
    printerr ("usage: memory-reader NAME\n");
    return 2;
  }
  try {
    follow (args[1]);
    return 0;
  } catch (Error error) {
    printerr ("memory-reader: %s\n", error.message);
    return 1;
  }
}
