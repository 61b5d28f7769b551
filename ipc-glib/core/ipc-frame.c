/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame codec. It turns 32 bytes of a peer into an IpcFrame, or says why
 * that peer has to be dropped, and finds the parts of a body. Nothing is kept
 * and nothing allocated; the bytes stay the caller's, and the pointers in an
 * IpcFrameBody live as long as the body does. The caller must hand
 * ipc_frame_split() a frame that ipc_frame_decode() passed, and a body of
 * exactly frame->length bytes that no other process can still write to.
 */
#include "core/ipc-frame.h"

#include <inttypes.h>
#include <string.h>

#include "core/ipc-utf8.h"

#define VERSION_AT 4
#define FLAGS_RESERVED 0x38u
#define MEMFD_SIZE_SIZE 8

const uint8_t ipc_preamble[IPC_PREAMBLE_SIZE] = { 0x00, 'I', 'P', 'C', IPC_PROTOCOL_VERSION, 0x0d, 0x0a, 0x00 };

/* What a kind of frame may carry. */
typedef struct
{
  const char *name;
  bool has_body;
  bool has_type;
  bool has_fds;
  uint8_t formats; /* bit N: payload format N is allowed */
} KindRules;

/* HELLO is a GVariant and ERROR is text whatever the format says, so 0, which
 * claims nothing, is as good there as the format that names them. */
static const KindRules kind_rules[] = {
  [IPC_FRAME_HELLO]   = { "HELLO",   true,  false, false, 1 << 0 | 1 << 3 },
  [IPC_FRAME_EVENT]   = { "EVENT",   true,  true,  true,  0x0f },
  [IPC_FRAME_REQUEST] = { "REQUEST", true,  true,  true,  0x0f },
  [IPC_FRAME_REPLY]   = { "REPLY",   true,  true,  true,  0x0f },
  [IPC_FRAME_ERROR]   = { "ERROR",   true,  true,  false, 1 << 0 | 1 << 1 },
  [IPC_FRAME_CANCEL]  = { "CANCEL",  false, false, false, 1 << 0 },
  [IPC_FRAME_GOODBYE] = { "GOODBYE", false, false, false, 1 << 0 },
  [IPC_FRAME_PING]    = { "PING",    false, false, false, 1 << 0 },
  [IPC_FRAME_PONG]    = { "PONG",    false, false, false, 1 << 0 },
};

static bool
bad_magic (const uint8_t *bytes, size_t size, IpcFault *fault)
{
  char shown[4 * IPC_PREAMBLE_SIZE + 1];

  ipc_fault_escape (shown, sizeof shown, bytes, size < IPC_PREAMBLE_SIZE ? size : IPC_PREAMBLE_SIZE);
  return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "bad magic \"%s\"", shown);
}

bool
ipc_preamble_check (const uint8_t *bytes, size_t size, IpcFault *fault)
{
  size_t magic = size < VERSION_AT ? size : VERSION_AT;
  size_t whole = size < IPC_PREAMBLE_SIZE ? size : IPC_PREAMBLE_SIZE;

  if (magic > 0 && memcmp (bytes, ipc_preamble, magic) != 0)
    return bad_magic (bytes, size, fault);
  /* Another version may end otherwise, so its number is told before the rest is judged. */
  if (size > VERSION_AT && bytes[VERSION_AT] != IPC_PROTOCOL_VERSION)
    return ipc_fault_set (fault, IPC_FAULT_VERSION, "peer speaks %d, we speak %d",
                          bytes[VERSION_AT], IPC_PROTOCOL_VERSION);
  if (whole > 0 && memcmp (bytes, ipc_preamble, whole) != 0)
    return bad_magic (bytes, size, fault);
  return true;
}

static bool
check_kind (const IpcFrame *frame, IpcFault *fault)
{
  if (frame->kind < IPC_FRAME_HELLO || frame->kind > IPC_FRAME_PONG)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "unknown frame kind %d", frame->kind);
  return true;
}

/* The frame's own length comes before everything that would make sense of it. */
static bool
check_limit (const IpcFrame *frame, const IpcFrameLimits *limits, IpcFault *fault)
{
  if (frame->length > limits->max_length)
    return ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "frame of %" PRIu32 " bytes exceeds the limit of %" PRIu32,
                          frame->length, limits->max_length);
  return true;
}

