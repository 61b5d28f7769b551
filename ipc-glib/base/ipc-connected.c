/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-connected-private.h"

#include <gio/gio.h>

guint ipc_connected_bit;

static void
do_nothing (void)
{
}

/* Exactly one bit has to come with the first handler, stay with the second, and not go with either. */
static guint
find_bit (void)
{
  g_autoptr (GCancellable) object = g_cancellable_new ();
  guint before = ipc_connected_get_word (object);
  gulong first = g_signal_connect (object, "cancelled", do_nothing, NULL);
  guint bit = ipc_connected_get_word (object) ^ before;
  gulong second = g_signal_connect (object, "notify", do_nothing, NULL);

  if ((before & bit) != 0 || !g_bit_storage (bit) || (bit & (bit - 1)) != 0)
    bit = 0;
  bit &= ipc_connected_get_word (object);
  g_signal_handler_disconnect (object, first);
  g_signal_handler_disconnect (object, second);
  return bit & ipc_connected_get_word (object);
}

void
ipc_connected_learn (void)
{
  static gsize learned;

  if (!g_once_init_enter (&learned))
    return;
  if (IPC_CONNECTED_HAS_WORD)
    ipc_connected_bit = find_bit ();
  g_once_init_leave (&learned, 1);
}
