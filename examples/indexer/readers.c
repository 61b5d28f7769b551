/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A semaphore bounds how many workers read files at the same time. That it does is not believed but counted: workers
 * say from when to when they were reading each file, by the clock that all processes of a machine share, and the
 * largest number of such spans that overlap is how many read at the same time.
 */
#include "readers.h"

#include <stdio.h>
#include <string.h>

typedef struct
{
  gint64 time;   /* µs, monotonic */
  gint   change; /* one reader more, or less */
} ReaderEvent;

/* DIRECTORY becomes a scope; LIMIT 0 is none. */
gboolean
readers_start (Readers *self, const char *directory, guint limit, GError **error)
{
  g_autoptr (IpcScope) scope = NULL;

  self->limit = limit;
  self->events = g_array_new (FALSE, FALSE, sizeof (ReaderEvent));
  if (limit == 0)
    return TRUE;
  scope = ipc_scope_new_for_directory (directory, error);
  if (scope == NULL)
    return FALSE;
  self->manager = ipc_semaphore_manager_new (scope);
  self->semaphore = ipc_semaphore_manager_create_semaphore (self->manager, READERS_NAME, limit, error);
  return self->semaphore != NULL;
}

void
readers_clear (Readers *self)
{
  g_clear_object (&self->semaphore);
  g_clear_object (&self->manager);
  g_clear_pointer (&self->events, g_array_unref);
}

/* ---- What workers say ---- */

void
readers_note (Readers *self, gint64 began, gint64 ended)
{
  const ReaderEvent events[] = { { began, 1 }, { ended, -1 } };

  g_array_append_vals (self->events, events, G_N_ELEMENTS (events));
}

/* In the same microsecond one ends before the next begins: the clock cannot tell these apart. */
static int
compare_events (gconstpointer a, gconstpointer b)
{
  const ReaderEvent *one = a, *other = b;

  if (one->time != other->time)
    return one->time < other->time ? -1 : 1;
  return one->change - other->change;
}

/* The largest number of files that were read at the same time. */
guint
readers_count_at_once (Readers *self)
{
  int n = 0, highest = 0;

  if (self->events == NULL)
    return 0;
  g_array_sort (self->events, compare_events);
  for (guint i = 0; i < self->events->len; i++)
    {
      n += g_array_index (self->events, ReaderEvent, i).change;
      highest = MAX (highest, n);
    }
  return highest;
}

/* ---- What the semaphore says ---- */

/* Whether that process holds a permit just now. It may not any more when this returns. */
gboolean
readers_has (Readers *self, const char *process_id)
{
  g_autoptr (GPtrArray) holders = self->semaphore != NULL ? ipc_semaphore_list_holders (self->semaphore, NULL) : NULL;
  g_autofree char *begin = g_strconcat (process_id, " ", NULL);

  for (guint i = 0; holders != NULL && i < holders->len; i++)
    if (g_str_has_prefix (ipc_semaphore_holder_get_label (g_ptr_array_index (holders, i)), begin))
      return TRUE;
  return FALSE;
}

/* When all workers have ended: nobody went past the limit, and every permit is back. */
gboolean
readers_check (Readers *self, GError **error)
{
  guint n = readers_count_at_once (self), n_free;

  if (self->semaphore == NULL)
    return TRUE;
  n_free = ipc_semaphore_get_available_permits (self->semaphore);
  if (n > self->limit)
    g_set_error (error, IPC_ERROR, IPC_ERROR_FAILED, "%u files were read at the same time, %u may be", n, self->limit);
  else if (n_free != self->limit)
    g_set_error (error, IPC_ERROR, IPC_ERROR_FAILED, "of %u permits to read only %u came back", self->limit, n_free);
  return n <= self->limit && n_free == self->limit;
}

void
readers_report (Readers *self)
{
  guint n = readers_count_at_once (self);

  /* Nothing was to be read. */
  if (self->events == NULL)
    return;
  if (self->semaphore == NULL)
    {
      printf ("readers     %u at the same time at most, without a limit\n", n);
      return;
    }
  printf ("readers     %u at the same time at most, the limit is %u\n", n, self->limit);
  printf ("permits     %" G_GUINT64_FORMAT " acquired, %" G_GUINT64_FORMAT " recovered from the dead, %u of %u back\n",
          ipc_semaphore_get_acquired_count (self->semaphore), ipc_semaphore_get_recovered_count (self->semaphore),
          ipc_semaphore_get_available_permits (self->semaphore), self->limit);
}
