/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a connection, shared by the files that make it up:
 *
 *   ipc-connection.c        the object: properties, signals, closing
 *   ipc-connection-send.c   sending events, waiting for room
 *   ipc-pressure.c          when it stops reading, and what it may hold
 *   ipc-overflow.c          what becomes of an event that there is no room for
 *   ipc-connection-io.c     its life on the hub: the beginning, events, messages, the end
 *   ipc-connection-input.c  the read turn, reading
 *   ipc-connection-output.c writing
 *   ipc-connection-fds.c    descriptors on the way in and out
 *   ipc-connection-wait.c   the synchronous calls: the read turn
 *   ipc-request.c           requests that it made
 *   ipc-answer.c            requests that it received
 *   ipc-keep-alive.c        whether the peer is still there
 *   ipc-dialect-binary.c    frames that come
 *   ipc-binary-plain.c      those of them that need nothing special
 *   ipc-binary-output.c     frames that go
 *   ipc-plain-private.h     those of them that need nothing special
 *   ipc-dialect-json.c      objects
 *
 * `lock` guards what other threads may touch: the outbox, the state, the tables.
 * The inbox and what belongs to parsing belong to the thread that has the read
 * turn: usually the one that runs the hub, or one in a synchronous call.
 * Nothing is called out with the lock held.
 */
#pragma once

#include <string.h>

#include "base/ipc-connected-private.h"
#include "base/ipc-error-private.h"
#include "base/ipc-hub-private.h"
#include "base/ipc-once-private.h"
#include "core/ipc-json-validator.h"
#include "ipc-connection.h"
#include "messaging/ipc-descriptors-private.h"
#include "messaging/ipc-inbox-private.h"
#include "messaging/ipc-ledger-private.h"
#include "messaging/ipc-message-private.h"
#include "messaging/ipc-outbox-private.h"
#include "messaging/ipc-serial-table-private.h"
#include "messaging/ipc-statistics-private.h"

#define IPC_DEFAULT_MAX_MESSAGE_SIZE (16u * 1024 * 1024)
#define IPC_CEILING_MAX_MESSAGE_SIZE (128u * 1024 * 1024)
#define IPC_DEFAULT_MAX_QUEUED_BYTES (4u * 1024 * 1024)
#define IPC_DEFAULT_REQUEST_TIMEOUT 30000
#define IPC_DEFAULT_HANDSHAKE_TIMEOUT 30000
#define IPC_LINGER_TIMEOUT_US (5 * G_USEC_PER_SEC)
#define IPC_LAST_TYPE_SIZE 48
#define IPC_JSON_MAX_OBJECT (1024u * 1024)
#define IPC_PRESSING 1024u      /* below that a queue is no pressure */
#define IPC_EAGER_FLUSH 65536u  /* a queue that long is written at once, while it is in the cache */

typedef enum
{
  IPC_CONNECTION_NEW,           /* not on the hub yet */
  IPC_CONNECTION_HANDSHAKE,     /* before HELLO, or before the first byte */
  IPC_CONNECTION_OPEN,
  IPC_CONNECTION_CLOSING,       /* closed by us; writes what is queued, reads nothing */
  IPC_CONNECTION_CLOSED,
} IpcConnectionState;

typedef enum
{
  IPC_HEARING_UNKNOWN,
  IPC_HEARING_SOMEBODY,
  IPC_HEARING_NOBODY,
} IpcHearing;

typedef enum
{
  IPC_STEP_DONE,                /* something was handled; there may be more */
  IPC_STEP_MORE,                /* what is there is not whole */
  IPC_STEP_END,                 /* the connection is closed, or nothing more is taken from it */
} IpcStep;

