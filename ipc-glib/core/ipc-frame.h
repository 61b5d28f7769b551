/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame codec of the binary dialect: the preamble and the 32-byte header
 * that every frame starts with. It looks at bytes only, keeps no state and
 * allocates nothing: a header is judged before anything is set aside for it.
 */
#pragma once

#include <string.h>

#include "core/ipc-fault.h"

#define IPC_PREAMBLE_SIZE 8
#define IPC_PROTOCOL_VERSION 1
#define IPC_FRAME_HEADER_SIZE 32
#define IPC_FRAME_MAX_SERIAL ((UINT64_C (1) << 53) - 1)

extern const uint8_t ipc_preamble[IPC_PREAMBLE_SIZE];

typedef enum
{
  IPC_FRAME_HELLO = 1,
  IPC_FRAME_EVENT = 2,
  IPC_FRAME_REQUEST = 3,
  IPC_FRAME_REPLY = 4,
  IPC_FRAME_ERROR = 5,
  IPC_FRAME_CANCEL = 6,
  IPC_FRAME_GOODBYE = 7,
  IPC_FRAME_PING = 8,
  IPC_FRAME_PONG = 9,
} IpcFrameKind;

/* Where a header has what may have to be corrected in it; its length is at 0. */
#define IPC_FRAME_FLAGS_AT 5
#define IPC_FRAME_N_FDS_AT 6

#define IPC_FRAME_FORMAT_MASK 0x07u
#define IPC_FRAME_MAX_FORMAT 3
#define IPC_FRAME_FLAG_MEMFD 0x40u
#define IPC_FRAME_FLAG_HEADERS 0x80u

typedef struct
{
  uint32_t length;              /* of all that follows the header */
  uint8_t kind;                 /* IpcFrameKind */
  uint8_t flags;
  uint8_t n_fds;
  uint8_t type_length;
  uint64_t serial;
  uint64_t reply_serial;
  int64_t timestamp;            /* microseconds, UTC */
} IpcFrame;

/* Where the parts of a frame's body are; the pointers lie in the body. */
typedef struct
{
  const char *type;             /* type_length bytes, not terminated */
  const uint8_t *headers;       /* serialized a{ss}; NULL without */
  uint32_t headers_size;
  const uint8_t *payload;
  size_t payload_size;
} IpcFrameBody;

/* What this side accepts of the other. */
typedef struct
{
  uint32_t max_length;
  uint8_t max_fds;
  bool memfd;                   /* the memfd feature is on at both sides */
} IpcFrameLimits;

/* Judges as many of the first bytes as there are (SIZE may be less than
 * IPC_PREAMBLE_SIZE): false as soon as they cannot become a preamble.
 * INVALID_DATA for a wrong magic, VERSION for another version. */
bool ipc_preamble_check (const uint8_t *bytes, size_t size, IpcFault *fault);

/* Reads and judges a header. False: the peer has to be dropped. FRAME is
 * untouched on failure. */
bool ipc_frame_decode (const uint8_t bytes[IPC_FRAME_HEADER_SIZE], const IpcFrameLimits *limits, IpcFrame *frame, IpcFault *fault);

/* Cuts the BODY (frame->length bytes) into its parts and checks the type: 1 to
 * 255 bytes of UTF-8 without control characters. What is in the headers and
 * the payload is not looked at. */
bool ipc_frame_split  (const IpcFrame *frame, const uint8_t *body, IpcFrameBody *parts, IpcFault *fault);
/* The same for a type that is known to be good, because it has been checked before. */
bool ipc_frame_split_known (const IpcFrame *frame, const uint8_t *body, IpcFrameBody *parts, IpcFault *fault);

/* Strict UTF-8 (no overlong forms, no surrogates); NUL is a character like any other.
 * On failure *ERROR_OFFSET (may be NULL) is where the first bad sequence starts. */
bool ipc_utf8_check (const void *bytes, size_t size, size_t *error_offset);

/* A message type: 1 to 255 bytes of UTF-8 without control characters (C0, DEL, C1). */
bool ipc_message_type_check (const char *type, size_t size, IpcFault *fault);

static inline uint32_t
ipc_load_le32 (const uint8_t *p)
{
  return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static inline void
ipc_store_le32 (uint8_t *p, uint32_t v)
{
  for (int i = 0; i < 4; i++)
    p[i] = (uint8_t) (v >> (8 * i));
}

static inline uint64_t
ipc_load_le64 (const uint8_t *p)
{
  return (uint64_t) ipc_load_le32 (p) | (uint64_t) ipc_load_le32 (p + 4) << 32;
}

static inline void
ipc_store_le64 (uint8_t *p, uint64_t v)
{
  ipc_store_le32 (p, (uint32_t) v);
  ipc_store_le32 (p + 4, (uint32_t) (v >> 32));
}

/* memcmp() == 0, without a call for what most types are: four to sixteen bytes. */
static inline bool
ipc_type_bytes_equal (const void *one, const void *other, size_t size)
{
  const uint8_t *a = one, *b = other;

  if (size >= 8 && size <= 16)
    return ipc_load_le64 (a) == ipc_load_le64 (b) && ipc_load_le64 (a + size - 8) == ipc_load_le64 (b + size - 8);
  if (size >= 4 && size < 8)
    return ipc_load_le32 (a) == ipc_load_le32 (b) && ipc_load_le32 (a + size - 4) == ipc_load_le32 (b + size - 4);
  return memcmp (a, b, size) == 0;
}

/* What a header says, not judged. */
static inline IpcFrame
ipc_frame_load (const uint8_t bytes[IPC_FRAME_HEADER_SIZE])
{
  return (IpcFrame){
    .length = ipc_load_le32 (bytes),
    .kind = bytes[4],
    .flags = bytes[5],
    .n_fds = bytes[6],
    .type_length = bytes[7],
    .serial = ipc_load_le64 (bytes + 8),
    .reply_serial = ipc_load_le64 (bytes + 16),
    .timestamp = (int64_t) ipc_load_le64 (bytes + 24),
  };
}

/* Most frames carry a type and a payload and nothing else. One that passes here would pass all the checks of
 * ipc_frame_decode(), which are there to say what is wrong with the others. */
static inline bool
ipc_frame_is_plain (const IpcFrame *frame, uint32_t max_length)
{
  if (frame->length > max_length || frame->flags > IPC_FRAME_MAX_FORMAT || frame->n_fds != 0 || frame->type_length == 0 ||
      frame->length < frame->type_length)
    return false;
  switch (frame->kind)
    {
    case IPC_FRAME_EVENT:
      return frame->serial == 0;
    case IPC_FRAME_REQUEST:
      return frame->serial - 1 < IPC_FRAME_MAX_SERIAL && frame->reply_serial == 0;
    case IPC_FRAME_REPLY:
      return frame->reply_serial != 0;
    default:
      return false;
    }
}

/* Writes the header. */
static inline void
ipc_frame_encode (const IpcFrame *frame, uint8_t bytes[IPC_FRAME_HEADER_SIZE])
{
  ipc_store_le32 (bytes, frame->length);
  bytes[4] = frame->kind;
  bytes[5] = frame->flags;
  bytes[6] = frame->n_fds;
  bytes[7] = frame->type_length;
  ipc_store_le64 (bytes + 8, frame->serial);
  ipc_store_le64 (bytes + 16, frame->reply_serial);
  ipc_store_le64 (bytes + 24, (uint64_t) frame->timestamp);
}
