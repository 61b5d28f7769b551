/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The JSON validator: one state machine that can stop and go on at any byte.
 *
 * Each take_*() function consumes what it can of the input and leaves the step
 * that comes next; none calls itself, so the depth of a document costs no stack.
 * A validator belongs to its caller and is used by one thread at a time; after
 * IPC_JSON_COMPLETE or IPC_JSON_INVALID it has to be reset.
 */
#include "core/ipc-json-validator.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/ipc-json-names.h"
#include "core/ipc-json-number.h"
#include "core/ipc-json-text.h"
#include "core/ipc-utf8.h"

typedef enum
{
  STEP_DOCUMENT,       /* nothing but white space so far */
  STEP_VALUE,
  STEP_FIRST_ELEMENT,  /* a value or `]` */
  STEP_FIRST_NAME,     /* a member name or `}` */
  STEP_NAME,
  STEP_COLON,
  STEP_AFTER_VALUE,    /* `,` or what closes the container */
  STEP_STRING,
  STEP_SEQUENCE,       /* inside a UTF-8 sequence */
  STEP_ESCAPE,         /* after the backslash */
  STEP_HEX,            /* the four digits of \u */
  STEP_LOW_BACKSLASH,  /* a high surrogate has to be followed by a low one */
  STEP_LOW_U,
  STEP_LITERAL,
  STEP_NUMBER,
  STEP_DONE,
  STEP_FAILED,
} Step;

struct _IpcJsonValidator
{
  Step step;
  bool object_only;
  bool in_name;             /* the string is a member name: keep what it decodes to */
  uint8_t low, high;        /* bounds of the next byte of a UTF-8 sequence */
  int continuation;         /* how many bytes of it are missing */
  int hex_digits;
  uint32_t code;            /* of \u so far */
  uint32_t high_surrogate;  /* 0: none is pending */
  const char *literal;      /* what is left of it */
  uint64_t offset;          /* of the first byte of the piece in the document */
  uint64_t token;           /* where the scalar or name began */
  uint64_t inside;          /* where the UTF-8 sequence or the escape in it began */
  IpcJsonNumber number;

  unsigned n_values;
  unsigned depth;
  uint64_t objects;                          /* bit N: the container at depth N + 1 is an object */
  size_t first_name[IPC_JSON_MAX_DEPTH];     /* of that object, in names */
  IpcJsonNames names;
};

/* A piece of the document. */
typedef struct
{
  const uint8_t *begin, *at, *end;
  IpcFault *fault;
} Input;

static inline uint64_t
here (const IpcJsonValidator *self, const Input *in)
{
  return self->offset + (uint64_t) (in->at - in->begin);
}

static bool
fail (IpcJsonValidator *self, IpcFault *fault, uint64_t offset, const char *what)
{
  self->step = STEP_FAILED;
  return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%s at byte %" PRIu64, what, offset);
}

/* The byte at hand is not what the grammar wants. */
static bool
fail_here (IpcJsonValidator *self, Input *in, const char *what)
{
  uint8_t low, high;

  if (ipc_utf8_lead (*in->at, &low, &high) < 0)
    what = "invalid UTF-8";
  return fail (self, in->fault, here (self, in), what);
}

static bool
fail_memory (IpcJsonValidator *self, Input *in)
{
  self->step = STEP_FAILED;
  return ipc_fault_set_errno (in->fault, ENOMEM, "JSON validator");
}

static bool
keep_name_bytes (IpcJsonValidator *self, Input *in, const uint8_t *bytes, size_t size)
{
  return ipc_json_names_append (&self->names, bytes, size) || fail_memory (self, in);
}

/* ---- containers ---- */

