/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See fault-shim.h for what it is. Each function here stands in front of the one of the C library, or of a
 * sanitizer, by being found first; dlsym() knows the next one.
 *
 * It is called in any thread, also before main() and in forked children, so it has no lock.
 */
#undef _FILE_OFFSET_BITS        /* both the plain names and those with 64 are defined here */
#include "fault-shim.h"

#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LIBRARY "libipc-glib"
#define MAX_FAULTS 8

#define ALL_CALLS(X) \
  X (accept) X (accept4) X (bind) X (chmod) X (connect) X (epoll_create1) X (epoll_ctl) X (epoll_wait) X (fallocate) \
  X (fchmod) X (fchmodat) X (fchownat) X (fcntl) X (fdatasync) X (fdopendir) X (flock) X (fstat) X (fstatat) X (fstatfs) \
  X (fsync) X (ftruncate) X (getrandom) X (getsockname) X (getsockopt) X (inotify_add_watch) X (inotify_init1) X (linkat) \
  X (listen) X (memfd_create) X (mkdirat) X (mkfifoat) X (mmap) X (msync) X (open) X (openat) X (pipe2) X (poll) \
  X (posix_fallocate) X (pread) X (pwrite) X (read) X (recv) X (recvmsg) X (renameat2) X (send) X (sendmsg) X (setsockopt) \
  X (shutdown) X (socket) X (statx) X (unlinkat) X (write) X (writev)

#define AS_ENUM(name) CALL_##name,
#define AS_NAME(name) #name,
typedef enum { ALL_CALLS (AS_ENUM) N_CALLS } Call;
static const char *const names[] = { ALL_CALLS (AS_NAME) NULL };

typedef struct
{
  Fault fault;
  Call call;
  pid_t thread;                 /* 0: any */
} Armed;

static Armed armed[MAX_FAULTS];
static unsigned n_armed;
static _Atomic bool in_force;
static _Atomic unsigned counts[N_CALLS];
static _Atomic unsigned n_fired;

/* ---- whose call it is ---- */

typedef struct
{
  uintptr_t address;
  bool is_ours;
} Caller;

static int
look_at_object (struct dl_phdr_info *info, size_t size, void *data)
{
  Caller *caller = data;

  for (int i = 0; i < info->dlpi_phnum; i++)
    {
      const ElfW (Phdr) *part = &info->dlpi_phdr[i];
      uintptr_t start = info->dlpi_addr + part->p_vaddr;

      if (part->p_type != PT_LOAD || caller->address < start || caller->address >= start + part->p_memsz)
        continue;
      /* The program itself has no name. */
      caller->is_ours = strstr (info->dlpi_name, LIBRARY) != NULL || info->dlpi_name[0] == '\0';
      return 1;
    }
  return 0;
}

static bool
is_ours (void *address)
{
  Caller caller = { (uintptr_t) address, false };

  dl_iterate_phdr (look_at_object, &caller);
  return caller.is_ours;
}

/* ---- what happens to it ---- */

typedef enum { PASS, FAIL, CUT } Verdict;

static bool
is_struck (const Armed *self, unsigned n)
{
  unsigned every = self->fault.every > 1 ? self->fault.every : 1;
  unsigned turn;

  if (self->fault.error == FAULT_NONE || n < self->fault.first || (n - self->fault.first) % every != 0)
    return false;
  turn = (n - self->fault.first) / every;
  return self->fault.times == 0 || turn < self->fault.times;
}

static Verdict
judge (Call call, void *caller)
{
  unsigned n;

  if (!atomic_load_explicit (&in_force, memory_order_acquire))
    return PASS;
  /* Only GIO calls accept(), and that is for the library. */
  if (call != CALL_accept && !is_ours (caller))
    return PASS;
  if (armed[0].thread != 0 && armed[0].thread != gettid ())
    return PASS;
  n = atomic_fetch_add (&counts[call], 1) + 1;
  for (unsigned i = 0; i < n_armed; i++)
    if (armed[i].call == call && is_struck (&armed[i], n))
      {
        atomic_fetch_add (&n_fired, 1);
        if (armed[i].fault.error == FAULT_SHORT)
          return CUT;
        errno = armed[i].fault.error;
        return FAIL;
      }
  return PASS;
}

static Call
find_call (const char *name)
{
  for (Call call = 0; call < N_CALLS; call++)
    if (strcmp (names[call], name) == 0)
      return call;
  fprintf (stderr, "fault-shim: there is no call %s\n", name);
  abort ();
}

static void
add (const Fault *fault)
{
  assert (n_armed < MAX_FAULTS);
  armed[n_armed].fault = *fault;
  armed[n_armed].call = find_call (fault->call);
  armed[n_armed].thread = fault->in_this_thread ? gettid () : 0;
  n_armed++;
}

