/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A RabbitMQ broker of one's own, on loopback, with a durable queue: what is published is persistent and confirmed.
 */
#pragma once

#include <glib.h>

typedef struct _Rabbit Rabbit;

/* All it writes is in DIRECTORY. NULL: there is none here, or it does not start. */
Rabbit *rabbit_start   (const char *directory);
/* Publishes N, and waits until the broker has confirmed all. */
void    rabbit_publish (Rabbit *self, const char *payload, gsize size, guint n);
/* Takes N that are there, with that prefetch, and acknowledges each. */
void    rabbit_consume (Rabbit *self, guint n);
void    rabbit_stop    (Rabbit *self);