/* The object closes: its names must differ, and are not needed any more. */
static bool
end_names (IpcJsonValidator *self, Input *in, size_t first)
{
  size_t start = self->names.names[first].start;
  const IpcJsonName *duplicate = ipc_json_names_find_duplicate (&self->names, first);
  char shown[160];

  if (duplicate == NULL)
    {
      ipc_json_names_cut (&self->names, first, start);
      return true;
    }
  self->step = STEP_FAILED;
  ipc_fault_escape (shown, sizeof shown, self->names.bytes + duplicate->start, duplicate->size);
  return ipc_fault_set (in->fault, IPC_FAULT_INVALID_DATA, "duplicate member \"%s\" at byte %" PRIu64,
                        shown, duplicate->offset);
}

static inline bool
in_object (const IpcJsonValidator *self)
{
  return self->objects >> (self->depth - 1) & 1;
}

static bool
open_container (IpcJsonValidator *self, Input *in, bool object)
{
  uint64_t bit;

  if (self->depth == IPC_JSON_MAX_DEPTH)
    return fail_here (self, in, "nesting deeper than 64");
  bit = UINT64_C (1) << self->depth;
  self->objects = object ? self->objects | bit : self->objects & ~bit;
  self->first_name[self->depth++] = self->names.n_names;
  self->step = object ? STEP_FIRST_NAME : STEP_FIRST_ELEMENT;
  in->at++;
  return true;
}

static void
end_value (IpcJsonValidator *self)
{
  self->step = self->depth > 0 ? STEP_AFTER_VALUE : STEP_DONE;
}

static bool
close_container (IpcJsonValidator *self, Input *in)
{
  size_t first = self->first_name[self->depth - 1];

  if (self->names.n_names > first && !end_names (self, in, first))
    return false;
  self->depth--;
  in->at++;
  end_value (self);
  return true;
}

/* ---- what is between the scalars ---- */

/* Whether there is anything left behind the white space. */
static inline bool
skip_space (Input *in)
{
  while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\t' || *in->at == '\r'))
    in->at++;
  return in->at < in->end;
}

static bool
begin_string (IpcJsonValidator *self, Input *in, bool name)
{
  if (name && !ipc_json_names_begin (&self->names, here (self, in)))
    return fail_memory (self, in);
  self->token = here (self, in);
  self->in_name = name;
  self->step = STEP_STRING;
  in->at++;
  return true;
}

static bool
begin_literal (IpcJsonValidator *self, Input *in, const char *literal)
{
  self->token = here (self, in);
  self->literal = literal;
  self->step = STEP_LITERAL;
  return true;
}

static bool
begin_number (IpcJsonValidator *self, Input *in)
{
  self->token = here (self, in);
  self->number = (IpcJsonNumber) { IPC_JSON_NUMBER_START };
  self->step = STEP_NUMBER;
  return true;
}

static bool
count_value (IpcJsonValidator *self, Input *in)
{
  if (self->depth == 0 || ++self->n_values <= IPC_JSON_MAX_VALUES)
    return true;
  self->step = STEP_FAILED;
  return ipc_fault_set (in->fault, IPC_FAULT_TOO_LARGE, "more than %d JSON values at byte %" PRIu64,
                        IPC_JSON_MAX_VALUES, here (self, in));
}

static bool
begin_value (IpcJsonValidator *self, Input *in)
{
  uint8_t c = *in->at;

  if (!count_value (self, in))
    return false;
  switch (c)
    {
    case '{':
    case '[':
      return open_container (self, in, c == '{');
    case '"':
      return begin_string (self, in, false);
    case 't':
      return begin_literal (self, in, "true");
    case 'f':
      return begin_literal (self, in, "false");
    case 'n':
      return begin_literal (self, in, "null");
    case '+':
    case '.':
      return fail_here (self, in, "invalid number");
    default:
      if (c == '-' || (c >= '0' && c <= '9'))
        return begin_number (self, in);
      return fail_here (self, in, "invalid token");
    }
}

static bool
take_document (IpcJsonValidator *self, Input *in)
{
  if (!skip_space (in))
    return true;
  if (self->object_only && *in->at != '{')
    return fail_here (self, in, "expected an object");
  return begin_value (self, in);
}

