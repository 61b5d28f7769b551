/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests that were made here and wait for an answer: calls.
 *
 * A call has one end: its answer, its timeout, its cancellation or the end of the
 * connection, whoever takes it out of the table first. One that was given up
 * leaves its serial in the table, so that the late answer is known and discarded.
 */
#include "base/ipc-task-private.h"
#include "core/ipc-fork.h"
#include "messaging/ipc-plain-private.h"

#define MAX_GIVEN_UP 1024u

struct _IpcCall
{
  guint64 serial;
  gint64 due;                   /* monotonic µs; 0: never */
  gint timeout;                 /* ms, for the error text */
  guint64 offset;               /* where its frame starts in all that was ever written */
  IpcReplyFunc callback;        /* NULL: given up, or synchronous */
  gpointer user_data;
  GCancellable *cancellable;    /* (nullable) (owned) */
  gulong cancel_id;
  gboolean cancelled;           /* (mutex lock) */
  gboolean is_sync;
  gboolean done;                /* (mutex lock) of a synchronous one */
  IpcMessage *reply;            /* (nullable) (owned) of a synchronous one */
  GError *error;                /* (nullable) (owned) of a synchronous one, or of one that failed before it was sent */
};

/* What a cancellable's callback needs; it may come from any thread. */
typedef struct
{
  IpcConnection *connection;    /* (owned) */
  guint64 serial;
} CancelData;

static void
call_free (IpcCall *call)
{
  g_clear_object (&call->cancellable);
  g_clear_pointer (&call->reply, ipc_message_unref);
  g_clear_error (&call->error);
  g_free (call);
}

/* Whoever asks again when the answer comes needs no allocation. */
static IpcCall *
call_new_locked (IpcConnection *self, const IpcCall *template)
{
  IpcCall *call = g_steal_pointer (&self->spare_call);

  if (call == NULL)
    call = g_new (IpcCall, 1);
  *call = *template;
  return call;
}

/* What it owns is the caller's. */
static void
call_recycle_locked (IpcConnection *self, IpcCall *call)
{
  g_free (self->spare_call);
  self->spare_call = call;
}

void
ipc_request_clear (IpcConnection *self)
{
  g_autoptr (GPtrArray) calls = ipc_serial_table_list (&self->calls);

  for (guint i = 0; i < calls->len; i++)
    call_free (g_ptr_array_index (calls, i));
  ipc_serial_table_clear (&self->calls);
  ipc_serial_table_clear (&self->held);
  g_clear_pointer (&self->spare_call, g_free);
}

/* ---- making a request ---- */

static gboolean
check_may_request_locked (IpcConnection *self, GError **error)
{
  if (!ipc_connection_check_open_locked (self, error))
    return FALSE;
  if (self->peer_said_goodbye)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "%s takes no new requests: it is about to stop", self->peer_name);
      return FALSE;
    }
  if (self->said_goodbye)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "%s: no new requests are made: this side is about to stop", self->peer_name);
      return FALSE;
    }
  return TRUE;
}

static gboolean
put_request_locked (IpcConnection *self, IpcMessage *message, GError **error)
{
  IpcEnvelope envelope = { IPC_FRAME_REQUEST, self->last_serial + 1, 0, NULL };

  if (ipc_connection_takes_plain_locked (self, message))
    {
      ipc_connection_put_plain_locked (self, message, IPC_FRAME_REQUEST, envelope.serial, 0);
      return TRUE;
    }
  if (!ipc_connection_check_room_locked (self, message, error))
    return FALSE;
  return self->wire_format == IPC_WIRE_FORMAT_BINARY ? ipc_binary_write_message_locked (self, message, &envelope, error)
                                                     : ipc_json_write_message_locked (self, message, &envelope, error);
}

