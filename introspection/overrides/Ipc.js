// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What JavaScript expects of a library, on top of the introspected Ipc:
//
// - Ipc.Message.make(type, payload, headers, fds), with properties instead of getters;
// - handlers that return a string, Uint8Array, object or Ipc.Message, or are
//   async, and whose exceptions reach the peer as an error reply;
// - promises from every *_async method, for..of over server.connections;
// - semaphore.withPermit(async permit => …), which releases it at the end;
// - segment.read(offset, length), readUint8(), writeFloat64() and so on, and
//   segment.withLock(async segment => …);
// - for await (const delivery of queue).
//
// Everything stays usable without it, by the names of the C API; but then a
// handler must say `request.ref()` to keep a request past its return, because GJS
// only lends it one.

/* exported _init */

const {Gio, GLib} = imports.gi;
const System = imports.system;

// Before 1.81.90 GJS refuses every callback while its collector sweeps, and the handler is skipped.
// A collection in time, forced from a handler, leaves no sweep to happen at another moment.
const MUST_COLLECT = System.version < 18190;
const COLLECT_EVERY = 5000;
// The collector does not see the memory behind a message. Every SAMPLE-th one stands for those between.
const SAMPLE = 64;
const COLLECT_BYTES = 32 << 20;
// Nor does it see descriptors, which are closed when their message is collected, and there are few to be had.
const COLLECT_FDS = 128;
const FDS_SAMPLE = 7;
// A request that nobody keeps is answered with an error when it is collected, which shall not take for ever.
const DROPPED_MS = 500;

let Ipc;
let nHandled = 0;
let nCalls = 0;
let bytesHandled = 0;
let nFds = 0;
let collectSource = 0;

function countFds(n) {
    nFds += n;
    if (nFds >= COLLECT_FDS) {
        nFds = 0;
        System.gc();
    }
}

function collect() {
    nHandled = nCalls = bytesHandled = 0;
    System.gc();
}

function collectInTime(request) {
    nHandled++;
    if (nHandled % FDS_SAMPLE === 0)
        countFds(FDS_SAMPLE * (request.get_fd_list()?.get_length() ?? 0));
    // (get_size() would leak: GJS 1.74 never gives back the instance that a method of GLib.Bytes is called on)
    if (nHandled % SAMPLE === 0)
        bytesHandled += SAMPLE * request.get_payload().toArray().length;
    if (bytesHandled >= COLLECT_BYTES || (MUST_COLLECT && nHandled >= COLLECT_EVERY))
        collect();
}

// The callback of a promise is one that must not be refused, either.
function collectAfterCalls() {
    nCalls++;
    if (MUST_COLLECT && nCalls >= COLLECT_EVERY)
        collect();
}

function collectSoon() {
    collectSource ||= GLib.timeout_add(GLib.PRIORITY_DEFAULT, DROPPED_MS, () => {
        collectSource = 0;
        System.gc();
        return GLib.SOURCE_REMOVE;
    });
}

// ---- messages ----

// The [format, bytes] of a JavaScript value.
function encode(payload) {
    const {BYTES, TEXT, JSON: JSON_, VARIANT} = Ipc.PayloadFormat;

    if (payload === null || payload === undefined)
        return [BYTES, null];
    if (typeof payload === 'string')
        return [TEXT, new TextEncoder().encode(payload)];
    if (payload instanceof Uint8Array || payload instanceof GLib.Bytes)
        return [BYTES, payload];
    if (payload instanceof ArrayBuffer)
        return [BYTES, new Uint8Array(payload)];
    if (ArrayBuffer.isView(payload))
        return [BYTES, new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)];
    if (payload instanceof GLib.Variant)
        return [VARIANT, Ipc.Message.new_variant('-', payload).get_payload()];
    if (Array.isArray(payload) || [Object.prototype, null].includes(Object.getPrototypeOf(payload)))
        return [JSON_, new TextEncoder().encode(JSON.stringify(payload))];
    throw new TypeError(`a payload is a string, Uint8Array, plain object, array, GLib.Variant or null, not ${payload}`);
}

