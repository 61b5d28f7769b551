/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Getting at a file that is to be mapped: only a regular one, by a way that nobody else can have tampered with. No GObject here.
 */
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

#include "core/ipc-dirty.h"

#define IPC_FILE_MAX_SIZE IPC_DIRTY_MAX

typedef struct
{
  char *path;                   /* (owned) absolute */
  char *basename;               /* (owned) */
  int directory_fd;             /* fork-guarded */
  int fd;                       /* fork-guarded */
  dev_t device;
  ino_t inode;
  guint64 size;
} IpcFileOpened;

/* What SIZE of map_file() asks for. */
typedef struct
{
  guint64 size;                 /* at least; 0: as it is, or the default one */
  guint64 default_size;
  guint64 max_size;             /* to make, or enlarge it */
} IpcFileWanted;

/* Opens the file, and with WRITABLE makes it if it is not there. Its size is looked at by ipc_file_opened_measure(). */
gboolean ipc_file_opened_init    (IpcFileOpened *self, const char *path, gboolean writable, const IpcFileWanted *wanted, GError **error);
/* Enlarges it to what is wanted, and sees to it that what is in it has a place on the disk. */
gboolean ipc_file_opened_measure (IpcFileOpened *self, gboolean writable, const IpcFileWanted *wanted, GError **error);
/* Also in a forked child: FORKED says so. */
void     ipc_file_opened_clear   (IpcFileOpened *self, gboolean forked);

gboolean ipc_file_check_size     (const char *path, guint64 size, guint64 max_size, GError **error);
/* So that no store is killed later for want of space. */
gboolean ipc_file_allocate       (int fd, const char *path, guint64 from, guint64 to, GError **error);
gboolean ipc_file_fill_holes     (int fd, const char *path, guint64 offset, guint64 length, GError **error);