/* NULL: nothing was written. */
static IpcCall *
write_request_locked (IpcConnection *self, IpcMessage *message, const IpcCall *template, GError **error)
{
  guint64 offset = self->outbox.total_in;
  IpcCall *call;

  if (!check_may_request_locked (self, error) || !put_request_locked (self, message, error))
    return NULL;
  call = call_new_locked (self, template);
  call->offset = offset;
  call->serial = ++self->last_serial;
  IPC_ADD_ONCE (self->messages_sent, 1);
  ipc_serial_table_insert (&self->calls, &call->serial, call);
  if (call->due != 0 && (self->calls_due == 0 || call->due < self->calls_due))
    {
      self->calls_due = call->due;
      ipc_hub_attend_at (&self->watch, call->due);
    }
  ipc_connection_schedule_flush_locked (self);
  return call;
}

static void
cancel_data_free (gpointer data)
{
  CancelData *cancel = data;

  g_object_unref (cancel->connection);
  g_free (cancel);
}

static void
cancelled_cb (GCancellable *cancellable, gpointer data)
{
  CancelData *cancel = data;
  IpcConnection *self = cancel->connection;
  IpcCall *call;

  g_mutex_lock (&self->lock);
  call = ipc_serial_table_lookup (&self->calls, cancel->serial);
  if (call != NULL && call->callback != NULL && !call->cancelled)
    {
      call->cancelled = TRUE;
      self->n_cancelled++;
      ipc_hub_attend (&self->watch);
    }
  g_mutex_unlock (&self->lock);
}

/* Unless it is a synchronous one, the call may be over and gone when this returns: *SERIAL is its serial. NULL: there is
 * none. */
static IpcCall *
start_call (IpcConnection *self, IpcMessage *message, const IpcCall *template, guint64 *serial, GError **error)
{
  IpcCall *call;

  if (!ipc_error_check_fork (self->generation, self->peer_name, error) || !ipc_message_check (message, TRUE, error))
    return NULL;
  g_mutex_lock (&self->lock);
  call = write_request_locked (self, message, template, error);
  *serial = self->last_serial;
  g_mutex_unlock (&self->lock);
  return call;
}

/* The call may end at any moment once it is in the table, so what connects it to its cancellable is only set under the lock. */
static void
watch_cancellable (IpcConnection *self, guint64 serial, GCancellable *cancellable)
{
  CancelData *cancel = g_new (CancelData, 1);
  IpcCall *call;
  gulong id;

  *cancel = (CancelData){ g_object_ref (self), serial };
  id = g_cancellable_connect (cancellable, G_CALLBACK (cancelled_cb), cancel, cancel_data_free);
  g_mutex_lock (&self->lock);
  call = ipc_serial_table_lookup (&self->calls, serial);
  if (call != NULL)
    {
      call->cancellable = g_object_ref (cancellable);
      call->cancel_id = id;
    }
  g_mutex_unlock (&self->lock);
  if (call == NULL)
    g_cancellable_disconnect (cancellable, id);
}

/* ---- the end of a call ---- */

/* Takes REPLY (lent) and ERROR (owned). The call is in no table any more. */
static void
call_back (IpcConnection *self, const IpcCall *call, IpcMessage *reply, GError *error)
{
  if (call->cancellable != NULL)
    g_cancellable_disconnect (call->cancellable, call->cancel_id);
  if (call->callback != NULL)
    call->callback (self, reply, error, call->user_data);
  if (error != NULL)
    g_error_free (error);
  if (call->cancellable != NULL)
    g_object_unref (call->cancellable);
}

static void
finish_call (IpcConnection *self, IpcCall *call, IpcMessage *reply, GError *error)
{
  call_back (self, call, reply, error);
  call->cancellable = NULL;
  call_free (call);
}

/* A peer that said GOODBYE told us which of those that it got it did not look at. */
static GError *
make_lost_error_locked (IpcConnection *self, IpcCall *call, guint64 total_out)
{
  const char *why = self->error != NULL ? self->error->message : "the connection was closed";

  if (self->peer_said_goodbye && call->serial > self->peer_answers_up_to)
    return g_error_new (IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "%s did not take the request: it is about to stop", self->peer_name);
  if (call->offset < total_out)
    return g_error_new (IPC_ERROR, IPC_ERROR_UNCERTAIN, "%s: the request was sent, and its outcome is unknown: %s", self->peer_name, why);
  return g_error_new (IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "%s: the request was not sent: %s", self->peer_name, why);
}

