/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-wire-private.h"

#include "base/ipc-error-private.h"
#include "messaging/ipc-message-private.h"

/* ---- messages ---- */

static GVariant *
pack_headers (IpcMessage *message)
{
  g_autoptr(GHashTable) headers = ipc_message_get_headers (message);
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer key, value;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  g_hash_table_iter_init (&iter, headers);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_variant_builder_add (&builder, "{ss}", key, value);
  return g_variant_builder_end (&builder);
}

static GVariant *
pack_payload (IpcMessage *message)
{
  return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, ipc_message_get_payload (message), TRUE);
}

/* (nullable) (transfer container) */
static const char **
unpack_headers (GVariant *headers)
{
  GPtrArray *all = g_ptr_array_new ();
  const char *key, *value;
  GVariantIter iter;

  g_variant_iter_init (&iter, headers);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
    {
      g_ptr_array_add (all, (gpointer) key);
      g_ptr_array_add (all, (gpointer) value);
    }
  g_ptr_array_add (all, NULL);
  return (const char **) g_ptr_array_free (all, FALSE);
}

/* (transfer full) (nullable): one that may be sent. */
static IpcMessage *
unpack_message (const char *type, guint8 format, GVariant *headers, gint64 timestamp, GVariant *payload, GError **error)
{
  /* A copy: what stays in a queue does not pin all that came with it. */
  g_autoptr(GBytes) bytes = g_bytes_new (g_variant_get_data (payload), g_variant_get_size (payload));
  g_autofree const char **pairs = unpack_headers (headers);
  g_autoptr(IpcMessage) message = ipc_message_new_full (type, format, bytes, pairs, NULL);

  message->timestamp = timestamp;
  return ipc_message_check (message, FALSE, error) ? g_steal_pointer (&message) : NULL;
}

static gboolean
check_priority (guint8 priority, GError **error)
{
  if (priority >= IPC_PRIORITY_LOW && priority <= IPC_PRIORITY_CRITICAL)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "priority %u, allowed are %d to %d", priority, IPC_PRIORITY_LOW, IPC_PRIORITY_CRITICAL);
  return FALSE;
}

/* ---- items ---- */

GVariant *
ipc_queue_wire_pack_new (const IpcQueueItem *item)
{
  IpcMessage *message = item->message;

  return g_variant_new ("(ysy@a{ss}x@ayms)", item->priority, message->type, message->format, pack_headers (message), message->timestamp,
                        pack_payload (message), item->dedup_id);
}

GVariant *
ipc_queue_wire_pack (const IpcQueueItem *item, guint64 tag)
{
  IpcMessage *message = item->message;

  return g_variant_new ("(tyxxutsy@a{ss}x@aymsx)", item->id, item->priority, item->created_at, item->expires_at, item->attempt, tag, message->type,
                        message->format, pack_headers (message), message->timestamp, pack_payload (message), item->reason, item->died_at);
}

IpcQueueItem *
ipc_queue_wire_unpack_new (GVariant *value, GError **error)
{
  g_autoptr(IpcMessage) message = NULL;
  g_autoptr(GVariant) headers = NULL;
  g_autoptr(GVariant) payload = NULL;
  const char *type, *dedup_id;
  guint8 priority, format;
  IpcQueueItem *item;
  gint64 timestamp;

  g_variant_get (value, "(y&sy@a{ss}x@aym&s)", &priority, &type, &format, &headers, &timestamp, &payload, &dedup_id);
  if (!check_priority (priority, error))
    return NULL;
  message = unpack_message (type, format, headers, timestamp, payload, error);
  if (message == NULL)
    return NULL;
  item = ipc_queue_item_new (message, priority);
  item->dedup_id = g_strdup (dedup_id);
  return item;
}

IpcQueueItem *
ipc_queue_wire_unpack (GVariant *value, GError **error)
{
  g_autoptr(IpcMessage) message = NULL;
  g_autoptr(GVariant) headers = NULL;
  g_autoptr(GVariant) payload = NULL;
  IpcQueueItem found = { 0 }, *item;
  const char *type, *reason;
  guint8 priority, format;
  gint64 timestamp;

  g_variant_get (value, "(tyxxut&sy@a{ss}x@aym&sx)", &found.id, &priority, &found.created_at, &found.expires_at, &found.attempt, &found.lease, &type,
                 &format, &headers, &timestamp, &payload, &reason, &found.died_at);
  if (!check_priority (priority, error))
    return NULL;
  message = unpack_message (type, format, headers, timestamp, payload, error);
  if (message == NULL)
    return NULL;
  item = ipc_queue_item_new (message, priority);
  item->id = found.id;
  item->created_at = found.created_at;
  item->expires_at = found.expires_at;
  item->attempt = found.attempt;
  item->lease = found.lease;
  item->reason = g_strdup (reason);
  item->died_at = found.died_at;
  return item;
}

/* ---- failures ---- */

const char *
ipc_queue_wire_get_nick (const GError *error)
{
  return error->domain == IPC_ERROR ? ipc_error_to_nick (error->code) : "failed";
}

void
ipc_queue_wire_set_error (GError **error, const char *nick, const char *text)
{
  IpcError code;

  if (!ipc_error_from_nick (nick, &code))
    code = IPC_ERROR_FAILED;
  g_set_error_literal (error, IPC_ERROR, (gint) code, text);
}

/* ---- times ---- */

gint64
ipc_queue_wire_from_time (gint64 at)
{
  return at == 0 ? -1 : MAX (at - g_get_monotonic_time (), 0);
}

gint64
ipc_queue_wire_to_time (gint64 wait)
{
  gint64 now = g_get_monotonic_time ();

  if (wait < 0)
    return 0;
  return wait > G_MAXINT64 - now ? G_MAXINT64 : now + wait;
}
