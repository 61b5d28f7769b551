/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors on a connection.
 *
 * Out: they go with the first byte of their frame, in a write that starts there.
 * In: they come no later than that byte, and wait in a queue until the header of
 * the frame says how many are its own; see ipc_binary_step(). What is agreed on in
 * HELLO bounds both. Where nothing is, reads are plain ones, and the kernel closes
 * whatever a peer sends nevertheless.
 */
#include <errno.h>
#include <sys/resource.h>

#include "messaging/ipc-connection-private.h"

#define RETRY_US 20000          /* the kernel has no event for "others have taken theirs" */

/* ---- what is agreed on ---- */

/* A client may get the server's first messages in the read that brings its HELLO; a server's peer sends none before. */
void
ipc_connection_expect_fds (IpcConnection *self)
{
  if (self->passes_fds && !self->is_server_side)
    self->fd_capacity = self->limits.max_fds + (self->limits.memfd ? 1 : 0);
}

void
ipc_connection_agree_on_fds_locked (IpcConnection *self, guint32 max_fds, gboolean memfd)
{
  self->max_fds = self->passes_fds ? MIN (max_fds, self->limits.max_fds) : 0;
  self->memfd = self->passes_fds && memfd && self->limits.memfd;
  self->fd_capacity = self->max_fds + (self->memfd ? 1 : 0);
}

/* ---- out ---- */

static gboolean
check_can_carry_locked (IpcConnection *self, IpcMessage *message, GError **error)
{
  if (self->wire_format == IPC_WIRE_FORMAT_BINARY && self->passes_fds)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "%s: message \"%s\" has %d descriptors, and %s", self->peer_name, message->type,
               g_unix_fd_list_get_length (message->fd_list),
               self->passes_fds ? "a peer that speaks JSON cannot be sent any" : "the transport cannot carry any");
  return FALSE;
}

gboolean
ipc_connection_check_fds_locked (IpcConnection *self, IpcMessage *message, GError **error)
{
  guint n = (guint) g_unix_fd_list_get_length (message->fd_list);

  if (n == 0)
    return TRUE;
  if (!check_can_carry_locked (self, message, error))
    return FALSE;
  if (n <= self->max_fds)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "%s: message \"%s\" with %u descriptors exceeds the limit of %u, the smaller max-fds of both sides",
               self->peer_name, message->type, n, self->max_fds);
  return FALSE;
}

static gboolean
has_room_for_fds (const IpcOutbox *outbox, guint n)
{
  return outbox->n_fds == 0 || outbox->n_fds + n <= IPC_MAX_FDS_IN_FLIGHT;
}

gboolean
ipc_connection_check_room_for_fds_locked (IpcConnection *self, IpcMessage *message, GError **error)
{
  guint n = (guint) g_unix_fd_list_get_length (message->fd_list);

  if (!has_room_for_fds (&self->outbox, n) && !self->write_blocked)
    ipc_connection_flush_locked (self);
  if (has_room_for_fds (&self->outbox, n))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_FULL, "%s: %u descriptors wait to be sent, and %u more exceed the limit of %u", self->peer_name,
               self->outbox.n_fds, n, IPC_MAX_FDS_IN_FLIGHT);
  return FALSE;
}

/*
 * Descriptors under way count against the limit of open files of the user who sends them, until they are taken: the
 * kernel refuses more. A payload can go without one. Anything else waits, because it is other peers who hold them up,
 * and this one is not to suffer for that.
 */
static gssize
write_cargo_locked (IpcConnection *self, struct iovec *iov, int n)
{
  int fds[IPC_FDS_PER_SENDMSG];
  guint n_fds = ipc_outbox_get_fds (&self->outbox, fds);
  gssize written = IPC_CONNECTION_GET_CLASS (self)->write (self, iov, n, fds, n_fds);
  int problem = errno;

  if (written >= 0 || n_fds == 0 || problem == EAGAIN || problem == EINTR || problem == EPIPE || problem == ECONNRESET)
    return written;
  if (ipc_binary_unshare_front_locked (self))
    {
      errno = EINTR;            /* again, with what is there now */
      return -1;
    }
  if (problem == ETOOMANYREFS)
    {
      self->fds_retry_due = g_get_monotonic_time () + RETRY_US;
      ipc_hub_attend_at (&self->watch, self->fds_retry_due);
      errno = EAGAIN;
      return -1;
    }
  if (self->error == NULL)
    self->error = g_error_new (G_IO_ERROR, g_io_error_from_errno (problem), "%s: %u descriptors cannot be sent: %s", self->peer_name,
                               n_fds, g_strerror (problem));
  errno = problem;
  return -1;
}

