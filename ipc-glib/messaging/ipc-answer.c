/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests that were received: those that a handler keeps, and how they are answered.
 *
 * Each is answered once, by whoever sets `answered` first; one whose last
 * reference goes is answered with an error.
 */
#include "core/ipc-fork.h"
#include "messaging/ipc-plain-private.h"

#define MAX_HELD 1024u
#define HELD_COST 400u          /* of a message and its token, about */

void
ipc_request_hold (IpcConnection *self, IpcRequestToken *token)
{
  g_mutex_lock (&self->lock);
  if (self->state == IPC_CONNECTION_OPEN && token->must_answer && !g_atomic_int_get (&token->answered))
    {
      ipc_serial_table_insert (&self->held, &token->serial, token);
      token->held_bytes = HELD_COST + (token->message != NULL ? token->message->payload_size + token->message->headers_size : 0);
      self->held_bytes += token->held_bytes;
      ipc_connection_charge_locked (self);
      if (ipc_serial_table_size (&self->held) >= MAX_HELD)
        ipc_connection_update_pressure_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

static void
let_go_locked (IpcConnection *self, IpcRequestToken *token)
{
  token->message = NULL;
  if (ipc_serial_table_lookup (&self->held, token->serial) == token)
    {
      ipc_serial_table_remove (&self->held, token->serial);
      self->held_bytes -= token->held_bytes;
      ipc_connection_charge_locked (self);
      if (self->read_paused)
        ipc_connection_update_pressure_locked (self);
    }
  if ((self->eof || self->said_goodbye) && self->watch.hub != NULL)
    ipc_hub_attend (&self->watch);
}

void
ipc_request_cancelled_by_peer (IpcConnection *self, guint64 serial)
{
  g_autoptr (IpcMessage) request = NULL;
  IpcRequestToken *token;

  g_mutex_lock (&self->lock);
  token = ipc_serial_table_lookup (&self->held, serial);
  if (token != NULL)
    request = ipc_request_token_get_message (token);
  g_mutex_unlock (&self->lock);
  if (request != NULL)
    ipc_connection_emit_request_cancelled (self, request);
}

/* FALSE with ALREADY if it was answered before. */
static gboolean
take_answer (IpcConnection *self, IpcRequestToken *token, GError **error)
{
  /* One that nobody kept is known to this thread only. */
  if (token->ref_count == 0 && !token->answered)
    return token->answered = TRUE;
  if (g_atomic_int_compare_and_exchange (&token->answered, FALSE, TRUE))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_ALREADY, "%s: request %" G_GUINT64_FORMAT " has been answered already", self->peer_name, token->serial);
  return FALSE;
}

static gboolean
write_error (IpcConnection *self, IpcRequestToken *token, const char *id, const GError *reason, GError **error)
{
  gboolean open;

  g_mutex_lock (&self->lock);
  open = ipc_connection_check_open_locked (self, error);
  if (open && token->is_json)
    ipc_json_write_error_locked (self, id, reason);
  else if (open)
    ipc_binary_write_error_locked (self, token->serial, reason);
  if (open)
    ipc_connection_schedule_flush_locked (self);
  let_go_locked (self, token);
  g_mutex_unlock (&self->lock);
  return open;
}

gboolean
ipc_request_answer_error (IpcConnection *self, IpcRequestToken *token, const GError *reason)
{
  return take_answer (self, token, NULL) && write_error (self, token, token->id, reason, NULL);
}

/* The last reference to a kept request is gone; any thread. */
void
ipc_request_dropped (GObject *connection, IpcRequestToken *token)
{
  IpcConnection *self = IPC_CONNECTION (connection);
  g_autoptr (GError) reason = NULL;

  if (self->generation != ipc_fork_generation ())
    return;
  if (token->must_answer && take_answer (self, token, NULL))
    {
      reason = g_error_new_literal (IPC_ERROR, IPC_ERROR_REMOTE, "the request was dropped without an answer");
      write_error (self, token, token->id, reason, NULL);
      return;
    }
  g_mutex_lock (&self->lock);
  let_go_locked (self, token);
  g_mutex_unlock (&self->lock);
}

static IpcRequestToken *
get_token (IpcConnection *self, IpcMessage *request, GError **error)
{
  IpcRequestToken *token = ipc_message_get_token (request);

  if (!ipc_error_check_fork (self->generation, self->peer_name, error))
    return NULL;
  if (token != NULL && token->connection == G_OBJECT (self))
    return token;
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "the message \"%s\" is not a request that came through this connection", request->type);
  return NULL;
}

