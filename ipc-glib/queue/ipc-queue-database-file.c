/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file: where it is, whether it is one of ours, and making it. */
#include "queue/ipc-queue-database-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-name.h"
#include "core/ipc-path-lock.h"
#include "core/ipc-safe-path.h"
#include "queue/ipc-queue-schema-private.h"

#define FOLDER "ipc-glib"
#define DEFAULT_NAME "queues.db"
#define ATTEMPTS 1000           /* for who makes the file just now, */
#define NAP_US 2000             /* with so long in between */
#define MAX_BASENAME 200

/* Of the format of databases: where things are in the first bytes. */
#define HEADER_SIZE 100
#define VERSION_AT 60
#define APPLICATION_ID_AT 68

static const char MAGIC[] = "SQLite format 3";

/* ---- where ---- */

static char *
get_default_folder (void)
{
  const char *state = g_get_user_state_dir ();

  return g_build_filename (state, FOLDER, NULL);
}

char *
ipc_queue_database_find_path (const char *part, GError **error)
{
  g_autofree char *folder = NULL;
  g_autofree char *base = g_path_get_basename (part);
  IpcFault fault = { 0 };

  if (strlen (base) > MAX_BASENAME)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "\"sqlite:%s\": a name of %" G_GSIZE_FORMAT " bytes, at most %d", part, strlen (base),
                   MAX_BASENAME);
      return NULL;
    }
  if (part[0] == '/' && !g_str_has_suffix (part, "/"))
    return g_canonicalize_filename (part, "/");
  if (part[0] != '\0' && !ipc_name_check (part, &fault))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "\"sqlite:%s\": neither an absolute path of a file nor a name", part);
      return NULL;
    }
  folder = get_default_folder ();
  return g_build_filename (folder, part[0] != '\0' ? part : DEFAULT_NAME, NULL);
}

/* The folder, checked; that of the default place is made. */
static int
open_folder (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *default_folder = get_default_folder ();
  gboolean is_default = strcmp (folder, default_folder) == 0;
  IpcFault fault = { 0 };
  int fd;

  if (is_default && g_mkdir_with_parents (folder, 0700) < 0)
    {
      ipc_error_set_errno (error, errno, "\"%s\": cannot be made", folder);
      return -1;
    }
  if (ipc_directory_open (folder, is_default ? IPC_DIRECTORY_PRIVATE : IPC_DIRECTORY_TRUSTED, FALSE, &fd, &fault))
    return fd;
  ipc_error_set_fault (error, &fault, path);
  return -1;
}

/* ---- whether it is one ---- */

static gboolean
judge (const char *path, const guint8 header[HEADER_SIZE], GError **error)
{
  guint32 version, application_id;

  if (memcmp (header, MAGIC, sizeof MAGIC) != 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "\"%s\" is no database", path);
      return FALSE;
    }
  memcpy (&version, header + VERSION_AT, sizeof version);
  memcpy (&application_id, header + APPLICATION_ID_AT, sizeof application_id);
  if (GUINT32_FROM_BE (application_id) != IPC_QUEUE_APPLICATION_ID)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "\"%s\": a database of another program (application_id %u)", path,
                   GUINT32_FROM_BE (application_id));
      return FALSE;
    }
  if (GUINT32_FROM_BE (version) == IPC_QUEUE_SCHEMA_VERSION)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_VERSION, "\"%s\": version %u of the schema; this library knows %d", path, GUINT32_FROM_BE (version),
               IPC_QUEUE_SCHEMA_VERSION);
  return FALSE;
}

static gboolean
read_header (sqlite3_vfs *vfs, sqlite3_file *file, const char *path, const char *name, guint8 header[HEADER_SIZE], GError **error)
{
  int code = vfs->xOpen (vfs, name, file, SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_NOFOLLOW, NULL);

  if (code == SQLITE_OK)
    code = file->pMethods->xRead (file, header, HEADER_SIZE, 0);
  if (file->pMethods != NULL)
    file->pMethods->xClose (file);
  /* What is too short has zeroes at the end, and is no database. */
  if (code == SQLITE_OK || code == SQLITE_IOERR_SHORT_READ)
    return TRUE;
  g_set_error (error, IPC_ERROR, errno == EACCES || errno == EPERM ? IPC_ERROR_PERMISSION_DENIED : IPC_ERROR_FAILED, "\"%s\": %s", path,
               sqlite3_errstr (code));
  return FALSE;
}

/* Looks at the header alone, through SQLite, which knows of all its locks on the file. Nothing is written; and after a power cut, what follows
 * the header may make no sense without the log. */
