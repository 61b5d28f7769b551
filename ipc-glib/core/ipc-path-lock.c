/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock that says who owns a path. An owner holds it exclusively for its
 * lifetime; a look takes it shared for a moment, so that whoever finds it taken
 * can tell a look (another shared lock is granted) from an owner (it is not).
 *
 * The descriptor is the caller's, for ipc_path_lock_release() only.
 */
#include "core/ipc-path-lock.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "core/ipc-safe-path.h"

#define PREFIX "."
#define SUFFIX ".lock"
#define BASENAME_MAX (NAME_MAX - (sizeof PREFIX - 1) - (sizeof SUFFIX - 1))

/* A look lasts microseconds, a replaced lock file is an accident: both pass within a few attempts. */
#define ATTEMPTS 200
#define PAUSE_NS 1000000

/* O_NONBLOCK: something else that appears under the name must not make the open wait. */
#define LOCK_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

typedef enum
{
  LOCK_TAKEN,  /* it is ours */
  LOCK_OWNED,  /* somebody else's */
  LOCK_LOOKED, /* somebody is only looking */
  LOCK_FAILED, /* the fault says why */
} LockResult;

typedef struct
{
  int directory_fd;
  char shown[160]; /* the basename for messages */
  char name[NAME_MAX + 1];
} LockFile;

static bool
lock_file_init (LockFile *self, int directory_fd, const char *basename, IpcFault *fault)
{
  size_t length = strlen (basename);

  self->directory_fd = directory_fd;
  ipc_fault_escape (self->shown, sizeof self->shown, basename, length);
  if (length == 0 || strchr (basename, '/') != NULL)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_ARGUMENT, "\"%s\" is not the name of an entry", self->shown);
  if (length > BASENAME_MAX)
    return ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "%s: a name of %zu bytes, the limit beside a lock is %zu",
                          self->shown, length, (size_t) BASENAME_MAX);
  snprintf (self->name, sizeof self->name, PREFIX "%s" SUFFIX, basename);
  return true;
}

static int
flock_uninterrupted (int fd, int operation)
{
  int result;

  do
    result = flock (fd, operation);
  while (result != 0 && errno == EINTR);
  return result;
}

/* A hard link would have the label written into somebody's file. */
static bool
check_lock_file (const LockFile *self, int fd, IpcFault *fault)
{
  struct stat info;

  if (fstat (fd, &info) != 0)
    return ipc_fault_set_errno (fault, errno, "cannot look at %s", self->name);
  if (!S_ISREG (info.st_mode))
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "the lock of %s is not a regular file", self->shown);
  if (info.st_uid != geteuid ())
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "the lock of %s: owner %u, expected %u",
                          self->shown, (unsigned) info.st_uid, (unsigned) geteuid ());
  if (info.st_nlink > 1)
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "the lock of %s has %lu links, expected 1",
                          self->shown, (unsigned long) info.st_nlink);
  return true;
}

static int
open_lock_file (const LockFile *self, IpcFault *fault)
{
  bool exists;
  int fd;

  /* Looked at first, because opening a device may already do something. */
  if (!ipc_directory_check_entry (self->directory_fd, self->name, S_IFREG, &exists, NULL, NULL, fault))
    return -1;
  fd = ipc_fork_open (TEMP_FAILURE_RETRY (openat (self->directory_fd, self->name, O_RDWR | O_CREAT | LOCK_FLAGS, 0600)));
  if (fd < 0)
    {
      ipc_fault_set_errno (fault, errno, "cannot open the lock of %s", self->shown);
      return -1;
    }
  return fd;
}

/* Unlocks first: a copy of the descriptor that some child has would keep the lock. */
static void
close_lock_file (int fd)
{
  flock_uninterrupted (fd, LOCK_UN);
  ipc_fork_close (fd);
}

