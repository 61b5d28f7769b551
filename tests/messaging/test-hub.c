/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hub: what it calls and when, what a callback may do to the watches, wake-ups from other threads, several
 * contexts, and a fork.
 */
#include "base/ipc-hub-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test.h"

/* ── An owner of a watch: a socket whose other end is at hand ── */

#define OWNER_TYPE (owner_get_type ())
G_DECLARE_FINAL_TYPE (Owner, owner, TEST, OWNER, GObject)

struct _Owner
{
  GObject parent_instance;

  IpcHubWatch watch;
  int fds[2];
  guint n_io;
  guint n_flush;
  guint n_attend;
  guint last_events;
  guint more; /* how often io says that there is more */
  void (*on_io) (Owner *self);
  void (*on_attend) (Owner *self);
  gpointer data;
};

G_DEFINE_TYPE (Owner, owner, G_TYPE_OBJECT)

static gboolean
owner_io (IpcHubWatch *watch, guint events)
{
  Owner *self = TEST_OWNER (watch->owner);

  self->n_io++;
  self->last_events = events;
  if (self->on_io)
    self->on_io (self);
  return self->more > 0 && self->more-- > 0;
}

static void
owner_flush (IpcHubWatch *watch)
{
  TEST_OWNER (watch->owner)->n_flush++;
  /* it comes right before the loop sleeps, and the test wants to look */
  g_main_context_wakeup (NULL);
  /* It may run right before the loop sleeps, which is no reason for an iteration to end. */
  g_main_context_wakeup (NULL);
}

static void
owner_attend (IpcHubWatch *watch)
{
  Owner *self = TEST_OWNER (watch->owner);

  self->n_attend++;
  if (self->on_attend)
    self->on_attend (self);
}

static const IpcHubFuncs owner_funcs = { owner_io, owner_flush, owner_attend };

static void
owner_finalize (GObject *object)
{
  Owner *self = TEST_OWNER (object);

  g_assert_null (self->watch.hub);
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
  g_autoptr(GError) error = NULL;

  ipc_hub_add (context, &self->watch, self->fds[0], EPOLLIN, &error);
  g_assert_no_error (error);
  return self;
}

static void
poke (Owner *self)
{
  g_assert_cmpint (write (self->fds[1], "x", 1), ==, 1);
}

static void
take (Owner *self)
{
  char byte;

  g_assert_cmpint (read (self->fds[0], &byte, 1), ==, 1);
}

/* Removes it and drops the reference. */
static void
owner_drop (Owner *self)
{
  ipc_hub_remove (&self->watch);
  ipc_test_assert_finalized (self);
}

/* ── Input ── */

static void
test_io (IpcTest *test)
{
  Owner *one = owner_new (NULL);
  Owner *two = owner_new (NULL);

  ipc_test_settle ();
  g_assert_cmpuint (one->n_io + two->n_io, ==, 0);
  one->on_io = two->on_io = take;
  poke (two);
  ipc_test_wait_for (two->n_io == 1);
  g_assert_cmpuint (two->last_events, ==, EPOLLIN);
  ipc_test_settle ();
  g_assert_cmpuint (one->n_io, ==, 0);
  g_assert_cmpuint (two->n_io, ==, 1);
  poke (one);
  poke (two);
  ipc_test_wait_for (one->n_io == 1 && two->n_io == 2);
  owner_drop (one);
  owner_drop (two);
}

static void
test_one_watch (IpcTest *test)
{
  Owner *owner = owner_new (NULL);

  owner->on_io = take;
  for (guint i = 1; i < 100; i++)
    {
      poke (owner);
      ipc_test_wait_for (owner->n_io == i);
    }
  owner_drop (owner);
}

static void
test_hang_up (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  Owner *other = owner_new (NULL);

  shutdown (owner->fds[1], SHUT_RDWR);
  ipc_test_wait_for (owner->n_io > 0);
  g_assert_cmpuint (owner->last_events & EPOLLHUP, !=, 0);
  owner_drop (owner);
  owner_drop (other);
}

