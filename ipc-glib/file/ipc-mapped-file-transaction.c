/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A transaction: writes that are gathered here, and then made all at once (file/ipc-file-map-commit.c).
 */
#include "ipc-mapped-file-transaction.h"

#include <string.h>

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "file/ipc-mapped-file-private.h"

#define MAX_BYTES ((guint64) 1 << 30)
#define MAX_WRITES 65536u

/**
 * IpcMappedFileTransaction:
 *
 * Several writes into a mapped file that are made all or not at all.
 *
 * ```c
 * g_autoptr(IpcMappedFileTransaction) transaction = ipc_mapped_file_begin (file, &error);
 *
 * ipc_mapped_file_transaction_write_data (transaction, 0, &header, sizeof header, &error);
 * ipc_mapped_file_transaction_write_data (transaction, where, &record, sizeof record, &error);
 * ipc_mapped_file_transaction_commit (transaction, NULL, &error);
 * ```
 *
 * Nothing is written before [method@Ipc.MappedFileTransaction.commit]. When that has returned, all of it is there, for all processes, and
 * also after a power cut, unless [property@Ipc.MappedFile:durability] says that this is not needed. No reader that uses
 * [method@Ipc.MappedFile.read] of a process in the same scope sees half of it.
 *
 * It is one after the other: a transaction of another process that commits at the same time comes before or after. Who
 * reads first, and writes what depends on that, locks the range meanwhile ([method@Ipc.MappedFile.lock_range]).
 *
 * ## Threads
 *
 * A transaction may be used in any thread.
 *
 * ## When a process dies
 *
 * At whatever instruction of a commit it is killed, the transaction was made or was not, and whoever uses the file next sees it so. It is
 * kept for that in `.NAME.journal` beside the file, which stays there: it belongs to the file, and is not to be removed while
 * the file is in use, nor after a crash before the file was mapped once more.
 *
 * ## Caveats
 *
 * - Who reads the file by other means than this library, or through a view, may see half of a transaction while it is being made, and after a
 *   crash until somebody maps the file.
 * - All processes that transact have to be able to lock the journal, and are of the same user.
 *
 * Since: 0.1
 */

enum
{
  PROP_0,
  PROP_FILE,
  PROP_IS_OPEN,
  PROP_N_BYTES,
  N_PROPS
};

typedef enum
{
  OPEN,
  COMMITTING,
  ENDED,
} State;

typedef struct
{
  guint64 offset;
  GBytes *bytes;                /* (owned) */
} Write;

struct _IpcMappedFileTransaction
{
  GObject parent_instance;

  IpcMappedFile *file;          /* (owned) */
  GMutex mutex;
  State state;                  /* (mutex mutex) */
  GArray *writes;               /* (owned) (element-type Write) (mutex mutex), not while it is committing */
  guint64 n_bytes;              /* (mutex mutex) */
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcMappedFileTransaction, ipc_mapped_file_transaction, G_TYPE_OBJECT)

IpcMappedFileTransaction *
ipc_mapped_file_transaction_new (IpcMappedFile *file)
{
  IpcMappedFileTransaction *self = g_object_new (IPC_TYPE_MAPPED_FILE_TRANSACTION, NULL);

  self->file = g_object_ref (file);
  ipc_mapped_file_use (file, 1);
  return self;
}

/* ---- what it is ---- */

/* FALSE: it was not in state FROM. */
static gboolean
change_state (IpcMappedFileTransaction *self, State from, State to)
{
  gboolean changed;

  g_mutex_lock (&self->mutex);
  changed = self->state == from;
  if (changed)
    self->state = to;
  g_mutex_unlock (&self->mutex);
  return changed;
}

static void
end (IpcMappedFileTransaction *self)
{
  g_mutex_lock (&self->mutex);
  self->state = ENDED;
  g_array_set_size (self->writes, 0);
  g_mutex_unlock (&self->mutex);
  ipc_mapped_file_use (self->file, -1);
}

static gboolean
fail_ended (IpcMappedFileTransaction *self, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_CLOSED, "file \"%s\": the transaction was committed or aborted", ipc_mapped_file_describe (self->file));
  return FALSE;
}

