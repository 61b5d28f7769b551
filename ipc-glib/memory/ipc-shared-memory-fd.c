/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Segments without a name, and those that come and go as descriptors in messages.
 */
#include "ipc-shared-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-scope-private.h"
#include "memory/ipc-shared-memory-private.h"

/* Where the processes of a segment without a name know one another: in the default scope. */
static int
open_folder (GError **error)
{
  return ipc_scope_open_folder (ipc_scope_get_default (), IPC_SCOPE_BULK_FOLDER, TRUE, error);
}

static IpcSharedMemory *
new_without_name (IpcSegment *segment)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();

  return ipc_shared_memory_new_for_segment (ipc_scope_get_default (), NULL, context, NULL,
                                            segment->writable ? IPC_SHARED_MEMORY_ACCESS_ALL : IPC_ACCESS_READ, segment);
}

/**
 * ipc_shared_memory_new_anonymous:
 * @size: in bytes, up to 1 GiB
 * @error: return location for an error
 *
 * Makes a segment without a name. Other processes get it as a descriptor ([method@Ipc.SharedMemory.dup_fd]) in a message; it is gone
 * when the last one drops it, however that ends.
 *
 * Its signals are emitted in the thread-default main context of the caller.
 *
 * Errors: %IPC_ERROR_INVALID_ARGUMENT for 0 bytes; %IPC_ERROR_LIMIT_EXCEEDED; %IPC_ERROR_TOO_LARGE for more than any file can have;
 * %IPC_ERROR_NO_SPACE; those of the default scope.
 *
 * Returns: (transfer full): the segment, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcSharedMemory *
ipc_shared_memory_new_anonymous (gsize size, GError **error)
{
  g_autoptr(IpcSharedMemoryLimits) limits = ipc_shared_memory_limits_new ();
  IpcSegment *segment;
  int folder_fd;

  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (size == 0)
    {
      g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "segment \"(anonymous)\": 0 bytes, at least 1");
      return NULL;
    }
  if (!ipc_shared_memory_check_size ("(anonymous)", size, limits->max_size, error))
    return NULL;
  folder_fd = open_folder (error);
  if (folder_fd < 0)
    return NULL;
  segment = ipc_segment_create_anonymous (folder_fd, size, error);
  close (folder_fd);
  return segment != NULL ? new_without_name (segment) : NULL;
}

/* Guarded, so that a forked child does not keep it. */
static int
duplicate (int fd, GError **error)
{
  int copy = ipc_fork_open (fcntl (fd, F_DUPFD_CLOEXEC, 3));

  if (copy < 0)
    ipc_error_set_errno (error, errno, "segment: descriptor %d", fd);
  return copy;
}

/**
 * ipc_shared_memory_new_from_fd:
 * @fd: a descriptor; it is duplicated, and stays the caller's to close
 * @error: return location for an error
 *
 * Opens a segment whose descriptor somebody has sent: one that [method@Ipc.SharedMemory.dup_fd] of another process has given, or a
 * memfd of another library, if it is sealed against becoming shorter (`F_SEAL_SHRINK`).
 *
 * What is in it is looked at before it is used, and somebody who means harm can at most write nonsense into it. It is open for
 * writing if the descriptor is, and it is not sealed against that.
 *
 * In a memfd of another library there is nothing that keeps reads and writes whole but within this process, and nobody is told of changes.
 *
 * Errors: %IPC_ERROR_INVALID_DATA for a memfd that is not sealed; %IPC_ERROR_WRONG_TYPE for what is no regular file; %IPC_ERROR_INVALID_ARGUMENT
 * for a descriptor that cannot be read, or of an empty file; %IPC_ERROR_CORRUPT; %IPC_ERROR_VERSION; %IPC_ERROR_UNSAFE_PATH; those of the default scope.
 *
 * Returns: (transfer full): the segment, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcSharedMemory *
ipc_shared_memory_new_from_fd (int fd, GError **error)
{
  IpcSegment *segment;
  int folder_fd, own_fd;

  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  own_fd = duplicate (fd, error);
  if (own_fd < 0)
    return NULL;
  folder_fd = open_folder (error);
  segment = folder_fd >= 0 ? ipc_segment_adopt (folder_fd, own_fd, error) : NULL;
  if (folder_fd >= 0)
    close (folder_fd);
  if (segment != NULL)
    return new_without_name (segment);
  ipc_fork_close (own_fd);
  return NULL;
}

static int
open_read_only (int fd)
{
  char path[64];

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  return open (path, O_RDONLY | O_CLOEXEC);
}

/**
 * ipc_shared_memory_dup_fd:
 * @self: the segment
 * @error: return location for an error
 *
 * Gets a descriptor of the segment, to be sent to another process in a message, which calls [ctor@Ipc.SharedMemory.new_from_fd]; or to be
 * mapped by other means: the bytes begin [method@Ipc.SharedMemory.get_fd_offset] bytes into the file.
 *
 * It is open for writing if the segment is, and is not sealed.
 *
 * Errors: %IPC_ERROR_FORKED; what the system says.
 *
 * Returns: a descriptor, which the caller closes; -1 with @error set
 *
 * Since: 0.1
 */
int
ipc_shared_memory_dup_fd (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment;
  gboolean writable;
  int fd;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  segment = ipc_shared_memory_attach (self, error);
  if (segment == NULL)
    return -1;
  writable = (self->access & IPC_ACCESS_WRITE) != 0 && !ipc_section_is_sealed (&segment->section);
  fd = writable ? fcntl (segment->object.file.fd, F_DUPFD_CLOEXEC, 3) : open_read_only (segment->object.file.fd);
  if (fd < 0)
    ipc_error_set_errno (error, errno, "segment \"%s\": cannot duplicate its descriptor", ipc_shared_memory_describe (self));
  return fd;
}

/**
 * ipc_shared_memory_get_fd_offset:
 * @self: the segment
 *
 * Gets where in the file of [method@Ipc.SharedMemory.dup_fd] the bytes of the segment begin: at a page, so that they can be mapped.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
gsize
ipc_shared_memory_get_fd_offset (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), 0);

  return self->view->data_offset;
}
