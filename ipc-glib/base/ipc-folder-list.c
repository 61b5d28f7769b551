/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A list that follows a folder. The folder is the truth: an event, a rescan and
 * our own changes all end in ipc_folder_list_update(), which looks at one name
 * and makes the list agree with it, so that their order and their number do not
 * matter.
 *
 * No descriptor of the folder is kept, because the kernel does not tell that a
 * directory was deleted while one is open.
 */
#include "base/ipc-folder-list-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc-directory-watch-private.h"
#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-name.h"

/* How long to wait for a folder that cannot be followed or read, doubled each time. */
#define FIRST_RETRY_MS 50
#define LAST_RETRY_MS 64000

struct _IpcFolderList
{
  GObject *owner;        /* (unowned): outlives the list */
  IpcScope *scope;       /* (owned) */
  const char *folder;    /* static */
  GMainContext *context; /* (owned) */
  IpcFolderListObserveFunc observe;
  unsigned generation;

  GListStore *items;        /* (owned): sorted by name, each with a key */
  IpcDirectoryWatch *watch; /* (owned) (nullable) while the folder cannot be watched */
  GSource *retry;           /* (owned) (nullable) otherwise */
  guint retry_ms;           /* the next delay */
  gboolean stopped;
};

/* What an item was made of. Another file of the same name is another object. */
typedef struct
{
  char *name; /* (owned) */
  guint device_major, device_minor;
  guint64 inode;
  gint64 born_seconds; /* tells a new file that got the number of an old one, where the file system knows it */
  guint32 born_nanoseconds;
} ItemKey;

static void follow (IpcFolderList *self, gboolean create);

static GQuark
get_key_quark (void)
{
  return g_quark_from_static_string ("ipc-folder-list-key");
}

static void
item_key_free (gpointer data)
{
  ItemKey *self = data;

  g_free (self->name);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ItemKey, item_key_free)

static const ItemKey *
get_key (GObject *item)
{
  return g_object_get_qdata (item, get_key_quark ());
}

/* (nullable): NULL with ENOENT if there is nothing of that name. */
static ItemKey *
item_key_new (int folder_fd, const char *name)
{
  struct statx info;
  ItemKey *self;

  if (statx (folder_fd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_BTIME, &info) != 0)
    return NULL;
  self = g_new0 (ItemKey, 1);
  self->name = g_strdup (name);
  self->device_major = info.stx_dev_major;
  self->device_minor = info.stx_dev_minor;
  self->inode = info.stx_ino;
  if (info.stx_mask & STATX_BTIME)
    {
      self->born_seconds = info.stx_btime.tv_sec;
      self->born_nanoseconds = info.stx_btime.tv_nsec;
    }
  return self;
}

static gboolean
item_key_equal (const ItemKey *a, const ItemKey *b)
{
  return a->device_major == b->device_major && a->device_minor == b->device_minor && a->inode == b->inode &&
         a->born_seconds == b->born_seconds && a->born_nanoseconds == b->born_nanoseconds;
}

/* The list */

/* TRUE and where it is, or FALSE and where it would be. */
static gboolean
find_position (GListModel *items, const char *name, guint *position)
{
  guint low = 0;
  guint high = g_list_model_get_n_items (items);

  while (low < high)
    {
      guint middle = low + (high - low) / 2;
      g_autoptr(GObject) item = g_list_model_get_item (items, middle);
      int order = strcmp (get_key (item)->name, name);

      if (order == 0)
        {
          *position = middle;
          return TRUE;
        }
      if (order < 0)
        low = middle + 1;
      else
        high = middle;
    }
  *position = low;
  return FALSE;
}

static gboolean
is_listed_as (GListModel *items, guint position, const ItemKey *key)
{
  g_autoptr(GObject) item = g_list_model_get_item (items, position);

  return item_key_equal (get_key (item), key);
}

/* (nullable) (transfer full) */
static GObject *
observe_item (IpcFolderList *self, int folder_fd, ItemKey **key)
{
  GObject *item = self->observe (self->owner, folder_fd, (*key)->name);

  if (item != NULL)
    g_object_set_qdata_full (item, get_key_quark (), g_steal_pointer (key), item_key_free);
  return item;
}

