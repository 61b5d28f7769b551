/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long a message lives: lent ones and their lasting copies, what those pin, what is made lazily by several threads
 * at once, and what becomes of a request that is dropped.
 */
#include <string.h>

#include "ipc-glib.h"
#include "ipc-test.h"
#include "messaging/ipc-message-private.h"

#define N_THREADS 8

/* ── Lent messages ── */

static void
lend (IpcMessage *message, IpcPayloadFormat format, const char *payload)
{
  ipc_message_begin (message, format, "type", 4);
  message->payload = (const guint8 *) payload;
  message->payload_size = strlen (payload);
  message->timestamp = 123;
}

static void
test_lent (IpcTest *test)
{
  IpcMessage lent;

  lend (&lent, IPC_PAYLOAD_FORMAT_TEXT, "text");
  g_assert_cmpstr (ipc_message_get_text (&lent), ==, "text");
  g_assert_cmpstr (ipc_message_get_message_type (&lent), ==, "type");
  g_assert_true (g_uuid_string_is_valid (ipc_message_get_id (&lent)));
  g_assert_cmpuint (g_bytes_get_size (ipc_message_get_payload (&lent)), ==, 4);
  /* giving back what one does not own is harmless here */
  ipc_message_unref (&lent);
  g_assert_true (ipc_message_end (&lent));
}

/* What is kept is the same message each time, and does not change when the buffer does. */
static void
test_kept (IpcTest *test)
{
  char buffer[] = "text";
  char type[] = "type";
  IpcMessage lent;
  IpcMessage *kept, *again;

  lend (&lent, IPC_PAYLOAD_FORMAT_TEXT, buffer);
  lent.type = type;
  kept = ipc_message_ref (&lent);
  again = ipc_message_ref (&lent);
  g_assert_true (kept == again);
  g_assert_true (kept != &lent);
  g_assert_true (ipc_message_ref (kept) == kept);
  g_assert_cmpstr (ipc_message_get_id (&lent), ==, ipc_message_get_id (kept));
  g_assert_false (ipc_message_end (&lent));
  memset (buffer, 'X', sizeof buffer);
  memset (type, 'X', sizeof type);
  g_assert_cmpstr (ipc_message_get_text (kept), ==, "text");
  g_assert_cmpstr (ipc_message_get_message_type (kept), ==, "type");
  g_assert_cmpint (ipc_message_get_timestamp (kept), ==, 123);
  for (guint i = 0; i < 3; i++)
    ipc_message_unref (kept);
}

/* What was asked for before is handed on: the same id, the same bytes. */
static void
test_kept_after_use (IpcTest *test)
{
  IpcMessage lent;
  g_autoptr(IpcMessage) kept = NULL;
  g_autofree char *id = NULL;
  GBytes *payload;
  JsonNode *json;

  lend (&lent, IPC_PAYLOAD_FORMAT_JSON, "[1,2]");
  id = g_strdup (ipc_message_get_id (&lent));
  payload = ipc_message_get_payload (&lent);
  json = ipc_message_get_json (&lent);
  kept = ipc_message_ref (&lent);
  g_assert_true (ipc_message_get_payload (kept) == payload);
  g_assert_true (ipc_message_get_json (kept) == json);
  g_assert_cmpstr (ipc_message_get_id (kept), ==, id);
  g_assert_false (ipc_message_end (&lent));
  g_assert_cmpstr (ipc_message_get_id (kept), ==, id);
}

