/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc file: its verbs, one a file, and what they share. */
#include "gipc-file.h"

static const GipcVerb verbs[] = {
  { "file info", "PATH", "show a file", NULL, 1, 1, gipc_file_info },
  { "file read", "PATH [OFFSET [LENGTH]]", "print the bytes of a file",
    "As they are, and never half of a transaction: LENGTH bytes from OFFSET (default: 0) on, or\n"
    "all that follow. What a crash has left undone is done first.", 1, 3, gipc_file_read },
  { "file write", "PATH [OFFSET]", "write standard input into a file",
    "All of it from OFFSET (default: 0) on, as one transaction: all of it is there or nothing,\n"
    "whatever happens. What does not fit is not written. Those who have it mapped are told.", 1, 2, gipc_file_write },
  { "file sync", "PATH", "bring a file to the disk",
    "What any process has written into it, and returns when it is there.", 1, 1, gipc_file_sync },
  { "file watch", "PATH", "print a line for each change of a file",
    "Prints \"watching PATH\" on standard error when it sees what changes from then on. A line\n"
    "has the time, the size, and what happened: changed, truncated or replaced. It ends when\n"
    "the file is replaced or removed; SIGINT and SIGTERM end it, too.", 1, 1, gipc_file_watch },
};

IpcMappedFile *
gipc_file_map (const char *path, IpcAccess access, GError **error)
{
  g_autoptr (IpcMappedFileManager) manager = ipc_mapped_file_manager_new (NULL);

  if (access & IPC_ACCESS_WRITE)
    {
      /* Who writes makes a file that is not there: not here. */
      g_autoptr (IpcMappedFile) present = ipc_mapped_file_manager_map_file (manager, path, 0, IPC_ACCESS_READ, error);
      if (present == NULL)
        return NULL;
    }
  return ipc_mapped_file_manager_map_file (manager, path, 0, access, error);
}

int
gipc_file (const GipcVerb *verb, int argc, char **argv)
{
  return gipc_run_group (verb, verbs, G_N_ELEMENTS (verbs), argc, argv);
}
