/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every verb needs: errors in one line on standard error, arguments, output
 * that is complete or an error, and an opened client.
 *
 * Functions that return an exit status have already said why.
 */
#include "gipc.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

/* One line is one error, whatever a file name or a peer put into it. */
static void
print_error (const char *format, va_list arguments, const char *hint)
{
  g_autofree char *text = g_strdup_vprintf (format, arguments);

  for (char *c = text; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c))
      *c = ' ';
  fprintf (stderr, "gipc: %s%s\n", text, hint);
}

int
gipc_fail (const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  print_error (format, arguments, "");
  va_end (arguments);
  return GIPC_EXIT_FAILED;
}

/* VERB is NULL while there is none. */
int
gipc_fail_usage (const GipcVerb *verb, const char *format, ...)
{
  g_autofree char *hint = verb != NULL ? g_strdup_printf (" (see gipc %s --help)", verb->name)
                                       : g_strdup (" (see gipc --help)");
  va_list arguments;

  va_start (arguments, format);
  print_error (format, arguments, hint);
  va_end (arguments);
  return GIPC_EXIT_USAGE;
}

static gboolean
count_is_right (const GipcVerb *verb, char **arguments)
{
  guint n = g_strv_length (arguments);

  if (n < verb->min_arguments)
    gipc_fail_usage (verb, "%s takes %s; %u of at least %u arguments given", verb->name, verb->arguments, n,
                     verb->min_arguments);
  else if (n > verb->max_arguments)
    gipc_fail_usage (verb, "%s takes at most %u arguments, %u given", verb->name, verb->max_arguments, n);
  return n >= verb->min_arguments && n <= verb->max_arguments;
}

/* The arguments that are not options, as the bytes they are; NULL after saying what
 * is wrong with them (the exit status is then GIPC_EXIT_USAGE). */
char **
gipc_parse (const GipcVerb *verb, const GOptionEntry *options, int argc, char **argv)
{
  g_auto (GStrv) arguments = NULL;
  const GOptionEntry rest[] = {
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &arguments, NULL, verb->arguments },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autofree char *program = g_strconcat ("gipc ", verb->name, NULL);
  g_autoptr (GError) error = NULL;

  g_set_prgname (program);
  g_option_context_set_summary (context, verb->summary);
  g_option_context_set_description (context, verb->description);
  if (options != NULL)
    g_option_context_add_main_entries (context, options, NULL);
  g_option_context_add_main_entries (context, rest, NULL);

  if (!g_option_context_parse (context, &argc, &argv, &error))
    return gipc_fail_usage (verb, "%s", error->message), NULL;
  if (arguments == NULL)
    arguments = g_new0 (char *, 1);
  return count_is_right (verb, arguments) ? g_steal_pointer (&arguments) : NULL;
}

/* The address behind the prefix of a named pipe, or NULL if it is of a socket. */
static const char *
get_pipe (const char *address)
{
  return g_str_has_prefix (address, GIPC_PIPE_PREFIX) ? address + strlen (GIPC_PIPE_PREFIX) : NULL;
}

IpcClient *
gipc_client_new (const char *address)
{
  const char *pipe = get_pipe (address);

  return pipe != NULL ? IPC_CLIENT (ipc_pipe_client_new (pipe)) : IPC_CLIENT (ipc_socket_client_new (address));
}

IpcServer *
gipc_server_new (const char *address)
{
  const char *pipe = get_pipe (address);

  return pipe != NULL ? IPC_SERVER (ipc_pipe_server_new (pipe)) : IPC_SERVER (ipc_socket_server_new (address));
}

gboolean
gipc_check_scope (void)
{
  const char *directory = ipc_scope_get_directory (ipc_scope_get_default ());
  g_autoptr (IpcScope) scope = NULL;
  g_autoptr (GError) error = NULL;
  GStatBuf info;

  if (directory == NULL)
    return gipc_fail ("there is no directory for the default scope"), FALSE;
  /* Looking does not make it. */
  if (g_path_is_absolute (directory) && g_lstat (directory, &info) != 0 && errno == ENOENT)
    return TRUE;
  scope = ipc_scope_new_for_directory (directory, &error);
  if (scope == NULL)
    gipc_fail ("cannot look for anything in the scope: %s", error->message);
  return scope != NULL;
}

/* A client that is connected, or NULL after saying why not. */
IpcClient *
gipc_open (const char *address)
{
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (GError) error = NULL;

  client = gipc_client_new (address);
  if (!ipc_client_open (client, NULL, &error))
    return gipc_fail ("%s", error->message), NULL;
  return g_steal_pointer (&client);
}

/* Writes all of it to standard output and flushes; an error has been reported. */
gboolean
gipc_write (gconstpointer bytes, gsize size)
{
  /* No bytes may be nowhere. */
  if ((size == 0 || fwrite (bytes, 1, size, stdout) == size) && fflush (stdout) == 0)
    return TRUE;
  gipc_fail ("standard output: %s", g_strerror (errno));
  return FALSE;
}

/* The same for LINE and a newline, in one write. */
gboolean
gipc_write_line (const char *line)
{
  g_autofree char *whole = g_strconcat (line, "\n", NULL);

  return gipc_write (whole, strlen (whole));
}

char *
gipc_format_time (gint64 microseconds)
{
  g_autoptr (GDateTime) seconds = g_date_time_new_from_unix_local (microseconds / G_USEC_PER_SEC);
  g_autofree char *text = seconds != NULL ? g_date_time_format (seconds, "%F %T") : NULL;

  if (text == NULL || microseconds <= 0)
    return g_strdup ("-");
  return g_strdup_printf ("%s.%03d", text, (int) (microseconds % G_USEC_PER_SEC / 1000));
}

/* 0 if C is none of the letters. */
static guint
get_shift (char c)
{
  const char *letters = "KMG";
  const char *letter = c != '\0' ? strchr (letters, c) : NULL;

  return letter != NULL ? 10 * (guint) (letter - letters + 1) : 0;
}

/* "4096", "64K". WHAT is how the verb calls it. FALSE after saying what is wrong; whether it is too much is for the library
 * to say. */
gboolean
gipc_read_bytes (const GipcVerb *verb, const char *what, const char *text, gsize *bytes)
{
  gsize length = strlen (text);
  guint shift = length > 0 ? get_shift (text[length - 1]) : 0;
  g_autofree char *digits = g_strndup (text, length - (shift > 0));
  guint64 value;

  if (!g_ascii_string_to_unsigned (digits, 10, 0, G_MAXSIZE >> shift, &value, NULL))
    return gipc_fail_usage (verb, "%s: %s is not a number of bytes", what, text), FALSE;
  *bytes = (gsize) value << shift;
  return TRUE;
}
