/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <ipc-glib/ipc-glib.h>

/* The results in a request "next", borrowed from it; objects with "job", and either "error"
 * or "sha256", "size" and "lines". */
JsonArray  *results_get        (IpcMessage *request, GError **error);
gboolean    results_get_count  (JsonObject *result, const char *name, guint64 *value);
const char *results_get_string (JsonObject *result, const char *name);
