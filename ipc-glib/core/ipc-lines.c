/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-lines.h"

#include <stdlib.h>
#include <string.h>

#include "core/ipc-frame.h"

#define HEADER_END (IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE)
#define PREAMBLE_NEWLINE 6      /* where the preamble has one */

void
ipc_lines_init (IpcLines *self, size_t max_line)
{
  memset (self, 0, sizeof *self);
  self->max_line = max_line;
}

static void
drop_partial (IpcLines *self)
{
  free (self->partial);
  self->partial = NULL;
  self->n_partial = self->capacity = 0;
}

void
ipc_lines_clear (IpcLines *self)
{
  drop_partial (self);
}

/* Nothing but a newline ends what is lost. */
static IpcLinesEvent
lose_line (IpcLines *self)
{
  drop_partial (self);
  self->skipping = true;
  return IPC_LINES_BAD;
}

/* ---- HELLO ---- */

static IpcLinesEvent
lose_hello (IpcLines *self)
{
  bool line_is_over = self->n_hello > PREAMBLE_NEWLINE && self->hello_size == 0;

  self->n_hello = self->hello_size = 0;
  lose_line (self);
  self->skipping = !line_is_over;
  return IPC_LINES_BAD;
}

/* What is there of it may become one. */
static bool
check_hello (IpcLines *self, IpcFault *fault)
{
  IpcFrame frame;

  if (self->n_hello < HEADER_END)
    return true;
  frame = ipc_frame_load (self->hello + IPC_PREAMBLE_SIZE);
  self->hello_size = HEADER_END + (size_t) frame.length;
  if (frame.kind == IPC_FRAME_HELLO && self->hello_size <= PIPE_BUF)
    return true;
  ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "the first frame is of kind %u and %zu bytes, expected a HELLO of at most %d", frame.kind,
                 self->hello_size, PIPE_BUF);
  return false;
}

/* Bytes up to the next point at which the HELLO can be judged. */
static size_t
take_hello (IpcLines *self, const uint8_t *bytes, size_t size)
{
  size_t end = self->n_hello < IPC_PREAMBLE_SIZE ? self->n_hello + 1 : self->hello_size == 0 ? HEADER_END : self->hello_size;
  size_t n = end - self->n_hello < size ? end - self->n_hello : size;

  memcpy (self->hello + self->n_hello, bytes, n);
  self->n_hello += n;
  return n;
}

static IpcLinesEvent
give_hello (IpcLines *self, IpcLinesPart *part, IpcFault *fault)
{
  part->bytes = part->owned = malloc (self->hello_size);
  part->size = self->hello_size;
  if (part->owned == NULL)
    {
      ipc_fault_set (fault, IPC_FAULT_NO_SPACE, "no memory for a HELLO of %zu bytes", self->hello_size);
      return lose_hello (self);
    }
  memcpy (part->owned, self->hello, self->hello_size);
  self->n_hello = self->hello_size = 0;
  return IPC_LINES_HELLO;
}

/* At a NUL, or behind one. *TAKEN grows by what is of it. */
static IpcLinesEvent
feed_hello (IpcLines *self, const uint8_t *bytes, size_t size, size_t *taken, IpcLinesPart *part, IpcFault *fault)
{
  while (*taken < size)
    {
      /* The byte that does not belong to it is looked at again, as one of a line. */
      if (self->n_hello < IPC_PREAMBLE_SIZE && bytes[*taken] != ipc_preamble[self->n_hello])
        {
          ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "a NUL byte in a line");
          return lose_hello (self);
        }
      *taken += take_hello (self, bytes + *taken, size - *taken);
      if (!check_hello (self, fault))
        return lose_hello (self);
      if (self->hello_size > 0 && self->n_hello == self->hello_size)
        return give_hello (self, part, fault);
    }
  return IPC_LINES_MORE;
}

/* ---- lines ---- */

static bool
add_partial (IpcLines *self, const uint8_t *bytes, size_t size, IpcFault *fault)
{
  size_t need = self->n_partial + size;

  if (need > self->capacity)
    {
      size_t capacity = need + need / 2 < self->max_line ? need + need / 2 : self->max_line;
      uint8_t *partial = realloc (self->partial, capacity);

      if (partial == NULL)
        return ipc_fault_set (fault, IPC_FAULT_NO_SPACE, "no memory for a line of %zu bytes", need);
      self->partial = partial;
      self->capacity = capacity;
    }
  if (size > 0)
    memcpy (self->partial + self->n_partial, bytes, size);
  self->n_partial = need;
  return true;
}

