/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker processes: what they are called, how they are started, how they ended.
 *
 * "c", "python" and "gjs" are the programs beside the coordinator; a name with a slash
 * is any other program. Each is run as PROGRAM ADDRESS LABEL.
 */
#include "workers.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void
worker_free (gpointer data)
{
  Worker *self = data;

  g_free (self->label);
  g_strfreev (self->command);
  g_clear_object (&self->process);
  g_clear_object (&self->connection);
  g_clear_pointer (&self->waiting, ipc_message_unref);
  g_free (self->fate);
  g_free (self);
}

static char *
find_beside (const char *name)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *directory = g_path_get_dirname (program != NULL ? program : "./indexer");

  return g_build_filename (directory, name, NULL);
}

/* The distribution's own Python is the one that has PyGObject. */
static const char *
find_python (void)
{
  const char *chosen = g_getenv ("PYTHON");

  if (chosen != NULL && *chosen != '\0')
    return chosen;
  return access ("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3";
}

/* NULL if there is no worker of that name. */
static char **
make_command (const char *name)
{
  g_autoptr (GStrvBuilder) command = g_strv_builder_new ();
  g_autofree char *program = NULL;

  if (strcmp (name, "c") == 0)
    program = find_beside ("worker-c");
  else if (strcmp (name, "python") == 0)
    {
      program = find_beside ("worker.py");
      g_strv_builder_add (command, find_python ());
    }
  else if (strcmp (name, "gjs") == 0)
    {
      program = find_beside ("worker.js");
      g_strv_builder_add_many (command, "gjs", "-m", NULL);
    }
  else if (strchr (name, '/') != NULL)
    program = g_strdup (name);
  else
    return NULL;
  g_strv_builder_add (command, program);
  return g_strv_builder_end (command);
}

/* "c", and "c-2" if there is a "c" already. */
static char *
make_label (GPtrArray *workers, const char *name)
{
  g_autofree char *base = g_path_get_basename (name);
  g_autofree char *label = g_strdup (base);
  guint n = 1;

  for (guint i = 0; i < workers->len; i++)
    {
      const Worker *other = g_ptr_array_index (workers, i);
      if (strcmp (other->label, label) != 0)
        continue;
      g_free (label);
      label = g_strdup_printf ("%s-%u", base, ++n);
      i = (guint) -1; /* that may be taken, too */
    }
  return g_steal_pointer (&label);
}

static Worker *
worker_new (GPtrArray *others, const char *name, GError **error)
{
  g_auto (GStrv) command = make_command (name);
  Worker *self;

  if (command == NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "--workers: %s: not c, python, gjs or the path of a program", name);
      return NULL;
    }
  self = g_new0 (Worker, 1);
  self->number = others->len + 1;
  self->label = make_label (others, name);
  self->command = g_steal_pointer (&command);
  return self;
}

/* NAMES is a list with commas. An array of Worker. */
GPtrArray *
workers_new_from_string (const char *names, GError **error)
{
  g_autoptr (GPtrArray) workers = g_ptr_array_new_with_free_func (worker_free);
  g_auto (GStrv) list = g_strsplit (names, ",", -1);

  for (guint i = 0; list[i] != NULL; i++)
    {
      Worker *worker = worker_new (workers, list[i], error);
      if (worker == NULL)
        return NULL;
      g_ptr_array_add (workers, worker);
    }
  if (workers->len == 0)
    g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--workers: the list is empty");
  return workers->len > 0 ? g_steal_pointer (&workers) : NULL;
}

static void
append_all (GPtrArray *arguments, char **strings)
{
  for (guint i = 0; strings[i] != NULL; i++)
    g_ptr_array_add (arguments, strings[i]);
}

gboolean
worker_start (Worker *self, const char *address, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_autoptr (GPtrArray) arguments = g_ptr_array_new ();

  append_all (arguments, self->command);
  g_ptr_array_add (arguments, (gpointer) address);
  g_ptr_array_add (arguments, self->label);
  g_ptr_array_add (arguments, NULL);

  /* Standard output is for the report. */
  g_subprocess_launcher_take_stdout_fd (launcher, dup (STDERR_FILENO));
  /* Files are files: nobody has to ask a desktop service for them. */
  g_subprocess_launcher_setenv (launcher, "GIO_USE_VFS", "local", TRUE);
  self->process = g_subprocess_launcher_spawnv (launcher, (const char * const *) arguments->pdata, error);
  self->has_exited = self->process == NULL;
  return self->process != NULL;
}

void
worker_kill (Worker *self)
{
  if (self->process != NULL && !self->has_exited)
    g_subprocess_send_signal (self->process, SIGKILL);
}

void
worker_note_exit (Worker *self)
{
  self->has_exited = TRUE;
  g_free (self->fate);
  if (g_subprocess_get_if_signaled (self->process))
    self->fate = g_strdup_printf ("killed by signal %d", g_subprocess_get_term_sig (self->process));
  else if (g_subprocess_get_exit_status (self->process) != 0)
    self->fate = g_strdup_printf ("exited with status %d", g_subprocess_get_exit_status (self->process));
  else
    self->fate = g_strdup ("finished");
}
