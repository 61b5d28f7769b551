/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ipc-fault.h"
#include "core/ipc-fork.h"
#include "ipc-error.h"

/* Turns a fault of the core into a GError; PREFIX (nullable) names the object and is put in front. */
void        ipc_error_set_fault (GError **error, const IpcFault *fault, const char *prefix);

/* Sets an error from ERRNO (g_io_error_from_errno() where IpcError has no code of its own). */
void        ipc_error_set_errno (GError **error, int system_errno, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* The nick that goes over the wire ("unknown-type"), and back; FALSE for a nick that is not one. */
const char *ipc_error_to_nick   (IpcError code);
gboolean    ipc_error_from_nick (const char *nick, IpcError *code);

/* FALSE with IPC_ERROR_FORKED when the process is not the one that made the object. */
gboolean    ipc_error_set_forked (const char *object, GError **error);

static inline gboolean
ipc_error_check_fork (unsigned made_in_generation, const char *object, GError **error)
{
  return G_LIKELY (made_in_generation == ipc_fork_generation ()) || ipc_error_set_forked (object, error);
}