gboolean
ipc_request_is_sync (IpcConnection *self, guint64 serial)
{
  IpcCall *call;
  gboolean is_sync;

  g_mutex_lock (&self->lock);
  call = ipc_serial_table_lookup (&self->calls, serial);
  /* An answer that nobody waits for any more, or never asked for, needs nobody to be called. */
  is_sync = call == NULL || call->callback == NULL;
  g_mutex_unlock (&self->lock);
  return is_sync;
}

gboolean
ipc_request_resolve (IpcConnection *self, guint64 serial, IpcMessage *reply, GError *error)
{
  IpcCall *call;
  IpcCall ended;

  g_mutex_lock (&self->lock);
  call = ipc_serial_table_remove (&self->calls, serial);
  if (call != NULL && call->is_sync)
    {
      call->reply = reply != NULL ? ipc_message_ref (reply) : NULL;
      call->error = error;
      call->done = TRUE;
      ipc_connection_wake_followers_locked (self);
      g_mutex_unlock (&self->lock);
      return TRUE;
    }
  if (call != NULL && call->cancelled)
    self->n_cancelled--;
  if (call != NULL && call->callback == NULL)
    self->n_given_up--;
  if (call != NULL)
    {
      ended = *call;
      call_recycle_locked (self, call);
    }
  g_mutex_unlock (&self->lock);
  if (call != NULL)
    call_back (self, &ended, reply, error);
  else
    g_clear_error (&error);
  return call != NULL;
}

/* Takes the calls that MATCH out of the table and ends them in the order in which they were made. */
typedef gboolean (*CallMatch) (IpcConnection *self, IpcCall *call, gpointer data);

static gint
compare_calls (gconstpointer a, gconstpointer b)
{
  const IpcCall *one = *(IpcCall *const *) a, *other = *(IpcCall *const *) b;

  return one->serial < other->serial ? -1 : one->serial > other->serial;
}

static GPtrArray *
steal_calls_locked (IpcConnection *self, CallMatch match, gpointer data)
{
  GPtrArray *calls = ipc_serial_table_list (&self->calls);

  for (guint i = 0; i < calls->len;)
    {
      IpcCall *call = g_ptr_array_index (calls, i);

      if (match (self, call, data))
        {
          ipc_serial_table_remove (&self->calls, call->serial);
          i++;
        }
      else
        g_ptr_array_remove_index_fast (calls, i);
    }
  g_ptr_array_sort (calls, compare_calls);
  return calls;
}

static gboolean
match_all (IpcConnection *self, IpcCall *call, gpointer data)
{
  return TRUE;
}

static gboolean
match_after (IpcConnection *self, IpcCall *call, gpointer data)
{
  return call->serial > *(guint64 *) data;
}

static gboolean
match_ended (IpcConnection *self, IpcCall *call, gpointer data)
{
  return call->callback != NULL && (call->cancelled || (call->due != 0 && call->due <= *(gint64 *) data));
}

/* The synchronous ones end under the same lock that takes them out: their threads free them. */
static void
end_sync_calls_locked (IpcConnection *self, GPtrArray *calls, guint64 total_out)
{
  for (guint i = 0; i < calls->len;)
    {
      IpcCall *call = g_ptr_array_index (calls, i);

      if (!call->is_sync)
        {
          i++;
          continue;
        }
      call->error = make_lost_error_locked (self, call, total_out);
      call->done = TRUE;
      g_ptr_array_remove_index (calls, i);
    }
  ipc_connection_wake_followers_locked (self);
}

static void
fail_calls (IpcConnection *self, CallMatch match, gpointer data)
{
  g_autoptr (GPtrArray) calls = NULL;
  guint64 total_out;

  g_mutex_lock (&self->lock);
  total_out = self->total_out_at_end != 0 ? self->total_out_at_end : ipc_outbox_total_out (&self->outbox);
  calls = steal_calls_locked (self, match, data);
  end_sync_calls_locked (self, calls, total_out);
  g_mutex_unlock (&self->lock);
  for (guint i = 0; i < calls->len; i++)
    {
      IpcCall *call = g_ptr_array_index (calls, i);
      GError *error;

      g_mutex_lock (&self->lock);
      error = make_lost_error_locked (self, call, total_out);
      g_mutex_unlock (&self->lock);
      finish_call (self, call, NULL, error);
    }
}

