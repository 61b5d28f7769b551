/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-outbox-private.h"

#include <string.h>

/* The first block of an idle connection is small enough for malloc's quickest path. */
#define FIRST_BLOCK 1000u
#define BLOCK 65536u
#define STALLED_BLOCK 4096u

/* Descriptors that have not been sent yet. */
struct _IpcOutCargo
{
  IpcFds *fds;                  /* (nullable) (owned) */
  IpcSharedPayload *payload;    /* (nullable) (owned) the last descriptor */
};

/* Each thread keeps some large blocks: giving them back to the kernel and getting them again costs page faults. As many
 * as come back between a full queue and the signal that there is room again. */
#define MAX_SPARES 32u

typedef struct
{
  guint n;
  IpcOutBlock *blocks[MAX_SPARES];
} Spares;

static void
spares_free (gpointer data)
{
  Spares *self = data;

  while (self->n > 0)
    g_free (self->blocks[--self->n]);
  g_free (self);
}

static GPrivate spares = G_PRIVATE_INIT (spares_free);

static void
large_block_free (IpcOutBlock *block)
{
  Spares *mine = g_private_get (&spares);

  if (mine == NULL)
    g_private_set (&spares, mine = g_new0 (Spares, 1));
  if (mine->n < MAX_SPARES)
    mine->blocks[mine->n++] = block;
  else
    g_free (block);
}

static IpcOutBlock *
large_block_new (void)
{
  Spares *mine = g_private_get (&spares);

  return mine != NULL && mine->n > 0 ? mine->blocks[--mine->n] : g_malloc (sizeof (IpcOutBlock) + BLOCK);
}

static void
drop_cargo (IpcOutbox *self, IpcOutBlock *block)
{
  IpcOutCargo *cargo = g_steal_pointer (&block->cargo);

  self->n_cargos--;
  if (cargo->fds != NULL)
    self->n_fds -= cargo->fds->n;
  if (cargo->payload != NULL)
    self->shared -= cargo->payload->size;
  ipc_fds_free (cargo->fds);
  if (cargo->payload != NULL && self->budget != NULL)
    ipc_budget_unref_bytes (self->budget, cargo->payload->bytes);
  g_clear_pointer (&cargo->payload, ipc_shared_payload_unref);
  g_free (cargo);
}

static void
block_free (IpcOutbox *self, IpcOutBlock *block)
{
  if (block->bytes != NULL && self->budget != NULL)
    ipc_budget_unref_bytes (self->budget, block->bytes);
  if (block->bytes != NULL)
    g_bytes_unref (block->bytes);
  if (block->sheet != NULL)
    ipc_out_sheet_unref (block->sheet, self->budget);
  self->allocated -= sizeof *block + block->capacity;
  if (block->capacity == BLOCK)
    large_block_free (block);
  else
    g_free (block);
}

static void
append (IpcOutbox *self, IpcOutBlock *block)
{
  if (self->tail != NULL)
    self->tail->next = block;
  else
    self->head = block;
  self->tail = block;
}

void
ipc_outbox_clear (IpcOutbox *self)
{
  while (self->head != NULL)
    {
      IpcOutBlock *block = self->head;

      self->head = block->next;
      if (block->cargo != NULL)
        drop_cargo (self, block);
      block_free (self, block);
    }
  self->tail = NULL;
  self->queued = 0;
  if (self->events != NULL)
    ipc_outbox_forget_events (self);
}

static IpcOutBlock *
block_new (IpcOutbox *self, gsize capacity)
{
  IpcOutBlock *block = capacity == BLOCK ? large_block_new () : g_malloc (sizeof *block + capacity);

  *block = (IpcOutBlock){ .data = (guint8 *) (block + 1), .capacity = capacity };
  self->allocated += sizeof *block + capacity;
  return block;
}

IpcOutBlock *
ipc_outbox_add_block (IpcOutbox *self, gsize size)
{
  IpcOutBlock *last = self->tail;
  /* Behind a large payload comes the header of another one, as a rule. */
  gboolean small = last == NULL || last->bytes != NULL || last->sheet != NULL || last->cargo != NULL;
  gsize room = small ? FIRST_BLOCK - sizeof *last : BLOCK;
  IpcOutBlock *block;

  if (self->is_stalled)
    room = CLAMP (self->allocated / 2, STALLED_BLOCK, BLOCK) - sizeof *block;
  block = block_new (self, MAX (room, size));
  append (self, block);
  return block;
}

IpcOutBlock *
ipc_outbox_add_piece (IpcOutbox *self, IpcOutSheet *sheet, gsize at)
{
  IpcOutBlock *block = block_new (self, 0);

  block->sheet = ipc_out_sheet_ref (sheet, self->budget);
  block->data = sheet->data;
  block->start = block->end = at;
  append (self, block);
  return block;
}

void
ipc_outbox_add_bytes (IpcOutbox *self, GBytes *bytes)
{
  IpcOutBlock *block = block_new (self, 0);

  block->bytes = g_bytes_ref (bytes);
  block->data = g_bytes_get_data (bytes, &block->end);
  if (self->budget != NULL)
    ipc_budget_ref_bytes (self->budget, bytes);
  append (self, block);
  self->queued += block->end;
  self->total_in += block->end;
}

guint8 *
ipc_outbox_add_cargo (IpcOutbox *self, gsize size, IpcFds *fds, IpcSharedPayload *payload)
{
  /* Nothing is ever added to it: what comes behind would go along with descriptors that are not its own. */
  IpcOutBlock *block = block_new (self, size);

  block->cargo = g_new (IpcOutCargo, 1);
  *block->cargo = (IpcOutCargo){ fds, payload };
  block->end = size;
  append (self, block);
  self->n_cargos++;
  if (fds != NULL)
    self->n_fds += fds->n;
  if (payload != NULL)
    self->shared += payload->size;
  if (payload != NULL && self->budget != NULL)
    ipc_budget_ref_bytes (self->budget, payload->bytes);
  self->queued += size;
  self->total_in += size;
  return (guint8 *) block->data;
}