/* A client does not stop reading while its replies are not taken, because then neither side might read. So
 * there is an end to what waits for a peer that asks and never listens. */
void
ipc_request_check_overflow (IpcConnection *self)
{
  gsize limit = (gsize) self->limits.max_queued_bytes + self->limits.max_message_size;
  gsize queued;

  if (self->is_server_side)
    return;
  g_mutex_lock (&self->lock);
  queued = ipc_outbox_get_load (&self->outbox);
  g_mutex_unlock (&self->lock);
  if (queued > limit)
    ipc_connection_shut (self, g_error_new (IPC_ERROR, IPC_ERROR_FULL, "%s: %" G_GSIZE_FORMAT " bytes of replies exceed the limit of %" G_GSIZE_FORMAT,
                                            self->peer_name, queued, limit), FALSE);
}

static gboolean
put_reply_locked (IpcConnection *self, IpcRequestToken *token, IpcMessage *message, GError **error)
{
  IpcEnvelope envelope = { IPC_FRAME_REPLY, 0, token->serial, token->id };

  if (!token->is_json && ipc_connection_takes_plain_reply_locked (self, message))
    {
      ipc_connection_put_plain_locked (self, message, IPC_FRAME_REPLY, 0, token->serial);
      return TRUE;
    }
  if (!ipc_connection_check_open_locked (self, error) || !ipc_connection_check_size_locked (self, message, error))
    return FALSE;
  return token->is_json ? ipc_json_write_message_locked (self, message, &envelope, error)
                        : ipc_binary_write_message_locked (self, message, &envelope, error);
}

static gboolean
write_reply (IpcConnection *self, IpcRequestToken *token, IpcMessage *message, GError **error)
{
  gboolean written;

  g_mutex_lock (&self->lock);
  written = put_reply_locked (self, token, message, error);
  if (written)
    ipc_connection_note_sent_locked (self);
  if (written || self->state != IPC_CONNECTION_OPEN)
    let_go_locked (self, token);
  g_mutex_unlock (&self->lock);
  ipc_request_check_overflow (self);
  return written;
}

gboolean
ipc_request_answer (IpcConnection *self, IpcRequestToken *token, IpcMessage *message, GError **error)
{
  if (!take_answer (self, token, error))
    return FALSE;
  if (write_reply (self, token, message, error))
    return TRUE;
  g_atomic_int_set (&token->answered, FALSE);
  return FALSE;
}

/**
 * ipc_connection_reply:
 * @self: the connection that @request came through
 * @request: the request
 * @message: the reply
 * @error: where to put an error
 *
 * Answers a request, now or later, from any thread.
 *
 * A request is answered exactly once; the second time is an error
 * (%IPC_ERROR_ALREADY). If the reply cannot be sent as it is, because it is too
 * large or malformed, the request can still be answered with another one.
 *
 * Returns: %TRUE if the reply was queued
 *
 * Since: 0.1
 */
gboolean
ipc_connection_reply (IpcConnection *self, IpcMessage *request, IpcMessage *message, GError **error)
{
  IpcRequestToken *token;

  g_return_val_if_fail (ipc_connection_is_one (self), FALSE);
  g_return_val_if_fail (request != NULL && message != NULL, FALSE);

  token = get_token (self, request, error);
  return token != NULL && ipc_message_check (message, FALSE, error) && ipc_request_answer (self, token, message, error);
}

/**
 * ipc_connection_reply_error:
 * @self: the connection that @request came through
 * @request: the request
 * @reason: why there is no reply
 * @error: where to put an error
 *
 * Answers a request with an error, now or later, from any thread.
 *
 * The peer gets the text of @reason. Its code arrives as it is if it is
 * %IPC_ERROR_UNKNOWN_TYPE, %IPC_ERROR_INVALID_DATA, %IPC_ERROR_TOO_LARGE,
 * %IPC_ERROR_FULL or %G_IO_ERROR_CANCELLED, and as %IPC_ERROR_REMOTE otherwise.
 *
 * Returns: %TRUE if the error was queued
 *
 * Since: 0.1
 */
gboolean
ipc_connection_reply_error (IpcConnection *self, IpcMessage *request, const GError *reason, GError **error)
{
  IpcRequestToken *token;

  g_return_val_if_fail (IPC_IS_CONNECTION (self), FALSE);
  g_return_val_if_fail (request != NULL && reason != NULL, FALSE);

  token = get_token (self, request, error);
  return token != NULL && take_answer (self, token, error) && write_error (self, token, token->id, reason, error);
}
