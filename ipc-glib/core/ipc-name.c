/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of objects in a scope. A name becomes a file name beside locks and
 * temporaries (`.NAME.lock`, `.NAME.tmp.*`) and an argument on command lines,
 * which is why it cannot start with `.` or `-`. Nothing is kept; the caller
 * owns the string.
 */
#include "core/ipc-name.h"

#include <string.h>

#define ALLOWED "allowed are A-Z a-z 0-9 . _ -"

static bool
is_name_byte (char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static size_t
count_name_bytes (const char *name)
{
  size_t n = 0;

  while (is_name_byte (name[n]))
    n++;
  return n;
}

bool
ipc_name_check (const char *name, IpcFault *fault)
{
  char shown[128];
  size_t size, good;

  if (name == NULL || *name == '\0')
    return ipc_fault_set (fault, IPC_FAULT_INVALID_NAME, "name is empty");

  size = strlen (name);
  ipc_fault_escape (shown, sizeof shown, name, size);
  if (size > IPC_NAME_MAX)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_NAME, "name \"%s\" has %zu bytes, limit %d",
                          shown, size, IPC_NAME_MAX);

  good = count_name_bytes (name);
  if (good < size)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_NAME, "name \"%s\" has byte 0x%02x at %zu; " ALLOWED,
                          shown, (unsigned char) name[good], good);

  if (name[0] == '.' || name[0] == '-')
    return ipc_fault_set (fault, IPC_FAULT_INVALID_NAME, "name \"%s\" starts with \"%c\"", shown, name[0]);
  return true;
}