static gboolean
is_less_than (gssize written, const struct iovec *iov, int n)
{
  gsize total = 0;

  for (int i = 0; i < n; i++)
    total += iov[i].iov_len;
  return written >= 0 && (gsize) written < total;
}

gssize
ipc_connection_write_front_locked (IpcConnection *self, gboolean *is_full)
{
  struct iovec iov[IPC_OUTBOX_MAX_PIECES];
  int n = ipc_outbox_get_iovec (&self->outbox, iov, IPC_OUTBOX_MAX_PIECES);
  gssize written;

  *is_full = FALSE;
  if (self->outbox.n_cargos > 0)
    return write_cargo_locked (self, iov, n);
  written = IPC_CONNECTION_GET_CLASS (self)->write (self, iov, n, NULL, 0);
  *is_full = is_less_than (written, iov, n);
  return written;
}

/* ---- in ---- */

/* The kernel hands out as many as there is room for, in our buffer and in the table of this process. */
static GError *
make_loss (IpcConnection *self, const IpcFdsRead *fds)
{
  struct rlimit limit = { 0 };

  if (fds->n == fds->capacity)
    return g_error_new (IPC_ERROR, IPC_ERROR_INVALID_DATA, "%s: more than %u descriptors came with one frame, the limit", self->peer_name, fds->capacity);
  getrlimit (RLIMIT_NOFILE, &limit);
  return g_error_new (IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "%s: fd limit reached: only %u of the descriptors that came could be taken, "
                      "this process may have %" G_GUINT64_FORMAT " open", self->peer_name, fds->n, (guint64) limit.rlim_cur);
}

gssize
ipc_connection_read_with_fds (IpcConnection *self, gpointer room, gsize size, GError **lost)
{
  IpcFdsRead fds;
  gssize got;

  fds.capacity = self->fd_capacity;
  fds.n = 0;
  fds.truncated = FALSE;
  got = IPC_CONNECTION_GET_CLASS (self)->read (self, room, size, &fds);
  if (got < 0)
    return got;
  if (fds.n > 0)
    ipc_fd_queue_push (&self->fds, fds.fds, fds.n);
  if (fds.truncated)
    g_propagate_error (lost, make_loss (self, &fds));
  return got;
}

/* Else a peer could send its own end of the connection, which is then never seen to close. */
void
ipc_connection_watch_pending_fds (IpcConnection *self)
{
  gboolean taken = self->fds_taken;

  self->fds_taken = FALSE;
  if ((self->fds.n > 0) == (self->fds_due != 0) && !(taken && self->fds.n > 0))
    return;                     /* the same ones as before, or none */
  g_mutex_lock (&self->lock);
  self->fds_due = 0;
  if (self->fds.n > 0 && self->state < IPC_CONNECTION_CLOSING)
    {
      self->fds_due = g_get_monotonic_time () + IPC_PENDING_FDS_TIMEOUT_US;
      ipc_hub_attend_at (&self->watch, self->fds_due);
    }
  g_mutex_unlock (&self->lock);
}

GError *
ipc_connection_attend_fds (IpcConnection *self, gint64 now)
{
  GError *error = NULL;

  g_mutex_lock (&self->lock);
  if (self->fds_due != 0 && now >= self->fds_due)
    error = g_error_new (IPC_ERROR, IPC_ERROR_TIMED_OUT, "%s: a frame with descriptors was not finished within %d s", self->peer_name,
                         (int) (IPC_PENDING_FDS_TIMEOUT_US / G_USEC_PER_SEC));
  else if (self->fds_due != 0)
    ipc_hub_attend_at (&self->watch, self->fds_due);
  if (self->fds_retry_due != 0 && now >= self->fds_retry_due)
    ipc_connection_flush_locked (self);
  else if (self->fds_retry_due != 0)
    ipc_hub_attend_at (&self->watch, self->fds_retry_due);
  g_mutex_unlock (&self->lock);
  return error;
}
