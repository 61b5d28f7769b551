/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who gets at the file, how many of a user get in, and how a peer's process is known for sure.
 */
#include <errno.h>
#include <glib-unix.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "messaging/ipc-credentials-private.h"
#include "socket-test.h"

#define ONE_UID 12345
#define OTHER_UID 12346
#define NO_SUCH_OPTION 9999

/* ── Peers ── */

/* PATH SERVER-UID: opens, and tells how that went. */
static int
play_client (char **arguments)
{
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (arguments[0]));
  g_autoptr (GError) error = NULL;

  ipc_client_set_server_uid (client, (guint) atoi (arguments[1]));
  if (ipc_client_open (client, NULL, &error))
    ipc_test_tell ("in");
  else
    ipc_test_tell ("%d %s", error->code, error->message);
  g_free (ipc_test_hear ());
  return 0;
}

/* PATH GROUP: a server whose group is not his own. */
static int
play_server (char **arguments)
{
  g_autoptr (IpcServer) server = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", arguments[0], "group", arguments[1], NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (ipc_server_start (server, &error));
  ipc_test_tell ("%d %s", error->code, error->message);
  return 0;
}

static IpcAuthorization
grant (IpcServer *server, IpcConnection *connection, gpointer data)
{
  return IPC_AUTHORIZATION_GRANTED;
}

static void
set_way_in (IpcTest *test, guint mode)
{
  g_autofree char *above = g_path_get_dirname (test->directory);

  g_assert_no_errno (chmod (above, mode));
  g_assert_no_errno (chmod (test->directory, mode));
}

static IpcTestPeer *
spawn_client (IpcTest *test, guint uid, const char *expected)
{
  g_autofree char *path = socket_path (test);
  IpcTestPeer *peer = ipc_test_peer_spawn_as (uid, "client", (const char *[]) { path, "0", NULL });
  g_autofree char *line = ipc_test_peer_read_line (peer);

  assert_text (line, expected);
  return peer;
}

/* ── The group ── */

/* One that this process may give a file to, and that is not its own; NULL if there is none. */
static char *
find_group (gid_t *gid)
{
  gid_t groups[256];
  int n = getgroups (G_N_ELEMENTS (groups), groups);
  struct group *group;

  if (geteuid () == 0)
    groups[0] = 1, n = 1;
  for (int i = 0; i < n; i++)
    {
      group = groups[i] != getegid () ? getgrgid (groups[i]) : NULL;
      if (group != NULL)
        {
          *gid = groups[i];
          return g_strdup (group->gr_name);
        }
    }
  return NULL;
}

static void
count_notify (GObject *object, GParamSpec *pspec, guint *n)
{
  (*n)++;
}

static void
test_group (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  gid_t gid = 0;
  g_autofree char *group = find_group (&gid);
  g_autoptr (Service) service = NULL;
  struct stat status;
  guint n_notified = 0;

  if (group == NULL)
    {
      g_test_skip ("needs a second group, or root");
      return;
    }
  service = service_new (path);
  g_signal_connect (service->server, "notify::group", G_CALLBACK (count_notify), &n_notified);
  g_assert_null (ipc_server_get_group (service->server));
  g_object_set (service->server, "group", group, "mode", 0660, NULL);
  ipc_server_set_group (service->server, group);
  g_assert_cmpuint (n_notified, ==, 1);
  g_assert_cmpstr (ipc_server_get_group (service->server), ==, group);
  g_assert_true (ipc_server_start (service->server, NULL));
  g_assert_no_errno (lstat (path, &status));
  g_assert_cmpuint (status.st_gid, ==, gid);
  g_assert_cmpuint (status.st_uid, ==, geteuid ());
  g_assert_cmpuint (status.st_mode & 07777, ==, 0660);
  ipc_server_stop (service->server);
  g_object_set (service->server, "group", NULL, "mode", 0600, NULL);
  g_assert_true (ipc_server_start (service->server, NULL));
  g_assert_no_errno (lstat (path, &status));
  g_assert_cmpuint (status.st_gid, ==, getegid ());
}

static void
test_group_unknown (IpcTest *test)
{
  const char *names[] = { "no-such-group-here", "", "1", "a:b", "\xff" };
  g_autofree char *path = socket_path (test);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (IpcServer) server = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", path, "group", names[i], NULL);
      g_autoptr (GError) error = NULL;

      g_assert_false (ipc_server_start (server, &error));
      assert_ipc_error (error, IPC_ERROR_NOT_FOUND, "there is no group");
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
}

