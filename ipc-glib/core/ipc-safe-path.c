/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk to a directory. One descriptor is held at a time, of the component
 * that was checked last; the next one is opened relative to it. Descriptors on
 * the way are O_PATH: searching a directory is all that the walk needs.
 *
 * Owns nothing; the descriptor it hands out is the caller's.
 */
#include "core/ipc-safe-path.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Room for the end of a path in a message; the rest of the message must fit beside it. */
#define SHOWN_MAX 240

/* What a step of the walk is about: WHERE is printable and names the component in messages. */
typedef struct
{
  const char *name;
  char where[SHOWN_MAX];
  bool create;
} Step;

/* The end of a long path is shown, not its beginning: the component in question is there. */
static void
show_path (char *buffer, size_t buffer_size, const char *path, size_t length)
{
  size_t from = length;
  size_t room = buffer_size - 8; /* two ellipses: ours and the one that the escaping may want */
  size_t used = 0;

  while (from > 0)
    {
      char last = path[from - 1];
      size_t need = last >= 0x20 && last < 0x7f && last != '\\' ? 1 : 4;

      if (used + need > room)
        break;
      used += need;
      from--;
    }
  strcpy (buffer, from > 0 ? "..." : "");
  used = strlen (buffer);
  ipc_fault_escape (buffer + used, buffer_size - used, path + from, length - from);
}

static const char *
describe_type (mode_t mode)
{
  switch (mode & S_IFMT)
    {
    case S_IFREG:
      return "a regular file";
    case S_IFDIR:
      return "a directory";
    case S_IFSOCK:
      return "a socket";
    case S_IFIFO:
      return "a named pipe";
    case S_IFLNK:
      return "a symbolic link";
    case S_IFCHR:
    case S_IFBLK:
      return "a device";
    default:
      return "of an unknown type";
    }
}

static bool
check_trusted (const struct stat *info, const char *where, IpcFault *fault)
{
  uid_t self = geteuid ();

  if (info->st_uid != self && info->st_uid != 0)
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "%s: owner %u, expected %u or 0",
                          where, (unsigned) info->st_uid, (unsigned) self);
  if ((info->st_mode & S_IWOTH) != 0 && (info->st_mode & S_ISVTX) == 0)
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "%s: mode %04o lets everybody write",
                          where, (unsigned) info->st_mode & 07777);
  return true;
}

static bool
check_private (const struct stat *info, const char *where, IpcFault *fault)
{
  if (info->st_uid != geteuid ())
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "%s: owner %u, expected %u",
                          where, (unsigned) info->st_uid, (unsigned) geteuid ());
  /* The set-group-ID bit is inherited from the parent and says nothing about access. */
  if ((info->st_mode & 0777) != 0700)
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "%s: mode %04o, expected 0700",
                          where, (unsigned) info->st_mode & 07777);
  return true;
}

static bool
check_open (int fd, IpcDirectoryPolicy policy, const char *where, IpcFault *fault)
{
  struct stat info;

  if (fstat (fd, &info) != 0)
    return ipc_fault_set_errno (fault, errno, "cannot look at %s", where);
  return policy == IPC_DIRECTORY_PRIVATE ? check_private (&info, where, fault) : check_trusted (&info, where, fault);
}

/* Says why a component could not be opened; the look is only for the wording. */
static bool
explain_open (int parent_fd, const Step *step, int system_errno, IpcFault *fault)
{
  struct stat info;

  if ((system_errno == ENOTDIR || system_errno == ELOOP) &&
      fstatat (parent_fd, step->name, &info, AT_SYMLINK_NOFOLLOW) == 0)
    {
      if (S_ISLNK (info.st_mode))
        return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "%s is a symbolic link", step->where);
      if (!S_ISDIR (info.st_mode))
        return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "%s is %s, expected a directory",
                              step->where, describe_type (info.st_mode));
    }
  return ipc_fault_set_errno (fault, system_errno, "cannot open %s", step->where);
}

