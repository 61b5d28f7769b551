/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server, and a peer of it that reads only when it is told to.
 */
#pragma once

#include "pair.h"

typedef struct
{
  Pair pair;
  Raw raw;
  IpcConnection *far; /* (owned) */
  guint n_congested;
  guint n_drained;
} Stalled;

/* With POLICY, from the start; and a peer that speaks the binary dialect. */
void stalled_init      (Stalled *self, IpcTest *test, guint max_queued_bytes);
void stalled_init_full (Stalled *self, IpcTest *test, guint max_queued_bytes, IpcOverflowPolicy policy, gboolean json);
void stalled_clear     (Stalled *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Stalled, stalled_clear)

/* A message of SIZE bytes of payload. */
IpcMessage *message_of (gsize size) G_GNUC_WARN_UNUSED_RESULT;
/* Sends messages of SIZE until one is refused: how many were not. */
guint fill (IpcConnection *connection, gsize size);
