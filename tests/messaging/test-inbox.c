/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is read is handled: the same bytes in order, however the reads and the frames fall, with memory in proportion
 * to what came, and the front staying in place while it is held.
 */
#include "messaging/ipc-inbox-private.h"

#include <string.h>

#include "ipc-test.h"

#define READ_MAX (256u * 1024u)

/* Byte number I of the stream. */
static guint8
byte_at (guint64 i)
{
  return (guint8) (i * 31 + (i >> 8) * 7);
}

typedef struct
{
  IpcInbox inbox;
  guint64 added;
  guint64 taken;
} Fixture;

static void
fixture_clear (Fixture *self)
{
  ipc_inbox_clear (&self->inbox);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

/* A read of up to SIZE bytes: how many there was room for. */
static gsize
read_bytes (Fixture *self, gsize size)
{
  gsize room;
  guint8 *to = ipc_inbox_get_room (&self->inbox, &room);

  g_assert_cmpuint (room, >=, 1);
  size = MIN (size, room);
  for (gsize i = 0; i < size; i++)
    to[i] = byte_at (self->added++);
  ipc_inbox_add (&self->inbox, size);
  return size;
}

static void
check_front (Fixture *self)
{
  gsize size;
  const guint8 *bytes = ipc_inbox_peek (&self->inbox, &size);

  g_assert_cmpuint (size, ==, self->added - self->taken);
  g_assert_true ((bytes == NULL) == (size == 0));
  for (gsize i = 0; i < size; i++)
    {
      if (bytes[i] != byte_at (self->taken + i))
        g_error ("byte %" G_GSIZE_FORMAT " after %" G_GUINT64_FORMAT " is not what was read", i, self->taken);
    }
}

static void
skip (Fixture *self, gsize size)
{
  ipc_inbox_skip (&self->inbox, size);
  self->taken += size;
}

static void
test_empty (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  gsize size = 99;

  g_assert_null (ipc_inbox_peek (&fixture.inbox, &size));
  g_assert_cmpuint (size, ==, 0);
  g_assert_null (ipc_inbox_hold (&fixture.inbox));
  ipc_buffer_release (NULL);
  ipc_inbox_settle (&fixture.inbox, FALSE);
  ipc_inbox_clear (&fixture.inbox);
}

static void
test_whole (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  g_assert_cmpuint (read_bytes (&fixture, 100), ==, 100);
  check_front (&fixture);
  skip (&fixture, 60);
  check_front (&fixture);
  skip (&fixture, 40);
  check_front (&fixture);
  ipc_inbox_settle (&fixture.inbox, FALSE);
  g_assert_null (fixture.inbox.buffer);
}

/* A byte at a time, settled each time, as a dispatch does. */
static void
test_bytewise (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  for (guint i = 0; i < 5000; i++)
    {
      fixture.inbox.wanted = 5000;
      g_assert_cmpuint (read_bytes (&fixture, 1), ==, 1);
      ipc_inbox_settle (&fixture.inbox, FALSE);
    }
  check_front (&fixture);
}

/* A read is offered much room, but an idle connection keeps none of it. */
static void
test_gives_back (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcBuffer *scratch;
  gsize room;

  ipc_inbox_get_room (&fixture.inbox, &room);
  g_assert_cmpuint (room, ==, READ_MAX);
  scratch = fixture.inbox.buffer;
  read_bytes (&fixture, 40);
  ipc_inbox_settle (&fixture.inbox, FALSE);
  check_front (&fixture);
  /* what is unfinished has been moved out; the next connection reads into the same buffer */
  g_assert_true (fixture.inbox.buffer != scratch);
  {
    g_auto(Fixture) other = { 0 };

    ipc_inbox_get_room (&other.inbox, &room);
    g_assert_true (other.inbox.buffer == scratch);
  }
}

/* The announced length costs nothing until the bytes come. */
static void
test_announced (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  gsize room;

  fixture.inbox.wanted = 128u * 1024 * 1024;
  read_bytes (&fixture, 32);
  ipc_inbox_settle (&fixture.inbox, FALSE);
  ipc_inbox_get_room (&fixture.inbox, &room);
  g_assert_cmpuint (room, <=, READ_MAX + 1);
  /* twice what has come, and no more */
  while (fixture.added < 4u * 1024 * 1024)
    {
      ipc_inbox_get_room (&fixture.inbox, &room);
      g_assert_cmpuint (room, <=, MAX (fixture.added, READ_MAX + 1));
      read_bytes (&fixture, 60000);
      ipc_inbox_settle (&fixture.inbox, FALSE);
    }
  check_front (&fixture);
}

/* Of what follows a large frame only little is read with it. */
static void
test_large (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  const gsize whole = 1000000;

  while (fixture.added < whole)
    {
      fixture.inbox.wanted = whole;
      read_bytes (&fixture, G_MAXUINT16);
    }
  g_assert_cmpuint (fixture.added, <=, whole + 16384);
  check_front (&fixture);
  skip (&fixture, whole);
  check_front (&fixture);
}

/* ── Holding ── */

static void
test_hold (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree guint8 *copy = NULL;
  const guint8 *front;
  IpcBuffer *hold;
  gsize size;

  read_bytes (&fixture, 1000);
  front = ipc_inbox_peek (&fixture.inbox, &size);
  copy = g_memdup2 (front, size);
  hold = ipc_inbox_hold (&fixture.inbox);
  skip (&fixture, 300);
  /* what a handler may bring about: everything is read, handled and settled, and again */
  for (guint i = 0; i < 50; i++)
    {
      read_bytes (&fixture, 10000);
      check_front (&fixture);
      skip (&fixture, (gsize) (fixture.added - fixture.taken) - 7);
      ipc_inbox_settle (&fixture.inbox, FALSE);
    }
  g_assert_cmpmem (front, size, copy, 1000);
  ipc_buffer_release (hold);
  check_front (&fixture);
}

static void
test_hold_survives_inbox (IpcTest *test)
{
  Fixture fixture = { 0 };
  const guint8 *front;
  IpcBuffer *hold;
  gsize size;

  read_bytes (&fixture, 1000);
  front = ipc_inbox_peek (&fixture.inbox, &size);
  hold = ipc_inbox_hold (&fixture.inbox);
  fixture_clear (&fixture);
  for (gsize i = 0; i < size; i++)
    g_assert_cmpuint (front[i], ==, byte_at (i));
  ipc_buffer_release (hold);
}

/* ── Pinning ── */

static void
test_small_is_not_pinned (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  read_bytes (&fixture, 50000);
  g_assert_null (ipc_inbox_pin (&fixture.inbox, 50000));
  g_assert_null (ipc_inbox_pin (&fixture.inbox, 10));
}

static gpointer
drop_bytes (gpointer bytes)
{
  g_bytes_unref (bytes);
  return NULL;
}

/* A large frame that is kept stays where it was read, after the inbox is gone, and goes in any thread. */
static void
test_pin (IpcTest *test)
{
  Fixture fixture = { 0 };
  const gsize whole = 1000000;
  GBytes *pinned;
  const guint8 *front, *data;
  gsize size;

  while (fixture.added < whole)
    {
      fixture.inbox.wanted = whole;
      read_bytes (&fixture, READ_MAX);
    }
  front = ipc_inbox_peek (&fixture.inbox, &size);
  pinned = ipc_inbox_pin (&fixture.inbox, whole);
  g_assert_nonnull (pinned);
  data = g_bytes_get_data (pinned, &size);
  g_assert_true (front >= data && front + whole <= data + size);
  g_assert_cmpuint (size, <=, whole + 2 * 16384);
  skip (&fixture, whole);
  read_bytes (&fixture, 100);
  check_front (&fixture);
  fixture_clear (&fixture);
  for (gsize i = 0; i < whole; i++)
    {
      if (front[i] != byte_at (i))
        g_error ("byte %" G_GSIZE_FORMAT " of a pinned frame has changed", i);
    }
  g_thread_join (g_thread_new ("drop", drop_bytes, pinned));
}

/* ── Against the model ── */

static void
handle_some (Fixture *self, GRand *rand)
{
  gsize size;
  IpcBuffer *hold;

  ipc_inbox_peek (&self->inbox, &size);
  if (size == 0)
    return;
  hold = g_rand_boolean (rand) ? ipc_inbox_hold (&self->inbox) : NULL;
  skip (self, (gsize) g_rand_int_range (rand, 1, (gint32) MIN (size, 400000) + 1));
  if (g_rand_boolean (rand))
    read_bytes (self, (gsize) g_rand_int_range (rand, 0, 1000));
  ipc_buffer_release (hold);
}

/* Among others, what comes finds a small place, unless it is going to be larger. */
static void
test_modest (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture.inbox.is_modest = TRUE;
  g_assert_cmpuint (read_bytes (&fixture, G_MAXSIZE), ==, IPC_INBOX_MODEST);
  skip (&fixture, IPC_INBOX_MODEST - 100);
  fixture.inbox.wanted = 200;
  g_assert_cmpuint (read_bytes (&fixture, G_MAXSIZE), ==, IPC_INBOX_MODEST - 100);
  check_front (&fixture);
  skip (&fixture, 200);
  fixture.inbox.wanted = 100000;
  g_assert_cmpuint (read_bytes (&fixture, G_MAXSIZE), >, 100000);
  check_front (&fixture);
}

static void
test_random (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();

  for (guint round = 0; round < 30; round++)
    {
      g_auto(Fixture) fixture = { 0 };

      for (guint i = 0; i < 100; i++)
        {
          gsize have = (gsize) (fixture.added - fixture.taken);

          /* a frame that is whole is not waited for any more */
          if (fixture.inbox.wanted <= have)
            fixture.inbox.wanted = 0;
          if (g_rand_int_range (rand, 0, 3) == 0)
            fixture.inbox.wanted = have + (gsize) g_rand_int_range (rand, 1, g_rand_boolean (rand) ? 1000 : 600000);
          fixture.inbox.is_modest = g_rand_boolean (rand);
          read_bytes (&fixture, (gsize) g_rand_int_range (rand, 0, g_rand_boolean (rand) ? 100 : 100000));
          if (g_rand_boolean (rand))
            handle_some (&fixture, rand);
          if (g_rand_boolean (rand))
            ipc_inbox_settle (&fixture.inbox, FALSE);
          check_front (&fixture);
        }
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/inbox/empty", test_empty);
  ipc_test_add ("/messaging/inbox/whole", test_whole);
  ipc_test_add ("/messaging/inbox/bytewise", test_bytewise);
  ipc_test_add ("/messaging/inbox/gives-back", test_gives_back);
  ipc_test_add ("/messaging/inbox/announced", test_announced);
  ipc_test_add ("/messaging/inbox/large", test_large);
  ipc_test_add ("/messaging/inbox/hold", test_hold);
  ipc_test_add ("/messaging/inbox/hold-survives-inbox", test_hold_survives_inbox);
  ipc_test_add ("/messaging/inbox/small-is-not-pinned", test_small_is_not_pinned);
  ipc_test_add ("/messaging/inbox/pin", test_pin);
  ipc_test_add ("/messaging/inbox/modest", test_modest);
  ipc_test_add ("/messaging/inbox/random", test_random);
  return ipc_test_run ();
}
