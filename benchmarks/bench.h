/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a peer of the benchmark sees of it.
 *
 * A peer is a library (or the bare system calls) that carries messages between
 * two processes: a server half and a client half, each a fresh process. A half
 * does its workload for ever and says, with bench_count(), how many messages
 * came; it knows nothing of rounds, clocks and results. Those are the business of
 * the process that started it (bench-run.c), which looks at the counter from
 * outside and ends both halves with a signal.
 *
 * Who counts: the client where there are replies, the server (the receiver)
 * where messages go one way, the client (the subscribers) in a broadcast. Only
 * one thread of one half may count.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  BENCH_REQUEST,   /* request and reply; `outstanding` at once, `clients` in turn */
  BENCH_ONE_WAY,   /* client to server, as fast as they go */
  BENCH_BROADCAST, /* server to `clients` subscribers, all in the client half */
} BenchKind;

typedef struct
{
  const char *name;    /* "w2-signal" */
  const char *variant; /* "signal"; "" for the plain one */
  const char *family;  /* "w2": what a peer without this variant is compared in */
  const char *title;
  BenchKind kind;
  gsize size;
  guint clients;
  guint outstanding;
} BenchWorkload;

/* Shared by the two halves and the process that measures them. */
typedef struct
{
  guint64 count; /* (atomic) written by one half only */
} BenchControl;

typedef struct
{
  const BenchWorkload *workload;
  const char *path;      /* where the server's socket goes, in a private directory */
  const guint8 *payload; /* workload->size bytes */
  BenchControl *control;
  int ready_fd;
} Bench;

typedef struct
{
  const char *name;
  const char *title;
  const char *(*version) (void);
  const char *const *workloads; /* names, NULL at the end */
  void (*server) (Bench *bench);
  void (*client) (Bench *bench);
} BenchPeer;

/* The peers that were built: filled in by meson. */
extern const BenchPeer *const bench_peers[];

/* bench-workloads.c */
extern const BenchWorkload bench_workloads[];
extern const guint bench_n_workloads;
const BenchWorkload *bench_workload_find (const char *name);
const BenchPeer     *bench_peer_find     (const char *name);
gboolean             bench_peer_supports (const BenchPeer *peer, const BenchWorkload *workload);

/* bench-half.c: for the halves */
void bench_ready (Bench *bench); /* server: clients may come; client: the first message has been sent */
void bench_fail  (const char *format, ...) G_GNUC_PRINTF (1, 2) G_GNUC_NORETURN;
int  bench_half  (const char *peer, const char *workload, gboolean is_server, const char *path);

/* How many messages a transport without a bound of its own may hold: 1024 or 8 MiB, but at least 4. */
guint bench_window (Bench *bench);

static inline gboolean
bench_is (Bench *bench, const char *variant)
{
  return g_str_equal (bench->workload->variant, variant);
}

/* N more messages came. A plain load and store: there is one writer. */
static inline void
bench_count (Bench *bench, guint64 n)
{
  guint64 *count = &bench->control->count;
  __atomic_store_n (count, __atomic_load_n (count, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

G_END_DECLS
