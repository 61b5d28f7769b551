/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bare Unix sockets, for the peers without a library. Every failure ends the half.
 */
#pragma once

#include "bench.h"

G_BEGIN_DECLS

/* A large enough read for whatever the size of a message. */
#define BENCH_READ_SIZE (256u * 1024)

int  bench_listen       (Bench *bench);
int  bench_accept       (int listener);
int  bench_connect      (Bench *bench);
void bench_set_blocking (int fd, gboolean blocking);
void bench_write_all    (int fd, const guint8 *data, gsize size); /* fd blocks */
/* 0: nothing there (a descriptor that does not block). The end of the stream ends the half. */
gsize bench_read        (int fd, guint8 *buffer, gsize size);

G_END_DECLS
