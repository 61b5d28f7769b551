/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeps a note in a file, and how often it was changed. Whatever happens while it is changed, also a power cut, the number
 * and the text belong together, for all who read them.
 *
 *   file-note PATH [TEXT]
 *
 * Without TEXT it prints what is there.
 */
#include <ipc-glib/ipc-glib.h>

#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 1016

typedef struct
{
  gint64 number;
  char text[TEXT_SIZE];
} Note;

static gboolean
change (IpcMappedFile *file, const char *text, GError **error)
{
  g_autoptr(IpcMappedFileTransaction) transaction = NULL;
  Note note;

  /* Nobody else changes it between reading and writing. */
  if (!ipc_mapped_file_lock_range (file, 0, sizeof note, IPC_ACCESS_WRITE, IPC_TIMEOUT_DEFAULT, NULL, error) ||
      !ipc_mapped_file_read_into (file, 0, &note, sizeof note, error))
    return FALSE;
  note.number++;
  memset (note.text, 0, sizeof note.text);
  g_strlcpy (note.text, text, sizeof note.text);
  transaction = ipc_mapped_file_begin (file, error);
  return transaction != NULL && ipc_mapped_file_transaction_write_data (transaction, 0, &note, sizeof note, error) &&
         ipc_mapped_file_transaction_commit (transaction, NULL, error) && ipc_mapped_file_unlock_range (file, 0, sizeof note, error);
}

static gboolean
print (IpcMappedFile *file, GError **error)
{
  Note note;

  if (!ipc_mapped_file_read_into (file, 0, &note, sizeof note, error))
    return FALSE;
  printf ("%" G_GINT64_FORMAT " %.*s\n", note.number, TEXT_SIZE, note.text);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr(IpcMappedFileManager) manager = NULL;
  g_autoptr(IpcMappedFile) file = NULL;
  g_autoptr(GError) error = NULL;

  if (argc != 2 && argc != 3)
    {
      fprintf (stderr, "usage: file-note PATH [TEXT]\n");
      return 2;
    }
  manager = ipc_mapped_file_manager_new (NULL);
  file = ipc_mapped_file_manager_map_file (manager, argv[1], sizeof (Note), 0, &error);
  if (file != NULL && (argc == 2 || change (file, argv[2], &error)) && print (file, &error))
    return 0;
  fprintf (stderr, "file-note: %s\n", error->message);
  return 1;
}