/* O_DIRECTORY also has the kernel mount what is mounted on demand. */
static int
open_step (int parent_fd, const Step *step, bool *made, IpcFault *fault)
{
  int fd = TEMP_FAILURE_RETRY (openat (parent_fd, step->name, STEP_FLAGS));

  *made = false;
  if (fd < 0 && errno == ENOENT && step->create)
    {
      *made = mkdirat (parent_fd, step->name, 0700) == 0;
      if (!*made && errno != EEXIST)
        {
          ipc_fault_set_errno (fault, errno, "cannot make %s", step->where);
          return -1;
        }
      fd = TEMP_FAILURE_RETRY (openat (parent_fd, step->name, STEP_FLAGS));
    }
  if (fd < 0)
    explain_open (parent_fd, step, errno, fault);
  return fd;
}

/* "." below the checked descriptor is the very directory that was checked. */
static int
reopen_for_reading (int fd, IpcDirectoryPolicy policy)
{
  int readable = TEMP_FAILURE_RETRY (openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

  if (readable < 0 && errno == EACCES && policy == IPC_DIRECTORY_TRUSTED)
    readable = TEMP_FAILURE_RETRY (openat (fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return readable;
}

/* The umask may have taken bits away, and with them the right to open what was just made. A descriptor that only
 * names it (O_PATH) cannot be changed itself, its entry in /proc can. */
static bool
settle_made (int fd, const char *where, IpcFault *fault)
{
  char path[64];
  struct stat info;

  if (fstat (fd, &info) != 0)
    return ipc_fault_set_errno (fault, errno, "cannot look at %s", where);
  /* Whoever put something else there meanwhile is not helped. */
  if (info.st_uid == geteuid () && (info.st_mode & 0777) != 0700)
    {
      snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
      if (chmod (path, 0700) != 0)
        return ipc_fault_set_errno (fault, errno, "cannot set the mode of %s", where);
    }
  return check_open (fd, IPC_DIRECTORY_PRIVATE, where, fault);
}

static bool
finish (int fd, IpcDirectoryPolicy policy, bool made, const char *where, int *directory_fd, IpcFault *fault)
{
  int readable;

  if (!(made ? settle_made (fd, where, fault) : check_open (fd, policy, where, fault)))
    return false;
  readable = reopen_for_reading (fd, policy);
  if (readable < 0)
    return ipc_fault_set_errno (fault, errno, "cannot read %s", where);
  *directory_fd = readable;
  return true;
}

/* Takes the next component off *REST; false at the end of the path. */
static bool
next_component (const char **rest, const char **start, size_t *length)
{
  *start = *rest + strspn (*rest, "/");
  *length = strcspn (*start, "/");
  *rest = *start + *length;
  return *length > 0;
}

static bool
check_component (const char *start, size_t length, const char *where, IpcFault *fault)
{
  if (length > NAME_MAX)
    return ipc_fault_set_errno (fault, ENAMETOOLONG, "%s: a component of %zu bytes, the limit is %d",
                                where, length, NAME_MAX);
  if ((length == 1 && start[0] == '.') || (length == 2 && start[0] == '.' && start[1] == '.'))
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "%s: a component is \"%.*s\"", where, (int) length, start);
  return true;
}

/* From the checked directory *AT to the component below it. *AT is always open. */
static bool
take_step (int *at, const Step *step, bool last, IpcDirectoryPolicy policy, int *directory_fd, IpcFault *fault)
{
  bool made;
  int fd = open_step (*at, step, &made, fault);

  if (fd < 0)
    return false;
  close (*at);
  *at = fd;
  if (last)
    return finish (fd, policy, made, step->where, directory_fd, fault);
  return check_open (fd, IPC_DIRECTORY_TRUSTED, step->where, fault);
}

static bool
walk (int *at, const char *path, IpcDirectoryPolicy policy, bool create, int *directory_fd, IpcFault *fault)
{
  const char *rest = path;
  const char *start;
  size_t length;

  while (next_component (&rest, &start, &length))
    {
      bool last = rest[strspn (rest, "/")] == '\0';
      char name[NAME_MAX + 1];
      Step step = { .name = name, .create = create && last };

      show_path (step.where, sizeof step.where, path, (size_t) (start + length - path));
      if (!check_component (start, length, step.where, fault))
        return false;
      memcpy (name, start, length);
      name[length] = '\0';
      if (!take_step (at, &step, last, policy, directory_fd, fault))
        return false;
      if (last)
        return true;
    }
  /* Nothing but slashes. */
  return finish (*at, policy, false, "/", directory_fd, fault);
}

bool
ipc_directory_open (const char *path, IpcDirectoryPolicy policy, bool create, int *directory_fd, IpcFault *fault)
{
  bool opened;
  int at;

  if (path == NULL || path[0] != '/')
    {
      char shown[SHOWN_MAX];

      show_path (shown, sizeof shown, path != NULL ? path : "", path != NULL ? strlen (path) : 0);
      return ipc_fault_set (fault, IPC_FAULT_INVALID_ARGUMENT, "the path \"%s\" is not absolute", shown);
    }
  at = TEMP_FAILURE_RETRY (open ("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (at < 0)
    return ipc_fault_set_errno (fault, errno, "cannot open /");
  opened = check_open (at, IPC_DIRECTORY_TRUSTED, "/", fault) &&
           walk (&at, path, policy, create, directory_fd, fault);
  close (at);
  return opened;
}

bool
ipc_directory_open_sub (int parent_fd, const char *name, bool create, int *directory_fd, IpcFault *fault)
{
  Step step = { .name = name, .create = create };
  bool made, opened;
  int fd;

  show_path (step.where, sizeof step.where, name, strlen (name));
  if (name[0] == '\0' || strchr (name, '/') != NULL)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_ARGUMENT, "\"%s\" is not the name of an entry", step.where);
  if (!check_component (name, strlen (name), step.where, fault))
    return false;
  fd = open_step (parent_fd, &step, &made, fault);
  if (fd < 0)
    return false;
  opened = finish (fd, IPC_DIRECTORY_PRIVATE, made, step.where, directory_fd, fault);
  close (fd);
  return opened;
}

static bool
check_entry_info (const struct stat *info, const char *where, mode_t file_type, IpcFault *fault)
{
  if (S_ISLNK (info->st_mode))
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "%s is a symbolic link", where);
  if ((info->st_mode & S_IFMT) != (file_type & S_IFMT))
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "%s is %s, expected %s",
                          where, describe_type (info->st_mode), describe_type (file_type));
  if (info->st_uid != geteuid ())
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "%s: owner %u, expected %u",
                          where, (unsigned) info->st_uid, (unsigned) geteuid ());
  return true;
}

