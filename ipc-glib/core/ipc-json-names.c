/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arena of member names, part of a JSON validator and owned by it. It grows
 * by doubling, so it never holds more than twice what the peer really sent; the
 * caller bounds the number of names by the number of values it lets pass.
 */
#include "core/ipc-json-names.h"

#include <stdlib.h>
#include <string.h>

/* What may be kept over a reset. */
#define KEPT_BYTES (16 * 1024)
#define KEPT_NAMES 512
/* So few names are compared pair by pair, more of them sorted. */
#define FEW 16

static void
use_inline_buffers (IpcJsonNames *self)
{
  self->bytes = self->inline_bytes;
  self->bytes_capacity = IPC_JSON_NAMES_INLINE_BYTES;
  self->names = self->inline_names;
  self->names_capacity = IPC_JSON_NAMES_INLINE;
}

void
ipc_json_names_init (IpcJsonNames *self)
{
  use_inline_buffers (self);
  self->n_bytes = 0;
  self->n_names = 0;
}

void
ipc_json_names_clear (IpcJsonNames *self)
{
  if (self->bytes != self->inline_bytes)
    free (self->bytes);
  if (self->names != self->inline_names)
    free (self->names);
  ipc_json_names_init (self);
}

void
ipc_json_names_reset (IpcJsonNames *self)
{
  if (self->bytes_capacity > KEPT_BYTES || self->names_capacity > KEPT_NAMES)
    ipc_json_names_clear (self);
  self->n_bytes = 0;
  self->n_names = 0;
}

/* A buffer with room for MORE items beyond those USED; the inline one is not freed. */
static void *
grow (void *buffer, const void *inline_buffer, size_t item_size, size_t used, size_t more, size_t *capacity)
{
  size_t wanted = *capacity;
  void *bigger;

  while (wanted - used < more)
    {
      if (wanted > SIZE_MAX / 2 / item_size)
        return NULL;
      wanted *= 2;
    }
  bigger = realloc (buffer == inline_buffer ? NULL : buffer, wanted * item_size);
  if (bigger == NULL)
    return NULL;
  if (buffer == inline_buffer)
    memcpy (bigger, inline_buffer, used * item_size);
  *capacity = wanted;
  return bigger;
}

bool
ipc_json_names_begin (IpcJsonNames *self, uint64_t offset)
{
  if (self->n_names == self->names_capacity)
    {
      IpcJsonName *bigger = grow (self->names, self->inline_names, sizeof *bigger,
                                  self->n_names, 1, &self->names_capacity);

      if (bigger == NULL)
        return false;
      self->names = bigger;
    }
  self->names[self->n_names++] = (IpcJsonName) { .start = self->n_bytes, .offset = offset };
  return true;
}

bool
ipc_json_names_append (IpcJsonNames *self, const uint8_t *bytes, size_t size)
{
  if (self->bytes_capacity - self->n_bytes < size)
    {
      uint8_t *bigger = grow (self->bytes, self->inline_bytes, 1, self->n_bytes, size, &self->bytes_capacity);

      if (bigger == NULL)
        return false;
      self->bytes = bigger;
    }
  memcpy (self->bytes + self->n_bytes, bytes, size);
  self->n_bytes += size;
  return true;
}

void
ipc_json_names_end (IpcJsonNames *self)
{
  IpcJsonName *last = &self->names[self->n_names - 1];

  last->size = self->n_bytes - last->start;
}

void
ipc_json_names_cut (IpcJsonNames *self, size_t first, size_t start)
{
  self->n_names = first;
  self->n_bytes = start;
}

/* Any total order will do; comparing lengths first is the quickest. */
static int
compare_bytes (const IpcJsonName *a, const IpcJsonName *b, const uint8_t *bytes)
{
  if (a->size != b->size)
    return a->size < b->size ? -1 : 1;
  return memcmp (bytes + a->start, bytes + b->start, a->size);
}

/* Equal names stay in the order in which they came. */
static int
compare_names (const void *a, const void *b, void *bytes)
{
  const IpcJsonName *one = a, *other = b;
  int order = compare_bytes (one, other, bytes);

  if (order != 0)
    return order;
  return one->offset < other->offset ? -1 : one->offset > other->offset;
}

static const IpcJsonName *
find_among_few (const IpcJsonName *names, size_t n, const uint8_t *bytes)
{
  for (size_t i = 1; i < n; i++)
    for (size_t j = 0; j < i; j++)
      if (compare_bytes (&names[i], &names[j], bytes) == 0)
        return &names[i];
  return NULL;
}

static const IpcJsonName *
find_among_many (IpcJsonName *names, size_t n, uint8_t *bytes)
{
  const IpcJsonName *found = NULL;

  qsort_r (names, n, sizeof *names, compare_names, bytes);
  for (size_t i = 1; i < n; i++)
    if (compare_bytes (&names[i - 1], &names[i], bytes) == 0 && (found == NULL || names[i].offset < found->offset))
      found = &names[i];
  return found;
}

const IpcJsonName *
ipc_json_names_find_duplicate (IpcJsonNames *self, size_t first)
{
  IpcJsonName *names = self->names + first;
  size_t n = self->n_names - first;

  return n <= FEW ? find_among_few (names, n, self->bytes) : find_among_many (names, n, self->bytes);
}
