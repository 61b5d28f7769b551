/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What anybody may write into a named pipe: the lines and the HELLO in it. However it comes in pieces, the same comes out; no
 * byte of a good line is lost or made up.
 *
 * The first byte says how large the pieces are, the rest is what is written.
 */
#include "fuzz.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ipc-frame.h"
#include "core/ipc-lines.h"
#include "pipe/ipc-pipe-hello-private.h"

#define MAX_LINE 100

static void
check_hello (const IpcLinesPart *part)
{
  g_autoptr (GBytes) hello = g_bytes_new (part->bytes, part->size);
  g_autoptr (GError) error = NULL;
  g_autofree char *token = NULL;

  g_assert_cmpuint (part->size, >=, IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE);
  g_assert_cmpuint (part->size, <=, PIPE_BUF);
  token = ipc_pipe_hello_get_token (hello, &error);
  g_assert_true ((token == NULL) == (error != NULL));
  g_assert_true (token == NULL || ipc_pipe_token_check (token));
}

static void
append (GString *log, IpcLinesEvent event, IpcLinesPart *part)
{
  g_string_append_c (log, (char) event);
  if (event == IPC_LINES_LINE)
    {
      g_assert_cmpuint (part->size, <=, MAX_LINE);
      g_assert_true (ipc_utf8_check (part->bytes, part->size, NULL));
      g_assert_true (part->size == 0 || memchr (part->bytes, 0, part->size) == NULL);
    }
  if (event == IPC_LINES_HELLO)
    check_hello (part);
  if (event == IPC_LINES_LINE || event == IPC_LINES_HELLO)
    g_string_append_len (log, (const char *) part->bytes, (gssize) part->size);
  free (part->owned);
}

static GString *
run (const uint8_t *data, size_t size, size_t step)
{
  GString *log = g_string_new (NULL);
  IpcLines lines;
  IpcLinesPart part;
  IpcFault fault;
  size_t taken;

  ipc_lines_init (&lines, MAX_LINE);
  for (size_t at = 0; at < size; at += taken)
    {
      size_t n = MIN (step, size - at);
      g_autofree uint8_t *piece = g_memdup2 (data + at, n);
      IpcLinesEvent event = ipc_lines_feed (&lines, piece, n, &taken, &part, &fault);

      g_assert_cmpuint (taken, <=, n);
      g_assert_cmpuint (lines.n_partial, <=, MAX_LINE);
      if (event == IPC_LINES_MORE)
        g_assert_cmpuint (taken, ==, n);
      else
        append (log, event, &part);
    }
  append (log, ipc_lines_finish (&lines, &part, &fault), &part);
  ipc_lines_clear (&lines);
  return log;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GString) whole = NULL, pieces = NULL;

  if (size < 1)
    return 0;
  whole = run (data + 1, size - 1, size);
  pieces = run (data + 1, size - 1, 1u + data[0]);
  g_assert_cmpmem (whole->str, whole->len, pieces->str, pieces->len);
  return 0;
}