/* Who a connection belongs to: a server or a client. Called in the connection's context. */
typedef struct
{
  void     (*opened)  (gpointer owner, IpcConnection *self);
  /* Answers a request of a type that is the library's own; FALSE: it does not know it. NULL: it knows none. */
  gboolean (*builtin) (gpointer owner, IpcConnection *self, IpcMessage *message);
  /* TRUE: somebody took notice of the message */
  gboolean (*message) (gpointer owner, IpcConnection *self, IpcMessage *message);
  /* JSON peers do not say whether they want an answer: having a handler decides */
  gboolean (*handles) (gpointer owner, const char *message_type);
  void     (*closed)  (gpointer owner, IpcConnection *self, const GError *error);
  /* An event was dropped, or would have been (MESSAGE NULL): whether anybody wants to know. From any thread, not
   * called under the connection's lock. NULL: nobody ever does. */
  gboolean (*dropped) (gpointer owner, IpcConnection *self, IpcMessage *message);
} IpcConnectionOwnerFuncs;

typedef struct
{
  guint max_message_size;
  guint max_queued_bytes;
  gint request_timeout;         /* ms */
  IpcOverflowPolicy overflow_policy;
  gint handshake_timeout;       /* ms */
  guint max_fds;                /* descriptors in a message */
  gboolean memfd;               /* payloads in a memfd are taken, and sent */
  gint keep_alive_interval;     /* ms, 0: off */
} IpcConnectionLimits;

/* What became of an event. */
typedef enum
{
  IPC_SEND_FAILED,
  IPC_SEND_QUEUED,
  IPC_SEND_DROPPED,             /* as the policy has it */
} IpcSendOutcome;

typedef struct _IpcCall IpcCall;
typedef struct _IpcHandler IpcHandler;

struct _IpcConnection
{
  GObject parent_instance;

  guint64 id;
  GMainContext *context;        /* (owned) */
  unsigned generation;          /* of the process, see core/ipc-fork.h */
  gboolean is_server_side;
  char *peer_name;              /* (owned) for error messages: the address */
  GCredentials *credentials;    /* (nullable) (owned) */
  gboolean is_own_user;         /* the transport does not say who the peer is, but takes nobody in but our own user */
  gboolean is_channel;          /* what comes is from many who cannot be told apart, and nothing goes back */
  gint peer_pidfd;              /* (mutex lock) (owned) -1 until somebody asks for it */
  gboolean counts_for_uid;      /* the server counts it among the clients of its user */
  GMainContext *peer_context;   /* (nullable) (owned) of the server, if that is in this very process */
  GWeakRef owner;
  GObject *owner_now;           /* (nullable) (owned) while input is handled */
  const IpcConnectionOwnerFuncs *owner_funcs;
  IpcLedger *ledger;            /* (nullable) (owned) of the server */
  IpcConnectionLimits limits;

  GMutex lock;
  GCond changed;                /* with lock: for the synchronous calls that do not have the read turn */
  guint n_followers;            /* (mutex lock) how many wait for it */
  IpcHubWatch watch;
  int fd;                       /* (mutex lock) -1 once closed */
  IpcHubWatch out_watch;        /* of out_fd, if that is another one than fd */
  int out_fd;                   /* (mutex lock) (owned) where it writes: fd, or the other one of a pair of pipes */
  IpcConnectionState state;     /* (mutex lock) */
  IpcWireFormat wire_format;    /* (mutex lock) */
  GError *error;                /* (nullable) (owned) (mutex lock) why it was closed */
  gboolean notified;            /* (mutex lock) `closed` was emitted, or will never be */
  gboolean was_opened;          /* the owner was told */
  GError *refusal;              /* (nullable) (owned) what the peer is told as soon as it has said anything */

  /* the read turn */
  GThread *reader;              /* (nullable) (mutex lock) */
  guint reader_depth;           /* (mutex lock) */

