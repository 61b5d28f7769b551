#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Has a server count the words of the standard input. They are written into shared memory, which is
// sealed and handed over: not a byte of it goes through the socket, and nobody can change it any more.
//
//   memory-client.js ADDRESS < FILE

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

function readInput() {
    const all = Gio.MemoryOutputStream.new_resizable();
    all.splice(Gio.UnixInputStream.new(0, false), Gio.OutputStreamSpliceFlags.CLOSE_TARGET, null);
    return all.steal_as_bytes().toArray();
}

function makeRequest(data) {
    const segment = Ipc.SharedMemory.new_anonymous(data.length);
    segment.write(0, data);
    segment.seal();
    const fd = segment.dup_fd();
    try {
        // The message has a descriptor of its own.
        return Ipc.Message.make('count-words', null, null, [fd]);
    } finally {
        GLib.close(fd);
    }
}

function main(address) {
    const request = makeRequest(readInput());
    const client = new Ipc.SocketClient({address});
    client.open(null);
    print(client.request(request, 5000).text);
    client.close();
}

if (System.programArgs.length !== 1) {
    printerr('usage: memory-client.js ADDRESS < FILE');
    System.exit(2);
}
try {
    main(...System.programArgs);
} catch (error) {
    printerr(`memory-client.js: ${error.message}`);
    System.exit(1);
}