void
fault_arm (const Fault *fault)
{
  fault_disarm ();
  for (Call call = 0; call < N_CALLS; call++)
    atomic_store (&counts[call], 0);
  atomic_store (&n_fired, 0);
  n_armed = 0;
  add (fault);
  atomic_store_explicit (&in_force, true, memory_order_release);
}

unsigned
fault_disarm (void)
{
  atomic_store (&in_force, false);
  return atomic_load (&n_fired);
}

unsigned
fault_count (const char *call)
{
  return atomic_load (&counts[find_call (call)]);
}

unsigned
fault_count_fired (void)
{
  return atomic_load (&n_fired);
}

const char *const *
fault_calls (void)
{
  return names;
}

/* ---- what the environment says ---- */

static int
parse_error (const char *text)
{
  static const int errors[] = { EACCES, EAGAIN, ECONNRESET, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EPERM, EPIPE };

  if (strcmp (text, "short") == 0)
    return FAULT_SHORT;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (strcmp (text, strerrorname_np (errors[i])) == 0)
      return errors[i];
  fprintf (stderr, "fault-shim: there is no error %s\n", text);
  abort ();
}

static void
parse_fault (const char *text)
{
  static char calls[MAX_FAULTS][32];
  Fault fault = { .call = calls[n_armed], .first = 1, .every = 1 };
  char error[16];
  int used;

  if (n_armed == MAX_FAULTS || sscanf (text, "%31[a-z0-9_]=%15[A-Zshort]%n", calls[n_armed], error, &used) != 2)
    {
      fprintf (stderr, "fault-shim: cannot understand \"%s\"\n", text);
      abort ();
    }
  fault.error = parse_error (error);
  for (const char *more = text + used; *more != '\0' && *more != ','; more += strspn (more, "0123456789"))
    {
      char what = *more++;
      unsigned number = (unsigned) strtoul (more, NULL, 10);

      if (what == '@')
        fault.first = number;
      else if (what == 'x')
        fault.times = number;
      else if (what == '/')
        fault.every = number;
      else
        abort ();
    }
  add (&fault);
}

__attribute__ ((constructor)) static void
read_environment (void)
{
  const char *text = getenv ("IPC_TEST_FAULTS");

  while (text != NULL && *text != '\0')
    {
      parse_fault (text);
      text = strchr (text, ',');
      if (text != NULL)
        text++;
    }
  atomic_store_explicit (&in_force, n_armed > 0, memory_order_release);
}

/* ---- the calls ---- */