  /* input: belongs to the read turn */
  IpcInbox inbox;
  gboolean readable;            /* the last read filled all the room there was */
  IpcHearing hearing;           /* whether somebody listens to message-received of it, as far as known in this turn */
  IpcHearing owner_hearing;     /* the same of its owner */
  gboolean trickles;            /* the last read brought little */
  gint64 trim_due;              /* when an inbox is made smaller that has more room than it needs; 0: it has not */
  gboolean quiet;               /* read by a synchronous call: nothing may be called out */
  gboolean got_preamble;
  gboolean got_hello;
  gboolean eof;                 /* the peer will send nothing more */
  gboolean input_over;          /* a synchronous call met the end; what it put aside comes first */
  guint64 last_request_serial;  /* of the peer */
  guint8 last_type_length;      /* 0: none */
  GQuark last_type_quark;       /* 0: not known, or none */
  guint last_stamp;             /* of the owner's handlers when the next was looked up */
  IpcHandler *last_handler;     /* (nullable) not owned: that of the last type */
  char last_type[IPC_LAST_TYPE_SIZE]; /* of the message before; most often the next one has the same */
  IpcJsonValidator *validator;  /* (nullable) (owned) */
  gsize validated;              /* bytes of the object at the front that it has seen */
  GQueue deferred;              /* (mutex lock) (element-type GBytes) frames met by a synchronous call */
  gsize deferred_bytes;         /* (mutex lock) */
  gsize inbox_size;             /* (mutex lock) bytes of memory that the inbox had when it was last looked at */
  IpcFdQueue fds;               /* descriptors that came, for the frames in the inbox */
  IpcFdQueue deferred_fds;      /* those of the deferred frames */
  guint fd_capacity;            /* how many the next read may bring */
  gboolean fds_taken;           /* since that was last looked at */
  gint64 fds_due;               /* (mutex lock) when those of an unfinished frame have been held for too long; 0: there are none */

  /* output */
  IpcOutbox outbox;             /* (mutex lock) */
  guint64 total_out_at_end;     /* (mutex lock) what had been written when it was closed */
  gboolean write_blocked;       /* (mutex lock) the kernel took less than there is */
  gboolean write_failed;        /* (mutex lock) */
  gboolean read_paused;         /* (mutex lock) the peer does not take its replies */
  gboolean input_paused;        /* (mutex lock) nothing is read, but what was is handled */
  gboolean is_congested;        /* (mutex lock) */
  gboolean congested_pending;   /* (mutex lock) a signal is due */
  gboolean drained_pending;     /* (mutex lock) a signal is due */
  GQueue waiters;               /* (mutex lock) (element-type IpcSendWaiter) */
  guint peer_max_message_size;  /* (mutex lock) */
  gboolean passes_fds;          /* the transport can carry descriptors */
  guint max_fds;                /* (mutex lock) descriptors in a message, as agreed on */
  gboolean memfd;               /* (mutex lock) payloads in a memfd are agreed on */
  gint64 fds_retry_due;         /* (mutex lock) when what the kernel has no room for is tried again; 0: nothing is */
  gboolean peer_said_goodbye;   /* (mutex lock) */
  guint64 peer_answers_up_to;   /* (mutex lock) */
  gboolean said_goodbye;        /* (mutex lock) requests are refused */
  gboolean is_drain_due;        /* (mutex lock) to be looked at after the turn */

  /* requests made here */
  IpcSerialTable calls;         /* (mutex lock) (element-type IpcCall) */
  IpcCall *spare_call;          /* (nullable) (owned) (mutex lock) memory for the next, of the last that ended */
  guint64 last_serial;          /* (mutex lock) */
  guint n_cancelled;            /* (mutex lock) calls whose cancellable fired */
  guint n_given_up;             /* (mutex lock) calls that nobody waits for, kept to know their answer */
  gint64 calls_due;             /* (mutex lock) earliest deadline that the hub knows of */

  /* requests received that somebody keeps unanswered */
  IpcSerialTable held;          /* (mutex lock) (element-type IpcRequestToken) */
  gsize held_bytes;             /* (mutex lock) */

