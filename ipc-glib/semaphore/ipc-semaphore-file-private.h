/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shared file of a semaphore, as one process has it mapped: to look at it, or attached to it. No GObject here.
 *
 * The first two words of the geometry are how many permits and how many waiters there can be; the other two are the id of the
 * table of processes that the owner ids in the file are from. What follows the header is a block of our own, and the
 * table of slots (core/ipc-slots.h).
 */
#pragma once

#include <glib.h>

#include "core/ipc-attachment.h"
#include "core/ipc-shared-file.h"
#include "core/ipc-slots.h"

#define IPC_SEMAPHORE_MAX_PERMITS IPC_SLOTS_MAX

typedef struct
{
  IpcSharedFile file;           /* without its descriptor */
  IpcPresence *presence;        /* (owned) */
  gboolean knows_owners;        /* owner ids in the file are of PRESENCE */
  IpcAttachment attachment;     /* unless it is only looked at */
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

/* Takes the name away and wakes those who wait. FALSE without an error: somebody else did so meanwhile. */
gboolean ipc_semaphore_file_delete  (int folder_fd, const char *name, GError **error);
/* The same, if no process is attached and nobody was for IDLE_TIMEOUT ms. FALSE without an error: it is not so. */
gboolean ipc_semaphore_file_remove_idle (int folder_fd, const char *name, gint64 idle_timeout, GError **error);

gboolean ipc_semaphore_file_is_same (const IpcSemaphoreFile *self, const IpcSemaphoreFile *other);
/* Whether NAME is still this one. */
gboolean ipc_semaphore_file_has_name (const IpcSemaphoreFile *self, int folder_fd, const char *name);

/* µs UTC; attaching, detaching and acquiring are accesses. */
gint64   ipc_semaphore_file_get_last_accessed (IpcSemaphoreFile *self);

/* Permits that processes hold which live (or which nobody can tell about); what others hold is as good as free. */
guint    ipc_semaphore_file_count_held (IpcSemaphoreFile *self);
/* FALSE: it is free, or its owner is dead. */
gboolean ipc_semaphore_file_get_holder (IpcSemaphoreFile *self, guint slot, IpcOwner *owner, gint64 *since);
