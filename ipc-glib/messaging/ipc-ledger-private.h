/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server and its connections share: the budget, and that something has changed which observers of the server's
 * statistics are to be told of.
 *
 * Counted, as a connection may outlive its server. Any thread.
 */
#pragma once

#include <gio/gio.h>

#include "messaging/ipc-budget-private.h"

typedef struct _IpcLedger IpcLedger;

/* Called in the context, at most ten times a second and only after something changed. */
typedef void     (*IpcLedgerTick) (gpointer owner);
/* Called in the context when the budget has become tight or is over, and then again and again. FALSE: that is past. */
typedef gboolean (*IpcLedgerRelieve) (gpointer owner);
/* Whether there is anybody to be told; any thread, with all kinds of locks held. */
typedef gboolean (*IpcLedgerAsk)  (gpointer owner);

struct _IpcLedger
{
  gint ref_count;               /* (atomic) */
  GMainContext *context;        /* (owned) */
  GWeakRef owner;
  IpcLedgerTick tick;
  IpcLedgerAsk ask;
  IpcLedgerRelieve relieve;
  IpcBudget budget;

  GMutex lock;
  GSource *timer;               /* (nullable) (owned) (mutex lock) */
  gpointer whom;                /* (nullable) (mutex lock) the owner, until it is disposed of */
  gint64 last_look;             /* (mutex lock) monotonic µs */
  gint armed;                   /* (atomic) the timer runs */
  GSource *relief;              /* (nullable) (owned) (mutex lock) runs at once */
  GSource *guard;               /* (nullable) (owned) (mutex lock) runs while the budget is tight */
};

IpcLedger *ipc_ledger_new   (gpointer owner, GMainContext *context, gsize budget, IpcLedgerTick tick, IpcLedgerAsk ask,
                             IpcLedgerRelieve relieve);
IpcLedger *ipc_ledger_ref   (IpcLedger *self);
void       ipc_ledger_unref (IpcLedger *self);
/* The owner is about to go. */
void       ipc_ledger_close (IpcLedger *self);
void       ipc_ledger_look  (IpcLedger *self);
/* The budget needs looking after. */
void       ipc_ledger_call_relief (IpcLedger *self);

/* Something has changed. */
static inline void
ipc_ledger_touch (IpcLedger *self)
{
  if (!g_atomic_int_get (&self->armed))
    ipc_ledger_look (self);
}