/* Whether the name still leads to the file that was locked; if not, its lock means nothing. */
static bool
is_current (const LockFile *self, int fd)
{
  struct stat locked, named;

  return fstat (fd, &locked) == 0 &&
         fstatat (self->directory_fd, self->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

static bool
clear_label (int fd)
{
  return ftruncate (fd, 0) == 0;
}

/* Only a hint for people, so a full disk is no reason to fail. */
static void
write_label (int fd)
{
  char label[128];
  int length = snprintf (label, sizeof label, "%ld %.100s\n", (long) getpid (), program_invocation_short_name);

  if (fchmod (fd, 0600) == 0 && clear_label (fd) && pwrite (fd, label, (size_t) length, 0) != length)
    clear_label (fd);
}

/* Reads "PID PROGRAM\n"; false if it is anything else. PROGRAM is whatever the file says, made printable. */
static bool
read_label (int fd, long *pid, char *program, size_t program_size)
{
  char label[128];
  ssize_t length = pread (fd, label, sizeof label - 1, 0);
  char *end;

  if (length <= 0)
    return false;
  label[length] = '\0';
  *pid = strtol (label, &end, 10);
  if (*pid <= 0 || *end != ' ' || label[0] < '1' || label[0] > '9')
    return false;
  end++;
  ipc_fault_escape (program, program_size, end, strcspn (end, "\n"));
  return true;
}

static bool
report_owner (const LockFile *self, int fd, IpcFault *fault)
{
  char program[128];
  long pid;

  if (read_label (fd, &pid, program, sizeof program))
    return ipc_fault_set (fault, IPC_FAULT_ADDRESS_IN_USE, "%s is owned by process %ld (%s)",
                          self->shown, pid, program);
  return ipc_fault_set (fault, IPC_FAULT_ADDRESS_IN_USE, "%s is owned by another process", self->shown);
}

static LockResult
lock_exclusively (const LockFile *self, int fd, IpcFault *fault)
{
  if (flock_uninterrupted (fd, LOCK_EX | LOCK_NB) == 0)
    return LOCK_TAKEN;
  if (errno == EWOULDBLOCK)
    {
      if (flock_uninterrupted (fd, LOCK_SH | LOCK_NB) == 0)
        return LOCK_LOOKED;
      if (errno == EWOULDBLOCK)
        return LOCK_OWNED;
    }
  ipc_fault_set_errno (fault, errno, "cannot lock %s", self->shown);
  return LOCK_FAILED;
}

/* One attempt. LOCK_LOOKED: worth another. */
static LockResult
try_lock (const LockFile *self, int *lock_fd, IpcFault *fault)
{
  LockResult result = LOCK_FAILED;
  int fd = open_lock_file (self, fault);

  if (fd < 0)
    return LOCK_FAILED;
  if (check_lock_file (self, fd, fault))
    result = lock_exclusively (self, fd, fault);
  if (result == LOCK_OWNED)
    report_owner (self, fd, fault);
  if (result == LOCK_TAKEN && !is_current (self, fd))
    result = LOCK_LOOKED;
  if (result == LOCK_TAKEN)
    {
      write_label (fd);
      *lock_fd = fd;
    }
  else
    close_lock_file (fd);
  return result;
}

bool
ipc_path_lock_acquire (int directory_fd, const char *basename, int *lock_fd, IpcFault *fault)
{
  const struct timespec pause = { .tv_nsec = PAUSE_NS };
  LockFile file;

  if (!lock_file_init (&file, directory_fd, basename, fault))
    return false;
  for (int i = 0; i < ATTEMPTS; i++)
    {
      LockResult result = try_lock (&file, lock_fd, fault);

      if (result != LOCK_LOOKED)
        return result == LOCK_TAKEN;
      nanosleep (&pause, NULL);
    }
  return ipc_fault_set (fault, IPC_FAULT_ADDRESS_IN_USE, "the lock of %s was never free in %d attempts",
                        file.shown, ATTEMPTS);
}

void
ipc_path_lock_release (int lock_fd)
{
  /* The next one to find it taken must not be told our name. */
  clear_label (lock_fd);
  close_lock_file (lock_fd);
}

bool
ipc_path_lock_is_held (int directory_fd, const char *basename)
{
  LockFile file;
  bool held = false;
  int fd;

  if (!lock_file_init (&file, directory_fd, basename, NULL))
    return false;
  fd = ipc_fork_open (TEMP_FAILURE_RETRY (openat (directory_fd, file.name, O_RDONLY | LOCK_FLAGS)));
  if (fd < 0)
    return false;
  if (check_lock_file (&file, fd, NULL))
    held = flock_uninterrupted (fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close_lock_file (fd);
  return held;
}