static void
test_kept_formats (IpcTest *test)
{
  g_autoptr(IpcMessage) made = ipc_message_new_variant ("type", g_variant_new ("(si)", "x", 7));
  static const char *const headers[] = { "a", "b", NULL };
  g_autoptr(IpcMessage) with_headers = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_BYTES, NULL, headers, NULL);
  g_autoptr(IpcMessage) kept = NULL;
  g_autofree guint8 *header_copy = g_memdup2 (with_headers->headers, with_headers->headers_size);
  g_autofree guint8 *copy = NULL;
  IpcMessage lent;

  ipc_message_begin (&lent, IPC_PAYLOAD_FORMAT_VARIANT, "type", 4);
  lent.payload = copy = g_memdup2 (made->payload, made->payload_size);
  lent.payload_size = made->payload_size;
  lent.headers = header_copy;
  lent.headers_size = with_headers->headers_size;
  kept = ipc_message_ref (&lent);
  ipc_message_end (&lent);
  memset (copy, 0xff, made->payload_size);
  memset (header_copy, 0xff, with_headers->headers_size);
  g_assert_cmpvariant (ipc_message_get_variant (kept), ipc_message_get_variant (made));
  g_assert_cmpstr (ipc_message_get_header (kept, "a"), ==, "b");
}

static void
test_kept_empty (IpcTest *test)
{
  static const IpcPayloadFormat formats[] = { IPC_PAYLOAD_FORMAT_BYTES, IPC_PAYLOAD_FORMAT_TEXT };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      IpcMessage lent;
      g_autoptr(IpcMessage) kept = NULL;

      ipc_message_begin (&lent, formats[i], "t", 1);
      kept = ipc_message_ref (&lent);
      ipc_message_end (&lent);
      g_assert_cmpuint (g_bytes_get_size (ipc_message_get_payload (kept)), ==, 0);
      g_assert_cmpstr (ipc_message_get_text (kept), ==, formats[i] == IPC_PAYLOAD_FORMAT_TEXT ? "" : NULL);
    }
}

/* ── What is pinned ── */

static void
count_free (gpointer counter)
{
  ++*(guint *) counter;
}

/* A large message keeps its buffer, and its payload is a part of that, not a copy. */
static void
test_pins_buffer (IpcTest *test)
{
  static const char buffer[] = "....payload....";
  guint n_freed = 0;
  GBytes *backing = g_bytes_new_with_free_func (buffer, sizeof buffer, count_free, &n_freed);
  g_autoptr(GBytes) payload = NULL;
  IpcMessage lent;
  IpcMessage *kept;

  lend (&lent, IPC_PAYLOAD_FORMAT_BYTES, "");
  lent.backing = backing;
  lent.payload = (const guint8 *) buffer + 4;
  lent.payload_size = 7;
  kept = ipc_message_ref (&lent);
  ipc_message_end (&lent);
  payload = g_bytes_ref (ipc_message_get_payload (kept));
  g_assert_true (g_bytes_get_data (payload, NULL) == buffer + 4);
  ipc_message_unref (kept);
  g_assert_cmpuint (n_freed, ==, 0);
  g_clear_pointer (&payload, g_bytes_unref);
  g_assert_cmpuint (n_freed, ==, 1);
}

/* A small one does not. */
static void
test_pins_nothing (IpcTest *test)
{
  g_autofree char *buffer = g_strdup ("payload");
  IpcMessage lent;
  g_autoptr(IpcMessage) kept = NULL;
  const char *data;

  lend (&lent, IPC_PAYLOAD_FORMAT_BYTES, buffer);
  kept = ipc_message_ref (&lent);
  ipc_message_end (&lent);
  data = g_bytes_get_data (ipc_message_get_payload (kept), NULL);
  g_assert_false (data >= buffer && data < buffer + 7);
}

/* What a program made its message of is held until the message goes, unless it is small: then it is copied. */
static void
test_made_of (IpcTest *test)
{
  static const char buffer[1000];

  for (gsize size = 1; size <= sizeof buffer; size += 111)
    {
      guint n_freed = 0;
      GBytes *bytes = g_bytes_new_with_free_func (buffer, size, count_free, &n_freed);
      IpcMessage *message = ipc_message_new ("type", bytes);
      gboolean is_held = ipc_message_get_payload (message) == bytes;

      g_assert_cmpint (is_held, ==, size > 256);
      g_assert_true (g_bytes_equal (ipc_message_get_payload (message), bytes));
      g_bytes_unref (bytes);
      g_assert_cmpuint (n_freed, ==, !is_held);
      ipc_message_unref (message);
      g_assert_cmpuint (n_freed, ==, 1);
    }
}

