/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Peers that speak JSON over a bare socket, as a shell or ten lines of any language do.
 */
#include <math.h>
#include <string.h>
#include <sys/socket.h>

#include "pair.h"

/* A server with a handler for "echo", and a peer that has said nothing. */
typedef struct
{
  Pair pair;
  Raw raw;
  GString *gone; /* (owned) of client-disconnected */
} Json;

static void
note_gone (IpcServer *server, IpcConnection *connection, const GError *error, gpointer log)
{
  g_string_append (log, error ? error->message : "in order");
}

static void
json_init (Json *self, IpcTest *test)
{
  self->gone = g_string_new (NULL);
  pair_init (&self->pair, test);
  ipc_server_add_handler (self->pair.server, "echo", pair_echo, NULL, NULL);
  g_signal_connect (self->pair.server, "client-disconnected", G_CALLBACK (note_gone), self->gone);
  g_assert_true (ipc_server_start (self->pair.server, NULL));
  raw_connect (&self->raw, self->pair.path);
}

static void
json_clear (Json *self)
{
  raw_clear (&self->raw);
  pair_clear (&self->pair);
  g_string_free (self->gone, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Json, json_clear)

static void
json_say (Json *self, const char *text)
{
  raw_write_text (&self->raw, text);
}

/* The next object has these members; the values are strings. */
static void G_GNUC_NULL_TERMINATED
json_expect (Json *self, ...)
{
  g_autoptr(JsonObject) object = raw_read_object (&self->raw);
  const char *name;
  va_list args;

  g_assert_true (json_object_has_member (object, "id"));
  g_assert_cmpint (json_object_get_int_member (object, "timestamp"), >, 1600000000);
  va_start (args, self);
  while ((name = va_arg (args, const char *)))
    g_assert_cmpstr (json_object_get_string_member_with_default (object, name, "(missing)"), ==,
                     va_arg (args, const char *));
  va_end (args);
}

static void
json_expect_text (Json *self, const char *text)
{
  json_expect (self, "message_type", "echo", "payload", text, NULL);
}

/* ── Answers ── */

static void
test_echo (IpcTest *test)
{
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  json_say (&json, "{\"id\":\"1\",\"message_type\":\"echo\",\"payload\":\"hi\",\"timestamp\":1700000000}");
  json_expect (&json, "message_type", "echo", "payload", "hi", "reply_to", "1", NULL);
}

/* What is missing is filled in, and the answer has something to refer to. */
static void
test_least (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autoptr(JsonObject) answer = NULL;

  json_init (&json, test);
  json_say (&json, "{\"message_type\":\"echo\"}");
  answer = raw_read_object (&json.raw);
  g_assert_cmpstr (json_object_get_string_member (answer, "payload"), ==, "");
  g_assert_true (g_uuid_string_is_valid (json_object_get_string_member (answer, "reply_to")));
}

static void
test_payloads (IpcTest *test)
{
  static const char *const payloads[] = {
    "null", "true", "7", "-1.5", "1e300", "[]", "{}", "{\"a\":[1,{\"b\":null}]}", "\"\"",
    "\"\\u001f\\u0001\\n\\\"\\\\\"", "\"gr\xc3\xbc\xc3\x9f\"", "\"\\ud83d\\ude00\"", "[\"\\u001f\"]",
    "9223372036854775807",
  };
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  for (guint i = 0; i < G_N_ELEMENTS (payloads); i++)
    {
      g_autofree char *text = g_strdup_printf ("{\"message_type\":\"echo\",\"payload\":%s}", payloads[i]);
      g_autoptr(JsonObject) answer = NULL;
      g_autoptr(JsonNode) expected = json_from_string (payloads[i], NULL);

      json_say (&json, text);
      answer = raw_read_object (&json.raw);
      g_assert_cmpstr (json_object_get_string_member (answer, "message_type"), ==, "echo");
      g_assert_true (json_node_equal (json_object_get_member (answer, "payload"), expected));
    }
}

static void
test_base64 (IpcTest *test)
{
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  json_say (&json, "{\"message_type\":\"echo\",\"payload\":\"ignored\",\"payload_base64\":\"AP8B\"}");
  json_expect (&json, "payload", "", "payload_base64", "AP8B", NULL);
}

static IpcMessage *
answer_with_headers (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  const char *headers[] = { "got", ipc_message_get_header (request, "a"), NULL };

  return ipc_message_new_full ("answer", IPC_PAYLOAD_FORMAT_TEXT, NULL, headers, NULL);
}

static void
test_headers (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autoptr(JsonObject) answer = NULL;

  json_init (&json, test);
  ipc_server_add_handler (json.pair.server, "h", answer_with_headers, NULL, NULL);
  json_say (&json, "{\"message_type\":\"h\",\"headers\":{\"a\":\"b\",\"c\":\"\"}}");
  answer = raw_read_object (&json.raw);
  g_assert_cmpstr (json_object_get_string_member (json_object_get_object_member (answer, "headers"), "got"), ==, "b");
}

static IpcMessage *
answer_variant (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  if (strcmp (ipc_message_get_message_type (request), "infinite") == 0)
    return ipc_message_new_variant ("answer", g_variant_new_double (INFINITY));
  return ipc_message_new_variant ("answer", g_variant_new_parsed ("{'a': <[1, 2]>, 'big': <1e300>}"));
}

/* A value that JSON has no way to write is an error for the peer, not silence. */
static void
test_variant (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autoptr(JsonObject) answer = NULL;
  JsonObject *payload;

  json_init (&json, test);
  ipc_server_add_handler (json.pair.server, NULL, answer_variant, NULL, NULL);
  json_say (&json, "{\"message_type\":\"v\"}");
  answer = raw_read_object (&json.raw);
  payload = json_object_get_object_member (answer, "payload");
  g_assert_cmpint (json_array_get_int_element (json_object_get_array_member (payload, "a"), 1), ==, 2);
  g_assert_cmpfloat (json_object_get_double_member (payload, "big"), ==, 1e300);
  json_say (&json, "{\"message_type\":\"infinite\",\"id\":\"7\"}");
  json_expect (&json, "message_type", "error", "code", "invalid-data", "reply_to", "7", NULL);
}

static void
test_ids (IpcTest *test)
{
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  json_say (&json, "{\"message_type\":\"echo\",\"id\":42}");
  json_expect (&json, "reply_to", "42", NULL);
  json_say (&json, "{\"message_type\":\"echo\",\"id\":\"\"}");
  json_expect (&json, "reply_to", "", NULL);
  json_say (&json, "{\"message_type\":\"echo\",\"id\":\"\\\"\\n\"}");
  json_expect (&json, "reply_to", "\"\n", NULL);
  json_say (&json, "{\"message_type\":\"echo\",\"id\":[1]}");
  json_expect (&json, "message_type", "error", "code", "invalid-data", NULL);
  json_say (&json, "{\"message_type\":\"echo\",\"payload\":\"on\"}");
  json_expect_text (&json, "on");
}

/* ── No answers ── */

static void
test_unknown_type (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);

  json_init (&json, test);
  json_say (&json, "{\"message_type\":\"x\",\"id\":\"1\"}");
  json_expect (&json, "message_type", "error", "payload", "unknown message type: x", "code", "unknown-type", "reply_to",
               "1", NULL);
  /* whom somebody listens to is not told so */
  g_signal_connect (json.pair.server, "message-received", G_CALLBACK (pair_log_client_message), log);
  json_say (&json, "{\"message_type\":\"x\",\"payload\":\"1\"}{\"message_type\":\"echo\",\"payload\":\"2\"}");
  json_expect_text (&json, "2");
  g_assert_cmpstr (log->str, ==, "x=1 echo=2 ");
}