static bool
check_flags (const IpcFrame *frame, const IpcFrameLimits *limits, const KindRules *rules, IpcFault *fault)
{
  unsigned format = frame->flags & IPC_FRAME_FORMAT_MASK;

  if (frame->flags & FLAGS_RESERVED)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has reserved flags 0x%02x",
                          rules->name, frame->flags & FLAGS_RESERVED);
  if (!rules->has_body && frame->flags != 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has flags 0x%02x, expected none",
                          rules->name, frame->flags);
  if (!(rules->formats & 1u << format))
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has payload format %u", rules->name, format);
  if ((frame->flags & IPC_FRAME_FLAG_MEMFD) && !(limits->memfd && rules->has_fds))
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has a memfd payload, %s", rules->name,
                          rules->has_fds ? "which was not agreed on" : "which it cannot have");
  return true;
}

static bool
check_fds (const IpcFrame *frame, const IpcFrameLimits *limits, const KindRules *rules, IpcFault *fault)
{
  bool memfd = frame->flags & IPC_FRAME_FLAG_MEMFD;
  int limit = limits->max_fds + (memfd ? 1 : 0);

  if (!rules->has_fds && frame->n_fds > 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame carries %d descriptors, expected none",
                          rules->name, frame->n_fds);
  if (memfd && frame->n_fds == 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has a memfd payload but no descriptor",
                          rules->name);
  if (frame->n_fds > limit)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame carries %d descriptors, limit %d",
                          rules->name, frame->n_fds, limit);
  return true;
}

static bool
check_type_length (const IpcFrame *frame, const KindRules *rules, IpcFault *fault)
{
  if (rules->has_type && frame->type_length == 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has no message type", rules->name);
  if (!rules->has_type && frame->type_length > 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has a message type of %d bytes, expected none",
                          rules->name, frame->type_length);
  return true;
}

/* Whether the parts that the header announces have room in the body. */
static bool
check_room (const IpcFrame *frame, const KindRules *rules, IpcFault *fault)
{
  bool headers = frame->flags & IPC_FRAME_FLAG_HEADERS;
  bool memfd = frame->flags & IPC_FRAME_FLAG_MEMFD;
  uint32_t least = frame->type_length + (headers ? 4u : 0u) + (memfd ? (uint32_t) MEMFD_SIZE_SIZE : 0u);

  if (!rules->has_body && frame->length > 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has a body of %" PRIu32 " bytes, expected none",
                          rules->name, frame->length);
  if (frame->length < least)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA,
                          "%s frame of %" PRIu32 " bytes cannot hold the %" PRIu32 " it announces",
                          rules->name, frame->length, least);
  if (memfd && !headers && frame->length > least)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has %" PRIu32 " bytes beside its memfd",
                          rules->name, frame->length - least);
  return true;
}

static bool
check_serials (const IpcFrame *frame, const KindRules *rules, IpcFault *fault)
{
  bool wants_none = frame->kind == IPC_FRAME_HELLO || frame->kind == IPC_FRAME_EVENT;
  bool answers = frame->kind == IPC_FRAME_REPLY || frame->kind == IPC_FRAME_CANCEL;
  bool asks = frame->kind == IPC_FRAME_REQUEST;

  if (wants_none && frame->serial != 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has serial %" PRIu64 ", expected 0",
                          rules->name, frame->serial);
  if (asks && (frame->serial == 0 || frame->serial > IPC_FRAME_MAX_SERIAL))
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has serial %" PRIu64 ", expected 1 to %" PRIu64,
                          rules->name, frame->serial, IPC_FRAME_MAX_SERIAL);
  if (asks && frame->reply_serial != 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has reply serial %" PRIu64 ", expected 0",
                          rules->name, frame->reply_serial);
  if (answers && frame->reply_serial == 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s frame has reply serial 0", rules->name);
  return true;
}

bool
ipc_frame_decode (const uint8_t bytes[IPC_FRAME_HEADER_SIZE], const IpcFrameLimits *limits,
                  IpcFrame *frame, IpcFault *fault)
{
  IpcFrame read = ipc_frame_load (bytes);
  const KindRules *rules;

  if (ipc_frame_is_plain (&read, limits->max_length))
    {
      *frame = read;
      return true;
    }
  if (!check_kind (&read, fault))
    return false;
  rules = &kind_rules[read.kind];
  if (!check_limit (&read, limits, fault) ||
      !check_flags (&read, limits, rules, fault) ||
      !check_fds (&read, limits, rules, fault) ||
      !check_type_length (&read, rules, fault) ||
      !check_room (&read, rules, fault) ||
      !check_serials (&read, rules, fault))
    return false;
  *frame = read;
  return true;
}

