/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc-queue-store.h"

#include "queue/ipc-queue-store-private.h"

#define FIRST_DELAY_MS 1000
#define LAST_DELAY_MS 300000

G_DEFINE_INTERFACE (IpcQueueStore, ipc_queue_store, G_TYPE_OBJECT)

static void
ipc_queue_store_default_init (IpcQueueStoreInterface *iface)
{
}

void
ipc_queue_store_dispatch (IpcQueueStore *self, IpcQueueWork *work)
{
  GError *error = NULL;

  if (IPC_QUEUE_STORE_GET_IFACE (self)->dispatch != NULL)
    IPC_QUEUE_STORE_GET_IFACE (self)->dispatch (self, work);
  else
    {
      work->run (work, &error);
      work->done (work, error);
    }
}

gint64
ipc_queue_backoff (guint attempt)
{
  gint64 delay = FIRST_DELAY_MS;

  for (guint i = 1; i < attempt && delay < LAST_DELAY_MS; i++)
    delay *= 2;
  delay = MIN (delay, LAST_DELAY_MS);
  return delay * 3 / 4 + g_random_int_range (0, (gint32) (delay / 2) + 1);
}
