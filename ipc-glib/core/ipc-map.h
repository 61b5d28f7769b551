/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes of a file that are mapped, guarded (core/ipc-guard.h), for as long as anybody has a reference. Where a file has grown, it is
 * mapped anew; the map before stays until the new one goes, because somebody may be using it. They are of the same pages, and few.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ipc-guard.h"

typedef struct _IpcMap
{
  _Atomic unsigned ref_count;
  uint8_t *bytes;
  size_t reserved;              /* addresses; more than there are bytes where the file is to grow */
  bool writable;
  IpcGuard *guard;
  struct _IpcMap *older;        /* (owned) (nullable) */
} IpcMap;

/* Takes BYTES, what mmap() has returned, as it is; NULL with errno if that failed, or there is no memory. */
IpcMap *ipc_map_new   (void *bytes, size_t reserved, bool writable);
IpcMap *ipc_map_ref   (IpcMap *self);
void    ipc_map_unref (void *self);
/* Maps FD again at the same addresses, from its beginning on: what was gone, and is in the file again, is there again. One at a time; others
 * may be using it. False with errno, and it is as it was. */
bool    ipc_map_restore (IpcMap *self, int fd);