  /* keep-alive: what it was when it was last looked at */
  struct
  {
    gint64 due;                 /* (mutex lock) 0: off */
    guint64 received;           /* (mutex lock) */
    guint64 sent;               /* (mutex lock) */
    gboolean was_blocked;       /* (mutex lock) */
    gboolean is_doubtful;       /* (mutex lock) nothing came, and PING was sent */
    guint64 n_pings;            /* (mutex lock) */
  } alive;

  /* statistics */
  guint64 messages_received;
  guint64 messages_sent;        /* (mutex lock) */
  guint64 messages_dropped;     /* (mutex lock) */
  guint64 bytes_received;       /* written in the read turn */
  guint64 bytes_sent;           /* (mutex lock) */
  gboolean is_counted;          /* (mutex lock) as one of those that share the budget */
  gsize charged;                /* (mutex lock) what the budget counts for it */
  gint64 last_activity;
  gint64 statistics_due;
  gboolean unobserved;          /* (mutex lock) nobody was told of the statistics when it was last looked at */
};

struct _IpcConnectionClass
{
  GObjectClass parent_class;

  /* Like recv(2) and writev(2), never blocking, never raising SIGPIPE. FDS (nullable) takes the descriptors that come;
   * without, what comes is closed. */
  gssize (*read)     (IpcConnection *self, gpointer room, gsize size, IpcFdsRead *fds);
  /* The N_FDS go with the first byte. */
  gssize (*write)    (IpcConnection *self, struct iovec *iov, int n, const int *fds, guint n_fds);
  /* Nothing more comes nor goes: a thread that polls it looks up. With INPUT_ONLY what is queued still goes. */
  void   (*shutdown) (IpcConnection *self, gboolean input_only);
  /* Not started: it sees that it is not let in. */
  void   (*refuse)   (IpcConnection *self);
  /* (nullable) Adds to our HELLO what the transport has to say in it. */
  void   (*describe) (IpcConnection *self, GVariantBuilder *hello);
  /* (nullable) (with lock held) The peer's HELLO has come. */
  gboolean (*greeted) (IpcConnection *self, GError **error);
  /* (nullable) What comes is in a dialect of the transport's own: handles a piece of it, as ipc_json_step(). */
  IpcStep (*step)    (IpcConnection *self);
  /* (nullable) The end of the input, which is not the end of the connection. */
  void   (*pause)    (IpcConnection *self);
};

/* A message that waits for room, or a flush that waits for its bytes to go. */
typedef struct
{
  GTask *task;                  /* (owned) */
  IpcMessage *message;          /* (nullable) (owned) NULL: a flush */
  guint64 target;               /* the flush is done when so many bytes have been written in all */
  gulong cancel_id;
} IpcSendWaiter;

/* The class of the connection that was set up last; others are asked of GObject. */
extern gpointer ipc_connection_latest_class;

/* IPC_IS_CONNECTION(), for what is called for each message. */
static inline gboolean
ipc_connection_is_one (IpcConnection *self)
{
  return (self != NULL && (gpointer) G_OBJECT_GET_CLASS (self) == IPC_READ_ONCE (ipc_connection_latest_class)) || IPC_IS_CONNECTION (self);
}

/* ipc-connection.c */
/* Takes over FD. PEER_NAME is for error messages. */
void     ipc_connection_set_up          (IpcConnection *self, int fd, gboolean is_server_side, const char *peer_name,
                                         const IpcConnectionLimits *limits);
