/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is inside a JSON string, byte by byte and without state: the run of
 * characters that stand for themselves, and what escapes stand for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define IPC_EACH_BYTE(b) (UINT64_C (0x0101010101010101) * (b))

/* Whether a byte of WORD is a control character, `"`, `\` or not ASCII. A subtraction
 * borrows from the next byte only where it has found something already. */
static inline bool
ipc_json_has_special (uint64_t word)
{
  uint64_t control = word - IPC_EACH_BYTE (0x20);
  uint64_t quote = (word ^ IPC_EACH_BYTE ('"')) - IPC_EACH_BYTE (1);
  uint64_t backslash = (word ^ IPC_EACH_BYTE ('\\')) - IPC_EACH_BYTE (1);

  return ((control | quote | backslash | word) & IPC_EACH_BYTE (0x80)) != 0;
}

static inline bool
ipc_json_is_plain (uint8_t c)
{
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The first byte that is not plain ASCII, or END. */
static inline const uint8_t *
ipc_json_skip_plain (const uint8_t *at, const uint8_t *end)
{
  uint64_t word;

  for (; (size_t) (end - at) >= sizeof word; at += sizeof word)
    {
      memcpy (&word, at, sizeof word);
      if (ipc_json_has_special (word))
        break;
    }
  while (at < end && ipc_json_is_plain (*at))
    at++;
  return at;
}

/* What a one-letter escape stands for; 0 if there is no such escape. */
static inline uint8_t
ipc_json_unescape (uint8_t c)
{
  switch (c)
    {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return 0;
    }
}

/* -1 if C is no hexadecimal digit. */
static inline int
ipc_json_hex_value (uint8_t c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes the UTF-8 of CODE, which is no surrogate, and returns its size. */
static inline size_t
ipc_json_encode_utf8 (uint32_t code, uint8_t bytes[4])
{
  static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
  size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

  for (size_t i = size - 1; i > 0; i--, code >>= 6)
    bytes[i] = (uint8_t) (0x80 | (code & 0x3f));
  bytes[0] = (uint8_t) (leads[size] | code);
  return size;
}
