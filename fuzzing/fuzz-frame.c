/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preamble, header and body of a frame. The input is what this side agreed to
 * (memfd, max_fds, u16 max_length), a header, and what is there of its body.
 */
#include "fuzz.h"

#include <string.h>

#include "core/ipc-frame.h"

#define LIMITS_SIZE 4

/* Once refused, more bytes cannot make it good; and what is good is our own preamble. */
static void
check_preamble (const uint8_t *data, size_t size)
{
  size_t last = MIN (size, IPC_PREAMBLE_SIZE + 2);

  for (size_t n = 0; n <= last; n++)
    {
      IpcFault fault = { 0 };
      size_t same = MIN (n, IPC_PREAMBLE_SIZE);
      bool expected = n == 0 || memcmp (data, ipc_preamble, same) == 0;

      g_assert_cmpint (ipc_preamble_check (data, n, &fault), ==, expected);
      if (!expected)
        g_assert_true (fault.code == IPC_FAULT_VERSION ? n > 4 && memcmp (data, ipc_preamble, 4) == 0
                                                       : fault.code == IPC_FAULT_INVALID_DATA);
    }
}

/* The parts follow one another and fill the body. */
static void
check_parts (const IpcFrame *frame, const uint8_t *body, const IpcFrameBody *parts)
{
  size_t at = frame->type_length;
  IpcFault fault;

  if (frame->type_length > 0)
    {
      g_assert_true (parts->type == (const char *) body);
      g_assert_true (ipc_message_type_check (parts->type, frame->type_length, &fault));
    }
  if (frame->flags & IPC_FRAME_FLAG_HEADERS)
    {
      g_assert_true (parts->headers == body + at + 4);
      at += 4 + (size_t) parts->headers_size;
    }
  g_assert_cmpuint (at, <=, frame->length);
  g_assert_true (parts->payload == body + at);
  g_assert_cmpuint (parts->payload_size, ==, frame->length - at);
}

static void
check_body (const IpcFrame *frame, const uint8_t *data, size_t size)
{
  g_autofree uint8_t *body = g_malloc0 (MAX (frame->length, 1));
  IpcFrameBody parts;
  IpcFault fault = { 0 };

  if (size > 0)
    memcpy (body, data, MIN (size, frame->length));
  if (ipc_frame_split (frame, body, &parts, &fault))
    check_parts (frame, body, &parts);
  else
    g_assert_cmpint (fault.code, ==, IPC_FAULT_INVALID_DATA);
}

static void
check_frame (const IpcFrameLimits *limits, const uint8_t *data, size_t size)
{
  uint8_t again[IPC_FRAME_HEADER_SIZE];
  IpcFault fault = { 0 };
  IpcFrame frame;

  if (!ipc_frame_decode (data, limits, &frame, &fault))
    {
      g_assert_true (fault.code == IPC_FAULT_INVALID_DATA || fault.code == IPC_FAULT_TOO_LARGE);
      return;
    }
  g_assert_cmpuint (frame.length, <=, limits->max_length);
  g_assert_cmpuint (frame.n_fds, <=, limits->max_fds + limits->memfd);
  ipc_frame_encode (&frame, again);
  g_assert_cmpmem (again, sizeof again, data, sizeof again);
  check_body (&frame, data + IPC_FRAME_HEADER_SIZE, size - IPC_FRAME_HEADER_SIZE);
}

/* A NUL is a character for us and an error for GLib. */
static void
check_utf8 (const char *text, size_t size)
{
  const char *end = text;
  size_t offset = size;
  bool good = ipc_utf8_check (text, size, &offset);

  while (!g_utf8_validate_len (end, (gsize) (text + size - end), &end) && *end == '\0')
    end++;
  g_assert_cmpint (good, ==, end == text + size);
  g_assert_cmpuint (offset, ==, (size_t) (end - text));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  check_preamble (data, size);
  check_utf8 ((const char *) data, size);
  if (size > 0)
    ipc_message_type_check ((const char *) data, size, NULL);
  if (size >= LIMITS_SIZE + IPC_FRAME_HEADER_SIZE)
    {
      IpcFrameLimits limits = { (uint32_t) (data[2] | data[3] << 8), data[1], data[0] & 1 };

      check_frame (&limits, data + LIMITS_SIZE, size - LIMITS_SIZE);
    }
  return 0;
}