void
ipc_request_fail_all (IpcConnection *self)
{
  fail_calls (self, match_all, NULL);
}

static gboolean
match_sync_after (IpcConnection *self, IpcCall *call, gpointer data)
{
  return call->is_sync && call->serial > *(guint64 *) data;
}

/* What was not sent yet may be: none of them is safe to repeat, unless the peer says so. */
void
ipc_request_end_sync_after_locked (IpcConnection *self, guint64 serial)
{
  g_autoptr (GPtrArray) calls = steal_calls_locked (self, match_sync_after, &serial);

  end_sync_calls_locked (self, calls, G_MAXUINT64);
}

void
ipc_request_fail_after (IpcConnection *self, guint64 serial)
{
  fail_calls (self, match_after, &serial);
}

/* The peer is told that nobody waits; the serial stays known until the answer has come. */
static void
give_up_locked (IpcConnection *self, IpcCall *call)
{
  IpcCall *known = g_new0 (IpcCall, 1);

  known->serial = call->serial;
  known->offset = call->offset;
  ipc_serial_table_insert (&self->calls, &known->serial, known);
  self->n_given_up++;
  if (self->state != IPC_CONNECTION_OPEN || self->wire_format != IPC_WIRE_FORMAT_BINARY)
    return;
  ipc_binary_write_control_locked (self, IPC_FRAME_CANCEL, 0, call->serial);
  ipc_connection_schedule_flush_locked (self);
}

static GError *
make_end_error (IpcConnection *self, IpcCall *call)
{
  if (call->cancelled)
    return g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s: the request was cancelled", self->peer_name);
  return g_error_new (IPC_ERROR, IPC_ERROR_TIMED_OUT, "%s: no answer within %d ms, the timeout", self->peer_name, call->timeout);
}

/* The earliest deadline of those that remain. */
static void
update_due_locked (IpcConnection *self)
{
  g_autoptr (GPtrArray) calls = ipc_serial_table_list (&self->calls);

  self->calls_due = 0;
  for (guint i = 0; i < calls->len; i++)
    {
      IpcCall *call = g_ptr_array_index (calls, i);

      if (call->due != 0 && call->callback != NULL && (self->calls_due == 0 || call->due < self->calls_due))
        self->calls_due = call->due;
    }
  if (self->calls_due != 0)
    ipc_hub_attend_at (&self->watch, self->calls_due);
}

void
ipc_request_attend (IpcConnection *self, gint64 now)
{
  g_autoptr (GPtrArray) calls = NULL;

  g_mutex_lock (&self->lock);
  if (self->state != IPC_CONNECTION_OPEN || (self->n_cancelled == 0 && (self->calls_due == 0 || now < self->calls_due)))
    {
      /* The hub knows one deadline at a time, and it may have been another one. */
      if (self->state < IPC_CONNECTION_CLOSED && self->calls_due != 0)
        ipc_hub_attend_at (&self->watch, self->calls_due);
      g_mutex_unlock (&self->lock);
      return;
    }
  calls = steal_calls_locked (self, match_ended, &now);
  self->n_cancelled = 0;
  for (guint i = 0; i < calls->len; i++)
    give_up_locked (self, g_ptr_array_index (calls, i));
  update_due_locked (self);
  g_mutex_unlock (&self->lock);
  for (guint i = 0; i < calls->len; i++)
    {
      IpcCall *call = g_ptr_array_index (calls, i);

      finish_call (self, call, NULL, make_end_error (self, call));
    }
  if (self->n_given_up > MAX_GIVEN_UP)
    ipc_connection_shut (self, g_error_new (IPC_ERROR, IPC_ERROR_TIMED_OUT, "%s: more than %u requests were given up and never answered",
                                            self->peer_name, MAX_GIVEN_UP), TRUE);
}

/* ---- the three ways to ask ---- */

