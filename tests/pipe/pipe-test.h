/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of named pipes share: a server that writes down what comes, and writers that are no clients.
 */
#pragma once

#include "ipc-glib.h"
#include "ipc-test.h"

typedef struct
{
  char *path;                   /* (owned) */
  IpcServer *server;            /* (owned) */
  GString *log;                 /* (owned) "type=text " of each message, "!CODE " of each line that was dropped */
  guint n_messages;
} Listener;

/* Started, at `pipe` in the directory of the test. */
void listener_init  (Listener *self, IpcTest *test);
/* The same, not started. */
void listener_make  (Listener *self, IpcTest *test);
void listener_clear (Listener *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Listener, listener_clear)
/* Runs until the log is TEXT, and empties it. */
void listener_expect (Listener *self, const char *text);

/* A handler that answers with what it got, as its server does. */
IpcMessage *listener_echo (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error);

/* Opens the pipe for writing, as a shell does, but does not wait for a reader. */
int  writer_open    (const char *path);
void writer_write   (int fd, const char *text);
/* As `printf '%s' TEXT > PATH`. */
void write_and_leave (const char *path, const char *text);

/* Opens it, running the loop; an error, or NULL. */
GError *client_try_open (IpcClient *client);
IpcClient *client_open  (const char *path) G_GNUC_WARN_UNUSED_RESULT;
/* Closes it and waits until it is gone. */
void client_close   (IpcClient *client);
/* Asks for an echo of TEXT and gets it. */
void client_check   (IpcClient *client, const char *text);
/* How many entries a directory has; 0 if it is not there. */
guint count_entries (const char *path);
