/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc-test-namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

gboolean
ipc_test_namespace_write (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY | O_CLOEXEC);
  gboolean done = fd >= 0 && write (fd, text, strlen (text)) == (gssize) strlen (text);

  if (fd >= 0)
    close (fd);
  return done;
}

gboolean
ipc_test_namespace_enter (int flags)
{
  g_autofree char *users = g_strdup_printf ("%u %u 1", geteuid (), geteuid ());
  g_autofree char *groups = g_strdup_printf ("%u %u 1", getegid (), getegid ());

  if (unshare (CLONE_NEWUSER | flags) != 0)
    return unshare (flags) == 0;
  return ipc_test_namespace_write ("/proc/self/uid_map", users) && ipc_test_namespace_write ("/proc/self/setgroups", "deny") &&
         ipc_test_namespace_write ("/proc/self/gid_map", groups);
}
