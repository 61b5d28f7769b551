/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include "ipc-version-macros.h"

G_BEGIN_DECLS

typedef struct _IpcScope IpcScope;
typedef struct _IpcManager IpcManager;
typedef struct _IpcMessage IpcMessage;
typedef struct _IpcConnection IpcConnection;
typedef struct _IpcServer IpcServer;
typedef struct _IpcClient IpcClient;
typedef struct _IpcSocketServer IpcSocketServer;
typedef struct _IpcSocketClient IpcSocketClient;
typedef struct _IpcSemaphoreManager IpcSemaphoreManager;
typedef struct _IpcSemaphore IpcSemaphore;
typedef struct _IpcSemaphoreHolder IpcSemaphoreHolder;
typedef struct _IpcPermit IpcPermit;
typedef struct _IpcSharedMemoryManager IpcSharedMemoryManager;
typedef struct _IpcSharedMemory IpcSharedMemory;
typedef struct _IpcMappedFileManager IpcMappedFileManager;
typedef struct _IpcMappedFile IpcMappedFile;
typedef struct _IpcMappedFileTransaction IpcMappedFileTransaction;
typedef struct _IpcQueueManager IpcQueueManager;
typedef struct _IpcMessageQueue IpcMessageQueue;
typedef struct _IpcDelivery IpcDelivery;
typedef struct _IpcConsumer IpcConsumer;
typedef struct _IpcSubscription IpcSubscription;
typedef struct _IpcDeadLetter IpcDeadLetter;

/**
 * IPC_TIMEOUT_DEFAULT:
 *
 * Take the timeout that the object has as its property, for instance
 * [property@Ipc.Server:request-timeout].
 *
 * Every timeout is in milliseconds: -1 waits for ever, 0 does not wait.
 *
 * Since: 0.1
 */
#define IPC_TIMEOUT_DEFAULT (-2)

/**
 * IpcAccess:
 * @IPC_ACCESS_READ: may be read
 * @IPC_ACCESS_WRITE: may be written
 *
 * What a process may do with something that it shares with others.
 *
 * Since: 0.1
 */
typedef enum /*< flags >*/
{
  IPC_ACCESS_READ = 1 << 0,
  IPC_ACCESS_WRITE = 1 << 1,
} IpcAccess;

/**
 * IpcAuthorization:
 * @IPC_AUTHORIZATION_UNDECIDED: this handler has no opinion; if nobody has one, it is a no
 * @IPC_AUTHORIZATION_DENIED: the peer is turned away
 * @IPC_AUTHORIZATION_GRANTED: the peer is let in
 *
 * What a handler of [signal@Ipc.Server::authorize-client] says of a peer.
 *
 * Zero is no decision, so that whatever a binding makes of a coroutine, a
 * promise, an exception or a truthy value admits nobody.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_AUTHORIZATION_UNDECIDED = 0,
  IPC_AUTHORIZATION_DENIED = 1,
  IPC_AUTHORIZATION_GRANTED = 2,
} IpcAuthorization;

/**
 * IpcOverflowPolicy:
 * @IPC_OVERFLOW_POLICY_REJECT: sending fails with %IPC_ERROR_FULL, and nothing else happens
 * @IPC_OVERFLOW_POLICY_DROP_OLDEST: events that wait are dropped, oldest first, until there is room for the new one
 * @IPC_OVERFLOW_POLICY_DROP_NEWEST: the new event is dropped
 * @IPC_OVERFLOW_POLICY_DISCONNECT: the client is disconnected, with %IPC_ERROR_FULL
 *
 * What becomes of an event for a client that does not take what was sent to it before.
 *
 * It is about events alone: replies and errors are never dropped, and a request to a client that is full always
 * fails with %IPC_ERROR_FULL.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_OVERFLOW_POLICY_REJECT = 0,
  IPC_OVERFLOW_POLICY_DROP_OLDEST = 1,
  IPC_OVERFLOW_POLICY_DROP_NEWEST = 2,
  IPC_OVERFLOW_POLICY_DISCONNECT = 3,
} IpcOverflowPolicy;

/**
 * IpcPayloadFormat:
 * @IPC_PAYLOAD_FORMAT_BYTES: bytes without a meaning to the library
 * @IPC_PAYLOAD_FORMAT_TEXT: UTF-8 without a NUL
 * @IPC_PAYLOAD_FORMAT_JSON: a JSON document
 * @IPC_PAYLOAD_FORMAT_VARIANT: a [struct@GLib.Variant]
 *
 * What the payload of a message is.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_PAYLOAD_FORMAT_BYTES = 0,
  IPC_PAYLOAD_FORMAT_TEXT = 1,
  IPC_PAYLOAD_FORMAT_JSON = 2,
  IPC_PAYLOAD_FORMAT_VARIANT = 3,
} IpcPayloadFormat;

/**
 * IpcWireFormat:
 * @IPC_WIRE_FORMAT_UNKNOWN: the peer has not said anything yet
 * @IPC_WIRE_FORMAT_BINARY: the binary dialect, which this library's clients speak
 * @IPC_WIRE_FORMAT_JSON: one JSON object after another
 * @IPC_WIRE_FORMAT_LINES: lines of text (named pipes)
 *
 * The dialect that a peer speaks; its first byte tells.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_WIRE_FORMAT_UNKNOWN = 0,
  IPC_WIRE_FORMAT_BINARY = 1,
  IPC_WIRE_FORMAT_JSON = 2,
  IPC_WIRE_FORMAT_LINES = 3,
} IpcWireFormat;

/**
 * IpcTransport:
 * @IPC_TRANSPORT_AUTO: whatever is best between these two peers
 * @IPC_TRANSPORT_STREAM: a byte stream: a socket or a pair of pipes
 * @IPC_TRANSPORT_SHARED_MEMORY: rings in shared memory
 *
 * What carries the messages of a connection.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_TRANSPORT_AUTO = 0,
  IPC_TRANSPORT_STREAM = 1,
  IPC_TRANSPORT_SHARED_MEMORY = 2,
} IpcTransport;

/**
 * IpcClientState:
 * @IPC_CLIENT_STATE_CLOSED: not connected
 * @IPC_CLIENT_STATE_OPENING: connecting, or exchanging the first frames
 * @IPC_CLIENT_STATE_OPEN: connected
 * @IPC_CLIENT_STATE_WAITING: waiting for a server to appear
 *
 * Where a client is between closed and open.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_CLIENT_STATE_CLOSED = 0,
  IPC_CLIENT_STATE_OPENING = 1,
  IPC_CLIENT_STATE_OPEN = 2,
  IPC_CLIENT_STATE_WAITING = 3,
} IpcClientState;

/**
 * IpcPriority:
 * @IPC_PRIORITY_LOW: when nothing else is left
 * @IPC_PRIORITY_NORMAL: the usual one
 * @IPC_PRIORITY_HIGH: before those
 * @IPC_PRIORITY_CRITICAL: before all others
 *
 * Which messages of a queue come first. Those of the same priority come in the order in which they were published.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_PRIORITY_LOW = 1,
  IPC_PRIORITY_NORMAL = 2,
  IPC_PRIORITY_HIGH = 3,
  IPC_PRIORITY_CRITICAL = 4,
} IpcPriority;

/**
 * IpcDurability:
 * @IPC_DURABILITY_FULL: what was done survives a power cut
 * @IPC_DURABILITY_NORMAL: what was done survives the death of any process; the last of it may be lost in a power cut
 *
 * What something that was written survives. What is there after a power cut, where the last of it may be lost, is said by what has
 * this as a property.
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_DURABILITY_FULL = 0,
  IPC_DURABILITY_NORMAL = 1,
} IpcDurability;

/**
 * IpcQueueFeature:
 * @IPC_QUEUE_FEATURE_DURABLE: messages survive the processes
 * @IPC_QUEUE_FEATURE_SHARED: several processes use the same queues
 * @IPC_QUEUE_FEATURE_PRIORITY: messages have priorities
 * @IPC_QUEUE_FEATURE_TTL: messages expire
 * @IPC_QUEUE_FEATURE_DELAY: messages are delivered later
 * @IPC_QUEUE_FEATURE_DEDUPLICATION: a message that is published twice is there once
 * @IPC_QUEUE_FEATURE_DEAD_LETTERS: messages that failed too often are kept aside
 * @IPC_QUEUE_FEATURE_PEEK: messages can be looked at without taking them
 * @IPC_QUEUE_FEATURE_SUBSCRIBE: live copies of all messages
 *
 * What a store of queues can do; see [method@Ipc.QueueManager.supports].
 *
 * Since: 0.1
 */
