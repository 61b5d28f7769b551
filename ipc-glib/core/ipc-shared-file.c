/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-shared-file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "core/ipc-memfd.h"
#include "core/ipc-new-file.h"
#include "core/ipc-path-lock.h"

#define FORMAT 1u
#define MAX_NAME 128
#define ANONYMOUS "(anonymous)"

static const char magic[8] = { 'i', 'p', 'c', '-', 'g', 'l', 'i', 'b' };

/* What lies at the start of the file. Only `deleted` ever changes. */
typedef struct
{
  char magic[8];
  uint32_t format;
  uint32_t checksum;            /* of INFO */
  IpcSharedInfo info;
  _Atomic uint32_t deleted;
} Header;

_Static_assert (sizeof (Header) <= IPC_SHARED_HEADER_SIZE, "the header has a page");
_Static_assert (sizeof (IpcSharedInfo) == 16 + 8 * IPC_SHARED_GEOMETRY + IPC_SHARED_ID_SIZE + 8, "no padding, so that it can be summed");

/* FNV-1a, to tell a file that was torn or overwritten; not a defence against somebody who means it. */
static uint32_t
sum (const IpcSharedInfo *info)
{
  const uint8_t *bytes = (const uint8_t *) info;
  uint32_t hash = 2166136261u;

  for (size_t i = 0; i < sizeof *info; i++)
    hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

static bool
fault_errno (IpcFault *fault, const char *what, const char *name)
{
  if (errno == ENOSPC || errno == EDQUOT)
    return ipc_fault_set (fault, IPC_FAULT_NO_SPACE, "\"%s\": no space left to %s it", name, what);
  return ipc_fault_set_errno (fault, errno, "cannot %s \"%s\"", what, name);
}

/* How many bytes of a segment follow it at first. */
static uint64_t
get_rest (const IpcSharedInfo *info)
{
  return info->kind == IPC_SHARED_KIND_MEMORY ? info->geometry[0] : 0;
}

static bool
guard_map (IpcSharedFile *file, const char *name, void *map, IpcFault *fault)
{
  size_t size = (size_t) file->info.size;

  if (map == MAP_FAILED)
    return fault_errno (fault, "map", name);
  file->guard = ipc_guard_map (map, size);
  if (file->guard == NULL)
    {
      munmap (map, size);
      return ipc_fault_set_errno (fault, ENOMEM, "cannot map \"%s\"", name);
    }
  file->map = map;
  return true;
}

static bool
map_file (IpcSharedFile *file, const char *name, bool writable, IpcFault *fault)
{
  int seals = fcntl (file->fd, F_GET_SEALS);
  bool is_sealed = seals >= 0 && (seals & F_SEAL_WRITE) != 0;
  void *map = mmap (NULL, (size_t) file->info.size, writable || is_sealed ? PROT_READ | PROT_WRITE : PROT_READ,
                    is_sealed ? MAP_PRIVATE : MAP_SHARED, file->fd, 0);

  return guard_map (file, name, map, fault);
}

/* ---- making ---- */

static void
complete_info (IpcSharedInfo *info)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  info->created_at = (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
  /* Without random numbers, right after the start of the machine, the time has to do. */
  if (getrandom (info->id, sizeof info->id, GRND_NONBLOCK) != (ssize_t) sizeof info->id)
    memcpy (info->id, &now, sizeof now < sizeof info->id ? sizeof now : sizeof info->id);
}

/* In the map, which is all zero. */
static void
write_header (IpcSharedFile *file, IpcSharedFill fill, const void *data)
{
  Header *header = (Header *) file->map;

  complete_info (&file->info);
  memcpy (header->magic, magic, sizeof magic);
  header->format = FORMAT;
  header->info = file->info;
  header->checksum = sum (&file->info);
  if (fill != NULL)
    fill (file->map + IPC_SHARED_HEADER_SIZE, &file->info, data);
}

/* Allocates, maps and fills in the file that has no name yet. */
static bool
make (int fd, const char *name, const IpcSharedInfo *wanted, IpcSharedFill fill, const void *data, IpcSharedFile *file, IpcFault *fault)
{
  IpcSharedFile made = { .fd = fd, .info = *wanted };
  struct stat status;

  /* The umask is not to decide. */
  if (fchmod (fd, 0600) != 0 || fstat (fd, &status) != 0)
    return fault_errno (fault, "make", name);
  do
    errno = posix_fallocate (fd, 0, (off_t) (wanted->size + get_rest (wanted)));
  while (errno == EINTR);
  if (errno != 0)
    return fault_errno (fault, "make", name);
  if (!map_file (&made, name, true, fault))
    return false;
  made.device = status.st_dev;
  made.inode = status.st_ino;
  write_header (&made, fill, data);
  *file = made;
  return true;
}

static bool
check_wanted (const char *name, const IpcSharedInfo *wanted, IpcFault *fault)
{
  if (strlen (name) > MAX_NAME / 2)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_NAME, "a name of %zu bytes, limit %d", strlen (name), MAX_NAME / 2);
  if (wanted->size < IPC_SHARED_HEADER_SIZE || wanted->size > INT64_MAX || get_rest (wanted) > INT64_MAX - wanted->size)
    return ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "\"%s\": %" PRIu64 " bytes", name, wanted->size + get_rest (wanted));
  return true;
}

