/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-memory-private.h"

#include "ipc-error.h"

#define LEASE_MS 300000         /* who has not acknowledged by then, and not asked for more, has lost it */
#define DEDUP_WINDOW_US (300 * G_USEC_PER_SEC)
#define MAX_DEDUP 100000u
#define MAX_DEAD 10000u

typedef enum
{
  READY,
  DELAYED,
  LEASED,
} State;

typedef struct
{
  IpcTimer expiry;              /* first, so that this timer leads here */
  IpcTimer turn;                /* of the delay, or of the lease */
  GList link;                   /* while it is READY */
  IpcQueueItem *item;           /* (owned) */
  State state;
} Entry;

/* That a dedup id was seen. */
typedef struct
{
  char *dedup_id;               /* (owned) */
  guint64 id;
  gint64 until;                 /* monotonic, µs */
} Memory;

static Entry *
entry_of_turn (IpcTimer *turn)
{
  return (Entry *) ((guint8 *) turn - G_STRUCT_OFFSET (Entry, turn));
}

static void
memory_free (gpointer data)
{
  Memory *memory = data;

  g_free (memory->dedup_id);
  g_free (memory);
}

static void
tell (IpcQueueMemory *self, IpcQueueEvent event, IpcQueueItem *item)
{
  if (self->event != NULL)
    self->event (self->event_data, event, self->name, item);
}

/* ---- where an entry is ---- */

static GQueue *
get_ready (IpcQueueMemory *self, const Entry *entry)
{
  return &self->ready[entry->item->priority - 1];
}

static guint64
id_of (const GList *link)
{
  return ((const Entry *) link->data)->item->id;
}

/* In the order of ids. What is new goes to the end, what comes back mostly to the beginning. */
static void
insert_ready (GQueue *ready, Entry *entry)
{
  guint64 id = entry->item->id;
  GList *after;

  if (ready->tail == NULL || id_of (ready->tail) < id)
    {
      g_queue_push_tail_link (ready, &entry->link);
      return;
    }
  if (id - MIN (id_of (ready->head), id) <= id_of (ready->tail) - id)
    for (after = ready->head; after != NULL && id_of (after) < id; after = after->next)
      ;
  else
    {
      for (after = ready->tail; after->prev != NULL && id_of (after->prev) > id; after = after->prev)
        ;
    }
  g_queue_insert_before_link (ready, after, &entry->link);
}

static void
take_out (IpcQueueMemory *self, Entry *entry)
{
  switch (entry->state)
    {
    case READY:
      g_queue_unlink (get_ready (self, entry), &entry->link);
      self->counts.ready--;
      break;
    case DELAYED:
      ipc_timer_queue_set (&self->delays, &entry->turn, 0);
      self->counts.delayed--;
      break;
    case LEASED:
      ipc_timer_queue_set (&self->leases, &entry->turn, 0);
      g_hash_table_remove (self->leased, &entry->item->id);
      self->counts.unacked--;
      break;
    default:
      g_assert_not_reached ();
    }
}

static void
put_ready (IpcQueueMemory *self, Entry *entry)
{
  entry->state = READY;
  insert_ready (get_ready (self, entry), entry);
  self->counts.ready++;
}

static void
put_delayed (IpcQueueMemory *self, Entry *entry, gint64 due)
{
  entry->state = DELAYED;
  ipc_timer_queue_set (&self->delays, &entry->turn, due);
  self->counts.delayed++;
}

static void
put_leased (IpcQueueMemory *self, Entry *entry, gint64 due)
{
  entry->state = LEASED;
  ipc_timer_queue_set (&self->leases, &entry->turn, due);
  g_hash_table_insert (self->leased, &entry->item->id, entry);
  self->counts.unacked++;
}

/* It is in none of them any more. */
static void
entry_free (IpcQueueMemory *self, Entry *entry)
{
  ipc_timer_queue_set (&self->expiries, &entry->expiry, 0);
  self->counts.bytes -= entry->item->bytes;
  ipc_queue_item_unref (entry->item);
  g_slice_free (Entry, entry);
}

/* What was handed out does not change. */
static IpcQueueItem *
get_own_item (Entry *entry)
{
  IpcQueueItem *copy;

  if (g_atomic_int_get (&entry->item->ref_count) == 1)
    return entry->item;
  copy = ipc_queue_item_copy (entry->item);
  ipc_queue_item_unref (entry->item);
  entry->item = copy;
  return copy;
}

