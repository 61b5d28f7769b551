/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Start as many of these as you like: at most PERMITS of them do their work at the same
 * time, the others wait for their turn. Kill one while it works: the next one takes over.
 *
 *   semaphore-limit NAME PERMITS MILLISECONDS
 *
 * The work is to say so and to sleep for MILLISECONDS.
 */
#include <ipc-glib/ipc-glib.h>
#include <stdlib.h>
#include <unistd.h>

/* Whoever comes first makes the semaphore. */
static IpcSemaphore *
open_semaphore (const char *name, guint permits, GError **error)
{
  g_autoptr (IpcSemaphoreManager) manager = ipc_semaphore_manager_new (NULL);
  g_autoptr (GError) problem = NULL;
  IpcSemaphore *semaphore = ipc_semaphore_manager_create_semaphore (manager, name, permits, &problem);

  if (g_error_matches (problem, IPC_ERROR, IPC_ERROR_EXISTS))
    return ipc_semaphore_manager_open_semaphore (manager, name, error);
  if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  return semaphore;
}

static gboolean
work (const char *name, guint permits, gulong milliseconds, GError **error)
{
  g_autoptr (IpcSemaphore) semaphore = open_semaphore (name, permits, error);
  g_autoptr (IpcPermit) permit = NULL;

  if (semaphore == NULL)
    return FALSE;
  permit = ipc_semaphore_acquire (semaphore, -1, NULL, error);
  if (permit == NULL)
    return FALSE;
  g_print ("%d works, %u of %u permits are free\n", (int) getpid (), ipc_semaphore_get_available_permits (semaphore),
           ipc_semaphore_get_total_permits (semaphore));
  g_usleep (milliseconds * 1000);
  g_print ("%d is done\n", (int) getpid ());
  return ipc_permit_release (permit, error);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (argc != 4)
    {
      g_printerr ("usage: semaphore-limit NAME PERMITS MILLISECONDS\n");
      return 2;
    }
  if (work (argv[1], strtoul (argv[2], NULL, 10), strtoul (argv[3], NULL, 10), &error))
    return EXIT_SUCCESS;
  g_printerr ("semaphore-limit: %s\n", error->message);
  return EXIT_FAILURE;
}
