/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The requests: each is read and checked in the context, done where the store does its work, and answered when it is done.
 */
#include "queue/ipc-queue-host-private.h"

#include "base/ipc-error-private.h"
#include "core/ipc-name.h"
#include "messaging/ipc-message-private.h"
#include "queue/ipc-queue-wire-private.h"

#define MAX_FOUND 1000u         /* messages that are looked at at once */
#define MAX_REPLY_BYTES (1024u * 1024)

typedef struct _HostCall HostCall;

typedef struct
{
  const char *name;
  const char *arguments;        /* the type of the payload */
  /* (nullable): what there is to read beside the name of the queue. */
  gboolean (*read) (HostCall *self, GVariant *arguments, GError **error);
  gboolean (*run) (HostCall *self, GError **error);
  /* (nullable): the payload of the reply; NULL with ERROR. */
  GVariant *(*reply) (HostCall *self, GError **error);
} Request;

struct _HostCall
{
  IpcQueueWork work;
  IpcQueuePeer *peer;           /* (owned) */
  IpcMessage *request;          /* (owned) */
  const Request *kind;

  char *queue;                  /* (owned) "" where there is none */
  guint max;
  guint64 id;
  gint64 ttl, delay;
  char *reason;                 /* (owned) (nullable) */
  guint64 tag;
  gboolean is_wanted;
  IpcQueueItem *item;           /* (owned) (nullable) what it has taken */
  GPtrArray *items;             /* (owned) (nullable) what is published, or was found */

  guint n_done;
  gint64 n;
  gint64 next_at;
  char **names;                 /* (owned) (nullable) */
  IpcQueueCounts counts;
  IpcQueueLimits limits;
  GError *partly;               /* (owned) (nullable) why not all of them were published */
};

#define STORE_OF(call) ((call)->peer->host->center->store)
#define STORE_DO(call, func, ...) IPC_QUEUE_STORE_GET_IFACE (STORE_OF (call))->func (STORE_OF (call), (call)->queue, __VA_ARGS__)

static void
host_call_free (HostCall *self)
{
  ipc_queue_peer_unref (self->peer);
  ipc_message_unref (self->request);
  g_free (self->queue);
  g_free (self->reason);
  g_clear_pointer (&self->item, ipc_queue_item_unref);
  g_clear_pointer (&self->items, g_ptr_array_unref);
  g_strfreev (self->names);
  g_clear_error (&self->partly);
  g_free (self);
}

static GVariant *
new_nothing (void)
{
  return g_variant_new_tuple (NULL, 0);
}

/* ---- who serves ---- */

static gboolean
run_nothing (HostCall *self, GError **error)
{
  return TRUE;
}

static gboolean
read_hello (HostCall *self, GVariant *arguments, GError **error)
{
  self->limits = self->peer->host->manager->limits;
  return TRUE;
}

static GVariant *
reply_hello (HostCall *self, GError **error)
{
  const IpcQueueLimits *limits = &self->limits;
  GVariantBuilder features;

  g_variant_builder_init (&features, G_VARIANT_TYPE ("au"));
  for (guint i = 0; i <= IPC_QUEUE_FEATURE_SUBSCRIBE; i++)
    if (IPC_QUEUE_STORE_GET_IFACE (STORE_OF (self))->supports (STORE_OF (self), i))
      g_variant_builder_add (&features, "u", i);
  return g_variant_new (IPC_QUEUE_WIRE_HELLO, IPC_QUEUE_WIRE_VERSION, (guint64) limits->max_bytes, limits->message_ttl, limits->max_messages,
                        limits->max_retries, (guint32) limits->overflow_policy, &features);
}

/* ---- queues ---- */

static gboolean
read_create (HostCall *self, GVariant *arguments, GError **error)
{
  return ipc_manager_check_room (IPC_MANAGER (self->peer->host->manager), error);
}

static gboolean
run_create (HostCall *self, GError **error)
{
  return IPC_QUEUE_STORE_GET_IFACE (STORE_OF (self))->create_queue (STORE_OF (self), self->queue, error);
}

static gboolean
run_has (HostCall *self, GError **error)
{
  return IPC_QUEUE_STORE_GET_IFACE (STORE_OF (self))->has_queue (STORE_OF (self), self->queue, error);
}

static gboolean
run_delete (HostCall *self, GError **error)
{
  return IPC_QUEUE_STORE_GET_IFACE (STORE_OF (self))->delete_queue (STORE_OF (self), self->queue, error);
}

static GVariant *
reply_opened (HostCall *self, GError **error)
{
  return ipc_queue_peer_mark (self->peer, self->queue, IPC_QUEUE_PEER_OPENED, error) ? new_nothing () : NULL;
}

