/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands in for libFuzzer, so that the targets are built and run everywhere, as
 * tests. It replays the files it is given, then mutates them a bounded number of
 * times. Run number N depends on the seed and on N alone, and can be had again:
 *
 *   IPC_TEST_SEED=SEED fuzz-NAME --only N [--dictionary FILE] CORPUS
 *
 * It does not look for new paths through the code, as libFuzzer does.
 */
#include "fuzz.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SIZE 4096
#define MAX_CHANGES 6

#pragma weak LLVMFuzzerInitialize

static int option_runs = 10000;
static int option_only = -1;
static char *option_dictionary;
static char **option_paths;

static const GOptionEntry option_entries[] = {
  { "runs", 0, 0, G_OPTION_ARG_INT, &option_runs, "How many mutations to run", "N" },
  { "only", 0, 0, G_OPTION_ARG_INT, &option_only, "Run mutation N only", "N" },
  { "dictionary", 0, 0, G_OPTION_ARG_FILENAME, &option_dictionary, "Tokens to put into the input", "FILE" },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &option_paths, NULL, "FILE-OR-DIRECTORY..." },
  { NULL }
};

static GPtrArray *corpus;  /* (element-type GBytes); the first one is empty */
static GPtrArray *tokens;  /* (element-type GBytes); likewise */
static char where[512];    /* what is being run, in case it is the last thing that is */

/* ---- the last words ---- */

static void
on_fatal_signal (int number)
{
  ssize_t written = write (STDERR_FILENO, where, strlen (where));

  (void) written;
  signal (number, SIG_DFL);
  raise (number);
}

static void
watch_fatal_signals (void)
{
  signal (SIGABRT, on_fatal_signal);
  signal (SIGTERM, on_fatal_signal);
  /* The address sanitizer has better words for this one, and ends with SIGABRT. */
#ifndef __SANITIZE_ADDRESS__
  signal (SIGSEGV, on_fatal_signal);
#endif
}

static void
run_one (const guint8 *data, gsize size)
{
  g_autofree guint8 *exact = g_malloc (MAX (size, 1));

  if (size > 0)
    memcpy (exact, data, size);
  g_assert_cmpint (LLVMFuzzerTestOneInput (exact, size), ==, 0);
}

/* ---- what there is to start from ---- */

static void
read_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  char *contents;
  gsize size;

  if (!g_file_get_contents (path, &contents, &size, &error))
    g_error ("%s", error->message);
  g_ptr_array_add (corpus, g_bytes_new_take (contents, size));
  g_snprintf (where, sizeof where, "\nfailed on %s\n", path);
  run_one ((guint8 *) contents, size);
}

/* Sorted, so that a seed means the same everywhere. */
static void
read_directory (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) directory = g_dir_open (path, 0, &error);
  GList *names = NULL;
  const char *name;

  if (directory == NULL)
    g_error ("%s", error->message);
  while ((name = g_dir_read_name (directory)) != NULL)
    names = g_list_insert_sorted (names, g_build_filename (path, name, NULL), (GCompareFunc) strcmp);
  g_list_foreach (names, (GFunc) read_file, NULL);
  g_list_free_full (names, g_free);
}

static void
read_corpus (char **paths)
{
  g_ptr_array_add (corpus, g_bytes_new_static ("", 0));
  for (; paths != NULL && *paths != NULL; paths++)
    if (g_file_test (*paths, G_FILE_TEST_IS_DIR))
      read_directory (*paths);
    else
      read_file (*paths);
}

/* `"VALUE"` or `name="VALUE"`, with \\, \" and \xNN in the value. */
static void
read_token (const char *line)
{
  g_autoptr (GByteArray) token = g_byte_array_new ();
  const char *at = strchr (line, '"'), *end = strrchr (line, '"');

  if (line[0] == '#' || at == NULL || end == at)
    return;
  while (++at < end)
    {
      guint8 byte = (guint8) *at;

      if (*at == '\\' && at[1] == 'x')
        {
          byte = (guint8) (g_ascii_xdigit_value (at[2]) << 4 | g_ascii_xdigit_value (at[3]));
          at += 3;
        }
      else if (*at == '\\')
        byte = (guint8) *++at;
      g_byte_array_append (token, &byte, 1);
    }
  g_ptr_array_add (tokens, g_byte_array_free_to_bytes (g_steal_pointer (&token)));
}

