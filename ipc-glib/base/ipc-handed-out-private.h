/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a manager has handed out, by name: as long as somebody has it, it is handed out again, and nothing is kept for it. All in the
 * thread of the manager.
 */
#pragma once

#include <glib-object.h>

typedef struct _IpcHandedOut IpcHandedOut;

IpcHandedOut *ipc_handed_out_new      (void);
void          ipc_handed_out_free     (IpcHandedOut *self);
/* In place of another one of that name. */
void          ipc_handed_out_add      (IpcHandedOut *self, const char *name, gpointer object);
/* (transfer full) (nullable) */
gpointer      ipc_handed_out_get      (IpcHandedOut *self, const char *name);
/* (transfer full) (element-type GObject): those that somebody has. */
GPtrArray    *ipc_handed_out_snapshot (IpcHandedOut *self);