/* An answer is never answered, whatever it says. */
static void
test_reply_to (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);

  json_init (&json, test);
  json_say (&json, "{\"message_type\":\"echo\",\"reply_to\":\"99\",\"payload\":\"a\"}"
                   "{\"message_type\":\"nobody\",\"reply_to\":\"nothing\",\"payload\":\"b\"}"
                   "{\"message_type\":\"echo\",\"payload\":\"c\"}");
  json_expect_text (&json, "c");
}

static IpcMessage *
keep (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_ptr_array_add (data, ipc_message_ref (request));
  return NULL;
}

static void
reply (IpcServer *server, GPtrArray *requests, guint i)
{
  g_autoptr(IpcConnection) far = g_list_model_get_item (ipc_server_get_connections (server), 0);
  g_autoptr(IpcMessage) message = ipc_message_new_text ("answer", ipc_message_get_text (requests->pdata[i]));
  g_autoptr(GError) error = NULL;

  ipc_connection_reply (far, requests->pdata[i], message, &error);
  g_assert_no_error (error);
}

static void
test_later (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autoptr(GPtrArray) requests = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);

  json_init (&json, test);
  ipc_server_add_handler (json.pair.server, "keep", keep, requests, NULL);
  json_say (&json,
            "{\"message_type\":\"keep\",\"id\":\"a\",\"payload\":\"1\"}{\"message_type\":\"keep\",\"id\":\"b\",\"payload\":\"2\"}"
                   "{\"message_type\":\"keep\",\"id\":\"c\",\"payload\":\"3\"}");
  ipc_test_wait_for (requests->len == 3);
  g_assert_true (ipc_message_get_is_request (requests->pdata[0]));
  reply (json.pair.server, requests, 1);
  reply (json.pair.server, requests, 0);
  json_expect (&json, "payload", "2", "reply_to", "b", NULL);
  json_expect (&json, "payload", "1", "reply_to", "a", NULL);
  /* the last one is dropped */
  g_ptr_array_set_size (requests, 0);
  json_expect (&json, "message_type", "error", "reply_to", "c", "code", "remote", NULL);
}

