/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-shared-payload-private.h"

#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-memfd.h"

static gint n_shared;           /* (atomic) */

/* ---- sending ---- */

static IpcSharedPayload *
make (IpcMessage *message)
{
  IpcSharedPayload *self;
  int fd = -1;

  if (g_atomic_int_add (&n_shared, 1) < IPC_SHARED_PAYLOADS_MAX)
    fd = ipc_memfd_create (message->payload, message->payload_size);
  if (fd < 0)
    {
      /* No descriptors, no memory, or a sandbox without memfds: nothing is lost. */
      g_atomic_int_add (&n_shared, -1);
      return NULL;
    }
  ipc_fork_guard_fd (fd);
  self = g_new (IpcSharedPayload, 1);
  *self = (IpcSharedPayload){ 1, ipc_fork_generation (), fd, message->payload_size, g_bytes_ref (ipc_message_get_payload (message)) };
  return self;
}

static IpcSharedPayload *
make_and_publish (IpcMessage *message)
{
  IpcSharedPayload *made = make (message);

  if (made == NULL)
    g_atomic_int_set (&message->n_sent_large, 0);       /* not at every turn again */
  else if (!g_atomic_pointer_compare_and_exchange (&message->shared, NULL, made))
    {
      ipc_shared_payload_unref (made);
      made = g_atomic_pointer_get (&message->shared);
    }
  return made;
}

IpcSharedPayload *
ipc_shared_payload_get (IpcMessage *message)
{
  IpcSharedPayload *self = g_atomic_pointer_get (&message->shared);

  if (self == NULL && g_atomic_int_add (&message->n_sent_large, 1) + 1 >= IPC_SHARED_PAYLOAD_AFTER)
    self = make_and_publish (message);
  if (self == NULL || self->generation != ipc_fork_generation ())
    return NULL;
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
ipc_shared_payload_unref (IpcSharedPayload *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  if (self->generation == ipc_fork_generation ())
    {
      ipc_fork_close (self->fd);
    }
  g_atomic_int_add (&n_shared, -1);
  g_bytes_unref (self->bytes);
  g_free (self);
}

/* ---- receiving ---- */

typedef struct
{
  gconstpointer data;
  gsize size;
} Map;

static void
unmap (gpointer data)
{
  Map *map = data;

  ipc_memfd_unmap (map->data, map->size);
  g_free (map);
}

GBytes *
ipc_shared_payload_map (int fd, guint64 size, GError **error)
{
  Map map = { NULL, (gsize) size };
  IpcFault fault;
  gboolean mapped = ipc_memfd_map (fd, size, &map.data, &fault);

  close (fd);
  if (!mapped)
    {
      ipc_error_set_fault (error, &fault, NULL);
      return NULL;
    }
  if (size == 0)
    return g_bytes_new (NULL, 0);
  return g_bytes_new_with_free_func (map.data, map.size, unmap, g_memdup2 (&map, sizeof map));
}
