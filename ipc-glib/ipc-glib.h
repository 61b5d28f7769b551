/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#define IPC_GLIB_INSIDE
#include "ipc-version.h"
#include "ipc-version-macros.h"
#include "ipc-types.h"
#include "ipc-enums.h"
#include "ipc-error.h"
#include "ipc-scope.h"
#include "ipc-manager.h"
#include "ipc-message.h"
#include "ipc-connection.h"
#include "ipc-server.h"
#include "ipc-client.h"
#include "ipc-socket-server.h"
#include "ipc-socket-client.h"
#include "ipc-permit.h"
#include "ipc-semaphore.h"
#include "ipc-semaphore-holder.h"
#include "ipc-semaphore-manager.h"
#include "ipc-shared-memory.h"
#include "ipc-shared-memory-manager.h"
#undef IPC_GLIB_INSIDE
