/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads documents from stdin (u32 size, little-endian, then the bytes) and writes
 * a line for each: "ok", or the code of the fault and its message. Half of them
 * are judged in one go, the others byte by byte. For json-differential.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/ipc-frame.h"
#include "core/ipc-json-validator.h"

static bool
judge_bytewise (IpcJsonValidator *validator, const uint8_t *bytes, size_t size, IpcFault *fault)
{
  IpcJsonStatus status = IPC_JSON_MORE;
  size_t at = 0, taken;

  ipc_json_validator_reset (validator);
  for (; at < size && status == IPC_JSON_MORE; at += taken)
    {
      taken = 0;
      status = ipc_json_validator_feed (validator, bytes + at, 1, &taken, fault);
    }
  if (status == IPC_JSON_MORE)
    status = ipc_json_validator_finish (validator, fault);
  if (status != IPC_JSON_COMPLETE)
    return false;
  for (; at < size; at++)
    if (bytes[at] != ' ' && bytes[at] != '\t' && bytes[at] != '\n' && bytes[at] != '\r')
      return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "data after the document");
  return true;
}

static void
answer (bool good, const IpcFault *fault)
{
  if (good)
    puts ("ok");
  else
    printf ("%d %s\n", (int) fault->code, fault->message);
}

int
main (void)
{
  IpcJsonValidator *validator = ipc_json_validator_new (false);
  uint8_t size_bytes[4];
  bool bytewise = false;

  if (validator == NULL)
    return 1;
  for (; fread (size_bytes, 1, 4, stdin) == 4; bytewise = !bytewise)
    {
      size_t size = ipc_load_le32 (size_bytes);
      uint8_t *bytes = malloc (size + 1);
      IpcFault fault = { 0 };

      if (bytes == NULL || fread (bytes, 1, size, stdin) != size)
        return 1;
      answer (bytewise ? judge_bytewise (validator, bytes, size, &fault)
                       : ipc_json_validate (bytes, size, false, &fault), &fault);
      free (bytes);
    }
  ipc_json_validator_free (validator);
  return 0;
}
