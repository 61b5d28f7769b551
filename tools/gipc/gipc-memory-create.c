/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc memory create: makes one; that it was made is all there is to say. */
#include "gipc-memory.h"

int
gipc_memory_create (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (IpcSharedMemoryManager) manager = NULL;
  g_autoptr (IpcSharedMemory) segment = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;

  if (arguments == NULL || !gipc_read_bytes (verb, "SIZE", arguments[1], &size))
    return GIPC_EXIT_USAGE;
  /* To the library that is any size. */
  if (size == 0)
    return gipc_fail_usage (verb, "SIZE: 0 is less than 1");
  manager = ipc_shared_memory_manager_new (NULL);
  segment = ipc_shared_memory_manager_create_segment (manager, arguments[0], size, 0, &error);
  return segment != NULL ? GIPC_EXIT_OK : gipc_fail ("%s", error->message);
}