/* Before it is started. */
void     ipc_connection_set_context     (IpcConnection *self, GMainContext *context);
void     ipc_connection_set_request_timeout (IpcConnection *self, gint request_timeout);
void     ipc_connection_set_owner       (IpcConnection *self, gpointer owner, const IpcConnectionOwnerFuncs *funcs);
/* Nobody is told of anything any more. Any thread. */
void     ipc_connection_disown          (IpcConnection *self);
/* Before it is started. */
void     ipc_connection_set_ledger      (IpcConnection *self, IpcLedger *ledger);
/* Adds what has gone through it. */
void     ipc_connection_add_statistics  (IpcConnection *self, IpcStatistics *sum);
void     ipc_connection_emit_closed     (IpcConnection *self, const GError *error);
void     ipc_connection_emit_request_cancelled (IpcConnection *self, IpcMessage *request);
void     ipc_connection_emit_congested  (IpcConnection *self);
void     ipc_connection_emit_drained    (IpcConnection *self);
gboolean ipc_connection_has_observers   (IpcConnection *self);
void     ipc_connection_notify_statistics (IpcConnection *self);
/* Emits message-received on INSTANCE (args: [connection,] message), with the type as detail, if anybody listens. FALSE:
 * nobody listens for that type. */
gboolean ipc_emit_message_if_heard      (gpointer instance, guint signal_id, IpcHearing *hearing, IpcConnection *connection,
                                         IpcMessage *message);

/* HEARING keeps for a turn what GObject said. That somebody listens may be wrong later, which costs an emission that
 * nobody hears. That nobody does may be wrong as soon as anything of the application has run, so it holds only as long as
 * nothing was ever connected to INSTANCE. */
static inline gboolean
ipc_emit_message_received (gpointer instance, guint signal_id, IpcHearing *hearing, IpcConnection *connection, IpcMessage *message)
{
  if (*hearing == IPC_HEARING_NOBODY && ipc_connected_is_never (instance))
    return FALSE;
  return ipc_emit_message_if_heard (instance, signal_id, hearing, connection, message);
}

guint    ipc_message_signal_new         (GType type, gboolean with_connection);
extern guint ipc_connection_message_received; /* the signal */

/* ipc-connection-send.c */
void     ipc_connection_serve_waiters   (IpcConnection *self);
gboolean ipc_connection_check_open_locked (IpcConnection *self, GError **error);
/* Whether the peer takes a message of that size, and whether there is room for it in the queue. */
gboolean ipc_connection_check_size_locked (IpcConnection *self, IpcMessage *message, GError **error);
gboolean ipc_connection_check_room_locked (IpcConnection *self, IpcMessage *message, GError **error);
gboolean ipc_connection_send_locked     (IpcConnection *self, IpcMessage *message, GError **error);

/* ipc-pressure.c */
/* Stops or goes on reading, and tells who waits for room, as the queue has it now. */
void     ipc_connection_update_pressure_locked (IpcConnection *self);
/* How much may be queued for the peer now. */
gsize    ipc_connection_get_queue_limit_locked (IpcConnection *self);
/* Sets what the budget counts for it. */
void     ipc_connection_charge_locked   (IpcConnection *self);
/* Whether the peer takes anything has changed, or how much room what is queued for it may take. */
void     ipc_connection_note_stalled_locked (IpcConnection *self);
/* It holds nothing any more, and shares nothing. */
void     ipc_connection_discharge_locked (IpcConnection *self);
/* At the end of a turn. GOES_ON: there is another one for what has been read, as soon as others have had theirs. */
void     ipc_connection_settle_input    (IpcConnection *self, gboolean goes_on);
/* How much may be read at a time, of ROOM. */
gsize    ipc_connection_limit_read      (IpcConnection *self, gsize room);
/* The budget is over by far: nothing is read until somebody has been disconnected. */
gboolean ipc_connection_has_to_wait     (IpcConnection *self);
/* All that it holds, and the part of it that is input. For relief. */
gsize    ipc_connection_get_weight      (IpcConnection *self, gsize *input);
/* After the budget has changed. */
void     ipc_connection_relieve         (IpcConnection *self);

