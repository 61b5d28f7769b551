/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages of queues that come from another process. The first byte says which kind; the rest is the value, as the wire format brings it.
 * What is taken can be handed on, and is the same then.
 */
#include "fuzz.h"

#include "ipc-message.h"
#include "queue/ipc-queue-wire-private.h"

static void
check_message (IpcMessage *message)
{
  gsize size;

  g_assert_nonnull (ipc_message_get_message_type (message));
  ipc_message_peek_payload (message, &size);
  if (ipc_message_get_format (message) == IPC_PAYLOAD_FORMAT_TEXT)
    g_assert_nonnull (ipc_message_get_text (message));
  if (ipc_message_get_format (message) == IPC_PAYLOAD_FORMAT_JSON)
    ipc_message_get_json (message);
  if (ipc_message_get_format (message) == IPC_PAYLOAD_FORMAT_VARIANT)
    g_assert_nonnull (ipc_message_get_variant (message));
}

static void
check_item (GVariant *value)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcQueueItem) item = ipc_queue_wire_unpack (value, &error);
  g_autoptr(GVariant) packed = NULL;

  g_assert_true ((item == NULL) == (error != NULL));
  if (item == NULL)
    return;
  check_message (item->message);
  packed = g_variant_ref_sink (ipc_queue_wire_pack (item, item->lease));
  g_assert_true (g_variant_is_of_type (packed, G_VARIANT_TYPE (IPC_QUEUE_WIRE_ITEM)));
}

static void
check_new_item (GVariant *value)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcQueueItem) item = ipc_queue_wire_unpack_new (value, &error);
  g_autoptr(GVariant) packed = NULL;

  g_assert_true ((item == NULL) == (error != NULL));
  if (item == NULL)
    return;
  check_message (item->message);
  packed = g_variant_ref_sink (ipc_queue_wire_pack_new (item));
  g_assert_true (g_variant_is_of_type (packed, G_VARIANT_TYPE (IPC_QUEUE_WIRE_NEW_ITEM)));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GBytes) bytes = NULL;
  gboolean is_new;

  if (size == 0)
    return 0;
  is_new = (data[0] & 1) != 0;
  bytes = g_bytes_new (data + 1, size - 1);
  value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (is_new ? IPC_QUEUE_WIRE_NEW_ITEM : IPC_QUEUE_WIRE_ITEM), bytes, FALSE));
  /* The messaging layer lets nothing else through. */
  if (!g_variant_is_normal_form (value))
    return 0;
  if (is_new)
    check_new_item (value);
  else
    check_item (value);
  return 0;
}
