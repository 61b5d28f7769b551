/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The request `ipc.stats`, which every server answers itself: what gipc monitor shows.
 */
#include "messaging/ipc-server-private.h"

#include <unistd.h>

#include "ipc-enums.h"
#include "ipc-version.h"

#define TYPE "ipc.stats"
#define REPLY_TYPE "stats"      /* replies have no types of the library */
#define MAX_ROWS 1000u

gboolean
ipc_server_has_builtin (const char *message_type)
{
  return strcmp (message_type, TYPE) == 0;
}

/* Who runs the server may know; others that were let in have no business with the clients of somebody else. */
static gboolean
check_allowed (IpcServer *self, IpcConnection *connection, GError **error)
{
  uid_t uid = connection->credentials != NULL ? g_credentials_get_unix_user (connection->credentials, NULL) : (uid_t) -1;

  if (connection->is_own_user || uid == geteuid ())
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "%s: " TYPE " is for user %u alone, not for user %d", self->address,
               (guint) geteuid (), (int) uid);
  return FALSE;
}

static gboolean
json_wants_clients (IpcMessage *request)
{
  JsonNode *node = ipc_message_get_json (request);
  JsonNode *member;

  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node))
    return FALSE;
  member = json_object_get_member (json_node_get_object (node), "clients");
  return member != NULL && JSON_NODE_HOLDS_VALUE (member) && json_node_get_boolean (member);
}

static gboolean
variant_wants_clients (IpcMessage *request)
{
  GVariant *options = ipc_message_get_variant (request);
  gboolean wanted = FALSE;

  return options != NULL && g_variant_is_of_type (options, G_VARIANT_TYPE_VARDICT) &&
         g_variant_lookup (options, "clients", "b", &wanted) && wanted;
}

/* `clients`, {"clients": true}, or the same as an a{sv}. */
static gboolean
wants_clients (IpcMessage *request)
{
  switch (ipc_message_get_format (request))
    {
    case IPC_PAYLOAD_FORMAT_TEXT:
      return g_strcmp0 (ipc_message_get_text (request), "clients") == 0;
    case IPC_PAYLOAD_FORMAT_JSON:
      return json_wants_clients (request);
    case IPC_PAYLOAD_FORMAT_VARIANT:
      return variant_wants_clients (request);
    case IPC_PAYLOAD_FORMAT_BYTES:
    default:
      return FALSE;
    }
}

static void
add (GVariantBuilder *builder, const char *name, guint64 value)
{
  g_variant_builder_add (builder, "{sv}", name, g_variant_new_uint64 (value));
}

static void
add_statistics (GVariantBuilder *builder, const IpcStatistics *statistics)
{
  add (builder, "messages-received", statistics->messages_received);
  add (builder, "messages-sent", statistics->messages_sent);
  add (builder, "messages-dropped", statistics->messages_dropped);
  add (builder, "bytes-received", statistics->bytes_received);
  add (builder, "bytes-sent", statistics->bytes_sent);
  add (builder, "queued-bytes", statistics->queued_bytes);
}

static void
add_credentials (GVariantBuilder *builder, IpcConnection *connection)
{
  GCredentials *credentials = connection->credentials;
  pid_t pid = credentials != NULL ? g_credentials_get_unix_pid (credentials, NULL) : -1;
  uid_t uid = credentials != NULL ? g_credentials_get_unix_user (credentials, NULL) : (uid_t) -1;

  if (connection->is_own_user)
    uid = geteuid ();
  if (pid > 0)
    g_variant_builder_add (builder, "{sv}", "pid", g_variant_new_uint32 ((guint32) pid));
  if (uid != (uid_t) -1)
    g_variant_builder_add (builder, "{sv}", "uid", g_variant_new_uint32 ((guint32) uid));
}

static const char *
get_dialect (IpcConnection *connection)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (IPC_TYPE_WIRE_FORMAT);
  GEnumValue *value = g_enum_get_value (klass, (gint) ipc_connection_get_wire_format (connection));

  return value != NULL ? value->value_nick : "unknown";
}

static GVariant *
make_row (IpcConnection *connection)
{
  IpcStatistics statistics = { 0 };
  GVariantBuilder builder;

  ipc_connection_add_statistics (connection, &statistics);
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  add (&builder, "id", connection->id);
  add_credentials (&builder, connection);
  g_variant_builder_add (&builder, "{sv}", "wire-format", g_variant_new_string (get_dialect (connection)));
  g_variant_builder_add (&builder, "{sv}", "last-activity", g_variant_new_int64 (ipc_connection_get_last_activity (connection)));
  add_statistics (&builder, &statistics);
  return g_variant_builder_end (&builder);
}

static GVariant *
make_rows (IpcServer *self)
{
  GListModel *connections = G_LIST_MODEL (self->connections);
  guint n = MIN (g_list_model_get_n_items (connections), MAX_ROWS);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (IpcConnection) connection = g_list_model_get_item (connections, i);

      g_variant_builder_add_value (&builder, make_row (connection));
    }
  return g_variant_builder_end (&builder);
}

static GVariant *
make_reply (IpcServer *self, gboolean with_rows)
{
  g_autofree char *address = g_utf8_make_valid (self->address, -1);
  IpcStatistics statistics;
  GVariantBuilder builder;

  ipc_server_get_statistics (self, &statistics);
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "address", g_variant_new_string (address));
  g_variant_builder_add (&builder, "{sv}", "version", g_variant_new_string (IPC_VERSION_S));
  g_variant_builder_add (&builder, "{sv}", "pid", g_variant_new_uint32 ((guint32) getpid ()));
  add (&builder, "uptime", (guint64) (g_get_monotonic_time () - self->started) / G_TIME_SPAN_MILLISECOND);
  add (&builder, "clients", ipc_server_get_n_clients (self));
  add (&builder, "max-clients", self->max_clients);
  add (&builder, "clients-refused", self->clients_refused);
  add_statistics (&builder, &statistics);
  add (&builder, "total-bytes", ipc_budget_get_held (&self->ledger->budget));
  add (&builder, "max-total-bytes", ipc_budget_get_limit (&self->ledger->budget));
  if (with_rows)
    g_variant_builder_add (&builder, "{sv}", "connections", make_rows (self));
  return g_variant_builder_end (&builder);
}

gboolean
ipc_server_answer_builtin (gpointer owner, IpcConnection *connection, IpcMessage *request)
{
  IpcServer *self = owner;
  IpcRequestToken *token = ipc_message_get_token (request);
  g_autoptr (IpcMessage) reply = NULL;
  g_autoptr (GError) error = NULL;

  if (token == NULL || !ipc_server_has_builtin (request->type))
    return FALSE;
  if (check_allowed (self, connection, &error))
    {
      reply = ipc_message_new_variant (REPLY_TYPE, make_reply (self, wants_clients (request)));
      ipc_request_answer (connection, token, reply, &error);
    }
  if (error != NULL)
    ipc_request_answer_error (connection, token, error);
  return TRUE;
}
