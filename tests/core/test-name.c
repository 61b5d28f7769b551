/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names: every byte in every role, every length, and what the error says. */
#include <glib.h>
#include <string.h>

#include "core/ipc-name.h"

#include "ipc-test.h"

static void
assert_bad (const char *name, const char *message)
{
  IpcFault fault = { 0 };

  g_assert_false (ipc_name_check (name, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_INVALID_NAME);
  g_assert_cmpstr (fault.message, ==, message);
  g_assert_false (ipc_name_check (name, NULL));
}

static void
test_good (IpcTest *test)
{
  const char *names[] = { "a", "Z", "0", "_", "a.b", "a-b", "a.", "a-", "a..b", "A_B.c-9" };
  IpcFault fault = { .code = IPC_FAULT_NONE, .message = "untouched" };

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_true (ipc_name_check (names[i], &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_NONE);
  g_assert_cmpstr (fault.message, ==, "untouched");
}

static void
test_empty (IpcTest *test)
{
  assert_bad (NULL, "name is empty");
  assert_bad ("", "name is empty");
}

static void
test_lengths (IpcTest *test)
{
  for (gsize size = 1; size <= 300; size++)
    {
      g_autofree char *name = g_strnfill (size, 'n');
      IpcFault fault = { 0 };

      g_assert_cmpint (ipc_name_check (name, &fault), ==, size <= IPC_NAME_MAX);
      g_assert_cmpint (fault.code, ==, size <= IPC_NAME_MAX ? IPC_FAULT_NONE : IPC_FAULT_INVALID_NAME);
      if (size == 65)
        g_assert_true (g_str_has_suffix (fault.message, "\" has 65 bytes, limit 64"));
    }
}

static gboolean
is_expected (int c, gboolean first)
{
  return g_ascii_isalnum (c) || c == '_' || (!first && (c == '.' || c == '-'));
}

static void
test_every_byte (IpcTest *test)
{
  for (int c = 1; c < 256; c++)
    {
      char alone[] = { (char) c, '\0' }, first[] = { (char) c, 'a', '\0' };
      char middle[] = { 'a', (char) c, 'a', '\0' }, last[] = { 'a', (char) c, '\0' };

      g_assert_cmpint (ipc_name_check (alone, NULL), ==, is_expected (c, TRUE));
      g_assert_cmpint (ipc_name_check (first, NULL), ==, is_expected (c, TRUE));
      g_assert_cmpint (ipc_name_check (middle, NULL), ==, is_expected (c, FALSE));
      g_assert_cmpint (ipc_name_check (last, NULL), ==, is_expected (c, FALSE));
    }
}

static void
test_messages (IpcTest *test)
{
  g_autofree char *long_name = g_strnfill (256, '/');
  IpcFault fault;

  assert_bad ("a/b", "name \"a/b\" has byte 0x2f at 1; allowed are A-Z a-z 0-9 . _ -");
  assert_bad ("/abs", "name \"/abs\" has byte 0x2f at 0; allowed are A-Z a-z 0-9 . _ -");
  assert_bad ("..", "name \"..\" starts with \".\"");
  assert_bad (".", "name \".\" starts with \".\"");
  assert_bad (".hidden", "name \".hidden\" starts with \".\"");
  assert_bad ("-rf", "name \"-rf\" starts with \"-\"");
  assert_bad ("a\nb", "name \"a\\x0ab\" has byte 0x0a at 1; allowed are A-Z a-z 0-9 . _ -");
  assert_bad ("caf\xc3\xa9", "name \"caf\\xc3\\xa9\" has byte 0xc3 at 3; allowed are A-Z a-z 0-9 . _ -");
  assert_bad ("a\xff", "name \"a\\xff\" has byte 0xff at 1; allowed are A-Z a-z 0-9 . _ -");

  g_assert_false (ipc_name_check (long_name, &fault));
  g_assert_nonnull (strstr (fault.message, "...\" has 256 bytes, limit 64"));
}

int
main (int argc, char *argv[])
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/name/good", test_good);
  ipc_test_add ("/core/name/empty", test_empty);
  ipc_test_add ("/core/name/lengths", test_lengths);
  ipc_test_add ("/core/name/every-byte", test_every_byte);
  ipc_test_add ("/core/name/messages", test_messages);
  return ipc_test_run ();
}
