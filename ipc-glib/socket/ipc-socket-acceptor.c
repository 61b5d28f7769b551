/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See ipc-socket-acceptor-private.h for what it is.
 *
 * There are two descriptors of the listening socket. One is the service's; the
 * other is held in reserve, and never given up:
 *
 * - While the acceptor is open, the service accepts on its own. Those that came at
 *   the same time are taken in right behind, through the reserve: one system call
 *   each, instead of a turn of the main loop.
 * - While it is shut, there is no service and no second descriptor, nothing is
 *   polled, and a timer tries the reserve: 10 ms at first, a second at most, and
 *   at once when somebody says that it may work. When all who waited are in, it is open
 *   again.
 *
 * A service that is stopped still accepts once more, and drops whom it got (its
 * cancellation is noticed after accept). So it is closed as well, which is what
 * takes the second descriptor.
 *
 * The gate is a source of a higher priority than the service's. Where both see a
 * client, it looks for free descriptors right before the service would need
 * them, and shuts it out of that turn if there are none.
 */
#include "socket/ipc-socket-acceptor-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ipc-hub-private.h"
#include "core/ipc-fork.h"

#define BATCH 32                /* then others get their turn */
#define RETRY_MIN_MS 10u
#define RETRY_MAX_MS 1000u

typedef struct
{
  GSource parent;
  IpcSocketAcceptor *acceptor;  /* (unowned): outlives the source's being attached */
} Gate;

struct _IpcSocketAcceptor
{
  guint ref_count;
  unsigned generation;
  int reserve_fd;               /* (owned) -1 once it was freed */
  GMainContext *context;        /* (owned) */
  GSource *gate;                /* (owned) */
  GSocketService *service;      /* (nullable) (owned) while it is open */
  GPollFD poll;                 /* what the gate polls while it is open: the descriptor of the service's socket */
  guint n_incoming;             /* how often it is being told of a client by the service: at most once, but for nested loops */
  guint retry_ms;               /* how long it waited last; 0: it need not */
  gboolean is_short;            /* of descriptors, and that was told */
  const IpcSocketAcceptorFuncs *funcs;
  gpointer user_data;
};

static void
acceptor_unref (IpcSocketAcceptor *self)
{
  if (--self->ref_count > 0)
    return;
  g_main_context_unref (self->context);
  g_free (self);
}

static gboolean
is_over (IpcSocketAcceptor *self)
{
  return self->reserve_fd < 0 || self->generation != ipc_fork_generation ();
}

static gboolean
is_shortage (int system_errno)
{
  return system_errno == EMFILE || system_errno == ENFILE || system_errno == ENOMEM || system_errno == ENOBUFS;
}

/* ---- open and shut ---- */

static gboolean incoming (GSocketService *service, GSocketConnection *stream, GObject *source, gpointer user_data);

static void
shut (IpcSocketAcceptor *self)
{
  g_autoptr (GSocketService) service = g_steal_pointer (&self->service);

  if (service == NULL)
    return;
  ipc_hub_unshare_fd (self->context, self->poll.fd);
  g_source_remove_poll (self->gate, &self->poll);
  g_source_set_priority (self->gate, G_PRIORITY_DEFAULT);
  g_signal_handlers_disconnect_by_data (service, self);
  ipc_fork_unguard_fd (self->poll.fd);
  g_socket_service_stop (service);
  g_socket_listener_close (G_SOCKET_LISTENER (service));
}

static GSocketService *
make_service (IpcSocketAcceptor *self, GSocket *socket)
{
  GSocketService *service = g_socket_service_new ();
  g_autoptr (GError) error = NULL;

  g_signal_connect (service, "incoming", G_CALLBACK (incoming), self);
  if (g_socket_listener_add_socket (G_SOCKET_LISTENER (service), socket, NULL, &error))
    return service;
  g_debug ("clients are not accepted: %s", error->message);
  g_object_unref (service);
  return NULL;
}

/* Whoever shares the socket can shut it down: then it is always ready, and nobody comes. */
static gboolean
is_shut_down (IpcSocketAcceptor *self)
{
  GPollFD poll = { self->reserve_fd, G_IO_IN, 0 };

  return g_poll (&poll, 1, 0) > 0 && (poll.revents & ~G_IO_IN) != 0;
}

