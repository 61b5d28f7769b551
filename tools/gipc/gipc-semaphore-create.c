/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc semaphore create: makes one; that it was made is all there is to say. */
#include "gipc-semaphore.h"

int
gipc_semaphore_create (const GipcVerb *verb, int argc, char **argv)
{
  gint option = GIPC_SEMAPHORE_PERMITS_UNSET;
  const GOptionEntry options[] = {
    { "permits", 'p', 0, G_OPTION_ARG_INT, &option, "how many permits it has (default: 1)", "N" },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (IpcSemaphoreManager) manager = NULL;
  g_autoptr (IpcSemaphore) semaphore = NULL;
  g_autoptr (GError) error = NULL;
  guint permits;

  if (arguments == NULL || !gipc_semaphore_read_permits (verb, option, &permits))
    return GIPC_EXIT_USAGE;
  manager = ipc_semaphore_manager_new (NULL);
  semaphore = ipc_semaphore_manager_create_semaphore (manager, arguments[0], permits, &error);
  return semaphore != NULL ? GIPC_EXIT_OK : gipc_fail ("%s", error->message);
}
