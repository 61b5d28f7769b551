/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The results, in a file that is mapped and changed by transactions: whoever looks at it, and whenever the coordinator is killed, what
 * the head says is what the records say.
 *
 * All numbers have 64 bits, in the byte order of the machine. The head:
 *
 *    0  the layout, which is 1
 *    8  how many records there are
 *   16  how many of them are done
 *   24  bytes of those, in all
 *   32  lines of those, in all
 *
 * Record N of 64 bytes, from 0, is at 64 * (N + 1), for the file that is number N in the order of paths:
 *
 *    0  0 not done yet, 1 done, 2 cannot be read
 *    8  bytes
 *   16  lines
 *   24  SHA-256, 32 bytes
 */
#pragma once

#include "jobs.h"

#include <ipc-glib/ipc-glib.h>

typedef struct _Table Table;

/* Makes PATH anew, or takes what is there; what is known of JOBS already is written. */
Table   *table_open  (const char *path, Jobs *jobs, GError **error);
void     table_free  (Table *self);
/* Those with IDS (of guint) are done, or have failed: all of them at once. */
gboolean table_note  (Table *self, Jobs *jobs, GArray *ids, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Table, table_free)
