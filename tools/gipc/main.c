/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gipc: ipc-glib from the shell. It links the public API only, so it is also the
 * proof that the public API is enough.
 *
 * main() finds the verb and hands over. To add a verb: write gipc-VERB.c, declare
 * its function in gipc.h and add a line to the table below.
 */
#include "gipc.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const GipcVerb verbs[] = {
  { "listen", "ADDRESS", "serve an address and print what arrives, one JSON object a line",
    "Prints \"listening on ADDRESS\" on standard error when clients can connect.\n"
    "SIGINT and SIGTERM stop it in an orderly way.", 1, 1, gipc_listen },
  { "call", "ADDRESS TYPE [PAYLOAD|-]", "send a request and print the payload of the reply",
    "\"-\" takes the payload from standard input. A payload of valid UTF-8 is sent as\n"
    "text, any other as bytes. Without PAYLOAD it is empty.", 2, 3, gipc_call },
  { "send", "ADDRESS TYPE [PAYLOAD|-]", "send an event: a message without a reply",
    "\"-\" takes the payload from standard input. A payload of valid UTF-8 is sent as\n"
    "text, any other as bytes. Without PAYLOAD it is empty.", 2, 3, gipc_send },
  { "list", "", "list the servers of the scope",
    "A server is alive when it answers, stale when its process is gone, and silent\n"
    "when it does not answer in time.", 0, 0, gipc_list },
  { "file", "VERB …", "show, read, write, sync and watch files as those have them that map them",
    "What a verb takes: gipc file VERB --help", 1, G_MAXUINT, gipc_file },
  { "memory", "VERB …", "make, list, show, read, write, watch and delete segments of shared memory",
    "What a verb takes: gipc memory VERB --help", 1, G_MAXUINT, gipc_memory },
  { "monitor", "ADDRESS|--all", "show what goes through servers, refreshed",
    "On a terminal the lines are refreshed in place. Servers may come and go.\n"
    "SIGINT and SIGTERM end it.", 0, 1, gipc_monitor },
  { "queue", "VERB …", "publish, take, list, look at messages of queues",
    "What a verb takes: gipc queue VERB --help", 1, G_MAXUINT, gipc_queue },
  { "semaphore", "VERB …", "make, list, show, delete semaphores, and run commands with them",
    "What a verb takes: gipc semaphore VERB --help", 1, G_MAXUINT, gipc_semaphore },
};

void (*gipc_inherited_sigpipe) (int number) = SIG_DFL;

static int
print_help (void)
{
  g_print ("Usage:\n  gipc VERB [OPTION…] [ARGUMENT…]\n\nTalks to programs that use ipc-glib.\n\nVerbs:\n");
  gipc_print_verbs (verbs, G_N_ELEMENTS (verbs));
  g_print ("\nOptions:\n  --help     show this, or what a verb takes: gipc VERB --help\n"
           "  --version  show the version\n\n"
           "Exit status: 0 it was done, 1 it failed, 2 it was not understood.\n");
  return fflush (stdout) == 0 ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

static int
print_version (void)
{
  g_print ("gipc %s\n", IPC_VERSION_S);
  return fflush (stdout) == 0 ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  /* A reader of our output that goes away is an error to report, not a death. */
  gipc_inherited_sigpipe = signal (SIGPIPE, SIG_IGN);

  if (argc < 2)
    return gipc_fail_usage (NULL, "a verb is missing");
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0)
    return print_help ();
  if (strcmp (argv[1], "--version") == 0)
    return print_version ();
  return gipc_run_verb (NULL, verbs, G_N_ELEMENTS (verbs), argc - 1, argv + 1);
}
