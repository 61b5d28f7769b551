/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of messaging share: a server and a client of it in one process and one main context, and peers
 * that are nothing but a socket.
 *
 * All of it is over the transport of the run (transport.h).
 *
 * A pair that is cleared must be the last to know its four objects: what somebody else still holds fails the test.
 */
#pragma once

#include "ipc-glib.h"
#include "ipc-test.h"
#include "messaging/ipc-connection-private.h"
#include "transport.h"

typedef struct
{
  char *path;          /* (owned) */
  IpcServer *server;   /* (owned) (nullable) */
  IpcClient *client;   /* (owned) (nullable) */
  IpcConnection *near; /* (owned) (nullable) the client's, once it is open */
  IpcConnection *far;  /* (owned) (nullable) the server's */
  gpointer gone[4];    /* weak pointers, see pair_clear() */
} Pair;

/* As ipc_test_add(), for what there is over sockets only: JSON, which needs a way back for whoever is no client, and
 * descriptors. Skipped over pipes. */
void pair_add_socket_only (const char *path, IpcTestFunc func);

/* Makes the server and the client; limits and handlers can be set then. */
void pair_init      (Pair *self, IpcTest *test);
/* Starts one and opens the other. */
void pair_open      (Pair *self);
/* Both steps. */
void pair_init_open (Pair *self, IpcTest *test);
/* Closes what is open, drops the references and waits until the objects are gone. NULL members are fine. */
void pair_clear     (Pair *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Pair, pair_clear)

/* Takes over OBJECT, and waits until the last reference of anybody is gone. */
void pair_wait_finalized (gpointer object);

/* ── Messages ── */

void pair_send_text (IpcConnection *connection, const char *type, const char *text);

/* A handler that answers with what it got. */
IpcMessage *pair_echo (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data,
                       GError **error);

/* Connect this to message-received of a client or connection, to have "type=text " appended to a GString. */
void pair_log_message (gpointer instance, IpcMessage *message, gpointer string);
/* The same for a server. */
void pair_log_client_message (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer string);

/* What request_with_callback() brought. */
typedef struct
{
  guint n_callbacks;
  IpcMessage *reply; /* (owned) (nullable) */
  GError *error;     /* (owned) (nullable) */
} Answer;

void answer_cb    (IpcConnection *connection, IpcMessage *reply, const GError *error, gpointer answer);
void answer_clear (Answer *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

/* Asks, and runs the loop until there is an answer. */
void pair_ask (IpcConnection *connection, const char *type, const char *text, gint timeout, Answer *answer);

/* ── Peers without the library ── */

typedef struct
{
  int fd;         /* (owned) -1 when closed */
  int out_fd;     /* (owned) the same, or the other one of a pair of pipes */
  int pipe_fd;    /* (owned) -1: none, or the server's pipe until it has answered */
  GString *input; /* (owned) read, and not taken yet */
  gboolean at_end;
} Raw;

/* A connected socket that has said nothing. Over pipes there is no such thing. */
void  raw_connect    (Raw *self, const char *path);
/* One that speaks the binary dialect and has exchanged HELLO, saying that it takes MAX_MESSAGE_SIZE. */
void  raw_connect_binary (Raw *self, const char *path, guint64 max_message_size);
void  raw_close      (Raw *self);
void  raw_clear      (Raw *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Raw, raw_clear)
/* All of it, running the loop meanwhile. */
void  raw_write      (Raw *self, gconstpointer bytes, gsize size);
/* What it takes at once, or -1 with errno. */
gssize raw_write_some (Raw *self, gconstpointer bytes, gsize size);
void  raw_write_text (Raw *self, const char *text);
/* Reads what there is, without waiting. */
void  raw_read       (Raw *self);
/* The next line without its newline, running the loop meanwhile; NULL at the end. */
char *raw_read_line  (Raw *self) G_GNUC_WARN_UNUSED_RESULT;
/* An object of one line. */
JsonObject *raw_read_object (Raw *self) G_GNUC_WARN_UNUSED_RESULT;
/* Runs the loop until the other side has closed. */
void  raw_wait_end   (Raw *self);
/* Reads and forgets until SIZE bytes came or it ends: how many came. */
guint64 raw_drain    (Raw *self, guint64 size);
/* Takes what there is, at most SIZE bytes, and runs the loop a little. */
void  raw_sip        (Raw *self, gsize size);
/* A whole frame: its header, and the body in BODY (owned by the caller, nullable). */
void  raw_read_frame (Raw *self, IpcFrame *frame, GBytes **body);
void  raw_write_frame (Raw *self, IpcFrameKind kind, guint64 serial, guint64 reply_serial, const char *type,
                       const char *text);

/* No descriptor, no turn of the loop is wasted: after some turns nothing is ready any more. */
void  assert_loop_sleeps (void);
