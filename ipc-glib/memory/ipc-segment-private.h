/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A segment, as one process has it: the shared file, and the bytes in it that it has mapped. No GObject here.
 *
 * The first word of the geometry is the size that it was made with, the second its generation. What follows the header is a block of our
 * own, the section that keeps reads and writes whole (core/ipc-section.h), the lock that users take (core/ipc-slots.h), and who
 * listens to changes (core/ipc-listeners.h). Then, from a page on, come the bytes.
 *
 * A foreign segment is a memfd of somebody else: it has only bytes, and all that precedes them here is this process's alone.
 */
#pragma once

#include <gio/gio.h>

#include "base/ipc-shared-object-private.h"
#include "core/ipc-listeners.h"
#include "core/ipc-map.h"
#include "core/ipc-section-quick.h"

/* What a file can have at most. */
#define IPC_SEGMENT_MAX_SIZE ((guint64) 1 << 46)

typedef struct
{
  IpcSharedObject object;
  IpcSection section;
  IpcSlots lock;                /* unless it is only looked at */
  IpcListeners listeners;       /* the same */
  guint64 data_offset;          /* in the file */
  gboolean is_foreign;
  gboolean writable;            /* the bytes may be written */
  unsigned generation;          /* of forks */
  GMutex mutex;
  _Atomic (IpcMap *) map;        /* (owned) the newest one; NULL: it is only looked at; (mutex mutex) to set it */
} IpcSegment;

/* All return (transfer full): a segment, to be closed. Errors as of IpcSharedObject. */
IpcSegment *ipc_segment_create           (int folder_fd, const char *name, guint64 size, gboolean writable, GError **error);
IpcSegment *ipc_segment_create_anonymous (int folder_fd, guint64 size, GError **error);
IpcSegment *ipc_segment_attach           (int folder_fd, const char *name, gboolean writable, GError **error);
/* Takes FD on success. */
IpcSegment *ipc_segment_adopt            (int folder_fd, int fd, GError **error);
/* Only looks at it: nothing of it can be read. */
IpcSegment *ipc_segment_observe          (int folder_fd, const char *name, GError **error);
/* Also in a forked child. */
void        ipc_segment_close            (IpcSegment *self);

/* What ipc_shared_object_delete() and others are to know of it. */
extern const IpcSharedObjectClass ipc_segment_class;

/* ---- ipc-segment-map.c: the bytes ---- */

/* What others say is only believed as far as the file bears it out: FALSE with CORRUPT if it does not have SIZE bytes. */
gboolean       ipc_segment_check_file (const IpcSegment *self, guint64 size, GError **error);
/* Maps SIZE bytes, which somebody has said that there are. NULL with CORRUPT if the file has less. */
IpcMap        *ipc_segment_map        (IpcSegment *self, guint64 size, GError **error);
/* Makes what is there, also where it is mapped already, this process's alone, so that the file can be sealed; and back. */
gboolean       ipc_segment_make_private (IpcSegment *self, gboolean private, GError **error);

/* Has what a dead writer left settled where the bytes are mapped for reading only. */
gboolean       ipc_segment_settle    (IpcSegment *self, GError **error);

/* (transfer none): one in which SIZE bytes are. */
static inline IpcMap *
ipc_segment_get_map (IpcSegment *self, guint64 size, GError **error)
{
  IpcMap *map = atomic_load_explicit (&self->map, memory_order_acquire);

  return G_LIKELY (map != NULL && size <= map->reserved) ? map : ipc_segment_map (self, size, error);
}

/* ---- what is in the block ---- */

/* As others say it, not to be believed without looking at the file. */
static inline guint64
ipc_segment_get_size (const IpcSegment *self)
{
  return ipc_section_get_length (&self->section);
}

guint64        ipc_segment_get_generation (const IpcSegment *self);
/* How often somebody said that it has changed. */
guint64        ipc_segment_count_changes  (const IpcSegment *self);
void           ipc_segment_add_change     (IpcSegment *self);
/* In what state the lock leaves the segment: who has it says so. */
typedef enum
{
  IPC_SEGMENT_AT_REST,
  IPC_SEGMENT_IN_HAND,          /* somebody has the lock, or died with it */
  IPC_SEGMENT_IN_DOUBT,         /* the same, and somebody before has died with it */
} IpcSegmentState;

_Atomic guint32 *ipc_segment_get_state (const IpcSegment *self);
/* It is not CORRUPT: nobody has made the file shorter. */
static inline gboolean
ipc_segment_is_intact (const IpcSegment *self, const IpcMap *map)
{
  return ipc_shared_file_is_intact (&self->object.file) && !ipc_guard_is_broken (map->guard);
}
