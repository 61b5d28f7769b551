/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What goes into the outbox comes out: the same bytes, in order, in whatever portions they are written.
 */
#include "messaging/ipc-outbox-private.h"

#include <string.h>
#include <unistd.h>

#include "ipc-test.h"

typedef struct
{
  IpcOutbox outbox;
  GByteArray *model; /* (owned) what has to come out */
  gsize taken;       /* how much of it has */
  guint8 next;       /* for bytes that differ from their neighbours */
} Fixture;

static void
fixture_init (Fixture *self)
{
  memset (self, 0, sizeof *self);
  self->model = g_byte_array_new ();
}

static void
fixture_clear (Fixture *self)
{
  ipc_outbox_clear (&self->outbox);
  g_byte_array_unref (self->model);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static void
fill (Fixture *self, guint8 *bytes, gsize size)
{
  for (gsize i = 0; i < size; i++)
    bytes[i] = self->next++ * 31;
  g_byte_array_append (self->model, bytes, (guint) size);
}

static void
add (Fixture *self, gsize size)
{
  fill (self, ipc_outbox_add (&self->outbox, size), size);
}

static void
add_bytes (Fixture *self, gsize size)
{
  guint8 *bytes = g_malloc (size + 1);
  g_autoptr(GBytes) owned = NULL;

  fill (self, bytes, size);
  owned = g_bytes_new_take (bytes, size);
  ipc_outbox_add_bytes (&self->outbox, owned);
}

static gsize
count_bytes (const struct iovec *iov, int n)
{
  gsize size = 0;

  for (int i = 0; i < n; i++)
    {
      g_assert_cmpuint (iov[i].iov_len, >, 0);
      size += iov[i].iov_len;
    }
  return size;
}

/* Compares the front, in at most MAX pieces, and takes SIZE bytes of it. */
static void
take (Fixture *self, gsize size, int max)
{
  g_autofree struct iovec *iov = g_new (struct iovec, max);
  int n = ipc_outbox_get_iovec (&self->outbox, iov, max);
  gsize at = self->taken;

  g_assert_cmpint (n, <=, max);
  for (int i = 0; i < n; i++)
    {
      g_assert_cmpmem (iov[i].iov_base, iov[i].iov_len, self->model->data + at, iov[i].iov_len);
      at += iov[i].iov_len;
    }
  size = MIN (size, count_bytes (iov, n));
  ipc_outbox_written (&self->outbox, size);
  self->taken += size;
  g_assert_cmpuint (self->outbox.queued, ==, self->model->len - self->taken);
  g_assert_cmpuint (self->outbox.total_in, ==, self->model->len);
  g_assert_cmpuint (ipc_outbox_total_out (&self->outbox), ==, self->taken);
}

static void
test_empty (IpcTest *test)
{
  g_auto(Fixture) fixture;
  struct iovec iov[4];

  fixture_init (&fixture);
  g_assert_cmpint (ipc_outbox_get_iovec (&fixture.outbox, iov, 4), ==, 0);
  g_assert_cmpuint (fixture.outbox.queued, ==, 0);
  ipc_outbox_written (&fixture.outbox, 0);
  ipc_outbox_clear (&fixture.outbox);
  ipc_outbox_clear (&fixture.outbox);
}

/* Small ones are gathered: a queue of many is few pieces. */
static void
test_gathers (IpcTest *test)
{
  g_auto(Fixture) fixture;
  struct iovec iov[32];

  fixture_init (&fixture);
  for (guint i = 0; i < 1000; i++)
    add (&fixture, 50);
  g_assert_cmpint (ipc_outbox_get_iovec (&fixture.outbox, iov, 32), <=, 3);
  take (&fixture, G_MAXSIZE, 32);
  g_assert_cmpuint (fixture.outbox.queued, ==, 0);
}

/* Large ones are referenced, not copied, for as long as they are needed. */
static void
test_references (IpcTest *test)
{
  g_auto(Fixture) fixture;
  g_autoptr(GBytes) bytes = g_bytes_new_take (g_malloc0 (100000), 100000);
  gconstpointer data = g_bytes_get_data (bytes, NULL);
  struct iovec iov[4];

  fixture_init (&fixture);
  ipc_outbox_add_bytes (&fixture.outbox, bytes);
  g_assert_cmpint (ipc_outbox_get_iovec (&fixture.outbox, iov, 4), ==, 1);
  g_assert_true (iov[0].iov_base == data);
  g_clear_pointer (&bytes, g_bytes_unref);
  ipc_outbox_written (&fixture.outbox, 99999);
  g_assert_cmpint (ipc_outbox_get_iovec (&fixture.outbox, iov, 4), ==, 1);
  g_assert_cmpuint (iov[0].iov_len, ==, 1);
  g_assert_true (iov[0].iov_base == (const guint8 *) data + 99999);
  ipc_outbox_written (&fixture.outbox, 1);
  g_assert_cmpint (ipc_outbox_get_iovec (&fixture.outbox, iov, 4), ==, 0);
}

static void
test_max_pieces (IpcTest *test)
{
  g_auto(Fixture) fixture;
  struct iovec iov[64];

  fixture_init (&fixture);
  for (guint i = 0; i < 10; i++)
    {
      add (&fixture, 10);
      add_bytes (&fixture, 20);
    }
  g_assert_cmpint (ipc_outbox_get_iovec (&fixture.outbox, iov, 5), ==, 5);
  g_assert_cmpuint (count_bytes (iov, 5), <, 300);
  g_assert_cmpuint (count_bytes (iov, ipc_outbox_get_iovec (&fixture.outbox, iov, 64)), ==, 300);
  for (guint i = 0; i < 300; i++)
    take (&fixture, 1, 2);
  g_assert_cmpuint (fixture.outbox.queued, ==, 0);
}

/* ── With descriptors ── */

#define FRAME 40

static IpcFds *
new_fds (guint n)
{
  g_autoptr(GUnixFDList) list = g_unix_fd_list_new ();

  for (guint i = 0; i < n; i++)
    g_unix_fd_list_append (list, STDERR_FILENO, NULL);
  return ipc_fds_new_dup (list, NULL);
}

static void
add_cargo (Fixture *self, guint n)
{
  fill (self, ipc_outbox_add_cargo (&self->outbox, FRAME, new_fds (n), NULL), FRAME);
}

/* They are there exactly while the front is the first byte of their frame, and no piece goes beyond the next such frame. */
static void
test_cargo (IpcTest *test)
{
  for (gsize portion = 1; portion <= 2 * FRAME + 7; portion++)
    {
      g_auto(Fixture) fixture;
      gsize starts[6];
      guint n_fds = ipc_test_count_fds ();
      guint next = 0;

      fixture_init (&fixture);
      for (guint i = 0; i < 6; i++)
        {
          if (i % 2 == 0)
            add (&fixture, 7);
          if (i == 3)
            add_bytes (&fixture, 0);
          starts[i] = fixture.model->len;
          add_cargo (&fixture, i + 1);
        }
      add (&fixture, 7);
      g_assert_cmpuint (fixture.outbox.n_fds, ==, 21);
      g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds + 21);
      while (fixture.outbox.queued > 0)
        {
          int fds[IPC_FDS_PER_SENDMSG];
          struct iovec iov[32];
          gsize most = count_bytes (iov, ipc_outbox_get_iovec (&fixture.outbox, iov, 32));
          gboolean begins = next < 6 && fixture.taken == starts[next];

          g_assert_cmpuint (ipc_outbox_get_fds (&fixture.outbox, fds), ==, begins ? next + 1 : 0);
          next += begins;
          g_assert_cmpuint (fixture.taken + most, ==, next < 6 ? starts[next] : fixture.model->len);
          take (&fixture, portion, 32);
        }
      g_assert_cmpuint (next, ==, 6);
      g_assert_cmpuint (fixture.outbox.n_cargos + fixture.outbox.n_fds, ==, 0);
      g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
      add_cargo (&fixture, 3);
      ipc_outbox_clear (&fixture.outbox);
      g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
    }
}

