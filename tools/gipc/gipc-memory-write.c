/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc memory write: standard input into a segment, as one write, and then tells the others. */
#include "gipc-memory.h"

#include <errno.h>
#include <stdio.h>

/* Whether so many bytes fit, as the library has it: it says what is wrong. Nothing is read. */
static gboolean
check_fit (IpcSharedMemory *segment, gsize offset, gsize length, GError **error)
{
  g_autoptr (GBytes) bytes = ipc_shared_memory_get_bytes (segment, offset, length, error);

  return bytes != NULL;
}

/* All of standard input, or NULL. What does not fit is found out while it comes, as it may never end. */
static GBytes *
read_standard_input (IpcSharedMemory *segment, gsize offset, GError **error)
{
  g_autoptr (GString) all = g_string_new (NULL);
  char buffer[65536];
  gsize n;

  if (!check_fit (segment, offset, 0, error))
    return NULL;
  while ((n = fread (buffer, 1, sizeof buffer, stdin)) > 0)
    {
      if (!check_fit (segment, offset, all->len + n, error))
        return NULL;
      g_string_append_len (all, buffer, (gssize) n);
    }
  if (!ferror (stdin))
    return g_string_free_to_bytes (g_steal_pointer (&all));
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "standard input: %s", g_strerror (errno));
  return NULL;
}

static gboolean
write_standard_input (const char *name, gsize offset, GError **error)
{
  g_autoptr (IpcSharedMemoryManager) manager = ipc_shared_memory_manager_new (NULL);
  g_autoptr (IpcSharedMemory) segment = ipc_shared_memory_manager_open_segment (manager, name, 0, error);
  g_autoptr (GBytes) bytes = segment != NULL ? read_standard_input (segment, offset, error) : NULL;

  return bytes != NULL && ipc_shared_memory_write (segment, offset, bytes, error) &&
         ipc_shared_memory_notify_changed (segment, error);
}

int
gipc_memory_write (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (GError) error = NULL;
  gsize offset = 0;

  if (arguments == NULL || (arguments[1] != NULL && !gipc_read_bytes (verb, "OFFSET", arguments[1], &offset)))
    return GIPC_EXIT_USAGE;
  return write_standard_input (arguments[0], offset, &error) ? GIPC_EXIT_OK : gipc_fail ("%s", error->message);
}