static gboolean
run_list (HostCall *self, GError **error)
{
  g_clear_pointer (&self->names, g_strfreev);
  self->names = IPC_QUEUE_STORE_GET_IFACE (STORE_OF (self))->list_queues (STORE_OF (self), error);
  return self->names != NULL;
}

static GVariant *
reply_list (HostCall *self, GError **error)
{
  return g_variant_new ("(^as)", self->names);
}

/* Who counts wants to know when there is something new to count. */
static gboolean
read_watched (HostCall *self, GVariant *arguments, GError **error)
{
  return ipc_queue_peer_mark (self->peer, self->queue, IPC_QUEUE_PEER_WAITING, error);
}

static gboolean
run_count (HostCall *self, GError **error)
{
  return STORE_DO (self, count, &self->counts, error);
}

static GVariant *
reply_count (HostCall *self, GError **error)
{
  const IpcQueueCounts *counts = &self->counts;

  return g_variant_new (IPC_QUEUE_WIRE_COUNTS, counts->ready, counts->delayed, counts->unacked, counts->dead, counts->total, counts->bytes,
                        counts->created_at, counts->last_accessed, ipc_queue_wire_from_time (counts->next_at));
}

static gboolean
read_subscribe (HostCall *self, GVariant *arguments, GError **error)
{
  g_variant_get (arguments, "(&sb)", NULL, &self->is_wanted);
  return TRUE;
}

static GVariant *
reply_subscribe (HostCall *self, GError **error)
{
  if (!self->is_wanted)
    ipc_queue_peer_unmark (self->peer, self->queue, IPC_QUEUE_PEER_SUBSCRIBED);
  else if (!ipc_queue_peer_mark (self->peer, self->queue, IPC_QUEUE_PEER_SUBSCRIBED, error))
    return NULL;
  return new_nothing ();
}

/* ---- publishing ---- */

static gboolean
check_times (HostCall *self, GError **error)
{
  if (self->ttl >= -1 && self->delay >= 0)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "queue \"%s\": a ttl of %" G_GINT64_FORMAT " ms and a delay of %" G_GINT64_FORMAT " ms",
               self->queue, self->ttl, self->delay);
  return FALSE;
}

/* What could not be handed out again is not let in. */
static gboolean
check_size (HostCall *self, const IpcQueueItem *item, GError **error)
{
  guint limit = ipc_server_get_max_message_size (self->peer->host->server);

  if (item->bytes + IPC_QUEUE_WIRE_OVERHEAD <= limit)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE, "queue \"%s\": a message that counts as %" G_GSIZE_FORMAT " bytes and %u more, of at most %u",
               self->queue, item->bytes, IPC_QUEUE_WIRE_OVERHEAD, limit);
  return FALSE;
}

static gboolean
read_publish (HostCall *self, GVariant *arguments, GError **error)
{
  g_autoptr(GVariant) items = NULL;
  GVariantIter iter;
  GVariant *value;
  gboolean fine;

  g_variant_get (arguments, "(&sxx@a" IPC_QUEUE_WIRE_NEW_ITEM ")", NULL, &self->ttl, &self->delay, &items);
  fine = check_times (self, error);
  self->items = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_queue_item_unref);
  g_variant_iter_init (&iter, items);
  while (fine && (value = g_variant_iter_next_value (&iter)) != NULL)
    {
      IpcQueueItem *item = ipc_queue_wire_unpack_new (value, error);

      fine = item != NULL && check_size (self, item, error);
      if (item != NULL)
        g_ptr_array_add (self->items, item);
      g_variant_unref (value);
    }
  return fine;
}

/* Those that are there are told of, also where the others are not. */
static gboolean
run_publish (HostCall *self, GError **error)
{
  g_autoptr(GError) reason = NULL;

  self->n_done = 0;
  g_clear_error (&self->partly);
  if (STORE_DO (self, publish, (IpcQueueItem *const *) self->items->pdata, self->items->len, self->ttl, self->delay, &self->n_done, &reason))
    return TRUE;
  if (self->n_done > 0)
    self->partly = g_steal_pointer (&reason);
  else
    g_propagate_error (error, g_steal_pointer (&reason));
  return self->n_done > 0;
}

static GVariant *
reply_publish (HostCall *self, GError **error)
{
  GVariantBuilder ids;

  g_variant_builder_init (&ids, G_VARIANT_TYPE ("at"));
  for (guint i = 0; i < self->n_done; i++)
    g_variant_builder_add (&ids, "t", ((IpcQueueItem *) self->items->pdata[i])->id);
  return g_variant_new (IPC_QUEUE_WIRE_PUBLISHED, &ids, self->partly != NULL ? ipc_queue_wire_get_nick (self->partly) : "",
                        self->partly != NULL ? self->partly->message : "");
}