static bool
take_value (IpcJsonValidator *self, Input *in)
{
  if (!skip_space (in))
    return true;
  if (self->step == STEP_FIRST_ELEMENT && *in->at == ']')
    return close_container (self, in);
  return begin_value (self, in);
}

static bool
take_name (IpcJsonValidator *self, Input *in)
{
  if (!skip_space (in))
    return true;
  if (self->step == STEP_FIRST_NAME && *in->at == '}')
    return close_container (self, in);
  if (*in->at != '"')
    return fail_here (self, in, "expected a member name");
  return begin_string (self, in, true);
}

static bool
take_colon (IpcJsonValidator *self, Input *in)
{
  if (!skip_space (in))
    return true;
  if (*in->at != ':')
    return fail_here (self, in, "expected ':'");
  self->step = STEP_VALUE;
  in->at++;
  return true;
}

static bool
take_after_value (IpcJsonValidator *self, Input *in)
{
  bool object = in_object (self);

  if (!skip_space (in))
    return true;
  if (*in->at == (object ? '}' : ']'))
    return close_container (self, in);
  if (*in->at != ',')
    return fail_here (self, in, object ? "expected ',' or '}'" : "expected ',' or ']'");
  self->step = object ? STEP_NAME : STEP_VALUE;
  in->at++;
  return true;
}

/* ---- strings ---- */

static void
end_string (IpcJsonValidator *self, Input *in)
{
  in->at++;
  if (!self->in_name)
    {
      end_value (self);
      return;
    }
  ipc_json_names_end (&self->names);
  self->step = STEP_COLON;
}

static bool
begin_sequence (IpcJsonValidator *self, Input *in)
{
  self->inside = here (self, in);
  self->continuation = ipc_utf8_lead (*in->at, &self->low, &self->high);
  if (self->continuation < 0)
    return fail (self, in->fault, self->inside, "invalid UTF-8");
  if (self->in_name && !keep_name_bytes (self, in, in->at, 1))
    return false;
  self->step = STEP_SEQUENCE;
  in->at++;
  return true;
}

static bool
take_sequence (IpcJsonValidator *self, Input *in)
{
  const uint8_t *from = in->at;

  while (in->at < in->end && self->continuation > 0)
    {
      if (*in->at < self->low || *in->at > self->high)
        return fail (self, in->fault, self->inside, "invalid UTF-8");
      self->low = 0x80;
      self->high = 0xbf;
      self->continuation--;
      in->at++;
    }
  if (self->continuation == 0)
    self->step = STEP_STRING;
  return !self->in_name || keep_name_bytes (self, in, from, (size_t) (in->at - from));
}

static bool
take_string (IpcJsonValidator *self, Input *in)
{
  const uint8_t *from = in->at;

  in->at = ipc_json_skip_plain (from, in->end);
  if (self->in_name && !keep_name_bytes (self, in, from, (size_t) (in->at - from)))
    return false;
  if (in->at == in->end)
    return true;

  switch (*in->at)
    {
    case '"':
      end_string (self, in);
      return true;
    case '\\':
      self->inside = here (self, in);
      self->step = STEP_ESCAPE;
      in->at++;
      return true;
    default:
      if (*in->at < 0x20)
        return fail_here (self, in, "control character in a string");
      return begin_sequence (self, in);
    }
}

static bool
begin_hex (IpcJsonValidator *self, Input *in)
{
  self->code = 0;
  self->hex_digits = 0;
  self->step = STEP_HEX;
  in->at++;
  return true;
}

static bool
take_escape (IpcJsonValidator *self, Input *in)
{
  uint8_t c = ipc_json_unescape (*in->at);

  if (*in->at == 'u')
    return begin_hex (self, in);
  if (c == 0)
    return fail_here (self, in, "invalid escape");
  self->step = STEP_STRING;
  in->at++;
  return !self->in_name || keep_name_bytes (self, in, &c, 1);
}