/* Found once; whoever finds it at the same time finds the same. */
#define NEXT(function) \
  static _Atomic (void *) found; \
  void *next = atomic_load_explicit (&found, memory_order_relaxed); \
  if (next == NULL) \
    atomic_store_explicit (&found, next = dlsym (RTLD_NEXT, #function), memory_order_relaxed)

/* FUNCTION is what the linker finds, whatever the headers make of its name; CALL is the system call behind it. */
#define STAND_IN(type, failed, function, call, parameters, arguments) \
  type in_front_of_##function parameters __asm__ (#function); \
  type in_front_of_##function parameters \
  { \
    NEXT (function); \
    if (judge (CALL_##call, __builtin_return_address (0)) == FAIL) \
      return failed; \
    return ((type (*) parameters) next) arguments; \
  }
#define BOTH(type, failed, function, call, parameters, arguments) \
  STAND_IN (type, failed, function, call, parameters, arguments) \
  STAND_IN (type, failed, function##64, call, parameters, arguments)

STAND_IN (int, -1, accept, accept, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
STAND_IN (int, -1, accept4, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags), (fd, address, size, flags))
STAND_IN (int, -1, bind, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
STAND_IN (int, -1, chmod, chmod, (const char *path, mode_t mode), (path, mode))
STAND_IN (int, -1, connect, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
STAND_IN (int, -1, epoll_create1, epoll_create1, (int flags), (flags))
STAND_IN (int, -1, epoll_wait, epoll_wait, (int fd, struct epoll_event *events, int n, int timeout), (fd, events, n, timeout))
BOTH (int, -1, fallocate, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size))
STAND_IN (int, -1, fchmod, fchmod, (int fd, mode_t mode), (fd, mode))
STAND_IN (int, -1, fchmodat, fchmodat, (int fd, const char *path, mode_t mode, int flags), (fd, path, mode, flags))
STAND_IN (int, -1, fchownat, fchownat, (int fd, const char *path, uid_t uid, gid_t gid, int flags), (fd, path, uid, gid, flags))
STAND_IN (int, -1, fdatasync, fdatasync, (int fd), (fd))
STAND_IN (DIR *, NULL, fdopendir, fdopendir, (int fd), (fd))
STAND_IN (int, -1, flock, flock, (int fd, int operation), (fd, operation))
BOTH (int, -1, fstat, fstat, (int fd, void *status), (fd, status))
BOTH (int, -1, fstatat, fstatat, (int fd, const char *path, void *status, int flags), (fd, path, status, flags))
BOTH (int, -1, fstatfs, fstatfs, (int fd, void *status), (fd, status))
STAND_IN (int, -1, fsync, fsync, (int fd), (fd))
BOTH (int, -1, ftruncate, ftruncate, (int fd, off_t size), (fd, size))
STAND_IN (int, -1, getsockname, getsockname, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
STAND_IN (int, -1, getsockopt, getsockopt, (int fd, int level, int name, void *value, socklen_t *size), (fd, level, name, value, size))
STAND_IN (int, -1, inotify_add_watch, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
STAND_IN (int, -1, inotify_init1, inotify_init1, (int flags), (flags))
STAND_IN (int, -1, linkat, linkat, (int fd, const char *path, int to_fd, const char *to, int flags), (fd, path, to_fd, to, flags))
STAND_IN (int, -1, listen, listen, (int fd, int backlog), (fd, backlog))
STAND_IN (int, -1, memfd_create, memfd_create, (const char *name, unsigned flags), (name, flags))
STAND_IN (int, -1, mkdirat, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
STAND_IN (int, -1, mkfifoat, mkfifoat, (int fd, const char *path, mode_t mode), (fd, path, mode))
BOTH (void *, MAP_FAILED, mmap, mmap, (void *at, size_t size, int rights, int flags, int fd, off_t offset), (at, size, rights, flags, fd, offset))
STAND_IN (int, -1, msync, msync, (void *at, size_t size, int flags), (at, size, flags))
STAND_IN (int, -1, pipe2, pipe2, (int *fds, int flags), (fds, flags))
STAND_IN (int, -1, poll, poll, (struct pollfd *fds, nfds_t n, int timeout), (fds, n, timeout))
BOTH (int, errno, posix_fallocate, posix_fallocate, (int fd, off_t offset, off_t size), (fd, offset, size)) /* says why by its result */
STAND_IN (int, -1, renameat2, renameat2, (int fd, const char *path, int to_fd, const char *to, unsigned flags), (fd, path, to_fd, to, flags))
STAND_IN (int, -1, setsockopt, setsockopt, (int fd, int level, int name, const void *value, socklen_t size), (fd, level, name, value, size))
STAND_IN (int, -1, shutdown, shutdown, (int fd, int how), (fd, how))
STAND_IN (int, -1, socket, socket, (int domain, int type, int protocol), (domain, type, protocol))
STAND_IN (int, -1, statx, statx, (int fd, const char *path, int flags, unsigned mask, struct statx *info), (fd, path, flags, mask, info))
STAND_IN (int, -1, unlinkat, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))

int in_front_of_epoll_ctl (int fd, int operation, int other, struct epoll_event *event) __asm__ ("epoll_ctl");
int
in_front_of_epoll_ctl (int fd, int operation, int other, struct epoll_event *event)
{
  NEXT (epoll_ctl);
  if (operation == EPOLL_CTL_ADD && judge (CALL_epoll_ctl, __builtin_return_address (0)) == FAIL)
    return -1;
  return ((int (*) (int, int, int, struct epoll_event *)) next) (fd, operation, other, event);
}

/* What takes a size: it may also be cut to one byte. */
#define TRANSFER(function, call, parameters, arguments) \
  ssize_t in_front_of_##function parameters __asm__ (#function); \
  ssize_t in_front_of_##function parameters \
  { \
    NEXT (function); \
    Verdict verdict = judge (CALL_##call, __builtin_return_address (0)); \
    if (verdict == FAIL) \
      return -1; \
    if (verdict == CUT && size > 1) \
      size = 1; \
    return ((ssize_t (*) parameters) next) arguments; \
  }

TRANSFER (read, read, (int fd, void *room, size_t size), (fd, room, size))
TRANSFER (getrandom, getrandom, (void *room, size_t size, unsigned flags), (room, size, flags))
TRANSFER (write, write, (int fd, const void *data, size_t size), (fd, data, size))
TRANSFER (recv, recv, (int fd, void *room, size_t size, int flags), (fd, room, size, flags))
TRANSFER (send, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
TRANSFER (pread, pread, (int fd, void *room, size_t size, off_t offset), (fd, room, size, offset))
TRANSFER (pread64, pread, (int fd, void *room, size_t size, off_t offset), (fd, room, size, offset))
TRANSFER (pwrite, pwrite, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset))
TRANSFER (pwrite64, pwrite, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset))

/* Of several pieces the first byte of the first one that has any. */
static bool
cut_pieces (const struct iovec *pieces, size_t n, struct iovec *piece)
{
  for (size_t i = 0; i < n; i++)
    if (pieces[i].iov_len > 0)
      {
        *piece = (struct iovec){ pieces[i].iov_base, 1 };
        return true;
      }
  return false;
}

#define SCATTERED(function, parameters, arguments) \
  ssize_t in_front_of_##function parameters __asm__ (#function); \
  ssize_t in_front_of_##function parameters \
  { \
    NEXT (function); \
    Verdict verdict = judge (CALL_writev, __builtin_return_address (0)); \
    struct iovec piece; \
    if (verdict == FAIL) \
      return -1; \
    if (verdict == CUT && cut_pieces (pieces, (size_t) n, &piece)) \
      { \
        pieces = &piece; \
        n = 1; \
      } \
    return ((ssize_t (*) parameters) next) arguments; \
  }

SCATTERED (writev, (int fd, const struct iovec *pieces, int n), (fd, pieces, n))
SCATTERED (pwritev2, (int fd, const struct iovec *pieces, int n, off_t offset, int flags), (fd, pieces, n, offset, flags))
SCATTERED (pwritev64v2, (int fd, const struct iovec *pieces, int n, off_t offset, int flags), (fd, pieces, n, offset, flags))

/* Of a message that, and the descriptors with it. */
static void
cut_message (struct msghdr *message, struct iovec *piece)
{
  if (!cut_pieces (message->msg_iov, message->msg_iovlen, piece))
    return;
  message->msg_iov = piece;
  message->msg_iovlen = 1;
}

ssize_t in_front_of_recvmsg (int fd, struct msghdr *message, int flags) __asm__ ("recvmsg");
ssize_t
in_front_of_recvmsg (int fd, struct msghdr *message, int flags)
{
  NEXT (recvmsg);
  Verdict verdict = judge (CALL_recvmsg, __builtin_return_address (0));
  struct iovec piece, *iov = message->msg_iov;
  size_t n = message->msg_iovlen;
  ssize_t got;

  if (verdict == FAIL)
    return -1;
  if (verdict == CUT)
    cut_message (message, &piece);
  got = ((ssize_t (*) (int, struct msghdr *, int)) next) (fd, message, flags);
  message->msg_iov = iov;
  message->msg_iovlen = n;
  return got;
}

ssize_t in_front_of_sendmsg (int fd, const struct msghdr *message, int flags) __asm__ ("sendmsg");
ssize_t
in_front_of_sendmsg (int fd, const struct msghdr *message, int flags)
{
  NEXT (sendmsg);
  Verdict verdict = judge (CALL_sendmsg, __builtin_return_address (0));
  struct msghdr cut = *message;
  struct iovec piece;

  if (verdict == FAIL)
    return -1;
  if (verdict == CUT)
    cut_message (&cut, &piece);
  return ((ssize_t (*) (int, const struct msghdr *, int)) next) (fd, &cut, flags);
}

/* What takes an argument more, or not. */
#define OPENING(function, call, first_parameters, last, first_arguments) \
  int in_front_of_##function first_parameters __asm__ (#function); \
  int in_front_of_##function first_parameters \
  { \
    NEXT (function); \
    va_list rest; \
    mode_t mode; \
    va_start (rest, last); \
    mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg (rest, mode_t) : 0; \
    va_end (rest); \
    if (judge (CALL_##call, __builtin_return_address (0)) == FAIL) \
      return -1; \
    return ((int (*) first_parameters) next) first_arguments; \
  }

OPENING (open, open, (const char *path, int flags, ...), flags, (path, flags, mode))
OPENING (open64, open, (const char *path, int flags, ...), flags, (path, flags, mode))
OPENING (openat, openat, (int fd, const char *path, int flags, ...), flags, (fd, path, flags, mode))
OPENING (openat64, openat, (int fd, const char *path, int flags, ...), flags, (fd, path, flags, mode))

#define CONTROL(function) \
  int in_front_of_##function (int fd, int operation, ...) __asm__ (#function); \
  int in_front_of_##function (int fd, int operation, ...) \
  { \
    NEXT (function); \
    va_list rest; \
    void *argument; \
    va_start (rest, operation); \
    argument = va_arg (rest, void *); \
    va_end (rest); \
    if (judge (CALL_fcntl, __builtin_return_address (0)) == FAIL) \
      return -1; \
    return ((int (*) (int, int, ...)) next) (fd, operation, argument); \
  }

CONTROL (fcntl)
CONTROL (fcntl64)
