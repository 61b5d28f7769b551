/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-backoff-private.h"

void
ipc_backoff_init (IpcBackoff *self, guint base, guint limit)
{
  *self = (IpcBackoff){ .base = base, .limit = limit };
}

void
ipc_backoff_clear (IpcBackoff *self)
{
  g_clear_pointer (&self->rand, g_rand_free);
}

void
ipc_backoff_seed (IpcBackoff *self, guint32 seed)
{
  ipc_backoff_clear (self);
  self->rand = g_rand_new_with_seed (seed);
}

void
ipc_backoff_reset (IpcBackoff *self)
{
  self->n_failures = 0;
}

gint64
ipc_backoff_next (IpcBackoff *self)
{
  gint64 nominal = self->base;
  double spread;

  for (guint i = 0; i < self->n_failures && nominal < self->limit; i++)
    nominal *= 2;
  if (nominal < self->limit)
    self->n_failures++;
  nominal = MIN (nominal, self->limit) * 1000;
  spread = self->rand != NULL ? g_rand_double (self->rand) : g_random_double ();
  self->last = nominal * 3 / 4 + (gint64) (spread * (double) (nominal / 2));
  return self->last;
}
