/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-database-private.h"

#include <stdarg.h>

#include "base/ipc-error-private.h"
#include "queue/ipc-queue-schema-private.h"
#include "queue/ipc-queue-wal-private.h"

#define BUSY_TIMEOUT_MS 10000   /* other programs that have it locked; this library's wait for their turn elsewhere */
#define MAX_PAGES (1024 * 1024 * 1024 / IPC_QUEUE_PAGE_SIZE)
#define CACHE_KIB 8192          /* of whoever writes, so that what was published a moment ago is not read */
#define CHECKPOINT_PAGES (16 * 1024 * 1024 / IPC_QUEUE_PAGE_SIZE)

/* ---- errors ---- */

static gboolean
is_want_of_space (sqlite3 *db, int code)
{
  int system = sqlite3_system_errno (db);

  return (code & 0xff) == SQLITE_FULL || ((code & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT || system == EFBIG));
}

static int
get_error_code (sqlite3 *db, int code)
{
  if (is_want_of_space (db, code))
    return IPC_ERROR_NO_SPACE;
  switch (code & 0xff)
    {
    case SQLITE_CORRUPT:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
      return IPC_ERROR_CORRUPT;
    case SQLITE_NOTADB:
      return IPC_ERROR_WRONG_TYPE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return IPC_ERROR_TIMED_OUT;
    case SQLITE_TOOBIG:
      return IPC_ERROR_TOO_LARGE;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return IPC_ERROR_PERMISSION_DENIED;
    case SQLITE_CANTOPEN:
      return sqlite3_system_errno (db) == EACCES ? IPC_ERROR_PERMISSION_DENIED : IPC_ERROR_FAILED;
    default:
      return IPC_ERROR_FAILED;
    }
}

void
ipc_queue_database_set_error (IpcQueueDatabase *self, int code, GError **error)
{
  g_set_error (error, IPC_ERROR, get_error_code (self->db, code), "\"%s\": %s (%d)", self->path,
               self->db != NULL ? sqlite3_errmsg (self->db) : sqlite3_errstr (code), code);
}

/* ---- statements ---- */

static gboolean
bind_one (sqlite3_stmt *statement, int i, char kind, va_list *arguments)
{
  const void *data;

  switch (kind)
    {
    case 'i':
      return sqlite3_bind_int64 (statement, i, va_arg (*arguments, gint64)) == SQLITE_OK;
    case 't':
      data = va_arg (*arguments, const char *);
      return data == NULL || sqlite3_bind_text (statement, i, data, -1, SQLITE_STATIC) == SQLITE_OK;
    case 'b':
      data = va_arg (*arguments, const void *);
      return sqlite3_bind_blob64 (statement, i, data, va_arg (*arguments, gsize), SQLITE_STATIC) == SQLITE_OK;
    default:
      g_assert_not_reached ();
    }
}