static gboolean
call_init (IpcCall *call, IpcConnection *self, gint timeout, IpcReplyFunc callback, gpointer user_data, GError **error)
{
  gint default_timeout = IPC_READ_ONCE (self->limits.request_timeout);
  gint64 due;

  if (!ipc_timeout_to_deadline (timeout, default_timeout, &due, error))
    return FALSE;
  *call = (IpcCall){
    .due = due,
    .timeout = timeout == IPC_TIMEOUT_DEFAULT ? default_timeout : timeout,
    .callback = callback,
    .user_data = user_data,
    .is_sync = callback == NULL,
  };
  return TRUE;
}

/* FALSE: CALLBACK will not be called. */
static gboolean
request_with_callback (IpcConnection *self, IpcMessage *message, gint timeout, GCancellable *cancellable,
                       IpcReplyFunc callback, gpointer user_data, GError **error)
{
  IpcCall call;
  guint64 serial;

  if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (!call_init (&call, self, timeout, callback, user_data, error) || start_call (self, message, &call, &serial, error) == NULL)
    return FALSE;
  if (cancellable != NULL)
    watch_cancellable (self, serial, cancellable);
  return TRUE;
}

typedef struct
{
  IpcConnection *connection;    /* (owned) */
  IpcReplyFunc callback;
  gpointer user_data;
  GError *error;                /* (owned) */
} Failure;

static gboolean
report_failure (gpointer data)
{
  Failure *failure = data;

  failure->callback (failure->connection, NULL, failure->error, failure->user_data);
  return G_SOURCE_REMOVE;
}

static void
failure_free (gpointer data)
{
  Failure *failure = data;

  g_object_unref (failure->connection);
  g_error_free (failure->error);
  g_free (failure);
}

/**
 * ipc_connection_request_with_callback: (skip)
 * @self: the connection
 * @message: the request
 * @timeout: in milliseconds; -1 for ever, [const@Ipc.TIMEOUT_DEFAULT] for the default
 * @cancellable: (nullable): cancels it
 * @callback: (scope async): gets the reply, or the error
 * @user_data: for @callback
 *
 * Asks the peer, and has a plain function called with the answer: what lies
 * under [method@Ipc.Connection.request_async], without a task or an allocation
 * for the reply.
 *
 * @callback is called exactly once, in the main context of the connection, and
 * never before this function has returned.
 *
 * Since: 0.1
 */
void
ipc_connection_request_with_callback (IpcConnection *self, IpcMessage *message, gint timeout, GCancellable *cancellable,
                                      IpcReplyFunc callback, gpointer user_data)
{
  g_autoptr (GSource) source = NULL;
  GError *error = NULL;
  Failure *failure;

  g_return_if_fail (ipc_connection_is_one (self));
  g_return_if_fail (message != NULL);
  g_return_if_fail (callback != NULL);

  if (request_with_callback (self, message, timeout, cancellable, callback, user_data, &error))
    return;
  failure = g_new (Failure, 1);
  *failure = (Failure){ g_object_ref (self), callback, user_data, error };
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[ipc-glib] failed request");
  g_source_set_callback (source, report_failure, failure, failure_free);
  g_source_attach (source, self->context);
}

static void
return_reply (IpcConnection *self, IpcMessage *reply, const GError *error, gpointer user_data)
{
  GTask *task = user_data;

  if (reply != NULL)
    g_task_return_pointer (task, ipc_message_ref (reply), (GDestroyNotify) ipc_message_unref);
  else
    g_task_return_error (task, g_error_copy (error));
  g_object_unref (task);
}

