/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "jobs.h"

#include <sys/stat.h>

/* For humans: valid, on one line. */
char    *walk_display_path (const char *path);
gboolean walk              (Jobs *jobs, const char *directory, const struct stat *leave_out, guint *n_unreadable);
