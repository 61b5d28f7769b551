/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fault-vfs.h"

#include <sqlite3.h>
#include <string.h>

#define SECTOR 512

/* What was written, and not synced. */
typedef struct
{
  gint64 offset;
  GBytes *bytes;                /* (owned) (nullable) NULL: truncated to OFFSET */
} Write;

/* A file by its path, as it is on the disk. */
typedef struct
{
  guint n_users;                /* open files, and the table of all */
  GByteArray *disk;             /* (owned) */
  GPtrArray *pending;           /* (owned) of Write */
} Disk;

/* An open file; the one behind it follows. */
typedef struct
{
  sqlite3_file base;
  sqlite3_file *real;
  Disk *disk;                   /* (owned) (nullable) */
} File;

static sqlite3_vfs *real_vfs;
static sqlite3_vfs vfs;
static GMutex lock;             /* of all below */
static GHashTable *disks;       /* path → Disk */
static FaultKind kind;
static guint at;
static guint count;
static gboolean has_happened;
static gboolean is_powersafe;

static void
write_free (gpointer data)
{
  Write *write = data;

  g_clear_pointer (&write->bytes, g_bytes_unref);
  g_free (write);
}

/* Under the lock. */
static void
disk_unref (gpointer data)
{
  Disk *disk = data;

  if (--disk->n_users > 0)
    return;
  g_byte_array_unref (disk->disk);
  g_ptr_array_unref (disk->pending);
  g_free (disk);
}

/* What is to come of an operation. */
static int
step (gboolean is_sync)
{
  guint n = count++;

  if (kind == FAULT_POWER && (has_happened || n >= at))
    {
      has_happened = TRUE;
      return SQLITE_IOERR;
    }
  if (kind == FAULT_NONE || kind == FAULT_POWER || has_happened || n < at || (kind == FAULT_SYNC) != is_sync)
    return SQLITE_OK;
  has_happened = TRUE;
  return is_sync ? SQLITE_IOERR_FSYNC : SQLITE_FULL;
}

static void
apply (GByteArray *disk, gint64 offset, const guint8 *bytes, gsize size)
{
  guint old = disk->len;

  if (disk->len < offset + size)
    {
      g_byte_array_set_size (disk, (guint) (offset + size));
      memset (disk->data + old, 0, disk->len - old);
    }
  memcpy (disk->data + offset, bytes, size);
}

static void
note (Disk *disk, gint64 offset, const void *bytes, gsize size)
{
  Write *write;

  if (disk == NULL)
    return;
  write = g_new0 (Write, 1);
  write->offset = offset;
  write->bytes = bytes != NULL ? g_bytes_new (bytes, size) : NULL;
  g_ptr_array_add (disk->pending, write);
}

static void
settle (Disk *disk)
{
  for (guint i = 0; disk != NULL && i < disk->pending->len; i++)
    {
      Write *write = disk->pending->pdata[i];
      gsize size;

      if (write->bytes == NULL)
        g_byte_array_set_size (disk->disk, (guint) MIN (write->offset, disk->disk->len));
      else
        {
          const guint8 *bytes = g_bytes_get_data (write->bytes, &size);

          apply (disk->disk, write->offset, bytes, size);
        }
    }
  if (disk != NULL)
    g_ptr_array_set_size (disk->pending, 0);
}

/* ---- the methods ---- */

#define REAL(file) (((File *) (file))->real)

static int
file_close (sqlite3_file *file)
{
  g_mutex_lock (&lock);
  g_clear_pointer (&((File *) file)->disk, disk_unref);
  g_mutex_unlock (&lock);
  return REAL (file)->pMethods != NULL ? REAL (file)->pMethods->xClose (REAL (file)) : SQLITE_OK;
}

static int
file_read (sqlite3_file *file, void *buffer, int size, sqlite3_int64 offset)
{
  return REAL (file)->pMethods->xRead (REAL (file), buffer, size, offset);
}

