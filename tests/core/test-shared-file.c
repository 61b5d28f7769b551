/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that several processes map: complete or not there, judged before they are used, and gone when they are deleted.
 */
#include "core/ipc-shared-file.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "core/ipc-memfd.h"
#include "ipc-test.h"

#define SIZE 8192u
#define LAYOUT 3u
#define MAX_SIZE 65536u

static const IpcSharedInfo wanted = { .kind = IPC_SHARED_KIND_SEMAPHORE, .layout = LAYOUT, .size = SIZE, .geometry = { 7, 8, 9, 10 } };

static int
open_directory (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  g_assert_no_errno (fd);
  return fd;
}

static void
fill (uint8_t *body, const IpcSharedInfo *info, const void *data)
{
  memset (body, *(const char *) data, info->size - IPC_SHARED_HEADER_SIZE);
}

static IpcSharedFile
create (int directory_fd)
{
  IpcFault fault = { 0 };
  IpcSharedFile file;

  if (!ipc_shared_file_create (directory_fd, "a", &wanted, fill, "x", &file, &fault))
    g_error ("%s", fault.message);
  return file;
}

static void
assert_not_opened (int directory_fd, const char *name, IpcFaultCode code, const char *text)
{
  IpcSharedFile file = { .fd = -77 };
  IpcFault fault = { 0 };

  g_assert_false (ipc_shared_file_open (directory_fd, name, IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, TRUE, &file, &fault));
  g_assert_cmpint (file.fd, ==, -77);
  g_assert_cmpint (fault.code, ==, code);
  if (strstr (fault.message, text) == NULL || strstr (fault.message, name) == NULL)
    g_error ("\"%s\" says neither \"%s\" nor its name", fault.message, text);
}