/* ipc-overflow.c */
/* Sends an event as the policy has it, and tells the owner of what was dropped. Needs no lock; MESSAGE has been checked. */
IpcSendOutcome ipc_connection_send_event (IpcConnection *self, IpcMessage *message, GError **error);
/* The same for an event that all get; its frame is the last SIZE bytes of SHEET. */
IpcSendOutcome ipc_connection_send_shared (IpcConnection *self, IpcMessage *message, IpcOutSheet *sheet, gsize size);
void     ipc_connection_set_overflow_policy (IpcConnection *self, IpcOverflowPolicy policy);
/* It was not sent, and whoever wanted to send it is not told by an error: counts it, and tells the owner. */
void     ipc_connection_count_dropped   (IpcConnection *self, IpcMessage *message);

/* ipc-connection-fds.c */
/* What a read may bring before the HELLO of the peer, and what is agreed on after it. */
void     ipc_connection_expect_fds      (IpcConnection *self);
void     ipc_connection_agree_on_fds_locked (IpcConnection *self, guint32 max_fds, gboolean memfd);
/* Whether the peer takes the descriptors of a message, and whether there is room for them in the queue. */
gboolean ipc_connection_check_fds_locked (IpcConnection *self, IpcMessage *message, GError **error);
gboolean ipc_connection_check_room_for_fds_locked (IpcConnection *self, IpcMessage *message, GError **error);
/* As IpcConnectionClass.read(), putting descriptors that came into the queue. *LOST: there were some that could not be taken. */
gssize   ipc_connection_read_with_fds   (IpcConnection *self, gpointer room, gsize size, GError **lost);
/* As IpcConnectionClass.write(), for the front of the outbox. *IS_FULL: it took less than it was given, and takes no more now. */
gssize   ipc_connection_write_front_locked (IpcConnection *self, gboolean *is_full);
/* After input was handled: descriptors of an unfinished frame are not held for ever. */
void     ipc_connection_watch_pending_fds (IpcConnection *self);
/* NULL: they have not been held for too long. */
GError  *ipc_connection_attend_fds      (IpcConnection *self, gint64 now);

/* ipc-connection-io.c */
gboolean ipc_connection_start           (IpcConnection *self, GError **error);
/* Watches out_fd, if that is another one than fd. Started; FALSE: it cannot be. */
gboolean ipc_connection_watch_output_locked (IpcConnection *self, GError **error);
void     ipc_connection_opened          (IpcConnection *self);
/* Ends it; REASON (nullable) (transfer full). IN_CONTEXT: the caller runs the connection's context and can be called back. */
void     ipc_connection_shut            (IpcConnection *self, GError *reason, gboolean in_context);
/* Turns away a peer that has not been started: it sees the end of file, and no reset. */
void     ipc_connection_refuse          (IpcConnection *self);
/* Tells the peer why, if that is possible, and ends it. */
void     ipc_connection_drop            (IpcConnection *self, GError *reason);
/* After stop accepting requests: closes when all that was accepted is answered and written. */
void     ipc_connection_drain           (IpcConnection *self);
void     ipc_connection_check_drained   (IpcConnection *self);
/* Delivers a message to handlers and signals. */
void     ipc_connection_deliver         (IpcConnection *self, IpcMessage *message, IpcRequestToken *token);

/* ipc-connection-input.c */
gboolean ipc_connection_take_read_turn_locked (IpcConnection *self);
void     ipc_connection_give_read_turn_locked (IpcConnection *self);
/* Nobody may have the read turn. */
void     ipc_connection_close_fd_locked (IpcConnection *self);
/* Handles what is there; DEFER: only what a synchronous call may handle. TRUE: there is more. Needs the read turn. */
gboolean ipc_connection_run_input       (IpcConnection *self, gboolean defer);
/* Handles BYTES, which came another way, as what was read first. */
void     ipc_connection_feed            (IpcConnection *self, GBytes *bytes);
/* The owner, if it is still there; valid until the turn ends. Needs the read turn. */
GObject *ipc_connection_get_owner       (IpcConnection *self);
/* A synchronous call puts only so much aside for the main loop. */
gboolean ipc_connection_has_put_aside_enough (IpcConnection *self);