static IpcLinesEvent
lose_long_line (IpcLines *self, bool is_over, IpcFault *fault)
{
  ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "a line of more than %zu bytes, the limit", self->max_line);
  lose_line (self);
  self->skipping = !is_over;
  return IPC_LINES_BAD;
}

static IpcLinesEvent
give_line (IpcLinesPart *part, IpcFault *fault)
{
  size_t offset;

  if (ipc_utf8_check (part->bytes, part->size, &offset))
    return IPC_LINES_LINE;
  ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "a line of %zu bytes with invalid UTF-8 at byte %zu", part->size, offset);
  free (part->owned);
  part->owned = NULL;
  return IPC_LINES_BAD;
}

static void
steal_partial (IpcLines *self, IpcLinesPart *part)
{
  part->bytes = part->owned = self->partial;
  part->size = self->n_partial;
  self->partial = NULL;
  self->n_partial = self->capacity = 0;
}

/* SIZE bytes end here with a newline. */
static IpcLinesEvent
end_line (IpcLines *self, const uint8_t *bytes, size_t size, IpcLinesPart *part, IpcFault *fault)
{
  if (self->skipping)
    {
      self->skipping = false;
      return IPC_LINES_MORE;
    }
  if (size > self->max_line - self->n_partial)
    return lose_long_line (self, true, fault);
  *part = (IpcLinesPart){ bytes, size, NULL };
  if (self->n_partial > 0)
    {
      if (!add_partial (self, bytes, size, fault))
        {
          lose_line (self);
          self->skipping = false;
          return IPC_LINES_BAD;
        }
      steal_partial (self, part);
    }
  return give_line (part, fault);
}

/* SIZE bytes of a line that goes on. */
static IpcLinesEvent
go_on_with_line (IpcLines *self, const uint8_t *bytes, size_t size, IpcFault *fault)
{
  if (self->skipping || size == 0)
    return IPC_LINES_MORE;
  if (size > self->max_line - self->n_partial)
    return lose_long_line (self, false, fault);
  return add_partial (self, bytes, size, fault) ? IPC_LINES_MORE : lose_line (self);
}

IpcLinesEvent
ipc_lines_feed (IpcLines *self, const uint8_t *bytes, size_t size, size_t *taken, IpcLinesPart *part, IpcFault *fault)
{
  *taken = 0;
  *part = (IpcLinesPart){ NULL, 0, NULL };
  while (*taken < size)
    {
      const uint8_t *from = bytes + *taken;
      const uint8_t *newline, *nul;
      size_t left = size - *taken;
      IpcLinesEvent event;

      if (self->n_hello > 0 || *from == 0)
        {
          event = feed_hello (self, bytes, size, taken, part, fault);
          if (event != IPC_LINES_MORE)
            return event;
          continue;
        }
      newline = memchr (from, '\n', left);
      nul = memchr (from, '\0', newline != NULL ? (size_t) (newline - from) : left);
      if (newline != NULL && nul == NULL)
        {
          *taken += (size_t) (newline - from) + 1;
          event = end_line (self, from, (size_t) (newline - from), part, fault);
        }
      else
        {
          left = nul != NULL ? (size_t) (nul - from) : left;
          *taken += left;
          event = go_on_with_line (self, from, left, fault);
        }
      if (event != IPC_LINES_MORE)
        return event;
    }
  return IPC_LINES_MORE;
}

IpcLinesEvent
ipc_lines_finish (IpcLines *self, IpcLinesPart *part, IpcFault *fault)
{
  *part = (IpcLinesPart){ NULL, 0, NULL };
  if (self->n_hello > 0)
    {
      ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "the last writer left in the middle of a HELLO, after %zu bytes", self->n_hello);
      lose_hello (self);
      self->skipping = false;
      return IPC_LINES_BAD;
    }
  self->skipping = false;
  if (self->n_partial == 0)
    return IPC_LINES_MORE;
  steal_partial (self, part);
  return give_line (part, fault);
}
