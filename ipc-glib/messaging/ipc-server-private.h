/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-directory-watch-private.h"
#include "base/ipc-owned-path-private.h"
#include "ipc-server.h"
#include "messaging/ipc-connection-private.h"
#include "messaging/ipc-handler-table-private.h"

#define IPC_CEILING_MAX_CLIENTS 65536u

typedef enum
{
  IPC_SERVER_SIGNAL_CLIENT_CONNECTED,
  IPC_SERVER_SIGNAL_CLIENT_DISCONNECTED,
  IPC_SERVER_SIGNAL_MESSAGE_RECEIVED,
  IPC_SERVER_SIGNAL_AUTHORIZE_CLIENT,
  IPC_SERVER_SIGNAL_OVERLOADED,
  IPC_SERVER_SIGNAL_MESSAGE_DROPPED,
  IPC_SERVER_SIGNAL_PATH_LOST,
  IPC_SERVER_N_SIGNALS,
} IpcServerSignal;

#define IPC_SERVER_N_COUNTERS 6

struct _IpcServer
{
  GObject parent_instance;

  GMainContext *context;        /* (owned) */
  unsigned generation;
  char *address;                /* (owned) */
  IpcScope *scope;              /* (nullable) (owned) */
  IpcConnectionLimits limits;
  guint max_clients;
  guint max_clients_per_uid;
  guint mode;
  char *group;                  /* (nullable) (owned) */
  gboolean is_running;
  GListStore *connections;      /* (owned) those that are open */
  GMutex lock;
  GHashTable *by_id;            /* (owned) (mutex lock) guint64 → IpcConnection (owned), those that are open */
  IpcOutLog log;                /* (mutex lock) what was sent to all */
  GHashTable *unopened;         /* (owned) IpcConnection (owned) before HELLO */
  GHashTable *uid_counts;       /* (nullable) (owned) uid → how many clients, of the users other than ours */
  IpcConnection *channel;       /* (nullable) (owned) (mutex lock) what all share who cannot be told apart, see ipc_server_take_channel() */
  const IpcOwnedPath *path;     /* (nullable) (unowned) the transport's, while it runs */
  IpcDirectoryWatch *path_watch; /* (nullable) (owned) of its directory */
  IpcHandlerTable handlers;
  GTask *stopping;              /* (nullable) (owned) */
  GSource *stop_timeout;        /* (nullable) (owned) */
  GSource *stop_cancelled;      /* (nullable) (owned) */
  IpcLedger *ledger;            /* (owned) */
  gint64 started;               /* monotonic µs; 0: never */
  guint64 clients_refused;
  guint64 max_total_bytes;
  guint64 favoured_bytes;       /* what the one that the budget favours had sent in all when that was looked at last */
  gint64 favoured_since;        /* monotonic µs; when it had got there */
  IpcStatistics closed_statistics;      /* (mutex lock) of those that are gone */
  IpcStatistics notified_statistics;    /* what observers were told last */
  GMutex drops_lock;            /* taken last */
  GQueue drops;                 /* (mutex drops_lock) what message-dropped is to tell of */
  gsize drops_bytes;            /* (mutex drops_lock) */
  GSource *drops_source;        /* (nullable) (owned) (mutex drops_lock) */
};

/* What a transport adds to a server. */
struct _IpcServerClass
{
  GObjectClass parent_class;

  /* Makes the address reachable; new peers go to ipc_server_take(). */
  gboolean (*listen)   (IpcServer *self, GError **error);
  /* The address is not reachable any more; not called unless listen() succeeded. */
  void     (*unlisten) (IpcServer *self);
  /* (nullable) A peer has introduced itself or is about to go: there may be room for another one. */
  void     (*peer_changed) (IpcServer *self);
};

extern guint ipc_server_signals[IPC_SERVER_N_SIGNALS];

/* ipc-server-access.c */
gboolean ipc_server_is_authorized (IpcServer *self, IpcConnection *connection);
/* Whether the application decides who is let in. */
gboolean ipc_server_has_authority (IpcServer *self);
/* One more client of its user, and one less; FALSE with FULL if there are too many of them. */
gboolean ipc_server_count_in      (IpcServer *self, IpcConnection *connection, GError **error);
void     ipc_server_count_out     (IpcServer *self, IpcConnection *connection);
/* The group of the property; -1 if there is none. FALSE with NOT_FOUND. */
gboolean ipc_server_find_gid      (IpcServer *self, gid_t *gid, GError **error);

/* ipc-server-life.c */
/* Judges a new peer by its credentials before a byte is read, and starts it or turns it away.
 * CONNECTION (transfer full) is set up and not started. */
void     ipc_server_take (IpcServer *self, IpcConnection *connection);
/* CHANNEL (transfer full): messages come in through it, from peers that cannot be told apart nor answered, and that are no
 * clients. It is open at once. */
gboolean ipc_server_take_channel (IpcServer *self, IpcConnection *channel, GError **error);
/* Whether a new peer would be taken, not turned away because too many have not introduced themselves yet. */
gboolean ipc_server_has_room (IpcServer *self);
/* Lets nobody in any more. */
void     ipc_server_unlisten (IpcServer *self);
/* Closes all connections. */
void     ipc_server_forget_peers (IpcServer *self);

/* ipc-server-path.c */
/* Tells by path-lost if the file goes, until ipc_server_unwatch_path(). */
void     ipc_server_watch_path   (IpcServer *self, const IpcOwnedPath *path);
void     ipc_server_unwatch_path (IpcServer *self);

/* ipc-server-overflow.c */
/* For IpcConnectionOwnerFuncs. */
gboolean    ipc_server_note_dropped      (gpointer owner, IpcConnection *connection, IpcMessage *message);
void        ipc_server_forget_drops      (IpcServer *self);

/* ipc-server-budget.c */
/* For the ledger. */
gboolean    ipc_server_relieve           (gpointer server);
/* A limit that it depends on has changed. */
void        ipc_server_update_budget     (IpcServer *self);

/* ipc-server-statistics.c */
/* In the order of their properties. */
guint64     ipc_server_get_counter       (IpcServer *self, guint i);
void        ipc_server_get_statistics    (IpcServer *self, IpcStatistics *statistics);
/* CONNECTION is about to be taken out. */
void        ipc_server_keep_statistics_locked (IpcServer *self, IpcConnection *connection);
/* For the ledger. */
void        ipc_server_notify_statistics (gpointer server);

/* ipc-stats.c */
gboolean    ipc_server_answer_builtin    (gpointer owner, IpcConnection *connection, IpcMessage *request);
gboolean    ipc_server_has_builtin       (const char *message_type);
