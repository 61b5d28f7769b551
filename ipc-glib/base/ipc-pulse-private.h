/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking from time to time at what changes without telling, because other processes change it in shared memory: one
 * timer for all such objects of a main context. While somebody listens to any of them it ticks ten times a second, and those
 * are looked at; otherwise it only finds out, once a second, whether somebody does: GObject does not tell
 * when a handler is connected.
 */
#pragma once

#include <gio/gio.h>

typedef struct _IpcPulse IpcPulse;

typedef struct
{
  gboolean (*is_observed) (GObject *owner);
  /* It is; in the context. May do anything. */
  void     (*look)        (GObject *owner);
} IpcPulseFuncs;

/* Part of the owner. */
typedef struct
{
  GWeakRef owner;
  const IpcPulseFuncs *funcs;
  IpcPulse *pulse;              /* (nullable) NULL: not added */
} IpcPulseClient;

/* CONTEXT (nullable) is that of the owner's signals. */
void ipc_pulse_add    (IpcPulseClient *client, GMainContext *context, GObject *owner, const IpcPulseFuncs *funcs);
/* From finalize, in any thread. Does nothing the second time. */
void ipc_pulse_remove (IpcPulseClient *client);
/* Somebody may be about to listen: do not wait for a second to find out. Any thread. */
void ipc_pulse_stir   (IpcPulseClient *client);