void
ipc_connection_request_for_task (IpcConnection *self, IpcMessage *message, gint timeout, GTask *task)
{
  GError *error = NULL;

  if (request_with_callback (self, message, timeout, g_task_get_cancellable (task), return_reply, task, &error))
    return;
  g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * ipc_connection_request_async:
 * @self: the connection
 * @message: the request
 * @timeout: in milliseconds; -1 for ever, [const@Ipc.TIMEOUT_DEFAULT] for the default
 * @cancellable: (nullable): cancels it
 * @callback: (scope async): called when the answer is there
 * @user_data: for @callback
 *
 * Asks the peer.
 *
 * Any number of requests may be under way at once. Cancelling one, or its
 * timeout, tells the peer that nobody waits any more.
 *
 * Since: 0.1
 */
void
ipc_connection_request_async (IpcConnection *self, IpcMessage *message, gint timeout, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer user_data)
{
  GTask *task;

  g_return_if_fail (ipc_connection_is_one (self));
  g_return_if_fail (message != NULL);

  /* Not ipc_task_new(): a name costs an allocation, and there is one of these for each request. */
  task = g_task_new (self, cancellable, callback, user_data);
  (g_task_set_source_tag) (task, ipc_connection_request_async);
  ipc_connection_request_for_task (self, message, timeout, task);
}

/**
 * ipc_connection_request_finish:
 * @self: the connection
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Connection.request_async].
 *
 * The error is %IPC_ERROR_TIMED_OUT, %IPC_ERROR_UNKNOWN_TYPE, %IPC_ERROR_REMOTE (the peer answered with an error),
 * %IPC_ERROR_UNCERTAIN (the connection was lost after the request was sent), %IPC_ERROR_NOT_CONNECTED (it was not
 * sent) or another that [method@Ipc.Connection.send] has.
 *
 * Returns: (transfer full): the reply, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMessage *
ipc_connection_request_finish (IpcConnection *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static gboolean
call_is_done (IpcConnection *self, gpointer data)
{
  return ((IpcCall *) data)->done;
}

/* The wait for the call ended without an answer, because of REASON. */
static void
abandon (IpcConnection *self, IpcCall *call, GError **reason)
{
  g_mutex_lock (&self->lock);
  if (call->done)
    g_clear_error (reason);     /* it came after all */
  else
    {
      ipc_serial_table_remove (&self->calls, call->serial);
      if (self->state == IPC_CONNECTION_CLOSED || self->input_over)
        {
          g_clear_error (reason);
          *reason = make_lost_error_locked (self, call, self->state == IPC_CONNECTION_CLOSED ? self->total_out_at_end
                                                                                             : ipc_outbox_total_out (&self->outbox));
        }
      else
        give_up_locked (self, call);
    }
  g_mutex_unlock (&self->lock);
}

/**
 * ipc_connection_request:
 * @self: the connection
 * @message: the request
 * @timeout: in milliseconds; -1 for ever, [const@Ipc.TIMEOUT_DEFAULT] for the default
 * @cancellable: (nullable): cancels it
 * @error: where to put an error
 *
 * Asks the peer and waits for the answer in this thread.
 *
 * It does not iterate a main context: it reads from the connection itself. Other
 * messages that come meanwhile are dispatched afterwards, in the context of the
 * connection. Asking a server of the very context that would have to run for it
 * to answer fails at once.
 *
 * Returns: (transfer full): the reply, or %NULL with @error set; see [method@Ipc.Connection.request_finish]
 *
 * Since: 0.1
 */
IpcMessage *
ipc_connection_request (IpcConnection *self, IpcMessage *message, gint timeout, GCancellable *cancellable, GError **error)
{
  g_autoptr (GError) reason = NULL;
  IpcCall template;
  IpcCall *call;
  IpcMessage *reply;
  guint64 serial;

  g_return_val_if_fail (IPC_IS_CONNECTION (self), NULL);
  g_return_val_if_fail (message != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) || !ipc_connection_check_may_block (self, error))
    return NULL;
  if (IPC_READ_ONCE (self->wire_format) == IPC_WIRE_FORMAT_JSON)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "%s: a peer that speaks JSON can only be asked asynchronously", self->peer_name);
      return NULL;
    }
  if (!call_init (&template, self, timeout, NULL, NULL, error))
    return NULL;
  call = start_call (self, message, &template, &serial, error);
  if (call == NULL)
    return NULL;
  if (!ipc_connection_wait (self, call_is_done, call, call->due, "no answer", cancellable, &reason))
    abandon (self, call, &reason);
  reply = g_steal_pointer (&call->reply);
  if (call->error != NULL)
    reason = g_steal_pointer (&call->error);
  if (reply == NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  call_free (call);
  return reply;
}
