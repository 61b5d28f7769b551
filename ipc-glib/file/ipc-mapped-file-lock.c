/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks on ranges of a file: those of the kernel, of an open file description that the object has of its own, so that they
 * hold between objects as between processes, and go with the process.
 *
 * The kernel wakes nobody asynchronously, so who waits tries again, from time to time: the dead, and other programs, do not tell.
 */
#include "ipc-mapped-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "file/ipc-mapped-file-private.h"

#define DEFAULT_TIMEOUT 30000
#define SHORTEST_NAP_US 500
#define LONGEST_NAP_US 20000

typedef struct
{
  off_t offset;
  off_t length;                 /* 0: up to the end, however far that is */
  short type;                   /* F_RDLCK, F_WRLCK */
} Range;

/* ---- the kernel's ---- */

static int
open_again (IpcMappedFile *self)
{
  char path[64];

  snprintf (path, sizeof path, "/proc/self/fd/%d", self->map->opened.fd);
  return ipc_fork_open (TEMP_FAILURE_RETRY (open (path, ((self->access & IPC_ACCESS_WRITE) != 0 ? O_RDWR : O_RDONLY) | O_CLOEXEC)));
}

static int
set_lock (int fd, const Range *range, short type)
{
  struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = range->offset, .l_len = range->length };
  int result;

  do
    result = fcntl (fd, F_OFD_SETLK, &lock);
  while (result != 0 && errno == EINTR);
  return result;
}

typedef enum
{
  TAKEN,
  BUSY,
  FAILED,
} Outcome;

/* With the mutex, so that it is not unmapped meanwhile. */
static Outcome
try_range_locked (IpcMappedFile *self, const Range *range, GError **error)
{
  if (!ipc_mapped_file_check_usable (self, error))
    return FAILED;
  if (self->lock_fd < 0)
    self->lock_fd = open_again (self);
  if (self->lock_fd >= 0 && set_lock (self->lock_fd, range, range->type) == 0)
    return TAKEN;
  if (self->lock_fd >= 0 && (errno == EAGAIN || errno == EACCES))
    return BUSY;
  ipc_error_set_errno (error, errno, "file \"%s\": cannot lock offset %" G_GINT64_FORMAT ", length %" G_GINT64_FORMAT,
                       ipc_mapped_file_describe (self), (gint64) range->offset, (gint64) range->length);
  return FAILED;
}

static Outcome
try_range (IpcMappedFile *self, const Range *range, GError **error)
{
  Outcome outcome;

  /* In a forked child, a thread that is not there may have the mutex. */
  if (!ipc_mapped_file_check_usable (self, error))
    return FAILED;
  g_mutex_lock (&self->mutex);
  outcome = try_range_locked (self, range, error);
  if (outcome == TAKEN)
    g_atomic_int_inc (&self->n_locks);
  g_mutex_unlock (&self->mutex);
  return outcome;
}

void
ipc_mapped_file_close_locks (IpcMappedFile *self)
{
  if (self->lock_fd < 0)
    return;
  if (self->forks == ipc_fork_generation ())
    ipc_fork_close (self->lock_fd);
  self->lock_fd = -1;
}

/* ---- what is asked for ---- */

static gboolean
make_range (IpcMappedFile *self, gsize offset, gsize length, IpcAccess access, Range *range, GError **error)
{
  if (access != IPC_ACCESS_READ && access != IPC_ACCESS_WRITE && access != IPC_MAPPED_FILE_ACCESS_ALL)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "file \"%s\": access flags 0x%x of a lock, allowed are 0x1 to 0x3",
                   ipc_mapped_file_describe (self), (guint) access);
      return FALSE;
    }
  if (!ipc_mapped_file_check_access (self, access & IPC_ACCESS_WRITE, error))
    return FALSE;
  if (offset > IPC_FILE_MAX_SIZE || length > IPC_FILE_MAX_SIZE - offset)
    {
      ipc_file_map_fail_bounds (self->map, offset, length, error);
      return FALSE;
    }
  *range = (Range){ (off_t) offset, (off_t) length, (access & IPC_ACCESS_WRITE) != 0 ? F_WRLCK : F_RDLCK };
  return TRUE;
}

static void
fail_timeout (IpcMappedFile *self, const Range *range, gint timeout, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT,
               "file \"%s\": offset %" G_GINT64_FORMAT ", length %" G_GINT64_FORMAT ": the lock was not to be had within %d ms",
               ipc_mapped_file_describe (self), (gint64) range->offset, (gint64) range->length,
               timeout == IPC_TIMEOUT_DEFAULT ? DEFAULT_TIMEOUT : timeout);
}

