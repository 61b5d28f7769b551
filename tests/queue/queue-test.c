/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue-test.h"

#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

/* ---- who serves queues in memory ---- */

typedef struct
{
  GMainLoop *loop;              /* (owned) */
  IpcQueueManager *manager;     /* (owned) */
} Host;

static void
set (GObject *object, const char *property, gint64 value)
{
  g_auto(GValue) number = G_VALUE_INIT;
  g_auto(GValue) converted = G_VALUE_INIT;
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (object), property);

  g_assert_nonnull (pspec);
  if (G_IS_PARAM_SPEC_ENUM (pspec))
    {
      g_value_init (&converted, pspec->value_type);
      g_value_set_enum (&converted, (gint) value);
    }
  else
    {
      g_value_init (&number, G_TYPE_INT64);
      g_value_set_int64 (&number, value);
      g_value_init (&converted, pspec->value_type);
      g_assert_true (g_value_transform (&number, &converted));
    }
  g_object_set_property (object, property, &converted);
}

/* `set PROPERTY VALUE`; `count QUEUE`: how many it has. */
static gboolean
command_cb (gint fd, GIOCondition condition, gpointer data)
{
  Host *host = data;
  g_autofree char *line = ipc_test_hear ();
  g_auto(GStrv) words = NULL;

  if (line == NULL)
    {
      g_main_loop_quit (host->loop);
      return G_SOURCE_REMOVE;
    }
  words = g_strsplit (line, " ", -1);
  if (g_strcmp0 (words[0], "set") == 0)
    set (G_OBJECT (host->manager), words[1], g_ascii_strtoll (words[2], NULL, 10));
  ipc_test_tell ("done");
  return G_SOURCE_CONTINUE;
}

static int
run_host (char **arguments)
{
  Host host = { g_main_loop_new (NULL, FALSE), ipc_queue_manager_new (NULL) };
  g_autoptr(GError) error = NULL;

  ipc_queue_manager_serve (host.manager, arguments[0], &error);
  g_assert_no_error (error);
  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, command_cb, &host);
  ipc_test_tell ("ready");
  g_main_loop_run (host.loop);
  g_object_unref (host.manager);
  g_main_loop_unref (host.loop);
  return 0;
}

const IpcTestRole queue_test_roles[] = { { "queue-host", run_host }, { NULL, NULL } };

IpcTestPeer *
queue_test_spawn_host (const char *address)
{
  const char *arguments[] = { address, NULL };
  IpcTestPeer *host = ipc_test_peer_spawn ("queue-host", arguments);

  ipc_test_peer_expect (host, "ready");
  return host;
}

/* ---- the fixture ---- */

static char *
make_address (void)
{
  static guint n;
  g_autofree char *name = g_strdup_printf ("queues-%u", n++);

  return g_build_filename (g_getenv ("XDG_RUNTIME_DIR"), name, NULL);
}

IpcQueueManager *
queue_test_new_manager (QueueTest *self)
{
  g_autofree char *uri = g_strconcat ("ipc:", self->address, NULL);
  g_autoptr(GError) error = NULL;
  IpcQueueManager *manager = ipc_queue_manager_new_for_uri (uri, &error);

  g_assert_no_error (error);
  return manager;
}

/* Each has a database of its own, in a folder that goes with the process. */
char *
queue_test_make_uri (const char *scheme)
{
  static gint n;

  if (g_strcmp0 (scheme, "sqlite:") != 0)
    return g_strdup (scheme);
  return g_strdup_printf ("sqlite:%s/queue-test-%d-%d.db", g_getenv ("XDG_RUNTIME_DIR"), (int) getpid (), g_atomic_int_add (&n, 1));
}

static const char *const schemes[] = {
  "memory:",
#ifdef IPC_HAVE_SQLITE
  "sqlite:",
#endif
  "ipc:",
};

static void
add (const char *path, IpcTestFunc func, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *scheme = g_strndup (schemes[i], strcspn (schemes[i], ":"));
      g_autofree char *whole = g_strdup_printf ("/queue/%s/%s", path, scheme);

      ipc_test_add_data (whole, schemes[i], func);
    }
}

void
queue_test_add (const char *path, IpcTestFunc func)
{
  add (path, func, G_N_ELEMENTS (schemes));
}

void
queue_test_add_local (const char *path, IpcTestFunc func)
{
  add (path, func, G_N_ELEMENTS (schemes) - 1);
}

void
queue_test_init (QueueTest *self, const char *scheme)
{
  g_autofree char *uri = queue_test_make_uri (scheme);
  g_autoptr(GError) error = NULL;

  if (g_strcmp0 (uri, "ipc:") == 0)
    {
      self->address = make_address ();
      self->host = queue_test_spawn_host (self->address);
      self->manager = queue_test_new_manager (self);
    }
  else
    self->manager = ipc_queue_manager_new_for_uri (uri, &error);
  g_assert_no_error (error);
  self->queue = ipc_queue_manager_create_queue (self->manager, "jobs", NULL, &error);
  g_assert_no_error (error);
}

void
queue_test_set (QueueTest *self, const char *property, gint64 value)
{
  g_autofree char *line = g_strdup_printf ("set %s %" G_GINT64_FORMAT, property, value);

  if (self->host == NULL)
    {
      set (G_OBJECT (self->manager), property, value);
      return;
    }
  ipc_test_peer_write_line (self->host, line);
  ipc_test_peer_expect (self->host, "done");
}

void
queue_test_clear (QueueTest *self)
{
  gpointer queue = self->queue;
  IpcQueueManager *manager = g_steal_pointer (&self->manager);

  if (queue != NULL)
    g_object_add_weak_pointer (queue, &queue);
  g_clear_object (&self->queue);
  ipc_test_assert_finalized (manager);
  /* What is being given back, or taken, keeps it until that is done. */
  ipc_test_wait_for (queue == NULL);
  g_clear_pointer (&self->host, ipc_test_peer_free);
  g_clear_pointer (&self->address, g_free);
}

guint64
queue_test_publish_full (IpcMessageQueue *queue, const char *text, IpcPriority priority, gint64 ttl, gint64 delay, const char *dedup_id)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", text);
  g_autoptr(GError) error = NULL;
  guint64 id = ipc_message_queue_publish (queue, message, priority, ttl, delay, dedup_id, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (id, >, 0);
  g_assert_cmpuint (id, <, G_GUINT64_CONSTANT (1) << 53);
  return id;
}

guint64
queue_test_publish (IpcMessageQueue *queue, const char *text)
{
  return queue_test_publish_full (queue, text, IPC_PRIORITY_NORMAL, 0, 0, NULL);
}

const char *
queue_test_get_text (IpcDelivery *delivery)
{
  return ipc_message_get_text (ipc_delivery_get_message (delivery));
}

IpcDelivery *
queue_test_take (IpcMessageQueue *queue, const char *text)
{
  g_autoptr(GError) error = NULL;
  IpcDelivery *delivery = ipc_message_queue_consume (queue, 0, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (delivery);
  if (text != NULL)
    g_assert_cmpstr (queue_test_get_text (delivery), ==, text);
  return delivery;
}

void
queue_test_ack (IpcDelivery *delivery)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (ipc_delivery_ack (delivery, NULL, &error));
  g_assert_no_error (error);
}

void
queue_test_expect (IpcMessageQueue *queue, const char *text)
{
  g_autoptr(IpcDelivery) delivery = queue_test_take (queue, text);

  queue_test_ack (delivery);
}

void
queue_test_expect_none (IpcMessageQueue *queue)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_message_queue_consume (queue, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
}