bool
ipc_shared_file_create (int directory_fd, const char *name, const IpcSharedInfo *info, IpcSharedFill fill, const void *data,
                        IpcSharedFile *file, IpcFault *fault)
{
  IpcSharedFile made;
  IpcNewFile new;
  bool named;

  if (!check_wanted (name, info, fault))
    return false;
  if (!ipc_new_file_open (&new, directory_fd, name))
    return fault_errno (fault, "make", name);
  if (!make (new.fd, name, info, fill, data, &made, fault))
    {
      ipc_fork_close (new.fd);
      ipc_new_file_end (&new);
      return false;
    }
  named = ipc_new_file_link (&new, name);
  if (!named && errno == EEXIST)
    ipc_fault_set (fault, IPC_FAULT_EXISTS, "\"%s\" exists already", name);
  else if (!named)
    fault_errno (fault, "name", name);
  ipc_new_file_end (&new);
  if (named)
    *file = made;
  else
    ipc_shared_file_close (&made);
  return named;
}

bool
ipc_shared_file_create_anonymous (const IpcSharedInfo *info, IpcSharedFill fill, const void *data, IpcSharedFile *file, IpcFault *fault)
{
  IpcSharedFile made = { .fd = -1 };
  int fd;

  if (!check_wanted (ANONYMOUS, info, fault))
    return false;
  fd = ipc_fork_open (ipc_memfd_open ("ipc-glib segment"));
  if (fd < 0)
    return fault_errno (fault, "make", ANONYMOUS);
  if (make (fd, ANONYMOUS, info, fill, data, &made, fault) &&
      (fcntl (fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 || fault_errno (fault, "seal", ANONYMOUS)))
    {
      *file = made;
      return true;
    }
  made.fd = fd;
  ipc_shared_file_close (&made);
  return false;
}

/* ---- opening ---- */

static bool
check_file (const char *name, const struct stat *status, IpcFault *fault)
{
  if (!S_ISREG (status->st_mode))
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "\"%s\" is not a regular file", name);
  if (status->st_uid != geteuid ())
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "\"%s\": owner %u, expected %u", name, status->st_uid, geteuid ());
  if ((status->st_mode & 022) != 0)
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "\"%s\": mode %04o, others may write it", name, status->st_mode & 07777);
  return true;
}

static bool
check_header (const char *name, const Header *header, uint64_t size, IpcSharedKind kind, uint32_t layout, uint64_t max_size, IpcFault *fault)
{
  const IpcSharedInfo *info = &header->info;

  if (memcmp (header->magic, magic, sizeof magic) != 0)
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "\"%s\" is not a file of this library", name);
  if (header->format != FORMAT)
    return ipc_fault_set (fault, IPC_FAULT_VERSION, "\"%s\" has format %" PRIu32 ", this library knows %u", name, header->format, FORMAT);
  if (header->checksum != sum (info))
    return ipc_fault_set (fault, IPC_FAULT_CORRUPT, "\"%s\": its header does not add up", name);
  if (info->kind != kind)
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "\"%s\" is of kind %" PRIu32 ", expected %d", name, info->kind, (int) kind);
  if (info->layout != layout)
    return ipc_fault_set (fault, IPC_FAULT_VERSION, "\"%s\" has layout %" PRIu32 ", this library knows %" PRIu32, name, info->layout, layout);
  if (info->size > max_size)
    return ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "\"%s\" has %" PRIu64 " bytes, limit %" PRIu64, name, info->size, max_size);
  if (info->size < IPC_SHARED_HEADER_SIZE || (info->kind == IPC_SHARED_KIND_MEMORY ? info->size > size : info->size != size))
    return ipc_fault_set (fault, IPC_FAULT_CORRUPT, "\"%s\": %" PRIu64 " bytes, its header says %" PRIu64, name, size, info->size);
  return true;
}

/* What a short file does not have is zero. */
static bool
read_header (int fd, Header *header)
{
  memset (header, 0, sizeof *header);
  for (size_t done = 0; done < sizeof *header;)
    {
      ssize_t n = TEMP_FAILURE_RETRY (pread (fd, (uint8_t *) header + done, sizeof *header - done, (off_t) done));

      if (n <= 0)
        return n == 0;
      done += (size_t) n;
    }
  return true;
}