/* ---- blocking ---- */

static gboolean
is_over (gint64 deadline)
{
  return deadline != 0 && g_get_monotonic_time () >= deadline;
}

static gboolean
wait_for_range (IpcMappedFile *self, const Range *range, gint timeout, gint64 deadline, GCancellable *cancellable, GError **error)
{
  gulong nap = SHORTEST_NAP_US;

  for (;;)
    {
      Outcome outcome = try_range (self, range, error);

      if (outcome != BUSY)
        return outcome == TAKEN;
      if (timeout == 0 || is_over (deadline))
        {
          fail_timeout (self, range, timeout, error);
          return FALSE;
        }
      if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
        return FALSE;
      g_usleep (nap);
      nap = MIN (nap * 2, LONGEST_NAP_US);
    }
}

/**
 * ipc_mapped_file_lock_range:
 * @self: the file
 * @offset: where, in bytes; may be behind the end of the file
 * @length: how many bytes; 0 for all up to the end, wherever that will be
 * @access: %IPC_ACCESS_READ for a lock that several can have, %IPC_ACCESS_WRITE for one that keeps out all others
 * @timeout: in milliseconds; -1 for ever, 0 not to wait, %IPC_TIMEOUT_DEFAULT for 30 seconds
 * @cancellable: (nullable): cancels waiting, from another thread
 * @error: return location for an error
 *
 * Locks a range of the file against others that lock it: other objects, of this process or another one, and other programs that use
 * locks of `fcntl()`. It keeps nobody from reading and writing who does not lock.
 *
 * It belongs to this object: it can lock what it has locked already, and changes the kind of the lock by that. The kernel gives it back when
 * the process dies; so does [method@Ipc.MappedFile.unmap].
 *
 * It blocks the thread and does not run its main context.
 *
 * Errors: %IPC_ERROR_TIMED_OUT; %G_IO_ERROR_CANCELLED; %IPC_ERROR_PERMISSION_DENIED for %IPC_ACCESS_WRITE where it is not mapped for writing;
 * %IPC_ERROR_OUT_OF_BOUNDS beyond what a file can have; %IPC_ERROR_INVALID_ARGUMENT for other flags, or a timeout below -2;
 * %IPC_ERROR_CLOSED; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_lock_range (IpcMappedFile *self, gsize offset, gsize length, IpcAccess access, gint timeout, GCancellable *cancellable,
                            GError **error)
{
  Range range;
  gint64 deadline;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  return make_range (self, offset, length, access, &range, error) && ipc_timeout_to_deadline (timeout, DEFAULT_TIMEOUT, &deadline, error) &&
         wait_for_range (self, &range, timeout, deadline, cancellable, error);
}

/* ---- without blocking ---- */

typedef struct
{
  Range range;
  gint timeout;
  gint64 deadline;
  guint nap_us;
  GSource *timer;               /* (owned) (nullable) */
} Wait;

static void
wait_free (gpointer data)
{
  Wait *wait = data;

  if (wait->timer != NULL)
    g_source_destroy (wait->timer);
  g_clear_pointer (&wait->timer, g_source_unref);
  g_free (wait);
}

/* TRUE: it is complete. */
static gboolean
attempt (GTask *task)
{
  IpcMappedFile *self = g_task_get_source_object (task);
  Wait *wait = g_task_get_task_data (task);
  GError *error = NULL;

  if (g_task_return_error_if_cancelled (task))
    return TRUE;
  switch (try_range (self, &wait->range, &error))
    {
    case TAKEN:
      g_task_return_boolean (task, TRUE);
      return TRUE;
    case BUSY:
      if (wait->timeout != 0 && !is_over (wait->deadline))
        return FALSE;
      fail_timeout (self, &wait->range, wait->timeout, &error);
      break;
    case FAILED:
    default:
      break;
    }
  g_task_return_error (task, error);
  return TRUE;
}

static gboolean
timer_cb (gpointer data)
{
  g_autoptr(GTask) task = g_object_ref (data);
  Wait *wait = g_task_get_task_data (task);

  if (attempt (task))
    return G_SOURCE_REMOVE;
  wait->nap_us = MIN (wait->nap_us * 2, LONGEST_NAP_US);
  g_source_set_ready_time (wait->timer, g_get_monotonic_time () + wait->nap_us);
  return G_SOURCE_CONTINUE;
}

static gboolean
dispatch_timer (GSource *source, GSourceFunc callback, gpointer data)
{
  return callback (data);
}

