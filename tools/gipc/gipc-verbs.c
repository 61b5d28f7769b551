/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables of verbs: the verbs of gipc, and those of a verb that has some of its own, whose names begin with
 * its name ("semaphore run").
 */
#include "gipc.h"

#include <stdio.h>
#include <string.h>

static const char *
get_own_name (const GipcVerb *verb)
{
  const char *space = strrchr (verb->name, ' ');

  return space != NULL ? space + 1 : verb->name;
}

static gboolean
is_help (const char *argument)
{
  return strcmp (argument, "--help") == 0 || strcmp (argument, "-h") == 0;
}

static int
print_help (const GipcVerb *parent, const GipcVerb *verbs, guint n_verbs)
{
  g_print ("Usage:\n  gipc %s VERB [OPTION…] [ARGUMENT…]\n\n%s\n\nVerbs:\n", parent->name, parent->summary);
  gipc_print_verbs (verbs, n_verbs);
  if (parent->description != NULL)
    g_print ("\n%s\n", parent->description);
  return fflush (stdout) == 0 ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

void
gipc_print_verbs (const GipcVerb *verbs, guint n_verbs)
{
  for (guint i = 0; i < n_verbs; i++)
    {
      /* printf() counts bytes. */
      int width = 25 + (int) (strlen (verbs[i].arguments) - g_utf8_strlen (verbs[i].arguments, -1));
      g_print ("  %-9s %-*s %s\n", get_own_name (&verbs[i]), width, verbs[i].arguments, verbs[i].summary);
    }
}

/* PARENT is NULL for the verbs of gipc itself. ARGV begins with the name of the verb. */
int
gipc_run_verb (const GipcVerb *parent, const GipcVerb *verbs, guint n_verbs, int argc, char **argv)
{
  for (guint i = 0; i < n_verbs; i++)
    if (strcmp (argv[0], get_own_name (&verbs[i])) == 0)
      return verbs[i].run (&verbs[i], argc, argv);
  return gipc_fail_usage (parent, "no such %s: %s", argv[0][0] == '-' ? "option" : "verb", argv[0]);
}

/* The same for a verb that has verbs: ARGV begins with its own name. */
int
gipc_run_group (const GipcVerb *parent, const GipcVerb *verbs, guint n_verbs, int argc, char **argv)
{
  if (argc < 2)
    return gipc_fail_usage (parent, "a verb is missing");
  if (is_help (argv[1]))
    return print_help (parent, verbs, n_verbs);
  return gipc_run_verb (parent, verbs, n_verbs, argc - 1, argv + 1);
}