static bool
end_hex (IpcJsonValidator *self, Input *in)
{
  bool low = self->code >= 0xdc00 && self->code < 0xe000;
  bool high = self->code >= 0xd800 && self->code < 0xdc00;
  uint8_t bytes[4];

  if (self->code == 0)
    return fail (self, in->fault, self->inside, "U+0000 in a string");
  if (low != (self->high_surrogate != 0))
    return fail (self, in->fault, self->inside, "lone surrogate");
  if (high)
    {
      self->high_surrogate = self->code;
      self->step = STEP_LOW_BACKSLASH;
      return true;
    }
  if (low)
    self->code = 0x10000 + ((self->high_surrogate - 0xd800) << 10) + (self->code - 0xdc00);
  self->high_surrogate = 0;
  self->step = STEP_STRING;
  return !self->in_name || keep_name_bytes (self, in, bytes, ipc_json_encode_utf8 (self->code, bytes));
}

static bool
take_hex (IpcJsonValidator *self, Input *in)
{
  int value = ipc_json_hex_value (*in->at);

  if (value < 0)
    return fail_here (self, in, "invalid escape");
  in->at++;
  self->code = self->code << 4 | (uint32_t) value;
  return ++self->hex_digits < 4 || end_hex (self, in);
}

/* The `\u` of the low surrogate that has to come now. */
static bool
take_low (IpcJsonValidator *self, Input *in)
{
  bool backslash = self->step == STEP_LOW_BACKSLASH;

  if (*in->at != (backslash ? '\\' : 'u'))
    return fail (self, in->fault, self->inside, "lone surrogate");
  if (!backslash)
    return begin_hex (self, in);
  self->step = STEP_LOW_U;
  in->at++;
  return true;
}

/* ---- literals and numbers ---- */

static bool
take_literal (IpcJsonValidator *self, Input *in)
{
  while (in->at < in->end && *self->literal != '\0')
    {
      if (*in->at != (uint8_t) *self->literal)
        return fail (self, in->fault, self->token, "invalid token");
      in->at++;
      self->literal++;
    }
  if (*self->literal == '\0')
    end_value (self);
  return true;
}

static bool
end_number (IpcJsonValidator *self, IpcFault *fault)
{
  const char *wrong = ipc_json_number_judge (&self->number);

  if (wrong != NULL)
    return fail (self, fault, self->token, wrong);
  end_value (self);
  return true;
}

/* `0x10` and `01` are wrong numbers, not numbers with something behind them. */
static bool
looks_like_number (uint8_t c)
{
  bool digit = c >= '0' && c <= '9';
  bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

  return digit || letter || c == '+' || c == '-' || c == '.' || c == '_';
}

static bool
take_number (IpcJsonValidator *self, Input *in)
{
  while (in->at < in->end && ipc_json_number_take (&self->number, *in->at))
    in->at++;
  if (in->at == in->end)
    return true;
  if (!ipc_json_number_is_whole (&self->number) || looks_like_number (*in->at))
    return fail_here (self, in, "invalid number");
  return end_number (self, in->fault);
}

/* ---- the machine ---- */

/* Fed after the end of the document: the caller's mistake. */
static IpcJsonStatus
refuse_more (IpcJsonValidator *self, IpcFault *fault)
{
  self->step = STEP_FAILED;
  ipc_fault_set (fault, IPC_FAULT_INVALID_ARGUMENT, "JSON validator was not reset");
  return IPC_JSON_INVALID;
}

static bool
take_step (IpcJsonValidator *self, Input *in)
{
  switch (self->step)
    {
    case STEP_DOCUMENT:
      return take_document (self, in);
    case STEP_VALUE:
    case STEP_FIRST_ELEMENT:
      return take_value (self, in);
    case STEP_NAME:
    case STEP_FIRST_NAME:
      return take_name (self, in);
    case STEP_COLON:
      return take_colon (self, in);
    case STEP_AFTER_VALUE:
      return take_after_value (self, in);
    case STEP_STRING:
      return take_string (self, in);
    case STEP_SEQUENCE:
      return take_sequence (self, in);
    case STEP_ESCAPE:
      return take_escape (self, in);
    case STEP_HEX:
      return take_hex (self, in);
    case STEP_LOW_BACKSLASH:
    case STEP_LOW_U:
      return take_low (self, in);
    case STEP_LITERAL:
      return take_literal (self, in);
    case STEP_NUMBER:
      return take_number (self, in);
    case STEP_DONE:
    case STEP_FAILED:
    default:
      refuse_more (self, in->fault);
      return false;
    }
}