static guint
count_entries (IpcTest *test)
{
  g_autoptr (GDir) dir = g_dir_open (test->directory, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static void
test_create (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  IpcSharedFile file = create (directory_fd), other, again = { .fd = -77 };
  IpcFault fault = { 0 };
  struct stat status;

  g_assert_cmpint (count_entries (test), ==, 1);
  g_assert_no_errno (fstatat (directory_fd, "a", &status, 0));
  g_assert_cmpint (status.st_mode & 07777, ==, 0600);
  g_assert_cmpint (status.st_size, ==, SIZE);
  g_assert_cmpint (status.st_blocks * 512, >=, SIZE);
  g_assert_true (ipc_shared_file_open (directory_fd, "a", IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, TRUE, &other, &fault));
  g_assert_cmpmem (&file.info, sizeof file.info, &other.info, sizeof other.info);
  g_assert_cmpuint (other.info.geometry[3], ==, 10);
  g_assert_cmpint (ipc_shared_file_get_body (&other)[0], ==, 'x');
  ipc_shared_file_get_body (&file)[5] = 'y';
  g_assert_cmpint (ipc_shared_file_get_body (&other)[5], ==, 'y');
  g_assert_false (ipc_shared_file_create (directory_fd, "a", &wanted, fill, "z", &again, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_EXISTS);
  g_assert_cmpint (again.fd, ==, -77);
  g_assert_cmpint (count_entries (test), ==, 1);
  ipc_shared_file_close (&file);
  ipc_shared_file_close (&other);
  close (directory_fd);
}

static void
test_create_fails (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  const struct rlimit small = { 4096, 4096 };
  struct rlimit before;
  struct sigaction ignore = { .sa_handler = SIG_IGN }, action;
  IpcSharedInfo info = wanted;
  IpcSharedFile file = { .fd = -77 };
  IpcFault fault = { 0 };

  info.size = 100;
  g_assert_false (ipc_shared_file_create (directory_fd, "a", &info, NULL, NULL, &file, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_TOO_LARGE);
  info.size = G_MAXUINT64;
  g_assert_false (ipc_shared_file_create (directory_fd, "a", &info, NULL, NULL, &file, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_TOO_LARGE);

  /* No room, as seen by a process that may not write so much. */
  sigaction (SIGXFSZ, &ignore, &action);
  g_assert_no_errno (getrlimit (RLIMIT_FSIZE, &before));
  g_assert_no_errno (setrlimit (RLIMIT_FSIZE, &(struct rlimit){ small.rlim_cur, before.rlim_max }));
  g_assert_false (ipc_shared_file_create (directory_fd, "a", &wanted, NULL, NULL, &file, &fault));
  g_assert_no_errno (setrlimit (RLIMIT_FSIZE, &before));
  sigaction (SIGXFSZ, &action, NULL);
  g_assert_cmpint (fault.code, ==, IPC_FAULT_SYSTEM);
  g_assert_cmpint (fault.system_errno, ==, EFBIG);
  g_assert_cmpint (file.fd, ==, -77);
  g_assert_cmpint (count_entries (test), ==, 0);
  close (directory_fd);
}

static void
test_bad_files (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "a");
  int directory_fd = open_directory (test->directory);
  IpcSharedFile file;
  IpcFault fault = { 0 };
  int fd;

  assert_not_opened (directory_fd, "a", IPC_FAULT_NOT_FOUND, "there is no");
  g_assert_no_errno (mkdirat (directory_fd, "folder", 0700));
  assert_not_opened (directory_fd, "folder", IPC_FAULT_WRONG_TYPE, "not a regular file");
  g_assert_no_errno (mkfifoat (directory_fd, "fifo", 0600));
  assert_not_opened (directory_fd, "fifo", IPC_FAULT_WRONG_TYPE, "not a regular file");
  g_assert_no_errno (symlinkat ("a", directory_fd, "link"));
  assert_not_opened (directory_fd, "link", IPC_FAULT_UNSAFE_PATH, "symbolic link");
  g_assert_true (g_file_set_contents_full (path, "", 0, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  assert_not_opened (directory_fd, "a", IPC_FAULT_WRONG_TYPE, "too few");
  g_assert_no_errno (truncate (path, SIZE));
  assert_not_opened (directory_fd, "a", IPC_FAULT_WRONG_TYPE, "not a file of this library");
  g_assert_no_errno (unlink (path));

  file = create (directory_fd);
  ipc_shared_file_close (&file);
  g_assert_false (ipc_shared_file_open (directory_fd, "a", IPC_SHARED_KIND_MEMORY, LAYOUT, MAX_SIZE, TRUE, &file, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_WRONG_TYPE);
  g_assert_false (ipc_shared_file_open (directory_fd, "a", IPC_SHARED_KIND_SEMAPHORE, LAYOUT + 1, MAX_SIZE, TRUE, &file, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_VERSION);
  g_assert_false (ipc_shared_file_open (directory_fd, "a", IPC_SHARED_KIND_SEMAPHORE, LAYOUT, SIZE - 1, TRUE, &file, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_TOO_LARGE);
  g_assert_no_errno (chmod (path, 0660));
  assert_not_opened (directory_fd, "a", IPC_FAULT_UNSAFE_PATH, "mode 0660");
  g_assert_no_errno (chmod (path, 0600));
  g_assert_no_errno (truncate (path, SIZE - 1));
  assert_not_opened (directory_fd, "a", IPC_FAULT_CORRUPT, "its header says");
  g_assert_no_errno (truncate (path, SIZE + 1));
  assert_not_opened (directory_fd, "a", IPC_FAULT_CORRUPT, "its header says");
  g_assert_no_errno (truncate (path, SIZE));
  fd = open (path, O_RDWR | O_CLOEXEC);
  for (guint at = 0; at < 16 + sizeof wanted; at++)
    {
      guint8 byte, changed;

      g_assert_cmpint (pread (fd, &byte, 1, at), ==, 1);
      changed = byte ^ 0x10;
      g_assert_cmpint (pwrite (fd, &changed, 1, at), ==, 1);
      g_assert_false (ipc_shared_file_open (directory_fd, "a", IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, TRUE, &file, &fault));
      g_assert_cmpint (pwrite (fd, &byte, 1, at), ==, 1);
    }
  close (fd);
  g_assert_true (ipc_shared_file_open (directory_fd, "a", IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, FALSE, &file, &fault));
  ipc_shared_file_close (&file);
  close (directory_fd);
}

static void
test_delete (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  IpcSharedFile file = create (directory_fd), other, fresh;
  IpcFault fault = { 0 };

  g_assert_true (ipc_shared_file_open (directory_fd, "a", IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, TRUE, &other, &fault));
  g_assert_false (ipc_shared_file_is_deleted (&other));
  g_assert_true (ipc_shared_file_delete (directory_fd, "a", &file));
  g_assert_true (ipc_shared_file_is_deleted (&other));
  g_assert_cmpint (*ipc_shared_file_get_deleted_word (&other), !=, 0);
  assert_not_opened (directory_fd, "a", IPC_FAULT_NOT_FOUND, "there is no");
  g_assert_false (ipc_shared_file_delete (directory_fd, "a", &file));

  /* The next one of the name is not touched through the old one. */
  fresh = create (directory_fd);
  g_assert_false (ipc_shared_file_delete (directory_fd, "a", &other));
  g_assert_false (ipc_shared_file_is_deleted (&fresh));
  g_assert_cmpint (memcmp (fresh.info.id, file.info.id, sizeof file.info.id), !=, 0);
  ipc_shared_file_get_body (&other)[0] = 'q';
  g_assert_cmpint (ipc_shared_file_get_body (&fresh)[0], ==, 'x');
  ipc_shared_file_close (&file);
  ipc_shared_file_close (&other);
  ipc_shared_file_close (&fresh);
  close (directory_fd);
}

/* Killed after each of its system calls: the name is not there, or the file is whole. */
static void
test_killed_in_create (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  guint n_seen = 0, n_missing = 0;
  gboolean ended = FALSE;

  for (guint stop_at = 1; !ended; stop_at++)
    {
      pid_t child = fork ();
      IpcSharedFile file;
      IpcFault fault = { 0 };
      int status;

      if (child == 0)
        {
          ptrace (PTRACE_TRACEME, 0, NULL, NULL);
          raise (SIGSTOP);
          _exit (ipc_shared_file_create (directory_fd, "a", &wanted, fill, "x", &file, NULL) ? 0 : 1);
        }
      g_assert_cmpint (waitpid (child, &status, 0), ==, child);
      for (guint i = 0; i < stop_at && !ended; i++)
        {
          g_assert_no_errno (ptrace (PTRACE_SYSCALL, child, NULL, NULL));
          g_assert_cmpint (waitpid (child, &status, 0), ==, child);
          ended = WIFEXITED (status);
        }
      if (ended)
        g_assert_cmpint (WEXITSTATUS (status), ==, 0);
      else
        {
          kill (child, SIGKILL);
          g_assert_cmpint (waitpid (child, &status, 0), ==, child);
        }
      if (ipc_shared_file_open (directory_fd, "a", IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, TRUE, &file, &fault))
        {
          g_assert_cmpint (ipc_shared_file_get_body (&file)[SIZE - IPC_SHARED_HEADER_SIZE - 1], ==, 'x');
          g_assert_true (ipc_shared_file_delete (directory_fd, "a", &file));
          ipc_shared_file_close (&file);
          n_seen++;
        }
      else
        {
          g_assert_cmpint (fault.code, ==, IPC_FAULT_NOT_FOUND);
          n_missing++;
        }
    }
  g_assert_cmpuint (n_seen, >, 0);
  g_assert_cmpuint (n_missing, >, 5);
  close (directory_fd);
}

/* ── What somebody sent ── */

static int
receive (int fd)
{
  int copy = ipc_fork_open (fcntl (fd, F_DUPFD_CLOEXEC, 0));

  g_assert_no_errno (copy);
  return copy;
}

static int
memfd_new (gsize size, int seals)
{
  int fd = ipc_fork_open (ipc_memfd_open ("test"));

  g_assert_no_errno (fd);
  g_assert_no_errno (ftruncate (fd, (off_t) size));
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, seals));
  return fd;
}

static IpcSharedFile
create_anonymous (void)
{
  IpcFault fault = { 0 };
  IpcSharedFile file;

  if (!ipc_shared_file_create_anonymous (&wanted, fill, "x", &file, &fault))
    g_error ("%s", fault.message);
  return file;
}

static IpcSharedFile
adopt (int fd)
{
  IpcFault fault = { 0 };
  IpcSharedFile file;

  if (!ipc_shared_file_adopt (fd, IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, TRUE, &file, &fault))
    g_error ("%s", fault.message);
  return file;
}

/* The descriptor is still the caller's then, who closes it here. */
static void
assert_not_adopted (int fd, IpcSharedKind kind, guint32 layout, guint64 max_size, IpcFaultCode code)
{
  IpcSharedFile file = { .fd = -77 };
  IpcFault fault = { 0 };

  g_assert_false (ipc_shared_file_adopt (fd, kind, layout, max_size, TRUE, &file, &fault));
  g_assert_cmpint (fault.code, ==, code);
  g_assert_cmpint (file.fd, ==, -77);
  g_assert_no_errno (fcntl (fd, F_GETFD));
  ipc_fork_close (fd);
}

static void
test_adopt (IpcTest *test)
{
  IpcSharedFile file = create_anonymous (), other;
  int fd = receive (file.fd);

  g_assert_cmpint (fcntl (fd, F_GET_SEALS) & F_SEAL_SHRINK, !=, 0);
  other = adopt (fd);
  g_assert_cmpint (other.fd, ==, fd);
  g_assert_cmpmem (&file.info, sizeof file.info, &other.info, sizeof other.info);
  g_assert_true (other.device == file.device && other.inode == file.inode);
  ipc_shared_file_get_body (&file)[5] = 'y';
  g_assert_cmpint (ipc_shared_file_get_body (&other)[5], ==, 'y');
  ipc_shared_file_get_body (&other)[6] = 'z';
  g_assert_cmpint (ipc_shared_file_get_body (&file)[6], ==, 'z');
  ipc_shared_file_close (&other);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, -1);
  /* The other one lives on. */
  g_assert_cmpint (ipc_shared_file_get_body (&file)[6], ==, 'z');
  g_assert_true (ipc_shared_file_is_intact (&file));
  ipc_shared_file_close (&file);
}

/* A file of ours with a name needs no seals, as nobody else can write it. */
static void
test_adopt_named (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  IpcSharedFile file = create (directory_fd), other = adopt (receive (file.fd));

  ipc_shared_file_get_body (&file)[5] = 'y';
  g_assert_cmpint (ipc_shared_file_get_body (&other)[5], ==, 'y');
  ipc_shared_file_close (&other);
  g_assert_no_errno (fchmod (file.fd, 0660));
  assert_not_adopted (receive (file.fd), IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, IPC_FAULT_INVALID_DATA);
  ipc_shared_file_close (&file);
  close (directory_fd);
}

/* What is written into one that is sealed so is this process's alone. */
static void
test_adopt_sealed (IpcTest *test)
{
  IpcSharedFile file = create_anonymous (), other;
  int fd = receive (file.fd);

  ipc_shared_file_close (&file);
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, F_SEAL_WRITE));
  file = adopt (receive (fd));
  other = adopt (fd);
  ipc_shared_file_get_body (&file)[5] = 'y';
  g_assert_cmpint (ipc_shared_file_get_body (&file)[5], ==, 'y');
  g_assert_cmpint (ipc_shared_file_get_body (&other)[5], ==, 'x');
  ipc_shared_file_close (&file);
  ipc_shared_file_close (&other);
}

static void
test_adopt_bad (IpcTest *test)
{
  IpcSharedFile file = create_anonymous ();
  int fds[2];

  assert_not_adopted (receive (file.fd), IPC_SHARED_KIND_MEMORY, LAYOUT, MAX_SIZE, IPC_FAULT_WRONG_TYPE);
  assert_not_adopted (receive (file.fd), IPC_SHARED_KIND_SEMAPHORE, LAYOUT + 1, MAX_SIZE, IPC_FAULT_VERSION);
  assert_not_adopted (receive (file.fd), IPC_SHARED_KIND_SEMAPHORE, LAYOUT, SIZE - 1, IPC_FAULT_TOO_LARGE);
  g_assert_no_errno (ftruncate (file.fd, SIZE + 1));
  assert_not_adopted (receive (file.fd), IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, IPC_FAULT_CORRUPT);
  ipc_shared_file_close (&file);
  assert_not_adopted (memfd_new (SIZE, F_SEAL_SHRINK), IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, IPC_FAULT_WRONG_TYPE);
  assert_not_adopted (memfd_new (0, F_SEAL_SHRINK), IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, IPC_FAULT_WRONG_TYPE);
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  ipc_fork_guard_fd (fds[0]);
  assert_not_adopted (fds[0], IPC_SHARED_KIND_SEMAPHORE, LAYOUT, MAX_SIZE, IPC_FAULT_WRONG_TYPE);
  close (fds[1]);
}

/* Of a memfd of somebody else, all that it has are the bytes: what there is besides is this process's alone. */
static void
test_wrap (IpcTest *test)
{
  int fd = memfd_new (100, F_SEAL_SHRINK), copy = receive (fd);
  IpcSharedFile file, other;
  IpcFault fault = { 0 };
  struct stat status;
  char bytes[100];

  g_assert_true (ipc_shared_file_wrap (fd, &wanted, fill, "x", &file, &fault));
  g_assert_true (ipc_shared_file_wrap (copy, &wanted, fill, "x", &other, &fault));
  g_assert_cmpint (file.fd, ==, fd);
  g_assert_cmpuint (file.info.size, ==, SIZE);
  g_assert_cmpuint (file.info.geometry[3], ==, 10);
  g_assert_no_errno (fstat (fd, &status));
  g_assert_true (file.device == status.st_dev && file.inode == status.st_ino);
  g_assert_cmpint (ipc_shared_file_get_body (&file)[SIZE - IPC_SHARED_HEADER_SIZE - 1], ==, 'x');
  ipc_shared_file_get_body (&file)[5] = 'y';
  g_assert_cmpint (ipc_shared_file_get_body (&other)[5], ==, 'x');
  g_assert_false (ipc_shared_file_is_deleted (&file));
  g_assert_cmpint (status.st_size, ==, 100);
  g_assert_cmpint (pread (fd, bytes, sizeof bytes, 0), ==, 100);
  for (guint i = 0; i < sizeof bytes; i++)
    g_assert_cmpint (bytes[i], ==, 0);
  ipc_shared_file_close (&file);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, -1);
  ipc_shared_file_close (&other);
}

static void
assert_not_wrapped (int fd, IpcFaultCode code)
{
  IpcSharedFile file = { .fd = -77 };
  IpcFault fault = { 0 };

  g_assert_false (ipc_shared_file_wrap (fd, &wanted, fill, "x", &file, &fault));
  g_assert_cmpint (fault.code, ==, code);
  g_assert_cmpint (file.fd, ==, -77);
  g_assert_no_errno (fcntl (fd, F_GETFD));
  ipc_fork_close (fd);
}

static void
test_wrap_bad (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);

  assert_not_wrapped (memfd_new (100, F_SEAL_GROW), IPC_FAULT_INVALID_DATA);
  assert_not_wrapped (ipc_fork_open (openat (directory_fd, "plain", O_RDWR | O_CREAT | O_CLOEXEC, 0600)), IPC_FAULT_INVALID_DATA);
  assert_not_wrapped (receive (directory_fd), IPC_FAULT_WRONG_TYPE);
  close (directory_fd);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/shared-file/create", test_create);
  ipc_test_add ("/core/shared-file/create-fails", test_create_fails);
  ipc_test_add ("/core/shared-file/bad-files", test_bad_files);
  ipc_test_add ("/core/shared-file/delete", test_delete);
  ipc_test_add ("/core/shared-file/killed-in-create", test_killed_in_create);
  ipc_test_add ("/core/shared-file/adopt", test_adopt);
  ipc_test_add ("/core/shared-file/adopt-named", test_adopt_named);
  ipc_test_add ("/core/shared-file/adopt-sealed", test_adopt_sealed);
  ipc_test_add ("/core/shared-file/adopt-bad", test_adopt_bad);
  ipc_test_add ("/core/shared-file/wrap", test_wrap);
  ipc_test_add ("/core/shared-file/wrap-bad", test_wrap_bad);
  return ipc_test_run ();
}
