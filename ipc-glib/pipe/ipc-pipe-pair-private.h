/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pair of pipes that a client makes for itself and its server: TOKEN.in, which the server reads, and TOKEN.out, which it
 * writes to. Once both have both, they have no names any more.
 */
#pragma once

#include <gio/gio.h>

typedef enum
{
  IPC_PIPE_PAIR_TAKEN,
  IPC_PIPE_PAIR_LATER,          /* there are no descriptors for it; the client waits */
  IPC_PIPE_PAIR_LOST,           /* it cannot be had, and if the client still lives it knows */
} IpcPipePairTaken;

/* The directory of the pairs of a server, beside its pipe. -1 with NOT_FOUND (CREATE is FALSE), UNSAFE_PATH, … */
int      ipc_pipe_pairs_open   (int directory_fd, const char *basename, gboolean create, GError **error);

/* The client's part: makes the pair. On success *READ_FD reads what comes out, and *WRITE_FD writes what goes in, as soon as
 * the server has opened it. G_IO_ERROR_BUSY: a server that starts was sweeping; again. */
gboolean ipc_pipe_pair_make    (int pairs_fd, const char *token, int *read_fd, int *write_fd, GError **error);
/* The server's part: opens it, and takes the names away. With NOT_CONNECTED the client is gone. */
IpcPipePairTaken
         ipc_pipe_pair_take    (int pairs_fd, const char *token, int *read_fd, int *write_fd, GError **error);
/* Whether there is somebody who waits, as far as that can be told without a descriptor. */
gboolean ipc_pipe_pair_exists  (int pairs_fd, const char *token);
/* Takes the names away. */
void     ipc_pipe_pair_unlink  (int pairs_fd, const char *token);
/* Takes the names of all pairs away if nobody has the pipe of the server, PIPE_FD, open for writing: whoever waits to be taken
 * in has it open since before it made its pair, so those that made these are dead. */
void     ipc_pipe_pairs_sweep  (int pairs_fd, int pipe_fd);
/* The same of those of a server that is gone. Who still lives sees that something opens its pair and leaves again, and so
 * that this is not the server that it spoke to. */
void     ipc_pipe_pairs_forget (int pairs_fd);