/* ---- ends ---- */

static void
bury (IpcQueueMemory *self, Entry *entry, const char *reason)
{
  IpcQueueItem *item = get_own_item (entry);

  g_free (item->reason);
  item->reason = g_strdup (reason);
  item->died_at = g_get_real_time ();
  g_queue_push_tail (&self->dead, ipc_queue_item_ref (item));
  if (self->dead.length > MAX_DEAD)
    ipc_queue_item_unref (g_queue_pop_head (&self->dead));
  self->counts.dead = self->dead.length;
  tell (self, IPC_QUEUE_EVENT_DEAD, item);
  entry_free (self, entry);
}

/* Its time has come while it was leased. */
static gboolean
has_expired (const Entry *entry)
{
  return entry->item->expires_at != 0 && entry->expiry.slot == 0;
}

static void
drop_expired (IpcQueueMemory *self, Entry *entry)
{
  tell (self, IPC_QUEUE_EVENT_EXPIRED, entry->item);
  entry_free (self, entry);
}

/* It was delivered, and nothing came of it. ENTRY is in none of the lists. */
static void
come_back (IpcQueueMemory *self, Entry *entry, gint64 delay, const char *reason)
{
  if (has_expired (entry))
    {
      drop_expired (self, entry);
      return;
    }
  if (entry->item->attempt > self->limits->max_retries)
    {
      g_autofree char *text = g_strdup_printf ("%s, after %u attempts", reason, entry->item->attempt);

      bury (self, entry, text);
      return;
    }
  if (delay < 0)
    delay = ipc_queue_backoff (entry->item->attempt);
  if (delay > 0)
    put_delayed (self, entry, g_get_monotonic_time () + delay * 1000);
  else
    put_ready (self, entry);
  tell (self, IPC_QUEUE_EVENT_AVAILABLE, NULL);
}

/* ---- what is due ---- */

static void
wake_delayed (IpcQueueMemory *self, gint64 now)
{
  IpcTimer *turn;
  gboolean any = FALSE;

  for (; (turn = ipc_timer_queue_peek (&self->delays)) != NULL && turn->due <= now; any = TRUE)
    {
      Entry *entry = entry_of_turn (turn);

      take_out (self, entry);
      put_ready (self, entry);
    }
  if (any)
    tell (self, IPC_QUEUE_EVENT_AVAILABLE, NULL);
}

static void
end_leases (IpcQueueMemory *self, gint64 now)
{
  IpcTimer *turn;

  while ((turn = ipc_timer_queue_peek (&self->leases)) != NULL && turn->due <= now)
    {
      Entry *entry = entry_of_turn (turn);

      take_out (self, entry);
      get_own_item (entry)->lease = 0;
      come_back (self, entry, 0, "it was not acknowledged in time");
    }
}

/* One that is leased may still be acknowledged. */
static void
expire (IpcQueueMemory *self, gint64 now)
{
  IpcTimer *timer;

  while ((timer = ipc_timer_queue_peek (&self->expiries)) != NULL && timer->due <= now)
    {
      Entry *entry = (Entry *) timer;

      ipc_timer_queue_set (&self->expiries, timer, 0);
      if (entry->state == LEASED)
        continue;
      take_out (self, entry);
      drop_expired (self, entry);
    }
}

static gint64
earlier (gint64 a, const IpcTimer *timer)
{
  if (timer == NULL)
    return a;
  return a == 0 ? timer->due : MIN (a, timer->due);
}

/* What expires, expires before it comes back. */
gint64
ipc_queue_memory_tend (IpcQueueMemory *self)
{
  IpcTimer *delay = ipc_timer_queue_peek (&self->delays);
  IpcTimer *lease = ipc_timer_queue_peek (&self->leases);
  IpcTimer *expiry = ipc_timer_queue_peek (&self->expiries);
  gint64 next = earlier (earlier (earlier (0, delay), lease), expiry);
  gint64 now;

  if (next == 0 || next > (now = g_get_monotonic_time ()))
    return next;
  expire (self, now);
  end_leases (self, now);
  wake_delayed (self, now);
  /* What came back may have expired meanwhile. */
  return earlier (earlier (earlier (0, ipc_timer_queue_peek (&self->delays)), ipc_timer_queue_peek (&self->leases)),
                  ipc_timer_queue_peek (&self->expiries));
}

/* ---- publishing ---- */