/* ── Cuts and ends ── */

static const char split_text[] =
  "{\"id\":\"\\u00e9\\\\\",\"message_type\":\"echo\",\"payload\":{\"a\":[-1.5e+3,\"gr\xc3\xbc\xc3\x9f\",true]}} \n ";

static void
test_split (IpcTest *test)
{
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  for (gsize cut = 1; cut < sizeof split_text - 1; cut++)
    {
      raw_write (&json.raw, split_text, cut);
      ipc_test_settle ();
      raw_write (&json.raw, split_text + cut, sizeof split_text - 1 - cut);
      json_expect (&json, "message_type", "echo", "reply_to", "\xc3\xa9\\", NULL);
    }
}

static void
test_bytewise (IpcTest *test)
{
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  for (guint i = 0; i < 3; i++)
    {
      for (gsize j = 0; j < sizeof split_text - 1; j++)
        {
          raw_write (&json.raw, split_text + j, 1);
          ipc_test_settle ();
        }
      json_expect (&json, "message_type", "echo", "reply_to", "\xc3\xa9\\", NULL);
    }
}

/* As soon as an object is whole it is answered: no newline is waited for. */
static void
test_several (IpcTest *test)
{
  static const char *const between[] = { "", " ", "\n", "\r\n\t \n" };
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  for (guint i = 0; i < G_N_ELEMENTS (between); i++)
    {
      g_autoptr(GString) text = g_string_new (NULL);

      for (guint j = 0; j < 100; j++)
        g_string_append_printf (text, "{\"message_type\":\"echo\",\"payload\":\"%u\"}%s", j, between[i]);
      raw_write (&json.raw, text->str, text->len);
      for (guint j = 0; j < 100; j++)
        {
          g_autofree char *number = g_strdup_printf ("%u", j);

          json_expect_text (&json, number);
        }
    }
}

