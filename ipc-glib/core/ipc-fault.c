/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
ipc_fault_set (IpcFault *fault, IpcFaultCode code, const char *format, ...)
{
  if (fault != NULL)
    {
      va_list args;

      fault->code = code;
      fault->system_errno = 0;
      va_start (args, format);
      vsnprintf (fault->message, sizeof fault->message, format, args);
      va_end (args);
    }
  return false;
}

bool
ipc_fault_set_errno (IpcFault *fault, int system_errno, const char *format, ...)
{
  if (fault != NULL)
    {
      va_list args;
      size_t used;

      fault->code = system_errno == ENOSPC || system_errno == EDQUOT ? IPC_FAULT_NO_SPACE : IPC_FAULT_SYSTEM;
      fault->system_errno = system_errno;
      va_start (args, format);
      vsnprintf (fault->message, sizeof fault->message, format, args);
      va_end (args);
      used = strlen (fault->message);
      snprintf (fault->message + used, sizeof fault->message - used, ": %s", strerrordesc_np (system_errno));
    }
  return false;
}

char *
ipc_fault_escape (char *buffer, size_t buffer_size, const void *bytes, size_t size)
{
  const unsigned char *from = bytes;
  size_t at = 0;

  for (size_t i = 0; i < size; i++)
    {
      bool printable = from[i] >= 0x20 && from[i] < 0x7f && from[i] != '\\';
      size_t need = printable ? 1 : 4;

      if (at + need + (i + 1 < size ? 4 : 1) > buffer_size)
        {
          snprintf (buffer + at, buffer_size - at, "...");
          return buffer;
        }
      if (printable)
        buffer[at++] = (char) from[i];
      else
        at += (size_t) sprintf (buffer + at, "\\x%02x", from[i]);
    }
  buffer[at] = '\0';
  return buffer;
}