typedef enum
{
  IPC_QUEUE_FEATURE_DURABLE = 0,
  IPC_QUEUE_FEATURE_SHARED = 1,
  IPC_QUEUE_FEATURE_PRIORITY = 2,
  IPC_QUEUE_FEATURE_TTL = 3,
  IPC_QUEUE_FEATURE_DELAY = 4,
  IPC_QUEUE_FEATURE_DEDUPLICATION = 5,
  IPC_QUEUE_FEATURE_DEAD_LETTERS = 6,
  IPC_QUEUE_FEATURE_PEEK = 7,
  IPC_QUEUE_FEATURE_SUBSCRIBE = 8,
} IpcQueueFeature;

/*
 * A type that is public to use and private to derive: the class structure
 * stays inside the library.
 */
#define IPC_DECLARE_INTERNAL_TYPE(ModuleObjName, module_obj_name, MODULE, OBJ_NAME, ParentName) \
  IPC_AVAILABLE_IN_ALL \
  GType module_obj_name##_get_type (void); \
  G_GNUC_BEGIN_IGNORE_DEPRECATIONS \
  typedef struct _##ModuleObjName ModuleObjName; \
  typedef struct _##ModuleObjName##Class ModuleObjName##Class; \
  _GLIB_DEFINE_AUTOPTR_CHAINUP (ModuleObjName, ParentName) \
  G_DEFINE_AUTOPTR_CLEANUP_FUNC (ModuleObjName##Class, g_type_class_unref) \
  G_GNUC_UNUSED static inline ModuleObjName *MODULE##_##OBJ_NAME (gpointer ptr) \
  { \
    return G_TYPE_CHECK_INSTANCE_CAST (ptr, module_obj_name##_get_type (), ModuleObjName); \
  } \
  G_GNUC_UNUSED static inline ModuleObjName##Class *MODULE##_##OBJ_NAME##_CLASS (gpointer ptr) \
  { \
    return G_TYPE_CHECK_CLASS_CAST (ptr, module_obj_name##_get_type (), ModuleObjName##Class); \
  } \
  G_GNUC_UNUSED static inline gboolean MODULE##_IS_##OBJ_NAME (gpointer ptr) \
  { \
    return G_TYPE_CHECK_INSTANCE_TYPE (ptr, module_obj_name##_get_type ()); \
  } \
  G_GNUC_UNUSED static inline ModuleObjName##Class *MODULE##_##OBJ_NAME##_GET_CLASS (gpointer ptr) \
  { \
    return G_TYPE_INSTANCE_GET_CLASS (ptr, module_obj_name##_get_type (), ModuleObjName##Class); \
  } \
  G_GNUC_END_IGNORE_DEPRECATIONS

G_END_DECLS