static void
test_half_close (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autoptr(GPtrArray) requests = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);

  json_init (&json, test);
  ipc_server_add_handler (json.pair.server, "keep", keep, requests, NULL);
  json_say (&json, "{\"message_type\":\"keep\",\"payload\":\"1\"}{\"message_type\":\"echo\",\"payload\":\"2\"}");
  g_assert_no_errno (shutdown (json.raw.fd, SHUT_WR));
  json_expect_text (&json, "2");
  assert_loop_sleeps ();
  g_assert_false (json.raw.at_end);
  g_assert_cmpuint (json.gone->len, ==, 0);
  reply (json.pair.server, requests, 0);
  json_expect (&json, "payload", "1", NULL);
  raw_wait_end (&json.raw);
  ipc_test_wait_for (json.gone->len > 0);
  g_assert_cmpstr (json.gone->str, ==, "in order");
}

/* With nothing pending it is the end at once. */
static void
test_half_close_at_once (IpcTest *test)
{
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  json_say (&json, "\n");
  g_assert_no_errno (shutdown (json.raw.fd, SHUT_WR));
  raw_wait_end (&json.raw);
  g_assert_cmpuint (json.raw.input->len, ==, 0);
}

static void
test_end_inside_object (IpcTest *test)
{
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  json_say (&json, "{\"message_type\":\"echo\",\"payload\":\"1\"}{\"message_type\":\"ec");
  g_assert_no_errno (shutdown (json.raw.fd, SHUT_WR));
  json_expect_text (&json, "1");
  json_expect (&json, "message_type", "error", "code", "invalid-data", NULL);
  raw_wait_end (&json.raw);
  ipc_test_wait_for (json.gone->len > 0);
  g_assert_cmpstr (json.gone->str, !=, "in order");
}

/* ── Limits and nonsense ── */

static char *
object_of (gsize size)
{
  g_autofree char *filler = g_strnfill (size - strlen ("{\"message_type\":\"count\",\"payload\":\"\"}"), 'x');

  return g_strdup_printf ("{\"message_type\":\"count\",\"payload\":\"%s\"}", filler);
}

static IpcMessage *
answer_size (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autofree char *text = g_strdup_printf ("%" G_GSIZE_FORMAT, strlen (ipc_message_get_text (request)));

  return ipc_message_new_text ("answer", text);
}

static void
test_largest (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autofree char *fits = object_of (IPC_JSON_MAX_OBJECT);
  g_autofree char *too_large = object_of (IPC_JSON_MAX_OBJECT + 1);

  json_init (&json, test);
  ipc_server_add_handler (json.pair.server, "count", answer_size, NULL, NULL);
  json_say (&json, fits);
  json_expect (&json, "payload", "1048539", NULL);
  json_say (&json, too_large);
  json_expect (&json, "message_type", "error", "code", "too-large", NULL);
  raw_wait_end (&json.raw);
}

/* An answer that would be larger is refused, and that is said. */
static IpcMessage *
answer_large (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autofree char *text = g_strnfill (IPC_JSON_MAX_OBJECT, 'x');

  return ipc_message_new_text ("answer", text);
}

static void
test_large_answer (IpcTest *test)
{
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  ipc_server_add_handler (json.pair.server, "large", answer_large, NULL, NULL);
  json_say (&json, "{\"message_type\":\"large\",\"id\":\"1\"}");
  json_expect (&json, "message_type", "error", "code", "too-large", "reply_to", "1", NULL);
  json_say (&json, "{\"message_type\":\"echo\",\"payload\":\"on\"}");
  json_expect_text (&json, "on");
}

