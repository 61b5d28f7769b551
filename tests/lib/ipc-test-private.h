/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib-unix.h>

#include "ipc-test.h"

/* If the program was started as a peer, plays the role and exits. */
void ipc_test_run_role (int argc, char **argv, const IpcTestRole *roles);

/* A source function that does nothing, again and again. */
gboolean ipc_test_keep_source (gpointer user_data);
