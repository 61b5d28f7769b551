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

/* A manager for the URI, and a queue "jobs". */
void            queue_test_init      (QueueTest *self, const char *uri);
/* Nothing may be left that holds them. */
void            queue_test_clear     (QueueTest *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (QueueTest, queue_test_clear)

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