// C would cut the string at a NUL without a word.
function checked(text) {
    if (typeof text !== 'string')
        throw new TypeError(`${text} must be a string`);
    if (text.includes('\0'))
        throw new TypeError(`${JSON.stringify(text)} contains a NUL`);
    return text;
}

// A Gio.UnixFDList with duplicates of the descriptors, which are numbers.
function makeFdList(fds) {
    if (fds === null || fds instanceof Gio.UnixFDList)
        return fds;
    const list = new Gio.UnixFDList();
    for (const fd of fds)
        list.append(fd);
    countFds(fds.length);
    return list;
}

function makeMessage(type, payload = null, headers = null, fds = null) {
    const [format, bytes] = encode(payload);
    const strv = Object.entries(headers ?? {}).flat().map(checked);
    return Ipc.Message.new_full(checked(type), format, bytes, strv.length > 0 ? strv : null, makeFdList(fds));
}

// GJS takes the keys of a GHashTable for Latin-1, whatever they are.
function readHeaders(message) {
    const decode = key => new TextDecoder().decode(Uint8Array.from(key, c => c.charCodeAt(0)));
    const isMangled = key => /[\u0080-\u00ff]/.test(key) && message.get_header(key) === null;
    const entries = Object.entries(message.get_headers() ?? {});
    return Object.fromEntries(entries.map(([key, value]) => [isMangled(key) ? decode(key) : key, value]));
}

const messageProperties = {
    message_type: m => m.get_message_type(),
    id: m => m.get_id(),
    format: m => m.get_format(),
    timestamp: m => m.get_timestamp(),
    is_request: m => m.get_is_request(),
    fd_list: m => m.get_fd_list(),
    headers: readHeaders,
    // A copy: toArray() of GJS before 1.81.2 is a writable window into the message, which may be shared.
    payload: m => m.get_payload()?.toArray().slice() ?? new Uint8Array(),
    text: m => m.get_text(),
    variant: m => m.get_variant(),
    json: m => m.get_format() === Ipc.PayloadFormat.JSON ? JSON.parse(new TextDecoder().decode(m.payload)) : null,
};

// ---- semaphores ----

const permitProperties = {
    semaphore: permit => permit.get_semaphore(),
    is_held: permit => permit.get_is_held(),
    acquired_at: permit => permit.get_acquired_at(),
};

const holderProperties = {
    label: holder => holder.get_label(),
    since: holder => holder.get_since(),
};

// What func returns, or a promise of it. A permit that is only dropped would be held until it is collected, if ever.
async function withPermit(func, timeout = Ipc.TIMEOUT_DEFAULT, cancellable = null) {
    const permit = await this.acquire_async(timeout, cancellable);
    try {
        return await func(permit);
    } finally {
        permit.release();
    }
}

// ---- shared memory ----

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const NUMBERS = {
    Int8: 1, Uint8: 1, Int16: 2, Uint16: 2, Int32: 4, Uint32: 4, BigInt64: 8, BigUint64: 8, Float32: 4, Float64: 8,
};

function toBytes(data) {
    if (typeof data === 'string')
        return new TextEncoder().encode(data);
    if (data instanceof Uint8Array || data instanceof GLib.Bytes)
        return data;
    if (data instanceof ArrayBuffer)
        return new Uint8Array(data);
    if (ArrayBuffer.isView(data))
        return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    throw new TypeError(`what is written is a Uint8Array, string or GLib.Bytes, not ${data}`);
}

// GJS makes 0 of what is no number, and cuts what is no integer.
function checkIntegers(...values) {
    for (const value of values) {
        if (!Number.isInteger(value))
            throw new TypeError(`${value} is not an integer`);
    }
}

// The collector does not see the memory behind what was read.
function collectInTimeAfter(nBytes) {
    bytesHandled += nBytes;
    if (bytesHandled >= COLLECT_BYTES)
        collect();
}

