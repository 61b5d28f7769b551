/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting in the epoll set itself: when the loop does, and that nothing is lost or spins when it does not.
 */
#include "base/ipc-hub-poll-private.h"
#include "base/ipc-hub-private.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc-test.h"

/* ── An owner of a watch, and a descriptor that another source polls ── */

#define OWNER_TYPE (owner_get_type ())
G_DECLARE_FINAL_TYPE (Owner, owner, TEST, OWNER, GObject)

struct _Owner
{
  GObject parent_instance;

  IpcHubWatch watch;
  int fds[2];
  guint n_io;
};

G_DEFINE_TYPE (Owner, owner, G_TYPE_OBJECT)

static gboolean
owner_io (IpcHubWatch *watch, guint events)
{
  Owner *self = TEST_OWNER (watch->owner);
  char byte;

  self->n_io++;
  g_assert_cmpint (read (self->fds[0], &byte, 1), ==, 1);
  return FALSE;
}

static void
owner_nothing (IpcHubWatch *watch)
{
}

static const IpcHubFuncs owner_funcs = { owner_io, owner_nothing, owner_nothing };

static void
owner_finalize (GObject *object)
{
  Owner *self = TEST_OWNER (object);

  close (self->fds[0]);
  close (self->fds[1]);
  G_OBJECT_CLASS (owner_parent_class)->finalize (object);
}

static void
owner_class_init (OwnerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = owner_finalize;
}

static void
owner_init (Owner *self)
{
  ipc_hub_watch_init (&self->watch, &owner_funcs, G_OBJECT (self));
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, self->fds));
}

static Owner *
owner_new (GMainContext *context)
{
  Owner *self = g_object_new (OWNER_TYPE, NULL);
  g_autoptr (GError) error = NULL;

  ipc_hub_add (context, &self->watch, self->fds[0], EPOLLIN, &error);
  g_assert_no_error (error);
  return self;
}

static void
owner_drop (Owner *self)
{
  ipc_hub_remove (&self->watch);
  ipc_test_assert_finalized (self);
}

static void
poke (int fd)
{
  guint64 one = 1;

  g_assert_cmpint (write (fd, &one, sizeof one), >, 0);
}

static void
poke_owner (Owner *self)
{
  g_assert_cmpint (write (self->fds[1], "x", 1), ==, 1);
}

typedef struct
{
  int fd;
  GSource *source;              /* (owned) */
  guint n;
} Foreign;

static gboolean
foreign_ready (int fd, GIOCondition condition, gpointer data)
{
  Foreign *self = data;
  guint64 value;

  self->n++;
  g_assert_cmpint (read (fd, &value, sizeof value), ==, sizeof value);
  return G_SOURCE_CONTINUE;
}

static void
foreign_init (Foreign *self, GMainContext *context)
{
  self->n = 0;
  self->fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  self->source = g_unix_fd_source_new (self->fd, G_IO_IN);
  g_source_set_callback (self->source, G_SOURCE_FUNC (foreign_ready), self, NULL);
  g_source_attach (self->source, context);
}

static void
foreign_clear (Foreign *self)
{
  g_source_destroy (self->source);
  g_source_unref (self->source);
  close (self->fd);
}

/* Whether a turn of the loop waits in the set. */
static gboolean
iterate_and_look (void)
{
  g_main_context_iteration (NULL, FALSE);
  return ipc_hub_poll_was_in_set ();
}

/* ── When ── */

static void
test_waits_in_set (IpcTest *test)
{
  Owner *owner = owner_new (NULL);

  /* The first turn finds out which descriptor is the wake-up's. */
  g_assert_false (iterate_and_look ());
  g_assert_true (iterate_and_look ());
  poke_owner (owner);
  ipc_test_wait_for (owner->n_io == 1);
  g_assert_true (iterate_and_look ());
  owner_drop (owner);
  /* Without a hub there is no set. */
  g_main_context_iteration (NULL, FALSE);
  g_assert_true (g_main_context_get_poll_func (NULL) == g_poll);
}

