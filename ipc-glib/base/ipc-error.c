/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From what can go wrong to a GError: the faults of the core, errno, and the
 * nicks that go over the wire. Owns nothing.
 */
#include "ipc-error.h"

#include <errno.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "ipc-enums.h"

/**
 * ipc_error_quark:
 *
 * The error domain of ipc-glib.
 *
 * Returns: the quark `ipc-error-quark`
 *
 * Since: 0.1
 */
G_DEFINE_QUARK (ipc-error-quark, ipc_error)

static IpcError
code_of_fault (IpcFaultCode code)
{
  switch (code)
    {
    case IPC_FAULT_INVALID_NAME:
      return IPC_ERROR_INVALID_NAME;
    case IPC_FAULT_INVALID_ARGUMENT:
      return IPC_ERROR_INVALID_ARGUMENT;
    case IPC_FAULT_INVALID_DATA:
      return IPC_ERROR_INVALID_DATA;
    case IPC_FAULT_VERSION:
      return IPC_ERROR_VERSION;
    case IPC_FAULT_TOO_LARGE:
      return IPC_ERROR_TOO_LARGE;
    case IPC_FAULT_ADDRESS_IN_USE:
      return IPC_ERROR_ADDRESS_IN_USE;
    case IPC_FAULT_UNSAFE_PATH:
      return IPC_ERROR_UNSAFE_PATH;
    case IPC_FAULT_WRONG_TYPE:
      return IPC_ERROR_WRONG_TYPE;
    case IPC_FAULT_NO_SPACE:
      return IPC_ERROR_NO_SPACE;
    case IPC_FAULT_CORRUPT:
      return IPC_ERROR_CORRUPT;
    case IPC_FAULT_MISMATCH:
      return IPC_ERROR_MISMATCH;
    case IPC_FAULT_NOT_FOUND:
      return IPC_ERROR_NOT_FOUND;
    case IPC_FAULT_EXISTS:
      return IPC_ERROR_EXISTS;
    case IPC_FAULT_LIMIT_EXCEEDED:
      return IPC_ERROR_LIMIT_EXCEEDED;
    case IPC_FAULT_TIMED_OUT:
      return IPC_ERROR_TIMED_OUT;
    case IPC_FAULT_NONE:
    case IPC_FAULT_SYSTEM:
    default:
      return IPC_ERROR_FAILED;
    }
}

static void
set_literal_errno (GError **error, int system_errno, const char *message)
{
  switch (system_errno)
    {
    case ENOSPC:
    case EDQUOT:
      g_set_error_literal (error, IPC_ERROR, IPC_ERROR_NO_SPACE, message);
      break;
    case EACCES:
    case EPERM:
      g_set_error_literal (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, message);
      break;
    case ELOOP:
      g_set_error_literal (error, IPC_ERROR, IPC_ERROR_UNSAFE_PATH, message);
      break;
    default:
      g_set_error_literal (error, G_IO_ERROR, g_io_error_from_errno (system_errno), message);
      break;
    }
}

void
ipc_error_set_fault (GError **error, const IpcFault *fault, const char *prefix)
{
  g_autofree char *message = NULL;

  message = prefix != NULL ? g_strconcat (prefix, ": ", fault->message, NULL) : g_strdup (fault->message);
  if (fault->code == IPC_FAULT_SYSTEM)
    set_literal_errno (error, fault->system_errno, message);
  else
    g_set_error_literal (error, IPC_ERROR, code_of_fault (fault->code), message);
}

void
ipc_error_set_errno (GError **error, int system_errno, const char *format, ...)
{
  g_autofree char *what = NULL;
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  message = g_strconcat (what, ": ", g_strerror (system_errno), NULL);
  set_literal_errno (error, system_errno, message);
}

/* Kept for ever, so that its strings are constants. */
static GEnumClass *
get_enum_class (void)
{
  static gsize enum_class;

  if (g_once_init_enter (&enum_class))
    g_once_init_leave (&enum_class, (gsize) g_type_class_ref (ipc_error_get_type ()));
  return (GEnumClass *) enum_class;
}

const char *
ipc_error_to_nick (IpcError code)
{
  const GEnumValue *value = g_enum_get_value (get_enum_class (), (int) code);

  return value != NULL ? value->value_nick : "failed";
}

gboolean
ipc_error_from_nick (const char *nick, IpcError *code)
{
  const GEnumValue *value = g_enum_get_value_by_nick (get_enum_class (), nick);

  if (value == NULL)
    return FALSE;
  *code = (IpcError) value->value;
  return TRUE;
}

gboolean
ipc_error_set_forked (const char *object, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_FORKED,
               "%s belongs to the parent process; a forked child makes its own", object);
  return FALSE;
}
