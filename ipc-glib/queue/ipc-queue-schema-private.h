/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "queue/ipc-queue-database-private.h"

extern const char ipc_queue_schema[];
extern const char *const ipc_queue_statements[IPC_QUEUE_N_STATEMENTS];
