/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A strict, iterative RFC 8259 validator that takes its input in pieces.
 *
 * json-glib never sees bytes that have not passed it: json-glib crashes on deep
 * nesting, wraps integers, accepts comments and drops a second document.
 * Refused are: nesting deeper than 64; more than 65,536 values (members of
 * objects and elements of arrays, containers and scalars, each one); integers outside
 * gint64; numbers that overflow a double; duplicate member names (compared after
 * unescaping); U+0000 in any spelling; lone surrogates; invalid UTF-8; a byte
 * order mark; whatever RFC 8259 does not allow. Linear time, no recursion,
 * memory bounded by what was fed and by the limits.
 */
#pragma once

#include "core/ipc-fault.h"

#define IPC_JSON_MAX_DEPTH 64
#define IPC_JSON_MAX_VALUES 65536

typedef struct _IpcJsonValidator IpcJsonValidator;

typedef enum
{
  IPC_JSON_MORE,     /* everything was taken; the document is not complete */
  IPC_JSON_COMPLETE, /* the document ended; what was not taken belongs to the next */
  IPC_JSON_INVALID,  /* see the fault */
} IpcJsonStatus;

/* NULL if there is no memory. OBJECT_ONLY: the document must be an object. */
IpcJsonValidator *ipc_json_validator_new    (bool object_only);
void              ipc_json_validator_free   (IpcJsonValidator *self);
/* Ready for the next document; keeps its memory where that is small. */
void              ipc_json_validator_reset  (IpcJsonValidator *self);

/* Takes up to SIZE bytes; *TAKEN is how many. White space before the document is
 * taken; none after it. A top-level scalar number is never complete by itself
 * (ipc_json_validator_finish() ends it). After IPC_JSON_COMPLETE or
 * IPC_JSON_INVALID, reset before feeding again. A fault names the byte offset
 * in the document, counted from the first byte fed since the last reset. */
IpcJsonStatus     ipc_json_validator_feed   (IpcJsonValidator *self, const void *bytes, size_t size, size_t *taken, IpcFault *fault);
/* There is no more input: COMPLETE or INVALID (empty or unfinished document). */
IpcJsonStatus     ipc_json_validator_finish (IpcJsonValidator *self, IpcFault *fault);

/* A whole document in one go: one value, white space around it, nothing else. */
bool              ipc_json_validate         (const void *bytes, size_t size, bool object_only, IpcFault *fault);
