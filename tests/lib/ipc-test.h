/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all the C tests share, on top of GLib's harness:
 *
 *  - each test gets a fresh directory, a deadline, and a ledger that fails it if it leaves a descriptor, a thread
 *    or a child process behind (ipc_test_add);
 *  - a loop that runs until something is true, and says what never became true (ipc_test_wait_for);
 *  - other processes to talk to, and to kill (ipc_test_peer_spawn);
 *  - random numbers that can be had again (ipc_test_rand_new).
 *
 * It knows nothing of the library.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* ── Tests ── */

typedef struct
{
  char *directory;    /* (owned) fresh, 0700, removed with all that is in it when the test ends */
  gconstpointer data; /* as given to ipc_test_add_data() */
} IpcTest;

typedef void (*IpcTestFunc) (IpcTest *test);

/* What the program does when it is started again as a peer of itself; the result is the exit status.
 * ARGUMENTS end with NULL. */
typedef struct
{
  const char *name;
  int (*run) (char **arguments);
} IpcTestRole;

/* In place of g_test_init(). From here on $XDG_RUNTIME_DIR is a fresh directory and $IPC_GLIB_DIR is unset, so the
 * default scope is not the user's. ROLES (nullable) ends with an entry without a name. Does not return in a peer. */
void ipc_test_init     (int *argc, char ***argv, const IpcTestRole *roles);
/* In place of g_test_run(). */
int  ipc_test_run      (void);
/* In place of g_test_add_func(). */
void ipc_test_add      (const char *path, IpcTestFunc func);
void ipc_test_add_data (const char *path, gconstpointer data, IpcTestFunc func);

/* For one test that needs longer than the 30 seconds that each has; counted from the call. */
void ipc_test_set_deadline (guint seconds);

/* NAME in the directory of the test. */
char *ipc_test_path (IpcTest *test, const char *name) G_GNUC_WARN_UNUSED_RESULT;

/* Removes a directory and what is in it, or a file, without following symbolic links. Missing is fine. */
void ipc_test_remove_tree (const char *path);

/* A generator seeded with $IPC_TEST_SEED if set, else at random; the log tells the seed. */
GRand *ipc_test_rand_new (void) G_GNUC_WARN_UNUSED_RESULT;

/* ── The ledger ── */

typedef struct _IpcTestLedger IpcTestLedger;

/* What the process has now: descriptors, threads (not those that GLib keeps), and whether there are children. */
IpcTestLedger *ipc_test_ledger_new   (void) G_GNUC_WARN_UNUSED_RESULT;
void           ipc_test_ledger_free  (IpcTestLedger *self);
/* Runs the default main context until the process has no more than then, for up to 3 seconds; else fails the
 * test and names what is too much. */
void           ipc_test_ledger_check (IpcTestLedger *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcTestLedger, ipc_test_ledger_free)

guint ipc_test_count_fds (void);

/* ── The loop ── */

#define IPC_TEST_WAIT_SECONDS 15

typedef struct
{
  const char *what;
  const char *where;
  GMainContext *context; /* (owned) */
  GSource *timeout;      /* (owned) */
  GSource *tick;         /* (owned) */
} IpcTestWait;

void ipc_test_wait_begin (IpcTestWait *self, const char *what, const char *where, guint seconds);
void ipc_test_wait_end   (IpcTestWait *self);

/* Runs the thread-default main context until CONDITION is true; it is also looked at every 10 ms, since it may
 * depend on other threads or processes. After IPC_TEST_WAIT_SECONDS the program aborts and names it. */
#define ipc_test_wait_for(condition) ipc_test_wait_for_full (condition, IPC_TEST_WAIT_SECONDS)
#define ipc_test_wait_for_full(condition, seconds) \
  G_STMT_START \
  { \
    IpcTestWait _wait; \
    ipc_test_wait_begin (&_wait, #condition, G_STRLOC, seconds); \
    while (!(condition)) \
      g_main_context_iteration (_wait.context, TRUE); \
    ipc_test_wait_end (&_wait); \
  } \
  G_STMT_END

/* Runs the thread-default main context until nothing is ready; then all that was queued has been seen. */
void ipc_test_settle    (void);
/* At most N iterations that do not block. */
void ipc_test_iterate   (guint n);

/* One asynchronous call: pass ipc_test_async_cb() and the address of one that is all zero. A second callback for
 * the same call fails the test. */
typedef struct
{
  GObject *source;      /* (owned) (nullable) */
  GAsyncResult *result; /* (owned) (nullable) until the callback */
  guint n_callbacks;
} IpcTestAsync;

void          ipc_test_async_cb    (GObject *source, GAsyncResult *result, gpointer async);
/* The result, which stays with ASYNC. */
GAsyncResult *ipc_test_async_wait  (IpcTestAsync *async);
void          ipc_test_async_clear (IpcTestAsync *async);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (IpcTestAsync, ipc_test_async_clear)

/* The last reference must be this one. */
#define ipc_test_assert_finalized(object) \
  G_STMT_START \
  { \
    gpointer _weak = (object); \
    g_object_add_weak_pointer (_weak, &_weak); \
    g_object_unref (object); \
    g_assert_null (_weak); \
  } \
  G_STMT_END

/* ── Other processes ── */

typedef struct _IpcTestPeer IpcTestPeer;

/* Starts this program again, as ROLE, with ARGUMENTS (nullable, NULL-terminated). What it writes to standard output
 * is read with ipc_test_peer_read_line(); it dies with the test. */
IpcTestPeer *ipc_test_peer_spawn         (const char *role, const char * const *arguments) G_GNUC_WARN_UNUSED_RESULT;
/* The same as another user (needs root; see ipc_test_need_root()). */
IpcTestPeer *ipc_test_peer_spawn_as      (guint uid, const char *role, const char * const *arguments) G_GNUC_WARN_UNUSED_RESULT;
/* Any program; ARGV[0] is looked up in $PATH. */
IpcTestPeer *ipc_test_peer_spawn_program (const char * const *argv) G_GNUC_WARN_UNUSED_RESULT;
/* Kills it if it still runs. */
void         ipc_test_peer_free          (IpcTestPeer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcTestPeer, ipc_test_peer_free)

GPid         ipc_test_peer_get_pid       (IpcTestPeer *self);
/* A line of its output without the newline, NULL at its end. Runs the thread-default main context meanwhile. */
char        *ipc_test_peer_read_line     (IpcTestPeer *self) G_GNUC_WARN_UNUSED_RESULT;
/* The next line must be this one. */
void         ipc_test_peer_expect        (IpcTestPeer *self, const char *line);
/* A line to its standard input. */
void         ipc_test_peer_write_line    (IpcTestPeer *self, const char *line);
void         ipc_test_peer_close_stdin   (IpcTestPeer *self);
void         ipc_test_peer_signal        (IpcTestPeer *self, int signal_number);
/* Runs the thread-default main context until it has ended: its exit status, or the signal that killed it, negative. */
int          ipc_test_peer_wait          (IpcTestPeer *self);
/* SIGKILL, and wait until it is gone. */
void         ipc_test_peer_kill          (IpcTestPeer *self);

/* In a peer: a line to the test, at once; and one from it, NULL when the test has closed. */
void         ipc_test_tell               (const char *format, ...) G_GNUC_PRINTF (1, 2);
char        *ipc_test_hear               (void) G_GNUC_WARN_UNUSED_RESULT;

/* FALSE, and the test is marked as skipped, where we are not root. */
gboolean     ipc_test_need_root          (void);

G_END_DECLS