static void
test_group_not_ours (IpcTest *test)
{
  g_autofree char *place = ipc_test_path (test, "place");
  g_autofree char *path = g_build_filename (place, SOCKET_NAME, NULL);
  g_autofree char *expected = g_strdup_printf ("%d cannot set the group of socket %s", IPC_ERROR_PERMISSION_DENIED, path);
  g_autoptr (IpcTestPeer) peer = NULL;
  g_autofree char *line = NULL;

  if (!ipc_test_need_root ())
    return;
  set_way_in (test, 0711);
  g_assert_no_errno (mkdir (place, 0700));
  g_assert_no_errno (chmod (place, 01777));
  peer = ipc_test_peer_spawn_as (ONE_UID, "server", (const char *[]) { path, "root", NULL });
  line = ipc_test_peer_read_line (peer);
  assert_text (line, expected);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  set_way_in (test, 0700);
}

/* ── How many of a user ── */

static void
count_signal (IpcServer *server, guint *n)
{
  (*n)++;
}

static void
test_per_uid (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autofree char *refusal = g_strdup_printf ("%s: the limit of 2 clients of user %d is reached", path, ONE_UID);
  g_autoptr (Service) service = service_new (path);
  g_autoptr (IpcClient) bystander = NULL;
  g_autoptr (IpcClient) second = NULL;
  g_autoptr (IpcClient) third = NULL;
  guint n_overloaded = 0;

  if (!ipc_test_need_root ())
    return;
  set_way_in (test, 0711);
  ipc_server_set_mode (service->server, 0666);
  ipc_server_set_max_clients_per_uid (service->server, 2);
  g_signal_connect (service->server, "authorize-client", G_CALLBACK (grant), NULL);
  g_signal_connect (service->server, "overloaded", G_CALLBACK (count_signal), &n_overloaded);
  g_assert_true (ipc_server_start (service->server, NULL));
  bystander = client_open (path);
  {
    g_autoptr (IpcTestPeer) one = spawn_client (test, ONE_UID, "in");
    g_autoptr (IpcTestPeer) two = spawn_client (test, ONE_UID, "in");
    g_autoptr (IpcTestPeer) refused = spawn_client (test, ONE_UID, refusal);
    g_autoptr (IpcTestPeer) other = spawn_client (test, OTHER_UID, "in");

    g_assert_cmpuint (n_overloaded, ==, 1);
    client_check (bystander);
    /* ours are not counted that way */
    second = client_open (path);
    third = client_open (path);
    /* room for one, and not for two */
    ipc_test_peer_kill (one);
    ipc_test_wait_for (ipc_server_get_n_clients (service->server) == 5);
    {
      g_autoptr (IpcTestPeer) next = spawn_client (test, ONE_UID, "in");
      g_autoptr (IpcTestPeer) again = spawn_client (test, ONE_UID, refusal);

      g_assert_cmpuint (n_overloaded, ==, 2);
      ipc_server_set_max_clients_per_uid (service->server, 3);
      {
        g_autoptr (IpcTestPeer) more = spawn_client (test, ONE_UID, "in");
      }
    }
  }
  ipc_test_wait_for (ipc_server_get_n_clients (service->server) == 3);
  client_check (bystander);
  ipc_server_set_max_clients_per_uid (service->server, 1);
  {
    g_autoptr (IpcTestPeer) one = spawn_client (test, ONE_UID, "in");
    g_autoptr (IpcTestPeer) refused = spawn_client (test, ONE_UID, "the limit of 1 clients of user 12345");
  }
  set_way_in (test, 0700);
}

static void
test_per_uid_property (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcServer) server = IPC_SERVER (ipc_socket_server_new (path));
  guint n_notified = 0;

  g_signal_connect (server, "notify::max-clients-per-uid", G_CALLBACK (count_notify), &n_notified);
  g_assert_cmpuint (ipc_server_get_max_clients_per_uid (server), ==, 32);
  ipc_server_set_max_clients_per_uid (server, 0);
  g_assert_cmpuint (ipc_server_get_max_clients_per_uid (server), ==, 1);
  ipc_server_set_max_clients_per_uid (server, G_MAXUINT);
  g_assert_cmpuint (ipc_server_get_max_clients_per_uid (server), ==, 65536);
  ipc_server_set_max_clients_per_uid (server, 65536);
  g_assert_cmpuint (n_notified, ==, 2);
}

