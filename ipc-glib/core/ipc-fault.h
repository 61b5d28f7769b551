/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the core reports what went wrong: a code, an errno where a system call
 * failed, and a sentence that names the object, the limit and the value.
 * base/ turns it into a GError. A fault never holds memory.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum
{
  IPC_FAULT_NONE,
  IPC_FAULT_SYSTEM, /* see system_errno */
  IPC_FAULT_INVALID_NAME,
  IPC_FAULT_INVALID_ARGUMENT,
  IPC_FAULT_INVALID_DATA,
  IPC_FAULT_VERSION,
  IPC_FAULT_TOO_LARGE,
  IPC_FAULT_ADDRESS_IN_USE,
  IPC_FAULT_UNSAFE_PATH,
  IPC_FAULT_WRONG_TYPE,
  IPC_FAULT_NO_SPACE,
  IPC_FAULT_CORRUPT,
  IPC_FAULT_MISMATCH,
  IPC_FAULT_NOT_FOUND,
  IPC_FAULT_EXISTS,
  IPC_FAULT_LIMIT_EXCEEDED,
  IPC_FAULT_TIMED_OUT,
} IpcFaultCode;

typedef struct
{
  IpcFaultCode code;
  int system_errno;
  char message[384];
} IpcFault;

/* All of them return false, so that a function can end with them. FAULT may be NULL. */
bool ipc_fault_set        (IpcFault *fault, IpcFaultCode code, const char *format, ...) __attribute__ ((format (printf, 3, 4)));
bool ipc_fault_set_errno  (IpcFault *fault, int system_errno, const char *format, ...) __attribute__ ((format (printf, 3, 4)));

/* Writes bytes that came from outside as printable ASCII, `\xNN` for the rest,
 * cut with "..." where they do not fit. Returns BUFFER. */
char *ipc_fault_escape    (char *buffer, size_t buffer_size, const void *bytes, size_t size);
