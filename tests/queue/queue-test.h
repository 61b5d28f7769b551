/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of queues share. */
#pragma once

#include <ipc-glib/ipc-glib.h>

#include "ipc-test.h"

typedef struct
{
  IpcQueueManager *manager;     /* (owned) */
  IpcMessageQueue *queue;       /* (owned) */
  IpcTestPeer *host;            /* (owned) (nullable) who serves the queues, for "ipc:" */
  char *address;                /* (owned) (nullable) where */
} QueueTest;

/* For ipc_test_init(): who serves the queues for "ipc:". */
extern const IpcTestRole queue_test_roles[];

/* (transfer full): a URI for a store that nobody has used yet: SCHEME itself, or with a path. */
char           *queue_test_make_uri  (const char *scheme);
/* A manager for such a URI, and a queue "jobs". For "ipc:" the queues are in the memory of another process. */
void            queue_test_init      (QueueTest *self, const char *scheme);
/* Nothing may be left that holds them. */
void            queue_test_clear     (QueueTest *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (QueueTest, queue_test_clear)

/* FUNC for each store that this library has, as "/queue/PATH/memory" and so on; the data of the test is the scheme. */
void            queue_test_add       (const char *path, IpcTestFunc func);
/* For all but those of another process. */
void            queue_test_add_local (const char *path, IpcTestFunc func);
/* A setting of the manager whose queues they are. */
void            queue_test_set       (QueueTest *self, const char *property, gint64 value);
/* Another process that serves queues at ADDRESS; ready when this returns. */
IpcTestPeer    *queue_test_spawn_host (const char *address);
/* One more manager of the same queues. */
IpcQueueManager *queue_test_new_manager (QueueTest *self);

/* All without an error. */
guint64         queue_test_publish   (IpcMessageQueue *queue, const char *text);
guint64         queue_test_publish_full (IpcMessageQueue *queue, const char *text, IpcPriority priority, gint64 ttl, gint64 delay,
                                         const char *dedup_id);
/* There is one, with TEXT (nullable: any). */
IpcDelivery    *queue_test_take      (IpcMessageQueue *queue, const char *text);
void            queue_test_ack       (IpcDelivery *delivery);
/* Takes one with TEXT, and acknowledges it. */
void            queue_test_expect    (IpcMessageQueue *queue, const char *text);
void            queue_test_expect_none (IpcMessageQueue *queue);
const char     *queue_test_get_text  (IpcDelivery *delivery);