static void
test_modify (IpcTest *test)
{
  for (guint n_others = 0; n_others < 2; n_others++)
    {
      Owner *owner = owner_new (NULL);
      Owner *other = n_others ? owner_new (NULL) : NULL;

      poke (owner);
      ipc_hub_modify (&owner->watch, 0);
      ipc_test_settle ();
      g_assert_cmpuint (owner->n_io, ==, 0);
      ipc_hub_modify (&owner->watch, EPOLLOUT);
      ipc_test_wait_for (owner->n_io > 0);
      g_assert_cmpuint (owner->last_events, ==, EPOLLOUT);
      owner->on_io = take;
      ipc_hub_modify (&owner->watch, EPOLLIN);
      ipc_test_wait_for (owner->last_events == EPOLLIN);
      owner_drop (owner);
      if (other)
        owner_drop (other);
    }
}

static gboolean
count_source (gpointer counter)
{
  ++*(guint *) counter;
  return G_SOURCE_CONTINUE;
}

/* Who always has more is called again and again, with 0 as the events, and the other sources get their turn. */
static void
test_more (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  guint n_idle = 0;
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, count_source, &n_idle, NULL);
  g_source_attach (source, NULL);
  owner->more = G_MAXUINT;
  poke (owner);
  ipc_test_wait_for (n_idle > 20 && owner->n_io > 100);
  g_assert_cmpuint (owner->last_events, ==, 0);
  owner->more = 0;
  owner->on_io = take;
  ipc_hub_modify (&owner->watch, 0);
  ipc_test_settle ();
  g_source_destroy (source);
  g_source_unref (source);
  owner_drop (owner);
}

/* It goes on without an event of the descriptor. */
static void
test_more_without_event (IpcTest *test)
{
  Owner *owner = owner_new (NULL);

  owner->on_io = NULL;
  owner->more = 3;
  poke (owner);
  ipc_test_wait_for (owner->more == 0);
  take (owner);
  owner_drop (owner);
}

/* ── What a callback does to the watches ── */

static void
remove_self (Owner *self)
{
  ipc_hub_remove (&self->watch);
}

static void
remove_and_unref (Owner *self)
{
  ipc_hub_remove (&self->watch);
  g_object_unref (self);
}

static void
test_remove_in_io (IpcTest *test)
{
  Owner *other = owner_new (NULL);
  Owner *owner = owner_new (NULL);
  Owner *last = owner_new (NULL);
  gpointer weak = last;

  owner->on_io = remove_self;
  poke (owner);
  ipc_test_wait_for (owner->n_io == 1);
  ipc_test_settle ();
  g_assert_cmpuint (owner->n_io, ==, 1);
  owner_drop (owner);
  /* also if that is the end of the owner */
  g_object_add_weak_pointer (weak, &weak);
  last->on_io = remove_and_unref;
  last->more = 5;
  poke (last);
  ipc_test_wait_for (weak == NULL);
  owner_drop (other);
}

static void
remove_others (Owner *self)
{
  GPtrArray *owners = self->data;

  for (guint i = 0; i < owners->len; i++)
    {
      Owner *owner = g_ptr_array_index (owners, i);

      if (owner != self)
        ipc_hub_remove (&owner->watch);
    }
  take (self);
}

/* Of those that are ready at the same moment, the first removes the rest: none of those is called any more. */
static void
test_remove_batch (IpcTest *test)
{
  g_autoptr(GPtrArray) owners = g_ptr_array_new_with_free_func (g_object_unref);
  guint n_io = 0;

  for (guint i = 0; i < 10; i++)
    {
      Owner *owner = owner_new (NULL);

      owner->on_io = remove_others;
      owner->data = owners;
      g_ptr_array_add (owners, owner);
      poke (owner);
    }
  ipc_test_settle ();
  for (guint i = 0; i < owners->len; i++)
    n_io += ((Owner *) g_ptr_array_index (owners, i))->n_io;
  g_assert_cmpuint (n_io, ==, 1);
  for (guint i = 0; i < owners->len; i++)
    ipc_hub_remove (&((Owner *) g_ptr_array_index (owners, i))->watch);
}