static int
file_write (sqlite3_file *file, const void *buffer, int size, sqlite3_int64 offset)
{
  int code;

  g_mutex_lock (&lock);
  code = step (FALSE);
  if (code == SQLITE_OK)
    note (((File *) file)->disk, offset, buffer, (gsize) size);
  g_mutex_unlock (&lock);
  return code == SQLITE_OK ? REAL (file)->pMethods->xWrite (REAL (file), buffer, size, offset) : code;
}

static int
file_truncate (sqlite3_file *file, sqlite3_int64 size)
{
  int code;

  g_mutex_lock (&lock);
  code = step (FALSE);
  if (code == SQLITE_OK)
    note (((File *) file)->disk, size, NULL, 0);
  g_mutex_unlock (&lock);
  return code == SQLITE_OK ? REAL (file)->pMethods->xTruncate (REAL (file), size) : code;
}

/* The disk under it is not waited for. */
static int
file_sync (sqlite3_file *file, int flags)
{
  int code;

  g_mutex_lock (&lock);
  code = step (TRUE);
  if (code == SQLITE_OK)
    settle (((File *) file)->disk);
  g_mutex_unlock (&lock);
  return code;
}

static int
file_size (sqlite3_file *file, sqlite3_int64 *size)
{
  return REAL (file)->pMethods->xFileSize (REAL (file), size);
}

static int
file_lock (sqlite3_file *file, int level)
{
  return REAL (file)->pMethods->xLock (REAL (file), level);
}

static int
file_unlock (sqlite3_file *file, int level)
{
  return REAL (file)->pMethods->xUnlock (REAL (file), level);
}

static int
file_check_lock (sqlite3_file *file, int *result)
{
  return REAL (file)->pMethods->xCheckReservedLock (REAL (file), result);
}

/* A size that is to be had in advance would be written behind our back. */
static int
file_control (sqlite3_file *file, int operation, void *argument)
{
  if (operation == SQLITE_FCNTL_SIZE_HINT || operation == SQLITE_FCNTL_CHUNK_SIZE)
    return SQLITE_OK;
  return REAL (file)->pMethods->xFileControl (REAL (file), operation, argument);
}

static int
file_sector (sqlite3_file *file)
{
  return SECTOR;
}

static int
file_device (sqlite3_file *file)
{
  return is_powersafe ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

static int
file_shm_map (sqlite3_file *file, int page, int size, int extend, void volatile **map)
{
  return REAL (file)->pMethods->xShmMap (REAL (file), page, size, extend, map);
}

static int
file_shm_lock (sqlite3_file *file, int offset, int n, int flags)
{
  return REAL (file)->pMethods->xShmLock (REAL (file), offset, n, flags);
}

static void
file_shm_barrier (sqlite3_file *file)
{
  REAL (file)->pMethods->xShmBarrier (REAL (file));
}

static int
file_shm_unmap (sqlite3_file *file, int delete)
{
  return REAL (file)->pMethods->xShmUnmap (REAL (file), delete);
}

static const sqlite3_io_methods methods = {
  .iVersion = 2,
  .xClose = file_close,
  .xRead = file_read,
  .xWrite = file_write,
  .xTruncate = file_truncate,
  .xSync = file_sync,
  .xFileSize = file_size,
  .xLock = file_lock,
  .xUnlock = file_unlock,
  .xCheckReservedLock = file_check_lock,
  .xFileControl = file_control,
  .xSectorSize = file_sector,
  .xDeviceCharacteristics = file_device,
  .xShmMap = file_shm_map,
  .xShmLock = file_shm_lock,
  .xShmBarrier = file_shm_barrier,
  .xShmUnmap = file_shm_unmap,
};

/* What is in a file that is opened for the first time is on the disk. */
static Disk *
get_disk (const char *path)
{
  Disk *disk = g_hash_table_lookup (disks, path);
  g_autofree char *contents = NULL;
  gsize size;

  if (disk != NULL)
    return disk;
  disk = g_new0 (Disk, 1);
  disk->n_users = 1;
  disk->disk = g_byte_array_new ();
  disk->pending = g_ptr_array_new_with_free_func (write_free);
  if (g_file_get_contents (path, &contents, &size, NULL))
    g_byte_array_append (disk->disk, (const guint8 *) contents, (guint) size);
  g_hash_table_insert (disks, g_strdup (path), disk);
  return disk;
}

static int
vfs_open (sqlite3_vfs *self, const char *path, sqlite3_file *file, int flags, int *out_flags)
{
  File *own = (File *) file;
  int code;

  own->real = (sqlite3_file *) (own + 1);
  own->base.pMethods = NULL;
  code = real_vfs->xOpen (real_vfs, path, own->real, flags, out_flags);
  if (code != SQLITE_OK)
    return code;
  own->base.pMethods = &methods;
  g_mutex_lock (&lock);
  own->disk = path != NULL && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0 && (flags & SQLITE_OPEN_READWRITE) != 0 ? get_disk (path) : NULL;
  if (own->disk != NULL)
    own->disk->n_users++;
  g_mutex_unlock (&lock);
  return SQLITE_OK;
}

/* Deleting a log is no loss: what is in it is in the database, synced. */
static int
vfs_delete (sqlite3_vfs *self, const char *path, int sync_directory)
{
  int code;

  g_mutex_lock (&lock);
  code = step (FALSE);
  if (code == SQLITE_OK)
    g_hash_table_remove (disks, path);
  g_mutex_unlock (&lock);
  return code == SQLITE_OK ? real_vfs->xDelete (real_vfs, path, sync_directory) : code;
}

void
fault_vfs_register (void)
{
  real_vfs = sqlite3_vfs_find (NULL);
  vfs = *real_vfs;
  vfs.zName = "fault";
  vfs.szOsFile = (int) sizeof (File) + real_vfs->szOsFile;
  vfs.xOpen = vfs_open;
  vfs.xDelete = vfs_delete;
  vfs.pNext = NULL;
  disks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, disk_unref);
  sqlite3_vfs_register (&vfs, 1);
}

