/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-pulse-private.h"

#define FAST_MS 100
#define SLOW_MS 1000

struct _IpcPulse
{
  GMainContext *context;        /* (owned) */
  GSource *timer;               /* (owned) */
  guint interval;               /* ms */
  GPtrArray *clients;           /* (element-type IpcPulseClient) (not owned) */
};

/* One lock for all: it is taken when an object comes or goes, and at each tick. */
static GMutex lock;
static GHashTable *pulses;      /* (mutex lock) GMainContext → IpcPulse */

static gboolean tick_cb (gpointer user_data);

static void
start_locked (IpcPulse *self, guint interval)
{
  if (self->timer != NULL)
    g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
  self->interval = interval;
  /* Whole seconds are aligned, so that programs wake up together. */
  self->timer = interval == SLOW_MS ? g_timeout_source_new_seconds (1) : g_timeout_source_new (interval);
  g_source_set_callback (self->timer, tick_cb, self->context, NULL);
  g_source_set_static_name (self->timer, "ipc-pulse");
  g_source_attach (self->timer, self->context);
}

static IpcPulse *
find_or_make_locked (GMainContext *context)
{
  IpcPulse *self;

  if (pulses == NULL)
    pulses = g_hash_table_new (NULL, NULL);
  self = g_hash_table_lookup (pulses, context);
  if (self != NULL)
    return self;
  self = g_new0 (IpcPulse, 1);
  self->context = g_main_context_ref (context);
  self->clients = g_ptr_array_new ();
  g_hash_table_insert (pulses, context, self);
  start_locked (self, FAST_MS);
  return self;
}

/* (transfer full): the context, whose end may call anything. */
static GMainContext *
free_locked (IpcPulse *self)
{
  GMainContext *context = self->context;


  g_hash_table_remove (pulses, self->context);
  if (g_hash_table_size (pulses) == 0)
    g_clear_pointer (&pulses, g_hash_table_unref);
  g_source_destroy (self->timer);
  g_source_unref (self->timer);
  g_ptr_array_unref (self->clients);
  g_free (self);
  return context;
}

/* ---- ticking ---- */

typedef struct
{
  GObject *owner; /* (owned) */
  const IpcPulseFuncs *funcs;
} Look;

/* (transfer full): those that are there, each with a reference. */
static GArray *
snapshot (GMainContext *context)
{
  GArray *looks = g_array_new (FALSE, FALSE, sizeof (Look));
  IpcPulse *self;

  g_mutex_lock (&lock);
  self = pulses != NULL ? g_hash_table_lookup (pulses, context) : NULL;
  for (guint i = 0; self != NULL && i < self->clients->len; i++)
    {
      IpcPulseClient *client = self->clients->pdata[i];
      Look look = { g_weak_ref_get (&client->owner), client->funcs };

      if (look.owner != NULL)
        g_array_append_val (looks, look);
    }
  g_mutex_unlock (&lock);
  return looks;
}

static void
set_interval (GMainContext *context, guint interval)
{
  IpcPulse *self;

  g_mutex_lock (&lock);
  self = pulses != NULL ? g_hash_table_lookup (pulses, context) : NULL;
  if (self != NULL && self->interval != interval)
    start_locked (self, interval);
  g_mutex_unlock (&lock);
}

/* Objects may go, and the pulse with them, in whatever is called here. */
static gboolean
tick_cb (gpointer user_data)
{
  g_autoptr(GMainContext) context = g_main_context_ref (user_data);
  g_autoptr(GArray) looks = snapshot (context);
  gboolean any = FALSE;

  for (guint i = 0; i < looks->len; i++)
    {
      Look *look = &g_array_index (looks, Look, i);

      if (look->funcs->is_observed (look->owner))
        {
          any = TRUE;
          look->funcs->look (look->owner);
        }
      g_object_unref (look->owner);
    }
  set_interval (context, any ? FAST_MS : SLOW_MS);
  return G_SOURCE_CONTINUE;
}

/* ---- coming and going ---- */

void
ipc_pulse_add (IpcPulseClient *client, GMainContext *context, GObject *owner, const IpcPulseFuncs *funcs)
{
  g_weak_ref_init (&client->owner, owner);
  client->funcs = funcs;
  g_mutex_lock (&lock);
  client->pulse = find_or_make_locked (context != NULL ? context : g_main_context_default ());
  g_ptr_array_add (client->pulse->clients, client);
  g_mutex_unlock (&lock);
}

void
ipc_pulse_remove (IpcPulseClient *client)
{
  g_autoptr(GMainContext) context = NULL;

  if (client->pulse == NULL)
    return;
  g_mutex_lock (&lock);
  g_ptr_array_remove_fast (client->pulse->clients, client);
  if (client->pulse->clients->len == 0)
    context = free_locked (client->pulse);
  client->pulse = NULL;
  g_mutex_unlock (&lock);
  g_weak_ref_clear (&client->owner);
}

void
ipc_pulse_stir (IpcPulseClient *client)
{
  g_mutex_lock (&lock);
  if (client->pulse != NULL && client->pulse->interval != FAST_MS)
    start_locked (client->pulse, FAST_MS);
  g_mutex_unlock (&lock);
}