// An array that can also be asked as the GLib.Bytes can that the same call gives without this file.
function asBytes(array) {
    const same = {value: () => array};
    return Object.defineProperties(array, {toArray: same, get_data: same, get_size: {value: () => array.length}});
}

function addReading(proto) {
    const {read, write} = proto;

    // All that there is from offset on, if no length is given.
    proto.read = function (offset = 0, length = Math.max(this.get_size() - offset, 0)) {
        checkIntegers(offset, length);
        collectInTimeAfter(length);
        return asBytes(read.call(this, offset, length).toArray());
    };
    proto.write = function (offset, data) {
        const bytes = toBytes(data);
        checkIntegers(offset);
        collectInTimeAfter(bytes.length ?? 0);
        return write.call(this, offset, bytes);
    };
    for (const [type, length] of Object.entries(NUMBERS)) {
        proto[`read${type}`] = function (offset) {
            return new DataView(this.read(offset, length).buffer)[`get${type}`](0, IS_LITTLE_ENDIAN);
        };
        proto[`write${type}`] = function (offset, value) {
            const bytes = new Uint8Array(length);
            new DataView(bytes.buffer)[`set${type}`](0, value, IS_LITTLE_ENDIAN);
            return this.write(offset, bytes);
        };
    }
    for (const name of ['read_int64', 'read_double', 'add_int64']) {
        const method = proto[name];
        proto[name] = function (...args) {
            return method.apply(this, args)[1];
        };
    }
}

// Somebody died with the lock, which is ours now.
async function takeOver(segment, repair, error) {
    try {
        if (repair === null)
            throw error;
        await repair(segment);
        segment.mark_consistent();
    } catch (problem) {
        segment.unlock();
        throw problem;
    }
}

// Commits when the function, which may be async, has returned; where it throws, nothing is written.
async function withTransaction(func) {
    const transaction = this.begin();
    try {
        const result = await func(transaction);
        await transaction.commit_async();
        return result;
    } finally {
        transaction.abort();
    }
}

// What func returns, or a promise of it. If a process died with the lock, repair(segment) is called first; without it, the lock is
// given back and the error is OWNER_DIED, also the next time.
async function withLock(func, timeout = Ipc.TIMEOUT_DEFAULT, cancellable = null, repair = null) {
    try {
        await this.lock_async(timeout, cancellable);
    } catch (error) {
        if (!(error instanceof GLib.Error) || !error.matches(Ipc.Error, Ipc.Error.OWNER_DIED))
            throw error;
        await takeOver(this, repair, error);
    }
    try {
        return await func(this);
    } finally {
        this.unlock();
    }
}

// ---- queues ----

// One after the other, until the queue is deleted, or the cancellable is cancelled. What comes is to be settled: what is only dropped goes
// back when it is collected, if ever.
async function* deliveries(cancellable = null) {
    try {
        while (true)
            yield await this.consume_async(-1, cancellable);
    } catch (error) {
        if (!(error instanceof GLib.Error) ||
            !(error.matches(Ipc.Error, Ipc.Error.DELETED) || (cancellable?.is_cancelled() ?? false)))
            throw error;
    }
}

function wrapSubscribe(proto) {
    const subscribe = proto.subscribe;
    proto.subscribe = function (callback) {
        return subscribe.call(this, (queue, borrowed) => callback(queue, borrowed.ref()));
    };
}

function addQueues(proto) {
    const publishing = [Ipc.Priority.NORMAL, 0, 0];

    for (const [name, nRequired, defaults] of [
        ['publish', 1, [...publishing, null, null]], ['publish_many', 1, [...publishing, null]],
        ['consume', 0, [Ipc.TIMEOUT_DEFAULT, null]], ['peek', 0, [10, null]], ['purge', 0, [null]],
        ['list_dead', 0, [1000, null]], ['redrive', 0, [0, null]],
    ]) {
        promisify(proto, name, nRequired, defaults);
        fillIn(proto, name, nRequired, defaults);
    }
    wrapSubscribe(proto);
    proto.deliveries = deliveries;
    proto[Symbol.asyncIterator] = function () {
        return this.deliveries();
    };
}

