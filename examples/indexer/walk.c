/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the regular files below a directory. Symbolic links are not followed, except the
 * directory itself if it is one. What cannot be read is reported and counted; the walk
 * goes on. No recursion, and one directory open at a time, so depth costs nothing.
 */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

typedef struct
{
  Jobs              *jobs;
  const struct stat *leave_out; /* (nullable) the index itself, from an earlier run */
  GPtrArray         *pending;   /* paths of directories to visit */
  guint              n_unreadable;
} Walk;

char *
walk_display_path (const char *path)
{
  char *text = g_filename_display_name (path);

  for (char *c = text; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c))
      *c = '?';
  return text;
}

static void
report (Walk *self, const char *path)
{
  g_autofree char *text = walk_display_path (path);

  fprintf (stderr, "indexer: %s: %s\n", text, g_strerror (errno));
  self->n_unreadable++;
}

static char *
join (const char *directory, const char *name)
{
  return g_strconcat (directory, g_str_has_suffix (directory, "/") ? "" : "/", name, NULL);
}

static gboolean
is_same_file (const struct stat *a, const struct stat *b)
{
  return b != NULL && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static void
visit_entry (Walk *self, DIR *dir, const char *directory, const char *name)
{
  g_autofree char *path = join (directory, name);
  struct stat info;

  if (fstatat (dirfd (dir), name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    {
      if (errno != ENOENT) /* gone since it was listed: then it was never there */
        report (self, path);
      return;
    }
  if (S_ISDIR (info.st_mode))
    g_ptr_array_add (self->pending, g_steal_pointer (&path));
  else if (S_ISREG (info.st_mode) && !is_same_file (&info, self->leave_out))
    jobs_add (self->jobs, g_steal_pointer (&path), info.st_size);
}

/* FALSE if it cannot be opened, with errno set. */
static gboolean
visit_directory (Walk *self, const char *directory, int flags)
{
  int fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  const struct dirent *entry;

  if (dir == NULL)
    return FALSE;
  while (errno = 0, (entry = readdir (dir)) != NULL)
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      visit_entry (self, dir, directory, entry->d_name);
  if (errno != 0)
    report (self, directory);
  closedir (dir);
  return TRUE;
}

/* FALSE if DIRECTORY itself cannot be opened, with errno set. */
gboolean
walk (Jobs *jobs, const char *directory, const struct stat *leave_out, guint *n_unreadable)
{
  g_autoptr (GPtrArray) pending = g_ptr_array_new_with_free_func (g_free);
  Walk self = { jobs, leave_out, pending, 0 };

  if (!visit_directory (&self, directory, 0))
    return FALSE;
  while (pending->len > 0)
    {
      g_autofree char *path = g_ptr_array_steal_index (pending, pending->len - 1);
      if (!visit_directory (&self, path, O_NOFOLLOW))
        report (&self, path);
    }
  jobs_sort (jobs);
  *n_unreadable = self.n_unreadable;
  return TRUE;
}
