/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the two protocol targets share: an honest server with an honest client, who must be served whatever somebody
 * else says, and the somebody else's end of a socket. All of it is in one thread, and runs the default main context.
 *
 * The input of both: one byte that chooses how it is cut into writes, one byte of FUZZ_* flags, and all that the
 * peer says.
 */
#pragma once

#include <ipc-glib/ipc-glib.h>

#include "fuzz.h"

#define FUZZ_PREFIX_SIZE 2
#define FUZZ_HANDSHAKE 0x01u  /* a good preamble and HELLO come before the bytes */
#define FUZZ_HALF_CLOSE 0x02u /* at the end the peer goes on reading */
#define FUZZ_LEAVE 0x04u      /* client: at the end it is our side that leaves */
#define FUZZ_SPLIT 0x08u      /* the writes are small */
#define FUZZ_FDS 0x10u        /* descriptors are agreed on, and sent with what asks for them, now and then too few or too many */
#define FUZZ_MAX_FDS 3u

typedef gboolean (*FuzzCondition) (gpointer data);

/* Runs until DONE; that it never comes is a failure. */
void      fuzz_run_until  (FuzzCondition done, gpointer data);
/* Runs until there is nothing to do. */
void      fuzz_settle     (void);
/* A new directory; it goes when the program ends. */
char     *fuzz_directory  (void);
/* Makes what is logged as a warning, or worse, fatal. */
void      fuzz_be_strict  (void);

/* Started at NAME in DIRECTORY: `echo` is answered, `hold` is kept until fuzz_release(), everything is looked at. */
IpcServer *fuzz_start_server (const char *directory, const char *name);
/* The same handlers, for requests of a server. */
void       fuzz_add_handlers_to_client (IpcClient *client);
void       fuzz_release     (void);
/* A client of it that is open. */
IpcClient *fuzz_open_client (IpcServer *server);
/* It is served. */
void       fuzz_check_honest (IpcClient *client);

gboolean  fuzz_write_handshake (int fd, guint flags);
/* Writes what is there of INPUT, in pieces; the other side runs in between, and what it says is read. */
void      fuzz_dribble    (int fd, const guint8 *input, gsize size);
/* A number that no open descriptor has; it gets larger when one is left open. */
int       fuzz_lowest_fd  (void);
/* Reads all there is; FALSE at the end. */
gboolean  fuzz_drain      (int fd);