static void
begin_document (IpcJsonValidator *self)
{
  self->step = STEP_DOCUMENT;
  self->offset = 0;
  self->n_values = 0;
  self->depth = 0;
  self->high_surrogate = 0;
}

static void
init (IpcJsonValidator *self, bool object_only)
{
  self->object_only = object_only;
  self->objects = 0;
  ipc_json_names_init (&self->names);
  begin_document (self);
}

IpcJsonValidator *
ipc_json_validator_new (bool object_only)
{
  IpcJsonValidator *self = malloc (sizeof *self);

  if (self != NULL)
    init (self, object_only);
  return self;
}

void
ipc_json_validator_free (IpcJsonValidator *self)
{
  if (self == NULL)
    return;
  ipc_json_names_clear (&self->names);
  free (self);
}

void
ipc_json_validator_reset (IpcJsonValidator *self)
{
  ipc_json_names_reset (&self->names);
  begin_document (self);
}

static IpcJsonStatus
status_of (const IpcJsonValidator *self)
{
  return self->step == STEP_DONE ? IPC_JSON_COMPLETE : self->step == STEP_FAILED ? IPC_JSON_INVALID : IPC_JSON_MORE;
}

IpcJsonStatus
ipc_json_validator_feed (IpcJsonValidator *self, const void *bytes, size_t size, size_t *taken, IpcFault *fault)
{
  Input in = { .fault = fault };
  bool good = true;

  if (self->step == STEP_FAILED)
    return refuse_more (self, fault);
  if (size > 0)
    {
      in.begin = in.at = bytes;
      in.end = in.begin + size;
    }
  while (good && in.at < in.end)
    {
      good = take_step (self, &in);
      if (self->step == STEP_DONE)
        break;
    }
  if (!good)
    return IPC_JSON_INVALID;

  *taken = size > 0 ? (size_t) (in.at - in.begin) : 0;
  self->offset += *taken;
  return status_of (self);
}

/* The number at the top level is the only value that the end of input ends. */
static bool
take_end (IpcJsonValidator *self, IpcFault *fault)
{
  if (self->step == STEP_DOCUMENT)
    return fail (self, fault, self->offset, "empty document");
  if (self->step == STEP_NUMBER && self->depth == 0 && ipc_json_number_is_whole (&self->number))
    return end_number (self, fault);
  return fail (self, fault, self->offset, "unfinished document");
}

IpcJsonStatus
ipc_json_validator_finish (IpcJsonValidator *self, IpcFault *fault)
{
  if (self->step == STEP_FAILED)
    return refuse_more (self, fault);
  if (self->step != STEP_DONE)
    take_end (self, fault);
  return status_of (self);
}

static bool
check_tail (const uint8_t *bytes, size_t size, size_t document_end, IpcFault *fault)
{
  Input tail = { .at = bytes + document_end, .end = bytes + size };

  if (!skip_space (&tail))
    return true;
  return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "data after the document at byte %zu", document_end);
}

bool
ipc_json_validate (const void *bytes, size_t size, bool object_only, IpcFault *fault)
{
  IpcJsonValidator self;
  IpcJsonStatus status;
  size_t taken = 0;

  init (&self, object_only);
  status = ipc_json_validator_feed (&self, bytes, size, &taken, fault);
  if (status == IPC_JSON_MORE)
    status = ipc_json_validator_finish (&self, fault);
  ipc_json_names_clear (&self.names);
  return status == IPC_JSON_COMPLETE && check_tail (bytes, size, taken, fault);
}
