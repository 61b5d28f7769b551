/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal of a mapped file: opened when it is needed, locked, and what a crash has left undone done, before anything else.
 */
#include "file/ipc-file-map-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ipc-error-private.h"

#define ATTEMPTS 16             /* with others who remove the journal */
#define MAX_SETTLES 100u

/* ---- recovering ---- */

/* Who may only read can recover all the same, if the file is his. */
static int
open_for_writing (IpcFileMap *self)
{
  char path[64];

  snprintf (path, sizeof path, "/proc/self/fd/%d", self->opened.fd);
  return TEMP_FAILURE_RETRY (open (path, O_RDWR | O_CLOEXEC));
}

static gboolean
recover (IpcFileMap *self, GError **error)
{
  IpcFault fault = { 0 };
  int fd = self->writable ? self->opened.fd : open_for_writing (self);
  gboolean done;

  if (fd < 0)
    {
      ipc_error_set_errno (error, errno, "file \"%s\": what a crash has left undone cannot be done", self->opened.path);
      return FALSE;
    }
  done = ipc_journal_recover (self->journal, fd, &fault);
  if (!self->writable)
    close (fd);
  if (!done)
    ipc_error_set_fault (error, &fault, self->opened.path);
  /* It may be longer now. */
  return done && ipc_file_map_refresh (self, error);
}

void
ipc_file_map_rest (IpcFileMap *self)
{
  _Atomic guint32 *sequence = self->board.sequence;
  guint32 present = atomic_load (sequence);

  if (!ipc_file_map_is_at_rest (present))
    atomic_compare_exchange_strong (sequence, &present, (present / IPC_FILE_STATES + 1) * IPC_FILE_STATES);
}

/* ---- locking ---- */

typedef enum
{
  LOCKED,
  NONE,
  REMOVED,
  FAILED,
} Outcome;

static Outcome
try_lock (IpcFileMap *self, gboolean create, IpcFault *fault)
{
  if (self->journal == NULL)
    {
      self->journal = ipc_journal_open (self->opened.directory_fd, self->opened.basename, self->opened.fd, create ? IPC_JOURNAL_SIZE : 0, fault);
      if (self->journal == NULL)
        return fault->code == IPC_FAULT_NOT_FOUND && !create ? NONE : FAILED;
    }
  if (ipc_journal_lock (self->journal, (guint64) IPC_FILE_PATIENCE_MS * 1000000, fault))
    return LOCKED;
  if (fault->code != IPC_FAULT_NOT_FOUND)
    return FAILED;
  g_clear_pointer (&self->journal, ipc_journal_close);
  return REMOVED;
}

static gboolean
lock (IpcFileMap *self, gboolean create, GError **error)
{
  IpcFault fault = { 0 };
  Outcome outcome = REMOVED;

  for (int i = 0; i < ATTEMPTS && outcome == REMOVED; i++)
    outcome = try_lock (self, create, &fault);
  if (outcome == LOCKED || outcome == NONE)
    return outcome == LOCKED;
  ipc_error_set_fault (error, &fault, self->opened.path);
  return FALSE;
}

gboolean
ipc_file_map_lock_journal (IpcFileMap *self, gboolean create, GError **error)
{
  g_mutex_lock (&self->journal_mutex);
  if (lock (self, create, error))
    {
      if (ipc_journal_is_settled (self->journal) || recover (self, error))
        {
          ipc_file_map_rest (self);
          return TRUE;
        }
      ipc_journal_unlock (self->journal);
    }
  g_mutex_unlock (&self->journal_mutex);
  return FALSE;
}

void
ipc_file_map_unlock_journal (IpcFileMap *self)
{
  ipc_journal_unlock (self->journal);
  g_mutex_unlock (&self->journal_mutex);
}

/* Whoever is syncing his record lives, and nobody has to wait for that. If it is a thread of this process, or one waits for him, it has
 * the mutex. */
static gboolean
is_being_recorded (IpcFileMap *self, guint32 sequence)
{
  gboolean is_locked;

  if (sequence % IPC_FILE_STATES != IPC_FILE_RECORDING)
    return FALSE;
  if (!g_mutex_trylock (&self->journal_mutex))
    return TRUE;
  is_locked = self->journal != NULL && ipc_journal_is_locked (self->journal);
  g_mutex_unlock (&self->journal_mutex);
  return is_locked;
}

gboolean
ipc_file_map_settle (IpcFileMap *self, GError **error)
{
  for (guint i = 0; i < MAX_SETTLES; i++)
    {
      guint32 sequence = ipc_file_map_begin_look (self);
      g_autoptr(GError) reason = NULL;

      if (ipc_file_map_is_at_rest (sequence) || is_being_recorded (self, sequence))
        return TRUE;
      if (ipc_file_map_lock_journal (self, FALSE, &reason))
        ipc_file_map_unlock_journal (self);
      else if (reason == NULL)
        ipc_file_map_rest (self);
      else
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
    }
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "file \"%s\": another process says all the time that it is writing a transaction",
               self->opened.path);
  return FALSE;
}
