/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memfds, and a payload in a sealed one: memory that one process has filled and nobody can
 * change any more, so that another one may look at it where it lies.
 */
#pragma once

#include "core/ipc-fault.h"

/* An empty memfd that can be sealed, and not be executed; -1 with errno. NAME is seen in /proc. */
int  ipc_memfd_open   (const char *name);
/* A memfd with a copy of the SIZE bytes of DATA, sealed; -1 with errno. */
int  ipc_memfd_create (const void *data, size_t size);

/* Judges a descriptor that somebody sent, and maps the first SIZE bytes of it, which never change. INVALID_DATA for
 * whatever is not a memfd that is sealed against all change, is smaller than SIZE, or has holes: reading those would
 * take memory that its sender never gave. SYSTEM if there is no room for the map. *DATA is NULL if SIZE is 0. */
bool ipc_memfd_map    (int fd, uint64_t size, const void **data, IpcFault *fault);
void ipc_memfd_unmap  (const void *data, size_t size);
