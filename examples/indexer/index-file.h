/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "jobs.h"

/* Writes what is done as "sha256sum" would, all or nothing. */
gboolean index_file_write (Jobs *jobs, const char *path, GError **error);