/* ── The process at the other end ── */

static gboolean
is_readable (int fd)
{
  struct pollfd item = { .fd = fd, .events = POLLIN };

  return poll (&item, 1, 0) == 1;
}

static GPid
read_pid (int pidfd)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fdinfo/%d", pidfd);
  g_autofree char *text = NULL;
  const char *at;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  at = strstr (text, "\nPid:");
  g_assert_nonnull (at);
  return atoi (at + strlen ("\nPid:"));
}

static gboolean
kernel_has_pidfds (IpcConnection *connection)
{
  if (ipc_connection_get_peer_pidfd (connection) >= 0)
    return TRUE;
  g_test_skip ("the kernel has no SO_PEERPIDFD");
  return FALSE;
}

static void
test_pidfd (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = NULL;
  g_autoptr (IpcConnection) connection = NULL;
  g_autofree char *uid = g_strdup_printf ("%u", (guint) geteuid ());
  guint n_fds;
  int pidfd, again = -2;

  peer = ipc_test_peer_spawn ("client", (const char *[]) { path, uid, NULL });
  ipc_test_peer_expect (peer, "in");
  connection = g_list_model_get_item (ipc_server_get_connections (service->server), 0);
  n_fds = ipc_test_count_fds ();
  if (!kernel_has_pidfds (connection))
    return;
  pidfd = ipc_connection_get_peer_pidfd (connection);
  g_object_get (connection, "peer-pidfd", &again, NULL);
  g_assert_cmpint (again, ==, pidfd);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds + 1);
  g_assert_cmpint (read_pid (pidfd), ==, ipc_test_peer_get_pid (peer));
  g_assert_false (is_readable (pidfd));
  ipc_test_peer_kill (peer);
  ipc_test_wait_for (!ipc_connection_get_is_open (connection));
  g_assert_true (is_readable (pidfd));
  /* it stays as long as the connection, as an object, does */
  g_assert_cmpint (ipc_connection_get_peer_pidfd (connection), ==, pidfd);
}

static void
test_pidfd_of_server (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (IpcConnection) connection = g_object_ref (ipc_client_get_connection (client));

  if (!kernel_has_pidfds (connection))
    return;
  g_assert_cmpint (read_pid (ipc_connection_get_peer_pidfd (connection)), ==, getpid ());
}

/* Nobody asked while it was open: then it is too late, and nothing else is taken for it. */
static void
test_pidfd_too_late (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (IpcConnection) connection = g_object_ref (ipc_client_get_connection (client));

  ipc_client_close (client);
  ipc_test_wait_for (!ipc_connection_get_is_open (connection));
  g_assert_cmpint (ipc_connection_get_peer_pidfd (connection), ==, -1);
}

/* A kernel that knows nothing of it. */
static void
test_pidfd_missing (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);
  IpcConnection *connection = ipc_client_get_connection (client);
  int option = ipc_credentials_pidfd_option;
  guint n_fds = ipc_test_count_fds ();

  ipc_credentials_pidfd_option = NO_SUCH_OPTION;
  g_assert_cmpint (ipc_connection_get_peer_pidfd (connection), ==, -1);
  g_assert_cmpint (ipc_connection_get_peer_pidfd (connection), ==, -1);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
  ipc_credentials_pidfd_option = option;
  client_check (client);
}

static const IpcTestRole roles[] = {
  { "client", play_client },
  { "server", play_server },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/access/group/given", test_group);
  ipc_test_add ("/socket/access/group/unknown", test_group_unknown);
  ipc_test_add ("/socket/access/group/not-ours", test_group_not_ours);
  ipc_test_add ("/socket/access/per-uid/limit", test_per_uid);
  ipc_test_add ("/socket/access/per-uid/property", test_per_uid_property);
  ipc_test_add ("/socket/access/pidfd/of-client", test_pidfd);
  ipc_test_add ("/socket/access/pidfd/of-server", test_pidfd_of_server);
  ipc_test_add ("/socket/access/pidfd/too-late", test_pidfd_too_late);
  ipc_test_add ("/socket/access/pidfd/missing", test_pidfd_missing);
  return ipc_test_run ();
}
