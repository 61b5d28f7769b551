/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The member names of the objects that are open while a JSON document is read,
 * decoded, in one arena and in the order they came: those of the innermost
 * object are the last ones, and leave together when it closes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a typical message needs, so that it costs no allocation. */
#define IPC_JSON_NAMES_INLINE_BYTES 512
#define IPC_JSON_NAMES_INLINE 32

typedef struct
{
  size_t start;        /* in the arena */
  size_t size;
  uint64_t offset;     /* of its opening quote in the document */
} IpcJsonName;

/* Must not be moved: it may point into itself. */
typedef struct
{
  uint8_t *bytes;      /* (owned) unless inline_bytes */
  size_t n_bytes, bytes_capacity;
  IpcJsonName *names;  /* (owned) unless inline_names */
  size_t n_names, names_capacity;
  uint8_t inline_bytes[IPC_JSON_NAMES_INLINE_BYTES];
  IpcJsonName inline_names[IPC_JSON_NAMES_INLINE];
} IpcJsonNames;

void ipc_json_names_init   (IpcJsonNames *self);
void ipc_json_names_clear  (IpcJsonNames *self);
/* Empty again; keeps its memory where that is small. */
void ipc_json_names_reset  (IpcJsonNames *self);

/* A name begins, bytes are added to it, it ends. False: there is no memory. */
bool ipc_json_names_begin  (IpcJsonNames *self, uint64_t offset);
bool ipc_json_names_append (IpcJsonNames *self, const uint8_t *bytes, size_t size);
void ipc_json_names_end    (IpcJsonNames *self);

/* Among the names from number FIRST on, the first one to repeat an earlier one;
 * NULL if all differ. Their order is not kept. Takes N log N. */
const IpcJsonName *ipc_json_names_find_duplicate (IpcJsonNames *self, size_t first);
/* Forgets the names from number FIRST on, whose bytes start at START. */
void ipc_json_names_cut    (IpcJsonNames *self, size_t first, size_t start);
