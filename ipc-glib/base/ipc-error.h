/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

/**
 * IPC_ERROR:
 *
 * The error domain of ipc-glib; its codes are [error@Ipc.Error].
 *
 * Since: 0.1
 */
#define IPC_ERROR (ipc_error_quark ())

/**
 * IpcError:
 * @IPC_ERROR_FAILED: something else went wrong
 * @IPC_ERROR_INVALID_NAME: not a name; allowed are 1 to 64 of `[A-Za-z0-9._-]`, not starting with `.` or `-`
 * @IPC_ERROR_INVALID_ARGUMENT: an argument has a value that it cannot have
 * @IPC_ERROR_INVALID_DATA: malformed bytes, or a malformed payload
 * @IPC_ERROR_CORRUPT: stored or shared state does not make sense
 * @IPC_ERROR_VERSION: the other side speaks another version
 * @IPC_ERROR_TOO_LARGE: larger than a limit
 * @IPC_ERROR_NOT_FOUND: nothing of that name
 * @IPC_ERROR_EXISTS: something of that name is there already
 * @IPC_ERROR_ADDRESS_IN_USE: another server owns the address
 * @IPC_ERROR_UNSAFE_PATH: a symbolic link, a foreign owner or a too open mode on the way to a file
 * @IPC_ERROR_WRONG_TYPE: a file of another type is there; it is left alone
 * @IPC_ERROR_MISMATCH: it exists, with another shape than asked for
 * @IPC_ERROR_LIMIT_EXCEEDED: one more than a limit allows
 * @IPC_ERROR_FULL: a queue is full
 * @IPC_ERROR_NO_SPACE: no space left where the data would go
 * @IPC_ERROR_OUT_OF_BOUNDS: outside the object
 * @IPC_ERROR_PERMISSION_DENIED: the other side, or the object, does not allow it
 * @IPC_ERROR_NOT_CONNECTED: there is no connection; nothing was sent, so it is safe to repeat
 * @IPC_ERROR_NO_SERVER: nobody serves the address
 * @IPC_ERROR_CLOSED: it was closed
 * @IPC_ERROR_UNCERTAIN: the request was sent, and its outcome is unknown; or it was done, and may be gone after a power cut
 * @IPC_ERROR_TIMED_OUT: it took longer than the timeout
 * @IPC_ERROR_UNKNOWN_TYPE: the peer has no handler for that type of message
 * @IPC_ERROR_REMOTE: the peer answered with an error of its own
 * @IPC_ERROR_NOT_HELD: not held by the caller
 * @IPC_ERROR_OWNER_DIED: the process that held it died
 * @IPC_ERROR_LEASE_LOST: the lease ran out and somebody else may have it
 * @IPC_ERROR_DELETED: the object was deleted
 * @IPC_ERROR_FORKED: the object belongs to the parent process
 * @IPC_ERROR_UNSUPPORTED: not supported here
 * @IPC_ERROR_ALREADY: already done, for instance started twice
 *
 * What can go wrong. Codes are only ever added at the end.
 *
 * Cancellation is %G_IO_ERROR_CANCELLED; errors of the system that have no code
 * here are reported as `GIOErrorEnum`.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_ERROR_FAILED,
  IPC_ERROR_INVALID_NAME,
  IPC_ERROR_INVALID_ARGUMENT,
  IPC_ERROR_INVALID_DATA,
  IPC_ERROR_CORRUPT,
  IPC_ERROR_VERSION,
  IPC_ERROR_TOO_LARGE,
  IPC_ERROR_NOT_FOUND,
  IPC_ERROR_EXISTS,
  IPC_ERROR_ADDRESS_IN_USE,
  IPC_ERROR_UNSAFE_PATH,
  IPC_ERROR_WRONG_TYPE,
  IPC_ERROR_MISMATCH,
  IPC_ERROR_LIMIT_EXCEEDED,
  IPC_ERROR_FULL,
  IPC_ERROR_NO_SPACE,
  IPC_ERROR_OUT_OF_BOUNDS,
  IPC_ERROR_PERMISSION_DENIED,
  IPC_ERROR_NOT_CONNECTED,
  IPC_ERROR_NO_SERVER,
  IPC_ERROR_CLOSED,
  IPC_ERROR_UNCERTAIN,
  IPC_ERROR_TIMED_OUT,
  IPC_ERROR_UNKNOWN_TYPE,
  IPC_ERROR_REMOTE,
  IPC_ERROR_NOT_HELD,
  IPC_ERROR_OWNER_DIED,
  IPC_ERROR_LEASE_LOST,
  IPC_ERROR_DELETED,
  IPC_ERROR_FORKED,
  IPC_ERROR_UNSUPPORTED,
  IPC_ERROR_ALREADY,
} IpcError;

IPC_AVAILABLE_IN_0_1
GQuark ipc_error_quark (void);

G_END_DECLS
