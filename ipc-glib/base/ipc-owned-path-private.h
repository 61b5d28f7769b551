/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A path that its process owns, and the file of a server at it.
 *
 * Owning is holding the lock beside the path. Under it what a killed server left is taken over or replaced; what is not
 * a file of ours is left alone. A new file is made under a temporary name and is complete before it gets the real one.
 * Paths of any length work: everything goes through the directory.
 */
#pragma once

#include <gio/gio.h>

#include "core/ipc-fault.h"

typedef struct
{
  const char *kind;             /* "socket", "pipe": for messages */
  int directory_fd;             /* guarded (core/ipc-fork.h); -1 when not in use */
  int lock_fd;
  char *basename;               /* (owned) */
  char *shown;                  /* (owned) the whole path, printable, for messages */
  char *temporary;              /* (owned) what a new file is called first */
  guint64 device;               /* what identifies our file; both 0: there is none */
  guint64 inode;
} IpcOwnedPath;

/* Whether a file that was left under a temporary name may go. */
typedef gboolean (*IpcOwnedPathIsStale) (const IpcOwnedPath *self, const char *name);

void     ipc_owned_path_init        (IpcOwnedPath *self);
/* Takes the lock. DIRECTORY_FD is taken over, also on failure. PATH is for messages. FALSE with ADDRESS_IN_USE. */
gboolean ipc_owned_path_claim       (IpcOwnedPath *self, const char *kind, int directory_fd, const char *basename, const char *path,
                                     GError **error);
/* Removes what starts that were killed left under temporary names, if it is of FILE_TYPE (S_IFSOCK, S_IFIFO) and ours. IS_STALE
 * (nullable): and that says so too. Only whoever has the lock comes here, so none of them is about to get its real name. */
void     ipc_owned_path_sweep       (const IpcOwnedPath *self, mode_t file_type, IpcOwnedPathIsStale is_stale);
/* Sets group (-1: that of the process) and mode of the file under the temporary name: nobody gets in by the wider mode or
 * the group before both are set. */
gboolean ipc_owned_path_open_to_others (const IpcOwnedPath *self, guint mode, gid_t gid, GError **error);
/* Gives it its real name. ADDRESS_IN_USE: somebody who does not know of the lock has put something there; that is left alone. */
gboolean ipc_owned_path_publish     (IpcOwnedPath *self, GError **error);
/* Whether our file is still what is found there. */
gboolean ipc_owned_path_is_ours     (const IpcOwnedPath *self);
/* Unlinks the path if our file is still there, and gives up the lock. */
void     ipc_owned_path_clear       (IpcOwnedPath *self);

/* For messages: "cannot WHAT socket SHOWN", from errno. FALSE. */
gboolean ipc_owned_path_set_errno   (const IpcOwnedPath *self, const char *what, GError **error);
/* The core only knows the directory by its descriptor, and so names what is in it: the rest of the path is put in front. FALSE. */
gboolean ipc_owned_path_set_fault   (const IpcOwnedPath *self, const IpcFault *fault, GError **error);
/* PATH as it is shown in messages. */
char    *ipc_owned_path_escape      (const char *path) G_GNUC_WARN_UNUSED_RESULT;
