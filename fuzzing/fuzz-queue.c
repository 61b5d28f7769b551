/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is in the file of a database of queues, which others may have written anything into: a good one with bytes replaced, of which each
 * three of the input say one (where, two of them, and what). If it opens it is used: all that can be asked of a queue is. Nothing may come
 * but an error.
 */
#include "fuzz.h"

#include <glib/gstdio.h>
#include <ipc-glib/ipc-glib.h>
#include <string.h>

static char *folder;            /* (owned) for the life of the program */
static char *path;              /* (owned) */
static char *uri;               /* (owned) */
static GBytes *template;        /* (owned) */

static void
remove_all (const char *directory)
{
  g_autoptr(GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (directory, name, NULL);

      if (g_file_test (child, G_FILE_TEST_IS_DIR))
        remove_all (child);
      g_remove (child);
    }
}

static void
publish (IpcMessageQueue *queue, IpcMessage *message, IpcPriority priority, gint64 ttl, gint64 delay, const char *dedup_id)
{
  ipc_message_queue_publish (queue, message, priority, ttl, delay, dedup_id, NULL, NULL);
  ipc_message_unref (message);
}

/* Some of everything. */
static void
fill (void)
{
  const char *const headers[] = { "key", "value", NULL };
  g_autoptr(IpcQueueManager) manager = ipc_queue_manager_new_for_uri (uri, NULL);
  g_autoptr(IpcMessageQueue) queue = ipc_queue_manager_create_queue (manager, "jobs", NULL, NULL);
  g_autofree char *large = g_strnfill (3000, 'x');
  g_autoptr(GBytes) text = g_bytes_new_static ("{}", 2);
  g_autoptr(IpcDelivery) dead = NULL;

  publish (queue, ipc_message_new_text ("dead", "x"), IPC_PRIORITY_CRITICAL, -1, 0, NULL);
  dead = ipc_message_queue_consume (queue, 0, NULL, NULL);
  ipc_delivery_reject (dead, "no", NULL, NULL);
  publish (queue, ipc_message_new_full ("json", IPC_PAYLOAD_FORMAT_JSON, text, headers, NULL), IPC_PRIORITY_LOW, 3600000, 0, "id");
  publish (queue, ipc_message_new_variant ("variant", g_variant_new ("(su)", "x", 7)), IPC_PRIORITY_HIGH, -1, 0, NULL);
  publish (queue, ipc_message_new_text ("large", large), IPC_PRIORITY_NORMAL, -1, 0, NULL);
  publish (queue, ipc_message_new_text ("later", "x"), IPC_PRIORITY_NORMAL, -1, 3600000, NULL);
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_autoptr(GError) error = NULL;
  char *contents;
  gsize size;

  folder = g_dir_make_tmp ("ipc-fuzz-XXXXXX", &error);
  g_assert_no_error (error);
  path = g_build_filename (folder, "queues.db", NULL);
  uri = g_strconcat ("sqlite:", path, NULL);
  fill ();
  g_assert_true (g_file_get_contents (path, &contents, &size, &error));
  template = g_bytes_new_take (contents, size);
  return 0;
}

__attribute__ ((destructor)) static void
clean_up (void)
{
  if (folder == NULL)
    return;
  remove_all (folder);
  g_rmdir (folder);
}

static void
write_file (const uint8_t *data, size_t size)
{
  gsize template_size;
  gconstpointer bytes = g_bytes_get_data (template, &template_size);
  g_autofree guint8 *copy = g_memdup2 (bytes, template_size);

  for (size_t i = 0; i + 3 <= size; i += 3)
    copy[(data[i] * 256u + data[i + 1]) * 3u % template_size] = data[i + 2];
  g_assert_true (g_file_set_contents_full (path, (const char *) copy, (gssize) template_size, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void
use (IpcMessageQueue *queue)
{
  g_autoptr(GPtrArray) found = ipc_message_queue_peek (queue, 10, NULL, NULL);
  g_autoptr(GPtrArray) dead = ipc_message_queue_list_dead (queue, 10, NULL, NULL);
  g_autoptr(IpcDelivery) first = ipc_message_queue_consume (queue, 0, NULL, NULL);
  g_autoptr(IpcDelivery) second = ipc_message_queue_consume (queue, 0, NULL, NULL);

  ipc_message_queue_get_n_messages (queue);
  publish (queue, ipc_message_new_text ("new", "x"), IPC_PRIORITY_NORMAL, 0, 0, "id");
  if (first != NULL)
    ipc_delivery_ack (first, NULL, NULL);
  if (second != NULL)
    ipc_delivery_reject (second, NULL, NULL, NULL);
  ipc_message_queue_redrive (queue, 0, NULL, NULL);
  ipc_message_queue_purge (queue, NULL, NULL);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr(IpcQueueManager) manager = NULL;
  g_autoptr(IpcMessageQueue) queue = NULL;
  g_autofree char *log = g_strconcat (path, "-wal", NULL);
  g_autofree char *index = g_strconcat (path, "-shm", NULL);

  g_remove (log);
  g_remove (index);
  write_file (data, size);
  manager = ipc_queue_manager_new_for_uri (uri, NULL);
  if (manager == NULL)
    return 0;
  ipc_queue_manager_set_durability (manager, IPC_DURABILITY_NORMAL);
  queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, NULL);
  if (queue != NULL)
    use (queue);
  g_clear_object (&queue);
  ipc_queue_manager_delete_queue (manager, "jobs", NULL, NULL);
  return 0;
}