/* One timer a wait, and no thread. It has the reference to the task. */
static void
start_timer (GTask *task)
{
  static GSourceFuncs funcs = { .dispatch = dispatch_timer };
  Wait *wait = g_task_get_task_data (task);

  wait->timer = g_source_new (&funcs, sizeof (GSource));
  g_source_set_callback (wait->timer, timer_cb, g_object_ref (task), g_object_unref);
  g_source_set_static_name (wait->timer, "ipc-mapped-file-lock");
  g_source_set_ready_time (wait->timer, g_get_monotonic_time () + wait->nap_us);
  g_source_attach (wait->timer, g_task_get_context (task));
}

/**
 * ipc_mapped_file_lock_range_async:
 * @self: the file
 * @offset: where, in bytes; may be behind the end of the file
 * @length: how many bytes; 0 for all up to the end, wherever that will be
 * @access: %IPC_ACCESS_READ for a lock that several can have, %IPC_ACCESS_WRITE for one that keeps out all others
 * @timeout: in milliseconds; -1 for ever, 0 not to wait, %IPC_TIMEOUT_DEFAULT for 30 seconds
 * @cancellable: (nullable): cancels waiting
 * @callback: (scope async) (nullable): called when the range is locked, or there is an error
 * @user_data: (closure): for @callback
 *
 * Locks a range of the file without blocking; see [method@Ipc.MappedFile.lock_range]. Waiting costs no thread; that a lock is free again is
 * noticed within 20 milliseconds.
 *
 * Errors, in [method@Ipc.MappedFile.lock_range_finish]: those of [method@Ipc.MappedFile.lock_range].
 *
 * Since: 0.1
 */
void
ipc_mapped_file_lock_range_async (IpcMappedFile *self, gsize offset, gsize length, IpcAccess access, gint timeout, GCancellable *cancellable,
                                  GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr(GTask) task = NULL;
  GError *error = NULL;
  Wait *wait;

  g_return_if_fail (IPC_IS_MAPPED_FILE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_mapped_file_lock_range_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  /* What it says when it is complete is so. */
  g_task_set_check_cancellable (task, FALSE);
  wait = g_new0 (Wait, 1);
  wait->timeout = timeout;
  wait->nap_us = SHORTEST_NAP_US;
  g_task_set_task_data (task, wait, wait_free);
  if (!make_range (self, offset, length, access, &wait->range, &error) ||
      !ipc_timeout_to_deadline (timeout, DEFAULT_TIMEOUT, &wait->deadline, &error))
    g_task_return_error (task, error);
  else if (!attempt (task))
    start_timer (task);
}

/**
 * ipc_mapped_file_lock_range_finish:
 * @self: the file
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MappedFile.lock_range_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_lock_range_finish (IpcMappedFile *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_mapped_file_lock_range_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- giving it back ---- */

static gboolean
unlock_locked (IpcMappedFile *self, const Range *range, GError **error)
{
  gboolean all = range->offset == 0 && range->length == 0;

  if (self->n_locks == 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD, "file \"%s\": nothing is locked by this object", ipc_mapped_file_describe (self));
      return FALSE;
    }
  if (set_lock (self->lock_fd, range, F_UNLCK) != 0)
    {
      ipc_error_set_errno (error, errno, "file \"%s\": cannot unlock offset %" G_GINT64_FORMAT ", length %" G_GINT64_FORMAT,
                           ipc_mapped_file_describe (self), (gint64) range->offset, (gint64) range->length);
      return FALSE;
    }
  g_atomic_int_set (&self->n_locks, all ? 0 : self->n_locks - 1);
  return TRUE;
}

/**
 * ipc_mapped_file_unlock_range:
 * @self: the file
 * @offset: where, in bytes
 * @length: how many bytes; 0 for all up to the end, wherever that will be
 * @error: return location for an error
 *
 * Gives back the locks that this object has on a range, of whatever kind. Any thread may do so. Unlocking what is not locked is fine where
 * another range is; a lock may be given back in part.
 *
 * Errors: %IPC_ERROR_NOT_HELD if this object has not locked anything; %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_CLOSED; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_unlock_range (IpcMappedFile *self, gsize offset, gsize length, GError **error)
{
  gboolean unlocked;
  Range range;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!make_range (self, offset, length, IPC_ACCESS_READ, &range, error))
    return FALSE;
  g_mutex_lock (&self->mutex);
  unlocked = unlock_locked (self, &range, error);
  g_mutex_unlock (&self->mutex);
  return unlocked;
}