void
fault_vfs_set (FaultKind new_kind, guint new_at)
{
  g_mutex_lock (&lock);
  kind = new_kind;
  at = new_at;
  count = 0;
  has_happened = FALSE;
  g_mutex_unlock (&lock);
}

void
fault_vfs_set_powersafe (gboolean powersafe)
{
  is_powersafe = powersafe;
}

guint
fault_vfs_get_count (void)
{
  return count;
}

gboolean
fault_vfs_has_happened (void)
{
  return has_happened;
}

void
fault_vfs_reset (void)
{
  g_mutex_lock (&lock);
  g_hash_table_remove_all (disks);
  g_mutex_unlock (&lock);
}

/* ---- after a power cut ---- */

/* Each sector of it is there or not. */
static void
apply_some (GByteArray *disk, const Write *write, GRand *rand)
{
  gsize size;
  const guint8 *bytes;

  if (write->bytes == NULL)
    {
      if (g_rand_boolean (rand))
        g_byte_array_set_size (disk, (guint) MIN (write->offset, disk->len));
      return;
    }
  bytes = g_bytes_get_data (write->bytes, &size);
  for (gsize done = 0; done < size;)
    {
      gsize n = MIN (size - done, SECTOR - (gsize) ((write->offset + (gint64) done) % SECTOR));

      if (g_rand_boolean (rand))
        apply (disk, write->offset + (gint64) done, bytes + done, n);
      done += n;
    }
}

void
fault_vfs_recover (const char *from, const char *to, GRand *rand)
{
  GHashTableIter iter;
  gpointer path, value;

  g_hash_table_iter_init (&iter, disks);
  while (g_hash_table_iter_next (&iter, &path, &value))
    {
      Disk *disk = value;
      g_autofree char *base = g_path_get_basename (path);
      g_autofree char *target = g_build_filename (to, base, NULL);
      g_autoptr(GByteArray) left = g_byte_array_new ();

      if (!g_str_has_prefix (path, from) || strstr (path, ".tmp.") != NULL)
        continue;
      g_byte_array_append (left, disk->disk->data, disk->disk->len);
      for (guint i = 0; i < disk->pending->len; i++)
        apply_some (left, disk->pending->pdata[i], rand);
      g_assert_true (g_file_set_contents_full (target, (const char *) left->data, left->len, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    }
}