/* What is known about the status of the file is all right. */
static bool
load (int fd, const char *name, const struct stat *status, IpcSharedKind kind, uint32_t layout, uint64_t max_size, bool writable,
      IpcSharedFile *file, IpcFault *fault)
{
  IpcSharedFile loaded = { .fd = fd, .device = status->st_dev, .inode = status->st_ino };
  Header copy;

  if (!read_header (fd, &copy))
    return ipc_fault_set_errno (fault, errno, "cannot read \"%s\"", name);
  if (status->st_size < (off_t) sizeof copy)
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "\"%s\": %jd bytes are too few for a file of this library", name, (intmax_t) status->st_size);
  if (!check_header (name, &copy, (uint64_t) status->st_size, kind, layout, max_size, fault))
    return false;
  loaded.info = copy.info;
  if (!map_file (&loaded, name, writable, fault))
    return false;
  *file = loaded;
  return true;
}

static bool
look_at (int fd, const char *name, struct stat *status, IpcFault *fault)
{
  return fstat (fd, status) == 0 || fault_errno (fault, "look at", name);
}

bool
ipc_shared_file_open (int directory_fd, const char *name, IpcSharedKind kind, uint32_t layout, uint64_t max_size, bool writable,
                      IpcSharedFile *file, IpcFault *fault)
{
  /* Not blocking, in case it is a FIFO. */
  int fd = ipc_fork_open (TEMP_FAILURE_RETRY (openat (directory_fd, name, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)));
  struct stat status;

  if (fd < 0 && errno == ENOENT)
    return ipc_fault_set (fault, IPC_FAULT_NOT_FOUND, "there is no \"%s\"", name);
  if (fd < 0 && errno == ELOOP)
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "\"%s\" is a symbolic link", name);
  if (fd < 0 && (errno == EISDIR || errno == ENXIO))
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "\"%s\" is not a regular file", name);
  if (fd < 0)
    return fault_errno (fault, "open", name);
  if (look_at (fd, name, &status, fault) && check_file (name, &status, fault) &&
      load (fd, name, &status, kind, layout, max_size, writable, file, fault))
    return true;
  ipc_fork_close (fd);
  return false;
}

/* Somebody may have sent any descriptor. */
static bool
check_foreign (int fd, IpcFault *fault)
{
  struct stat status;
  int seals = fcntl (fd, F_GET_SEALS);

  if (!look_at (fd, ANONYMOUS, &status, fault))
    return false;
  if (!S_ISREG (status.st_mode))
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "%s is not a regular file", ANONYMOUS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "expected a memfd that is sealed against becoming shorter, got a file with the seals 0x%x",
                          seals < 0 ? 0 : (unsigned) seals);
  return true;
}

bool
ipc_shared_file_adopt (int fd, IpcSharedKind kind, uint32_t layout, uint64_t max_size, bool writable, IpcSharedFile *file, IpcFault *fault)
{
  struct stat status;
  IpcFault reason = { 0 };

  if (!look_at (fd, ANONYMOUS, &status, fault))
    return false;
  if (!check_foreign (fd, fault) && (fault->code == IPC_FAULT_WRONG_TYPE || !check_file (ANONYMOUS, &status, &reason)))
    return false;
  return load (fd, ANONYMOUS, &status, kind, layout, max_size, writable, file, fault);
}

bool
ipc_shared_file_wrap (int fd, const IpcSharedInfo *info, IpcSharedFill fill, const void *data, IpcSharedFile *file, IpcFault *fault)
{
  IpcSharedFile wrapped = { .fd = fd, .info = *info };
  struct stat status;

  if (!check_foreign (fd, fault) || !look_at (fd, ANONYMOUS, &status, fault) ||
      !guard_map (&wrapped, ANONYMOUS, mmap (NULL, (size_t) info->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), fault))
    return false;
  wrapped.device = status.st_dev;
  wrapped.inode = status.st_ino;
  write_header (&wrapped, fill, data);
  *file = wrapped;
  return true;
}

void
ipc_shared_file_close (IpcSharedFile *file)
{
  ipc_guard_unmap (file->guard);
  if (file->map != NULL)
    munmap (file->map, file->info.size);
  if (file->fd >= 0)
    ipc_fork_close (file->fd);
  file->guard = NULL;
  file->map = NULL;
  file->fd = -1;
}

/* ---- deleting ---- */

_Atomic uint32_t *
ipc_shared_file_get_deleted_word (const IpcSharedFile *file)
{
  return &((Header *) file->map)->deleted;
}

bool
ipc_shared_file_is_deleted (const IpcSharedFile *file)
{
  return atomic_load (ipc_shared_file_get_deleted_word (file)) != 0;
}

bool
ipc_shared_file_delete (int directory_fd, const char *name, IpcSharedFile *file)
{
  struct stat status;
  bool is_ours;
  int lock_fd = -1;

  /* Two that delete the same name must not meet between looking and unlinking, with a new file made in between. */
  if (!ipc_path_lock_acquire (directory_fd, name, &lock_fd, NULL))
    return false;
  is_ours = fstatat (directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            status.st_dev == file->device && status.st_ino == file->inode && unlinkat (directory_fd, name, 0) == 0;
  if (is_ours)
    atomic_store (ipc_shared_file_get_deleted_word (file), 1);
  ipc_path_lock_release (lock_fd);
  return is_ours;
}
