// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Keeps a note in a file, and how often it was changed. Whatever happens while it is changed, also
 * a power cut, the number and the text belong together, for all who read them.
 *
 *   file-note PATH [TEXT]
 *
 * Without TEXT it prints what is there.
 */

// The number, then the text.
const size_t NOTE_SIZE = 1024;

static int64 get_number (Bytes note) {
  int64 number = 0;

  Memory.copy (&number, note.get_data (), sizeof (int64));
  return number;
}

static void change (Ipc.MappedFile file, string text) throws Error {
  var note = new uint8[NOTE_SIZE];

  // Nobody else changes it between reading and writing.
  file.lock_range (0, NOTE_SIZE, Ipc.Access.WRITE);
  var number = get_number (file.read (0, NOTE_SIZE)) + 1;
  Memory.copy (note, &number, sizeof (int64));
  Memory.copy ((uint8*) note + sizeof (int64), text, size_t.min (text.length, NOTE_SIZE - sizeof (int64) - 1));
  var transaction = file.begin ();
  transaction.write (0, new Bytes.take ((owned) note));
  transaction.commit ();
  file.unlock_range (0, NOTE_SIZE);
}

static int main (string[] args) {
  if (args.length != 2 && args.length != 3) {
    printerr ("usage: file-note PATH [TEXT]\n");
    return 2;
  }
  try {
    var file = new Ipc.MappedFileManager ().map_file (args[1], NOTE_SIZE);
    if (args.length == 3)
      change (file, args[2]);
    var note = file.read (0, NOTE_SIZE);
    print ("%lld %s\n", get_number (note), (string) ((uint8*) note.get_data () + sizeof (int64)));
    file.unmap ();
    return 0;
  } catch (Error error) {
    printerr ("file-note: %s\n", error.message);
    return 1;
  }
}
