/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include <gio/gunixfdlist.h>

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_MESSAGE (ipc_message_get_type ())

IPC_AVAILABLE_IN_0_1
GType             ipc_message_get_type         (void);

IPC_AVAILABLE_IN_0_1
IpcMessage       *ipc_message_new              (const char         *message_type,
                                                GBytes             *payload) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcMessage       *ipc_message_new_text         (const char         *message_type,
                                                const char         *text) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcMessage       *ipc_message_new_variant      (const char         *message_type,
                                                GVariant           *variant) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcMessage       *ipc_message_new_json         (const char         *message_type,
                                                JsonNode           *json) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcMessage       *ipc_message_new_full         (const char         *message_type,
                                                IpcPayloadFormat    format,
                                                GBytes             *payload,
                                                const char * const *headers,
                                                GUnixFDList        *fd_list) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
IpcMessage       *ipc_message_ref              (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
void              ipc_message_unref            (IpcMessage         *self);

IPC_AVAILABLE_IN_0_1
IpcPayloadFormat  ipc_message_get_format       (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
const char       *ipc_message_get_id           (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
const char       *ipc_message_get_message_type (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
GBytes           *ipc_message_get_payload      (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
const char       *ipc_message_get_text         (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
GVariant         *ipc_message_get_variant      (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
JsonNode         *ipc_message_get_json         (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
gint64            ipc_message_get_timestamp    (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
const char       *ipc_message_get_header       (IpcMessage         *self,
                                                const char         *key);
IPC_AVAILABLE_IN_0_1
GHashTable       *ipc_message_get_headers      (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
GUnixFDList      *ipc_message_get_fd_list      (IpcMessage         *self);
IPC_AVAILABLE_IN_0_1
gboolean          ipc_message_get_is_request   (IpcMessage         *self);

IPC_AVAILABLE_IN_0_1
gconstpointer     ipc_message_peek_payload     (IpcMessage         *self,
                                                gsize              *size);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcMessage, ipc_message_unref)

G_END_DECLS
