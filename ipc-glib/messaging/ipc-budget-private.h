/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all clients of a server together may make it hold: output that they do not take, input that is not whole,
 * requests that are kept unanswered, and what was put aside.
 *
 * Above half of the limit the budget is tight: each client has an equal share of a quarter for what it does not take,
 * and of another for what is not whole; beyond those it is not read from, and its queue counts as full. Whatever is
 * above the limit costs the largest holder its connection.
 *
 * A payload that is referenced, by however many clients, counts once. Any thread.
 */
#pragma once

#include <glib.h>

typedef struct
{
  gsize held;                   /* (atomic) bytes */
  gsize limit;                  /* (atomic) */
  gint is_tight;                /* (atomic) */
  gint is_over;                 /* (atomic) somebody is about to be disconnected */
  gint n_holders;               /* (atomic) connections */
  guint64 favoured;             /* (atomic) the id of whoever is read from all the same; 0: nobody */
  GMutex lock;
  GHashTable *references;       /* (nullable) (mutex lock) GBytes → how often it is referenced */
} IpcBudget;

void     ipc_budget_init    (IpcBudget *self, gsize limit);
void     ipc_budget_clear   (IpcBudget *self);
/* DIFFERENCE may be 0, to have it looked at. TRUE: it has become tight, or is over. */
gboolean ipc_budget_add     (IpcBudget *self, gssize difference);
void     ipc_budget_ref_bytes   (IpcBudget *self, GBytes *bytes);
void     ipc_budget_unref_bytes (IpcBudget *self, GBytes *bytes);
/* Below this it is not tight any more. */
gsize    ipc_budget_get_low (IpcBudget *self);

static inline gsize
ipc_budget_get_held (IpcBudget *self)
{
  return __atomic_load_n (&self->held, __ATOMIC_RELAXED);
}

static inline gsize
ipc_budget_get_limit (IpcBudget *self)
{
  return __atomic_load_n (&self->limit, __ATOMIC_RELAXED);
}

/* There is nothing to be looked at. */
static inline gboolean
ipc_budget_is_low (IpcBudget *self)
{
  return ipc_budget_get_held (self) <= ipc_budget_get_limit (self) / 2 && !g_atomic_int_get (&self->is_tight);
}

/* What one may hold while it is tight. */
static inline gsize
ipc_budget_get_share (IpcBudget *self)
{
  return MAX (ipc_budget_get_limit (self) / 4 / (gsize) MAX (g_atomic_int_get (&self->n_holders), 1), 4096);
}
