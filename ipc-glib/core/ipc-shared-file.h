/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that several processes map: what semaphores, segments and the table of processes are made of.
 *
 * It is complete before it has a name: made without one (or under a temporary one), allocated, so that no store is ever killed
 * for want of space, filled in, and linked. A process that is killed on the way leaves nothing behind, or a temporary name
 * that the next one sweeps.
 *
 * The header says what the file is and how large its parts are. It is read into private memory, judged there, and only
 * the copy is used: what others write into the map afterwards cannot move a bound.
 *
 * Of a segment of memory, what is mapped here is only what precedes its bytes, and of a fixed size. They follow it, geometry[0] of
 * them when it was made, and may become more.
 *
 * The map is guarded (core/ipc-guard.h): if somebody makes the file shorter, what is gone reads as zero, and the file is broken.
 *
 * To delete is to take the name away and to set a word in the header. Those who have the file go on with it. The next one of that
 * name is another file.
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "core/ipc-fault.h"
#include "core/ipc-guard.h"

#define IPC_SHARED_HEADER_SIZE 4096u
#define IPC_SHARED_ID_SIZE 16
#define IPC_SHARED_GEOMETRY 4

typedef enum
{
  IPC_SHARED_KIND_PRESENCE = 1,
  IPC_SHARED_KIND_SEMAPHORE,
  IPC_SHARED_KIND_MEMORY,
  IPC_SHARED_KIND_DOORBELL,
  IPC_SHARED_KIND_FILE,
} IpcSharedKind;

/* What the file is; it never changes once it has a name. */
typedef struct
{
  uint32_t kind;                              /* IpcSharedKind */
  uint32_t layout;                            /* version of what follows the header */
  uint64_t size;                              /* of the file, without the bytes of a segment */
  uint64_t geometry[IPC_SHARED_GEOMETRY];     /* means what the kind says */
  uint8_t id[IPC_SHARED_ID_SIZE];             /* random */
  int64_t created_at;                         /* µs since 1970, UTC */
} IpcSharedInfo;

/* An open one; part of a larger struct. */
typedef struct
{
  int fd;                       /* fork-guarded; -1: closed */
  uint8_t *map;                 /* the header is at its start */
  IpcSharedInfo info;           /* the copy that was judged */
  IpcGuard *guard;
  dev_t device;
  ino_t inode;
} IpcSharedFile;

/* Fills in what follows the header, which is all zero. */
typedef void (*IpcSharedFill) (uint8_t *body, const IpcSharedInfo *info, const void *data);

/* Makes NAME in the directory, with INFO's kind, layout, size (header included) and geometry, and maps it for writing. EXISTS; NO_SPACE;
 * FILE is untouched on failure. FILL may be NULL. */
bool ipc_shared_file_create (int directory_fd, const char *name, const IpcSharedInfo *info, IpcSharedFill fill, const void *data,
                             IpcSharedFile *file, IpcFault *fault);
/* Opens NAME, which has to be ours, a regular file that no other user can write, and of KIND and LAYOUT. NOT_FOUND; WRONG_TYPE;
 * UNSAFE_PATH; CORRUPT; VERSION; TOO_LARGE if it is over MAX_SIZE. */
bool ipc_shared_file_open   (int directory_fd, const char *name, IpcSharedKind kind, uint32_t layout, uint64_t max_size, bool writable,
                             IpcSharedFile *file, IpcFault *fault);
/* The same without a name, in a memfd that is sealed against becoming shorter. */
bool ipc_shared_file_create_anonymous (const IpcSharedInfo *info, IpcSharedFill fill, const void *data, IpcSharedFile *file, IpcFault *fault);
/* One whose descriptor somebody sent. It has to be sealed so, or a file of ours that no other user can write. Takes FD on success; the
 * caller has guarded it. What is not a file of this library at all is WRONG_TYPE. The map of one that is sealed against writing is this
 * process's alone: what is written there nobody else sees. */
bool ipc_shared_file_adopt  (int fd, IpcSharedKind kind, uint32_t layout, uint64_t max_size, bool writable, IpcSharedFile *file, IpcFault *fault);
/* A memfd that is not of this library, sealed against becoming shorter: what INFO describes is this process's alone, and FD has nothing but
 * the bytes. Takes FD on success. INVALID_DATA where it is not sealed so. */
bool ipc_shared_file_wrap   (int fd, const IpcSharedInfo *info, IpcSharedFill fill, const void *data, IpcSharedFile *file, IpcFault *fault);
/* Not in a forked child. */
void ipc_shared_file_close  (IpcSharedFile *file);

/* Takes the name away, if it is still this file's, and marks the file; FILE was opened for writing. False: the name is
 * gone, or another file's, which is no fault. Whoever sleeps is to be woken by the caller. */
bool ipc_shared_file_delete (int directory_fd, const char *name, IpcSharedFile *file);
bool ipc_shared_file_is_deleted (const IpcSharedFile *file);
/* The word that is not 0 any more once it is deleted. */
_Atomic uint32_t *ipc_shared_file_get_deleted_word (const IpcSharedFile *file);

/* False: somebody has made it shorter. */
static inline bool
ipc_shared_file_is_intact (const IpcSharedFile *file)
{
  return !ipc_guard_is_broken (file->guard);
}

static inline uint8_t *
ipc_shared_file_get_body (const IpcSharedFile *file)
{
  return file->map + IPC_SHARED_HEADER_SIZE;
}
