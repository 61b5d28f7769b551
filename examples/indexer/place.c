/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib/gstdio.h>

#define PREFIX "ipc-glib-indexer-"

static void
remove_directory (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
    {
      g_autofree char *file = g_build_filename (path, name, NULL);

      if (g_unlink (file) < 0 && errno == EISDIR)
        remove_directory (file);
    }
  g_rmdir (path);
}

/* Ours, and locked; -1: it is none of ours, or its run goes on. The kernel takes back the lock of one that was killed. */
static int
lock (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat info;

  if (fd < 0)
    return -1;
  if (fstat (fd, &info) == 0 && info.st_uid == geteuid () && flock (fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  close (fd);
  return -1;
}

/* Those of runs that were killed. */
static void
sweep (void)
{
  g_autoptr (GDir) dir = g_dir_open (g_get_tmp_dir (), 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
    {
      g_autofree char *path = g_build_filename (g_get_tmp_dir (), name, NULL);
      int fd = g_str_has_prefix (name, PREFIX) ? lock (path) : -1;

      if (fd < 0)
        continue;
      remove_directory (path);
      close (fd);
    }
}

gboolean
place_make (Place *self, GError **error)
{
  sweep ();
  for (;;)
    {
      self->path = g_dir_make_tmp (PREFIX "XXXXXX", error);
      if (self->path == NULL)
        return FALSE;
      self->fd = lock (self->path);
      if (self->fd >= 0 && g_access (self->path, W_OK) == 0)
        return TRUE;
      /* Another one that sweeps was here before it was locked. */
      place_remove (self);
    }
}

void
place_remove (Place *self)
{
  if (self->path != NULL)
    remove_directory (self->path);
  g_clear_pointer (&self->path, g_free);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
}