static gint64
add_ms (gint64 to, gint64 ms)
{
  return ms > (G_MAXINT64 - to) / 1000 ? G_MAXINT64 : to + ms * 1000;
}

static guint
count_all (const IpcQueueMemory *self)
{
  return self->counts.ready + self->counts.delayed + self->counts.unacked;
}

static gboolean
has_room (const IpcQueueMemory *self, gsize bytes)
{
  return count_all (self) < self->limits->max_messages && bytes <= self->limits->max_bytes &&
         self->counts.bytes <= self->limits->max_bytes - bytes;
}

/* The oldest of those that matter least. FALSE: there is none that nobody has. */
static gboolean
drop_oldest (IpcQueueMemory *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->ready); i++)
    if (self->ready[i].head != NULL)
      {
        Entry *entry = self->ready[i].head->data;

        take_out (self, entry);
        drop_expired (self, entry);
        return TRUE;
      }
  return FALSE;
}

static gboolean
make_room (IpcQueueMemory *self, gsize bytes, GError **error)
{
  while (!has_room (self, bytes))
    if (self->limits->overflow_policy != IPC_OVERFLOW_POLICY_DROP_OLDEST || bytes > self->limits->max_bytes || !drop_oldest (self))
      {
        g_set_error (error, IPC_ERROR, IPC_ERROR_FULL,
                     "queue \"%s\" is full: %u messages of at most %u, %" G_GUINT64_FORMAT " bytes and %" G_GSIZE_FORMAT " more of at most %" G_GUINT64_FORMAT,
                     self->name, count_all (self), self->limits->max_messages, self->counts.bytes, bytes, self->limits->max_bytes);
        return FALSE;
      }
  return TRUE;
}

static void
forget_dedup (IpcQueueMemory *self)
{
  gint64 now = g_get_monotonic_time ();
  Memory *oldest;

  while ((oldest = g_queue_peek_head (&self->dedup_order)) != NULL && (oldest->until <= now || self->dedup_order.length > MAX_DEDUP))
    {
      g_queue_pop_head (&self->dedup_order);
      g_hash_table_remove (self->dedup, oldest->dedup_id);
    }
}

/* TRUE: it was published before; ITEM has its id then. */
static gboolean
is_duplicate (IpcQueueMemory *self, IpcQueueItem *item)
{
  Memory *memory;

  if (item->dedup_id == NULL)
    return FALSE;
  forget_dedup (self);
  memory = g_hash_table_lookup (self->dedup, item->dedup_id);
  if (memory != NULL)
    item->id = memory->id;
  return memory != NULL;
}

static void
remember_dedup (IpcQueueMemory *self, const IpcQueueItem *item)
{
  Memory *memory;

  if (item->dedup_id == NULL)
    return;
  memory = g_new0 (Memory, 1);
  memory->dedup_id = g_strdup (item->dedup_id);
  memory->id = item->id;
  memory->until = g_get_monotonic_time () + DEDUP_WINDOW_US;
  g_hash_table_insert (self->dedup, memory->dedup_id, memory);
  g_queue_push_tail (&self->dedup_order, memory);
}

static void
set_expiry (IpcQueueMemory *self, Entry *entry, gint64 ttl)
{
  if (ttl == 0)
    ttl = self->limits->message_ttl;
  if (ttl <= 0)
    return;
  entry->item->expires_at = add_ms (entry->item->created_at, ttl);
  ipc_timer_queue_set (&self->expiries, &entry->expiry, add_ms (g_get_monotonic_time (), ttl));
}

gboolean
ipc_queue_memory_publish (IpcQueueMemory *self, IpcQueueItem *item, gint64 ttl, gint64 delay, GError **error)
{
  Entry *entry;

  ipc_queue_memory_tend (self);
  if (is_duplicate (self, item))
    return TRUE;
  if (!has_room (self, item->bytes) && self->limits->overflow_policy == IPC_OVERFLOW_POLICY_DROP_NEWEST)
    {
      item->id = ++*self->last_id;
      tell (self, IPC_QUEUE_EVENT_EXPIRED, item);
      return TRUE;
    }
  if (!make_room (self, item->bytes, error))
    return FALSE;
  item->id = ++*self->last_id;
  entry = g_slice_new0 (Entry);
  entry->item = ipc_queue_item_ref (item);
  entry->link.data = entry;
  self->counts.bytes += item->bytes;
  self->counts.total++;
  self->counts.last_accessed = item->created_at;
  remember_dedup (self, item);
  set_expiry (self, entry, ttl);
  if (delay > 0)
    put_delayed (self, entry, add_ms (g_get_monotonic_time (), delay));
  else
    put_ready (self, entry);
  tell (self, IPC_QUEUE_EVENT_PUBLISHED, item);
  return TRUE;
}

