/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server and its connections share: that something has changed which observers of the server's statistics
 * are to be told of.
 *
 * Counted, as a connection may outlive its server. Any thread.
 */
#pragma once

#include <gio/gio.h>

typedef struct _IpcLedger IpcLedger;

/* Called in the context, at most ten times a second and only after something changed. */
typedef void     (*IpcLedgerTick) (gpointer owner);
/* Whether there is anybody to be told; any thread, with all kinds of locks held. */
typedef gboolean (*IpcLedgerAsk)  (gpointer owner);

struct _IpcLedger
{
  gint ref_count;               /* (atomic) */
  GMainContext *context;        /* (owned) */
  GWeakRef owner;
  IpcLedgerTick tick;
  IpcLedgerAsk ask;

  GMutex lock;
  GSource *timer;               /* (nullable) (owned) (mutex lock) */
  gpointer whom;                /* (nullable) (mutex lock) the owner, until it is disposed of */
  gint64 last_look;             /* (mutex lock) monotonic µs */
  gint armed;                   /* (atomic) the timer runs */
};

IpcLedger *ipc_ledger_new   (gpointer owner, GMainContext *context, IpcLedgerTick tick, IpcLedgerAsk ask);
IpcLedger *ipc_ledger_ref   (IpcLedger *self);
void       ipc_ledger_unref (IpcLedger *self);
/* The owner is about to go. */
void       ipc_ledger_close (IpcLedger *self);
void       ipc_ledger_look  (IpcLedger *self);

/* Something has changed. */
static inline void
ipc_ledger_touch (IpcLedger *self)
{
  if (!g_atomic_int_get (&self->armed))
    ipc_ledger_look (self);
}
