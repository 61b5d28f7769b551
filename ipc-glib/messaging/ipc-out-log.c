/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-out-log-private.h"

/* Who seldom has much to say to all does with a small one. */
#define FIRST_SHEET 4096u
#define SHEET 65536u

static void
let_go (IpcOutSheet *sheet)
{
  if (g_atomic_int_dec_and_test (&sheet->ref_count))
    g_free (sheet);
}

void
ipc_out_log_clear (IpcOutLog *self)
{
  g_clear_pointer (&self->sheet, let_go);
}

static IpcOutSheet *
sheet_new (gsize capacity)
{
  IpcOutSheet *sheet = g_malloc (sizeof *sheet + capacity);

  *sheet = (IpcOutSheet){ .ref_count = 1, .capacity = capacity };
  return sheet;
}

guint8 *
ipc_out_log_add (IpcOutLog *self, gsize size)
{
  IpcOutSheet *sheet = self->sheet;

  /* All has been sent: the same memory is in the cache still. */
  if (sheet != NULL && g_atomic_int_get (&sheet->ref_count) == 1)
    sheet->end = 0;
  if (sheet == NULL || sheet->end + size > sheet->capacity)
    {
      gsize capacity = sheet != NULL ? SHEET : FIRST_SHEET;

      ipc_out_log_clear (self);
      sheet = self->sheet = sheet_new (MAX (capacity, size));
    }
  sheet->end += size;
  return sheet->data + sheet->end - size;
}

IpcOutSheet *
ipc_out_sheet_ref (IpcOutSheet *self, IpcBudget *budget)
{
  g_atomic_int_inc (&self->ref_count);
  if (g_atomic_int_add (&self->n_pieces, 1) == 0 && budget != NULL)
    __atomic_add_fetch (&budget->held, self->capacity, __ATOMIC_RELAXED);
  return self;
}

void
ipc_out_sheet_unref (IpcOutSheet *self, IpcBudget *budget)
{
  if (g_atomic_int_dec_and_test (&self->n_pieces) && budget != NULL)
    __atomic_sub_fetch (&budget->held, self->capacity, __ATOMIC_RELAXED);
  let_go (self);
}