static void
drop_others (Owner *self)
{
  Owner **slot = self->data;
  Owner *other = g_steal_pointer (slot);

  take (self);
  if (!other)
    return;
  ipc_hub_remove (&other->watch);
  g_object_unref (other);
}

/* The other one is gone altogether when its turn would come. */
static void
test_finalize_batch (IpcTest *test)
{
  for (guint round = 0; round < 2; round++)
    {
      Owner *owners[2] = { owner_new (NULL), owner_new (NULL) };
      Owner *pokes[2] = { owners[round], owners[!round] };

      for (guint i = 0; i < 2; i++)
        {
          owners[i]->on_io = drop_others;
          owners[i]->data = &owners[!i];
        }
      poke (pokes[0]);
      poke (pokes[1]);
      ipc_test_wait_for (!owners[0] || !owners[1]);
      ipc_test_settle ();
      g_assert_true ((owners[0] == NULL) != (owners[1] == NULL));
      owner_drop (owners[0] ? owners[0] : owners[1]);
    }
}

static void
add_another (Owner *self)
{
  Owner *added;

  take (self);
  added = owner_new (NULL);
  added->on_io = take;
  poke (added);
  self->data = added;
}

static void
test_add_in_io (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  Owner *added;

  owner->on_io = add_another;
  poke (owner);
  ipc_test_wait_for (owner->data != NULL);
  added = owner->data;
  ipc_test_wait_for (added->n_io == 1);
  owner_drop (added);
  owner_drop (owner);
}

/* Removed and added again, under the same number or another. */
static void
test_add_again (IpcTest *test)
{
  Owner *owner = owner_new (NULL);

  for (guint i = 1; i < 5; i++)
    {
      ipc_hub_remove (&owner->watch);
      ipc_hub_remove (&owner->watch);
      poke (owner);
      ipc_test_settle ();
      g_assert_cmpuint (owner->n_io, ==, i - 1);
      owner->on_io = take;
      g_assert_true (ipc_hub_add (NULL, &owner->watch, owner->fds[0], EPOLLIN, NULL));
      ipc_test_wait_for (owner->n_io == i);
    }
  owner_drop (owner);
}

/* ── Nested loops ── */

static void
run_nested (Owner *self)
{
  Owner *other = self->data;

  take (self);
  poke (other);
  ipc_test_wait_for (other->n_io == 1);
  /* in the nested loop it is handled once, not twice */
  ipc_test_settle ();
}

static void
test_nested (IpcTest *test)
{
  Owner *outer = owner_new (NULL);
  Owner *inner = owner_new (NULL);

  outer->on_io = run_nested;
  outer->data = inner;
  inner->on_io = take;
  poke (outer);
  ipc_test_wait_for (outer->n_io == 1 && inner->n_io == 1);
  owner_drop (outer);
  owner_drop (inner);
}

static void
go_deeper (Owner *self)
{
  guint *depth = self->data;

  take (self);
  if (++*depth < 20)
    {
      poke (self);
      ipc_test_wait_for (*depth >= 20);
    }
}

static void
test_nested_deep (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  Owner *other = owner_new (NULL);
  guint depth = 0;

  owner->on_io = go_deeper;
  owner->data = &depth;
  poke (owner);
  ipc_test_wait_for (depth == 20);
  ipc_test_settle ();
  g_assert_cmpuint (owner->n_io, ==, 20);
  owner_drop (other);
  owner_drop (owner);
}