static void
test_stranger (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  Foreign stranger;

  ipc_test_settle ();
  foreign_init (&stranger, NULL);
  ipc_test_settle ();
  g_assert_false (iterate_and_look ());
  for (guint i = 1; i < 10; i++)
    {
      poke (stranger.fd);
      ipc_test_wait_for (stranger.n == i);
      poke_owner (owner);
      ipc_test_wait_for (owner->n_io == i);
    }
  foreign_clear (&stranger);
  ipc_test_settle ();
  iterate_and_look ();
  g_assert_true (iterate_and_look ());
  owner_drop (owner);
}

static void
test_shared (IpcTest *test)
{
  Foreign before, after;
  Owner *owner;

  /* One is shared before there is a hub, one afterwards. */
  foreign_init (&before, NULL);
  ipc_hub_share_fd (g_main_context_default (), before.fd);
  owner = owner_new (NULL);
  foreign_init (&after, NULL);
  ipc_hub_share_fd (g_main_context_default (), after.fd);
  ipc_test_settle ();
  g_assert_true (iterate_and_look ());
  for (guint i = 1; i < 10; i++)
    {
      poke (before.fd);
      poke_owner (owner);
      poke (after.fd);
      ipc_test_wait_for (before.n == i && owner->n_io == i && after.n == i);
    }
  g_assert_true (iterate_and_look ());
  ipc_hub_unshare_fd (g_main_context_default (), before.fd);
  foreign_clear (&before);
  ipc_test_settle ();
  g_assert_true (iterate_and_look ());
  poke (after.fd);
  ipc_test_wait_for (after.n == 10);
  ipc_hub_unshare_fd (g_main_context_default (), after.fd);
  ipc_test_settle ();
  g_assert_false (iterate_and_look ());
  poke (after.fd);
  ipc_test_wait_for (after.n == 11);
  owner_drop (owner);
  foreign_clear (&after);
}

static void
test_too_many (IpcTest *test)
{
  Foreign foreign[IPC_HUB_MAX_SHARED + 1];
  Owner *owner = owner_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (foreign); i++)
    {
      foreign_init (&foreign[i], NULL);
      ipc_hub_share_fd (g_main_context_default (), foreign[i].fd);
    }
  ipc_test_settle ();
  g_assert_false (iterate_and_look ());
  for (guint i = 0; i < G_N_ELEMENTS (foreign); i++)
    {
      poke (foreign[i].fd);
      ipc_test_wait_for (foreign[i].n == 1);
      ipc_hub_unshare_fd (g_main_context_default (), foreign[i].fd);
      foreign_clear (&foreign[i]);
    }
  owner_drop (owner);
}

/* ── Nothing lost, no spin ── */

/* What is in the set and ready, and that no source asks for, must not keep the loop busy. */
static void
test_shared_and_not_polled (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  int fd = eventfd (1, EFD_CLOEXEC | EFD_NONBLOCK);
  guint n_busy = 0;

  ipc_hub_share_fd (g_main_context_default (), fd);
  for (guint i = 0; i < 100; i++)
    n_busy += g_main_context_iteration (NULL, FALSE);
  g_assert_cmpuint (n_busy, <, 5);
  poke_owner (owner);
  ipc_test_wait_for (owner->n_io == 1);
  ipc_hub_unshare_fd (g_main_context_default (), fd);
  close (fd);
  owner_drop (owner);
}

static gpointer
wake_up_thread (gpointer data)
{
  g_main_context_wakeup (NULL);
  return NULL;
}

static void
test_wake_up (IpcTest *test)
{
  Owner *owner = owner_new (NULL);

  ipc_test_settle ();
  g_assert_true (iterate_and_look ());
  for (guint i = 0; i < 20; i++)
    {
      GThread *thread = g_thread_new ("waker", wake_up_thread, NULL);

      /* Blocks until it is woken; the test's deadline would end it. */
      g_main_context_iteration (NULL, TRUE);
      g_thread_join (thread);
    }
  ipc_test_settle ();
  g_assert_false (g_main_context_iteration (NULL, FALSE));
  owner_drop (owner);
}