/* ---- taking ---- */

/* Before the store is asked, so that nothing that comes meanwhile is missed. */
static gboolean
read_take (HostCall *self, GVariant *arguments, GError **error)
{
  guint max;

  g_variant_get (arguments, "(&su)", NULL, &max);
  self->max = ipc_queue_peer_get_room (self->peer, MIN (max, IPC_QUEUE_TAKE_MAX));
  if (self->max > 0)
    return read_watched (self, arguments, error);
  g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "queue \"%s\": %u messages are asked for, and too many are not settled", self->queue, max);
  return FALSE;
}

static gboolean
run_take (HostCall *self, GError **error)
{
  IpcQueueItem *items[IPC_QUEUE_TAKE_MAX];
  g_autoptr(GError) reason = NULL;
  guint n;

  g_clear_pointer (&self->items, g_ptr_array_unref);
  self->items = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_queue_item_unref);
  self->next_at = 0;
  n = STORE_DO (self, take, items, self->max, &self->next_at, &reason);
  for (guint i = 0; i < n; i++)
    g_ptr_array_add (self->items, items[i]);
  if (reason == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

/* How many of them fit in a reply. */
static guint
count_fitting (HostCall *self)
{
  gsize bytes = 0;
  guint n;

  for (n = 0; n < self->items->len; n++)
    {
      IpcQueueItem *item = self->items->pdata[n];

      bytes += item->bytes;
      if (n == 0 ? !check_size (self, item, NULL) : bytes > MAX_REPLY_BYTES)
        break;
    }
  return n;
}

static void
give_back (HostCall *self, guint from, gboolean counts)
{
  for (guint i = from; i < self->items->len; i++)
    ipc_queue_center_give_back (self->peer->host->center, self->queue, self->items->pdata[i], counts);
}

/* FALSE: it is gone. */
static gboolean
pack_taken (HostCall *self, guint n, GVariantBuilder *builder)
{
  for (guint i = 0; i < n; i++)
    {
      guint64 tag = ipc_queue_peer_hold (self->peer, self->queue, self->items->pdata[i]);

      if (tag == 0)
        {
          give_back (self, i, FALSE);
          return FALSE;
        }
      g_variant_builder_add_value (builder, ipc_queue_wire_pack (self->items->pdata[i], tag));
    }
  give_back (self, n, FALSE);
  return TRUE;
}

static GVariant *
reply_take (HostCall *self, GError **error)
{
  guint n = count_fitting (self);
  GVariantBuilder builder;

  if (self->items->len > 0 && n == 0)
    {
      check_size (self, self->items->pdata[0], error);
      give_back (self, 0, TRUE);
      return NULL;
    }
  /* Who got less than was asked for waits for more. */
  if (self->items->len == self->max)
    ipc_queue_peer_unmark (self->peer, self->queue, IPC_QUEUE_PEER_WAITING);
  if (n < self->items->len)
    self->next_at = g_get_monotonic_time ();
  g_variant_builder_init (&builder, G_VARIANT_TYPE (IPC_QUEUE_WIRE_FOUND));
  if (pack_taken (self, n, &builder))
    return g_variant_new (IPC_QUEUE_WIRE_TAKEN, &builder, ipc_queue_wire_from_time (self->next_at));
  g_variant_builder_clear (&builder);
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "queue \"%s\": the client is gone", self->queue);
  return NULL;
}

/* ---- settling ---- */

static gboolean
find_held (HostCall *self, GError **error)
{
  self->item = ipc_queue_peer_find (self->peer, self->queue, self->tag);
  if (self->item != NULL)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_LEASE_LOST, "queue \"%s\": message %" G_GUINT64_FORMAT " is not this client's (any more)", self->queue, self->id);
  return FALSE;
}

static gboolean
read_ack (HostCall *self, GVariant *arguments, GError **error)
{
  g_variant_get (arguments, "(&stt)", NULL, &self->id, &self->tag);
  if (!find_held (self, error))
    return FALSE;
  self->work.acked = self->item;
  self->work.queue = self->queue;
  return TRUE;
}

static gboolean
run_ack (HostCall *self, GError **error)
{
  return STORE_DO (self, ack, self->item, error);
}

static gboolean
read_nack (HostCall *self, GVariant *arguments, GError **error)
{
  g_variant_get (arguments, "(&sttxb)", NULL, &self->id, &self->tag, &self->delay, &self->is_wanted);
  if (self->delay >= -1)
    return find_held (self, error);
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "queue \"%s\": a delay of %" G_GINT64_FORMAT " ms", self->queue, self->delay);
  return FALSE;
}

