/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shows a text to whoever looks: each line of the standard input takes the place of the one
 * before. It is written into shared memory once, however many readers there are, and none of
 * them is waited for.
 *
 *   memory-writer NAME
 *
 * At the end of the input the segment is deleted. See memory-reader.
 */
#include <ipc-glib/ipc-glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct
{
  gint64 number;
  char text[1016];
} Frame;

static gboolean
write_lines (IpcSharedMemory *segment, GError **error)
{
  Frame frame = { 0 };

  while (fgets (frame.text, sizeof frame.text, stdin) != NULL)
    {
      gsize length = strcspn (frame.text, "\n");

      memset (frame.text + length, 0, sizeof frame.text - length);
      frame.number++;
      /* One write is one frame: nobody sees the number without its text. */
      if (!ipc_shared_memory_write_data (segment, 0, &frame, sizeof frame, error) || !ipc_shared_memory_notify_changed (segment, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
show (const char *name, GError **error)
{
  g_autoptr (IpcSharedMemoryManager) manager = ipc_shared_memory_manager_new (NULL);
  g_autoptr (IpcSharedMemory) segment = ipc_shared_memory_manager_create_segment (manager, name, sizeof (Frame), 0, error);
  gboolean written;

  if (segment == NULL)
    return FALSE;
  g_printerr ("writing to %s\n", name);
  written = write_lines (segment, error);
  return ipc_shared_memory_manager_delete_segment (manager, name, written ? error : NULL) && written;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (argc != 2)
    {
      g_printerr ("usage: memory-writer NAME\n");
      return 2;
    }
  if (show (argv[1], &error))
    return EXIT_SUCCESS;
  g_printerr ("memory-writer: %s\n", error->message);
  return EXIT_FAILURE;
}
