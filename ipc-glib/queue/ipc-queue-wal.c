/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-wal-private.h"

#include <string.h>

#define BUFFER_MAX (64 * 1024)  /* what is larger is written in parts; the usual VFS writes less than 128 KiB at a time */
#define BUFFER_KEPT (32 * 1024) /* between commits */

/* An open log; the file of the VFS behind it follows. */
typedef struct
{
  sqlite3_file base;
  guint8 *bytes;                /* (owned) (nullable) not written yet */
  gsize room;
  gsize size;
  sqlite3_int64 start;          /* where they go */
  gboolean is_direct;           /* nothing is gathered */
  gboolean is_lazy;             /* what is committed is synced later, or not at all */
  gboolean is_new;              /* its header was written, and not synced */
  gboolean is_unsynced;         /* something was written, and not synced */
} Log;

static sqlite3_vfs *below;
static sqlite3_vfs vfs;
static const sqlite3_io_methods methods;

static sqlite3_file *
get_file (sqlite3_file *file)
{
  return (sqlite3_file *) ((Log *) file + 1);
}

#define CALL(file, method, ...) (get_file (file)->pMethods->method (get_file (file), ##__VA_ARGS__))

/* ---- gathering ---- */

static void
set_room (Log *self, gsize room)
{
  self->bytes = g_realloc (self->bytes, room);
  self->room = room;
}

/* What could not be written is no part of any commit. */
static int
flush (Log *self)
{
  gsize size = self->size;

  if (size == 0)
    return SQLITE_OK;
  self->size = 0;
  return CALL (&self->base, xWrite, self->bytes, (int) size, self->start);
}

static gboolean
continues (const Log *self, gsize size, sqlite3_int64 offset)
{
  return self->size == 0 || (offset == self->start + (sqlite3_int64) self->size && size <= BUFFER_MAX - self->size);
}

static void
gather (Log *self, const void *bytes, gsize size, sqlite3_int64 offset)
{
  if (self->size == 0)
    self->start = offset;
  if (self->size + size > self->room)
    set_room (self, MIN (BUFFER_MAX, MAX (self->room * 2, MAX (self->size + size, BUFFER_KEPT))));
  memcpy (self->bytes + self->size, bytes, size);
  self->size += size;
}

/* ---- the methods ---- */

static int
log_close (sqlite3_file *file)
{
  Log *self = (Log *) file;
  int code = flush (self), closed = CALL (file, xClose);

  g_clear_pointer (&self->bytes, g_free);
  return code != SQLITE_OK ? code : closed;
}

static int
log_read (sqlite3_file *file, void *buffer, int size, sqlite3_int64 offset)
{
  int code = flush ((Log *) file);

  return code == SQLITE_OK ? CALL (file, xRead, buffer, size, offset) : code;
}

static int
log_write (sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
  Log *self = (Log *) file;
  int code = SQLITE_OK;

  self->is_new |= offset == 0;
  self->is_unsynced = TRUE;
  if (!continues (self, (gsize) size, offset))
    code = flush (self);
  if (code != SQLITE_OK)
    return code;
  if (self->is_direct || size > BUFFER_MAX)
    return CALL (file, xWrite, bytes, size, offset);
  gather (self, bytes, (gsize) size, offset);
  return SQLITE_OK;
}

static int
log_truncate (sqlite3_file *file, sqlite3_int64 size)
{
  int code = flush ((Log *) file);

  return code == SQLITE_OK ? CALL (file, xTruncate, size) : code;
}

static int
sync_now (Log *self, int flags)
{
  int code = CALL (&self->base, xSync, flags);

  if (code == SQLITE_OK)
    self->is_new = self->is_unsynced = FALSE;
  return code;
}

static int
log_sync (sqlite3_file *file, int flags)
{
  Log *self = (Log *) file;
  int code = flush (self);

  if (self->room > BUFFER_KEPT)
    set_room (self, BUFFER_KEPT);
  return code == SQLITE_OK && (self->is_new || !self->is_lazy) ? sync_now (self, flags) : code;
}

