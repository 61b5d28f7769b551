/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc semaphore: its verbs, one a file, and what they share. */
#include "gipc-semaphore.h"

static const GipcVerb verbs[] = {
  { "semaphore create", "NAME", "make a semaphore",
    "It has one permit if nothing else is said. It stays until it is deleted.", 1, 1, gipc_semaphore_create },
  { "semaphore list", "", "list the semaphores of the scope", NULL, 0, 0, gipc_semaphore_list },
  { "semaphore info", "NAME", "show a semaphore and who holds its permits", NULL, 1, 1, gipc_semaphore_info },
  { "semaphore run", "NAME -- COMMAND…", "run a command while holding a permit",
    "Waits for a permit, runs COMMAND, and exits as it did: with its exit status, or 128 and\n"
    "the number of the signal that killed it. The semaphore is made if there is none.\n"
    "SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1 and SIGUSR2 are passed on. If gipc itself is\n"
    "killed, so is COMMAND.\n"
    "Exit status 75: no permit within the timeout; 126: COMMAND cannot be run; 127: there is\n"
    "no such COMMAND.", 2, G_MAXUINT, gipc_semaphore_run },
  { "semaphore delete", "NAME", "delete a semaphore",
    "Those that have it go on with it; those that wait for a permit fail.", 1, 1, gipc_semaphore_delete },
};

/* What --permits says; 0 if it was not given. FALSE after saying what is wrong with it. Whether it is too much is for the
 * library to say. */
gboolean
gipc_semaphore_read_permits (const GipcVerb *verb, gint option, guint *permits)
{
  if (option != GIPC_SEMAPHORE_PERMITS_UNSET && option < 1)
    return gipc_fail_usage (verb, "--permits: %d is less than 1", option), FALSE;
  *permits = option != GIPC_SEMAPHORE_PERMITS_UNSET ? (guint) option : 0;
  return TRUE;
}

int
gipc_semaphore (const GipcVerb *verb, int argc, char **argv)
{
  return gipc_run_group (verb, verbs, G_N_ELEMENTS (verbs), argc, argv);
}
