/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a socket address may be, and what is said of one that it may not.
 */
#include <string.h>

#include "socket-test.h"
#include "socket/ipc-socket-address-private.h"

#define TEXT_64 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
#define BASENAME_MAX 200

/* ── Good ones ── */

static const struct
{
  const char *address;
  const char *directory; /* NULL: a name */
  const char *basename;
} good[] = {
  { "a", NULL, "a" },
  { "0", NULL, "0" },
  { "_.-", NULL, "_.-" },
  { "my-app.service_2", NULL, "my-app.service_2" },
  { TEXT_64, NULL, TEXT_64 },
  { "unix", NULL, "unix" },
  { "tcp", NULL, "tcp" },
  { "/a", "/", "a" },
  { "/run/x/s", "/run/x", "s" },
  { "unix:/run/x/s", "/run/x", "s" },
  { "/run//s", "/run/", "s" },
  { "/run/.s", "/run", ".s" },
  { "/run/...", "/run", "..." },
  { "/run/-s", "/run", "-s" },
  { "/run/a b\n\xff", "/run", "a b\n\xff" },
  { "/run/tcp://x:1", "/run/tcp:/", "x:1" },
};

static void
test_good (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_auto (IpcSocketAddress) parsed = { 0 };
      g_autoptr (GError) error = NULL;

      g_assert_true (ipc_socket_address_parse (good[i].address, &parsed, &error));
      g_assert_no_error (error);
      g_assert_cmpint (parsed.kind, ==, good[i].directory != NULL ? IPC_SOCKET_ADDRESS_PATH : IPC_SOCKET_ADDRESS_NAME);
      g_assert_cmpstr (parsed.file.directory, ==, good[i].directory);
      g_assert_cmpstr (parsed.file.basename, ==, good[i].basename);
    }
}

static const struct
{
  const char *address;
  IpcSocketAddressKind kind;
  const char *name; /* (nullable) */
  int fd;
} good_others[] = {
  { "abstract:x", IPC_SOCKET_ADDRESS_ABSTRACT, "x", 0 },
  { "abstract:/tmp/.X11-unix/X0", IPC_SOCKET_ADDRESS_ABSTRACT, "/tmp/.X11-unix/X0", 0 },
  { "abstract:a:b@c", IPC_SOCKET_ADDRESS_ABSTRACT, "a:b@c", 0 },
  { "systemd:x", IPC_SOCKET_ADDRESS_SYSTEMD, "x", 0 },
  { "systemd:app@1.socket", IPC_SOCKET_ADDRESS_SYSTEMD, "app@1.socket", 0 },
  { "fd:3", IPC_SOCKET_ADDRESS_FD, NULL, 3 },
  { "fd:0", IPC_SOCKET_ADDRESS_FD, NULL, 0 },
  { "fd:2147483647", IPC_SOCKET_ADDRESS_FD, NULL, G_MAXINT },
};

static void
test_good_others (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (good_others); i++)
    {
      g_auto (IpcSocketAddress) parsed = { 0 };
      g_autoptr (GError) error = NULL;

      ipc_socket_address_parse (good_others[i].address, &parsed, &error);
      g_assert_no_error (error);
      g_assert_cmpint (parsed.kind, ==, good_others[i].kind);
      g_assert_cmpstr (parsed.file.basename, ==, good_others[i].name);
      g_assert_cmpint (parsed.fd, ==, good_others[i].fd);
      g_assert_null (parsed.file.directory);
      g_assert_false (ipc_socket_address_is_file (&parsed));
    }
}