/* Its payload follows inline, without what is behind it changing its position. */
static void
test_unshare (IpcTest *test)
{
  g_autofree char *text = g_strnfill (300000, 'x');
  g_autoptr(GBytes) bytes = g_bytes_new_static (text, 300000);

  for (guint n = 0; n < 3; n++)
    {
      g_autoptr(IpcMessage) message = ipc_message_new ("t", bytes);
      IpcOutbox outbox = { 0 };
      IpcSharedPayload *payload = NULL;
      struct iovec iov[4];
      int fds[IPC_FDS_PER_SENDMSG];
      gsize size = 0, total;
      guint64 behind;

      while (payload == NULL)
        payload = ipc_shared_payload_get (message);
      memset (ipc_outbox_add_cargo (&outbox, FRAME, n > 0 ? new_fds (n) : NULL, payload), 'h', FRAME);
      behind = outbox.total_in;
      memcpy (ipc_outbox_add (&outbox, 3), "end", 3);
      g_assert_cmpuint (ipc_outbox_get_load (&outbox), ==, FRAME + 3 + 300000);
      g_assert_cmpuint (ipc_outbox_get_fds (&outbox, fds), ==, n + 1);
      g_assert_nonnull (ipc_outbox_unshare (&outbox, &size));
      g_assert_cmpuint (size, ==, 300000);
      g_assert_null (ipc_outbox_unshare (&outbox, &size));
      g_assert_cmpuint (ipc_outbox_get_fds (&outbox, fds), ==, n);
      g_assert_cmpint (ipc_outbox_get_iovec (&outbox, iov, 4), ==, 3);
      g_assert_cmpuint (iov[0].iov_len, ==, FRAME - 8);
      g_assert_cmpmem (iov[1].iov_base, iov[1].iov_len, text, 300000);
      g_assert_cmpmem (iov[2].iov_base, iov[2].iov_len, "end", 3);
      total = FRAME - 8 + 300000;
      for (gsize left = total; left > 0; left -= MIN (left, 999))
        {
          g_assert_cmpuint (ipc_outbox_total_out (&outbox), <, behind);
          ipc_outbox_written (&outbox, MIN (left, 999));
        }
      g_assert_cmpuint (ipc_outbox_total_out (&outbox), ==, behind);
      ipc_outbox_written (&outbox, 3);
      g_assert_cmpuint (ipc_outbox_get_load (&outbox), ==, 0);
      ipc_outbox_clear (&outbox);
    }
}

