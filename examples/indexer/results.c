/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a worker says about its jobs. It comes from another process, so it is looked at as
 * a whole before any of it counts: a message is valid, or it is refused.
 */
#include "results.h"

#include <string.h>

/* FALSE: it is not there, or no integer from 0 on. */
gboolean
results_get_count (JsonObject *object, const char *name, guint64 *value)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64 ||
      json_node_get_int (node) < 0)
    return FALSE;
  *value = json_node_get_int (node);
  return TRUE;
}

/* NULL: it is not there, or no string. */
const char *
results_get_string (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
           ? json_node_get_string (node) : NULL;
}

static gboolean
is_sha256 (const char *text)
{
  return text != NULL && strlen (text) == 64 && strspn (text, "0123456789abcdef") == 64;
}

/* Both are there, and have been, or none is. */
static gboolean
times_are_valid (JsonObject *object)
{
  guint64 began, ended;

  if (!json_object_has_member (object, "began") && !json_object_has_member (object, "ended"))
    return TRUE;
  return results_get_count (object, "began", &began) && results_get_count (object, "ended", &ended) && began <= ended &&
         ended <= (guint64) g_get_monotonic_time ();
}

static gboolean
result_is_valid (JsonNode *node)
{
  JsonObject *object = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  guint64 value;

  return object != NULL && results_get_count (object, "job", &value) &&
         (results_get_string (object, "error") != NULL ||
          (is_sha256 (results_get_string (object, "sha256")) && results_get_count (object, "size", &value) &&
           results_get_count (object, "lines", &value) && times_are_valid (object)));
}

/* The whole array is valid, or nothing of it counts. NULL with error set. */
JsonArray *
results_get (IpcMessage *request, GError **error)
{
  JsonNode *root = ipc_message_get_format (request) == IPC_PAYLOAD_FORMAT_JSON ? ipc_message_get_json (request) : NULL;
  JsonArray *results = root != NULL && JSON_NODE_HOLDS_ARRAY (root) ? json_node_get_array (root) : NULL;
  guint n = results != NULL ? json_array_get_length (results) : 0;

  if (results == NULL)
    g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "the payload of \"next\" is not a JSON array");
  for (guint i = 0; i < n; i++)
    if (!result_is_valid (json_array_get_element (results, i)))
      {
        g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "element %u of \"next\" is not a result", i);
        return NULL;
      }
  return results;
}
