/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands of the user that look at the counters, like "gipc memory watch counters". What they do is no concern of ours. */
#include "observers.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PATIENCE_MS 5000

/* In the child: without us there is nothing to look at. */
static void
end_with_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGTERM);
}

static GSubprocess *
start (const char *command, const char *directory, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_NONE);
  g_auto (GStrv) arguments = NULL;

  if (!g_shell_parse_argv (command, NULL, &arguments, error))
    return NULL;
  /* Standard output is for the report. */
  g_subprocess_launcher_take_stdout_fd (launcher, dup (STDERR_FILENO));
  g_subprocess_launcher_setenv (launcher, "IPC_GLIB_DIR", directory, TRUE);
  g_subprocess_launcher_set_child_setup (launcher, end_with_parent, NULL, NULL);
  return g_subprocess_launcher_spawnv (launcher, (const char * const *) arguments, error);
}

Observers *
observers_start (char **commands, const char *directory, GError **error)
{
  g_autoptr (GPtrArray) self = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; commands != NULL && commands[i] != NULL; i++)
    {
      GSubprocess *process = start (commands[i], directory, error);

      if (process == NULL)
        {
          g_prefix_error (error, "--observer: ");
          observers_finish (g_steal_pointer (&self));
          return NULL;
        }
      g_ptr_array_add (self, process);
    }
  return g_steal_pointer (&self);
}

static void
ended_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  guint *n_left = data;

  g_subprocess_wait_finish (G_SUBPROCESS (source), result, NULL);
  --*n_left;
}

static gboolean
kill_cb (gpointer data)
{
  Observers *self = data;

  for (guint i = 0; i < self->len; i++)
    g_subprocess_force_exit (g_ptr_array_index (self, i));
  return G_SOURCE_CONTINUE;
}

void
observers_finish (Observers *self)
{
  guint n_left = self != NULL ? self->len : 0, timer;

  if (self == NULL)
    return;
  for (guint i = 0; i < self->len; i++)
    g_subprocess_wait_async (g_ptr_array_index (self, i), NULL, ended_cb, &n_left);
  timer = g_timeout_add (PATIENCE_MS, kill_cb, self);
  while (n_left > 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timer);
  g_ptr_array_unref (self);
}