/* What is no JSON is answered with an error, after what came before, and ends it. */
static void
test_invalid (IpcTest *test)
{
  static const char *const invalid[] = {
    "{\"a\":1,}", "{\"a\":01}", "[1]", "x", "{'a':1}", "{\"a\":\"\\u0000\"}", "{\"a\":1,\"a\":2}", "{\"a\":1e999}",
    "{\"\xff\":1}", "{\"a\":\"\n\"}", "{\"a\":9223372036854775808}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (invalid); i++)
    {
      g_auto(Json) json = { 0 };

      json_init (&json, test);
      json_say (&json, "{\"message_type\":\"echo\",\"payload\":\"before\"}");
      json_say (&json, invalid[i]);
      json_expect_text (&json, "before");
      json_expect (&json, "message_type", "error", "code", "invalid-data", NULL);
      raw_wait_end (&json.raw);
      g_assert_cmpuint (json.raw.input->len, ==, 0);
      ipc_test_wait_for (json.gone->len > 0);
      g_assert_cmpstr (json.gone->str, !=, "in order");
    }
}

static void
test_deep (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autofree char *open = g_strnfill (100000, '[');

  json_init (&json, test);
  json_say (&json, "{\"message_type\":\"echo\",\"payload\":");
  json_say (&json, open);
  json_expect (&json, "message_type", "error", "code", "invalid-data", NULL);
  raw_wait_end (&json.raw);
}

/* A valid object that makes no message is answered with an error, and it goes on. */
static void
test_no_message (IpcTest *test)
{
  static const char *const objects[] = {
    "{}", "{\"message_type\":7}", "{\"message_type\":\"\"}", "{\"message_type\":\"a\\nb\"}",
    "{\"message_type\":\"echo\",\"headers\":[]}", "{\"message_type\":\"echo\",\"headers\":{\"a\":1}}",
    "{\"message_type\":\"echo\",\"timestamp\":\"now\"}", "{\"message_type\":\"echo\",\"payload_base64\":\"?\"}",
    "{\"message_type\":\"echo\",\"payload_base64\":7}",
  };
  g_auto(Json) json = { 0 };

  json_init (&json, test);
  for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
    {
      json_say (&json, objects[i]);
      json_expect (&json, "message_type", "error", "code", "invalid-data", NULL);
    }
  json_say (&json, "{\"message_type\":\"echo\",\"payload\":\"on\"}");
  json_expect_text (&json, "on");
}

/* Who speaks neither dialect is sent away without a word. */
static void
test_first_byte (IpcTest *test)
{
  static const char *const texts[] = { "GET / HTTP/1.1\r\n", "[", "\"", "\xff" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_auto(Json) json = { 0 };

      json_init (&json, test);
      json_say (&json, texts[i]);
      raw_wait_end (&json.raw);
      g_assert_cmpuint (json.raw.input->len, ==, 0);
      ipc_test_wait_for (json.gone->len > 0);
      g_assert_nonnull (strstr (json.gone->str, "bad magic"));
    }
}

/* ── The server speaks ── */

/* An empty line makes a listener. */
static void
test_listener (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_autoptr(IpcMessage) text = ipc_message_new_text ("news", "a\nb");
  g_autoptr(GBytes) bytes = g_bytes_new ("\0\xff", 2);
  g_autoptr(IpcMessage) binary = ipc_message_new ("news", bytes);

  json_init (&json, test);
  ipc_test_settle ();
  g_assert_cmpuint (ipc_server_broadcast (json.pair.server, text, NULL), ==, 0);
  json_say (&json, "\n");
  ipc_test_wait_for (ipc_server_get_n_clients (json.pair.server) == 1);
  g_assert_cmpuint (ipc_server_broadcast (json.pair.server, text, NULL), ==, 1);
  g_assert_cmpuint (ipc_server_broadcast (json.pair.server, binary, NULL), ==, 1);
  json_expect (&json, "message_type", "news", "payload", "a\nb", "reply_to", "(missing)", NULL);
  json_expect (&json, "message_type", "news", "payload_base64", "AP8=", NULL);
}

static void
ask_json (Json *json, Answer *answer, gint timeout, char **id)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("question", "x");
  g_autoptr(IpcConnection) far = NULL;
  g_autoptr(JsonObject) question = NULL;

  json_say (json, "\n");
  ipc_test_wait_for (ipc_server_get_n_clients (json->pair.server) == 1);
  far = g_list_model_get_item (ipc_server_get_connections (json->pair.server), 0);
  ipc_connection_request_with_callback (far, message, timeout, NULL, answer_cb, answer);
  question = raw_read_object (&json->raw);
  g_assert_cmpstr (json_object_get_string_member (question, "message_type"), ==, "question");
  *id = g_strdup (json_object_get_string_member (question, "id"));
}

