/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shared file of a semaphore, as one process has it mapped: to look at it, or attached to it. No GObject here.
 *
 * The first two words of the geometry are how many permits and how many waiters there can be. What follows the header is a
 * block of our own, and the table of slots (core/ipc-slots.h).
 */
#pragma once

#include <glib.h>

#include "base/ipc-shared-object-private.h"
#include "core/ipc-slots.h"

#define IPC_SEMAPHORE_MAX_PERMITS IPC_SLOTS_MAX

typedef struct
{
  IpcSharedObject object;
  IpcSlots slots;
  guint n_permits;
} IpcSemaphoreFile;

/* Makes NAME, and attaches to it. EXISTS. */
gboolean ipc_semaphore_file_create  (IpcSemaphoreFile *self, int folder_fd, const char *name, guint n_permits, GError **error);
/* Attaches to NAME. NOT_FOUND, WRONG_TYPE, CORRUPT and so on. */
gboolean ipc_semaphore_file_attach  (IpcSemaphoreFile *self, int folder_fd, const char *name, GError **error);
/* Only looks at it: the map is read-only. */
gboolean ipc_semaphore_file_observe (IpcSemaphoreFile *self, int folder_fd, const char *name, GError **error);
/* Also in a forked child. Nothing may be held. */
void     ipc_semaphore_file_close   (IpcSemaphoreFile *self);

/* What ipc_shared_object_delete() and others are to know of it. */
extern const IpcSharedObjectClass ipc_semaphore_file_class;

/* µs UTC; attaching, detaching and acquiring are accesses. */
gint64   ipc_semaphore_file_get_last_accessed (const IpcSemaphoreFile *self);

/* Permits that processes hold which live (or which nobody can tell about); what others hold is as good as free. */
guint    ipc_semaphore_file_count_held (IpcSemaphoreFile *self);
/* FALSE: it is free, or its owner is dead. */
gboolean ipc_semaphore_file_get_holder (IpcSemaphoreFile *self, guint slot, IpcOwner *owner, gint64 *since);
