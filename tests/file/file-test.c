/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file-test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

IpcMappedFileManager *
file_test_manager_new (const char *directory)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcScope) scope = ipc_scope_new_for_directory (directory, &error);

  g_assert_no_error (error);
  return ipc_mapped_file_manager_new (scope);
}

IpcMappedFile *
file_test_map (IpcMappedFileManager *manager, const char *path, gsize size)
{
  g_autoptr(GError) error = NULL;
  IpcMappedFile *file = ipc_mapped_file_manager_map_file (manager, path, size, 0, &error);

  g_assert_no_error (error);
  g_assert_nonnull (file);
  return file;
}

void
file_test_make (const char *path, guint8 value, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *bytes = g_malloc (size);

  if (size > 0)
    memset (bytes, value, size);
  g_file_set_contents (path, bytes, (gssize) size, &error);
  g_assert_no_error (error);
}

GBytes *
file_test_load (const char *path)
{
  g_autoptr(GError) error = NULL;
  char *bytes;
  gsize size;

  g_file_get_contents (path, &bytes, &size, &error);
  g_assert_no_error (error);
  return g_bytes_new_take (bytes, size);
}

void
file_test_truncate (const char *path, gsize size)
{
  g_assert_no_errno (truncate (path, (off_t) size));
}

void
file_test_assert_fails (gboolean result, GError **error, GQuark domain, int code)
{
  g_assert_false (result);
  g_assert_error (*error, domain, code);
  g_clear_error (error);
}

void
file_test_write_value (IpcMappedFile *file, gsize offset, guint8 value, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc (size);

  if (size > 0)
    memset (bytes, value, size);
  ipc_mapped_file_write_data (file, offset, bytes, size, &error);
  g_assert_no_error (error);
}

void
file_test_assert_value (IpcMappedFile *file, gsize offset, guint8 value, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = ipc_mapped_file_read (file, offset, size, &error);
  const guint8 *data;

  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, size);
  data = g_bytes_get_data (bytes, NULL);
  for (gsize i = 0; i < size; i++)
    g_assert_cmpuint (data[i], ==, value);
}

/* ── The other process ── */

/* ERROR is set by what says DONE. */
static void
answer (gboolean done, GError **error, const char *text)
{
  if (done)
    ipc_test_tell ("%s", text);
  else
    ipc_test_tell ("error %d", (*error)->code);
}

static void
write_value (IpcMappedFile *file, gsize offset, guint8 value, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc (size);

  if (size > 0)
    memset (bytes, value, size);
  answer (ipc_mapped_file_write_data (file, offset, bytes, size, &error), &error, "written");
}

static void
read_value (IpcMappedFile *file, gsize offset, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc (size);
  g_autofree char *text = NULL;
  gboolean done = ipc_mapped_file_read_into (file, offset, bytes, size, &error);

  text = g_strdup_printf ("%u", bytes[0]);
  for (gsize i = 1; done && i < size; i++)
    if (bytes[i] != bytes[0])
      {
        g_free (text);
        text = g_strdup ("mixed");
        break;
      }
  answer (done, &error, text);
}

static void
fork_child (IpcMappedFile *file)
{
  pid_t pid = fork ();

  if (pid == 0)
    {
      g_autoptr(GError) error = NULL;
      guint8 byte = 0;

      /* Nothing is left of it. */
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (ipc_mapped_file_read_into (file, 0, &byte, 1, &error) || !g_error_matches (error, IPC_ERROR, IPC_ERROR_FORKED))
        _exit (1);
      g_clear_error (&error);
      if (ipc_mapped_file_sync (file, 0, 0, NULL, &error) || !g_error_matches (error, IPC_ERROR, IPC_ERROR_FORKED))
        _exit (1);
      ipc_test_tell ("forked");
      pause ();
      _exit (0);
    }
}

static gboolean
obey (IpcMappedFile *file, const char *line)
{
  g_auto(GStrv) words = g_strsplit (line, " ", -1);
  g_autoptr(GError) error = NULL;

  if (g_str_equal (words[0], "write"))
    write_value (file, strtoull (words[1], NULL, 10), (guint8) atoi (words[2]), strtoull (words[3], NULL, 10));
  else if (g_str_equal (words[0], "read"))
    read_value (file, strtoull (words[1], NULL, 10), strtoull (words[2], NULL, 10));
  else if (g_str_equal (words[0], "sync"))
    answer (ipc_mapped_file_sync (file, 0, 0, NULL, &error), &error, "synced");
  else if (g_str_equal (words[0], "resize"))
    answer (ipc_mapped_file_resize (file, strtoull (words[1], NULL, 10), &error), &error, "resized");
  else if (g_str_equal (words[0], "size"))
    ipc_test_tell ("%" G_GSIZE_FORMAT, ipc_mapped_file_get_size (file));
  else if (g_str_equal (words[0], "fork"))
    fork_child (file);
  else
    return FALSE;
  return TRUE;
}

int
file_test_role (char **arguments)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (arguments[0]);
  g_autoptr(IpcMappedFile) file = file_test_map (manager, arguments[1], 0);

  ipc_test_tell ("ready");
  for (;;)
    {
      g_autofree char *line = ipc_test_hear ();

      if (line == NULL || !obey (file, line))
        return 0;
    }
}

IpcTestPeer *
file_test_spawn (const char *directory, const char *path)
{
  const char *arguments[] = { directory, path, NULL };
  IpcTestPeer *peer = ipc_test_peer_spawn ("file-peer", arguments);

  ipc_test_peer_expect (peer, "ready");
  return peer;
}

void
file_test_command (IpcTestPeer *peer, const char *command, const char *expected)
{
  ipc_test_peer_write_line (peer, command);
  ipc_test_peer_expect (peer, expected);
}
