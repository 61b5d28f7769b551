/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The vectors of tests/vectors that a peer has to object to, and what it may cost to hear them.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "socket-test.h"

G_BEGIN_DECLS

#define MIB (1024u * 1024u)
#define MAX_LENGTH (16u * MIB)

typedef void (*VectorFunc) (gpointer data, JsonObject *vector, GByteArray *bytes);

/* Calls FUNC for each of LAYER that can be sent in DIRECTION and that a peer with our default limits answers with
 * ACTION. There has to be one. */
void        vectors_foreach      (const char *layer, const char *direction, const char *action, VectorFunc func,
                                  gpointer data);
/* Calls FUNC for each stream that has descriptors in it. */
void        vectors_foreach_with_fds (VectorFunc func, gpointer data);
/* What is expected: the nick, and the code that it stands for. */
const char *vector_get_nick      (JsonObject *vector);
IpcError    vector_get_code      (JsonObject *vector);
/* Lets go what was read. */
void        vectors_free         (void);

/* Bytes of the heap that are in use. (What is resident also counts what was freed, or only filled.) */
gsize       get_heap             (void);

G_END_DECLS