static void
test_longest_basename (IpcTest *test)
{
  g_autofree char *basename = g_strnfill (BASENAME_MAX, 'b');
  g_autofree char *address = g_strconcat ("/dir/", basename, NULL);
  g_auto (IpcSocketAddress) parsed = { 0 };
  g_autoptr (GError) error = NULL;

  ipc_socket_address_parse (address, &parsed, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (parsed.file.basename, ==, basename);
}

/* ── Bad ones ── */

typedef struct
{
  const char *address; /* (nullable) */
  IpcError code;
  const char *text;    /* has to be in the message */
} BadAddress;

static const BadAddress bad[] = {
  { NULL, IPC_ERROR_INVALID_NAME, "name is empty" },
  { "", IPC_ERROR_INVALID_NAME, "name is empty" },
  { "a/b", IPC_ERROR_INVALID_NAME, "\"a/b\" has byte 0x2f at 1; allowed are A-Z a-z 0-9 . _ -" },
  { "..", IPC_ERROR_INVALID_NAME, "\"..\" starts with \".\"" },
  { ".", IPC_ERROR_INVALID_NAME, "starts with \".\"" },
  { ".hidden", IPC_ERROR_INVALID_NAME, "starts with \".\"" },
  { "-option", IPC_ERROR_INVALID_NAME, "starts with \"-\"" },
  { "a/../b", IPC_ERROR_INVALID_NAME, "0x2f at 1" },
  { "../b", IPC_ERROR_INVALID_NAME, "0x2f at 2" },
  { TEXT_64 "5", IPC_ERROR_INVALID_NAME, "has 65 bytes, limit 64" },
  { "two words", IPC_ERROR_INVALID_NAME, "0x20 at 3" },
  { "line\nbreak", IPC_ERROR_INVALID_NAME, "\"line\\x0abreak\" has byte 0x0a at 4" },
  { "tab\t", IPC_ERROR_INVALID_NAME, "\\x09" },
  { "esc\033[2J", IPC_ERROR_INVALID_NAME, "\\x1b" },
  { "\xff\xfe", IPC_ERROR_INVALID_NAME, "\"\\xff\\xfe\" has byte 0xff at 0" },
  { "caf\xc3\xa9", IPC_ERROR_INVALID_NAME, "\"caf\\xc3\\xa9\" has byte 0xc3 at 3" },
  { "over\xc0\xaf", IPC_ERROR_INVALID_NAME, "0xc0 at 4" },
  { "UNIX:/a", IPC_ERROR_INVALID_NAME, "0x3a at 4" },
  { ":", IPC_ERROR_INVALID_NAME, "0x3a at 0" },
  { "@abstract", IPC_ERROR_UNSUPPORTED, "\"@abstract\"" },
  { "@", IPC_ERROR_UNSUPPORTED, "\"@\"" },
  { "@line\nbreak", IPC_ERROR_UNSUPPORTED, "\"@line\\x0abreak\"" },
  { "abstract:", IPC_ERROR_INVALID_NAME, "abstract name is empty" },
  { "abstract:two words", IPC_ERROR_INVALID_NAME, "abstract name \"two words\" has byte 0x20 at 3" },
  { "abstract:\xff", IPC_ERROR_INVALID_NAME, "abstract name \"\\xff\" has byte 0xff at 0" },
  { "tcp://localhost:1", IPC_ERROR_UNSUPPORTED,
    "supported are a name, an absolute path, unix:PATH, abstract:NAME, fd:N and systemd:NAME" },
  { "tls://localhost:1", IPC_ERROR_UNSUPPORTED, "\"tls://localhost:1\"" },
  { "fd:", IPC_ERROR_INVALID_ARGUMENT, "descriptor \"\" is not a number" },
  { "fd:-1", IPC_ERROR_INVALID_ARGUMENT, "descriptor \"-1\" is not a number of 0 to 2147483647" },
  { "fd:+1", IPC_ERROR_INVALID_ARGUMENT, "\"+1\"" },
  { "fd: 1", IPC_ERROR_INVALID_ARGUMENT, "\" 1\"" },
  { "fd:1x", IPC_ERROR_INVALID_ARGUMENT, "\"1x\"" },
  { "fd:0x3", IPC_ERROR_INVALID_ARGUMENT, "\"0x3\"" },
  { "fd:2147483648", IPC_ERROR_INVALID_ARGUMENT, "\"2147483648\"" },
  { "fd:18446744073709551619", IPC_ERROR_INVALID_ARGUMENT, "\"18446744073709551619\"" },
  { "systemd:", IPC_ERROR_INVALID_NAME, "systemd name is empty" },
  { "systemd:a:b", IPC_ERROR_INVALID_NAME, "systemd name \"a:b\" has byte 0x3a at 1" },
  { "systemd:a\nb", IPC_ERROR_INVALID_NAME, "systemd name \"a\\x0ab\" has byte 0x0a at 1" },
  { "pipe:x", IPC_ERROR_UNSUPPORTED, "\"pipe:x\"" },
  { "nosuch:\xff", IPC_ERROR_UNSUPPORTED, "\"nosuch:\\xff\"" },
  { "unix:", IPC_ERROR_INVALID_ARGUMENT, "\"\" is not absolute" },
  { "unix:rel", IPC_ERROR_INVALID_ARGUMENT, "\"rel\" is not absolute" },
  { "unix:./rel", IPC_ERROR_INVALID_ARGUMENT, "\"./rel\" is not absolute" },
  { "unix:@x", IPC_ERROR_INVALID_ARGUMENT, "\"@x\" is not absolute" },
  { "unix:r\nl", IPC_ERROR_INVALID_ARGUMENT, "\"r\\x0al\" is not absolute" },
  { "/", IPC_ERROR_INVALID_ARGUMENT, "names a directory" },
  { "//", IPC_ERROR_INVALID_ARGUMENT, "names a directory" },
  { "/tmp/", IPC_ERROR_INVALID_ARGUMENT, "\"/tmp/\" names a directory" },
  { "unix:/tmp/", IPC_ERROR_INVALID_ARGUMENT, "\"/tmp/\" names a directory" },
  { "/tmp/.", IPC_ERROR_INVALID_ARGUMENT, "names a directory" },
  { "/tmp/..", IPC_ERROR_INVALID_ARGUMENT, "names a directory" },
};

static void
assert_printable (const char *text)
{
  for (; *text != '\0'; text++)
    g_assert_true (g_ascii_isprint (*text));
}

static void
assert_bad (const BadAddress *one, const GError *error)
{
  assert_ipc_error (error, one->code, one->text);
  assert_printable (error->message);
}

static void
check_parse (const BadAddress *one)
{
  const IpcSocketAddress before = { (IpcSocketAddressKind) 77, { (char *) "d", (char *) "b" }, 5 };
  IpcSocketAddress parsed = before;
  g_autoptr (GError) error = NULL;

  g_assert_false (ipc_socket_address_parse (one->address, &parsed, &error));
  assert_bad (one, error);
  g_assert_cmpmem (&parsed, sizeof parsed, &before, sizeof before);
  g_assert_false (ipc_socket_address_parse (one->address, &parsed, NULL));
}

/* `new` never fails, and what is wrong is said by the first call that needs the address. */
static void
check_server (const BadAddress *one)
{
  g_autoptr (IpcServer) server = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", one->address, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpstr (ipc_server_get_address (server), ==, one->address != NULL ? one->address : "");
  g_assert_false (ipc_server_start (server, &error));
  assert_bad (one, error);
  g_assert_false (ipc_server_get_is_running (server));
  g_assert_false (ipc_server_start (server, NULL));
}

static void
check_client (const BadAddress *one, gboolean wait_for_server)
{
  g_autoptr (IpcClient) client = g_object_new (IPC_TYPE_SOCKET_CLIENT, "address", one->address,
                                               "wait-for-server", wait_for_server, NULL);
  g_autoptr (GError) sync_error = NULL;
  g_autoptr (GError) async_error = client_fail_open (client);

  assert_bad (one, async_error);
  g_assert_false (ipc_client_open (client, NULL, &sync_error));
  assert_bad (one, sync_error);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_CLOSED);
}

