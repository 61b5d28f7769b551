/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A watch on one directory. Its owner frees it; a running dispatch keeps it
 * alive until it has seen that, so that the callback may free it at any time.
 *
 * What was read waits in the watch, not on the stack, so that events stay in
 * order when the callback runs the context and comes back here.
 */
#include "base/ipc-directory-watch-private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-hub-private.h"
#include "core/ipc-fork.h"

#define EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

typedef struct
{
  GSource parent;
  IpcDirectoryWatch *watch; /* (unowned): outlives the source's being attached */
  gpointer tag;
} WatchSource;

struct _IpcDirectoryWatch
{
  guint ref_count;
  int fd;         /* (owned) -1 once it was freed */
  GSource *source; /* (owned) */
  GMainContext *context; /* (owned) */
  guint generation;
  gboolean gone; /* nothing more to tell */
  IpcDirectoryWatchFunc func;
  gpointer user_data;

  gsize at, filled; /* of BUFFER, what was read and not told yet */
  union
  {
    struct inotify_event align;
    char bytes[4096];
  } buffer;
};

static void
watch_unref (IpcDirectoryWatch *self)
{
  if (--self->ref_count == 0)
    g_free (self);
}

static gboolean
is_over (IpcDirectoryWatch *self)
{
  return self->fd < 0 || self->gone || self->generation != ipc_fork_generation ();
}

/* FALSE when there is nothing to read now. */
static gboolean
fill_buffer (IpcDirectoryWatch *self)
{
  gssize n;

  do
    n = read (self->fd, self->buffer.bytes, sizeof self->buffer.bytes);
  while (n < 0 && errno == EINTR);
  self->at = 0;
  self->filled = n > 0 ? (gsize) n : 0;
  return n > 0;
}

/* The callback may have the buffer filled again, so it gets copies. */
static void
tell_next (IpcDirectoryWatch *self)
{
  const struct inotify_event *event = (const struct inotify_event *) (gpointer) (self->buffer.bytes + self->at);
  char name[NAME_MAX + 1];

  self->at += sizeof *event + event->len;
  if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
    {
      self->gone = TRUE;
      self->func (NULL, TRUE, self->user_data);
    }
  else if (event->mask & IN_Q_OVERFLOW)
    {
      self->func (NULL, FALSE, self->user_data);
    }
  else if (event->len > 0)
    {
      g_strlcpy (name, event->name, sizeof name);
      self->func (name, FALSE, self->user_data);
    }
}

/* One read at most, so that a busy directory does not starve the other sources. */
void
ipc_directory_watch_dispatch (IpcDirectoryWatch *self)
{
  self->ref_count++;
  if (!is_over (self) && (self->at < self->filled || fill_buffer (self)))
    {
      while (!is_over (self) && self->at < self->filled)
        tell_next (self);
    }
  watch_unref (self);
}

static gboolean
source_check (GSource *source)
{
  WatchSource *self = (WatchSource *) source;

  return g_source_query_unix_fd (source, self->tag) != 0;
}

static gboolean
source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  IpcDirectoryWatch *watch = ((WatchSource *) source)->watch;
  gboolean over;

  watch->ref_count++;
  ipc_directory_watch_dispatch (watch);
  /* After a fork the number polled may be another descriptor, for ever readable. */
  over = is_over (watch);
  watch_unref (watch);
  return over ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .check = source_check,
  .dispatch = source_dispatch,
};

static void
attach_source (IpcDirectoryWatch *self, GMainContext *context)
{
  WatchSource *source;

  self->source = g_source_new (&source_funcs, sizeof (WatchSource));
  source = (WatchSource *) self->source;
  source->watch = self;
  source->tag = g_source_add_unix_fd (self->source, self->fd, G_IO_IN);
  g_source_set_static_name (self->source, "ipc-directory-watch");
  g_source_set_can_recurse (self->source, TRUE);
  g_source_attach (self->source, context);
  /* Without that it would cost each turn of the loop a system call. */
  self->context = g_main_context_ref (context != NULL ? context : g_main_context_default ());
  ipc_hub_share_fd (self->context, self->fd);
}

static char *
read_limit (const char *name)
{
  g_autofree char *path = g_strconcat ("/proc/sys/fs/inotify/", name, NULL);
  char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return g_strdup ("unknown");
  return g_strchomp (text);
}

static void
set_limit_error (GError **error, const char *what, const char *setting)
{
  g_autofree char *limit = read_limit (setting);

  g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED,
               "one more directory watch than the user may have: %s (fs.inotify.%s) are limited to %s",
               what, setting, limit);
}

static int
open_inotify (GError **error)
{
  int fd = ipc_fork_open (inotify_init1 (IN_NONBLOCK | IN_CLOEXEC));
  int system_errno = errno;
  int spare;

  if (fd >= 0)
    return fd;
  /* EMFILE is said of two limits. */
  spare = system_errno == EMFILE ? open ("/", O_PATH | O_CLOEXEC) : -1;
  if (spare >= 0)
    {
      close (spare);
      set_limit_error (error, "inotify instances", "max_user_instances");
    }
  else
    {
      ipc_error_set_errno (error, system_errno, "cannot watch a directory");
    }
  return -1;
}

static gboolean
add_directory (int fd, int directory_fd, GError **error)
{
  char path[64];
  int system_errno;

  g_snprintf (path, sizeof path, "/proc/self/fd/%d", directory_fd);
  if (inotify_add_watch (fd, path, EVENTS) >= 0)
    return TRUE;
  system_errno = errno;
  if (system_errno == ENOSPC)
    set_limit_error (error, "inotify watches", "max_user_watches");
  else if (system_errno == ENOENT && access ("/proc/self/fd", F_OK) != 0)
    g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "cannot watch a directory: /proc is not mounted");
  else
    ipc_error_set_errno (error, system_errno, "cannot watch the directory %s", path);
  return FALSE;
}

static void
close_inotify (int fd)
{
  ipc_fork_close (fd);
}

IpcDirectoryWatch *
ipc_directory_watch_new (int directory_fd, GMainContext *context, IpcDirectoryWatchFunc func, gpointer user_data,
                         GError **error)
{
  IpcDirectoryWatch *self;
  int fd = open_inotify (error);

  if (fd < 0)
    return NULL;
  if (!add_directory (fd, directory_fd, error))
    {
      close_inotify (fd);
      return NULL;
    }
  self = g_new0 (IpcDirectoryWatch, 1);
  self->ref_count = 1;
  self->fd = fd;
  self->generation = ipc_fork_generation ();
  self->func = func;
  self->user_data = user_data;
  attach_source (self, context);
  return self;
}

void
ipc_directory_watch_free (IpcDirectoryWatch *self)
{
  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  /* In a forked child it is closed, and its number may be somebody else's. */
  if (self->generation == ipc_fork_generation ())
    {
      ipc_hub_unshare_fd (self->context, self->fd);
      close_inotify (self->fd);
    }
  g_clear_pointer (&self->context, g_main_context_unref);
  self->fd = -1;
  watch_unref (self);
}

int
ipc_directory_watch_get_fd (IpcDirectoryWatch *self)
{
  return self->fd;
}
