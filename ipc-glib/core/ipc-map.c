/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-map.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

IpcMap *
ipc_map_new (void *bytes, size_t reserved, bool writable)
{
  IpcMap *self;
  IpcGuard *guard;

  if (bytes == MAP_FAILED)
    return NULL;
  self = calloc (1, sizeof *self);
  guard = self != NULL ? ipc_guard_map (bytes, reserved) : NULL;
  if (guard == NULL)
    {
      free (self);
      munmap (bytes, reserved);
      errno = ENOMEM;
      return NULL;
    }
  atomic_init (&self->ref_count, 1);
  self->bytes = bytes;
  self->reserved = reserved;
  self->writable = writable;
  self->guard = guard;
  return self;
}

IpcMap *
ipc_map_ref (IpcMap *self)
{
  atomic_fetch_add (&self->ref_count, 1);
  return self;
}

void
ipc_map_unref (void *data)
{
  IpcMap *self = data;

  while (self != NULL && atomic_fetch_sub (&self->ref_count, 1) == 1)
    {
      IpcMap *older = self->older;

      ipc_guard_unmap (self->guard);
      munmap (self->bytes, self->reserved);
      free (self);
      self = older;
    }
}

bool
ipc_map_restore (IpcMap *self, int fd)
{
  unsigned begun = ipc_guard_begin_restore (self->guard);
  int protection = self->writable ? PROT_READ | PROT_WRITE : PROT_READ;

  if (mmap (self->bytes, self->reserved, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
    {
      atomic_store (&self->guard->broken, true);
      return false;
    }
  ipc_guard_end_restore (self->guard, begun);
  return true;
}