/* ---- taking ---- */

static Entry *
find_first (IpcQueueMemory *self)
{
  if (self->counts.ready == 0)
    return NULL;
  for (int i = G_N_ELEMENTS (self->ready) - 1; i >= 0; i--)
    if (self->ready[i].head != NULL)
      return self->ready[i].head->data;
  return NULL;
}

IpcQueueItem *
ipc_queue_memory_take (IpcQueueMemory *self, gint64 *next_at)
{
  static guint64 last_lease;
  Entry *entry;
  IpcQueueItem *item;

  *next_at = ipc_queue_memory_tend (self);
  entry = find_first (self);
  if (entry == NULL)
    return NULL;
  take_out (self, entry);
  item = get_own_item (entry);
  item->attempt++;
  item->lease = __atomic_add_fetch (&last_lease, 1, __ATOMIC_RELAXED);
  self->counts.last_accessed = g_get_real_time ();
  put_leased (self, entry, g_get_monotonic_time () + (gint64) LEASE_MS * 1000);
  return ipc_queue_item_ref (item);
}

/* (nullable): NULL with LEASE_LOST. */
static Entry *
find_leased (IpcQueueMemory *self, const IpcQueueItem *item, GError **error)
{
  Entry *entry;

  ipc_queue_memory_tend (self);
  entry = g_hash_table_lookup (self->leased, &item->id);
  if (entry != NULL && entry->item->lease == item->lease)
    return entry;
  g_set_error (error, IPC_ERROR, IPC_ERROR_LEASE_LOST,
               "queue \"%s\": message %" G_GUINT64_FORMAT " is not this delivery's any more (its attempt %u)", self->name, item->id, item->attempt);
  return NULL;
}

gboolean
ipc_queue_memory_ack (IpcQueueMemory *self, const IpcQueueItem *item, GError **error)
{
  Entry *entry = find_leased (self, item, error);

  if (entry == NULL)
    return FALSE;
  take_out (self, entry);
  entry_free (self, entry);
  return TRUE;
}

gboolean
ipc_queue_memory_nack (IpcQueueMemory *self, const IpcQueueItem *item, gint64 delay, gboolean counts, GError **error)
{
  Entry *entry = find_leased (self, item, error);

  if (entry == NULL)
    return FALSE;
  take_out (self, entry);
  if (!counts && has_expired (entry))
    drop_expired (self, entry);
  else if (!counts)
    {
      get_own_item (entry)->attempt--;
      put_ready (self, entry);
      tell (self, IPC_QUEUE_EVENT_AVAILABLE, NULL);
    }
  else
    come_back (self, entry, delay, "it was not acknowledged");
  return TRUE;
}

gboolean
ipc_queue_memory_reject (IpcQueueMemory *self, const IpcQueueItem *item, const char *reason, GError **error)
{
  Entry *entry = find_leased (self, item, error);

  if (entry == NULL)
    return FALSE;
  take_out (self, entry);
  bury (self, entry, reason != NULL ? reason : "rejected");
  return TRUE;
}

gboolean
ipc_queue_memory_extend (IpcQueueMemory *self, const IpcQueueItem *item, gint64 duration, GError **error)
{
  Entry *entry = find_leased (self, item, error);

  if (entry == NULL)
    return FALSE;
  ipc_timer_queue_set (&self->leases, &entry->turn, add_ms (g_get_monotonic_time (), duration));
  return TRUE;
}

/* ---- looking ---- */

static int
compare_turns (gconstpointer a, gconstpointer b)
{
  const IpcTimer *const *first = a;
  const IpcTimer *const *second = b;

  return (*first)->due < (*second)->due ? -1 : (*first)->due > (*second)->due;
}

static void
peek_delayed (IpcQueueMemory *self, guint max, GPtrArray *found)
{
  g_autoptr(GPtrArray) turns = g_ptr_array_new ();

  for (guint i = 0; i < self->delays.heap->len; i++)
    g_ptr_array_add (turns, self->delays.heap->pdata[i]);
  g_ptr_array_sort (turns, compare_turns);
  for (guint i = 0; i < turns->len && found->len < max; i++)
    g_ptr_array_add (found, ipc_queue_item_copy (entry_of_turn (turns->pdata[i])->item));
}

