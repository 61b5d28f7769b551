/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is being tried while calls fail, and what is wrong with what came of it. */
#pragma once

#include <glib.h>

#include "fault-shim.h"

/* From here on OPERATION is tried with FAULT (nullable); NULL: with nothing that fails. */
void        fault_describe (const char *operation, const Fault *fault);
/* What it said last, for whoever looks at a test that died; also in a signal handler. */
const char *fault_get_now  (void);
/* All that is wrong is told, not only what is found first: the test fails, and goes on. */
void        fault_complain (const char *format, ...) G_GNUC_PRINTF (1, 2);
