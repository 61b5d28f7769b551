/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal-state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "core/ipc-new-file.h"
#include "core/ipc-safe-path.h"

/* ---- making ---- */

static bool
fill_new (IpcJournal *self, uint64_t size)
{
  static const uint8_t zeros[65536];

  /* What was written once can be written again without the file system having to note it. The first page by itself, so that the
   * page cache has it apart from the records, with which it need not be synced. */
  if (!ipc_journal_write_all (self->fd, zeros, IPC_JOURNAL_RECORDS_AT, 0))
    return false;
  for (uint64_t at = IPC_JOURNAL_RECORDS_AT; at < size; at += sizeof zeros)
    if (!ipc_journal_write_all (self->fd, zeros, size - at < sizeof zeros ? size - at : sizeof zeros, at))
      return false;
  return fchmod (self->fd, 0600) == 0 && ipc_journal_write_header (self, 1, 1, false) && TEMP_FAILURE_RETRY (fsync (self->fd)) == 0;
}

/* It is there afterwards, whoever made it. */
static bool
make (IpcJournal *self, int directory_fd, uint64_t size, IpcFault *fault)
{
  IpcNewFile new;
  bool made;

  if (!ipc_new_file_open (&new, directory_fd, self->name))
    return ipc_journal_fault_errno (self, "make", fault);
  self->fd = new.fd;
  made = fill_new (self, size) && (ipc_new_file_link (&new, self->name) ? ipc_new_file_sync_directory (directory_fd) : errno == EEXIST);
  if (!made)
    ipc_journal_fault_errno (self, "make", fault);
  ipc_new_file_end (&new);
  ipc_fork_close (new.fd);
  self->fd = -1;
  self->header.generation = 0;
  return made;
}

/* ---- opening ---- */

static bool
check_file (IpcJournal *self, IpcFault *fault)
{
  struct stat status;

  if (fstat (self->fd, &status) != 0)
    return ipc_journal_fault_errno (self, "look at", fault);
  if (!S_ISREG (status.st_mode))
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "\"%s\" is not a regular file", self->name);
  if (status.st_uid != geteuid () || (status.st_mode & 022) != 0 || status.st_nlink > 1)
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "\"%s\": owner %u, mode %04o, %lu names; expected %u, writable by it alone, and 1",
                          self->name, (unsigned) status.st_uid, (unsigned) status.st_mode & 07777, (unsigned long) status.st_nlink,
                          (unsigned) geteuid ());
  if ((uint64_t) status.st_size <= IPC_JOURNAL_RECORDS_AT)
    return ipc_journal_fault_corrupt (self, "is too short for a journal", fault);
  self->size = (uint64_t) status.st_size;
  return true;
}

/* A record that is behind what is mapped is written by other means. */
static bool
map_file (IpcJournal *self, IpcFault *fault)
{
  size_t size = self->size < IPC_JOURNAL_SIZE ? (size_t) self->size : IPC_JOURNAL_SIZE;

  self->map = ipc_map_new (mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0), size, true);
  return self->map != NULL || ipc_journal_fault_errno (self, "map", fault);
}

static bool
open_file (IpcJournal *self, int directory_fd, IpcFault *fault)
{
  bool exists;

  if (!ipc_directory_check_entry (directory_fd, self->name, S_IFREG, &exists, NULL, NULL, fault))
    return false;
  if (exists)
    self->fd = ipc_fork_open (TEMP_FAILURE_RETRY (openat (directory_fd, self->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)));
  if (!exists || (self->fd < 0 && errno == ENOENT))
    return ipc_fault_set (fault, IPC_FAULT_NOT_FOUND, "there is no \"%s\"", self->name);
  if (self->fd < 0)
    return ipc_journal_fault_errno (self, "open", fault);
  /* What is no journal is not written to, so that is known before it is locked. */
  return check_file (self, fault) && ipc_journal_read_header (self, fault) && map_file (self, fault) && ipc_journal_join (self, fault);
}

static bool
identify (IpcJournal *self, const char *basename, int data_fd, IpcFault *fault)
{
  int length = snprintf (self->name, sizeof self->name, ".%s.journal", basename);

  if (length >= (int) sizeof self->name)
    return ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "a name of %zu bytes, the limit beside a journal is %zu", strlen (basename),
                          strlen (basename) - (size_t) length + NAME_MAX);
  if (statx (data_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &self->file) != 0)
    return ipc_fault_set_errno (fault, errno, "cannot look at \"%s\"", basename);
  return true;
}

static bool
open_or_make (IpcJournal *self, int directory_fd, uint64_t size, IpcFault *fault)
{
  IpcFault reason = { 0 };

  if (open_file (self, directory_fd, &reason))
    return true;
  if (reason.code == IPC_FAULT_NOT_FOUND && size > 0)
    return make (self, directory_fd, size < 2 * IPC_JOURNAL_RECORDS_AT ? 2 * IPC_JOURNAL_RECORDS_AT : size, fault) && open_file (self, directory_fd, fault);
  if (fault != NULL)
    *fault = reason;
  return false;
}

IpcJournal *
ipc_journal_open (int directory_fd, const char *basename, int data_fd, uint64_t size, IpcFault *fault)
{
  IpcJournal *self = calloc (1, sizeof *self);

  if (self == NULL)
    {
      ipc_fault_set_errno (fault, ENOMEM, "cannot open the journal of \"%s\"", basename);
      return NULL;
    }
  self->fd = -1;
  self->forks = ipc_fork_generation ();
  /* Often there is none, so what costs more comes last. */
  if (identify (self, basename, data_fd, fault) && open_or_make (self, directory_fd, size, fault) && ipc_journal_read_boot (self->boot, fault))
    return self;
  ipc_journal_close (self);
  return NULL;
}

void
ipc_journal_close (IpcJournal *self)
{
  if (self == NULL)
    return;
  ipc_map_unref (self->map);
  if (self->fd >= 0 && self->forks == ipc_fork_generation ())
    ipc_fork_close (self->fd);
  free (self);
}
