/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "coordinator.h"

/* The pipe that the indexer is controlled through. NULL: it could not be made. ADDRESS is NULL where there is to be none. */
gboolean   control_start (IpcServer **control, const char *address, Coordinator *coordinator, GError **error);
void       control_stop  (IpcServer **control);