static int
log_size (sqlite3_file *file, sqlite3_int64 *size)
{
  int code = flush ((Log *) file);

  return code == SQLITE_OK ? CALL (file, xFileSize, size) : code;
}

static int
log_lock (sqlite3_file *file, int level)
{
  return CALL (file, xLock, level);
}

static int
log_unlock (sqlite3_file *file, int level)
{
  return CALL (file, xUnlock, level);
}

static int
log_check_lock (sqlite3_file *file, int *result)
{
  return CALL (file, xCheckReservedLock, result);
}

static int
log_control (sqlite3_file *file, int operation, void *argument)
{
  return CALL (file, xFileControl, operation, argument);
}

static int
log_sector (sqlite3_file *file)
{
  return CALL (file, xSectorSize);
}

static int
log_device (sqlite3_file *file)
{
  return CALL (file, xDeviceCharacteristics);
}

/* Nobody maps a log. */
static const sqlite3_io_methods methods = {
  .iVersion = 1,
  .xClose = log_close,
  .xRead = log_read,
  .xWrite = log_write,
  .xTruncate = log_truncate,
  .xSync = log_sync,
  .xFileSize = log_size,
  .xLock = log_lock,
  .xUnlock = log_unlock,
  .xCheckReservedLock = log_check_lock,
  .xFileControl = log_control,
  .xSectorSize = log_sector,
  .xDeviceCharacteristics = log_device,
};

/* ---- the VFS ---- */

/* Where a write may spoil what is next to it on the disk, SQLite fills the last sector after it has synced. */
static gboolean
writes_after_sync (sqlite3_file *file)
{
  return (file->pMethods->xDeviceCharacteristics (file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) == 0;
}

static int
open_log (const char *path, Log *self, int flags, int *out_flags)
{
  sqlite3_file *file = get_file (&self->base);
  int code;

  memset (self, 0, sizeof *self);
  code = below->xOpen (below, path, file, flags, out_flags);
  if (code != SQLITE_OK && file->pMethods != NULL)
    file->pMethods->xClose (file);
  if (code != SQLITE_OK)
    return code;
  self->is_direct = writes_after_sync (file);
  self->base.pMethods = &methods;
  return SQLITE_OK;
}

/* All but the log is not changed at all. */
static int
vfs_open (sqlite3_vfs *self, const char *path, sqlite3_file *file, int flags, int *out_flags)
{
  if ((flags & SQLITE_OPEN_WAL) != 0)
    return open_log (path, (Log *) file, flags, out_flags);
  return below->xOpen (below, path, file, flags, out_flags);
}

static gpointer
register_vfs (gpointer unused)
{
  below = sqlite3_vfs_find (NULL);
  vfs = *below;
  vfs.zName = "ipc-glib-queue";
  vfs.szOsFile = (int) sizeof (Log) + below->szOsFile;
  vfs.xOpen = vfs_open;
  vfs.pNext = NULL;
  sqlite3_vfs_register (&vfs, FALSE);
  return &vfs;
}

const char *
ipc_queue_wal_get_vfs (void)
{
  static GOnce once = G_ONCE_INIT;

  g_once (&once, register_vfs, NULL);
  return vfs.zName;
}

/* ---- what a commit waits for ---- */

static Log *
find_log (sqlite3 *db)
{
  sqlite3_file *file = NULL;

  sqlite3_file_control (db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
  return file != NULL && file->pMethods == &methods ? (Log *) file : NULL;
}

void
ipc_queue_wal_set_lazy (sqlite3 *db, gboolean lazy)
{
  Log *log = find_log (db);

  if (log != NULL)
    log->is_lazy = lazy;
}

int
ipc_queue_wal_sync (sqlite3 *db)
{
  Log *log = find_log (db);

  return log != NULL && log->is_unsynced ? sync_now (log, SQLITE_SYNC_NORMAL) : SQLITE_OK;
}