static gboolean
count_and_stop (gpointer data)
{
  ++*(guint *) data;
  return G_SOURCE_REMOVE;
}

static void
test_timeout (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  guint n = 0;

  ipc_test_settle ();
  g_timeout_add (5, count_and_stop, &n);
  while (n == 0)
    g_main_context_iteration (NULL, TRUE);
  owner_drop (owner);
}

typedef struct
{
  Owner *old;
  Owner *fresh;
} Swap;

/* Before the hub has its turn, the watch with an event goes, and another one takes its place in the table. */
static gboolean
swap_owners (gpointer data)
{
  Swap *swap = data;

  owner_drop (g_steal_pointer (&swap->old));
  swap->fresh = owner_new (NULL);
  return G_SOURCE_REMOVE;
}

static void
test_event_of_removed_watch (IpcTest *test)
{
  /* Attached before the hub, so that it has its turn before it. */
  g_autoptr (GSource) source = g_timeout_source_new (G_MAXINT);
  Swap swap = { NULL, NULL };
  Owner *other;

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, swap_owners, &swap, NULL);
  g_source_attach (source, NULL);
  other = owner_new (NULL);
  swap.old = owner_new (NULL);
  ipc_test_settle ();
  g_assert_true (iterate_and_look ());
  poke_owner (swap.old);
  g_source_set_ready_time (source, 0);
  g_main_context_iteration (NULL, FALSE);
  g_assert_true (ipc_hub_poll_was_in_set ());
  g_assert_nonnull (swap.fresh);
  ipc_test_settle ();
  g_assert_cmpuint (swap.fresh->n_io, ==, 0);
  poke_owner (swap.fresh);
  ipc_test_wait_for (swap.fresh->n_io == 1);
  owner_drop (swap.fresh);
  owner_drop (other);
}

/* ── Other people's poll functions ── */

static guint n_own_polls;

static gint
own_poll (GPollFD *fds, guint n, gint timeout)
{
  n_own_polls++;
  return g_poll (fds, n, timeout);
}

static void
test_own_poll_func (IpcTest *test)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Owner *owner;

  g_main_context_set_poll_func (context, own_poll);
  owner = owner_new (context);
  poke_owner (owner);
  while (owner->n_io == 0)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpuint (n_own_polls, >, 0);
  g_assert_true (g_main_context_get_poll_func (context) == own_poll);
  owner_drop (owner);
  g_assert_true (g_main_context_get_poll_func (context) == own_poll);
}

static void
test_poll_func_replaced (IpcTest *test)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Owner *owner = owner_new (context);

  while (g_main_context_iteration (context, FALSE))
    ;
  g_main_context_set_poll_func (context, own_poll);
  for (guint i = 1; i < 5; i++)
    {
      poke_owner (owner);
      while (owner->n_io < i)
        g_main_context_iteration (context, TRUE);
      g_main_context_wakeup (context);
      while (g_main_context_iteration (context, FALSE))
        ;
    }
  owner_drop (owner);
  g_assert_true (g_main_context_get_poll_func (context) == own_poll);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/hub-poll/waits-in-set", test_waits_in_set);
  ipc_test_add ("/messaging/hub-poll/stranger", test_stranger);
  ipc_test_add ("/messaging/hub-poll/shared", test_shared);
  ipc_test_add ("/messaging/hub-poll/too-many", test_too_many);
  ipc_test_add ("/messaging/hub-poll/shared-and-not-polled", test_shared_and_not_polled);
  ipc_test_add ("/messaging/hub-poll/wake-up", test_wake_up);
  ipc_test_add ("/messaging/hub-poll/timeout", test_timeout);
  ipc_test_add ("/messaging/hub-poll/event-of-removed-watch", test_event_of_removed_watch);
  ipc_test_add ("/messaging/hub-poll/own-poll-func", test_own_poll_func);
  ipc_test_add ("/messaging/hub-poll/poll-func-replaced", test_poll_func_replaced);
  return ipc_test_run ();
}