/* Locks, temporaries and whatever else is not the name of an object. */
static gboolean
is_object_name (const char *name)
{
  return name[0] != '.' && ipc_name_check (name, NULL);
}

gboolean
ipc_folder_list_update (IpcFolderList *self, int folder_fd, const char *name)
{
  g_autoptr(ItemKey) key = NULL;
  g_autoptr(GObject) item = NULL;
  guint position;
  gboolean listed;

  if (self->stopped || !is_object_name (name))
    return TRUE;
  key = item_key_new (folder_fd, name);
  /* What cannot be looked at now stays as it was. */
  if (key == NULL && errno != ENOENT)
    return FALSE;
  listed = find_position (G_LIST_MODEL (self->items), name, &position);
  if (listed && key != NULL && is_listed_as (G_LIST_MODEL (self->items), position, key))
    return TRUE;
  if (key != NULL)
    item = observe_item (self, folder_fd, &key);
  if (listed || item != NULL)
    g_list_store_splice (self->items, position, listed ? 1 : 0, (gpointer *) &item, item != NULL ? 1 : 0);
  return TRUE;
}

/* FALSE: not all of them. */
static gboolean
add_folder_names (int folder_fd, GPtrArray *names)
{
  int fd = TEMP_FAILURE_RETRY (openat (folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  const struct dirent *entry;
  gboolean complete;

  if (directory == NULL)
    {
      if (fd >= 0)
        close (fd);
      return FALSE;
    }
  errno = 0;
  while ((entry = readdir (directory)) != NULL)
    {
      if (is_object_name (entry->d_name))
        g_ptr_array_add (names, g_strdup (entry->d_name));
      errno = 0;
    }
  complete = errno == 0;
  closedir (directory);
  return complete;
}

GPtrArray *
ipc_folder_list_snapshot (IpcFolderList *self)
{
  GListModel *items = G_LIST_MODEL (self->items);
  GPtrArray *snapshot = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < g_list_model_get_n_items (items); i++)
    g_ptr_array_add (snapshot, g_list_model_get_item (items, i));
  return snapshot;
}

/* What is there, and what was. */
gboolean
ipc_folder_list_rescan (IpcFolderList *self, int folder_fd)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GPtrArray) listed = ipc_folder_list_snapshot (self);
  gboolean complete = add_folder_names (folder_fd, names);

  for (guint i = 0; i < listed->len; i++)
    g_ptr_array_add (names, g_strdup (get_key (listed->pdata[i])->name));
  for (guint i = 0; i < names->len; i++)
    complete &= ipc_folder_list_update (self, folder_fd, names->pdata[i]);
  return complete;
}

/* Following the folder */

static void
clear_retry (IpcFolderList *self)
{
  if (self->retry != NULL)
    g_source_destroy (self->retry);
  g_clear_pointer (&self->retry, g_source_unref);
}

static gboolean
retry_cb (gpointer user_data)
{
  IpcFolderList *self = user_data;
  G_GNUC_UNUSED g_autoptr(GObject) keep = g_object_ref (self->owner);

  clear_retry (self);
  follow (self, FALSE);
  return G_SOURCE_REMOVE;
}

static void
retry_later (IpcFolderList *self, const char *reason)
{
  if (self->stopped)
    return;
  g_debug ("%s/%s is not followed yet: %s", ipc_scope_get_directory (self->scope), self->folder, reason);
  clear_retry (self);
  self->retry = g_timeout_source_new (self->retry_ms);
  self->retry_ms = MIN (self->retry_ms * 2, LAST_RETRY_MS);
  g_source_set_callback (self->retry, retry_cb, self, NULL);
  g_source_set_static_name (self->retry, "ipc-folder-list-retry");
  g_source_attach (self->retry, self->context);
}

/* All of the folder, or only NAME (nullable). What happened there will not be told again: it is looked at again later
 * if that cannot be done now. */