/**
 * ipc_mapped_file_transaction_get_file: (get-property file)
 * @self: the transaction
 *
 * Gets the file that it is for.
 *
 * Returns: (transfer none): the file
 *
 * Since: 0.1
 */
IpcMappedFile *
ipc_mapped_file_transaction_get_file (IpcMappedFileTransaction *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self), NULL);

  return self->file;
}

/**
 * ipc_mapped_file_transaction_get_is_open: (get-property is-open)
 * @self: the transaction
 *
 * Gets whether it was neither committed nor aborted.
 *
 * Returns: %TRUE if it can be written to
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_transaction_get_is_open (IpcMappedFileTransaction *self)
{
  gboolean is_open;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self), FALSE);

  g_mutex_lock (&self->mutex);
  is_open = self->state == OPEN;
  g_mutex_unlock (&self->mutex);
  return is_open;
}

/**
 * ipc_mapped_file_transaction_get_n_bytes: (get-property n-bytes)
 * @self: the transaction
 *
 * Gets how many bytes were written to it.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
guint64
ipc_mapped_file_transaction_get_n_bytes (IpcMappedFileTransaction *self)
{
  guint64 n_bytes;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self), 0);

  g_mutex_lock (&self->mutex);
  n_bytes = self->n_bytes;
  g_mutex_unlock (&self->mutex);
  return n_bytes;
}

/* ---- writing ---- */

static gboolean
check_limits (IpcMappedFileTransaction *self, gsize length, GError **error)
{
  if (self->n_bytes + length <= MAX_BYTES && self->writes->len < MAX_WRITES)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE,
               "file \"%s\": a transaction of %u writes with %" G_GUINT64_FORMAT " bytes, the limits are %u and %" G_GUINT64_FORMAT,
               ipc_mapped_file_describe (self->file), self->writes->len + 1, self->n_bytes + length, MAX_WRITES, MAX_BYTES);
  return FALSE;
}

/* It is looked at once more when it is committed, so that what is known will do here. */
static gboolean
check_range (IpcMappedFile *file, gsize offset, gsize length, GError **error)
{
  guint64 size = atomic_load (&file->map->size);

  if (offset > size || length > size - offset)
    return ipc_mapped_file_check_range (file, IPC_ACCESS_WRITE, offset, length, error);
  return ipc_mapped_file_check_access (file, IPC_ACCESS_WRITE, error);
}

static gboolean
add_locked (IpcMappedFileTransaction *self, gsize offset, GBytes *bytes, GError **error)
{
  Write added = { .offset = offset, .bytes = bytes };
  gsize length = g_bytes_get_size (bytes);

  if (self->state != OPEN)
    return fail_ended (self, error);
  if (length == 0)
    return TRUE;
  if (!check_limits (self, length, error))
    return FALSE;
  added.bytes = g_bytes_ref (bytes);
  g_array_append_val (self->writes, added);
  self->n_bytes += length;
  return TRUE;
}

/**
 * ipc_mapped_file_transaction_write:
 * @self: the transaction
 * @offset: where in the file, in bytes
 * @bytes: what to write
 * @error: return location for an error
 *
 * Adds a write to the transaction. Where several are of the same bytes, the last one counts.
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_TOO_LARGE over 1 GiB or 65536 writes in all; %IPC_ERROR_CLOSED if it has ended, or the file
 * was unmapped; %IPC_ERROR_CORRUPT if another process has truncated the file; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_transaction_write (IpcMappedFileTransaction *self, gsize offset, GBytes *bytes, GError **error)
{
  gboolean added;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self), FALSE);
  g_return_val_if_fail (bytes != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!check_range (self->file, offset, g_bytes_get_size (bytes), error))
    return FALSE;
  g_mutex_lock (&self->mutex);
  added = add_locked (self, offset, bytes, error);
  g_mutex_unlock (&self->mutex);
  return added;
}

/**
 * ipc_mapped_file_transaction_write_data: (skip)
 * @self: the transaction
 * @offset: where in the file, in bytes
 * @data: what to write; it is copied
 * @length: how many bytes
 * @error: return location for an error
 *
 * Adds a write to the transaction; see [method@Ipc.MappedFileTransaction.write].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_transaction_write_data (IpcMappedFileTransaction *self, gsize offset, gconstpointer data, gsize length, GError **error)
{
  g_autoptr(GBytes) bytes = NULL;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  /* First, so that nothing is copied that cannot be written. */
  if (!check_range (self->file, offset, length, error))
    return FALSE;
  bytes = g_bytes_new (data, length);
  return ipc_mapped_file_transaction_write (self, offset, bytes, error);
}