/* 0, or the errno of why there cannot be a service: it could have no descriptor, or would spin. */
static int
open_up (IpcSocketAcceptor *self)
{
  g_autoptr (GSocket) socket = NULL;
  int fd;

  if (is_shut_down (self))
    return EINVAL;
  fd = fcntl (self->reserve_fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return errno;
  socket = g_socket_new_from_fd (fd, NULL);
  if (socket == NULL)
    {
      close (fd);
      return EINVAL;
    }
  /* The service attaches its sources to whatever is the default one of the thread. */
  g_main_context_push_thread_default (self->context);
  self->service = make_service (self, socket);
  g_main_context_pop_thread_default (self->context);
  if (self->service == NULL)
    return EINVAL;
  ipc_fork_guard_fd (fd);
  /* (What g_source_add_unix_fd() adds makes a source ready whatever its check() says.) */
  self->poll = (GPollFD){ fd, G_IO_IN, 0 };
  g_source_add_poll (self->gate, &self->poll);
  ipc_hub_share_fd (self->context, fd);
  g_source_set_priority (self->gate, G_PRIORITY_DEFAULT - 1);
  g_source_set_ready_time (self->gate, -1);
  return 0;
}

/* Later; each time in vain, twice as late. */
static void
try_later (IpcSocketAcceptor *self)
{
  self->retry_ms = self->retry_ms == 0 ? RETRY_MIN_MS : MIN (2 * self->retry_ms, RETRY_MAX_MS);
  g_source_set_ready_time (self->gate, g_get_monotonic_time () + (gint64) self->retry_ms * 1000);
}

static void
note_failure (IpcSocketAcceptor *self, int system_errno)
{
  shut (self);
  try_later (self);
  if (!is_shortage (system_errno) || self->is_short)
    return;
  self->is_short = TRUE;
  self->funcs->overloaded (self->user_data);
}

/* ---- accepting ---- */

/* The service has two for a moment: that of the client, and the copy that is passed on. */
static gboolean
has_descriptors (void)
{
  int fds[2];

  if (pipe2 (fds, O_CLOEXEC) != 0)
    return FALSE;
  close (fds[0]);
  close (fds[1]);
  return TRUE;
}

static void
note_nobody_waits (IpcSocketAcceptor *self)
{
  int failure = self->service == NULL ? open_up (self) : 0;

  if (failure != 0)
    {
      note_failure (self, failure);
      return;
    }
  self->is_short = FALSE;
  self->retry_ms = 0;
}

/* Takes in those that wait, but not more than a few: then the others of the loop have their turn. */
static void
accept_waiting (IpcSocketAcceptor *self)
{
  for (guint n = 0; n < BATCH && !is_over (self); n++)
    {
      int fd;

      if (!self->funcs->has_room (self->user_data))
        {
          shut (self);
          try_later (self);
          return;
        }
      fd = ipc_fork_open (accept4 (self->reserve_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
        continue;
      if (fd < 0 && errno == EAGAIN)
        {
          note_nobody_waits (self);
          return;
        }
      if (fd < 0)
        {
          note_failure (self, errno);
          return;
        }
      self->retry_ms = 0;
      self->funcs->take (fd, self->user_data);
    }
  if (!is_over (self) && self->service == NULL)
    g_source_set_ready_time (self->gate, 0);
}

static gboolean
incoming (GSocketService *service, GSocketConnection *stream, GObject *source, gpointer user_data)
{
  IpcSocketAcceptor *self = user_data;
  GSocket *socket = g_socket_connection_get_socket (stream);
  int fd;

  if (is_over (self))
    return TRUE;
  self->ref_count++;
  self->n_incoming++;
  /* A connection of ours is leaner without all that. */
  fd = ipc_fork_open (fcntl (g_socket_get_fd (socket), F_DUPFD_CLOEXEC, 0));
  g_socket_close (socket, NULL);
  if (fd >= 0)
    self->funcs->take (fd, self->user_data);
  else
    g_debug ("a client was lost: %s", g_strerror (errno));
  accept_waiting (self);
  self->n_incoming--;
  acceptor_unref (self);
  return TRUE;
}

/* ---- the gate ---- */

static gboolean
gate_check (GSource *source)
{
  IpcSocketAcceptor *self = ((Gate *) source)->acceptor;

  if (is_over (self))
    return TRUE;
  if (self->service == NULL || self->poll.revents == 0)
    return FALSE;
  /* The service does nothing while it is telling of a client, and whoever listens to that may run the loop. Other than
   * input: it is shut down. */
  return self->n_incoming > 0 || self->poll.revents != G_IO_IN || !self->funcs->has_room (self->user_data) || !has_descriptors ();
}

static gboolean
gate_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  IpcSocketAcceptor *self = ((Gate *) source)->acceptor;

  if (is_over (self))
    return G_SOURCE_REMOVE;
  self->ref_count++;
  g_source_set_ready_time (source, -1);
  shut (self);
  accept_waiting (self);
  acceptor_unref (self);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs gate_funcs = { .check = gate_check, .dispatch = gate_dispatch };

IpcSocketAcceptor *
ipc_socket_acceptor_new (int listen_fd, GMainContext *context, const IpcSocketAcceptorFuncs *funcs, gpointer user_data)
{
  IpcSocketAcceptor *self = g_new0 (IpcSocketAcceptor, 1);

  self->ref_count = 1;
  self->generation = ipc_fork_generation ();
  self->reserve_fd = listen_fd;
  self->context = g_main_context_ref (context);
  self->funcs = funcs;
  self->user_data = user_data;
  self->gate = g_source_new (&gate_funcs, sizeof (Gate));
  ((Gate *) self->gate)->acceptor = self;
  g_source_set_static_name (self->gate, "[ipc-glib] acceptor");
  /* It begins as if it had been shut: in its context, from the main loop. */
  g_source_set_ready_time (self->gate, 0);
  g_source_attach (self->gate, context);
  return self;
}

void
ipc_socket_acceptor_free (IpcSocketAcceptor *self)
{
  shut (self);
  g_source_destroy (self->gate);
  g_clear_pointer (&self->gate, g_source_unref);
  ipc_fork_close (self->reserve_fd);
  self->reserve_fd = -1;
  acceptor_unref (self);
}

void
ipc_socket_acceptor_retry (IpcSocketAcceptor *self)
{
  if (self->service != NULL || is_over (self))
    return;
  self->retry_ms = 0;
  g_source_set_ready_time (self->gate, 0);
}