static gboolean
run_nack (HostCall *self, GError **error)
{
  return STORE_DO (self, nack, self->item, self->delay, self->is_wanted, error);
}

static gboolean
read_reject (HostCall *self, GVariant *arguments, GError **error)
{
  g_variant_get (arguments, "(&sttms)", NULL, &self->id, &self->tag, &self->reason);
  return find_held (self, error);
}

static gboolean
run_reject (HostCall *self, GError **error)
{
  return STORE_DO (self, reject, self->item, self->reason, error);
}

static gboolean
read_extend (HostCall *self, GVariant *arguments, GError **error)
{
  g_variant_get (arguments, "(&sttx)", NULL, &self->id, &self->tag, &self->delay);
  if (self->delay > 0)
    return find_held (self, error);
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "queue \"%s\": to extend by %" G_GINT64_FORMAT " ms", self->queue, self->delay);
  return FALSE;
}

static gboolean
run_extend (HostCall *self, GError **error)
{
  return STORE_DO (self, extend, self->item, self->delay, error);
}

static GVariant *
reply_settled (HostCall *self, GError **error)
{
  ipc_queue_peer_forget (self->peer, self->tag);
  return new_nothing ();
}

/* ---- looking ---- */

static gboolean
read_max (HostCall *self, GVariant *arguments, GError **error)
{
  g_variant_get (arguments, "(&su)", NULL, &self->max);
  self->max = MIN (self->max, MAX_FOUND);
  return TRUE;
}

static gboolean
run_peek (HostCall *self, GError **error)
{
  g_clear_pointer (&self->items, g_ptr_array_unref);
  self->items = STORE_DO (self, peek, self->max, error);
  return self->items != NULL;
}

static gboolean
run_dead (HostCall *self, GError **error)
{
  g_clear_pointer (&self->items, g_ptr_array_unref);
  self->items = STORE_DO (self, list_dead, self->max, error);
  return self->items != NULL;
}

/* As many as fit. */
static GVariant *
reply_found (HostCall *self, GError **error)
{
  guint n = count_fitting (self);
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE (IPC_QUEUE_WIRE_FOUND));
  for (guint i = 0; i < n; i++)
    g_variant_builder_add_value (&builder, ipc_queue_wire_pack (self->items->pdata[i], 0));
  return g_variant_new ("(" IPC_QUEUE_WIRE_FOUND ")", &builder);
}

static gboolean
run_purge (HostCall *self, GError **error)
{
  self->n = STORE_DO (self, purge, error);
  return self->n >= 0;
}

static gboolean
read_redrive (HostCall *self, GVariant *arguments, GError **error)
{
  g_variant_get (arguments, "(&st)", NULL, &self->id);
  return TRUE;
}

static gboolean
run_redrive (HostCall *self, GError **error)
{
  self->n = STORE_DO (self, redrive, self->id, error);
  return self->n >= 0;
}

static GVariant *
reply_number (HostCall *self, GError **error)
{
  return g_variant_new ("(x)", self->n);
}

/* ---- all of them ---- */

static const Request requests[] = {
  { "hello", "()", read_hello, run_nothing, reply_hello },
  { "create", "(s)", read_create, run_create, reply_opened },
  { "has", "(s)", NULL, run_has, reply_opened },
  { "delete", "(s)", NULL, run_delete, NULL },
  { "list", "()", NULL, run_list, reply_list },
  { "count", "(s)", read_watched, run_count, reply_count },
  { "subscribe", "(sb)", read_subscribe, run_has, reply_subscribe },
  { "publish", "(sxxa" IPC_QUEUE_WIRE_NEW_ITEM ")", read_publish, run_publish, reply_publish },
  { "take", "(su)", read_take, run_take, reply_take },
  { "ack", "(stt)", read_ack, run_ack, reply_settled },
  { "nack", "(sttxb)", read_nack, run_nack, reply_settled },
  { "reject", "(sttms)", read_reject, run_reject, reply_settled },
  { "extend", "(sttx)", read_extend, run_extend, NULL },
  { "peek", "(su)", read_max, run_peek, reply_found },
  { "purge", "(s)", NULL, run_purge, reply_number },
  { "dead", "(su)", read_max, run_dead, reply_found },
  { "redrive", "(st)", read_redrive, run_redrive, reply_number },
};

char *
ipc_queue_host_get_request (guint i)
{
  return i < G_N_ELEMENTS (requests) ? g_strconcat (IPC_QUEUE_REQUEST_PREFIX, requests[i].name, NULL) : NULL;
}

