/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What becomes of an event for a peer that does not take what was sent to it.
 *
 * Only once there is no room is anything looked at here. What was dropped is counted, and only turned into a message
 * again if somebody wants to know of it.
 */
#include "messaging/ipc-plain-private.h"

static IpcMessage *
message_from_bytes (IpcConnection *self, GByteArray *bytes)
{
  if (self->wire_format == IPC_WIRE_FORMAT_JSON)
    return ipc_json_message_from_bytes (bytes->data, bytes->len);
  return ipc_binary_message_from_bytes (bytes->data, bytes->len);
}

/* Room for LENGTH bytes among those that cannot be dropped. */
static gboolean
can_make_room_locked (IpcConnection *self, gsize length)
{
  gsize stays = ipc_outbox_get_load (&self->outbox) - ipc_outbox_get_droppable (&self->outbox);

  return stays == 0 || stays + length <= ipc_connection_get_queue_limit_locked (self);
}

/* What is dropped joins DROPPED (nullable). */
static gboolean
make_room_locked (IpcConnection *self, gsize length, GPtrArray *dropped)
{
  if (!can_make_room_locked (self, length))
    return FALSE;
  while (self->outbox.queued > 0 && ipc_outbox_get_load (&self->outbox) + length > ipc_connection_get_queue_limit_locked (self))
    {
      g_autoptr (GByteArray) copy = dropped != NULL ? g_byte_array_new () : NULL;
      IpcMessage *message;

      if (!ipc_outbox_drop_event (&self->outbox, copy))
        return FALSE;
      self->messages_dropped++;
      message = copy != NULL ? message_from_bytes (self, copy) : NULL;
      if (message != NULL)
        g_ptr_array_add (dropped, message);
    }
  return TRUE;
}

/* There was no room a moment ago. ERROR is why. */
static IpcSendOutcome
overflow_locked (IpcConnection *self, IpcMessage *message, GPtrArray *dropped, GError **error)
{
  if (ipc_connection_send_locked (self, message, error))
    return IPC_SEND_QUEUED;
  if (!g_error_matches (*error, IPC_ERROR, IPC_ERROR_FULL) || self->limits.overflow_policy == IPC_OVERFLOW_POLICY_DISCONNECT)
    return IPC_SEND_FAILED;
  if (self->limits.overflow_policy == IPC_OVERFLOW_POLICY_DROP_OLDEST)
    {
      g_autoptr (GError) still = NULL;

      if (make_room_locked (self, IPC_FRAME_HEADER_SIZE + ipc_binary_get_length (message), dropped) &&
          ipc_connection_send_locked (self, message, &still))
        {
          g_clear_error (error);
          return IPC_SEND_QUEUED;
        }
    }
  g_clear_error (error);
  self->messages_dropped++;
  if (dropped != NULL)
    g_ptr_array_add (dropped, ipc_message_ref (message));
  return IPC_SEND_DROPPED;
}

static IpcSendOutcome
overflow (IpcConnection *self, IpcMessage *message, GError **error)
{
  g_autoptr (GObject) owner = g_weak_ref_get (&self->owner);
  gboolean tell = owner != NULL && self->owner_funcs->dropped != NULL && self->owner_funcs->dropped (owner, self, NULL);
  g_autoptr (GPtrArray) dropped = tell ? g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref) : NULL;
  IpcSendOutcome outcome;
  gboolean disconnect;

  g_mutex_lock (&self->lock);
  outcome = overflow_locked (self, message, dropped, error);
  disconnect = outcome == IPC_SEND_FAILED && self->limits.overflow_policy == IPC_OVERFLOW_POLICY_DISCONNECT;
  g_mutex_unlock (&self->lock);
  if (disconnect && g_error_matches (*error, IPC_ERROR, IPC_ERROR_FULL))
    ipc_connection_shut (self, g_error_copy (*error), FALSE);
  for (guint i = 0; dropped != NULL && i < dropped->len; i++)
    self->owner_funcs->dropped (owner, self, g_ptr_array_index (dropped, i));
  return outcome;
}

IpcSendOutcome
ipc_connection_send_event (IpcConnection *self, IpcMessage *message, GError **error)
{
  GError *reason = NULL;
  IpcSendOutcome outcome;
  gboolean rejects, sent;

  g_mutex_lock (&self->lock);
  rejects = self->limits.overflow_policy == IPC_OVERFLOW_POLICY_REJECT;
  sent = ipc_connection_send_locked (self, message, rejects ? error : &reason);
  g_mutex_unlock (&self->lock);
  if (sent || rejects)
    return sent ? IPC_SEND_QUEUED : IPC_SEND_FAILED;
  outcome = IPC_SEND_FAILED;
  if (g_error_matches (reason, IPC_ERROR, IPC_ERROR_FULL))
    {
      g_clear_error (&reason);
      outcome = overflow (self, message, &reason);
    }
  if (reason != NULL)
    g_propagate_error (error, reason);
  return outcome;
}

/* What may be dropped again for what is newer, and what nobody may hold while room is short, is not shared. */
IpcSendOutcome
ipc_connection_send_shared (IpcConnection *self, IpcMessage *message, IpcOutSheet *sheet, gsize size)
{
  gboolean sent;

  g_mutex_lock (&self->lock);
  sent = ipc_connection_takes_plain_locked (self, message) && ipc_connection_keeps_events_locked (self);
  if (sent)
    {
      ipc_outbox_add_shared (&self->outbox, sheet, size);
      ipc_connection_note_sent_locked (self);
    }
  g_mutex_unlock (&self->lock);
  return sent ? IPC_SEND_QUEUED : ipc_connection_send_event (self, message, NULL);
}

void
ipc_connection_set_overflow_policy (IpcConnection *self, IpcOverflowPolicy policy)
{
  g_mutex_lock (&self->lock);
  self->limits.overflow_policy = policy;
  g_mutex_unlock (&self->lock);
}

void
ipc_connection_count_dropped (IpcConnection *self, IpcMessage *message)
{
  g_autoptr (GObject) owner = g_weak_ref_get (&self->owner);

  g_mutex_lock (&self->lock);
  self->messages_dropped++;
  g_mutex_unlock (&self->lock);
  if (owner != NULL && self->owner_funcs->dropped != NULL && self->owner_funcs->dropped (owner, self, NULL))
    self->owner_funcs->dropped (owner, self, message);
}