static void
drop_in_nested_loop (Owner *self)
{
  Owner **slot = self->data;

  take (self);
  if (!*slot || self->n_io > 1)
    return;
  poke (self);
  ipc_test_wait_for (self->n_io > 1);
  ipc_hub_remove (&(*slot)->watch);
  g_object_unref (g_steal_pointer (slot));
}

/* The outer batch must forget what the inner one saw removed. */
static void
test_nested_remove (IpcTest *test)
{
  for (guint round = 0; round < 2; round++)
    {
      Owner *first = round ? owner_new (NULL) : NULL;
      Owner *victim = owner_new (NULL);
      Owner *owner = round ? first : owner_new (NULL);

      owner->on_io = drop_in_nested_loop;
      owner->data = &victim;
      poke (owner);
      poke (victim);
      ipc_test_wait_for (victim == NULL);
      ipc_test_settle ();
      owner_drop (owner);
    }
}

static void
wait_for_attend (Owner *self)
{
  take (self);
  ipc_test_wait_for (self->n_attend == 1);
  ipc_test_settle ();
  g_assert_cmpuint (self->n_attend, ==, 1);
}

/* Whoever runs the loop from within a callback may wait for what the watch has in store: it is asked to go on, once. */
static void
test_nested_resumes (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  Owner *other = owner_new (NULL);

  owner->on_io = wait_for_attend;
  poke (owner);
  ipc_test_wait_for (owner->n_io == 1 && owner->n_attend == 1);
  /* without a loop in the callback it is not */
  owner->on_io = take;
  poke (owner);
  ipc_test_wait_for (owner->n_io == 2);
  ipc_test_settle ();
  g_assert_cmpuint (owner->n_attend, ==, 1);
  owner_drop (owner);
  owner_drop (other);
}

/* ── Attention, deadlines, flushes ── */

static void
test_attend (IpcTest *test)
{
  Owner *owner = owner_new (NULL);

  ipc_hub_attend (&owner->watch);
  ipc_hub_attend (&owner->watch);
  g_assert_cmpuint (owner->n_attend, ==, 0);
  ipc_test_wait_for (owner->n_attend > 0);
  ipc_test_settle ();
  g_assert_cmpuint (owner->n_attend, ==, 1);
  owner_drop (owner);
}

static void
ask_again (Owner *self)
{
  ipc_hub_attend (&self->watch);
}

/* Asking for more from within is for the next turn: it starves nobody. */
static void
test_attend_again (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  Owner *other = owner_new (NULL);

  owner->on_attend = ask_again;
  other->on_io = take;
  ipc_hub_attend (&owner->watch);
  ipc_test_iterate (50);
  g_assert_cmpuint (owner->n_attend, >=, 20);
  g_assert_cmpuint (owner->n_attend, <=, 60);
  poke (other);
  ipc_test_wait_for (other->n_io == 1);
  owner->on_attend = NULL;
  ipc_test_settle ();
  owner_drop (owner);
  owner_drop (other);
}