/* ── Threads ── */

typedef struct
{
  IpcMessage *message;
  gint *barrier;
  gpointer seen[6];
} Reader;

static void
meet (gint *barrier)
{
  g_atomic_int_inc (barrier);
  while (g_atomic_int_get (barrier) < N_THREADS)
    g_thread_yield ();
}

static gpointer
read_message (gpointer data)
{
  Reader *self = data;
  g_autoptr(GHashTable) headers = NULL;

  meet (self->barrier);
  self->seen[0] = (gpointer) ipc_message_get_id (self->message);
  self->seen[1] = ipc_message_get_payload (self->message);
  self->seen[2] = (gpointer) ipc_message_get_text (self->message);
  self->seen[3] = ipc_message_get_variant (self->message);
  self->seen[4] = ipc_message_get_json (self->message);
  self->seen[5] = (gpointer) ipc_message_get_header (self->message, "a");
  headers = ipc_message_get_headers (self->message);
  g_assert_cmpstr (g_hash_table_lookup (headers, "a"), ==, "b");
  return NULL;
}

/* All of them see one and the same, whoever made it. */
static void
read_at_once (IpcMessage *message)
{
  Reader readers[N_THREADS];
  GThread *threads[N_THREADS];
  gint barrier = 0;

  for (guint i = 0; i < N_THREADS; i++)
    {
      readers[i] = (Reader) { message, &barrier, { NULL } };
      threads[i] = g_thread_new ("reader", read_message, &readers[i]);
    }
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  for (guint i = 1; i < N_THREADS; i++)
    g_assert_cmpmem (readers[i].seen, sizeof readers[i].seen, readers[0].seen, sizeof readers[0].seen);
}

static void
test_lazy_in_threads (IpcTest *test)
{
  static const char *const headers[] = { "a", "b", NULL };
  g_autoptr(GVariant) variant = g_variant_ref_sink (g_variant_new_variant (g_variant_new_parsed ("{'a': <1>}")));
  g_autoptr(GBytes) variant_bytes = g_variant_get_data_as_bytes (variant);
  g_autoptr(GBytes) json = g_bytes_new_static ("{\"a\":[1,2]}", 11);
  g_autoptr(GBytes) text = g_bytes_new_static ("text", 4);
  GBytes *const payloads[] = { NULL, text, json, variant_bytes };

  for (guint round = 0; round < 15; round++)
    for (guint format = 0; format < 4; format++)
      {
        g_autoptr(IpcMessage) message = ipc_message_new_full ("type", (IpcPayloadFormat) format, payloads[format],
                                                              headers, NULL);

        read_at_once (message);
      }
}

/* A lasting copy whose payload nobody has asked for yet. */
static void
test_kept_in_threads (IpcTest *test)
{
  static const char *const headers[] = { "a", "b", NULL };
  g_autoptr(IpcMessage) with_headers = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_BYTES, NULL, headers, NULL);

  for (guint round = 0; round < 15; round++)
    {
      IpcMessage lent;
      g_autoptr(IpcMessage) kept = NULL;

      lend (&lent, IPC_PAYLOAD_FORMAT_JSON, "[1,2,3]");
      lent.headers = with_headers->headers;
      lent.headers_size = with_headers->headers_size;
      kept = ipc_message_ref (&lent);
      ipc_message_end (&lent);
      read_at_once (kept);
    }
}

static gpointer
count_up_and_down (gpointer data)
{
  IpcMessage *message = data;

  for (guint i = 0; i < 20000; i++)
    {
      IpcMessage *more = ipc_message_ref (message);

      g_assert_true (more == message);
      ipc_message_unref (more);
    }
  ipc_message_unref (message);
  return NULL;
}

