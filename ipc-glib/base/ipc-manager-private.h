/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-scope-private.h"
#include "ipc-manager.h"

struct _IpcManager
{
  GObject parent_instance;
};

/*
 * What a mechanism adds to a manager. All run in the manager's context; observe() already while the manager is
 * constructed, when what the mechanism sets up in its own constructed() is not there yet.
 */
struct _IpcManagerClass
{
  GObjectClass parent_class;

  /* the folder of the scope that the objects live in; NULL: they live elsewhere, and get_items() lists them */
  const char *folder;
  /* (transfer none): where there is no folder. Called once, when the manager is constructed. */
  GListModel *(*get_items) (IpcManager *self);
  /* (nullable): where there is no folder, what ipc_manager_cleanup() does. */
  gint      (*cleanup)     (IpcManager *self, GError **error);

  /* (nullable): makes an observer of what NAME is in the folder; NULL: not an object of ours, ignored.
   * An observer is not attached. Its class has a "name" property. */
  GObject  *(*observe) (IpcManager *self, int folder_fd, const char *name);
  /* whether no live process has it attached and nobody has accessed it for IDLE_TIMEOUT ms */
  gboolean  (*is_idle) (IpcManager *self, GObject *item, gint64 idle_timeout);
  /* removes it, unless it is not idle any more: that is FALSE without an error */
  gboolean  (*remove)  (IpcManager *self, int folder_fd, const char *name, GError **error);
};

/* The folder of the mechanism in the manager's scope. -1 on error (FORKED, what ipc_scope_open_folder() says). The
 * caller closes it soon: while it is open, the kernel does not tell that the folder was deleted. */
int      ipc_manager_open_folder (IpcManager *self, gboolean create, GError **error);

/* Before something is made: FALSE with LIMIT_EXCEEDED if there are max-items already. */
gboolean ipc_manager_check_room  (IpcManager *self, GError **error);

/* After NAME was made or removed: brings the list up to date at once, without waiting for the watch. */
void     ipc_manager_refresh     (IpcManager *self, const char *name);
