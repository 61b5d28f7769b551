/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc memory delete: takes its name away. */
#include "gipc-memory.h"

int
gipc_memory_delete (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (IpcSharedMemoryManager) manager = NULL;
  g_autoptr (GError) error = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  manager = ipc_shared_memory_manager_new (NULL);
  if (!ipc_shared_memory_manager_delete_segment (manager, arguments[0], &error))
    return gipc_fail ("%s", error->message);
  return GIPC_EXIT_OK;
}
