/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc file watch: a line for each change, until the file is replaced. */
#include "gipc-file.h"

#include <glib-unix.h>
#include <stdio.h>

typedef struct
{
  GMainLoop *loop;
  gint       lines_left; /* -1: no end */
  int        status;
} Watch;

static void
end (Watch *self, int status)
{
  self->status = status;
  g_main_loop_quit (self->loop);
}

/* Nothing more is to come after the end. */
static void
print (Watch *self, IpcMappedFile *file, const char *what)
{
  g_autofree char *now = gipc_format_time (g_get_real_time ());
  g_autofree char *line = g_strdup_printf ("%s %12" G_GSIZE_FORMAT " %s", now, ipc_mapped_file_get_size (file), what);

  if (self->lines_left == 0 || self->status != GIPC_EXIT_OK)
    return;
  if (!gipc_write_line (line))
    end (self, GIPC_EXIT_FAILED);
  else if (self->lines_left > 0 && --self->lines_left == 0)
    end (self, GIPC_EXIT_OK);
}

static void
changed_cb (IpcMappedFile *file, gpointer data)
{
  print (data, file, "changed");
}

static void
truncated_cb (IpcMappedFile *file, gpointer data)
{
  print (data, file, "truncated");
}

static void
replaced_cb (IpcMappedFile *file, gpointer data)
{
  Watch *self = data;

  print (self, file, "replaced");
  end (self, self->status);
}

static gboolean
signal_cb (gpointer data)
{
  end (data, GIPC_EXIT_OK);
  return G_SOURCE_CONTINUE;
}

static int
watch (Watch *self, IpcMappedFile *file)
{
  guint interrupt = g_unix_signal_add (SIGINT, signal_cb, self);
  guint terminate = g_unix_signal_add (SIGTERM, signal_cb, self);

  g_signal_connect (file, "changed", G_CALLBACK (changed_cb), self);
  g_signal_connect (file, "truncated", G_CALLBACK (truncated_cb), self);
  g_signal_connect (file, "replaced", G_CALLBACK (replaced_cb), self);
  fprintf (stderr, "watching %s\n", ipc_mapped_file_get_path (file));
  g_main_loop_run (self->loop);
  g_signal_handlers_disconnect_by_data (file, self);
  g_source_remove (interrupt);
  g_source_remove (terminate);
  return self->status;
}

int
gipc_file_watch (const GipcVerb *verb, int argc, char **argv)
{
  Watch self = { .lines_left = -1 };
  const GOptionEntry options[] = {
    { "count", 'n', 0, G_OPTION_ARG_INT, &self.lines_left, "end after so many lines", "N" },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (IpcMappedFile) file = NULL;
  g_autoptr (GMainLoop) loop = NULL;
  g_autoptr (GError) error = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  if (self.lines_left < -1 || self.lines_left == 0)
    return gipc_fail_usage (verb, "--count: %d is less than 1", self.lines_left);
  file = gipc_file_map (arguments[0], IPC_ACCESS_READ, &error);
  if (file == NULL)
    return gipc_fail ("%s", error->message);
  self.loop = loop = g_main_loop_new (NULL, FALSE);
  return watch (&self, file);
}
