/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What has gone through a connection, or through all of a server's.
 */
#pragma once

#include <glib.h>

typedef struct
{
  guint64 messages_received;
  guint64 messages_sent;
  guint64 messages_dropped;
  guint64 bytes_received;
  guint64 bytes_sent;
  guint64 queued_bytes;         /* now */
} IpcStatistics;