static void
test_empty_bytes (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  add_bytes (&fixture, 0);
  add (&fixture, 3);
  add_bytes (&fixture, 0);
  take (&fixture, G_MAXSIZE, 4);
  g_assert_cmpuint (fixture.outbox.queued, ==, 0);
  add (&fixture, 3);
  take (&fixture, G_MAXSIZE, 4);
  g_assert_cmpuint (fixture.taken, ==, 6);
}

/* Sizes around those of the blocks. */
static void
test_sizes (IpcTest *test)
{
  static const gsize sizes[] = { 1, 900, 959, 960, 961, 1000, 1024, 65535, 65536, 65537, 200000 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint j = 0; j < G_N_ELEMENTS (sizes); j++)
      {
        g_auto(Fixture) fixture;

        fixture_init (&fixture);
        add (&fixture, sizes[i]);
        add (&fixture, sizes[j]);
        add (&fixture, 1);
        while (fixture.outbox.queued > 0)
          take (&fixture, 50000, 2);
      }
}

static void
test_random (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();

  for (guint round = 0; round < 20; round++)
    {
      g_auto(Fixture) fixture;

      fixture_init (&fixture);
      for (guint i = 0; i < 300; i++)
        {
          gsize size = (gsize) g_rand_int_range (rand, 0, g_rand_boolean (rand) ? 100 : 30000);

          if (g_rand_int_range (rand, 0, 3) == 0)
            add_bytes (&fixture, size);
          else
            add (&fixture, size + 1);
          while (g_rand_int_range (rand, 0, 5) == 0)
            take (&fixture, (gsize) g_rand_int_range (rand, 0, 100000), g_rand_int_range (rand, 1, 33));
        }
      while (fixture.outbox.queued > 0)
        take (&fixture, (gsize) g_rand_int_range (rand, 1, 100000), g_rand_int_range (rand, 1, 33));
      g_assert_cmpuint (fixture.taken, ==, fixture.model->len);
    }
}

/* What is cleared counts as neither queued nor left. */
static void
test_clear (IpcTest *test)
{
  g_auto(Fixture) fixture;

  fixture_init (&fixture);
  add (&fixture, 100);
  add_bytes (&fixture, 100000);
  take (&fixture, 50, 1);
  ipc_outbox_clear (&fixture.outbox);
  g_assert_cmpuint (fixture.outbox.queued, ==, 0);
  g_byte_array_set_size (fixture.model, 0);
  fixture.taken = 0;
  fixture.outbox.total_in = 0;
  add (&fixture, 10);
  take (&fixture, G_MAXSIZE, 1);
  g_assert_cmpuint (fixture.taken, ==, 10);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/outbox/empty", test_empty);
  ipc_test_add ("/messaging/outbox/gathers", test_gathers);
  ipc_test_add ("/messaging/outbox/references", test_references);
  ipc_test_add ("/messaging/outbox/max-pieces", test_max_pieces);
  ipc_test_add ("/messaging/outbox/cargo", test_cargo);
  ipc_test_add ("/messaging/outbox/unshare", test_unshare);
  ipc_test_add ("/messaging/outbox/empty-bytes", test_empty_bytes);
  ipc_test_add ("/messaging/outbox/sizes", test_sizes);
  ipc_test_add ("/messaging/outbox/random", test_random);
  ipc_test_add ("/messaging/outbox/clear", test_clear);
  return ipc_test_run ();
}
