/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What several processes have in one file of a scope, as one process has it mapped: to look at it, or attached to it. Semaphores
 * and segments of memory are such. No GObject here.
 *
 * The last two words of the geometry are the id of the table of processes that the owner ids in the file are from.
 */
#pragma once

#include <glib.h>

#include "core/ipc-attachment.h"
#include "core/ipc-presence.h"
#include "core/ipc-shared-file.h"

/* What a mechanism says of its files. */
typedef struct
{
  const char *what;             /* "semaphore", in errors */
  IpcSharedKind kind;
  guint32 layout;
  guint64 max_size;
  gboolean has_generation;      /* geometry[1] is a number that grows from each that is made in the folder to the next */
  gboolean keeps_descriptor;    /* while attached; a map does not need it */

  /* Judges the geometry, which is of the private copy, as is the size. */
  gboolean (*check)             (const IpcSharedFile *file, const char *name, GError **error);
  /* Attaching and detaching are accesses. */
  void     (*touch)             (const IpcSharedFile *file);
  /* µs UTC, as it is written there. */
  gint64   (*get_last_accessed) (const IpcSharedFile *file);
  /* It was deleted: wakes those who wait. */
  void     (*wake)              (const IpcSharedFile *file, IpcPresence *presence);
} IpcSharedObjectClass;

typedef struct
{
  const IpcSharedObjectClass *klass;
  IpcSharedFile file;
  IpcPresence *presence;        /* (owned) */
  gboolean knows_owners;        /* owner ids in the file are of PRESENCE */
  gboolean is_writable;         /* the map is */
  IpcAttachment attachment;     /* unless it is only looked at */
} IpcSharedObject;

/* Makes NAME, with the SIZE and the first two words of the geometry of INFO, and attaches to it. EXISTS. */
gboolean ipc_shared_object_create  (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, const char *name,
                                    const IpcSharedInfo *info, IpcSharedFill fill, GError **error);
/* The same for a file without a name, whose processes are those of the folder. */
gboolean ipc_shared_object_create_anonymous (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd,
                                             const IpcSharedInfo *info, IpcSharedFill fill, GError **error);
/* Attaches to NAME. NOT_FOUND, WRONG_TYPE, CORRUPT and so on. */
gboolean ipc_shared_object_attach  (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, const char *name, GError **error);
/* Attaches to one whose descriptor somebody sent; takes FD on success. It may be of another table of processes, or not to be
 * attached to because FD cannot be read: then it is only mapped. */
gboolean ipc_shared_object_adopt   (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, int fd, gboolean writable, GError **error);
/* One of somebody else, that has nothing but bytes: what INFO describes is this process's alone. The same about FD. */
gboolean ipc_shared_object_wrap    (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, int fd,
                                    const IpcSharedInfo *info, IpcSharedFill fill, GError **error);
/* Only looks at it: the map is read-only, and no descriptor is kept. */
gboolean ipc_shared_object_observe (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, const char *name, GError **error);
/* One that was never opened: closing it does nothing. */
void     ipc_shared_object_init    (IpcSharedObject *self);
/* Also in a forked child. Nothing may be owned. */
void     ipc_shared_object_close   (IpcSharedObject *self);

/* Takes the name away and wakes those who wait. FALSE without an error: somebody else did so meanwhile. */
gboolean ipc_shared_object_delete  (const IpcSharedObjectClass *klass, int folder_fd, const char *name, GError **error);
/* The same, if no process is attached and nobody was for IDLE_TIMEOUT ms. FALSE without an error: it is not so. */
gboolean ipc_shared_object_remove_idle (const IpcSharedObjectClass *klass, int folder_fd, const char *name, gint64 idle_timeout,
                                        GError **error);

gboolean ipc_shared_object_is_same  (const IpcSharedObject *self, const IpcSharedObject *other);
/* How many processes have NAME attached, if it is this one still; 0 if not. */
guint    ipc_shared_object_count_attached (const IpcSharedObject *self, int folder_fd, const char *name);
/* Whether NAME is still this one. */
gboolean ipc_shared_object_has_name (const IpcSharedObject *self, int folder_fd, const char *name);
/* µs UTC: what others wrote is only believed as far as it makes sense. */
gint64   ipc_shared_object_get_last_accessed (const IpcSharedObject *self);
