/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The vectors that have descriptors in them, against a server: what comes out of each is what they say.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vectors.h"

typedef struct
{
  IpcTest *test;
  guint n;           /* so many have been sent */
  GString *seen;     /* what came, a word for each */
} Play;

/* ── What comes out ── */

static void
add_payload (GString *seen, gconstpointer data, gsize size)
{
  for (gsize i = 0; i < size; i++)
    g_string_append_printf (seen, "%02x", ((const guint8 *) data)[i]);
}

static void
note_message (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  Play *play = data;
  GUnixFDList *list = ipc_message_get_fd_list (message);
  GBytes *payload = ipc_message_get_payload (message);
  gsize size;
  gconstpointer bytes = g_bytes_get_data (payload, &size);

  g_string_append_printf (play->seen, "%s/%d/", ipc_message_get_message_type (message), list ? g_unix_fd_list_get_length (list) : 0);
  /* of the others the vectors do not say it */
  if (strcmp (ipc_message_get_message_type (message), "m") == 0)
    add_payload (play->seen, bytes, size);
  g_string_append_c (play->seen, ' ');
}

static char *
get_expected_messages (JsonObject *vector)
{
  JsonArray *frames = json_object_get_array_member (json_object_get_object_member (vector, "expect"), "frames");
  GString *text = g_string_new (NULL);

  for (guint i = 1; i < json_array_get_length (frames); i++)
    {
      JsonObject *frame = json_array_get_object_element (frames, i);

      if (!json_object_has_member (frame, "error"))
        g_string_append_printf (text, "%s/%d/%s ", json_object_get_string_member (frame, "type"),
                                (int) json_object_get_int_member (frame, "n_fds"),
                                json_object_get_string_member_with_default (frame, "payload", ""));
    }
  return g_string_free (text, FALSE);
}

/* ── What goes in ── */

static int
open_descriptor (JsonNode *what)
{
  JsonObject *object;
  const char *hex;
  int fd;

  if (JSON_NODE_HOLDS_VALUE (what))
    return open ("/dev/null", O_RDWR | O_CLOEXEC);
  object = json_node_get_object (what);
  hex = json_object_get_string_member (object, "memfd");
  fd = memfd_create ("vector", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_assert_no_errno (fd);
  for (; *hex; hex += 2)
    {
      guint8 byte = (guint8) (g_ascii_xdigit_value (hex[0]) << 4 | g_ascii_xdigit_value (hex[1]));

      g_assert_cmpint (write (fd, &byte, 1), ==, 1);
    }
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, (int) json_object_get_int_member (object, "seals")));
  return fd;
}

static void
send_part (Raw *raw, const guint8 *bytes, gsize size, JsonArray *what)
{
  guint n = json_array_get_length (what);
  int fds[16];

  g_assert_cmpuint (n, <=, G_N_ELEMENTS (fds));
  for (guint i = 0; i < n; i++)
    {
      fds[i] = open_descriptor (json_array_get_element (what, i));
      g_assert_cmpint (fds[i], >=, 0);
    }
  if (n > 0)
    raw_send_with_fds (raw, bytes, size, fds, n);
  else
    raw_send (raw, bytes, size);
  for (guint i = 0; i < n; i++)
    close (fds[i]);
}

/* The greeting, which is without any, and then each part with what goes with its first byte. */
static void
send_all (Raw *raw, JsonObject *vector, GByteArray *bytes)
{
  JsonArray *entries = json_object_get_array_member (vector, "descriptors");
  const guint n = json_array_get_length (entries);
  const gsize hello = IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE + ipc_load_le32 (bytes->data + IPC_PREAMBLE_SIZE);

  raw_send (raw, bytes->data, hello);
  raw_expect_hello (raw);
  for (gsize from = hello, i = 0; from < bytes->len;)
    {
      JsonObject *entry = i < n ? json_array_get_object_element (entries, (guint) i) : NULL;
      gsize at = entry != NULL ? (gsize) json_object_get_int_member (entry, "at") : bytes->len;
      gsize to;

      if (from < at)
        {
          raw_send (raw, bytes->data + from, at - from);
          from = at;
          continue;
        }
      i++;
      to = i < n ? (gsize) json_object_get_int_member (json_array_get_object_element (entries, (guint) i), "at") : bytes->len;
      send_part (raw, bytes->data + from, to - from, json_object_get_array_member (entry, "fds"));
      from = to;
    }
}

static Service *
start_for (Play *play, JsonObject *vector)
{
  JsonObject *limits = json_object_get_object_member (vector, "limits");
  g_autofree char *name = g_strdup_printf ("s%u", play->n++);
  g_autofree char *path = ipc_test_path (play->test, name);
  Service *service = service_new (path);

  ipc_server_set_max_fds (service->server, (guint) json_object_get_int_member (limits, "max-fds"));
  if (json_object_has_member (limits, "max-message-size"))
    ipc_server_set_max_message_size (service->server, (guint) json_object_get_int_member (limits, "max-message-size"));
  g_signal_connect (service->server, "message-received", G_CALLBACK (note_message), play);
  g_assert_true (ipc_server_start (service->server, NULL));
  return service;
}

static void
check_stream (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  Play *play = data;
  g_autofree char *expected = get_expected_messages (vector);
  g_autoptr (Service) service = NULL;
  g_autoptr (IpcClient) bystander = NULL;
  g_autoptr (Raw) raw = NULL;
  guint n_fds;

  service = start_for (play, vector);
  bystander = client_open (ipc_server_get_address (service->server));
  g_string_truncate (play->seen, 0);
  n_fds = ipc_test_count_fds ();
  raw = raw_connect (ipc_server_get_address (service->server));
  send_all (raw, vector, bytes);
  if (strcmp (vector_get_nick (vector), "") != 0)
    raw_expect_drop (raw, vector_get_nick (vector));
  else
    ipc_test_wait_for (play->seen->len >= strlen (expected));
  g_assert_cmpstr (play->seen->str, ==, expected);
  g_clear_pointer (&raw, raw_free);
  if (strcmp (vector_get_nick (vector), "") != 0)
    assert_ipc_error (service_wait_disconnected (service, 1), vector_get_code (vector), NULL);
  else
    g_assert_no_error (service_wait_disconnected (service, 1));
  g_ptr_array_set_size (service->connections, 0);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
  client_check (bystander);
}

static void
test_streams (IpcTest *test)
{
  Play play = { test, 0, g_string_new (NULL) };

  vectors_foreach_with_fds (check_stream, &play);
  g_string_free (play.seen, TRUE);
}

int
main (int argc, char **argv)
{
  int status;

  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/socket/fd-vectors/streams", test_streams);
  status = ipc_test_run ();
  vectors_free ();
  return status;
}
