/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one table of UTF-8 that the frame codec and the JSON validator share:
 * what may follow the first byte of a sequence. Overlong forms, surrogates and
 * what lies beyond U+10FFFF are ruled out by the bounds of the second byte.
 */
#pragma once

#include <stdint.h>

/* How many bytes follow LEAD (0 for ASCII), -1 if no sequence starts with it.
 * The first of them lies in *LOW..*HIGH, the others in 0x80..0xbf. */
static inline int
ipc_utf8_lead (uint8_t lead, uint8_t *low, uint8_t *high)
{
  *low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (lead < 0x80)
    return 0;
  if (lead < 0xc2 || lead > 0xf4)
    return -1;
  return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}