static void
look_again (IpcFolderList *self, const char *name)
{
  g_autoptr(GError) error = NULL;
  int folder_fd = ipc_folder_list_open_folder (self, FALSE, &error);
  gboolean complete;

  if (folder_fd < 0)
    {
      retry_later (self, error->message);
      return;
    }
  complete = name != NULL ? ipc_folder_list_update (self, folder_fd, name) : ipc_folder_list_rescan (self, folder_fd);
  close (folder_fd);
  if (!complete)
    retry_later (self, "it could not be read");
}

static void
lose_folder (IpcFolderList *self)
{
  g_clear_pointer (&self->watch, ipc_directory_watch_free);
  if (g_list_model_get_n_items (G_LIST_MODEL (self->items)) > 0)
    g_list_store_remove_all (self->items);
  follow (self, FALSE);
}

static void
folder_changed (const char *name, gboolean gone, gpointer user_data)
{
  IpcFolderList *self = user_data;
  G_GNUC_UNUSED g_autoptr(GObject) keep = g_object_ref (self->owner);

  if (gone)
    lose_folder (self);
  else if (name == NULL || is_object_name (name))
    look_again (self, name);
}

/* Watched before it is read, so that nothing falls between the two. Without a watch the list is read again at
 * each retry. */
static void
follow (IpcFolderList *self, gboolean create)
{
  g_autoptr(GError) error = NULL;
  gboolean complete = FALSE;
  int folder_fd;

  if (self->stopped)
    return;
  folder_fd = ipc_folder_list_open_folder (self, create, &error);
  if (folder_fd >= 0 && self->watch == NULL)
    self->watch = ipc_directory_watch_new (folder_fd, self->context, folder_changed, self, &error);
  clear_retry (self);
  if (folder_fd >= 0)
    {
      complete = ipc_folder_list_rescan (self, folder_fd);
      close (folder_fd);
    }
  if (error != NULL || !complete)
    retry_later (self, error != NULL ? error->message : "it could not be read");
  else
    self->retry_ms = FIRST_RETRY_MS;
}

void
ipc_folder_list_follow (IpcFolderList *self)
{
  follow (self, TRUE);
}

void
ipc_folder_list_refresh (IpcFolderList *self, const char *name)
{
  G_GNUC_UNUSED g_autoptr(GObject) keep = g_object_ref (self->owner);

  if (self->watch == NULL)
    follow (self, FALSE);
  else
    look_again (self, name);
}

void
ipc_folder_list_stop (IpcFolderList *self)
{
  self->stopped = TRUE;
  g_clear_pointer (&self->watch, ipc_directory_watch_free);
  clear_retry (self);
}

int
ipc_folder_list_open_folder (IpcFolderList *self, gboolean create, GError **error)
{
  if (!ipc_error_check_fork (self->generation, "the manager", error))
    return -1;
  return ipc_scope_open_folder (self->scope, self->folder, create, error);
}

GListModel *
ipc_folder_list_get_items (IpcFolderList *self)
{
  return G_LIST_MODEL (self->items);
}

const char *
ipc_folder_list_get_name (GObject *item)
{
  return get_key (item)->name;
}

IpcFolderList *
ipc_folder_list_new (GObject *owner, IpcScope *scope, const char *folder, GMainContext *context,
                     IpcFolderListObserveFunc observe)
{
  IpcFolderList *self = g_new0 (IpcFolderList, 1);

  self->owner = owner;
  self->scope = g_object_ref (scope);
  self->folder = folder;
  self->context = g_main_context_ref (context);
  self->observe = observe;
  self->generation = ipc_fork_generation ();
  self->items = g_list_store_new (G_TYPE_OBJECT);
  self->retry_ms = FIRST_RETRY_MS;
  return self;
}

void
ipc_folder_list_free (IpcFolderList *self)
{
  ipc_folder_list_stop (self);
  g_object_unref (self->scope);
  g_object_unref (self->items);
  g_main_context_unref (self->context);
  g_free (self);
}
