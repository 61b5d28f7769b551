/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipe-test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void
log_message (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  Listener *self = data;

  self->n_messages++;
  if (!ipc_message_get_is_request (message))
    g_string_append_printf (self->log, "%s=%s ", ipc_message_get_message_type (message), ipc_message_get_text (message));
}

static void
log_dropped (IpcPipeServer *server, const GError *error, gpointer data)
{
  g_assert_nonnull (error);
  g_string_append_printf (((Listener *) data)->log, "!%d ", error->code);
}

IpcMessage *
listener_echo (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return ipc_message_new_full ("echo", ipc_message_get_format (request), ipc_message_get_payload (request), NULL, NULL);
}

void
listener_make (Listener *self, IpcTest *test)
{
  self->path = ipc_test_path (test, "pipe");
  self->server = IPC_SERVER (ipc_pipe_server_new (self->path));
  self->log = g_string_new (NULL);
  g_signal_connect (self->server, "message-received", G_CALLBACK (log_message), self);
  g_signal_connect (self->server, "line-dropped", G_CALLBACK (log_dropped), self);
  ipc_server_add_handler (self->server, "echo", listener_echo, NULL, NULL);
}

void
listener_init (Listener *self, IpcTest *test)
{
  g_autoptr(GError) error = NULL;

  listener_make (self, test);
  ipc_server_start (self->server, &error);
  g_assert_no_error (error);
}

void
listener_clear (Listener *self)
{
  gpointer weak = self->server;

  g_object_add_weak_pointer (G_OBJECT (self->server), &weak);
  ipc_server_stop (self->server);
  ipc_test_settle ();
  g_object_unref (self->server);
  ipc_test_wait_for (weak == NULL);
  g_string_free (self->log, TRUE);
  g_free (self->path);
}

void
listener_expect (Listener *self, const char *text)
{
  ipc_test_wait_for (self->log->len >= strlen (text));
  ipc_test_settle ();
  g_assert_cmpstr (self->log->str, ==, text);
  g_string_truncate (self->log, 0);
}

int
writer_open (const char *path)
{
  int fd = open (path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

  g_assert_no_errno (fd);
  return fd;
}

void
writer_write (int fd, const char *text)
{
  gsize left = strlen (text);

  while (left > 0)
    {
      gssize n = write (fd, text, left);

      g_assert_true (n > 0 || errno == EAGAIN);
      if (n < 0)
        ipc_test_iterate (5);
      else
        text += n, left -= (gsize) n;
    }
}

void
write_and_leave (const char *path, const char *text)
{
  int fd = writer_open (path);

  writer_write (fd, text);
  close (fd);
}

GError *
client_try_open (IpcClient *client)
{
  g_auto(IpcTestAsync) async = { 0 };
  GError *error = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_client_open_finish (client, ipc_test_async_wait (&async), &error);
  return error;
}

IpcClient *
client_open (const char *path)
{
  IpcClient *client = IPC_CLIENT (ipc_pipe_client_new (path));
  g_autoptr(GError) error = client_try_open (client);

  g_assert_no_error (error);
  return client;
}

void
client_close (IpcClient *client)
{
  gpointer weak = client;

  g_object_add_weak_pointer (G_OBJECT (client), &weak);
  ipc_client_close (client);
  g_object_unref (client);
  ipc_test_wait_for (weak == NULL);
}

void
client_check (IpcClient *client, const char *text)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", text);
  g_autoptr(IpcMessage) reply = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(IpcTestAsync) async = { 0 };

  ipc_client_request_async (client, message, 10000, NULL, ipc_test_async_cb, &async);
  reply = ipc_client_request_finish (client, ipc_test_async_wait (&async), &error);
  g_assert_no_error (error);
  g_assert_cmpstr (ipc_message_get_text (reply), ==, text);
}

guint
count_entries (const char *path)
{
  g_autoptr(GDir) directory = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (directory && g_dir_read_name (directory))
    n++;
  return n;
}
