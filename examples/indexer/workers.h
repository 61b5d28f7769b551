/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <ipc-glib/ipc-glib.h>

/* A worker process, from its command line to its end. */
typedef struct
{
  guint          number;     /* from 1: the owner of its jobs */
  char          *label;      /* what it is called, and calls itself: "python" */
  char         **command;    /* without the address and the label, which are added */
  GSubprocess   *process;    /* (nullable) */
  gboolean       has_exited; /* also if it never started */
  IpcConnection *connection; /* (nullable) while it is connected */
  IpcMessage    *waiting;    /* (nullable) its request for work, while there is none */
  guint          n_files;
  guint64        bytes;
  gboolean       is_settled; /* what it has counted is what it has told */
  guint          n_requeued; /* jobs it had when it went away */
  char          *fate;       /* how it ended */
} Worker;

GPtrArray *workers_new_from_string (const char *names, GError **error);
gboolean   worker_start            (Worker *self, const char *address, GError **error);
void       worker_kill             (Worker *self);
void       worker_note_exit        (Worker *self);