static const Request *
find_request (const char *type)
{
  for (guint i = 0; i < G_N_ELEMENTS (requests); i++)
    if (g_strcmp0 (type + strlen (IPC_QUEUE_REQUEST_PREFIX), requests[i].name) == 0)
      return &requests[i];
  g_assert_not_reached ();
}

/* ---- doing them ---- */

static gboolean
call_run (IpcQueueWork *work, GError **error)
{
  HostCall *self = (HostCall *) work;

  return self->kind->run (self, error);
}

static void
answer (HostCall *self, const char *type, GVariant *payload)
{
  g_autoptr(IpcMessage) message = ipc_message_new_variant (type, payload);

  /* Where it cannot be answered any more, it is gone, or about to be. */
  ipc_connection_reply (self->peer->connection, self->request, message, NULL);
}

/* What is somebody else's by now is nobody's to settle, and nothing comes of a queue that is not there. */
static void
note_failure (HostCall *self, const GError *error)
{
  gboolean is_missing = g_error_matches (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);

  if (self->item != NULL && (is_missing || g_error_matches (error, IPC_ERROR, IPC_ERROR_LEASE_LOST)))
    ipc_queue_peer_forget (self->peer, self->tag);
  if (self->item == NULL && is_missing && self->id == 0)
    ipc_queue_peer_unmark (self->peer, self->queue, IPC_QUEUE_PEER_WAITING | IPC_QUEUE_PEER_SUBSCRIBED);
}

/* Takes ERROR (nullable). */
static void
call_done (IpcQueueWork *work, GError *error)
{
  HostCall *self = (HostCall *) work;
  GVariant *payload = NULL;

  if (error == NULL)
    payload = self->kind->reply != NULL ? self->kind->reply (self, &error) : new_nothing ();
  if (error == NULL)
    answer (self, IPC_QUEUE_REPLY_TYPE, payload);
  else
    {
      note_failure (self, error);
      answer (self, IPC_QUEUE_FAILURE_TYPE, g_variant_new (IPC_QUEUE_WIRE_FAILURE, ipc_queue_wire_get_nick (error), error->message));
      g_error_free (error);
    }
  /* Who listens on this side looks what it has become. */
  ipc_queue_center_wake (self->peer->host->center);
  host_call_free (self);
}

static gboolean
check_queue (HostCall *self, GVariant *arguments, GError **error)
{
  IpcFault fault = { 0 };

  if (g_variant_n_children (arguments) > 0)
    g_variant_get_child (arguments, 0, "s", &self->queue);
  else
    {
      self->queue = g_strdup ("");
      return TRUE;
    }
  if (ipc_name_check (self->queue, &fault))
    return TRUE;
  ipc_error_set_fault (error, &fault, "queue");
  return FALSE;
}

static void
start (HostCall *self, GVariant *arguments)
{
  GError *error = NULL;

  if (check_queue (self, arguments, &error) && (self->kind->read == NULL || self->kind->read (self, arguments, &error)))
    ipc_queue_store_dispatch (STORE_OF (self), &self->work);
  else
    call_done (&self->work, error);
}

gboolean
ipc_queue_host_handle (IpcQueuePeer *peer, IpcMessage *request, GError **error)
{
  const Request *kind = find_request (ipc_message_get_message_type (request));
  GVariant *arguments = ipc_message_get_variant (request);
  HostCall *call;

  if (arguments == NULL || !g_variant_is_of_type (arguments, G_VARIANT_TYPE (kind->arguments)))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, IPC_QUEUE_REQUEST_PREFIX "%s takes a GVariant of type %s", kind->name, kind->arguments);
      return FALSE;
    }
  call = g_new0 (HostCall, 1);
  call->work = (IpcQueueWork){ call_run, call_done };
  call->peer = ipc_queue_peer_ref (peer);
  call->request = ipc_message_ref (request);
  call->kind = kind;
  start (call, arguments);
  return TRUE;
}

/* ---- events ---- */

IpcMessage *
ipc_queue_host_new_event (IpcQueueEvent event, const char *queue, const IpcQueueItem *item)
{
  GVariant *value = item != NULL ? ipc_queue_wire_pack (item, 0) : NULL;
  GVariant *maybe = g_variant_new_maybe (G_VARIANT_TYPE (IPC_QUEUE_WIRE_ITEM), value);

  return ipc_message_new_variant (IPC_QUEUE_EVENT_TYPE, g_variant_new ("(ys@m" IPC_QUEUE_WIRE_ITEM ")", (guint8) event, queue, maybe));
}
