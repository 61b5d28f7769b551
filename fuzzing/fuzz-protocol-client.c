/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server that says anything to a client, which has two requests under way. Whatever it was, opening ends once, each
 * request ends once, `closed` comes once if it was open, nothing is left, and somebody honest is served. See
 * protocol.h for the input.
 */
#include "protocol.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define N_REQUESTS 2

typedef struct
{
  gpointer client; /* NULL once it is finalized */
  int fd;
  guint n_opened;  /* how often opening ended */
  gboolean was_opened;
  guint n_closed;
  guint n_asked;
  guint n_answered;
} Run;

static char *path;
static int listen_fd = -1;
static IpcClient *honest;

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_autofree char *directory = fuzz_directory ();
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  fuzz_be_strict ();
  honest = fuzz_open_client (fuzz_start_server (directory, "honest"));
  path = g_build_filename (directory, "hostile", NULL);
  g_assert_cmpuint (g_strlcpy (address.sun_path, path, sizeof address.sun_path), <, sizeof address.sun_path);
  listen_fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_no_errno (listen_fd);
  g_assert_no_errno (bind (listen_fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (listen_fd, 8));
  return 0;
}

static void
opened (GObject *client, GAsyncResult *result, gpointer data)
{
  Run *run = data;
  g_autoptr (GError) error = NULL;

  run->n_opened++;
  run->was_opened = ipc_client_open_finish (IPC_CLIENT (client), result, &error);
  g_assert_true (run->was_opened == (error == NULL));
}

static void
answered (GObject *client, GAsyncResult *result, gpointer data)
{
  Run *run = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcMessage) reply = ipc_client_request_finish (IPC_CLIENT (client), result, &error);

  g_assert_true ((reply == NULL) == (error != NULL));
  run->n_answered++;
}

static void
count_closed (IpcClient *client, const GError *error, guint *n)
{
  (*n)++;
}

static gboolean
has_ended_opening (gpointer data)
{
  return ((Run *) data)->n_opened > 0;
}

static gboolean
is_over (gpointer data)
{
  Run *run = data;

  if (run->fd >= 0)
    fuzz_drain (run->fd);
  return run->n_opened > 0 && ipc_client_get_state (run->client) == IPC_CLIENT_STATE_CLOSED &&
         run->n_answered == run->n_asked;
}

static gboolean
is_finalized (gpointer data)
{
  return ((Run *) data)->client == NULL;
}

static void
ask (Run *run)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("ask", "anything");

  for (; run->n_asked < N_REQUESTS; run->n_asked++)
    ipc_client_request_async (run->client, request, -1, NULL, answered, run);
}

static void
begin (Run *run, guint flags)
{
  run->client = ipc_socket_client_new (path);
  g_object_add_weak_pointer (run->client, &run->client);
  fuzz_add_handlers_to_client (run->client);
  if (flags & FUZZ_FDS)
    ipc_client_set_max_fds (run->client, FUZZ_MAX_FDS);
  g_signal_connect (run->client, "closed", G_CALLBACK (count_closed), &run->n_closed);
  ipc_client_open_async (run->client, NULL, opened, run);
  run->fd = accept4 (listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  g_assert_no_errno (run->fd);
  if (!(flags & FUZZ_HANDSHAKE))
    return;
  g_assert_true (fuzz_write_handshake (run->fd, flags));
  fuzz_run_until (has_ended_opening, run);
  g_assert_true (run->was_opened);
  ask (run);
}

static void
end (Run *run, guint flags)
{
  fuzz_settle ();
  fuzz_release ();
  if (flags & FUZZ_LEAVE)
    ipc_client_close (run->client);
  else if (flags & FUZZ_HALF_CLOSE)
    shutdown (run->fd, SHUT_WR);
  else
    {
      close (run->fd);
      run->fd = -1;
    }
  fuzz_run_until (is_over, run);
  if (run->fd >= 0)
    close (run->fd);
  fuzz_settle ();
  fuzz_release ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  Run run = { 0 };
  int lowest;

  if (size < FUZZ_PREFIX_SIZE)
    return 0;
  lowest = fuzz_lowest_fd ();
  begin (&run, data[1]);
  fuzz_dribble (run.fd, data, size);
  end (&run, data[1]);
  g_assert_cmpuint (run.n_opened, ==, 1);
  g_assert_cmpuint (run.n_closed, ==, run.was_opened);
  g_object_unref (run.client);
  fuzz_run_until (is_finalized, &run);
  g_assert_cmpint (fuzz_lowest_fd (), ==, lowest);
  fuzz_check_honest (honest);
  return 0;
}
