/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server sends to all its clients: each frame is written down once, and the outboxes of the clients refer to it.
 * Frames follow one another in sheets, so one piece of an outbox covers all that is new in a sheet.
 *
 * A sheet is written by one thread at a time, behind what anybody refers to; it goes with the last piece. While the outboxes
 * refer to it, the budget counts it, once.
 */
#pragma once

#include "messaging/ipc-budget-private.h"

typedef struct _IpcOutSheet IpcOutSheet;

struct _IpcOutSheet
{
  gint ref_count;               /* (atomic) */
  gint n_pieces;                /* (atomic) of outboxes */
  gsize end;                    /* written up to there */
  gsize capacity;
  guint8 data[];
};

/* No locking of its own. */
typedef struct
{
  IpcOutSheet *sheet;           /* (nullable) (owned) the one that is written on */
} IpcOutLog;

void         ipc_out_log_clear    (IpcOutLog *self);
/* SIZE bytes at the end of the sheet, to be written by the caller now. */
guint8      *ipc_out_log_add      (IpcOutLog *self, gsize size);

/* For a piece that refers to it. Any thread. */
IpcOutSheet *ipc_out_sheet_ref    (IpcOutSheet *self, IpcBudget *budget);
void         ipc_out_sheet_unref  (IpcOutSheet *self, IpcBudget *budget);