bool
ipc_directory_check_entry (int directory_fd, const char *name, mode_t file_type,
                           bool *exists, dev_t *device, ino_t *inode, IpcFault *fault)
{
  char where[SHOWN_MAX];
  struct stat info;

  show_path (where, sizeof where, name, strlen (name));
  if (fstatat (directory_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    {
      if (errno != ENOENT)
        return ipc_fault_set_errno (fault, errno, "cannot look at %s", where);
      *exists = false;
      return true;
    }
  if (!check_entry_info (&info, where, file_type, fault))
    return false;
  *exists = true;
  if (device != NULL)
    *device = info.st_dev;
  if (inode != NULL)
    *inode = info.st_ino;
  return true;
}

static bool
check_node (int fd, const char *where, mode_t file_type, IpcFault *fault)
{
  struct stat info;

  if (fstat (fd, &info) != 0)
    return ipc_fault_set_errno (fault, errno, "cannot look at %s", where);
  return check_entry_info (&info, where, file_type, fault);
}

bool
ipc_directory_open_entry (int directory_fd, const char *name, mode_t file_type, int flags, int *fd, IpcFault *fault)
{
  char where[SHOWN_MAX], path[64];
  int node_fd, opened;

  show_path (where, sizeof where, name, strlen (name));
  node_fd = TEMP_FAILURE_RETRY (openat (directory_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (node_fd < 0)
    return ipc_fault_set_errno (fault, errno, "cannot open %s", where);
  if (!check_node (node_fd, where, file_type, fault))
    {
      close (node_fd);
      return false;
    }
  snprintf (path, sizeof path, "/proc/self/fd/%d", node_fd);
  opened = TEMP_FAILURE_RETRY (open (path, flags | O_CLOEXEC));
  if (opened < 0)
    ipc_fault_set_errno (fault, errno, "cannot open %s", where);
  else
    *fd = opened;
  close (node_fd);
  return opened >= 0;
}