/* ipc-connection-output.c */
void     ipc_connection_flush_locked    (IpcConnection *self);
void     ipc_connection_see_to_flush_locked (IpcConnection *self);
static inline void ipc_connection_schedule_flush_locked (IpcConnection *self);
/* What is queued will never be written. */
void     ipc_connection_fail_writing_locked (IpcConnection *self);
void     ipc_connection_update_events_locked (IpcConnection *self);
/* The statistics have changed: whoever observes them is told. */
void     ipc_connection_note_statistics_locked (IpcConnection *self);

/* ipc-connection-wait.c */
void     ipc_connection_wake_followers_locked (IpcConnection *self);
typedef gboolean (*IpcWaitFunc) (IpcConnection *self, gpointer data); /* with the lock held */
/* FALSE: the server is of the context that this thread keeps from running. */
gboolean ipc_connection_check_may_block (IpcConnection *self, GError **error);
gboolean ipc_connection_wait            (IpcConnection *self, IpcWaitFunc done, gpointer data, gint64 deadline,
                                         const char *what, GCancellable *cancellable, GError **error);

/* ipc-request.c */
/* Asks the peer and gives the reply, or the error, to TASK (transfer full). */
void     ipc_connection_request_for_task (IpcConnection *self, IpcMessage *message, gint timeout, GTask *task);
void     ipc_request_clear              (IpcConnection *self);
/* The answer to a request made here has come: REPLY or ERROR (transfer full). FALSE: nobody asked for it. */
gboolean ipc_request_resolve            (IpcConnection *self, guint64 serial, IpcMessage *reply, GError *error);
gboolean ipc_request_is_sync            (IpcConnection *self, guint64 serial);
void     ipc_request_fail_all           (IpcConnection *self);
/* There will be no answer: who waits for one in a thread waits no longer. */
void     ipc_request_end_sync_after_locked (IpcConnection *self, guint64 serial);
void     ipc_request_fail_after         (IpcConnection *self, guint64 serial);
void     ipc_request_attend             (IpcConnection *self, gint64 now);

/* ipc-keep-alive.c */
void     ipc_keep_alive_begin_locked    (IpcConnection *self);
void     ipc_keep_alive_attend          (IpcConnection *self, gint64 now);

/* ipc-answer.c */
/* A client whose peer asks and does not take the answers is closed before they are too many. */
void     ipc_request_check_overflow     (IpcConnection *self);
/* Remembers a request that a handler kept. */
void     ipc_request_hold               (IpcConnection *self, IpcRequestToken *token);
void     ipc_request_cancelled_by_peer  (IpcConnection *self, guint64 serial);
void     ipc_request_dropped            (GObject *connection, IpcRequestToken *token);
/* MESSAGE has been checked. */
gboolean ipc_request_answer             (IpcConnection *self, IpcRequestToken *token, IpcMessage *message, GError **error);
gboolean ipc_request_answer_error       (IpcConnection *self, IpcRequestToken *token, const GError *reason);

/* Both dialects: what goes out. With the lock held; MESSAGE has been checked. */
typedef struct
{
  guint8 kind;                  /* IpcFrameKind */
  guint64 serial;
  guint64 reply_serial;
  const char *reply_id;         /* (nullable) JSON: the id of what is answered */
} IpcEnvelope;

static inline gsize
ipc_binary_get_length (IpcMessage *message)
{
  return message->type_length + (message->headers != NULL ? 4 + message->headers_size : 0) + message->payload_size;
}

/* What a frame is made of before its payload; returns where that goes. */
static inline guint8 *
ipc_binary_put_head (guint8 *room, const IpcFrame *frame, IpcMessage *message)
{
  ipc_frame_encode (frame, room);
  room += IPC_FRAME_HEADER_SIZE;
  memcpy (room, message->type, frame->type_length);
  room += frame->type_length;
  if (message->headers == NULL)
    return room;
  ipc_store_le32 (room, (guint32) message->headers_size);
  memcpy (room + 4, message->headers, message->headers_size);
  return room + 4 + message->headers_size;
}

