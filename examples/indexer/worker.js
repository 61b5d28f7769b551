#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
// The worker of the indexer in JavaScript; what is said to whom is written in coordinator.c.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

const CHUNK = 256 * 1024;
// The collector does not see the memory behind a chunk (all of it, even if a small file is in it): it has to be told.
const COLLECT_EVERY = 256;
const NEWLINE = 10;

let nChunks = 0;

function countNewlines(bytes) {
    let lines = 0;
    for (let i = 0; i < bytes.length; i++)
        lines += bytes[i] === NEWLINE ? 1 : 0;
    return lines;
}

function indexFile(uri) {
    // A path is bytes; the URI has them, whatever they are.
    const stream = Gio.File.new_for_uri(uri).read(null);
    const checksum = new GLib.Checksum(GLib.ChecksumType.SHA256);
    let size = 0, lines = 0;

    for (;;) {
        const bytes = stream.read_bytes(CHUNK, null).toArray();
        if (bytes.length === 0)
            break;
        checksum.update(bytes);
        size += bytes.length;
        lines += countNewlines(bytes);
        if (++nChunks % COLLECT_EVERY === 0)
            System.gc();
    }
    stream.close(null);
    return {sha256: checksum.get_string(), size, lines};
}

function indexFileWithPermit(readers, uri) {
    const permit = readers?.acquire(-1, null);
    try {
        const began = GLib.get_monotonic_time();
        return {...indexFile(uri), began, ended: GLib.get_monotonic_time()};
    } finally {
        permit?.release();
    }
}

// Our place in the segment where everybody can see how far we are: files, then bytes.
class Counters {
    constructor(scope, name, place) {
        this._segment = Ipc.SharedMemoryManager.new(scope).open_segment(name, Ipc.Access.READ | Ipc.Access.WRITE);
        this._place = Number(place);
    }

    count(size) {
        this._segment.add_int64(this._place, 1);
        this._segment.add_int64(this._place + 8, size);
        this._segment.notify_changed();
    }
}

function workOn({job, uri}, readers, counters) {
    try {
        const result = {job, ...indexFileWithPermit(readers, uri)};
        counters.count(result.size);
        return result;
    } catch (error) {
        if (error instanceof Ipc.Error)
            throw error;
        return {job, error: error.message};
    }
}

function nextBatch(client, results) {
    const payload = new GLib.Bytes(new TextEncoder().encode(JSON.stringify(results)));
    const request = Ipc.Message.new_full('next', Ipc.PayloadFormat.JSON, payload, null, null);
    // For ever: the answer may have to wait for another worker to finish, or to die.
    const reply = client.request(request, -1, null);
    return JSON.parse(new TextDecoder().decode(reply.get_payload().toArray()));
}

function main(address, label) {
    const client = Ipc.SocketClient.new(address);
    client.open(null);
    const welcome = client.request(Ipc.Message.new_text('join', label), Ipc.TIMEOUT_DEFAULT, null);
    // What we are told of is in the scope that is the folder of the socket.
    const scope = Ipc.Scope.new_for_directory(GLib.path_get_dirname(address));
    const name = welcome.get_header('readers');
    const readers = name !== null ? Ipc.SemaphoreManager.new(scope).open_semaphore(name) : null;
    const counters = new Counters(scope, welcome.get_header('counters'), welcome.get_header('place'));
    for (let batch = nextBatch(client, []); batch.length > 0;)
        batch = nextBatch(client, batch.map(job => workOn(job, readers, counters)));
    client.close();
}

if (System.programArgs.length !== 2) {
    printerr('usage: worker.js ADDRESS LABEL');
    System.exit(2);
}
try {
    main(...System.programArgs);
} catch (error) {
    printerr(`worker ${System.programArgs[1]}: ${error.message}`);
    System.exit(1);
}
