/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parser of what comes out of a named pipe: whatever the pieces are that it is fed in, the same comes out.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ipc-frame.h"
#include "core/ipc-lines.h"
#include "ipc-test.h"

#define MAX_LINE 64

static void
append (GString *log, IpcLinesEvent event, const IpcLinesPart *part, const IpcFault *fault)
{
  if (event == IPC_LINES_LINE)
    g_string_append_printf (log, "[%.*s]", (int) part->size, (const char *) part->bytes);
  else if (event == IPC_LINES_HELLO)
    g_string_append_printf (log, "<%zu>", part->size);
  else if (event == IPC_LINES_BAD)
    g_string_append_printf (log, "!%d!", fault->code);
  free (part->owned);
}

/* What comes out of BYTES, fed in pieces of STEP. */
static char *
run (const char *bytes, gsize size, gsize step, gboolean finish)
{
  g_autoptr(GString) log = g_string_new (NULL);
  IpcLines lines;
  IpcLinesPart part;
  IpcFault fault = { 0 };

  ipc_lines_init (&lines, MAX_LINE);
  for (gsize at = 0; at < size;)
    {
      gsize n = MIN (step, size - at), taken;
      g_autofree guint8 *piece = g_memdup2 (bytes + at, n);     /* so that a sanitizer sees what is beyond */
      IpcLinesEvent event = ipc_lines_feed (&lines, piece, n, &taken, &part, &fault);

      g_assert_cmpuint (taken, <=, n);
      g_assert_true (event != IPC_LINES_MORE || taken == n);
      append (log, event, &part, &fault);
      at += taken;
    }
  if (finish)
    append (log, ipc_lines_finish (&lines, &part, &fault), &part, &fault);
  ipc_lines_clear (&lines);
  return g_string_free (g_steal_pointer (&log), FALSE);
}

static void
check (const char *bytes, gsize size, const char *expected)
{
  for (gsize step = 1; step <= size; step++)
    {
      g_autofree char *found = run (bytes, size, step, TRUE);

      g_assert_cmpstr (found, ==, expected);
    }
}

static GString *
make_hello (guint8 kind, gsize payload)
{
  GString *hello = g_string_new_len ((const char *) ipc_preamble, IPC_PREAMBLE_SIZE);
  IpcFrame frame = { .kind = kind, .flags = 3, .length = (guint32) payload };
  guint8 header[IPC_FRAME_HEADER_SIZE];

  ipc_frame_encode (&frame, header);
  g_string_append_len (hello, (const char *) header, sizeof header);
  for (gsize i = 0; i < payload; i++)
    g_string_append_c (hello, i % 3 == 0 ? '\n' : i % 3 == 1 ? '\0' : 'x');
  return hello;
}

