/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-handed-out-private.h"

struct _IpcHandedOut
{
  GHashTable *refs;             /* (owned) name → GWeakRef */
};

static void
weak_ref_free (gpointer data)
{
  g_weak_ref_clear (data);
  g_free (data);
}

IpcHandedOut *
ipc_handed_out_new (void)
{
  IpcHandedOut *self = g_new0 (IpcHandedOut, 1);

  self->refs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, weak_ref_free);
  return self;
}

void
ipc_handed_out_free (IpcHandedOut *self)
{
  g_hash_table_unref (self->refs);
  g_free (self);
}

void
ipc_handed_out_add (IpcHandedOut *self, const char *name, gpointer object)
{
  GWeakRef *ref = g_new0 (GWeakRef, 1);

  g_weak_ref_init (ref, object);
  g_hash_table_replace (self->refs, g_strdup (name), ref);
}

gpointer
ipc_handed_out_get (IpcHandedOut *self, const char *name)
{
  GWeakRef *ref = g_hash_table_lookup (self->refs, name);

  return ref != NULL ? g_weak_ref_get (ref) : NULL;
}

GPtrArray *
ipc_handed_out_snapshot (IpcHandedOut *self)
{
  GPtrArray *all = g_ptr_array_new_with_free_func (g_object_unref);
  GHashTableIter iter;
  gpointer ref;

  g_hash_table_iter_init (&iter, self->refs);
  while (g_hash_table_iter_next (&iter, NULL, &ref))
    {
      gpointer object = g_weak_ref_get (ref);

      if (object != NULL)
        g_ptr_array_add (all, object);
      else
        g_hash_table_iter_remove (&iter);
    }
  return all;
}