static void
test_asked (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autofree char *id = NULL;
  g_autofree char *text = NULL;

  json_init (&json, test);
  ask_json (&json, &answer, -1, &id);
  text = g_strdup_printf ("{\"message_type\":\"answer\",\"payload\":\"y\",\"reply_to\":\"%s\"}", id);
  json_say (&json, text);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "y");
  /* once more is just a message that nobody waits for */
  json_say (&json, text);
  json_say (&json, "{\"message_type\":\"echo\",\"payload\":\"on\"}");
  json_expect_text (&json, "on");
}

static void
test_asked_error (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autofree char *id = NULL;
  g_autofree char *text = NULL;

  json_init (&json, test);
  ask_json (&json, &answer, -1, &id);
  text = g_strdup_printf ("{\"message_type\":\"error\",\"payload\":\"why\",\"reply_to\":\"%s\"}", id);
  json_say (&json, text);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_REMOTE);
  g_assert_nonnull (strstr (answer.error->message, "why"));
}

static void
test_asked_timeout (IpcTest *test)
{
  g_auto(Json) json = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autofree char *id = NULL;
  g_autofree char *text = NULL;

  json_init (&json, test);
  ask_json (&json, &answer, 20, &id);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  text = g_strdup_printf ("{\"message_type\":\"answer\",\"payload\":\"late\",\"reply_to\":\"%s\"}", id);
  json_say (&json, text);
  json_say (&json, "{\"message_type\":\"echo\",\"payload\":\"on\"}");
  json_expect_text (&json, "on");
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/json-peer/echo", test_echo);
  ipc_test_add ("/messaging/json-peer/least", test_least);
  ipc_test_add ("/messaging/json-peer/payloads", test_payloads);
  ipc_test_add ("/messaging/json-peer/base64", test_base64);
  ipc_test_add ("/messaging/json-peer/headers", test_headers);
  ipc_test_add ("/messaging/json-peer/variant", test_variant);
  ipc_test_add ("/messaging/json-peer/ids", test_ids);
  ipc_test_add ("/messaging/json-peer/unknown-type", test_unknown_type);
  ipc_test_add ("/messaging/json-peer/reply-to", test_reply_to);
  ipc_test_add ("/messaging/json-peer/later", test_later);
  ipc_test_add ("/messaging/json-peer/split", test_split);
  ipc_test_add ("/messaging/json-peer/bytewise", test_bytewise);
  ipc_test_add ("/messaging/json-peer/several", test_several);
  ipc_test_add ("/messaging/json-peer/half-close", test_half_close);
  ipc_test_add ("/messaging/json-peer/half-close-at-once", test_half_close_at_once);
  ipc_test_add ("/messaging/json-peer/end-inside-object", test_end_inside_object);
  ipc_test_add ("/messaging/json-peer/largest", test_largest);
  ipc_test_add ("/messaging/json-peer/large-answer", test_large_answer);
  ipc_test_add ("/messaging/json-peer/invalid", test_invalid);
  ipc_test_add ("/messaging/json-peer/deep", test_deep);
  ipc_test_add ("/messaging/json-peer/no-message", test_no_message);
  ipc_test_add ("/messaging/json-peer/first-byte", test_first_byte);
  ipc_test_add ("/messaging/json-peer/listener", test_listener);
  ipc_test_add ("/messaging/json-peer/asked", test_asked);
  ipc_test_add ("/messaging/json-peer/asked-error", test_asked_error);
  ipc_test_add ("/messaging/json-peer/asked-timeout", test_asked_timeout);
  return ipc_test_run ();
}