static void
test_deadlines (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  gint64 now = g_get_monotonic_time ();

  ipc_hub_attend_at (&owner->watch, now + 3600 * (gint64) G_USEC_PER_SEC);
  /* a later one does not put it off, an earlier one brings it forward */
  ipc_hub_attend_at (&owner->watch, now + 30000);
  ipc_hub_attend_at (&owner->watch, now + 7200 * (gint64) G_USEC_PER_SEC);
  while (owner->n_attend == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (g_get_monotonic_time () - now, >=, 30000);
  g_assert_cmpint (g_get_monotonic_time () - now, <, 10 * G_USEC_PER_SEC);
  ipc_test_settle ();
  g_assert_cmpuint (owner->n_attend, ==, 1);
  /* one that has passed */
  ipc_hub_attend_at (&owner->watch, now);
  ipc_test_wait_for (owner->n_attend == 2);
  owner_drop (owner);
}

static void
append_name (Owner *self)
{
  g_string_append (self->data, self->watch.events == EPOLLIN ? "a" : "b");
}

static void
test_deadline_order (IpcTest *test)
{
  Owner *a = owner_new (NULL), *b = owner_new (NULL);
  g_autoptr(GString) order = g_string_new (NULL);
  gint64 now = g_get_monotonic_time ();

  a->data = b->data = order;
  a->on_attend = b->on_attend = append_name;
  ipc_hub_modify (&b->watch, 0);
  ipc_hub_attend_at (&a->watch, now + 4000);
  ipc_hub_attend_at (&b->watch, now + 2000);
  ipc_test_wait_for (order->len == 2);
  g_assert_cmpstr (order->str, ==, "ba");
  /* what is removed has no deadline any more */
  ipc_hub_attend_at (&a->watch, g_get_monotonic_time () + 1000);
  ipc_hub_remove (&a->watch);
  ipc_hub_attend_at (&b->watch, g_get_monotonic_time () + 5000);
  ipc_test_wait_for (order->len == 3);
  g_assert_cmpstr (order->str, ==, "bab");
  owner_drop (a);
  owner_drop (b);
}

static void
ask_for_flush (Owner *self)
{
  take (self);
  ipc_hub_queue_flush (&self->watch);
  ipc_hub_queue_flush (&self->watch);
  g_assert_cmpuint (self->n_flush, ==, 0);
}

/* At the end of the dispatch, once for all that was asked. */
static void
test_flush (IpcTest *test)
{
  Owner *owner = owner_new (NULL);

  owner->on_io = ask_for_flush;
  poke (owner);
  ipc_test_wait_for (owner->n_io == 1);
  g_assert_cmpuint (owner->n_flush, ==, 1);
  /* outside of a dispatch: before the loop sleeps */
  ipc_hub_queue_flush (&owner->watch);
  ipc_test_iterate (1);
  g_assert_cmpuint (owner->n_flush, ==, 2);
  owner_drop (owner);
}

/* Nothing comes after the removal, whatever was asked for before. */
static void
test_after_remove (IpcTest *test)
{
  Owner *other = owner_new (NULL);
  Owner *owner = owner_new (NULL);

  poke (owner);
  ipc_hub_attend (&owner->watch);
  ipc_hub_queue_flush (&owner->watch);
  ipc_hub_attend_at (&owner->watch, 1);
  ipc_hub_remove (&owner->watch);
  ipc_hub_attend (&owner->watch);
  ipc_hub_queue_flush (&owner->watch);
  ipc_hub_attend_at (&owner->watch, 1);
  ipc_hub_modify (&owner->watch, EPOLLOUT);
  ipc_test_settle ();
  g_assert_cmpuint (owner->n_io + owner->n_attend + owner->n_flush, ==, 0);
  owner_drop (owner);
  owner_drop (other);
}

/* ── Resources ── */

static void
test_nothing_left (IpcTest *test)
{
  guint n_fds = ipc_test_count_fds ();
  Owner *owner = owner_new (NULL);

  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds + 3);
  owner_drop (owner);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
}

