#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Counts the words in sealed shared memory that clients hand over, until SIGINT or SIGTERM.
//
//   memory-server.js ADDRESS
//
// ADDRESS is a name, like "words", or the absolute path of a socket.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

const SIGINT = 2, SIGTERM = 15;

function invalid(message) {
    return new Ipc.Error({code: Ipc.Error.INVALID_ARGUMENT, message});
}

function openSegment(fdList) {
    if (fdList === null)
        throw invalid('no shared memory was sent');
    // What get() returns is ours to close; the segment has a descriptor of its own.
    const fd = fdList.get(0);
    try {
        return Ipc.SharedMemory.new_from_fd(fd);
    } finally {
        GLib.close(fd);
    }
}

function countWords(server, connection, request) {
    const segment = openSegment(request.fd_list);
    // What is sealed and has no name does not change while it is looked at, whoever sent it.
    if (!segment.is_sealed)
        throw invalid('the shared memory is not sealed');
    const words = new TextDecoder().decode(segment.read()).match(/\S+/g) ?? [];
    return `${words.length} words, ${segment.size} bytes`;
}

function main(address) {
    const loop = new GLib.MainLoop(null, false);
    // A server takes no descriptors unless it says how many a message may have.
    const server = new Ipc.SocketServer({address, max_fds: 1});

    server.add_handler('count-words', countWords);
    server.start();
    for (const signal of [SIGINT, SIGTERM])
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal, () => loop.quit());
    printerr(`listening on ${address}`);
    loop.run();
    server.stop();
}

if (System.programArgs.length !== 1) {
    printerr('usage: memory-server.js ADDRESS');
    System.exit(2);
}
try {
    main(...System.programArgs);
} catch (error) {
    printerr(`memory-server.js: ${error.message}`);
    System.exit(1);
}
