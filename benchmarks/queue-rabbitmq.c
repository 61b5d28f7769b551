/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue-rabbitmq.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <gio/gio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER "/usr/lib/rabbitmq/bin/rabbitmq-server"   /* not the one in the path, which changes to another user */
#define PATIENCE_MS 60000
#define PREFETCH 100

struct _Rabbit
{
  pid_t pid;
  guint16 port;
  amqp_connection_state_t publisher;
  amqp_connection_state_t consumer;     /* (nullable) until something is taken */
  guint64 n_published;          /* their tags are counted from 1 */
};

static void
die (const char *what)
{
  fprintf (stderr, "rabbitmq: %s\n", what);
  exit (1);
}

/* ---- the broker ---- */

/* Two that follow each other, free just now. */
static guint16
find_ports (void)
{
  for (;;)
    {
      g_autoptr (GSocketListener) listener = g_socket_listener_new ();
      guint16 port = g_socket_listener_add_any_inet_port (listener, NULL, NULL);

      if (port != 0 && port < G_MAXUINT16 && g_socket_listener_add_inet_port (listener, (guint16) (port + 1), NULL, NULL))
        return port;
    }
}

static char **
make_environment (const char *directory, guint16 port)
{
  g_autofree char *first = g_strdup_printf ("%u", port), *second = g_strdup_printf ("%u", port + 1u);
  g_autofree char *mnesia = g_build_filename (directory, "mnesia", NULL), *log = g_build_filename (directory, "log", NULL);
  g_autofree char *plugins = g_build_filename (directory, "plugins", NULL), *pid = g_build_filename (directory, "pid", NULL);
  g_autofree char *config = g_build_filename (directory, "config", NULL);
  g_autofree char *erlang = g_strdup_printf ("-start_epmd false -erl_epmd_port %s -kernel inet_dist_use_interface {127,0,0,1}", second);
  char **environment = g_get_environ ();
  const char *settings[][2] = {
    { "HOME", directory }, { "RABBITMQ_NODENAME", "ipcbench@localhost" }, { "RABBITMQ_NODE_PORT", first },
    { "RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1" }, { "RABBITMQ_DIST_PORT", second }, { "RABBITMQ_MNESIA_BASE", mnesia },
    { "RABBITMQ_LOG_BASE", log }, { "RABBITMQ_ENABLED_PLUGINS_FILE", plugins }, { "RABBITMQ_PID_FILE", pid },
    { "RABBITMQ_CONF_ENV_FILE", "/dev/null" }, { "RABBITMQ_CONFIG_FILE", config }, { "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang },
  };

  for (guint i = 0; i < G_N_ELEMENTS (settings); i++)
    environment = g_environ_setenv (environment, settings[i][0], settings[i][1], TRUE);
  return environment;
}

static pid_t
start_server (char **environment)
{
  pid_t parent = getpid (), pid = fork ();

  if (pid != 0)
    return pid;
  setpgid (0, 0);
  prctl (PR_SET_PDEATHSIG, SIGTERM);
  if (getppid () == parent && freopen ("/dev/null", "w", stdout) != NULL)
    execle (SERVER, "rabbitmq-server", (char *) NULL, environment);
  _exit (127);
}

/* ---- connections ---- */

static amqp_connection_state_t
try_connect (guint16 port)
{
  amqp_connection_state_t connection = amqp_new_connection ();
  amqp_socket_t *socket = amqp_tcp_socket_new (connection);

  if (amqp_socket_open (socket, "127.0.0.1", port) == AMQP_STATUS_OK &&
      amqp_login (connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest").reply_type == AMQP_RESPONSE_NORMAL &&
      amqp_channel_open (connection, 1) != NULL)
    return connection;
  amqp_destroy_connection (connection);
  return NULL;
}

/* Until the broker is there. */
static amqp_connection_state_t
connect_to (Rabbit *self)
{
  for (guint ms = 0; ms < PATIENCE_MS; ms += 100)
    {
      amqp_connection_state_t connection = try_connect (self->port);

      if (connection != NULL)
        return connection;
      if (waitpid (self->pid, NULL, WNOHANG) == self->pid)
        return NULL;
      g_usleep (100000);
    }
  return NULL;
}

Rabbit *
rabbit_start (const char *directory)
{
  g_auto (GStrv) environment = NULL;
  Rabbit *self;

  if (!g_file_test (SERVER, G_FILE_TEST_IS_EXECUTABLE))
    return NULL;
  self = g_new0 (Rabbit, 1);
  self->port = find_ports ();
  environment = make_environment (directory, self->port);
  self->pid = start_server (environment);
  self->publisher = connect_to (self);
  if (self->publisher == NULL || amqp_confirm_select (self->publisher, 1) == NULL ||
      amqp_queue_declare (self->publisher, 1, amqp_cstring_bytes ("jobs"), 0, 1, 0, 0, amqp_empty_table) == NULL)
    {
      rabbit_stop (self);
      return NULL;
    }
  return self;
}

void
rabbit_stop (Rabbit *self)
{
  if (self->publisher != NULL)
    amqp_destroy_connection (self->publisher);
  if (self->consumer != NULL)
    amqp_destroy_connection (self->consumer);
  kill (-self->pid, SIGKILL);
  waitpid (self->pid, NULL, 0);
  g_free (self);
}

/* ---- messages ---- */

static const amqp_basic_ack_t *
wait_for_confirm (Rabbit *self, amqp_frame_t *frame)
{
  amqp_maybe_release_buffers (self->publisher);
  if (amqp_simple_wait_frame (self->publisher, frame) != AMQP_STATUS_OK || frame->frame_type != AMQP_FRAME_METHOD ||
      frame->payload.method.id != AMQP_BASIC_ACK_METHOD)
    die ("not confirmed");
  return frame->payload.method.decoded;
}

/* Of the N with the tags after BEFORE: one at a time in any order, or all up to one. */
static void
wait_for_confirms (Rabbit *self, guint64 before, guint n)
{
  g_autofree gboolean *is_confirmed = g_new0 (gboolean, n);
  guint n_confirmed = 0;

  while (n_confirmed < n)
    {
      amqp_frame_t frame;
      const amqp_basic_ack_t *ack = wait_for_confirm (self, &frame);
      guint last = (guint) (ack->delivery_tag - before - 1);

      for (guint i = ack->multiple ? 0 : last; i <= last && i < n; i++)
        {
          n_confirmed += !is_confirmed[i];
          is_confirmed[i] = TRUE;
        }
    }
}

void
rabbit_publish (Rabbit *self, const char *payload, gsize size, guint n)
{
  amqp_basic_properties_t properties = { ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2 };
  amqp_bytes_t body = { size, (char *) payload };

  for (guint i = 0; i < n; i++)
    if (amqp_basic_publish (self->publisher, 1, amqp_empty_bytes, amqp_cstring_bytes ("jobs"), 0, 0, &properties, body) != AMQP_STATUS_OK)
      die ("not published");
  wait_for_confirms (self, self->n_published, n);
  self->n_published += n;
}

static void
begin_to_consume (Rabbit *self)
{
  self->consumer = connect_to (self);
  if (self->consumer == NULL || amqp_basic_qos (self->consumer, 1, 0, PREFETCH, 0) == NULL ||
      amqp_basic_consume (self->consumer, 1, amqp_cstring_bytes ("jobs"), amqp_empty_bytes, 0, 0, 0, amqp_empty_table) == NULL)
    die ("cannot consume");
}

void
rabbit_consume (Rabbit *self, guint n)
{
  if (self->consumer == NULL)
    begin_to_consume (self);
  for (guint i = 0; i < n; i++)
    {
      amqp_envelope_t envelope;

      amqp_maybe_release_buffers (self->consumer);
      if (amqp_consume_message (self->consumer, &envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL ||
          amqp_basic_ack (self->consumer, 1, envelope.delivery_tag, 0) != AMQP_STATUS_OK)
        die ("not consumed");
      amqp_destroy_envelope (&envelope);
    }
}