function addSettling(proto) {
    for (const [name, nRequired, defaults] of [
        ['ack', 0, [null]], ['nack', 0, [-1, null]], ['reject', 0, [null, null]], ['extend', 1, [null]],
    ]) {
        promisify(proto, name, nRequired, defaults);
        fillIn(proto, name, nRequired, defaults);
    }
}

// ---- objects ----

// One that nothing is behind would only crash; those of the library come another way.
function forbidNew(cls, instead) {
    cls.prototype._init = function () {
        throw new TypeError(`use ${instead} instead of new`);
    };
}

// ---- handlers ----

function toReply(request, result) {
    if (result instanceof Ipc.Message)
        return result;
    if (result !== null && result !== undefined)
        return makeMessage(request.get_message_type(), result);
    if (request.get_is_request())
        collectSoon();
    return null;
}

// What the peer is told of an exception.
function toError(error, request) {
    if (error instanceof GLib.Error)
        return error;
    logError(error, `in the handler of ${request.get_message_type()}`);
    return new Ipc.Error({code: Ipc.Error.REMOTE, message: `${error}`});
}

async function answerLater(connection, request, promise) {
    try {
        const reply = toReply(request, await promise);
        if (reply !== null && request.get_is_request())
            connection.reply(request, reply);
    } catch (error) {
        const reason = toError(error, request);
        try {
            if (request.get_is_request())
                connection.reply_error(request, reason);
        } catch {
            // The peer has gone, or has its answer.
        }
    }
}

// GJS lends boxed arguments to a callback: to be kept they must be referenced.
function adapt(handler) {
    return (server, connection, borrowed) => {
        const request = borrowed.ref();
        collectInTime(request);
        try {
            const result = handler(server, connection, request);
            if (typeof result?.then === 'function') {
                answerLater(connection, request, result);
                return null;
            }
            return toReply(request, result);
        } catch (error) {
            throw toError(error, request);
        }
    };
}

function wrapHandlers(proto) {
    const add_handler = proto.add_handler;
    proto.add_handler = function (type, handler) {
        add_handler.call(this, type, adapt(handler));
    };
}

// ---- calls ----

// request(message, timeout, cancellable): what stands last may be left out.
function fillIn(proto, name, nRequired, defaults) {
    const method = proto[name];
    proto[name] = function (...args) {
        collectAfterCalls();
        const callback = typeof args[args.length - 1] === 'function' ? [args.pop()] : [];
        while (args.length < nRequired + defaults.length)
            args.push(defaults[args.length - nRequired]);
        return method.call(this, ...args, ...callback);
    };
}

// GJS resolves methods when they are first asked for, so that they have to be named.
function promisify(proto, name, nRequired, defaults) {
    Gio._promisify(proto, `${name}_async`, `${name}_finish`);
    fillIn(proto, `${name}_async`, nRequired, defaults);
}

// ---- lists ----

function* items() {
    for (let i = 0; i < this.get_n_items(); i++)
        yield this.get_item(i);
}

// The model as it is, for GTK, and iterable.
function makeIterable(proto, name) {
    Object.defineProperty(proto, name, {
        configurable: true,
        enumerable: true,
        get() {
            const model = this[`get_${name}`]();
            if (!(Symbol.iterator in model))
                Object.getPrototypeOf(model)[Symbol.iterator] = items;
            return model;
        },
    });
}

// Boxed types have methods only.
function addProperties(proto, properties) {
    for (const [name, get] of Object.entries(properties)) {
        Object.defineProperty(proto, name, {
            configurable: true,
            get() {
                return get(this);
            },
        });
    }
}