static void
check_bad (const BadAddress *one)
{
  g_autofree char *shown = g_strescape (one->address != NULL ? one->address : "(none)", NULL);

  g_test_message ("%s", shown);
  check_parse (one);
  check_server (one);
  check_client (one, FALSE);
  check_client (one, TRUE);
}

static void
test_bad (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    check_bad (&bad[i]);
}

static void
test_bad_long (IpcTest *test)
{
  g_autofree char *fill = g_strnfill (10000, 'x');
  g_autofree char *path = g_strconcat ("/tmp/", fill, NULL);
  g_autofree char *scheme = g_strconcat ("tcp:", fill, NULL);
  g_autofree char *name_108 = g_strnfill (108, 'n');
  g_autofree char *name_256 = g_strnfill (256, 'n');
  g_autofree char *abstract = g_strconcat ("abstract:", name_108, NULL);
  g_autofree char *systemd = g_strconcat ("systemd:", name_256, NULL);
  g_autofree char *basename = g_strnfill (BASENAME_MAX + 1, 'b');
  g_autofree char *one_more = g_strconcat ("/tmp/", basename, NULL);

  fill[255] = '\0';
  check_bad (&(BadAddress) { fill, IPC_ERROR_INVALID_NAME, "has 255 bytes, limit 64" });
  check_bad (&(BadAddress) { path, IPC_ERROR_INVALID_ARGUMENT, "10000 bytes exceeds the limit of 200" });
  check_bad (&(BadAddress) { scheme, IPC_ERROR_UNSUPPORTED, "..." });
  check_bad (&(BadAddress) { abstract, IPC_ERROR_INVALID_NAME, "has 108 bytes, limit 107" });
  check_bad (&(BadAddress) { systemd, IPC_ERROR_INVALID_NAME, "has 256 bytes, limit 255" });
  check_bad (&(BadAddress) { one_more, IPC_ERROR_INVALID_ARGUMENT, "201 bytes exceeds the limit of 200" });
}

/* Nothing at all was made for them. */
static void
test_nothing_is_made (IpcTest *test)
{
  g_autoptr (IpcScope) scope = NULL;
  g_autofree char *path = ipc_test_path (test, "scope");
  g_autofree char *folder = g_build_filename (path, "socket", NULL);
  g_autoptr (GError) error = NULL;

  scope = ipc_scope_new_for_directory (path, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (IpcServer) server = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", bad[i].address,
                                                   "scope", scope, NULL);

      g_assert_false (ipc_server_start (server, NULL));
    }
  g_assert_false (g_file_test (folder, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/socket/address/good", test_good);
  ipc_test_add ("/socket/address/good-others", test_good_others);
  ipc_test_add ("/socket/address/longest-basename", test_longest_basename);
  ipc_test_add ("/socket/address/bad", test_bad);
  ipc_test_add ("/socket/address/bad-long", test_bad_long);
  ipc_test_add ("/socket/address/nothing-is-made", test_nothing_is_made);
  return ipc_test_run ();
}
