/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The progress bar, on standard error, if that is a terminal. */
#include "progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 100
#define MAX_BAR 60

static int
terminal_width (void)
{
  struct winsize size;

  return ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void
draw (Progress *self)
{
  guint total = MAX (self->jobs->all->len, 1);
  guint n = self->jobs->n_done + self->jobs->n_failed;
  double seconds = (g_get_monotonic_time () - self->started) / 1e6;
  double rate = seconds > 0 ? self->jobs->bytes / 1e6 / seconds : 0;
  g_autofree char *numbers = g_strdup_printf (" %3u%%  %u of %u files  %.0f MB/s ",
                                              (guint) ((guint64) n * 100 / total), n, self->jobs->all->len, rate);
  int room = CLAMP (terminal_width () - (int) g_utf8_strlen (numbers, -1) - 3, 0, MAX_BAR);
  int filled = (int) ((guint64) n * room / total);
  g_autofree char *bar = g_strnfill (filled, '#');

  fprintf (stderr, "\r[%s%*s]%s", bar, room - filled, "", numbers);
  fflush (stderr);
}

static gboolean
redraw_cb (gpointer data)
{
  draw (data);
  return G_SOURCE_CONTINUE;
}

void
progress_start (Progress *self, Jobs *jobs)
{
  self->jobs = jobs;
  self->started = g_get_monotonic_time ();
  if (isatty (STDERR_FILENO))
    self->timer = g_timeout_add (REDRAW_MS, redraw_cb, self);
}

/* Leaves the last state on the screen. */
void
progress_stop (Progress *self)
{
  if (self->timer == 0)
    return;
  g_clear_handle_id (&self->timer, g_source_remove);
  draw (self);
  fputc ('\n', stderr);
}
