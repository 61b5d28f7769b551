// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Shows a text to whoever looks: each line of the standard input takes the place of the one
 * before. It is written into shared memory once, however many readers there are, and none of
 * them is waited for.
 *
 *   memory-writer NAME
 *
 * At the end of the input the segment is deleted. See memory-reader.
 */

// The number of the frame, then the text.
const size_t FRAME_SIZE = 1024;

static Bytes make_frame (int64 number, string line) {
  var frame = new uint8[FRAME_SIZE];
  var length = size_t.min (line.length, FRAME_SIZE - sizeof (int64));

  Memory.copy (frame, &number, sizeof (int64));
  Memory.copy ((uint8*) frame + sizeof (int64), line, length);
  return new Bytes.take ((owned) frame);
}

static void show (string name) throws Error {
  var manager = new Ipc.SharedMemoryManager ();
  var segment = manager.create_segment (name, FRAME_SIZE);
  string? line;

  printerr ("writing to %s\n", name);
  for (int64 number = 1; (line = stdin.read_line ()) != null; number++) {
    // One write is one frame: nobody sees the number without its text.
    segment.write (0, make_frame (number, line));
    segment.notify_changed ();
  }
  manager.delete_segment (name);
}

static int main (string[] args) {
  if (args.length != 2) {
    printerr ("usage: memory-writer NAME\n");
    return 2;
  }
  try {
    show (args[1]);
    return 0;
  } catch (Error error) {
    printerr ("memory-writer: %s\n", error.message);
    return 1;
  }
}
