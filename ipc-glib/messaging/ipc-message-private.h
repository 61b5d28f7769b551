/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a message, and of the token that stands for an unanswered request.
 *
 * A message lives in one of two ways. A lasting one is on the heap and counted.
 * A transient one lies on the stack of the dispatch that received it and points
 * into the receive buffer: a handler that is done with it when it returns costs
 * no allocation and no copy. ipc_message_ref() of a transient message gives a
 * lasting copy, always the same one.
 */
#pragma once

#include <string.h>

#include "core/ipc-frame.h"
#include "ipc-message.h"

typedef struct _IpcRequestToken IpcRequestToken;
typedef struct _IpcSharedPayload IpcSharedPayload;

/* What answers a request that the application dropped. Any thread. */
typedef void (*IpcRequestDroppedFunc) (GObject *connection, IpcRequestToken *token);

/*
 * One incoming request. It starts on the stack beside its transient message and
 * moves to the heap when the message is kept.
 */
struct _IpcRequestToken
{
  gint ref_count;               /* (atomic) 0: on the stack */
  gint answered;                /* (atomic) */
  gboolean must_answer;         /* somebody waits for the answer */
  gboolean is_json;
  guint64 serial;
  gsize held_bytes;             /* (mutex of the connection) what it was counted as when it was held */
  const char *id;               /* (nullable) (owned on the heap) JSON: what the answer replies to */
  GObject *connection;          /* (owned on the heap) */
  IpcMessage *message;          /* (nullable) (mutex of the connection) the kept message, not owned */
  IpcRequestDroppedFunc dropped;
};

struct _IpcMessage
{
  gint ref_count;               /* (atomic) 0: transient */
  guint8 format;                /* IpcPayloadFormat */
  guint8 is_request;
  guint8 type_length;           /* 255 also for a type that is too long to be sent */
  gint checked;                 /* (atomic) it may be sent as it is */
  guint8 is_library_type;       /* starts with "ipc.": a request may, an event and a reply may not */

  const char *type;             /* terminated */
  GQuark *type_quark;           /* (nullable) of a transient one: where to look for the quark of TYPE first, 0 if not known */
  const guint8 *payload;
  gsize payload_size;
  const guint8 *headers;        /* (nullable) serialized a{ss}, little-endian */
  gsize headers_size;
  gint64 timestamp;

  GBytes *backing;              /* (nullable) (owned) what PAYLOAD and HEADERS lie in */
  GBytes *bytes;                /* (nullable) (owned) (atomic) the payload, once asked for */
  char *id;                     /* (nullable) (owned) (atomic) */
  char *text;                   /* (nullable) (owned) (atomic) */
  GVariant *variant;            /* (nullable) (owned) (atomic) */
  JsonNode *json;               /* (nullable) (owned) (atomic) */
  GVariant *header_variant;     /* (nullable) (owned) (atomic) */
  GUnixFDList *fd_list;         /* (nullable) (owned) */
  IpcSharedPayload *shared;     /* (nullable) (owned) (atomic) the payload once more, see ipc-shared-payload-private.h */
  gint n_sent_large;            /* (atomic) how often it was sent where that would have been possible */
  char *defect;                 /* (nullable) (owned) why the constructor's arguments cannot be sent */
  IpcRequestToken *token;       /* (nullable) (owned by a lasting message) */
  IpcMessage *kept;             /* (nullable) (owned) the lasting copy of a transient one */
};

/* In parts, as compilers make an instruction that is slow to begin of one memset() of this size. */
static inline void
ipc_message_blank (IpcMessage *self)
{
  enum { PART = 64 };
  guint8 *bytes = (guint8 *) self;

  memset (bytes, 0, PART);
  memset (bytes + PART, 0, PART);
  memset (bytes + 2 * PART, 0, sizeof *self - 2 * PART);
}

/* Fills in a transient message; TYPE, PAYLOAD and HEADERS have to stay until ipc_message_end(). */
static inline void
ipc_message_begin (IpcMessage *self, IpcPayloadFormat format, const char *type, gsize type_length)
{
  ipc_message_blank (self);
  self->format = (guint8) format;
  self->type = type;
  self->type_length = (guint8) type_length;
  self->checked = TRUE;
}

/* Nothing was made for a transient message, as for one that a handler in C has only looked at: it has no end, and may
 * be filled in anew. */
static inline gboolean
ipc_message_is_bare (const IpcMessage *self)
{
  return self->text == NULL && self->bytes == NULL && self->id == NULL && self->variant == NULL && self->json == NULL &&
         self->header_variant == NULL && self->backing == NULL && self->fd_list == NULL && self->kept == NULL;
}

/* Lets go of what was made for it. TRUE: nobody kept it. */
gboolean         ipc_message_end         (IpcMessage *self);

/* The token of a message that can still be answered, or NULL. */
IpcRequestToken *ipc_message_get_token   (IpcMessage *self);
void             ipc_request_token_ref   (IpcRequestToken *self);
void             ipc_request_token_unref (IpcRequestToken *self);
/* The message, with a reference, if somebody still has one. Under the connection's lock. */
IpcMessage      *ipc_request_token_get_message (IpcRequestToken *self);

/* What sending demands of a message. */
gboolean         ipc_message_check_fully (IpcMessage *self, gboolean is_request, GError **error);

/* An immutable message that was fit to be sent once is so for good. */
static inline gboolean
ipc_message_check (IpcMessage *self, gboolean is_request, GError **error)
{
  return (G_LIKELY (g_atomic_int_get (&self->checked)) && !self->is_library_type) || ipc_message_check_fully (self, is_request, error);
}

/* Whether a payload that came over the wire is what its format says. */
gboolean         ipc_payload_check       (IpcPayloadFormat format, const guint8 *payload, gsize size, GError **error);
/* Whether headers that came over the wire are an a{ss} in normal form with distinct keys. */
gboolean         ipc_headers_check       (const guint8 *headers, gsize size, GError **error);

/* What is wrong with a value in normal form, to stand behind "a value": NULL if it may go over the wire. */
const char      *ipc_variant_find_defect (GVariant *value);
/* The `v` that a payload is, wherever its bytes lie: (transfer full). */
GVariant        *ipc_variant_from_bytes  (GBytes *bytes, gboolean trusted);
/* The value in the other of host and wire byte order: (transfer full). */
GVariant        *ipc_variant_swap        (GVariant *value);
/* The document as text; valid JSON but for numbers that JSON has not (infinity). */
char            *ipc_json_to_text        (JsonNode *node);
/* (nullable) */
char            *ipc_json_from_variant   (GVariant *variant);
