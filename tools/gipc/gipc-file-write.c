/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc file write and sync: standard input into a file, as one transaction; and what is in it to the disk. */
#include "gipc-file.h"

#include <errno.h>
#include <stdio.h>

/* What does not fit is found out while it comes, as it may never end; the library says what is wrong. */
static gboolean
check_fit (IpcMappedFile *file, gsize offset, gsize length, GError **error)
{
  g_autoptr (GBytes) bytes = ipc_mapped_file_get_bytes (file, offset, length, error);

  return bytes != NULL;
}

/* All of standard input, or NULL. */
static GBytes *
read_standard_input (IpcMappedFile *file, gsize offset, GError **error)
{
  g_autoptr (GString) all = g_string_new (NULL);
  char buffer[65536];
  gsize n;

  if (!check_fit (file, offset, 0, error))
    return NULL;
  while ((n = fread (buffer, 1, sizeof buffer, stdin)) > 0)
    {
      if (!check_fit (file, offset, all->len + n, error))
        return NULL;
      g_string_append_len (all, buffer, (gssize) n);
    }
  if (!ferror (stdin))
    return g_string_free_to_bytes (g_steal_pointer (&all));
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "standard input: %s", g_strerror (errno));
  return NULL;
}

static gboolean
write_standard_input (const char *path, gsize offset, GError **error)
{
  g_autoptr (IpcMappedFile) file = gipc_file_map (path, 0, error);
  g_autoptr (GBytes) bytes = file != NULL ? read_standard_input (file, offset, error) : NULL;
  g_autoptr (IpcMappedFileTransaction) transaction = bytes != NULL ? ipc_mapped_file_begin (file, error) : NULL;

  return transaction != NULL && ipc_mapped_file_transaction_write (transaction, offset, bytes, error) &&
         ipc_mapped_file_transaction_commit (transaction, NULL, error) && ipc_mapped_file_unmap (file, error);
}

int
gipc_file_write (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (GError) error = NULL;
  gsize offset = 0;

  if (arguments == NULL || (arguments[1] != NULL && !gipc_read_bytes (verb, "OFFSET", arguments[1], &offset)))
    return GIPC_EXIT_USAGE;
  return write_standard_input (arguments[0], offset, &error) ? GIPC_EXIT_OK : gipc_fail ("%s", error->message);
}

/* Which pages others have written, they know; here, all that there are may be. */
static gboolean
sync_all (const char *path, GError **error)
{
  g_autoptr (IpcMappedFile) file = gipc_file_map (path, IPC_ACCESS_READ | IPC_ACCESS_WRITE, error);

  return file != NULL && ipc_mapped_file_mark_dirty (file, 0, ipc_mapped_file_get_size (file), error) &&
         ipc_mapped_file_unmap (file, error);
}

int
gipc_file_sync (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (GError) error = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  return sync_all (arguments[0], &error) ? GIPC_EXIT_OK : gipc_fail ("%s", error->message);
}