static void
test_add_fails (IpcTest *test)
{
  Owner *owner = g_object_new (OWNER_TYPE, NULL);
  guint n_fds = ipc_test_count_fds ();
  g_autoptr(GError) error = NULL;
  int file = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  g_assert_false (ipc_hub_add (NULL, &owner->watch, -1, EPOLLIN, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_false (ipc_hub_add (NULL, &owner->watch, file, EPOLLIN, &error));
  g_assert_nonnull (error);
  close (file);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
  ipc_test_assert_finalized (owner);
}

/* ── Threads ── */

#define N_WAKES 1000

typedef struct
{
  Owner *owner;
  gint turn; /* (atomic) even: the thread's */
  void (*ask) (IpcHubWatch *watch);
} Waker;

static gpointer
wake_again_and_again (gpointer data)
{
  Waker *self = data;

  for (gint i = 0; i < N_WAKES; i++)
    {
      while (g_atomic_int_get (&self->turn) != 2 * i)
        g_thread_yield ();
      /* now in the middle of going to sleep, now fast asleep */
      for (gint spin = 0; spin < i % 50; spin++)
        g_thread_yield ();
      g_atomic_int_inc (&self->turn);
      self->ask (&self->owner->watch);
    }
  return NULL;
}

/* No wake-up is lost: the loop has nothing else that could wake it. */
static void
check_wakes (void (*ask) (IpcHubWatch *watch), guint *counter, Owner *owner)
{
  Waker waker = { owner, 0, ask };
  GThread *thread = g_thread_new ("waker", wake_again_and_again, &waker);

  for (guint i = 1; i <= N_WAKES; i++)
    {
      while (*counter < i)
        g_main_context_iteration (NULL, TRUE);
      g_assert_cmpuint (*counter, ==, i);
      g_atomic_int_inc (&waker.turn);
    }
  g_thread_join (thread);
}

static void
attend_soon (IpcHubWatch *watch)
{
  ipc_hub_attend_at (watch, g_get_monotonic_time () + 20);
}

static void
test_wakes (IpcTest *test)
{
  Owner *owner = owner_new (NULL);

  check_wakes (ipc_hub_attend, &owner->n_attend, owner);
  check_wakes (ipc_hub_queue_flush, &owner->n_flush, owner);
  owner->n_attend = 0;
  check_wakes (attend_soon, &owner->n_attend, owner);
  owner_drop (owner);
}

static gpointer
run_context (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  Owner *owner, *other;

  g_main_context_push_thread_default (context);
  owner = owner_new (context);
  other = owner_new (context);
  owner->on_io = other->on_io = take;
  for (guint i = 1; i <= 500; i++)
    {
      poke (i % 2 ? owner : other);
      ipc_hub_attend (&owner->watch);
      while (owner->n_io + other->n_io < i || owner->n_attend < i)
        g_main_context_iteration (context, TRUE);
      /* the last watch of the context goes and comes back */
      if (i % 50 == 0)
        {
          ipc_hub_remove (&owner->watch);
          ipc_hub_remove (&other->watch);
          g_assert_true (ipc_hub_add (context, &owner->watch, owner->fds[0], EPOLLIN, NULL));
          g_assert_true (ipc_hub_add (context, &other->watch, other->fds[0], EPOLLIN, NULL));
        }
    }
  owner_drop (owner);
  owner_drop (other);
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_contexts (IpcTest *test)
{
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("context", run_context, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static gpointer
add_and_remove (gpointer data)
{
  for (guint i = 0; i < 200; i++)
    {
      Owner *owner = owner_new (NULL);

      poke (owner);
      g_thread_yield ();
      ipc_hub_remove (&owner->watch);
      g_object_unref (owner);
    }
  g_atomic_int_inc ((gint *) data);
  return NULL;
}

/* Watches that other threads add to and take from a running loop. */
static void
test_foreign_changes (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  GThread *threads[3];
  gint n_done = 0;

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("changer", add_and_remove, &n_done);
  ipc_test_wait_for (g_atomic_int_get (&n_done) == G_N_ELEMENTS (threads));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  owner->on_io = take;
  poke (owner);
  ipc_test_wait_for (owner->n_io == 1);
  owner_drop (owner);
}

/* ── Fork ── */

static int
use_in_child (Owner *owner)
{
  Owner *mine;

  /* the parent's business: nothing of it is done here */
  poke (owner);
  ipc_hub_attend (&owner->watch);
  for (guint i = 0; i < 20; i++)
    g_main_context_iteration (NULL, FALSE);
  if (owner->n_io + owner->n_attend + owner->n_flush > 0)
    return 1;
  ipc_hub_remove (&owner->watch);
  if (owner->watch.hub)
    return 2;
  /* a hub of its own works */
  mine = owner_new (NULL);
  mine->on_io = take;
  poke (mine);
  for (guint i = 0; i < 100 && mine->n_io == 0; i++)
    g_main_context_iteration (NULL, FALSE);
  if (mine->n_io != 1)
    return 3;
  ipc_hub_remove (&mine->watch);
  return 0;
}

static void
test_fork (IpcTest *test)
{
  Owner *owner = owner_new (NULL);
  int status;
  pid_t child = fork ();

  if (child == 0)
    _exit (use_in_child (owner));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  /* what the child did to its copy has not touched ours */
  owner->on_io = take;
  ipc_test_wait_for (owner->n_io == 1);
  ipc_hub_attend (&owner->watch);
  ipc_test_wait_for (owner->n_attend == 1);
  owner_drop (owner);
}

/* ── Many, at random ── */

static void
test_random (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  Owner *owners[100] = { NULL };
  guint n_pokes = 0, n_io = 0;

  for (guint i = 0; i < 5000; i++)
    {
      Owner **slot = &owners[g_rand_int_range (rand, 0, G_N_ELEMENTS (owners))];

      if (!*slot)
        {
          *slot = owner_new (NULL);
          (*slot)->on_io = take;
        }
      else if (g_rand_int_range (rand, 0, 4) == 0)
        {
          ipc_test_settle ();
          n_io += (*slot)->n_io;
          owner_drop (g_steal_pointer (slot));
        }
      else
        {
          poke (*slot);
          n_pokes++;
        }
      if (g_rand_boolean (rand))
        ipc_test_iterate (1);
    }
  ipc_test_settle ();
  for (guint i = 0; i < G_N_ELEMENTS (owners); i++)
    {
      n_io += owners[i] ? owners[i]->n_io : 0;
      if (owners[i])
        owner_drop (owners[i]);
    }
  /* each poke is a byte, and each io takes one */
  g_assert_cmpuint (n_io, ==, n_pokes);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/hub/io", test_io);
  ipc_test_add ("/messaging/hub/one-watch", test_one_watch);
  ipc_test_add ("/messaging/hub/hang-up", test_hang_up);
  ipc_test_add ("/messaging/hub/modify", test_modify);
  ipc_test_add ("/messaging/hub/more", test_more);
  ipc_test_add ("/messaging/hub/more-without-event", test_more_without_event);
  ipc_test_add ("/messaging/hub/remove-in-io", test_remove_in_io);
  ipc_test_add ("/messaging/hub/remove-batch", test_remove_batch);
  ipc_test_add ("/messaging/hub/finalize-batch", test_finalize_batch);
  ipc_test_add ("/messaging/hub/add-in-io", test_add_in_io);
  ipc_test_add ("/messaging/hub/add-again", test_add_again);
  ipc_test_add ("/messaging/hub/nested", test_nested);
  ipc_test_add ("/messaging/hub/nested-deep", test_nested_deep);
  ipc_test_add ("/messaging/hub/nested-resumes", test_nested_resumes);
  ipc_test_add ("/messaging/hub/nested-remove", test_nested_remove);
  ipc_test_add ("/messaging/hub/attend", test_attend);
  ipc_test_add ("/messaging/hub/attend-again", test_attend_again);
  ipc_test_add ("/messaging/hub/deadlines", test_deadlines);
  ipc_test_add ("/messaging/hub/deadline-order", test_deadline_order);
  ipc_test_add ("/messaging/hub/flush", test_flush);
  ipc_test_add ("/messaging/hub/after-remove", test_after_remove);
  ipc_test_add ("/messaging/hub/nothing-left", test_nothing_left);
  ipc_test_add ("/messaging/hub/add-fails", test_add_fails);
  ipc_test_add ("/messaging/hub/wakes", test_wakes);
  ipc_test_add ("/messaging/hub/contexts", test_contexts);
  ipc_test_add ("/messaging/hub/foreign-changes", test_foreign_changes);
  ipc_test_add ("/messaging/hub/fork", test_fork);
  ipc_test_add ("/messaging/hub/random", test_random);
  return ipc_test_run ();
}