/* Moves *AT over the headers, if there are any. */
static bool
split_headers (const IpcFrame *frame, const uint8_t *body, size_t *at, IpcFrameBody *parts, IpcFault *fault)
{
  size_t room;

  if (!(frame->flags & IPC_FRAME_FLAG_HEADERS))
    return true;

  room = frame->length - *at - 4;
  parts->headers_size = ipc_load_le32 (body + *at);
  parts->headers = body + *at + 4;
  if (parts->headers_size > room)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "headers of %" PRIu32 " bytes in a frame with room for %zu",
                          parts->headers_size, room);
  *at += 4 + (size_t) parts->headers_size;
  return true;
}

bool
ipc_frame_split (const IpcFrame *frame, const uint8_t *body, IpcFrameBody *parts, IpcFault *fault)
{
  if (frame->type_length > 0 && !ipc_message_type_check ((const char *) body, frame->type_length, fault))
    return false;
  return ipc_frame_split_known (frame, body, parts, fault);
}

bool
ipc_frame_split_known (const IpcFrame *frame, const uint8_t *body, IpcFrameBody *parts, IpcFault *fault)
{
  IpcFrameBody found = { .type = (const char *) body };
  size_t at = frame->type_length;

  if (!split_headers (frame, body, &at, &found, fault))
    return false;

  found.payload_size = frame->length - at;
  found.payload = at > 0 ? body + at : body;
  if ((frame->flags & IPC_FRAME_FLAG_MEMFD) && found.payload_size != MEMFD_SIZE_SIZE)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "memfd frame has an inline payload of %zu bytes, expected %d",
                          found.payload_size, MEMFD_SIZE_SIZE);
  *parts = found;
  return true;
}

static size_t
skip_ascii (const uint8_t *bytes, size_t at, size_t size)
{
  uint64_t word;

  for (; size - at >= sizeof word; at += sizeof word)
    {
      memcpy (&word, bytes + at, sizeof word);
      if (word & UINT64_C (0x8080808080808080))
        break;
    }
  while (at < size && bytes[at] < 0x80)
    at++;
  return at;
}

/* The size of the sequence that starts at BYTES, 0 if it is none. */
static size_t
sequence_size (const uint8_t *bytes, size_t size)
{
  uint8_t low, high;
  int more = ipc_utf8_lead (bytes[0], &low, &high);

  if (more < 0 || size <= (size_t) more)
    return 0;
  for (int i = 1; i <= more; i++, low = 0x80, high = 0xbf)
    if (bytes[i] < low || bytes[i] > high)
      return 0;
  return (size_t) more + 1;
}

bool
ipc_utf8_check (const void *bytes, size_t size, size_t *error_offset)
{
  const uint8_t *from = bytes;
  size_t at = 0;

  while ((at = skip_ascii (from, at, size)) < size)
    {
      size_t step = sequence_size (from + at, size - at);

      if (step == 0)
        {
          if (error_offset != NULL)
            *error_offset = at;
          return false;
        }
      at += step;
    }
  return true;
}

/* C0 and DEL are single bytes; C1 (U+0080 to U+009F) is 0xc2 and one below 0xa0. */
static bool
is_control (const uint8_t *bytes, size_t size)
{
  return bytes[0] < 0x20 || bytes[0] == 0x7f || (bytes[0] == 0xc2 && size > 1 && bytes[1] < 0xa0);
}

static size_t
skip_printable (const uint8_t *bytes, size_t size)
{
  size_t at = 0;

  while (at < size && bytes[at] >= 0x20 && bytes[at] < 0x7f)
    at++;
  return at;
}

static bool
bad_type (const char *type, size_t size, const char *what, size_t value, IpcFault *fault)
{
  char shown[160];

  ipc_fault_escape (shown, sizeof shown, type, size);
  return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "message type \"%s\": %s %zu", shown, what, value);
}

bool
ipc_message_type_check (const char *type, size_t size, IpcFault *fault)
{
  const uint8_t *bytes = (const uint8_t *) type;
  size_t at;

  if (size == 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "message type is empty");
  if (size > UINT8_MAX)
    return bad_type (type, size, "limit 255 bytes, has", size, fault);

  /* Nearly every type is plain ASCII, and every frame comes through here. */
  at = skip_printable (bytes, size);
  if (at == size)
    return true;
  if (!ipc_utf8_check (type, size, &at))
    return bad_type (type, size, "invalid UTF-8 at byte", at, fault);
  for (at = 0; at < size; at++)
    if (is_control (bytes + at, size - at))
      return bad_type (type, size, "control character at byte", at, fault);
  return true;
}