/* ipc-binary-output.c */
void     ipc_binary_send_hello_locked   (IpcConnection *self);
/* FALSE: its descriptors could not be duplicated; nothing was written. */
gboolean ipc_binary_write_message_locked (IpcConnection *self, IpcMessage *message, const IpcEnvelope *envelope, GError **error);
/* The frame at the front of the outbox is sent with its payload inline. FALSE: it is so already. */
gboolean ipc_binary_unshare_front_locked (IpcConnection *self);
void     ipc_binary_write_error_locked  (IpcConnection *self, guint64 reply_serial, const GError *reason);
void     ipc_binary_write_control_locked (IpcConnection *self, IpcFrameKind kind, guint64 serial, guint64 reply_serial);

/* ipc-binary-plain.c */
/* Handles up to *LEFT frames that need nothing special, until another one comes or ENOUGH bytes have been sent in all.
 * FALSE: the first is another one. */
gboolean ipc_binary_run_plain           (IpcConnection *self, guint *left, guint64 enough);

/* ipc-dialect-binary.c */
IpcStep  ipc_binary_step                (IpcConnection *self, gboolean defer);
/* Drops the peer: it answered what was not asked. */
IpcStep  ipc_binary_drop_unasked        (IpcConnection *self, guint64 serial);
/* Peers send the same type again and again: the last one is judged and copied once. */
static inline gboolean
ipc_binary_is_last_type (IpcConnection *self, const IpcFrame *frame, const guint8 *bytes)
{
  return frame->type_length > 0 && frame->type_length == self->last_type_length &&
         ipc_type_bytes_equal (bytes, self->last_type, frame->type_length);
}

void     ipc_binary_dispatch_deferred   (IpcConnection *self, GBytes *frame);
/* A message as it was written, which comes from us: (transfer full). */
IpcMessage *ipc_binary_message_from_bytes (const guint8 *bytes, gsize size);

/* The budget of the server, if there is one, knows what it holds, and leaves it room. */
static inline gboolean
ipc_connection_is_charged_locked (IpcConnection *self)
{
  return !self->is_counted || (self->outbox.allocated + self->inbox_size + self->held_bytes + self->deferred_bytes == self->charged &&
                               ipc_budget_is_low (&self->ledger->budget));
}

/* Something was queued. Most often a flush is due already, and there is nothing else to see to. */
static inline void
ipc_connection_schedule_flush_locked (IpcConnection *self)
{
  gsize load = ipc_outbox_get_load (&self->outbox);
  gboolean is_due = self->write_blocked ? self->statistics_due != 0 || self->unobserved
                                        : IPC_READ_ONCE (self->watch.in_flush) && self->outbox.queued < IPC_EAGER_FLUSH;

  if (!is_due || (load >= IPC_PRESSING && (load >= self->limits.max_queued_bytes || !ipc_connection_is_charged_locked (self))))
    ipc_connection_see_to_flush_locked (self);
}

/* ipc-dialect-json.c */
/* BYTES, if they are an object with a message_type: delivers it as a message that is not answered. FALSE: they are something else. */
gboolean ipc_json_deliver               (IpcConnection *self, const guint8 *bytes, gsize size);
IpcStep  ipc_json_step                  (IpcConnection *self, gboolean defer);
/* What ends the input of a JSON peer: NULL if it ended between two objects. */
GError  *ipc_json_end_of_input          (IpcConnection *self);
/* A message as it was written, which comes from us: (transfer full) (nullable). */
IpcMessage *ipc_json_message_from_bytes (const guint8 *bytes, gsize size);
/* FALSE: the message cannot be written as JSON; nothing was. */
gboolean ipc_json_write_message_locked  (IpcConnection *self, IpcMessage *message, const IpcEnvelope *envelope, GError **error);
void     ipc_json_write_error_locked    (IpcConnection *self, const char *reply_id, const GError *reason);
