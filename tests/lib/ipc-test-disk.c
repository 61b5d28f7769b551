/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc-test-disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc-test-namespace.h"

#define FILLER IPC_TEST_DISK "/filler"

/* ── The namespace ── */

static gboolean
mount_disks (const char *root, guint kib)
{
  g_autofree char *proc = g_build_filename (root, "proc", NULL);
  g_autofree char *disk = g_build_filename (root, IPC_TEST_DISK, NULL);
  g_autofree char *options = g_strdup_printf ("mode=0700,size=%uk", kib);

  return mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount ("none", root, "tmpfs", 0, "mode=0700") == 0 &&
         mkdir (proc, 0700) == 0 && mkdir (disk, 0700) == 0 && mount ("/proc", proc, NULL, MS_BIND | MS_REC, NULL) == 0 &&
         mount ("none", disk, "tmpfs", 0, options) == 0 && chroot (root) == 0 && chdir ("/") == 0 && mkdir ("/scope", 0700) == 0;
}

gboolean
ipc_test_disk_enter (const char *root, guint kib)
{
  if (ipc_test_namespace_enter (CLONE_NEWNS) && mount_disks (root, kib))
    return TRUE;
  ipc_test_tell ("no: %s", g_strerror (errno));
  return FALSE;
}

/* ── The disk ── */

void
ipc_test_disk_fill (void)
{
  static const char page[4096];
  int fd = open (FILLER, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  gssize n;

  do
    n = write (fd, page, sizeof page);
  while (n > 0);
  g_assert_cmpint (errno, ==, ENOSPC);
  close (fd);
}

void
ipc_test_disk_free (void)
{
  g_assert_no_errno (unlink (FILLER));
}

void
ipc_test_disk_expect_done (IpcTestPeer *peer)
{
  g_autofree char *line = ipc_test_peer_read_line (peer);

  if (line != NULL && g_str_has_prefix (line, "no: "))
    {
      g_autofree char *reason = g_strdup_printf ("no tmpfs in a namespace of its own here: %s", line + 4);

      g_test_skip (reason);
    }
  else
    g_assert_cmpstr (line, ==, "done");
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
}