static gboolean
check_file (const char *path, GError **error)
{
  sqlite3_vfs *vfs = sqlite3_vfs_find (NULL);
  sqlite3_filename name = sqlite3_create_filename (path, "", "", 0, NULL);
  g_autofree sqlite3_file *file = g_malloc0 ((gsize) vfs->szOsFile);
  guint8 header[HEADER_SIZE] = { 0 };
  gboolean is_read = read_header (vfs, file, path, name, header, error);

  sqlite3_free_filename (name);
  return is_read && judge (path, header, error);
}

/* ---- making it ---- */

static void
sweep (int folder_fd, const char *prefix)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", folder_fd);
  g_autoptr(GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, prefix))
      unlinkat (folder_fd, name, 0);
}

static gboolean
fill (const char *path, const char *shown_path, GError **error)
{
  g_autofree char *sql = g_strdup_printf ("PRAGMA page_size = %d; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; %s PRAGMA application_id = %d;"
                                          " PRAGMA user_version = %d; COMMIT; PRAGMA wal_checkpoint (TRUNCATE);",
                                          IPC_QUEUE_PAGE_SIZE, ipc_queue_schema, IPC_QUEUE_APPLICATION_ID, IPC_QUEUE_SCHEMA_VERSION);
  IpcQueueDatabase database;
  int code;

  if (!ipc_queue_database_open_with (&database, shown_path, path, SQLITE_OPEN_READWRITE, error))
    return FALSE;
  code = sqlite3_exec (database.db, sql, NULL, NULL, NULL);
  if (code != SQLITE_OK)
    ipc_queue_database_set_error (&database, sqlite3_extended_errcode (database.db), error);
  ipc_queue_database_close (&database);
  return code == SQLITE_OK;
}

/* With the lock. It gets its name last; the folder is synced, so that what is acknowledged afterwards can be found. */
static gboolean
make (int folder_fd, const char *path, const char *base, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *prefix = g_strdup_printf (".%s.tmp.", base);
  g_autofree char *name = g_strdup_printf ("%s%d", prefix, (int) getpid ());
  g_autofree char *temporary = g_build_filename (folder, name, NULL);
  gboolean done = FALSE;
  int fd;

  sweep (folder_fd, prefix);
  fd = openat (folder_fd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 || fchmod (fd, 0600) < 0)
    {
      ipc_error_set_errno (error, errno, "\"%s\": cannot be made", path);
      if (fd >= 0)
        close (fd);
      return FALSE;
    }
  close (fd);
  if (!fill (temporary, path, error))
    {
      sweep (folder_fd, prefix);
      return FALSE;
    }
  if (linkat (folder_fd, name, folder_fd, base, 0) < 0 && errno != EEXIST)
    ipc_error_set_errno (error, errno, "\"%s\": cannot be given its name", path);
  else if (fsync (folder_fd) < 0)
    ipc_error_set_errno (error, errno, "\"%s\": its folder cannot be synced", path);
  else
    done = TRUE;
  sweep (folder_fd, prefix);
  return done;
}

static gboolean
ensure_in_folder (int folder_fd, const char *path, const char *base, GError **error)
{
  IpcFault fault = { 0 };
  bool there = false;
  int lock_fd = -1;
  gboolean done;

  for (int i = 0; i < ATTEMPTS; i++)
    {
      fault = (IpcFault){ 0 };
      if (!ipc_directory_check_entry (folder_fd, base, S_IFREG, &there, NULL, NULL, &fault))
        break;
      if (there)
        return check_file (path, error);
      if (ipc_path_lock_acquire (folder_fd, base, &lock_fd, &fault) || fault.code != IPC_FAULT_ADDRESS_IN_USE)
        break;
      g_usleep (NAP_US);
    }
  if (lock_fd < 0)
    {
      ipc_error_set_fault (error, &fault, path);
      return FALSE;
    }
  /* Somebody may have been quicker. */
  done = ipc_directory_check_entry (folder_fd, base, S_IFREG, &there, NULL, NULL, &fault) && (there || make (folder_fd, path, base, error));
  ipc_path_lock_release (lock_fd);
  if (fault.code != IPC_FAULT_NONE)
    ipc_error_set_fault (error, &fault, path);
  return done && check_file (path, error);
}

gboolean
ipc_queue_database_ensure (const char *path, GError **error)
{
  g_autofree char *base = g_path_get_basename (path);
  int folder_fd = open_folder (path, error);
  gboolean done;

  if (folder_fd < 0)
    return FALSE;
  done = ensure_in_folder (folder_fd, path, base, error);
  close (folder_fd);
  return done;
}