static void
test_lines (IpcTest *test)
{
  static const struct { const char *bytes; const char *expected; } cases[] = {
    { "hello\n", "[hello]" },
    { "one\ntwo\n", "[one][two]" },
    { "\n", "[]" },
    { "a\n\nb", "[a][][b]" },
    { "no newline", "[no newline]" },
    { "a\r\n", "[a\r]" },
    { "gr\303\274n\n", "[gr\303\274n]" },
    { "bad \377\nnext\n", "!4![next]" },
    { "half \303\nnext\n", "!4![next]" },
    { "\303", "!4!" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    check (cases[i].bytes, strlen (cases[i].bytes), cases[i].expected);
}

static void
test_limit (IpcTest *test)
{
  g_autofree char *most = g_strnfill (MAX_LINE, 'm');
  g_autofree char *fits = g_strconcat (most, "\nnext\n", NULL);
  g_autofree char *long_one = g_strconcat (most, "+ and more\nnext\n", NULL);
  g_autofree char *unfinished = g_strconcat (most, "+", NULL);
  g_autofree char *expected = g_strdup_printf ("[%s][next]", most);

  check (fits, strlen (fits), expected);
  check (most, strlen (most), (expected[MAX_LINE + 2] = '\0', expected));
  check (long_one, strlen (long_one), "!6![next]");
  check (unfinished, strlen (unfinished), "!6!");
}

static void
test_hello (IpcTest *test)
{
  g_autoptr(GString) hello = make_hello (IPC_FRAME_HELLO, 10);
  g_autoptr(GString) largest = make_hello (IPC_FRAME_HELLO, PIPE_BUF - 40);
  g_autoptr(GString) bytes = g_string_new ("be");

  check (hello->str, hello->len, "<50>");
  g_string_append_len (bytes, hello->str, (gssize) hello->len);
  g_string_append (bytes, "fore\n");
  g_string_append_len (bytes, hello->str, (gssize) hello->len);
  g_string_append_len (bytes, hello->str, (gssize) hello->len);
  g_string_append (bytes, "after");
  check (bytes->str, bytes->len, "<50>[before]<50><50>[after]");
  for (gsize step = 1; step < largest->len; step += 997)
    {
      g_autofree char *found = run (largest->str, largest->len, step, TRUE);

      g_assert_cmpstr (found, ==, "<4096>");
    }
}

/* In the middle of a line that is left out, too. */
static void
test_hello_in_long_line (IpcTest *test)
{
  g_autoptr(GString) hello = make_hello (IPC_FRAME_HELLO, 10);
  g_autofree char *many = g_strnfill (MAX_LINE + 5, 'm');
  g_autoptr(GString) bytes = g_string_new (many);
  gsize size;

  g_string_append_len (bytes, hello->str, (gssize) hello->len);
  g_string_append (bytes, "rest\nnext\n");
  size = bytes->len;
  check (bytes->str, size, "!6!<50>[next]");
}

static void
test_bad_hello (IpcTest *test)
{
  g_autoptr(GString) other = make_hello (IPC_FRAME_EVENT, 0);
  g_autoptr(GString) large = make_hello (IPC_FRAME_HELLO, 0);

  check ("a\0b\nnext\n", 9, "!4![next]");
  check ("\0\nnext\n", 7, "!4![next]");
  check ("\0\0\0\nnext\n", 9, "!4!!4!!4![next]");
  check ("\0IPC\1\r\nnext\n", 12, "!4![next]");
  check ("\0IPC\2 newer\nnext\n", 17, "!4![next]");
  g_string_append (other, "lost\nnext\n");
  check (other->str, other->len, "!4![next]");
  ipc_store_le32 ((guint8 *) large->str + IPC_PREAMBLE_SIZE, PIPE_BUF);
  g_string_append (large, "lost\nnext\n");
  check (large->str, large->len, "!4![next]");
}

static void
test_cut_hello (IpcTest *test)
{
  g_autoptr(GString) hello = make_hello (IPC_FRAME_HELLO, 10);

  for (gsize size = 1; size < hello->len; size++)
    check (hello->str, size, "!4!");
}

/* After the end it begins anew. */
static void
test_after_end (IpcTest *test)
{
  IpcLines lines;
  IpcLinesPart part;
  IpcFault fault;
  gsize taken;

  ipc_lines_init (&lines, 4);
  g_assert_cmpint (ipc_lines_feed (&lines, (const guint8 *) "too long", 8, &taken, &part, &fault), ==, IPC_LINES_BAD);
  g_assert_cmpint (ipc_lines_finish (&lines, &part, &fault), ==, IPC_LINES_MORE);
  g_assert_cmpint (ipc_lines_feed (&lines, (const guint8 *) "ok\n", 3, &taken, &part, &fault), ==, IPC_LINES_LINE);
  g_assert_cmpmem (part.bytes, part.size, "ok", 2);
  g_assert_null (part.owned);
  ipc_lines_clear (&lines);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/lines/lines", test_lines);
  ipc_test_add ("/core/lines/limit", test_limit);
  ipc_test_add ("/core/lines/hello", test_hello);
  ipc_test_add ("/core/lines/hello-in-long-line", test_hello_in_long_line);
  ipc_test_add ("/core/lines/bad-hello", test_bad_hello);
  ipc_test_add ("/core/lines/cut-hello", test_cut_hello);
  ipc_test_add ("/core/lines/after-end", test_after_end);
  return ipc_test_run ();
}