static sqlite3_stmt *
bind_all (IpcQueueDatabase *self, IpcQueueStatement which, GError **error, const char *format, va_list *arguments)
{
  sqlite3_stmt **statement = &self->statements[which];

  if (*statement == NULL &&
      sqlite3_prepare_v3 (self->db, ipc_queue_statements[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) != SQLITE_OK)
    {
      ipc_queue_database_set_error (self, sqlite3_extended_errcode (self->db), error);
      return NULL;
    }
  for (int i = 0; format[i] != '\0'; i++)
    if (!bind_one (*statement, i + 1, format[i], arguments))
      {
        ipc_queue_database_set_error (self, sqlite3_extended_errcode (self->db), error);
        sqlite3_clear_bindings (*statement);
        return NULL;
      }
  return *statement;
}

sqlite3_stmt *
ipc_queue_database_bind (IpcQueueDatabase *self, IpcQueueStatement which, GError **error, const char *format, ...)
{
  sqlite3_stmt *statement;
  va_list arguments;

  va_start (arguments, format);
  statement = bind_all (self, which, error, format, &arguments);
  va_end (arguments);
  return statement;
}

static void
end (sqlite3_stmt *statement)
{
  sqlite3_reset (statement);
  /* They are not copied, and may be gone when it is used again. */
  sqlite3_clear_bindings (statement);
}

gboolean
ipc_queue_database_step_done (IpcQueueDatabase *self, sqlite3_stmt *statement, GError **error)
{
  int code = sqlite3_step (statement);

  if (code != SQLITE_DONE && code != SQLITE_ROW)
    ipc_queue_database_set_error (self, sqlite3_extended_errcode (self->db), error);
  end (statement);
  return code == SQLITE_DONE || code == SQLITE_ROW;
}

gboolean
ipc_queue_database_step_row (IpcQueueDatabase *self, sqlite3_stmt *statement, GError **error)
{
  int code = sqlite3_step (statement);

  if (code == SQLITE_ROW)
    return TRUE;
  if (code != SQLITE_DONE)
    ipc_queue_database_set_error (self, sqlite3_extended_errcode (self->db), error);
  end (statement);
  return FALSE;
}

gboolean
ipc_queue_database_run (IpcQueueDatabase *self, IpcQueueStatement which, GError **error, const char *format, ...)
{
  sqlite3_stmt *statement;
  va_list arguments;

  va_start (arguments, format);
  statement = bind_all (self, which, error, format, &arguments);
  va_end (arguments);
  return statement != NULL && ipc_queue_database_step_done (self, statement, error);
}

/* ---- opening ---- */

static gboolean
execute (IpcQueueDatabase *self, const char *sql, GError **error)
{
  int code = sqlite3_exec (self->db, sql, NULL, NULL, NULL);

  if (code == SQLITE_OK)
    return TRUE;
  ipc_queue_database_set_error (self, sqlite3_extended_errcode (self->db), error);
  return FALSE;
}

gboolean
ipc_queue_database_open_with (IpcQueueDatabase *self, const char *path, const char *name, int flags, GError **error)
{
  int code;

  *self = (IpcQueueDatabase){ .path = g_strdup (path) };
  code = sqlite3_open_v2 (name, &self->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE, ipc_queue_wal_get_vfs ());
  if (code == SQLITE_OK)
    return TRUE;
  ipc_queue_database_set_error (self, code, error);
  ipc_queue_database_close (self);
  return FALSE;
}

static int
note_log_pages (void *data, sqlite3 *db, const char *name, int n)
{
  ((IpcQueueDatabase *) data)->n_log_pages = n;
  return SQLITE_OK;
}

static gboolean
configure (IpcQueueDatabase *self, gboolean writable, GError **error)
{
  g_autofree char *sql = g_strdup_printf ("PRAGMA max_page_count = %d; PRAGMA journal_size_limit = 67108864; PRAGMA synchronous = FULL;"
                                          " PRAGMA cache_size = -%d", MAX_PAGES, CACHE_KIB);

  sqlite3_busy_timeout (self->db, BUSY_TIMEOUT_MS);
  sqlite3_wal_hook (self->db, note_log_pages, self);
  /* What is in the file is not believed more than has to be. */
  sqlite3_db_config (self->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config (self->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  /* Or else a statement is prepared anew when it is given a number that an index is about. */
  sqlite3_db_config (self->db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
  return execute (self, "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY", error) && (!writable || execute (self, sql, error));
}

gboolean
ipc_queue_database_open (IpcQueueDatabase *self, const char *path, gboolean writable, GError **error)
{
  /* To read a database in WAL mode its index is written. */
  if (!ipc_queue_database_open_with (self, path, path, SQLITE_OPEN_READWRITE, error))
    return FALSE;
  if (configure (self, writable, error) && (writable || execute (self, "PRAGMA query_only = ON", error)))
    return TRUE;
  ipc_queue_database_close (self);
  return FALSE;
}

gboolean
ipc_queue_database_empty_log (IpcQueueDatabase *self)
{
  int n = 0, n_moved = 0;

  return sqlite3_wal_checkpoint_v2 (self->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &n, &n_moved) == SQLITE_OK && n > 0 && n == n_moved;
}

/* What was committed is there. If it cannot go from the log into the database now, it can later. */
gboolean
ipc_queue_database_commit (IpcQueueDatabase *self, GError **error)
{
  gboolean done;

  ipc_queue_wal_set_lazy (self->db, TRUE);
  done = ipc_queue_database_run (self, IPC_QUEUE_COMMIT, error, "");
  ipc_queue_wal_set_lazy (self->db, FALSE);
  if (done && self->n_log_pages >= CHECKPOINT_PAGES)
    ipc_queue_database_empty_log (self);
  return done;
}

gboolean
ipc_queue_database_sync (IpcQueueDatabase *self, GError **error)
{
  int code = ipc_queue_wal_sync (self->db);

  if (code == SQLITE_OK)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_UNCERTAIN, "\"%s\": it was written, but not synced, and may be gone after a power cut: %s (%d)", self->path,
               sqlite3_errstr (code), code);
  return FALSE;
}

gboolean
ipc_queue_database_check_place (IpcQueueDatabase *self, GError **error)
{
  int has_moved = 0;

  sqlite3_file_control (self->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
  if (has_moved == 0)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_DELETED, "\"%s\" was removed, or replaced, while it was open", self->path);
  return FALSE;
}

void
ipc_queue_database_close (IpcQueueDatabase *self)
{
  for (guint i = 0; i < IPC_QUEUE_N_STATEMENTS; i++)
    g_clear_pointer (&self->statements[i], sqlite3_finalize);
  g_clear_pointer (&self->db, sqlite3_close);
  g_clear_pointer (&self->path, g_free);
}
