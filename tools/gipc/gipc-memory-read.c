/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc memory read: bytes of a segment to standard output, as one write left them. */
#include "gipc-memory.h"

static gboolean
parse_range (const GipcVerb *verb, char **arguments, gsize *offset, gsize *length)
{
  if (arguments[1] == NULL)
    return TRUE;
  if (!gipc_read_bytes (verb, "OFFSET", arguments[1], offset))
    return FALSE;
  return arguments[2] == NULL || gipc_read_bytes (verb, "LENGTH", arguments[2], length);
}

/* What is behind the end has no rest: that is for the library to refuse. */
static gsize
get_rest (IpcSharedMemory *segment, gsize offset)
{
  gsize size = ipc_shared_memory_get_size (segment);

  return offset < size ? size - offset : 0;
}

int
gipc_memory_read (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (IpcSharedMemoryManager) manager = NULL;
  g_autoptr (IpcSharedMemory) segment = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  gsize offset = 0, length = 0, size;
  gconstpointer data;

  if (arguments == NULL || !parse_range (verb, arguments, &offset, &length))
    return GIPC_EXIT_USAGE;
  manager = ipc_shared_memory_manager_new (NULL);
  segment = ipc_shared_memory_manager_open_segment (manager, arguments[0], IPC_ACCESS_READ, &error);
  if (segment != NULL && g_strv_length (arguments) < 3)
    length = get_rest (segment, offset);
  bytes = segment != NULL ? ipc_shared_memory_read (segment, offset, length, &error) : NULL;
  if (bytes == NULL)
    return gipc_fail ("%s", error->message);
  data = g_bytes_get_data (bytes, &size);
  return gipc_write (data, size) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}
