/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One JSON number, judged digit by digit in constant memory, however long it is.
 *
 * An integer (no fraction, no exponent) is accumulated as such. For the others
 * the question is only whether rounding to the nearest double gives infinity,
 * which it does from 2^1024 - 2^970 on (halfway between the largest double and
 * the next power of two, and ties go to even). Written as 0.DDD... * 10^E, a
 * number is compared with that threshold by E first, then digit by digit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* 2^1024 - 2^970, all 309 digits. */
#define IPC_JSON_OVERFLOW_DIGITS 309
static const char ipc_json_overflow[IPC_JSON_OVERFLOW_DIGITS + 1] =
  "17976931348623158079372897140530341507993413271003782693617377898044496829276475"
  "09466490179775872070963302864166928879109465555478519404026306574886715058206819"
  "08902000708383676273854845817711531764475730270069855571366959622842914819860834"
  "936475292719074168444365510704342711559699508093042880177904174497792";

typedef enum
{
  IPC_JSON_NUMBER_START,      /* `-` or the first digit comes */
  IPC_JSON_NUMBER_MINUS,      /* the first digit has to come */
  IPC_JSON_NUMBER_ZERO,       /* no digit may follow */
  IPC_JSON_NUMBER_INTEGER,
  IPC_JSON_NUMBER_POINT,      /* a digit has to come */
  IPC_JSON_NUMBER_FRACTION,
  IPC_JSON_NUMBER_E,          /* a sign or a digit has to come */
  IPC_JSON_NUMBER_SIGN,       /* a digit has to come */
  IPC_JSON_NUMBER_EXPONENT,
} IpcJsonNumberPhase;

typedef struct
{
  IpcJsonNumberPhase phase;
  bool negative;
  bool is_double;
  bool wide;                  /* the magnitude went over 64 bits */
  bool started;               /* a digit that is not 0 was seen */
  bool negative_exponent;
  int8_t order;               /* of the digits so far against the threshold's; 0: equal so far */
  uint16_t matched;           /* how many are equal */
  uint64_t magnitude;         /* of the integer, while it is not wide */
  int64_t point;              /* E without the exponent */
  int64_t exponent;
} IpcJsonNumber;

static inline void
ipc_json_number_significant (IpcJsonNumber *n, uint8_t digit)
{
  int expected;

  if (n->order != 0 || n->matched == IPC_JSON_OVERFLOW_DIGITS)
    return;
  expected = ipc_json_overflow[n->matched] - '0';
  if (digit == expected)
    n->matched++;
  else
    n->order = digit < expected ? -1 : 1;
}

static inline void
ipc_json_number_integer_digit (IpcJsonNumber *n, uint8_t digit)
{
  if (!n->wide)
    n->wide = __builtin_mul_overflow (n->magnitude, (uint64_t) 10, &n->magnitude) ||
              __builtin_add_overflow (n->magnitude, (uint64_t) digit, &n->magnitude);
  if (digit == 0 && !n->started)
    return;
  n->started = true;
  n->point++;
  ipc_json_number_significant (n, digit);
}

static inline void
ipc_json_number_fraction_digit (IpcJsonNumber *n, uint8_t digit)
{
  if (digit == 0 && !n->started)
    {
      n->point--;
      return;
    }
  n->started = true;
  ipc_json_number_significant (n, digit);
}

/* Stops growing far beyond what any number of digits could make up for. */
static inline void
ipc_json_number_exponent_digit (IpcJsonNumber *n, uint8_t digit)
{
  if (n->exponent < INT64_C (100000000000000000))
    n->exponent = n->exponent * 10 + digit;
}

static inline bool
ipc_json_number_take_digit (IpcJsonNumber *n, uint8_t digit)
{
  switch (n->phase)
    {
    case IPC_JSON_NUMBER_START:
    case IPC_JSON_NUMBER_MINUS:
      n->phase = digit == 0 ? IPC_JSON_NUMBER_ZERO : IPC_JSON_NUMBER_INTEGER;
      ipc_json_number_integer_digit (n, digit);
      return true;
    case IPC_JSON_NUMBER_INTEGER:
      ipc_json_number_integer_digit (n, digit);
      return true;
    case IPC_JSON_NUMBER_POINT:
    case IPC_JSON_NUMBER_FRACTION:
      n->phase = IPC_JSON_NUMBER_FRACTION;
      ipc_json_number_fraction_digit (n, digit);
      return true;
    case IPC_JSON_NUMBER_E:
    case IPC_JSON_NUMBER_SIGN:
    case IPC_JSON_NUMBER_EXPONENT:
      n->phase = IPC_JSON_NUMBER_EXPONENT;
      ipc_json_number_exponent_digit (n, digit);
      return true;
    case IPC_JSON_NUMBER_ZERO:
    default:
      return false;
    }
}

static inline bool
ipc_json_number_take_mark (IpcJsonNumber *n, uint8_t c)
{
  bool whole = n->phase == IPC_JSON_NUMBER_ZERO || n->phase == IPC_JSON_NUMBER_INTEGER;

  if (c == '-' && n->phase == IPC_JSON_NUMBER_START)
    {
      n->negative = true;
      n->phase = IPC_JSON_NUMBER_MINUS;
    }
  else if (c == '.' && whole)
    n->phase = IPC_JSON_NUMBER_POINT;
  else if ((c == 'e' || c == 'E') && (whole || n->phase == IPC_JSON_NUMBER_FRACTION))
    n->phase = IPC_JSON_NUMBER_E;
  else if ((c == '+' || c == '-') && n->phase == IPC_JSON_NUMBER_E)
    {
      n->negative_exponent = c == '-';
      n->phase = IPC_JSON_NUMBER_SIGN;
    }
  else
    return false;
  n->is_double = n->phase > IPC_JSON_NUMBER_INTEGER;
  return true;
}

/* Whether C continues the number. */
static inline bool
ipc_json_number_take (IpcJsonNumber *n, uint8_t c)
{
  if (c >= '0' && c <= '9')
    return ipc_json_number_take_digit (n, (uint8_t) (c - '0'));
  return ipc_json_number_take_mark (n, c);
}

static inline bool
ipc_json_number_is_whole (const IpcJsonNumber *n)
{
  return n->phase == IPC_JSON_NUMBER_ZERO || n->phase == IPC_JSON_NUMBER_INTEGER ||
         n->phase == IPC_JSON_NUMBER_FRACTION || n->phase == IPC_JSON_NUMBER_EXPONENT;
}

static inline bool
ipc_json_number_overflows (const IpcJsonNumber *n)
{
  int64_t e = n->point + (n->negative_exponent ? -n->exponent : n->exponent);

  if (!n->started || e < IPC_JSON_OVERFLOW_DIGITS)
    return false;
  return e > IPC_JSON_OVERFLOW_DIGITS || n->order > 0 || n->matched == IPC_JSON_OVERFLOW_DIGITS;
}

/* What is wrong with a number that ended; NULL if nothing is. */
static inline const char *
ipc_json_number_judge (const IpcJsonNumber *n)
{
  if (n->is_double)
    return ipc_json_number_overflows (n) ? "number out of range" : NULL;
  if (n->wide || n->magnitude > (uint64_t) INT64_MAX + n->negative)
    return "integer out of range";
  return NULL;
}
