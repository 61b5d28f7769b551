/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* Commands that run beside the work and look at its counters. */
typedef GPtrArray Observers; /* of GSubprocess */

/* COMMANDS is NULL if there are none. DIRECTORY is their scope. */
Observers *observers_start  (char **commands, const char *directory, GError **error);
/* They end by themselves when there is nothing to look at any more, or are ended. SELF may be NULL. */
void       observers_finish (Observers *self);
