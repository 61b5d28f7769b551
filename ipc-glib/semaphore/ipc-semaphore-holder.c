/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who holds a permit, as it is shown to people; and the list of those.
 */
#include "ipc-semaphore-holder.h"

#include "base/ipc-error-private.h"
#include "semaphore/ipc-semaphore-private.h"

/**
 * IpcSemaphoreHolder:
 *
 * Who holds a permit of a semaphore, and since when; see [method@Ipc.Semaphore.list_holders].
 *
 * ## Threads
 *
 * It never changes, and may be used in any thread.
 *
 * ## When a process dies
 *
 * It is not in the next list.
 *
 * ## Caveats
 *
 * It is for people to read: the process may have gone by the time that they do, and the number in its label may be
 * another process's in another PID namespace.
 *
 * Since: 0.1
 */
struct _IpcSemaphoreHolder
{
  char *label; /* (owned) */
  gint64 since;
};

G_DEFINE_BOXED_TYPE (IpcSemaphoreHolder, ipc_semaphore_holder, ipc_semaphore_holder_copy, ipc_semaphore_holder_free)

static IpcSemaphoreHolder *
holder_new (const char *label, gint64 since)
{
  IpcSemaphoreHolder *self = g_new0 (IpcSemaphoreHolder, 1);

  self->label = g_strdup (label);
  self->since = since;
  return self;
}

/**
 * ipc_semaphore_holder_copy:
 * @self: a holder
 *
 * Copies it.
 *
 * Returns: (transfer full): the copy
 *
 * Since: 0.1
 */
IpcSemaphoreHolder *
ipc_semaphore_holder_copy (IpcSemaphoreHolder *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return holder_new (self->label, self->since);
}

/**
 * ipc_semaphore_holder_free:
 * @self: a holder
 *
 * Frees it.
 *
 * Since: 0.1
 */
void
ipc_semaphore_holder_free (IpcSemaphoreHolder *self)
{
  g_return_if_fail (self != NULL);

  g_free (self->label);
  g_free (self);
}

/**
 * ipc_semaphore_holder_get_label:
 * @self: a holder
 *
 * What the process that holds the permit says of itself: its process id and its name, `1234 indexer`. Empty if it is not known.
 *
 * Returns: the label
 *
 * Since: 0.1
 */
const char *
ipc_semaphore_holder_get_label (IpcSemaphoreHolder *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->label;
}

/**
 * ipc_semaphore_holder_get_since:
 * @self: a holder
 *
 * When it acquired the permit.
 *
 * Returns: microseconds since 1970, UTC; 0 if it is just about to say so
 *
 * Since: 0.1
 */
gint64
ipc_semaphore_holder_get_since (IpcSemaphoreHolder *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->since;
}

static void
add_holder (IpcSemaphoreFile *file, guint slot, GPtrArray *holders)
{
  char label[IPC_PRESENCE_LABEL] = "";
  IpcOwner owner;
  gint64 since;

  if (!ipc_semaphore_file_get_holder (file, slot, &owner, &since))
    return;
  if (file->object.knows_owners)
    ipc_presence_get_label (file->object.presence, owner, label);
  g_ptr_array_add (holders, holder_new (label, CLAMP (since, 0, g_get_real_time ())));
}

/**
 * ipc_semaphore_list_holders:
 * @self: a semaphore
 * @error: return location for an error
 *
 * Lists who holds the permits, one entry a permit. A process that holds two is there twice, one that is dead is not.
 *
 * Errors: %IPC_ERROR_FORKED.
 *
 * Returns: (transfer container) (element-type IpcSemaphoreHolder): the holders, or %NULL with @error set
 *
 * Since: 0.1
 */
GPtrArray *
ipc_semaphore_list_holders (IpcSemaphore *self, GError **error)
{
  g_autoptr(GPtrArray) holders = NULL;

  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!ipc_error_check_fork (self->generation, "the semaphore", error))
    return NULL;
  holders = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_semaphore_holder_free);
  for (guint i = 0; i < self->view->n_permits; i++)
    add_holder (self->view, i, holders);
  return g_steal_pointer (&holders);
}
