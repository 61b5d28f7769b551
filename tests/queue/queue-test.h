/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of queues share. */
#pragma once

#include <ipc-glib/ipc-glib.h>

#include "ipc-test.h"

typedef struct
{
  IpcQueueManager *manager;     /* (owned) */
  IpcMessageQueue *queue;       /* (owned) */
} QueueTest;

/* (transfer full): a URI for a store that nobody has used yet: SCHEME itself, or with a path. */
char           *queue_test_make_uri  (const char *scheme);
/* A manager for such a URI, and a queue "jobs". */
void            queue_test_init      (QueueTest *self, const char *scheme);
/* Nothing may be left that holds them. */
void            queue_test_clear     (QueueTest *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (QueueTest, queue_test_clear)

/* FUNC for each store that this library has, as "/queue/PATH/memory" and so on; the data of the test is the scheme. */
void            queue_test_add       (const char *path, IpcTestFunc func);

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