function _init() {
    Ipc = this;
    const {Client, Connection, Manager, Message, Permit, Server} = Ipc;
    const {Delivery, MessageQueue, QueueManager} = Ipc;
    const {Semaphore, SemaphoreHolder, SemaphoreManager, SharedMemory, SharedMemoryManager} = Ipc;
    const {MappedFile, MappedFileManager, MappedFileTransaction} = Ipc;

    Message.make = makeMessage;
    addProperties(Message.prototype, messageProperties);
    addProperties(Permit.prototype, permitProperties);
    addProperties(SemaphoreHolder.prototype, holderProperties);

    wrapHandlers(Server.prototype);
    wrapHandlers(Client.prototype);

    promisify(Server.prototype, 'stop', 0, [null]);
    promisify(Client.prototype, 'open', 0, [null]);
    promisify(Connection.prototype, 'flush', 0, [null]);
    for (const proto of [Client.prototype, Connection.prototype]) {
        promisify(proto, 'send', 1, [null]);
        promisify(proto, 'request', 1, [Ipc.TIMEOUT_DEFAULT, null]);
        fillIn(proto, 'request', 1, [Ipc.TIMEOUT_DEFAULT, null]);
    }

    promisify(Semaphore.prototype, 'acquire', 0, [Ipc.TIMEOUT_DEFAULT, null]);
    fillIn(Semaphore.prototype, 'acquire', 0, [Ipc.TIMEOUT_DEFAULT, null]);
    fillIn(SemaphoreManager.prototype, 'create_semaphore', 1, [0]);
    Semaphore.prototype.withPermit = withPermit;
    forbidNew(Semaphore, 'a SemaphoreManager');

    promisify(SharedMemory.prototype, 'lock', 0, [Ipc.TIMEOUT_DEFAULT, null]);
    fillIn(SharedMemory.prototype, 'lock', 0, [Ipc.TIMEOUT_DEFAULT, null]);
    fillIn(SharedMemoryManager.prototype, 'create_segment', 1, [0, 0]);
    fillIn(SharedMemoryManager.prototype, 'open_segment', 1, [0]);
    addReading(SharedMemory.prototype);
    SharedMemory.prototype.withLock = withLock;
    forbidNew(SharedMemory, 'new_anonymous() or a SharedMemoryManager');

    promisify(MappedFile.prototype, 'sync', 0, [0, 0, null]);
    fillIn(MappedFile.prototype, 'sync', 0, [0, 0, null]);
    promisify(MappedFile.prototype, 'lock_range', 0, [0, 0, Ipc.Access.WRITE, Ipc.TIMEOUT_DEFAULT, null]);
    fillIn(MappedFile.prototype, 'lock_range', 0, [0, 0, Ipc.Access.WRITE, Ipc.TIMEOUT_DEFAULT, null]);
    fillIn(MappedFile.prototype, 'unlock_range', 0, [0, 0]);
    promisify(MappedFileTransaction.prototype, 'commit', 0, [null]);
    fillIn(MappedFileTransaction.prototype, 'commit', 0, [null]);
    promisify(MappedFileManager.prototype, 'sync_all', 0, [null]);
    fillIn(MappedFileManager.prototype, 'sync_all', 0, [null]);
    fillIn(MappedFileManager.prototype, 'map_file', 1, [0, 0]);
    MappedFile.prototype.withTransaction = withTransaction;
    forbidNew(MappedFile, 'a MappedFileManager');
    forbidNew(MappedFileTransaction, 'MappedFile.begin()');

    for (const name of ['create_queue', 'open_queue', 'delete_queue']) {
        promisify(QueueManager.prototype, name, 1, [null]);
        fillIn(QueueManager.prototype, name, 1, [null]);
    }
    addQueues(MessageQueue.prototype);
    addSettling(Delivery.prototype);
    forbidNew(MessageQueue, 'a QueueManager');

    makeIterable(Server.prototype, 'connections');
    if (Manager)
        makeIterable(Manager.prototype, 'items');
}