/* ---- committing ---- */

/* In state COMMITTING, so that nobody changes the writes. */
static gboolean
commit_writes (IpcMappedFileTransaction *self, GError **error)
{
  g_autofree IpcJournalRange *ranges = g_new (IpcJournalRange, self->writes->len);

  if (!ipc_mapped_file_check_access (self->file, IPC_ACCESS_WRITE, error))
    return FALSE;
  for (guint i = 0; i < self->writes->len; i++)
    {
      Write *write = &g_array_index (self->writes, Write, i);
      gsize length;

      ranges[i].offset = write->offset;
      ranges[i].data = g_bytes_get_data (write->bytes, &length);
      ranges[i].length = length;
    }
  if (self->writes->len == 0)
    return TRUE;
  if (!ipc_file_map_commit (self->file->map, ranges, self->writes->len, ipc_mapped_file_get_durability (self->file) == IPC_DURABILITY_FULL, error))
    return FALSE;
  ipc_mapped_file_stamp (self->file, TRUE);
  return TRUE;
}

/* It is in state COMMITTING. */
static gboolean
commit (IpcMappedFileTransaction *self, GError **error)
{
  if (commit_writes (self, error))
    {
      end (self);
      return TRUE;
    }
  change_state (self, COMMITTING, OPEN);
  return FALSE;
}

/**
 * ipc_mapped_file_transaction_commit:
 * @self: the transaction
 * @cancellable: (nullable): cancels before it has begun
 * @error: return location for an error
 *
 * Makes all writes of the transaction, and ends it. It blocks for as long as the disk takes, if
 * [property@Ipc.MappedFile:durability] is %IPC_DURABILITY_FULL.
 *
 * If it fails, nothing was written, and it can be tried again. Only where syncing the journal has failed (what the disk says), the transaction
 * may be there after a power cut. And where somebody has made a hole in the file, and there is no space to fill it, the transaction is made as
 * soon as there is; until then, whoever reads the file gets the same error.
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS and %IPC_ERROR_CORRUPT if the file has become shorter; %IPC_ERROR_NO_SPACE for the journal, or a hole;
 * %IPC_ERROR_TIMED_OUT if a process was stopped while it committed; %IPC_ERROR_CLOSED if it has ended, or the file was unmapped;
 * %IPC_ERROR_UNSAFE_PATH, %IPC_ERROR_WRONG_TYPE, %IPC_ERROR_CORRUPT, %IPC_ERROR_VERSION for what lies in the place of the journal;
 * %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED; what the disk says.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_transaction_commit (IpcMappedFileTransaction *self, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  /* In a forked child, the lock may be taken by a thread that is not there. */
  if (!ipc_mapped_file_check_usable (self->file, error))
    return FALSE;
  return change_state (self, OPEN, COMMITTING) ? commit (self, error) : fail_ended (self, error);
}

