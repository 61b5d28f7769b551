/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame codec: hand-made vectors byte for byte, every value of every byte
 * that has few, every split of the preamble, and UTF-8 against a second opinion.
 */
#include <glib.h>
#include <string.h>

#include "core/ipc-frame.h"

#include "ipc-test.h"

#define SOME_TIME G_GINT64_CONSTANT (1700000000123456)

static const IpcFrameLimits plain_limits = { .max_length = 1024, .max_fds = 16, .memfd = false };
static const IpcFrameLimits memfd_limits = { .max_length = 1024, .max_fds = 16, .memfd = true };

typedef struct
{
  const char *name;
  IpcFrame frame;
  guint8 bytes[IPC_FRAME_HEADER_SIZE];
} Vector;

#define TIME_BYTES 0x40, 0x22, 0x20, 0x18, 0x24, 0x0a, 0x06, 0x00
#define ZERO_BYTES 0, 0, 0, 0, 0, 0, 0, 0

static const Vector vectors[] = {
  { "hello", { 0, IPC_FRAME_HELLO, 3, 0, 0, 0, 0, 0 },
    { 0, 0, 0, 0, 0x01, 0x03, 0, 0, ZERO_BYTES, ZERO_BYTES, ZERO_BYTES } },
  { "event", { 260, IPC_FRAME_EVENT, 1, 0, 4, 0, 0, SOME_TIME },
    { 0x04, 0x01, 0, 0, 0x02, 0x01, 0, 4, ZERO_BYTES, ZERO_BYTES, TIME_BYTES } },
  { "request", { 0x3ff, IPC_FRAME_REQUEST, 0x83, 16, 255, IPC_FRAME_MAX_SERIAL, 0, -1 },
    { 0xff, 0x03, 0, 0, 0x03, 0x83, 16, 255, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0x00, ZERO_BYTES,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
  { "reply", { 9, IPC_FRAME_REPLY, 2, 1, 5, 0, 0x0102030405060708, SOME_TIME },
    { 9, 0, 0, 0, 0x04, 0x02, 1, 5, ZERO_BYTES, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, TIME_BYTES } },
  { "error", { 30, IPC_FRAME_ERROR, 0x81, 0, 12, 0, 0, SOME_TIME },
    { 30, 0, 0, 0, 0x05, 0x81, 0, 12, ZERO_BYTES, ZERO_BYTES, TIME_BYTES } },
  { "cancel", { 0, IPC_FRAME_CANCEL, 0, 0, 0, 0, 7, 0 },
    { 0, 0, 0, 0, 0x06, 0, 0, 0, ZERO_BYTES, 7, 0, 0, 0, 0, 0, 0, 0, ZERO_BYTES } },
  { "goodbye", { 0, IPC_FRAME_GOODBYE, 0, 0, 0, 0, 0, 0 },
    { 0, 0, 0, 0, 0x07, 0, 0, 0, ZERO_BYTES, ZERO_BYTES, ZERO_BYTES } },
  { "ping", { 0, IPC_FRAME_PING, 0, 0, 0, 3, 0, 0 },
    { 0, 0, 0, 0, 0x08, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, ZERO_BYTES, ZERO_BYTES } },
  { "pong", { 0, IPC_FRAME_PONG, 0, 0, 0, 0, 3, 0 },
    { 0, 0, 0, 0, 0x09, 0, 0, 0, ZERO_BYTES, 3, 0, 0, 0, 0, 0, 0, 0, ZERO_BYTES } },
  { "memfd", { 12, IPC_FRAME_EVENT, 0x40, 17, 4, 0, 0, 0 },
    { 12, 0, 0, 0, 0x02, 0x40, 17, 4, ZERO_BYTES, ZERO_BYTES, ZERO_BYTES } },
};

static void
assert_same_frame (const IpcFrame *a, const IpcFrame *b)
{
  g_assert_cmpuint (a->length, ==, b->length);
  g_assert_cmpuint (a->kind, ==, b->kind);
  g_assert_cmphex (a->flags, ==, b->flags);
  g_assert_cmpuint (a->n_fds, ==, b->n_fds);
  g_assert_cmpuint (a->type_length, ==, b->type_length);
  g_assert_cmpuint (a->serial, ==, b->serial);
  g_assert_cmpuint (a->reply_serial, ==, b->reply_serial);
  g_assert_cmpint (a->timestamp, ==, b->timestamp);
}

static void
test_vectors (IpcTest *test)
{
  for (gsize i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      guint8 bytes[IPC_FRAME_HEADER_SIZE];
      IpcFrame frame;
      IpcFault fault;

      g_test_message ("%s", vectors[i].name);
      ipc_frame_encode (&vectors[i].frame, bytes);
      g_assert_cmpmem (bytes, sizeof bytes, vectors[i].bytes, sizeof bytes);
      g_assert_true (ipc_frame_decode (bytes, &memfd_limits, &frame, &fault));
      assert_same_frame (&frame, &vectors[i].frame);
    }
}

/* A frame of each kind that is good under plain_limits. */
static IpcFrame
good_frame (int kind)
{
  IpcFrame frame = { .kind = (guint8) kind, .timestamp = SOME_TIME };

  if (kind >= IPC_FRAME_EVENT && kind <= IPC_FRAME_ERROR)
    {
      frame.type_length = 4;
      frame.length = 20;
      frame.flags = 1;
    }
  if (kind == IPC_FRAME_REQUEST)
    frame.serial = 1;
  if (kind == IPC_FRAME_REPLY || kind == IPC_FRAME_CANCEL)
    frame.reply_serial = 1;
  return frame;
}

static gboolean
decode (const IpcFrame *frame, const IpcFrameLimits *limits, IpcFault *fault)
{
  guint8 bytes[IPC_FRAME_HEADER_SIZE];
  IpcFrame untouched, read;

  memset (&untouched, 0xa5, sizeof untouched);
  memcpy (&read, &untouched, sizeof read);
  fault->code = IPC_FAULT_NONE;
  ipc_frame_encode (frame, bytes);
  if (ipc_frame_decode (bytes, limits, &read, fault))
    {
      g_assert_cmpint (fault->code, ==, IPC_FAULT_NONE);
      assert_same_frame (&read, frame);
      return TRUE;
    }
  g_assert_cmpint (fault->code, !=, IPC_FAULT_NONE);
  g_assert_cmpmem (&read, sizeof read, &untouched, sizeof untouched);
  g_assert_false (ipc_frame_decode (bytes, limits, &read, NULL));
  return FALSE;
}

static void
assert_decodes (const IpcFrame *frame, const IpcFrameLimits *limits)
{
  IpcFault fault;

  if (!decode (frame, limits, &fault))
    g_error ("refused: %s", fault.message);
}

static void
assert_refused (const IpcFrame *frame, const IpcFrameLimits *limits, IpcFaultCode code, const char *message)
{
  IpcFault fault;

  g_assert_false (decode (frame, limits, &fault));
  g_assert_cmpint (fault.code, ==, code);
  if (message != NULL)
    g_assert_cmpstr (fault.message, ==, message);
}

static void
test_every_kind (IpcTest *test)
{
  for (int kind = 0; kind < 256; kind++)
    {
      IpcFrame frame = good_frame (kind);

      if (kind >= 1 && kind <= 9)
        assert_decodes (&frame, &plain_limits);
      else
        assert_refused (&frame, &plain_limits, IPC_FAULT_INVALID_DATA, NULL);
    }
}

static gboolean
format_fits (int kind, int format)
{
  switch (kind)
    {
    case IPC_FRAME_HELLO:
      return format == 0 || format == 3;
    case IPC_FRAME_ERROR:
      return format == 0 || format == 1;
    default:
      return format <= 3;
    }
}

/* All that DESIGN says of flags, n_fds and type_length, said once more and otherwise. */
static gboolean
is_allowed (int kind, int flags, int n_fds, int type_length, gboolean memfd_agreed)
{
  gboolean carries = kind >= 2 && kind <= 4, typed = kind >= 2 && kind <= 5, memfd = (flags & 0x40) != 0;

  if (kind >= 6)
    return flags == 0 && n_fds == 0 && type_length == 0;
  if ((flags & 0x38) || !format_fits (kind, flags & 7) || (type_length > 0) != typed)
    return FALSE;
  if (memfd && !(memfd_agreed && carries && n_fds >= 1))
    return FALSE;
  return n_fds <= (carries ? 16 + memfd : 0);
}

/* Every value of flags with the descriptor counts that matter. */
static void
test_every_flag (IpcTest *test)
{
  const int counts[] = { 0, 1, 15, 16, 17, 18, 255 };

  for (int kind = 1; kind <= 9; kind++)
    for (int flags = 0; flags < 256; flags++)
      for (gsize i = 0; i < G_N_ELEMENTS (counts); i++)
        for (int agreed = 0; agreed <= 1; agreed++)
          {
            const IpcFrameLimits *limits = agreed ? &memfd_limits : &plain_limits;
            IpcFrame frame = good_frame (kind);

            frame.flags = (guint8) flags;
            frame.n_fds = (guint8) counts[i];
            if (kind < 6)
              frame.length = frame.type_length + 4 * (flags >> 7) + 8 * (flags >> 6 & 1);
            if (is_allowed (kind, flags, counts[i], frame.type_length, agreed))
              assert_decodes (&frame, limits);
            else
              assert_refused (&frame, limits, IPC_FAULT_INVALID_DATA, NULL);
          }
}

static void
test_every_n_fds (IpcTest *test)
{
  for (int max = 0; max < 256; max += 5)
    for (int n_fds = 0; n_fds < 256; n_fds++)
      for (int kind = 1; kind <= 9; kind++)
        {
          IpcFrameLimits limits = { .max_length = 1024, .max_fds = (guint8) max };
          IpcFrame frame = good_frame (kind);

          frame.n_fds = (guint8) n_fds;
          if (n_fds == 0 || (kind >= 2 && kind <= 4 && n_fds <= max))
            assert_decodes (&frame, &limits);
          else
            assert_refused (&frame, &limits, IPC_FAULT_INVALID_DATA, NULL);
        }
}

static void
test_every_type_length (IpcTest *test)
{
  for (int kind = 1; kind <= 9; kind++)
    for (int type_length = 0; type_length < 256; type_length++)
      {
        gboolean typed = kind >= 2 && kind <= 5;
        IpcFrame frame = good_frame (kind);

        frame.type_length = (guint8) type_length;
        frame.length = kind < 6 ? 300 : 0;
        if ((type_length > 0) == typed)
          assert_decodes (&frame, &plain_limits);
        else
          assert_refused (&frame, &plain_limits, IPC_FAULT_INVALID_DATA, NULL);
      }
}

static void
test_length_limit (IpcTest *test)
{
  const guint32 limits[] = { 0, 4, 1023, 1024, 16 * 1024 * 1024, 0x7fffffff, 0xfffffffe };
  IpcFrame frame = good_frame (IPC_FRAME_EVENT);

  for (gsize i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      IpcFrameLimits wanted = { .max_length = limits[i] };
      g_autofree char *message = NULL;

      frame.length = limits[i] + 1;
      message = g_strdup_printf ("frame of %u bytes exceeds the limit of %u", frame.length, limits[i]);
      assert_refused (&frame, &wanted, IPC_FAULT_TOO_LARGE, message);
      frame.length = limits[i];
      if (limits[i] >= 4)
        assert_decodes (&frame, &wanted);
    }
  frame.length = 0xffffffff;
  assert_refused (&frame, &plain_limits, IPC_FAULT_TOO_LARGE, "frame of 4294967295 bytes exceeds the limit of 1024");
  frame.length = 0x80000000;
  assert_refused (&frame, &plain_limits, IPC_FAULT_TOO_LARGE, "frame of 2147483648 bytes exceeds the limit of 1024");
}

/* The length has to hold the type, the size of the headers and the size of the memfd. */
static void
test_length_floor (IpcTest *test)
{
  for (int flags = 0; flags < 256; flags += 0x40)
    for (guint32 length = 0; length < 64; length++)
      {
        guint32 least = 10 + (flags & 0x80 ? 4 : 0) + (flags & 0x40 ? 8 : 0);
        gboolean exact = (flags & 0xc0) == 0x40;
        IpcFrame frame = { length, IPC_FRAME_REPLY, (guint8) flags, 1, 10, 0, 1, 0 };

        if (exact ? length == least : length >= least)
          assert_decodes (&frame, &memfd_limits);
        else
          assert_refused (&frame, &memfd_limits, IPC_FAULT_INVALID_DATA, NULL);
      }
  for (int kind = IPC_FRAME_CANCEL; kind <= IPC_FRAME_PONG; kind++)
    {
      IpcFrame frame = good_frame (kind);

      frame.length = 1;
      assert_refused (&frame, &plain_limits, IPC_FAULT_INVALID_DATA, NULL);
    }
}

static gboolean
serials_fit (int kind, guint64 serial, guint64 reply_serial)
{
  switch (kind)
    {
    case IPC_FRAME_HELLO:
    case IPC_FRAME_EVENT:
      return serial == 0;
    case IPC_FRAME_REQUEST:
      return serial >= 1 && serial < G_GUINT64_CONSTANT (1) << 53 && reply_serial == 0;
    case IPC_FRAME_REPLY:
    case IPC_FRAME_CANCEL:
      return reply_serial >= 1;
    default:
      return TRUE;
    }
}

static void
test_serials (IpcTest *test)
{
  const guint64 values[] = { 0, 1, 255, G_MAXUINT32, IPC_FRAME_MAX_SERIAL, IPC_FRAME_MAX_SERIAL + 1, G_MAXUINT64 };

  for (int kind = 1; kind <= 9; kind++)
    for (gsize i = 0; i < G_N_ELEMENTS (values); i++)
      for (gsize j = 0; j < G_N_ELEMENTS (values); j++)
        {
          IpcFrame frame = good_frame (kind);

          frame.serial = values[i];
          frame.reply_serial = values[j];
          if (serials_fit (kind, values[i], values[j]))
            assert_decodes (&frame, &plain_limits);
          else
            assert_refused (&frame, &plain_limits, IPC_FAULT_INVALID_DATA, NULL);
        }
}

static void
test_messages (IpcTest *test)
{
  struct { IpcFrame frame; const char *message; } cases[] = {
    { { .kind = 10 }, "unknown frame kind 10" },
    { { .kind = IPC_FRAME_EVENT, .flags = 0x21, .type_length = 1, .length = 1 },
      "EVENT frame has reserved flags 0x20" },
    { { .kind = IPC_FRAME_PING, .flags = 0x80 }, "PING frame has flags 0x80, expected none" },
    { { .kind = IPC_FRAME_REPLY, .flags = 5 }, "REPLY frame has payload format 5" },
    { { .kind = IPC_FRAME_EVENT, .flags = 0x40 }, "EVENT frame has a memfd payload, which was not agreed on" },
    { { .kind = IPC_FRAME_ERROR, .flags = 0x40 }, "ERROR frame has a memfd payload, which it cannot have" },
    { { .kind = IPC_FRAME_EVENT, .n_fds = 17 }, "EVENT frame carries 17 descriptors, limit 16" },
    { { .kind = IPC_FRAME_HELLO, .n_fds = 1 }, "HELLO frame carries 1 descriptors, expected none" },
    { { .kind = IPC_FRAME_EVENT }, "EVENT frame has no message type" },
    { { .kind = IPC_FRAME_PONG, .type_length = 3 }, "PONG frame has a message type of 3 bytes, expected none" },
    { { .kind = IPC_FRAME_GOODBYE, .length = 3 }, "GOODBYE frame has a body of 3 bytes, expected none" },
    { { .kind = IPC_FRAME_EVENT, .type_length = 9, .flags = 0x80, .length = 12 },
      "EVENT frame of 12 bytes cannot hold the 13 it announces" },
    { { .kind = IPC_FRAME_EVENT, .type_length = 1, .length = 1, .serial = 4 }, "EVENT frame has serial 4, expected 0" },
    { { .kind = IPC_FRAME_REQUEST, .type_length = 1, .length = 1 },
      "REQUEST frame has serial 0, expected 1 to 9007199254740991" },
    { { .kind = IPC_FRAME_REQUEST, .type_length = 1, .length = 1, .serial = 1, .reply_serial = 2 },
      "REQUEST frame has reply serial 2, expected 0" },
    { { .kind = IPC_FRAME_CANCEL }, "CANCEL frame has reply serial 0" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_refused (&cases[i].frame, &plain_limits, IPC_FAULT_INVALID_DATA, cases[i].message);
}

/* ---- the preamble ---- */

static void
test_preamble (IpcTest *test)
{
  const guint8 good[] = { 0x00, 0x49, 0x50, 0x43, 0x01, 0x0d, 0x0a, 0x00, 0xff };

  g_assert_cmpmem (ipc_preamble, IPC_PREAMBLE_SIZE, good, IPC_PREAMBLE_SIZE);
  g_assert_true (ipc_preamble_check (NULL, 0, NULL));
  for (gsize size = 0; size <= sizeof good; size++)
    g_assert_true (ipc_preamble_check (good, size, NULL));
}

/* Every wrong value of every byte, seen as soon as that byte is there and not before. */
static void
test_preamble_every_byte (IpcTest *test)
{
  for (gsize at = 0; at < IPC_PREAMBLE_SIZE; at++)
    for (int value = 0; value < 256; value++)
      for (gsize size = 0; size <= IPC_PREAMBLE_SIZE; size++)
        {
          guint8 bytes[IPC_PREAMBLE_SIZE];
          IpcFault fault = { 0 };

          memcpy (bytes, ipc_preamble, sizeof bytes);
          bytes[at] = (guint8) value;
          if (value == ipc_preamble[at] || size <= at)
            {
              g_assert_true (ipc_preamble_check (bytes, size, &fault));
              continue;
            }
          g_assert_false (ipc_preamble_check (bytes, size, &fault));
          g_assert_cmpint (fault.code, ==, at == 4 ? IPC_FAULT_VERSION : IPC_FAULT_INVALID_DATA);
          g_assert_false (ipc_preamble_check (bytes, size, NULL));
        }
}

static void
test_preamble_messages (IpcTest *test)
{
  struct { const char *bytes; gsize size; IpcFaultCode code; const char *message; } cases[] = {
    { "GET / HTTP/1.1", 14, IPC_FAULT_INVALID_DATA, "bad magic \"GET / HT\"" },
    { "G", 1, IPC_FAULT_INVALID_DATA, "bad magic \"G\"" },
    { "\0AUTH EXTERNAL", 14, IPC_FAULT_INVALID_DATA, "bad magic \"\\x00AUTH EX\"" },
    { "\0IPC\377\r\n\0", 8, IPC_FAULT_VERSION, "peer speaks 255, we speak 1" },
    { "\0IPC\0\r\n\0", 8, IPC_FAULT_VERSION, "peer speaks 0, we speak 1" },
    { "\0IPC\2", 5, IPC_FAULT_VERSION, "peer speaks 2, we speak 1" },
    { "\0IPC\2 later", 11, IPC_FAULT_VERSION, "peer speaks 2, we speak 1" },
    { "\0IPX\2\r\n\0", 8, IPC_FAULT_INVALID_DATA, "bad magic \"\\x00IPX\\x02\\x0d\\x0a\\x00\"" },
    { "\0IPC\1\n\n\0", 8, IPC_FAULT_INVALID_DATA, "bad magic \"\\x00IPC\\x01\\x0a\\x0a\\x00\"" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      IpcFault fault = { 0 };

      g_assert_false (ipc_preamble_check ((const guint8 *) cases[i].bytes, cases[i].size, &fault));
      g_assert_cmpint (fault.code, ==, cases[i].code);
      g_assert_cmpstr (fault.message, ==, cases[i].message);
    }
}

/* ---- bodies ---- */

static void
test_split (IpcTest *test)
{
  const guint8 body[] = { 'e', 'c', 'h', 'o', 3, 0, 0, 0, 'a', 'b', 'c', 'P', 'A', 'Y' };
  IpcFrame frame = { sizeof body, IPC_FRAME_EVENT, 0x80, 0, 4, 0, 0, 0 };
  IpcFrameBody parts;

  g_assert_true (ipc_frame_split (&frame, body, &parts, NULL));
  g_assert_cmpmem (parts.type, 4, "echo", 4);
  g_assert_cmpmem (parts.headers, parts.headers_size, "abc", 3);
  g_assert_cmpmem (parts.payload, parts.payload_size, "PAY", 3);

  frame.flags = 0;
  g_assert_true (ipc_frame_split (&frame, body, &parts, NULL));
  g_assert_null (parts.headers);
  g_assert_cmpuint (parts.headers_size, ==, 0);
  g_assert_cmpmem (parts.payload, parts.payload_size, body + 4, 10);
}

static void
test_split_empty (IpcTest *test)
{
  IpcFrame frame = { .kind = IPC_FRAME_PING };
  IpcFrameBody parts;

  g_assert_true (ipc_frame_split (&frame, NULL, &parts, NULL));
  g_assert_cmpuint (parts.payload_size, ==, 0);
  g_assert_null (parts.headers);
  frame = (IpcFrame) { .kind = IPC_FRAME_HELLO, .flags = 3, .length = 2 };
  g_assert_true (ipc_frame_split (&frame, (const guint8 *) "xy", &parts, NULL));
  g_assert_cmpmem (parts.payload, parts.payload_size, "xy", 2);
}

/* Every size the headers can claim, in a body of exactly that many bytes on the heap. */
static void
test_split_headers (IpcTest *test)
{
  for (guint32 room = 0; room < 20; room++)
    for (guint32 claim = 0; claim < 24; claim++)
      {
        IpcFrame frame = { 1 + 4 + room, IPC_FRAME_EVENT, 0x80, 0, 1, 0, 0, 0 };
        g_autofree guint8 *body = g_malloc0 (frame.length);
        IpcFrameBody parts = { .payload_size = 12345 };
        IpcFault fault = { 0 };

        body[0] = 't';
        ipc_store_le32 (body + 1, claim);
        g_assert_cmpint (ipc_frame_split (&frame, body, &parts, &fault), ==, claim <= room);
        g_assert_cmpint (fault.code, ==, claim <= room ? IPC_FAULT_NONE : IPC_FAULT_INVALID_DATA);
        g_assert_cmpuint (parts.payload_size, ==, claim <= room ? room - claim : 12345);
      }
}

static void
test_split_huge_headers (IpcTest *test)
{
  guint8 body[] = { 't', 0xff, 0xff, 0xff, 0xff, 'x' };
  IpcFrame frame = { sizeof body, IPC_FRAME_EVENT, 0x80, 0, 1, 0, 0, 0 };
  IpcFrameBody parts;
  IpcFault fault;

  g_assert_false (ipc_frame_split (&frame, body, &parts, &fault));
  g_assert_cmpstr (fault.message, ==, "headers of 4294967295 bytes in a frame with room for 1");
}

static void
test_split_memfd (IpcTest *test)
{
  for (guint32 headers = 0; headers < 20; headers++)
    {
      guint8 body[1 + 4 + 16] = { 't' };
      IpcFrame frame = { sizeof body, IPC_FRAME_EVENT, 0xc0, 1, 1, 0, 0, 0 };
      IpcFrameBody parts;
      IpcFault fault = { 0 };

      ipc_store_le32 (body + 1, headers);
      g_assert_cmpint (ipc_frame_split (&frame, body, &parts, &fault), ==, headers == 8);
      if (headers != 8)
        g_assert_cmpint (fault.code, ==, IPC_FAULT_INVALID_DATA);
    }
}

static void
test_split_type (IpcTest *test)
{
  const guint8 body[] = { 'a', 0xff, 'b' };
  IpcFrame frame = { sizeof body, IPC_FRAME_REQUEST, 0, 0, 2, 1, 0, 0 };
  IpcFrameBody parts;
  IpcFault fault;

  g_assert_false (ipc_frame_split (&frame, body, &parts, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_INVALID_DATA);
  g_assert_cmpstr (fault.message, ==, "message type \"a\\xff\": invalid UTF-8 at byte 1");
}

/* ---- text ---- */

static void
test_type_every_character (IpcTest *test)
{
  for (gunichar c = 0; c <= 0x10ffff; c++)
    {
      char type[8] = "x";
      gsize size;

      if (c >= 0xd800 && c < 0xe000)
        continue;
      size = 1 + (gsize) g_unichar_to_utf8 (c, type + 1);
      g_assert_cmpint (ipc_message_type_check (type, size, NULL), ==, c >= 0x20 && (c < 0x7f || c >= 0xa0));
    }
}

static void
test_type_sizes (IpcTest *test)
{
  g_autofree char *type = g_strnfill (400, 't');
  IpcFault fault;

  for (gsize size = 0; size <= 400; size++)
    g_assert_cmpint (ipc_message_type_check (type, size, NULL), ==, size >= 1 && size <= 255);
  g_assert_false (ipc_message_type_check ("", 0, &fault));
  g_assert_cmpstr (fault.message, ==, "message type is empty");
  g_assert_false (ipc_message_type_check (type, 256, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_INVALID_DATA);
  g_assert_true (g_str_has_suffix (fault.message, "\": limit 255 bytes, has 256"));
  g_assert_false (ipc_message_type_check ("a\nb", 3, &fault));
  g_assert_cmpstr (fault.message, ==, "message type \"a\\x0ab\": control character at byte 1");
}

/* GLib takes a NUL for an error and says so at its place; for us it is a character. */
static gboolean
second_opinion (const char *bytes, gsize size, gsize *error_offset)
{
  const char *end;
  gsize at = 0;

  while (!g_utf8_validate_len (bytes + at, size - at, &end))
    {
      at = (gsize) (end - bytes);
      if (bytes[at] != '\0')
        {
          *error_offset = at;
          return FALSE;
        }
      at++;
    }
  return TRUE;
}

static void
compare_utf8 (const char *bytes, gsize size)
{
  gsize expected_offset = 999, offset = 999;

  g_assert_cmpint (ipc_utf8_check (bytes, size, &offset), ==, second_opinion (bytes, size, &expected_offset));
  g_assert_cmpuint (offset, ==, expected_offset);
}

/* Every sequence of three bytes, and of four where the first can start one that long. */
static void
test_utf8_every_sequence (IpcTest *test)
{
  for (guint32 v = 0; v < 1u << 24; v++)
    {
      char bytes[3] = { (char) (v >> 16), (char) (v >> 8), (char) v };

      compare_utf8 (bytes, 3);
    }
  for (guint32 v = 0xf0808080; v >= 0xf0808080 && v < 0xf5000000; v += g_test_thorough () ? 1 : 61)
    {
      char bytes[4] = { (char) (v >> 24), (char) (v >> 16), (char) (v >> 8), (char) v };

      compare_utf8 (bytes, 4);
    }
}

/* At every distance from the ends of the words that plain ASCII is skipped by. */
static void
test_utf8_positions (IpcTest *test)
{
  const char *middles[] = {
    "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82"
  };

  for (gsize i = 0; i < G_N_ELEMENTS (middles); i++)
    for (gsize before = 0; before < 20; before++)
      for (gsize after = 0; after < 20; after++)
        {
          g_autofree char *head = g_strnfill (before, 'a');
          g_autofree char *tail = g_strnfill (after, 'z');
          g_autofree char *bytes = g_strconcat (head, middles[i], tail, NULL);

          compare_utf8 (bytes, strlen (bytes));
        }
  g_assert_false (ipc_utf8_check ("\xff", 1, NULL));
  g_assert_true (ipc_utf8_check ("a\0b", 3, NULL));
  g_assert_true (ipc_utf8_check (NULL, 0, NULL));
}

/* Each byte counts, and nothing behind them: they may be the last of a page. */
static void
test_type_bytes_equal (IpcTest *test)
{
  for (size_t size = 1; size <= 40; size++)
    {
      g_autofree uint8_t *one = g_malloc (size + 1);    /* its end is known to a sanitizer */
      g_autofree uint8_t *other = g_malloc (size);

      memset (one, 'x', size + 1);
      memset (other, 'x', size);
      g_assert_true (ipc_type_bytes_equal (one, other, size));
      for (size_t i = 0; i < size; i++)
        {
          other[i] ^= 0x80;
          g_assert_false (ipc_type_bytes_equal (one, other, size));
          other[i] ^= 0x80;
        }
    }
}

int
main (int argc, char *argv[])
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/frame/vectors", test_vectors);
  ipc_test_add ("/core/frame/every-kind", test_every_kind);
  ipc_test_add ("/core/frame/every-flag", test_every_flag);
  ipc_test_add ("/core/frame/every-n-fds", test_every_n_fds);
  ipc_test_add ("/core/frame/every-type-length", test_every_type_length);
  ipc_test_add ("/core/frame/length-limit", test_length_limit);
  ipc_test_add ("/core/frame/length-floor", test_length_floor);
  ipc_test_add ("/core/frame/serials", test_serials);
  ipc_test_add ("/core/frame/messages", test_messages);
  ipc_test_add ("/core/preamble/good", test_preamble);
  ipc_test_add ("/core/preamble/every-byte", test_preamble_every_byte);
  ipc_test_add ("/core/preamble/messages", test_preamble_messages);
  ipc_test_add ("/core/body/split", test_split);
  ipc_test_add ("/core/body/empty", test_split_empty);
  ipc_test_add ("/core/body/headers", test_split_headers);
  ipc_test_add ("/core/body/huge-headers", test_split_huge_headers);
  ipc_test_add ("/core/body/memfd", test_split_memfd);
  ipc_test_add ("/core/body/type", test_split_type);
  ipc_test_add ("/core/text/type-every-character", test_type_every_character);
  ipc_test_add ("/core/text/type-sizes", test_type_sizes);
  ipc_test_add ("/core/text/type-bytes-equal", test_type_bytes_equal);
  ipc_test_add ("/core/text/utf8-every-sequence", test_utf8_every_sequence);
  ipc_test_add ("/core/text/utf8-positions", test_utf8_positions);
  return ipc_test_run ();
}
