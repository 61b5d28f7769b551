/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints what memory-writer shows, whenever it changes, until the segment is deleted.
 *
 *   memory-reader NAME
 *
 * Who reads slowly misses frames, and always sees the newest one whole.
 */
#include <ipc-glib/ipc-glib.h>
#include <locale.h>
#include <stdlib.h>

typedef struct
{
  gint64 number;
  char text[1016];
} Frame;

static void
show_cb (IpcSharedMemory *segment)
{
  g_autoptr (GError) error = NULL;
  Frame frame;

  if (!ipc_shared_memory_read_into (segment, 0, &frame, sizeof frame, &error))
    g_printerr ("memory-reader: %s\n", error->message);
  else if (frame.number > 0)
    g_print ("%" G_GINT64_FORMAT ": %.*s\n", frame.number, (int) sizeof frame.text, frame.text);
}

static gboolean
follow (const char *name, GError **error)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (IpcSharedMemoryManager) manager = ipc_shared_memory_manager_new (NULL);
  g_autoptr (IpcSharedMemory) segment = ipc_shared_memory_manager_open_segment (manager, name, IPC_ACCESS_READ, error);

  if (segment == NULL)
    return FALSE;
  g_signal_connect (segment, "changed", G_CALLBACK (show_cb), NULL);
  g_signal_connect_swapped (segment, "deleted", G_CALLBACK (g_main_loop_quit), loop);
  /* Listening comes first, so that nothing is missed in between. */
  show_cb (segment);
  g_main_loop_run (loop);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc != 2)
    {
      g_printerr ("usage: memory-reader NAME\n");
      return 2;
    }
  if (follow (argv[1], &error))
    return EXIT_SUCCESS;
  g_printerr ("memory-reader: %s\n", error->message);
  return EXIT_FAILURE;
}