static void
commit_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;

  if (cancellable != NULL && g_cancellable_is_cancelled (cancellable))
    {
      change_state (source, COMMITTING, OPEN);
      g_task_return_error_if_cancelled (task);
    }
  else if (commit (source, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/**
 * ipc_mapped_file_transaction_commit_async:
 * @self: the transaction
 * @cancellable: (nullable): cancels before it has begun
 * @callback: (scope async) (nullable): called when it is done
 * @user_data: (closure): for @callback
 *
 * Does what [method@Ipc.MappedFileTransaction.commit] does without blocking: in a thread.
 *
 * Errors, in [method@Ipc.MappedFileTransaction.commit_finish]: those of [method@Ipc.MappedFileTransaction.commit].
 *
 * Since: 0.1
 */
void
ipc_mapped_file_transaction_commit_async (IpcMappedFileTransaction *self, GCancellable *cancellable, GAsyncReadyCallback callback,
                                          gpointer user_data)
{
  g_autoptr(GTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_mapped_file_transaction_commit_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  /* What it says when it is complete is so. */
  g_task_set_check_cancellable (task, FALSE);
  if (!ipc_mapped_file_check_usable (self->file, &error) || (!change_state (self, OPEN, COMMITTING) && !fail_ended (self, &error)))
    g_task_return_error (task, error);
  else
    g_task_run_in_thread (task, commit_thread);
}

/**
 * ipc_mapped_file_transaction_commit_finish:
 * @self: the transaction
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MappedFileTransaction.commit_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_transaction_commit_finish (IpcMappedFileTransaction *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_mapped_file_transaction_commit_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * ipc_mapped_file_transaction_abort:
 * @self: the transaction
 *
 * Ends the transaction, of which nothing was written. It does nothing where it has ended, or is just being committed. A transaction that is
 * dropped is aborted.
 *
 * Since: 0.1
 */
void
ipc_mapped_file_transaction_abort (IpcMappedFileTransaction *self)
{
  g_return_if_fail (IPC_IS_MAPPED_FILE_TRANSACTION (self));

  if (change_state (self, OPEN, COMMITTING))
    end (self);
}

/* ---- the object ---- */

static void
clear_write (gpointer data)
{
  g_bytes_unref (((Write *) data)->bytes);
}

static void
ipc_mapped_file_transaction_finalize (GObject *object)
{
  IpcMappedFileTransaction *self = IPC_MAPPED_FILE_TRANSACTION (object);

  if (self->file != NULL && self->state == OPEN)
    ipc_mapped_file_use (self->file, -1);
  g_clear_object (&self->file);
  g_array_unref (self->writes);
  g_mutex_clear (&self->mutex);
  G_OBJECT_CLASS (ipc_mapped_file_transaction_parent_class)->finalize (object);
}

static void
ipc_mapped_file_transaction_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcMappedFileTransaction *self = IPC_MAPPED_FILE_TRANSACTION (object);

  switch (prop_id)
    {
    case PROP_FILE:
      g_value_set_object (value, self->file);
      break;
    case PROP_IS_OPEN:
      g_value_set_boolean (value, ipc_mapped_file_transaction_get_is_open (self));
      break;
    case PROP_N_BYTES:
      g_value_set_uint64 (value, ipc_mapped_file_transaction_get_n_bytes (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_mapped_file_transaction_class_init (IpcMappedFileTransactionClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = ipc_mapped_file_transaction_finalize;
  object_class->get_property = ipc_mapped_file_transaction_get_property;

  /**
   * IpcMappedFileTransaction:file:
   *
   * The file that it is for.
   *
   * Since: 0.1
   */
  properties[PROP_FILE] = g_param_spec_object ("file", NULL, NULL, IPC_TYPE_MAPPED_FILE, readable);

  /**
   * IpcMappedFileTransaction:is-open:
   *
   * Whether it was neither committed nor aborted. It changes without a notification.
   *
   * Since: 0.1
   */
  properties[PROP_IS_OPEN] = g_param_spec_boolean ("is-open", NULL, NULL, TRUE, readable);

  /**
   * IpcMappedFileTransaction:n-bytes:
   *
   * How many bytes were written to it. It changes without a notification.
   *
   * Since: 0.1
   */
  properties[PROP_N_BYTES] = g_param_spec_uint64 ("n-bytes", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_mapped_file_transaction_init (IpcMappedFileTransaction *self)
{
  g_mutex_init (&self->mutex);
  self->writes = g_array_new (FALSE, FALSE, sizeof (Write));
  g_array_set_clear_func (self->writes, clear_write);
}

/**
 * ipc_mapped_file_begin:
 * @self: the file
 * @error: return location for an error
 *
 * Begins a transaction: writes that are made all or not at all.
 *
 * Nothing is locked, and nothing happens before [method@Ipc.MappedFileTransaction.commit]. There may be several at the same time.
 *
 * Errors: %IPC_ERROR_PERMISSION_DENIED if it is not mapped for writing; %IPC_ERROR_CLOSED; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the transaction, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMappedFileTransaction *
ipc_mapped_file_begin (IpcMappedFile *self, GError **error)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return ipc_mapped_file_check_access (self, IPC_ACCESS_WRITE, error) ? ipc_mapped_file_transaction_new (self) : NULL;
}