static void
test_refs_in_threads (IpcTest *test)
{
  guint n_freed = 0;
  GBytes *bytes = g_bytes_new_with_free_func ("x", 1, count_free, &n_freed);
  IpcMessage *message = ipc_message_new ("type", bytes);
  GThread *threads[N_THREADS];

  g_bytes_unref (bytes);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("counter", count_up_and_down, ipc_message_ref (message));
  ipc_message_unref (message);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (n_freed, ==, 1);
}

/* ── Requests ── */

static guint n_dropped;

static void
note_dropped (GObject *connection, IpcRequestToken *token)
{
  g_assert_true (G_IS_OBJECT (connection));
  g_assert_cmpuint (token->serial, ==, 77);
  n_dropped++;
}

static void
lend_request (IpcMessage *message, IpcRequestToken *token, GObject *connection)
{
  lend (message, IPC_PAYLOAD_FORMAT_TEXT, "text");
  *token = (IpcRequestToken) { .serial = 77, .connection = connection, .id = "id-1", .dropped = note_dropped,
                               .must_answer = TRUE };
  message->is_request = TRUE;
  message->token = token;
}

/* Whoever lent it answers for one that nobody kept; the last reference answers for one that was kept. */
static void
test_request_dropped (IpcTest *test)
{
  GObject *connection = g_object_new (G_TYPE_OBJECT, NULL);
  IpcRequestToken token;
  IpcMessage lent;
  IpcMessage *kept;

  n_dropped = 0;
  lend_request (&lent, &token, connection);
  g_assert_true (ipc_message_end (&lent));
  g_assert_cmpuint (n_dropped, ==, 0);

  lend_request (&lent, &token, connection);
  kept = ipc_message_ref (&lent);
  g_assert_true (ipc_message_get_is_request (kept));
  ipc_message_end (&lent);
  memset (&token, 0xff, sizeof token);
  g_assert_cmpstr (ipc_message_get_token (kept)->id, ==, "id-1");
  g_assert_cmpuint (n_dropped, ==, 0);
  ipc_message_unref (kept);
  g_assert_cmpuint (n_dropped, ==, 1);
  ipc_test_assert_finalized (connection);
}

/* A token may outlive its message; it does not lead back to it then. */
static void
test_token_outlives_message (IpcTest *test)
{
  GObject *connection = g_object_new (G_TYPE_OBJECT, NULL);
  IpcRequestToken stack_token;
  IpcRequestToken *token;
  IpcMessage lent;
  IpcMessage *kept, *found;

  lend_request (&lent, &stack_token, connection);
  kept = ipc_message_ref (&lent);
  ipc_message_end (&lent);
  token = ipc_message_get_token (kept);
  ipc_request_token_ref (token);
  found = ipc_request_token_get_message (token);
  g_assert_true (found == kept);
  ipc_message_unref (found);
  token->message = NULL; /* as its connection does */
  ipc_message_unref (kept);
  g_assert_null (ipc_request_token_get_message (token));
  ipc_request_token_unref (token);
  ipc_test_assert_finalized (connection);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/message-life/lent", test_lent);
  ipc_test_add ("/messaging/message-life/kept", test_kept);
  ipc_test_add ("/messaging/message-life/kept-after-use", test_kept_after_use);
  ipc_test_add ("/messaging/message-life/kept-formats", test_kept_formats);
  ipc_test_add ("/messaging/message-life/kept-empty", test_kept_empty);
  ipc_test_add ("/messaging/message-life/pins-buffer", test_pins_buffer);
  ipc_test_add ("/messaging/message-life/pins-nothing", test_pins_nothing);
  ipc_test_add ("/messaging/message-life/made-of", test_made_of);
  ipc_test_add ("/messaging/message-life/lazy-in-threads", test_lazy_in_threads);
  ipc_test_add ("/messaging/message-life/kept-in-threads", test_kept_in_threads);
  ipc_test_add ("/messaging/message-life/refs-in-threads", test_refs_in_threads);
  ipc_test_add ("/messaging/message-life/request-dropped", test_request_dropped);
  ipc_test_add ("/messaging/message-life/token-outlives-message", test_token_outlives_message);
  return ipc_test_run ();
}
