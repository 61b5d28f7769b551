/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What comes out of a named pipe that anybody may write to: lines of text, and between them, or in the middle of one, the
 * HELLO of a client of the library.
 *
 * A write of at most PIPE_BUF bytes stays whole in a pipe, so a HELLO does; a longer line may be in several pieces, and then
 * what others wrote may be between them. A NUL byte, which no line may have, begins a HELLO; the line goes on behind it.
 *
 * Bytes are pushed in as they come. Memory grows with what came of the unfinished line, up to the limit.
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "core/ipc-fault.h"

typedef enum
{
  IPC_LINES_MORE,               /* everything was taken, and nothing is whole */
  IPC_LINES_LINE,               /* a line, without its newline */
  IPC_LINES_HELLO,              /* preamble and HELLO frame; what is in the frame was not looked at */
  IPC_LINES_BAD,                /* the fault says what was lost */
} IpcLinesEvent;

typedef struct
{
  size_t max_line;              /* bytes, without the newline; at most SIZE_MAX / 2 */
  uint8_t *partial;             /* (owned) the unfinished line */
  size_t n_partial;
  size_t capacity;
  bool skipping;                /* up to the next newline */
  uint8_t hello[PIPE_BUF];      /* the unfinished HELLO */
  size_t n_hello;
  size_t hello_size;            /* 0 as long as it is not known */
} IpcLines;

/* What was found. It lies in what was fed, or is in OWNED. */
typedef struct
{
  const uint8_t *bytes;
  size_t size;
  uint8_t *owned;               /* (nullable) for the caller to free() */
} IpcLinesPart;

void          ipc_lines_init   (IpcLines *self, size_t max_line);
void          ipc_lines_clear  (IpcLines *self);
/* Takes up to SIZE bytes, until something is found; *TAKEN is how many. */
IpcLinesEvent ipc_lines_feed   (IpcLines *self, const uint8_t *bytes, size_t size, size_t *taken, IpcLinesPart *part, IpcFault *fault);
/* Nobody is there who would go on: what is unfinished is a line, if it is one. */
IpcLinesEvent ipc_lines_finish (IpcLines *self, IpcLinesPart *part, IpcFault *fault);
