/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events are taken out of the outbox again: whole ones, the oldest first, and none that has begun to be written. All
 * else comes out as it went in, and keeps its position.
 */
#include "messaging/ipc-outbox-private.h"

#include <string.h>

#include "ipc-test.h"

typedef struct
{
  gboolean is_event;
  gboolean is_gone; /* written, or taken out */
  guint8 value;     /* of all its bytes */
  gsize size;
  gsize written;
  guint64 start;    /* its position */
} Piece;

typedef struct
{
  IpcOutbox outbox;
  GArray *pieces; /* (owned) (element-type Piece) */
} Fixture;

static void
fixture_init (Fixture *self)
{
  memset (self, 0, sizeof *self);
  self->pieces = g_array_new (FALSE, TRUE, sizeof (Piece));
}

static void
fixture_clear (Fixture *self)
{
  ipc_outbox_clear (&self->outbox);
  g_array_unref (self->pieces);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static Piece *
piece (Fixture *self, guint i)
{
  return &g_array_index (self->pieces, Piece, i);
}

/* REFERENCED: a part of it is. */
static void
put (Fixture *self, gsize size, gboolean is_event, gboolean referenced)
{
  Piece new = { .is_event = is_event, .value = (guint8) (self->pieces->len * 7 + 1), .size = size, .start = self->outbox.total_in };
  gsize inline_size = referenced ? MAX (size / 10, 1) : size;

  memset (ipc_outbox_add (&self->outbox, inline_size), new.value, inline_size);
  if (referenced)
    {
      g_autofree char *rest = g_strnfill (size - inline_size, (char) new.value);
      g_autoptr(GBytes) bytes = g_bytes_new (rest, size - inline_size);

      ipc_outbox_add_bytes (&self->outbox, bytes);
    }
  if (is_event)
    ipc_outbox_mark_event (&self->outbox, size);
  g_array_append_val (self->pieces, new);
}

/* What has to come next, and where. */
static guint
next_piece (Fixture *self)
{
  guint i = 0;

  while (i < self->pieces->len && piece (self, i)->is_gone)
    i++;
  return i;
}

static void
check (Fixture *self)
{
  gsize queued = 0, droppable = 0;
  guint next = next_piece (self);

  for (guint i = next; i < self->pieces->len; i++)
    {
      Piece *p = piece (self, i);

      queued += p->is_gone ? 0 : p->size - p->written;
      droppable += p->is_event && !p->is_gone && p->written == 0 ? p->size : 0;
    }
  g_assert_cmpuint (self->outbox.queued, ==, queued);
  g_assert_cmpuint (ipc_outbox_get_droppable (&self->outbox), ==, droppable);
  if (next < self->pieces->len && piece (self, next)->written > 0)
    g_assert_cmpuint (ipc_outbox_total_out (&self->outbox), ==, piece (self, next)->start + piece (self, next)->written);
  if (next == self->pieces->len)
    g_assert_cmpuint (ipc_outbox_total_out (&self->outbox), ==, self->outbox.total_in);
}

static void
take (Fixture *self, gsize size)
{
  struct iovec iov[8];
  int n = ipc_outbox_get_iovec (&self->outbox, iov, 8);
  gsize taken = 0;

  for (int i = 0; i < n; i++)
    for (gsize j = 0; j < iov[i].iov_len && taken < size; j++, taken++)
      {
        guint next = next_piece (self);
        Piece *p = piece (self, next);

        g_assert_cmpuint (next, <, self->pieces->len);
        g_assert_cmpuint (((guint8 *) iov[i].iov_base)[j], ==, p->value);
        p->is_gone = ++p->written == p->size;
      }
  ipc_outbox_written (&self->outbox, taken);
  check (self);
}

static void
drop (Fixture *self)
{
  g_autoptr(GByteArray) copy = g_byte_array_new ();
  guint i = 0;

  while (i < self->pieces->len && (!piece (self, i)->is_event || piece (self, i)->is_gone || piece (self, i)->written > 0))
    i++;
  g_assert_cmpint (ipc_outbox_drop_event (&self->outbox, copy), ==, i < self->pieces->len);
  if (i < self->pieces->len)
    {
      g_assert_cmpuint (copy->len, ==, piece (self, i)->size);
      for (guint j = 0; j < copy->len; j++)
        g_assert_cmpuint (copy->data[j], ==, piece (self, i)->value);
      piece (self, i)->is_gone = TRUE;
    }
  check (self);
}

static void
test_nothing (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  drop (&fixture);
  put (&fixture, 100, FALSE, FALSE);
  drop (&fixture);
  take (&fixture, 100);
  drop (&fixture);
}

static void
test_oldest_first (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  for (guint i = 0; i < 50; i++)
    put (&fixture, 100, TRUE, FALSE);
  for (guint i = 0; i < 20; i++)
    drop (&fixture);
  put (&fixture, 30, TRUE, FALSE);
  take (&fixture, 10000);
  g_assert_cmpuint (fixture.outbox.queued, ==, 0);
  drop (&fixture);
}

/* One byte is enough to make it stay. */
static void
test_begun (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  put (&fixture, 100, TRUE, FALSE);
  put (&fixture, 200, TRUE, FALSE);
  take (&fixture, 1);
  drop (&fixture);
  g_assert_cmpuint (fixture.outbox.queued, ==, 99);
  drop (&fixture);
  take (&fixture, 99);
  g_assert_cmpuint (ipc_outbox_total_out (&fixture.outbox), ==, 300);
}

/* What is no event stays, wherever it is, and where it is. */
static void
test_others_stay (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  for (guint i = 0; i < 30; i++)
    {
      put (&fixture, 70 + i, i % 3 != 0, i % 5 == 0);
      put (&fixture, 20, FALSE, FALSE);
    }
  for (guint i = 0; i < 25; i++)
    drop (&fixture);
  while (fixture.outbox.queued > 0)
    take (&fixture, 33);
}

/* Memory is bounded however much is dropped while nothing is written. */
static void
test_endless (IpcTest *test)
{
  g_auto(Fixture) fixture;
  guint8 *first;

  fixture_init (&fixture);
  put (&fixture, 10, FALSE, FALSE);
  take (&fixture, 5);
  for (guint i = 0; i < 200000; i++)
    {
      memset (ipc_outbox_add (&fixture.outbox, 1000), 'x', 1000);
      ipc_outbox_mark_event (&fixture.outbox, 1000);
      if (i >= 10)
        g_assert_true (ipc_outbox_drop_event (&fixture.outbox, NULL));
    }
  g_assert_cmpuint (fixture.outbox.queued, ==, 5 + 10 * 1000);
  g_assert_cmpuint (ipc_outbox_total_out (&fixture.outbox), ==, 5);
  {
    struct iovec iov[8];
    int n = ipc_outbox_get_iovec (&fixture.outbox, iov, 8);

    g_assert_cmpint (n, <=, 3);
    first = iov[0].iov_base;
    g_assert_cmpuint (first[0], ==, 1);
  }
  ipc_outbox_written (&fixture.outbox, fixture.outbox.queued);
  g_assert_cmpuint (ipc_outbox_total_out (&fixture.outbox), ==, fixture.outbox.total_in);
}

static void
test_random (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();

  for (guint round = 0; round < 50; round++)
    {
      g_auto(Fixture) fixture;
      gint largest = g_rand_boolean (rand) ? 200 : 40000;

      fixture_init (&fixture);
      for (guint i = 0; i < 200; i++)
        switch (g_rand_int_range (rand, 0, 5))
          {
          case 0:
            drop (&fixture);
            break;
          case 1:
            take (&fixture, (gsize) g_rand_int_range (rand, 0, 2 * largest));
            break;
          default:
            put (&fixture, (gsize) g_rand_int_range (rand, 2, largest), g_rand_int_range (rand, 0, 4) != 0,
                 g_rand_int_range (rand, 0, 4) == 0);
          }
      if (g_rand_boolean (rand))
        while (ipc_outbox_get_droppable (&fixture.outbox) > 0)
          drop (&fixture);
      while (fixture.outbox.queued > 0)
        take (&fixture, (gsize) g_rand_int_range (rand, 1, 2 * largest));
    }
}

static void
test_clear (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  put (&fixture, 100, TRUE, FALSE);
  put (&fixture, 100, TRUE, TRUE);
  put (&fixture, 100, FALSE, FALSE);
  drop (&fixture);
  ipc_outbox_clear (&fixture.outbox);
  g_assert_cmpuint (ipc_outbox_get_droppable (&fixture.outbox), ==, 0);
  g_assert_false (ipc_outbox_drop_event (&fixture.outbox, NULL));
  g_assert_cmpuint (ipc_outbox_total_out (&fixture.outbox), ==, 300);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/outbox-events/nothing", test_nothing);
  ipc_test_add ("/messaging/outbox-events/oldest-first", test_oldest_first);
  ipc_test_add ("/messaging/outbox-events/begun", test_begun);
  ipc_test_add ("/messaging/outbox-events/others-stay", test_others_stay);
  ipc_test_add ("/messaging/outbox-events/endless", test_endless);
  ipc_test_add ("/messaging/outbox-events/random", test_random);
  ipc_test_add ("/messaging/outbox-events/clear", test_clear);
  return ipc_test_run ();
}
