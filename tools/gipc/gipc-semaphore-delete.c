/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc semaphore delete: takes its name away. */
#include "gipc-semaphore.h"

int
gipc_semaphore_delete (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (IpcSemaphoreManager) manager = NULL;
  g_autoptr (GError) error = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  manager = ipc_semaphore_manager_new (NULL);
  if (!ipc_semaphore_manager_delete_semaphore (manager, arguments[0], &error))
    return gipc_fail ("%s", error->message);
  return GIPC_EXIT_OK;
}