static void
read_dictionary (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *contents = NULL;
  g_auto (GStrv) lines = NULL;

  g_ptr_array_add (tokens, g_bytes_new_static ("", 0));
  if (path == NULL)
    return;
  if (!g_file_get_contents (path, &contents, NULL, &error))
    g_error ("%s", error->message);
  lines = g_strsplit (contents, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    read_token (*line);
}

/* ---- mutation ---- */

static GBytes *
pick (GRand *rand, GPtrArray *from)
{
  return from->pdata[g_rand_int_range (rand, 0, (gint32) from->len)];
}

static guint
pick_offset (GRand *rand, const GByteArray *input)
{
  return (guint) g_rand_int_range (rand, 0, (gint32) input->len + 1);
}

static void
insert (GByteArray *input, guint at, const guint8 *data, gsize size)
{
  guint old = input->len;

  size = MIN (size, MAX_SIZE - MIN (old, MAX_SIZE));
  if (size == 0)
    return;
  g_byte_array_set_size (input, old + (guint) size);
  memmove (input->data + at + size, input->data + at, old - at);
  memcpy (input->data + at, data, size);
}

static void
cut (GRand *rand, GByteArray *input, guint at)
{
  if (at < input->len)
    g_byte_array_remove_range (input, at, (guint) g_rand_int_range (rand, 1, (gint32) MIN (input->len - at, 16) + 1));
}

/* A piece of another input, or of this one. */
static void
splice (GRand *rand, GByteArray *input, guint at)
{
  GBytes *other = pick (rand, corpus);
  gsize size;
  const guint8 *data = g_bytes_get_data (other, &size);
  guint from;

  if (size == 0)
    return;
  from = (guint) g_rand_int_range (rand, 0, (gint32) size);
  insert (input, at, data + from, (gsize) g_rand_int_range (rand, 1, (gint32) (size - from) + 1));
}

static void
overwrite (GRand *rand, GByteArray *input, guint at)
{
  const guint8 interesting[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0x20, '"', '0' };

  if (at < input->len)
    input->data[at] = g_rand_boolean (rand) ? interesting[g_rand_int_range (rand, 0, G_N_ELEMENTS (interesting))]
                                            : (guint8) g_rand_int (rand);
}

static void
change (GRand *rand, GByteArray *input)
{
  guint at = pick_offset (rand, input);
  guint8 byte = (guint8) g_rand_int (rand);
  GBytes *token = pick (rand, tokens);

  switch (g_rand_int_range (rand, 0, 6))
    {
    case 0:
      if (at < input->len)
        input->data[at] ^= (guint8) (1u << (byte & 7));
      break;
    case 1:
      overwrite (rand, input, at);
      break;
    case 2:
      insert (input, at, &byte, 1);
      break;
    case 3:
      cut (rand, input, at);
      break;
    case 4:
      splice (rand, input, at);
      break;
    default:
      insert (input, at, g_bytes_get_data (token, NULL), g_bytes_get_size (token));
      break;
    }
}

static void
run_mutation (guint32 seed, int number)
{
  guint32 seeds[] = { seed, (guint32) number };
  g_autoptr (GRand) rand = g_rand_new_with_seed_array (seeds, G_N_ELEMENTS (seeds));
  g_autoptr (GByteArray) input = g_byte_array_new ();
  GBytes *start = pick (rand, corpus);

  g_snprintf (where, sizeof where, "\nfailed: to have it again, IPC_TEST_SEED=%u and --only %d\n", seed, number);
  g_byte_array_append (input, g_bytes_get_data (start, NULL), (guint) g_bytes_get_size (start));
  for (int changes = g_rand_int_range (rand, 1, MAX_CHANGES + 1); changes > 0; changes--)
    change (rand, input);
  run_one (input->data, input->len);
}

static guint32
choose_seed (void)
{
  const char *given = g_getenv ("IPC_TEST_SEED");

  return given != NULL && *given != '\0' ? (guint32) g_ascii_strtoull (given, NULL, 10) : g_random_int ();
}

static void
parse_options (int *argc, char ***argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, option_entries, NULL);
  if (g_option_context_parse (context, argc, argv, &error))
    return;
  g_printerr ("%s\n", error->message);
  exit (2);
}

int
main (int argc, char *argv[])
{
  guint32 seed = choose_seed ();

  parse_options (&argc, &argv);
  if (LLVMFuzzerInitialize != NULL)
    LLVMFuzzerInitialize (&argc, &argv);
  watch_fatal_signals ();
  corpus = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  tokens = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);

  g_print ("IPC_TEST_SEED=%u\n", seed);
  read_dictionary (option_dictionary);
  run_one (NULL, 0);
  read_corpus (option_paths);
  for (int i = option_only >= 0 ? option_only : 0; i < (option_only >= 0 ? option_only + 1 : option_runs); i++)
    run_mutation (seed, i);
  g_print ("%u inputs, %d mutations\n", corpus->len, option_only >= 0 ? 1 : option_runs);

  g_ptr_array_unref (corpus);
  g_ptr_array_unref (tokens);
  g_strfreev (option_paths);
  g_free (option_dictionary);
  return 0;
}
