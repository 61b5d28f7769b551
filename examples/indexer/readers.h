/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <ipc-glib/ipc-glib.h>

/* How many workers may read files at the same time, and how many did. */
typedef struct
{
  guint                limit;     /* 0: any number */
  IpcSemaphoreManager *manager;   /* (owned) (nullable) unless there is a limit */
  IpcSemaphore        *semaphore; /* (owned) (nullable) the same */
  GArray              *events;    /* (owned) of ReaderEvent */
} Readers;

/* What workers are told to open, in the scope that is the folder of their socket. */
#define READERS_NAME "readers"

gboolean readers_start         (Readers *self, const char *directory, guint limit, GError **error);
void     readers_clear         (Readers *self);

void     readers_note          (Readers *self, gint64 began, gint64 ended);
guint    readers_count_at_once (Readers *self);
gboolean readers_check         (Readers *self, GError **error);
gboolean readers_has           (Readers *self, const char *process_id);
void     readers_report        (Readers *self);
