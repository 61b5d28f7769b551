/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-link-private.h"

#include "ipc-error.h"
#include "messaging/ipc-transports-private.h"
#include "queue/ipc-queue-wire-private.h"

struct _IpcQueueLink
{
  gint ref_count;               /* (atomic) whoever opened it, and the thread */
  GWeakRef owner;
  const IpcQueueLinkFuncs *funcs;
  GMainContext *context;        /* (owned) of the thread */
  IpcClient *client;            /* (owned) */
  GThread *thread;              /* (owned) */
  GSource *source;              /* (owned) there is work, or it is over */
  gboolean is_open;             /* in the thread */
  GMutex lock;
  GCond cond;                   /* one more is done, and somebody waits for it */
  GQueue works;                 /* (mutex lock) */
  guint64 n_dispatched;         /* (mutex lock) */
  guint64 n_done;               /* (mutex lock) */
  guint n_waiting;              /* (mutex lock) */
  gboolean is_over;             /* (mutex lock) */
};

static void
unref (IpcQueueLink *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_source_unref (self->source);
  g_object_unref (self->client);
  g_main_context_unref (self->context);
  g_weak_ref_clear (&self->owner);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_free (self);
}

/* ---- the thread ---- */

/* FALSE: there is none. */
static gboolean
do_one (IpcQueueLink *self)
{
  IpcQueueWork *work;
  GError *error = NULL;

  g_mutex_lock (&self->lock);
  work = g_queue_pop_head (&self->works);
  g_mutex_unlock (&self->lock);
  if (work == NULL)
    return FALSE;
  work->run (work, &error);
  work->done (work, error);
  g_mutex_lock (&self->lock);
  self->n_done++;
  if (self->n_waiting > 0)
    g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

/* One at a time, so that events are heard of in between. */
static gboolean
work_cb (GSource *source, GSourceFunc callback, gpointer data)
{
  g_source_set_ready_time (source, -1);
  callback (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
do_work (gpointer data)
{
  IpcQueueLink *self = data;

  if (do_one (self))
    g_source_set_ready_time (self->source, 0);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs work_funcs = { .dispatch = work_cb };

static gboolean
is_over (IpcQueueLink *self)
{
  gboolean over;

  g_mutex_lock (&self->lock);
  over = self->is_over && self->works.length == 0;
  g_mutex_unlock (&self->lock);
  return over;
}

static gpointer
run (gpointer data)
{
  IpcQueueLink *self = data;

  g_main_context_push_thread_default (self->context);
  while (!is_over (self))
    g_main_context_iteration (self->context, TRUE);
  g_signal_handlers_disconnect_by_data (self->client, self);
  ipc_client_remove_handler (self->client, IPC_QUEUE_EVENT_TYPE);
  ipc_client_close (self->client);
  g_source_destroy (self->source);
  while (g_main_context_iteration (self->context, FALSE))
    ;
  g_main_context_pop_thread_default (self->context);
  unref (self);
  return NULL;
}

/* ---- what comes from the other side ---- */

static IpcMessage *
event_cb (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  IpcQueueLink *self = data;
  g_autoptr(GObject) owner = g_weak_ref_get (&self->owner);
  GVariant *event = ipc_message_get_variant (message);

  if (owner != NULL && event != NULL && g_variant_is_of_type (event, G_VARIANT_TYPE (IPC_QUEUE_WIRE_EVENT)))
    self->funcs->event (owner, event);
  return NULL;
}

static void
state_cb (IpcClient *client, GParamSpec *pspec, gpointer data)
{
  IpcQueueLink *self = data;
  g_autoptr(GObject) owner = g_weak_ref_get (&self->owner);
  gboolean is_open = ipc_client_get_state (client) == IPC_CLIENT_STATE_OPEN;

  if (owner == NULL || self->is_open == is_open)
    return;
  self->is_open = is_open;
  self->funcs->changed (owner, is_open);
}

/* ---- opening and closing ---- */

static IpcQueueLink *
link_new (const char *address, gpointer owner, const IpcQueueLinkFuncs *funcs)
{
  IpcQueueLink *self = g_new0 (IpcQueueLink, 1);

  self->ref_count = 1;
  g_weak_ref_init (&self->owner, owner);
  self->funcs = funcs;
  self->is_open = TRUE;
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->context = g_main_context_new ();
  g_main_context_push_thread_default (self->context);
  self->client = ipc_transport_new_client (address, NULL);
  g_main_context_pop_thread_default (self->context);
  ipc_client_add_handler (self->client, IPC_QUEUE_EVENT_TYPE, event_cb, self, NULL);
  self->source = g_source_new (&work_funcs, sizeof (GSource));
  g_source_set_static_name (self->source, "ipc-queue-link");
  g_source_set_callback (self->source, do_work, self, NULL);
  g_source_attach (self->source, self->context);
  return self;
}

IpcQueueLink *
ipc_queue_link_open (const char *address, gpointer owner, const IpcQueueLinkFuncs *funcs, GError **error)
{
  IpcQueueLink *self = link_new (address, owner, funcs);

  if (!ipc_client_open (self->client, NULL, error))
    {
      g_source_destroy (self->source);
      unref (self);
      return NULL;
    }
  ipc_client_set_reconnect (self->client, TRUE);
  ipc_client_set_wait_for_server (self->client, TRUE);
  g_signal_connect (self->client, "notify::state", G_CALLBACK (state_cb), self);
  g_atomic_int_inc (&self->ref_count);
  self->thread = g_thread_new ("ipc-queue-link", run, self);
  return self;
}

void
ipc_queue_link_close (IpcQueueLink *self)
{
  GThread *thread = g_steal_pointer (&self->thread);

  g_mutex_lock (&self->lock);
  self->is_over = TRUE;
  g_mutex_unlock (&self->lock);
  g_source_set_ready_time (self->source, 0);
  if (thread == g_thread_self ())
    g_thread_unref (thread);
  else
    g_thread_join (thread);
  unref (self);
}

void
ipc_queue_link_dispatch (IpcQueueLink *self, IpcQueueWork *work)
{
  g_mutex_lock (&self->lock);
  g_queue_push_tail (&self->works, work);
  self->n_dispatched++;
  g_mutex_unlock (&self->lock);
  g_source_set_ready_time (self->source, 0);
}

/* ---- asking ---- */

/* Takes REPLY. */
static GVariant *
read_reply (IpcQueueLink *self, const char *request, IpcMessage *message, const char *reply, GError **error)
{
  GVariant *payload = ipc_message_get_variant (message);
  const char *type = ipc_message_get_message_type (message);

  if (payload != NULL && g_strcmp0 (type, IPC_QUEUE_REPLY_TYPE) == 0 && g_variant_is_of_type (payload, G_VARIANT_TYPE (reply)))
    return g_variant_ref (payload);
  if (payload != NULL && g_strcmp0 (type, IPC_QUEUE_FAILURE_TYPE) == 0 && g_variant_is_of_type (payload, G_VARIANT_TYPE (IPC_QUEUE_WIRE_FAILURE)))
    {
      const char *nick, *text;

      g_variant_get (payload, "(&s&s)", &nick, &text);
      ipc_queue_wire_set_error (error, nick, text);
    }
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "%s: the answer to %s is not of type %s", ipc_client_get_address (self->client), request, reply);
  return NULL;
}

/* What was not waited for comes before what is, as it was asked for. */
static void
wait_for_works (IpcQueueLink *self)
{
  guint64 until;

  if (g_thread_self () == self->thread)
    return;
  g_mutex_lock (&self->lock);
  until = self->n_dispatched;
  self->n_waiting++;
  while (self->n_done < until)
    g_cond_wait (&self->cond, &self->lock);
  self->n_waiting--;
  g_mutex_unlock (&self->lock);
}

GVariant *
ipc_queue_link_call (IpcQueueLink *self, const char *request, GVariant *arguments, const char *reply, GError **error)
{
  g_autofree char *type = g_strconcat (IPC_QUEUE_REQUEST_PREFIX, request, NULL);
  g_autoptr(IpcMessage) message = ipc_message_new_variant (type, arguments);
  g_autoptr(IpcMessage) answer = NULL;

  wait_for_works (self);
  answer = ipc_client_request (self->client, message, IPC_TIMEOUT_DEFAULT, NULL, error);
  return answer != NULL ? read_reply (self, request, answer, reply, error) : NULL;
}

static gboolean
break_cb (gpointer data)
{
  IpcConnection *connection = ipc_client_get_connection (data);

  if (connection != NULL)
    ipc_connection_close (connection);
  return G_SOURCE_REMOVE;
}

void
ipc_queue_link_break (IpcQueueLink *self)
{
  g_main_context_invoke_full (self->context, G_PRIORITY_DEFAULT, break_cb, g_object_ref (self->client), g_object_unref);
}