/* What the next write begins with. */
static IpcOutBlock *
get_front (IpcOutbox *self)
{
  IpcOutBlock *block = self->head;

  while (block != NULL && block->start == block->end)
    block = block->next;
  return block;
}

guint
ipc_outbox_get_fds (IpcOutbox *self, int *fds)
{
  IpcOutBlock *front = get_front (self);
  IpcOutCargo *cargo = front != NULL ? front->cargo : NULL;
  guint n = 0;

  if (cargo == NULL)
    return 0;
  for (; cargo->fds != NULL && n < cargo->fds->n; n++)
    fds[n] = cargo->fds->fds[n];
  if (cargo->payload != NULL)
    fds[n++] = cargo->payload->fd;
  return n;
}

guint8 *
ipc_outbox_unshare (IpcOutbox *self, gsize *payload_size)
{
  IpcOutBlock *block = get_front (self);
  IpcOutBlock *inlined;

  if (block == NULL || block->cargo == NULL || block->cargo->payload == NULL)
    return NULL;
  inlined = block_new (self, 0);
  /* The budget goes on counting them, for the new block. */
  inlined->bytes = g_bytes_ref (block->cargo->payload->bytes);
  inlined->data = g_bytes_get_data (inlined->bytes, &inlined->end);
  inlined->next = block->next;
  block->next = inlined;
  if (self->tail == block)
    self->tail = inlined;
  *payload_size = inlined->end;
  /* It takes the place of the bytes that stood for it, so that nothing behind it changes its position. */
  block->end -= sizeof (guint64);
  inlined->uncounted = inlined->end - sizeof (guint64);
  self->shared -= inlined->end;
  g_clear_pointer (&block->cargo->payload, ipc_shared_payload_unref);
  if (block->cargo->fds == NULL)
    drop_cargo (self, block);
  return (guint8 *) block->data;
}

int
ipc_outbox_get_iovec (IpcOutbox *self, struct iovec *iov, int max)
{
  int n = 0;

  for (IpcOutBlock *block = self->head; block != NULL && n < max; block = block->next)
    {
      if (block->cargo != NULL && n > 0)
        break;
      if (block->end > block->start)
        iov[n++] = (struct iovec){ (guint8 *) block->data + block->start, block->end - block->start };
    }
  return n;
}

static gsize
count (IpcOutBlock *block, gsize size)
{
  gsize uncounted = MIN (size, block->uncounted);

  block->uncounted -= uncounted;
  return size - uncounted;
}

void
ipc_outbox_written (IpcOutbox *self, gsize size)
{
  while (self->head != NULL)
    {
      IpcOutBlock *block = self->head;
      gsize part = MIN (size, block->end - block->start);

      if (part > 0 && block->cargo != NULL)
        drop_cargo (self, block);
      self->queued -= count (block, part);
      block->start += part;
      size -= part;
      if (block->start < block->end)
        break;
      self->head = block->next;
      if (self->head == NULL)
        self->tail = NULL;
      block_free (self, block);
    }
  if (self->events != NULL)
    ipc_outbox_pass_events (self);
}

static gboolean
is_loose (const IpcOutBlock *block)
{
  return block->cargo == NULL && block->capacity >= block->end - block->start + STALLED_BLOCK;
}

static void
trim_block (IpcOutbox *self, IpcOutBlock **link)
{
  IpcOutBlock *block = *link;
  gsize have = block->end - block->start;
  IpcOutBlock *small = block_new (self, have);

  memcpy (small + 1, block->data + block->start, have);
  small->end = have;
  small->next = block->next;
  *link = small;
  if (self->tail == block)
    self->tail = small;
  block_free (self, block);
}

/* Only the first and the last can have much room to spare. */
void
ipc_outbox_trim (IpcOutbox *self)
{
  IpcOutBlock **link = &self->head;

  if (self->head == NULL)
    return;
  if (is_loose (self->head))
    trim_block (self, link);
  if (!is_loose (self->tail))
    return;
  while (*link != self->tail)
    link = &(*link)->next;
  trim_block (self, link);
}

/* What lies before the gap is moved, not what lies behind: it is the frame that is being written, or little more. */
static void
cut_block (IpcOutBlock *block, gsize at, gsize size)
{
  if (at == block->start)
    block->start += size;
  else if (at + size == block->end)
    block->end -= size;
  else
    {
      guint8 *front = (guint8 *) block->data + block->start;

      memmove (front + size, front, at - block->start);
      block->start += size;
    }
}

void
ipc_outbox_cut (IpcOutbox *self, gsize skip, gsize size, GByteArray *copy)
{
  IpcOutBlock **link = &self->head;
  IpcOutBlock *before = NULL;

  self->queued -= size;
  while (size > 0)
    {
      IpcOutBlock *block = *link;
      gsize have = block->end - block->start - block->uncounted;
      gsize part = skip < have ? MIN (size, have - skip) : 0;

      if (part > 0 && copy != NULL)
        g_byte_array_append (copy, block->data + block->start + skip, (guint) part);
      if (part > 0)
        cut_block (block, block->start + skip, part);
      size -= part;
      skip -= MIN (skip, have);
      if (part == 0 || block->start < block->end)
        {
          before = block;
          link = &block->next;
          continue;
        }
      *link = block->next;
      if (self->tail == block)
        self->tail = before;
      block_free (self, block);
    }
}
