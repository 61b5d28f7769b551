/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of sockets share, and over the transport of the run (transport.h) those of them that are about pipes, too:
 *
 *  - Service: a server in this process that counts what happens to it, and echoes;
 *  - clients that are opened, and asked, while the main loop runs;
 *  - Raw: one end of a plain socket that says exactly what it is told to, as a client or as a server.
 *
 * Whatever waits here runs the thread-default main context, so that both ends can be in one thread.
 */
#pragma once

#include <ipc-glib/ipc-glib.h>
#include <sys/resource.h>

#include "core/ipc-frame.h"
#include "ipc-test.h"
#include "transport.h"

G_BEGIN_DECLS

/* What `assert_text` looks for has to be in the text. */
void assert_text (const char *text, const char *part);
/* The error has to be of IPC_ERROR with CODE, and its text to have PART (nullable) in it. */
void assert_ipc_error (const GError *error, IpcError code, const char *part);

/* So many descriptors this process may have; how many it was before. */
rlim_t set_soft_limit (rlim_t soft);

/* ── A server ── */

typedef struct
{
  IpcServer *server;     /* (owned) */
  guint n_connected;
  guint n_messages;
  GPtrArray *reasons;    /* (owned) (element-type GError) (nullable elements) of each disconnection */
  GPtrArray *connections; /* (owned) (element-type IpcConnection) all there ever were */
  GPtrArray *held;       /* (owned) (element-type IpcMessage) requests of type `hold`, not answered */
  GPtrArray *holders;    /* (owned) (element-type IpcConnection) where they came from */
  guint n_cancelled;     /* of those */
} Service;

/* Not started. `echo` is answered with the same payload, `hold` is kept, and so is every other type refused. */
Service *service_new      (const char *address);
/* Started. */
Service *service_start_at (const char *address);
/* Started, at SOCKET_NAME in the directory of the test. */
Service *service_start    (IpcTest *test);
/* Stops it, and lets all its clients go. */
void     service_free     (Service *self);
/* Answers all that is held, with its own payload; FALSE if one could not be answered. */
gboolean service_release  (Service *self);
/* Runs until N clients are gone, then takes the last reason (nullable). */
const GError *service_wait_disconnected (Service *self, guint n);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Service, service_free)

#define SOCKET_NAME "s"

char *socket_path (IpcTest *test) G_GNUC_WARN_UNUSED_RESULT;

/* ── Clients ── */

/* FALSE: it failed. */
gboolean   client_try_open  (IpcClient *client, GError **error);
IpcClient *client_open      (const char *address) G_GNUC_WARN_UNUSED_RESULT;
/* It must fail. */
GError    *client_fail_open (IpcClient *client) G_GNUC_WARN_UNUSED_RESULT;
GError    *client_fail_open_at (const char *address) G_GNUC_WARN_UNUSED_RESULT;
/* A request of TYPE with TEXT: the text of the reply, or NULL. */
char      *client_ask       (IpcClient *client, const char *type, const char *text, gint timeout,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Asks for an echo and gets it. */
void       client_check     (IpcClient *client);

/* Many requests at once. */
typedef struct
{
  IpcClient *client;     /* (owned) */
  guint n;
  guint *n_callbacks;    /* (owned) */
  GError **errors;       /* (owned) (nullable elements) */
  guint n_replies;
  guint n_done;
} Burst;

/* N requests of TYPE; PAYLOAD_SIZE bytes of payload each. */
Burst *burst_start (IpcClient *client, guint n, const char *type, gsize payload_size, gint timeout);
void   burst_free  (Burst *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Burst, burst_free)

/* ── Raw sockets ── */

typedef struct
{
  int fd;                /* (owned) not blocking */
  GByteArray *in;        /* (owned) what came and was not taken yet */
  GArray *fds;           /* (owned) (element-type gint) (owned elements) descriptors that came, in order */
  gboolean at_end;
  int end_errno;         /* 0: end of file */
} Raw;

typedef struct
{
  IpcFrame header;
  char *type;            /* (owned) (nullable) */
  GBytes *body;          /* (owned) all of it */
  char *text;            /* (owned) the payload */
} RawFrame;

Raw     *raw_new            (int fd);
Raw     *raw_connect        (const char *path);
/* The same, with the handshake done. */
Raw     *raw_connect_client (const char *path);
/* The same, saying that it takes MAX_FDS descriptors a message, and payloads in a memfd. */
Raw     *raw_connect_for_fds (const char *path, guint32 max_fds, gboolean memfd);
void     raw_free           (Raw *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Raw, raw_free)
/* FALSE: the other side does not take it any more. */
gboolean raw_send           (Raw *self, gconstpointer data, gsize size);
/* One sendmsg() that takes all of DATA, and the descriptors with its first byte. */
void     raw_send_with_fds  (Raw *self, gconstpointer data, gsize size, const int *fds, guint n_fds);
gboolean raw_send_hello     (Raw *self);
gboolean raw_send_frame     (Raw *self, const IpcFrame *header, const char *type, gconstpointer payload, gsize size);
gboolean raw_send_request   (Raw *self, guint64 serial, const char *type, const char *text);
/* Runs until SIZE bytes are there. FALSE: the end came before. */
gboolean raw_wait           (Raw *self, gsize size);
/* Takes the preamble that has to be next. */
void     raw_expect_preamble (Raw *self);
gboolean raw_next_frame     (Raw *self, RawFrame *frame);
void     raw_expect_hello   (Raw *self);
void     raw_expect_frame   (Raw *self, IpcFrameKind kind, guint64 reply_serial, const char *type);
/* Frames up to an ERROR with reply_serial 0 and TYPE, and nothing after it. */
void     raw_expect_drop    (Raw *self, const char *type);
void     raw_expect_end     (Raw *self);
void     raw_frame_clear    (RawFrame *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RawFrame, raw_frame_clear)

/* A plain listening socket: a server that is none of ours. */
int      raw_listen         (const char *path);
/* What came to a listening socket, once it has. */
Raw     *raw_accept         (int listen_fd);
/* A socket file that nobody listens at, as a killed server leaves it. */
void     raw_leave_stale    (const char *path);

G_END_DECLS
