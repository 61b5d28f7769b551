/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is written down once for several outboxes comes out of each of them, in order with what only that one got, in
 * whatever portions it is written; and the budget counts it once.
 */
#include <string.h>

#include "ipc-test.h"
#include "messaging/ipc-outbox-private.h"

#define N_OUTBOXES 4u
#define SHEET 65536u

typedef struct
{
  IpcBudget budget;
  IpcOutLog log;
  IpcOutbox outboxes[N_OUTBOXES];
  GByteArray *models[N_OUTBOXES]; /* (owned) what has to come out of each */
  gsize taken[N_OUTBOXES];
  guint8 next;
} Fixture;

static void
fixture_init (Fixture *self)
{
  memset (self, 0, sizeof *self);
  ipc_budget_init (&self->budget, G_MAXUINT32);
  for (guint i = 0; i < N_OUTBOXES; i++)
    {
      self->outboxes[i].budget = &self->budget;
      self->models[i] = g_byte_array_new ();
    }
}

static void
fixture_clear (Fixture *self)
{
  for (guint i = 0; i < N_OUTBOXES; i++)
    {
      ipc_outbox_clear (&self->outboxes[i]);
      g_assert_cmpuint (self->outboxes[i].allocated, ==, 0);
      g_byte_array_unref (self->models[i]);
    }
  ipc_out_log_clear (&self->log);
  g_assert_cmpuint (ipc_budget_get_held (&self->budget), ==, 0);
  ipc_budget_clear (&self->budget);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

/* To those of MASK. */
static void
share (Fixture *self, gsize size, guint mask)
{
  guint8 *bytes = ipc_out_log_add (&self->log, size);

  for (gsize i = 0; i < size; i++)
    bytes[i] = self->next++ * 31;
  for (guint i = 0; i < N_OUTBOXES; i++)
    if ((mask & 1u << i) != 0)
      {
        ipc_outbox_add_shared (&self->outboxes[i], self->log.sheet, size);
        g_byte_array_append (self->models[i], bytes, (guint) size);
      }
}

static void
add (Fixture *self, guint i, gsize size)
{
  guint8 *bytes = ipc_outbox_add (&self->outboxes[i], size);

  for (gsize j = 0; j < size; j++)
    bytes[j] = self->next++ * 31;
  g_byte_array_append (self->models[i], bytes, (guint) size);
}

static void
take (Fixture *self, guint i, gsize size)
{
  struct iovec iov[IPC_OUTBOX_MAX_PIECES];
  int n = ipc_outbox_get_iovec (&self->outboxes[i], iov, IPC_OUTBOX_MAX_PIECES);
  gsize at = self->taken[i];

  for (int j = 0; j < n; j++)
    {
      g_assert_cmpmem (iov[j].iov_base, iov[j].iov_len, self->models[i]->data + at, iov[j].iov_len);
      at += iov[j].iov_len;
    }
  size = MIN (size, at - self->taken[i]);
  ipc_outbox_written (&self->outboxes[i], size);
  self->taken[i] += size;
  g_assert_cmpuint (self->outboxes[i].queued, ==, self->models[i]->len - self->taken[i]);
  g_assert_cmpuint (ipc_outbox_total_out (&self->outboxes[i]), ==, self->taken[i]);
}

static void
take_all (Fixture *self)
{
  for (guint i = 0; i < N_OUTBOXES; i++)
    while (self->outboxes[i].queued > 0)
      take (self, i, G_MAXSIZE);
}

/* Frames of one sheet are one piece. */
static void
test_gathers (IpcTest *test)
{
  g_auto(Fixture) fixture;
  struct iovec iov[IPC_OUTBOX_MAX_PIECES];

  fixture_init (&fixture);
  for (guint i = 0; i < 1000; i++)
    share (&fixture, 50, 0xf);
  for (guint i = 0; i < N_OUTBOXES; i++)
    g_assert_cmpint (ipc_outbox_get_iovec (&fixture.outboxes[i], iov, IPC_OUTBOX_MAX_PIECES), <=, 2);
  take_all (&fixture);
}

static void
test_counted_once (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  for (guint i = 0; i < 100; i++)
    share (&fixture, 10000, 0xf);
  g_assert_cmpuint (ipc_budget_get_held (&fixture.budget), >=, 1000000);
  g_assert_cmpuint (ipc_budget_get_held (&fixture.budget), <=, 1000000 * 5 / 4 + 2 * SHEET);
  /* until the last has sent it */
  for (guint i = 0; i < N_OUTBOXES; i++)
    {
      g_assert_cmpuint (ipc_budget_get_held (&fixture.budget), >=, 1000000);
      while (fixture.outboxes[i].queued > 0)
        take (&fixture, i, G_MAXSIZE);
    }
  g_assert_cmpuint (ipc_budget_get_held (&fixture.budget), ==, 0);
}

/* Once all has gone, the same memory serves again; not before. */
static void
test_used_again (IpcTest *test)
{
  g_auto(Fixture) fixture;
  IpcOutSheet *sheet;

  fixture_init (&fixture);
  share (&fixture, 100, 0xf);
  sheet = fixture.log.sheet;
  for (guint i = 0; i < 1000; i++)
    {
      take_all (&fixture);
      share (&fixture, 100, 0xf);
      g_assert_true (fixture.log.sheet == sheet);
      g_assert_cmpuint (sheet->end, ==, 100);
    }
  for (guint i = 0; i < 1000; i++)
    {
      take (&fixture, 0, G_MAXSIZE);
      take (&fixture, 2, G_MAXSIZE);
      share (&fixture, 100, 0x5);
    }
  take_all (&fixture);
}

/* Nobody wanted the one before: what comes next does not follow what is at the end. */
static void
test_gap (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  share (&fixture, 100, 0x1);
  share (&fixture, 100, 0x2);
  share (&fixture, 100, 0x3);
  share (&fixture, 100, 0);
  share (&fixture, 100, 0x1);
  take_all (&fixture);
}

static void
test_larger_than_a_sheet (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  share (&fixture, 10, 0xf);
  share (&fixture, 3 * SHEET, 0xf);
  share (&fixture, 10, 0xf);
  take_all (&fixture);
}

static void
test_random (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();

  for (guint round = 0; round < 10; round++)
    {
      g_auto(Fixture) fixture;

      fixture_init (&fixture);
      for (guint i = 0; i < 500; i++)
        {
          gsize size = (gsize) g_rand_int_range (rand, 1, g_rand_boolean (rand) ? 100 : 17000);

          if (g_rand_int_range (rand, 0, 4) > 0)
            share (&fixture, size, (guint) g_rand_int_range (rand, 0, 16));
          else
            add (&fixture, (guint) g_rand_int_range (rand, 0, N_OUTBOXES), size);
          while (g_rand_int_range (rand, 0, 3) > 0)
            take (&fixture, (guint) g_rand_int_range (rand, 0, N_OUTBOXES), (gsize) g_rand_int_range (rand, 0, 60000));
        }
      if (g_rand_boolean (rand))
        take_all (&fixture);
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/out-log/gathers", test_gathers);
  ipc_test_add ("/messaging/out-log/counted-once", test_counted_once);
  ipc_test_add ("/messaging/out-log/used-again", test_used_again);
  ipc_test_add ("/messaging/out-log/gap", test_gap);
  ipc_test_add ("/messaging/out-log/larger-than-a-sheet", test_larger_than_a_sheet);
  ipc_test_add ("/messaging/out-log/random", test_random);
  return ipc_test_run ();
}