GPtrArray *
ipc_queue_memory_peek (IpcQueueMemory *self, guint max)
{
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_queue_item_unref);

  ipc_queue_memory_tend (self);
  for (int i = G_N_ELEMENTS (self->ready) - 1; i >= 0; i--)
    for (GList *link = self->ready[i].head; link != NULL && found->len < max; link = link->next)
      g_ptr_array_add (found, ipc_queue_item_copy (((Entry *) link->data)->item));
  if (found->len < max)
    peek_delayed (self, max, found);
  return found;
}

gint64
ipc_queue_memory_purge (IpcQueueMemory *self)
{
  gint64 n = 0;
  Entry *entry;

  for (; (entry = find_first (self)) != NULL; n++)
    {
      take_out (self, entry);
      entry_free (self, entry);
    }
  for (IpcTimer *turn; (turn = ipc_timer_queue_peek (&self->delays)) != NULL; n++)
    {
      entry = entry_of_turn (turn);
      take_out (self, entry);
      entry_free (self, entry);
    }
  return n;
}

/* ---- the dead ---- */

GPtrArray *
ipc_queue_memory_list_dead (IpcQueueMemory *self, guint max)
{
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_queue_item_unref);

  ipc_queue_memory_tend (self);
  for (GList *link = self->dead.head; link != NULL && found->len < max; link = link->next)
    g_ptr_array_add (found, ipc_queue_item_ref (link->data));
  return found;
}

/* As if it had never been delivered, and for good. */
static void
revive (IpcQueueMemory *self, IpcQueueItem *dead)
{
  Entry *entry = g_slice_new0 (Entry);

  entry->item = ipc_queue_item_copy (dead);
  entry->link.data = entry;
  entry->item->attempt = 0;
  entry->item->lease = 0;
  entry->item->expires_at = 0;
  entry->item->died_at = 0;
  g_clear_pointer (&entry->item->reason, g_free);
  self->counts.bytes += entry->item->bytes;
  put_ready (self, entry);
}

gint64
ipc_queue_memory_redrive (IpcQueueMemory *self, guint64 id, GError **error)
{
  gint64 n = 0;

  for (GList *link = self->dead.head, *next; link != NULL; link = next)
    {
      IpcQueueItem *item = link->data;

      next = link->next;
      if (id != 0 && item->id != id)
        continue;
      revive (self, item);
      ipc_queue_item_unref (item);
      g_queue_delete_link (&self->dead, link);
      n++;
    }
  self->counts.dead = self->dead.length;
  if (id != 0 && n == 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "queue \"%s\": there is no dead letter %" G_GUINT64_FORMAT, self->name, id);
      return -1;
    }
  if (n > 0)
    tell (self, IPC_QUEUE_EVENT_AVAILABLE, NULL);
  return n;
}

/* ---- the queue ---- */

IpcQueueMemory *
ipc_queue_memory_new (const char *name, const IpcQueueLimits *limits, guint64 *last_id)
{
  IpcQueueMemory *self = g_new0 (IpcQueueMemory, 1);

  self->name = g_strdup (name);
  self->limits = limits;
  self->last_id = last_id;
  self->counts.created_at = self->counts.last_accessed = g_get_real_time ();
  ipc_timer_queue_init (&self->delays);
  ipc_timer_queue_init (&self->leases);
  ipc_timer_queue_init (&self->expiries);
  self->leased = g_hash_table_new (g_int64_hash, g_int64_equal);
  self->dedup = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, memory_free);
  return self;
}

void
ipc_queue_memory_free (IpcQueueMemory *self)
{
  IpcTimer *turn;

  self->event = NULL;
  ipc_queue_memory_purge (self);
  while ((turn = ipc_timer_queue_peek (&self->leases)) != NULL)
    {
      Entry *entry = entry_of_turn (turn);

      take_out (self, entry);
      entry_free (self, entry);
    }
  g_queue_clear_full (&self->dead, (GDestroyNotify) ipc_queue_item_unref);
  g_queue_clear (&self->dedup_order);
  g_hash_table_unref (self->dedup);
  g_hash_table_unref (self->leased);
  ipc_timer_queue_clear (&self->delays);
  ipc_timer_queue_clear (&self->leases);
  ipc_timer_queue_clear (&self->expiries);
  g_free (self->name);
  g_free (self);
}
