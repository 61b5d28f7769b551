/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "table.h"

#define LAYOUT 1
#define RECORD_SIZE 64

enum
{
  STATE_WAITING,
  STATE_DONE,
  STATE_FAILED,
};

typedef struct
{
  guint64 layout;
  guint64 n_records;
  guint64 n_done;
  guint64 bytes;
  guint64 lines;
} Head;

typedef struct
{
  guint64 state;
  guint64 size;
  guint64 lines;
  guint8  sha256[32];
  guint64 nothing;
} Record;

G_STATIC_ASSERT (sizeof (Record) == RECORD_SIZE && sizeof (Head) <= RECORD_SIZE);

struct _Table
{
  IpcMappedFileManager *manager; /* (owned) */
  IpcMappedFile        *file;    /* (owned) */
};

static void
fill_record (Record *record, const Job *job)
{
  *record = (Record){ STATE_WAITING, 0, 0, { 0 }, 0 };
  if (job->state == JOB_FAILED)
    record->state = STATE_FAILED;
  if (job->state != JOB_DONE)
    return;
  *record = (Record){ STATE_DONE, job->size, job->lines, { 0 }, 0 };
  for (guint i = 0; i < sizeof record->sha256; i++)
    record->sha256[i] = (guint8) (g_ascii_xdigit_value (job->sha256[2 * i]) << 4 | g_ascii_xdigit_value (job->sha256[2 * i + 1]));
}

static gboolean
write_record (IpcMappedFileTransaction *transaction, Jobs *jobs, guint id, GError **error)
{
  Record record;

  fill_record (&record, jobs_get (jobs, id));
  return ipc_mapped_file_transaction_write_data (transaction, (gsize) id * RECORD_SIZE, &record, sizeof record, error);
}

static gboolean
write_head (IpcMappedFileTransaction *transaction, Jobs *jobs, GError **error)
{
  const Head head = { LAYOUT, jobs->all->len, jobs->n_done, jobs->bytes, jobs->lines };

  return ipc_mapped_file_transaction_write_data (transaction, 0, &head, sizeof head, error);
}

gboolean
table_note (Table *self, Jobs *jobs, GArray *ids, GError **error)
{
  g_autoptr (IpcMappedFileTransaction) transaction = ipc_mapped_file_begin (self->file, error);

  if (transaction == NULL)
    return FALSE;
  for (guint i = 0; i < ids->len; i++)
    if (!write_record (transaction, jobs, g_array_index (ids, guint, i), error))
      return FALSE;
  return write_head (transaction, jobs, error) && ipc_mapped_file_transaction_commit (transaction, NULL, error);
}

/* What is there may be of another time, with more or other files. */
static gboolean
write_all (Table *self, Jobs *jobs, GError **error)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint));

  for (guint id = 1; id <= jobs->all->len; id++)
    g_array_append_val (ids, id);
  return table_note (self, jobs, ids, error);
}

Table *
table_open (const char *path, Jobs *jobs, GError **error)
{
  g_autofree char *whole = g_canonicalize_filename (path, NULL);
  g_autoptr (Table) self = g_new0 (Table, 1);

  self->manager = ipc_mapped_file_manager_new (NULL);
  self->file = ipc_mapped_file_manager_map_file (self->manager, whole, ((gsize) jobs->all->len + 1) * RECORD_SIZE,
                                                 IPC_ACCESS_READ | IPC_ACCESS_WRITE, error);
  if (self->file == NULL)
    return NULL;
  /* The coordinator may be killed; a power cut takes the work of a minute. */
  ipc_mapped_file_set_durability (self->file, IPC_DURABILITY_NORMAL);
  return write_all (self, jobs, error) ? g_steal_pointer (&self) : NULL;
}

void
table_free (Table *self)
{
  if (self->file != NULL)
    ipc_mapped_file_unmap (self->file, NULL);
  g_clear_object (&self->file);
  g_clear_object (&self->manager);
  g_free (self);
}
