/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names, and the escaping of foreign bytes in error messages: the input is the
 * name, up to its first NUL.
 */
#include "fuzz.h"

#include <string.h>

#include "core/ipc-name.h"

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static gboolean
is_name (const char *name)
{
  gsize size = strlen (name);

  return size >= 1 && size <= 64 && strspn (name, ALPHABET) == size && strchr (".-", name[0]) == NULL;
}

static void
assert_printable (const char *text)
{
  for (; *text != '\0'; text++)
    g_assert_true (g_ascii_isprint (*text));
}

static void
check_name (const char *name)
{
  IpcFault fault = { 0 };

  g_assert_cmpint (ipc_name_check (name, &fault), ==, is_name (name));
  g_assert_cmpint (fault.code, ==, is_name (name) ? IPC_FAULT_NONE : IPC_FAULT_INVALID_NAME);
  assert_printable (fault.message);
}

/* In buffers of every small size, each of them a heap block. */
static void
check_escape (const uint8_t *data, size_t size)
{
  for (gsize room = 8; room < 40; room += 3)
    {
      g_autofree char *shown = g_malloc (room);

      g_assert_true (ipc_fault_escape (shown, room, data, size) == shown);
      g_assert_cmpuint (strlen (shown), <, room);
      assert_printable (shown);
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *name = g_strndup (size > 0 ? (const char *) data : "", size);

  check_name (name);
  check_escape (data, size);
  return 0;
}
