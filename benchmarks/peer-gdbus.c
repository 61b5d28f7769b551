/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * D-Bus without a bus: GDBusConnections straight between the two processes.
 *
 * GDBus queues without a bound, so among the one-way calls there is now and then
 * one that is answered, and at most two of those are outstanding: what a program
 * would do that must not fill its memory.
 */
#include <gio/gio.h>

#include "bench.h"

#define OBJECT_PATH "/bench"
#define INTERFACE "bench.Peer"

static const char *const workloads[] = { "w1",  "w1-sync", "w2",          "w3",           "w4a",
                                         "w4b", "w5",      "clients-100", "clients-1000", NULL };

static const char introspection_xml[] =
    "<node><interface name='" INTERFACE "'>"
    "<method name='Echo'><arg type='ay' direction='in'/><arg type='ay' direction='out'/></method>"
    "<method name='Take'><arg type='ay' direction='in'/></method>"
    "<method name='Wait'/>"
    "</interface></node>";

static GDBusNodeInfo *introspection;
static GVariant *arguments;    /* (ay), the payload */
static GPtrArray *connections; /* (element-type GDBusConnection) */

static const char *
version (void)
{
  static char text[32];

  g_snprintf (text, sizeof text, "GLib %u.%u.%u", glib_major_version, glib_minor_version, glib_micro_version);
  return text;
}

static void
make_arguments (Bench *bench)
{
  GVariant *payload = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bench->payload, bench->workload->size, 1);

  arguments = g_variant_ref_sink (g_variant_new ("(@ay)", payload));
  connections = g_ptr_array_new_with_free_func (g_object_unref);
}

static void
run_main_loop (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
}

static void
on_method_call (GDBusConnection *connection, const char *sender, const char *object_path, const char *interface_name,
                const char *method_name, GVariant *parameters, GDBusMethodInvocation *invocation, gpointer user_data)
{
  if (g_str_equal (method_name, "Take"))
    bench_count (user_data, 1);
  g_dbus_method_invocation_return_value (invocation, g_str_equal (method_name, "Echo") ? arguments : NULL);
}

static const GDBusInterfaceVTable vtable = { .method_call = on_method_call };

static gboolean
on_new_connection (GDBusServer *dbus_server, GDBusConnection *connection, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  g_ptr_array_add (connections, g_object_ref (connection));
  if (g_dbus_connection_register_object (connection, OBJECT_PATH, introspection->interfaces[0], &vtable, user_data,
                                         NULL, &error) == 0)
    bench_fail ("%s", error->message);
  return TRUE;
}

static void
server (Bench *bench)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *address = g_strconcat ("unix:path=", bench->path, NULL);
  g_autofree char *guid = g_dbus_generate_guid ();

  make_arguments (bench);
  introspection = g_dbus_node_info_new_for_xml (introspection_xml, &error);
  if (introspection == NULL)
    bench_fail ("%s", error->message);

  g_autoptr (GDBusServer) dbus_server =
      g_dbus_server_new_sync (address, G_DBUS_SERVER_FLAGS_NONE, guid, NULL, NULL, &error);
  if (dbus_server == NULL)
    bench_fail ("%s", error->message);
  g_signal_connect (dbus_server, "new-connection", G_CALLBACK (on_new_connection), bench);
  g_dbus_server_start (dbus_server);
  bench_ready (bench);
  run_main_loop ();
}

static void send_request (Bench *bench, guint index);
static void send_batch (Bench *bench);

static void
finish_call (GObject *source, GAsyncResult *result)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);

  if (reply == NULL)
    bench_fail ("%s", error->message);
}

typedef struct
{
  Bench *bench;
  guint index; /* of the connection */
} Call;

static void
on_reply (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Call call = *(Call *) user_data;

  g_free (user_data);
  finish_call (source, result);
  bench_count (call.bench, 1);
  send_request (call.bench, (call.index + 1) % connections->len);
}

static void
send_request (Bench *bench, guint index)
{
  Call *call = g_new (Call, 1);

  *call = (Call) { bench, index };
  g_dbus_connection_call (connections->pdata[index], NULL, OBJECT_PATH, INTERFACE, "Echo", arguments, NULL,
                          G_DBUS_CALL_FLAGS_NONE, -1, NULL, on_reply, call);
}

static void
on_batch_taken (GObject *source, GAsyncResult *result, gpointer user_data)
{
  finish_call (source, result);
  send_batch (user_data);
}

/* Without a callback, no reply is asked for. */
static void
send_batch (Bench *bench)
{
  for (guint i = 0; i < bench_window (bench) / 2; i++)
    g_dbus_connection_call (connections->pdata[0], NULL, OBJECT_PATH, INTERFACE, "Take", arguments, NULL,
                            G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL, NULL);
  g_dbus_connection_call (connections->pdata[0], NULL, OBJECT_PATH, INTERFACE, "Wait", NULL, NULL,
                          G_DBUS_CALL_FLAGS_NONE, -1, NULL, on_batch_taken, bench);
}

static void
call_synchronously (Bench *bench)
{
  for (;;)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GVariant) reply =
          g_dbus_connection_call_sync (connections->pdata[0], NULL, OBJECT_PATH, INTERFACE, "Echo", arguments, NULL,
                                       G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);

      if (reply == NULL)
        bench_fail ("%s", error->message);
      bench_count (bench, 1);
    }
}

static void
connect_clients (Bench *bench)
{
  g_autofree char *address = g_strconcat ("unix:path=", bench->path, NULL);

  for (guint i = 0; i < bench->workload->clients; i++)
    {
      g_autoptr (GError) error = NULL;
      GDBusConnection *connection = g_dbus_connection_new_for_address_sync (
          address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, &error);

      if (connection == NULL)
        bench_fail ("%s", error->message);
      g_ptr_array_add (connections, connection);
    }
}

static void
client (Bench *bench)
{
  make_arguments (bench);
  connect_clients (bench);
  bench_ready (bench);
  if (bench_is (bench, "sync"))
    call_synchronously (bench);
  if (bench->workload->kind == BENCH_ONE_WAY)
    for (guint i = 0; i < 2; i++)
      send_batch (bench);
  else
    for (guint i = 0; i < bench->workload->outstanding; i++)
      send_request (bench, 0);
  run_main_loop ();
}

const BenchPeer bench_peer_gdbus = { "gdbus", "GDBus, peer to peer", version, workloads, server, client };
