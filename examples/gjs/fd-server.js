#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Counts the lines and bytes of files that clients have open and send, until SIGINT or SIGTERM.
//
//   fd-server.js ADDRESS
//
// ADDRESS is a name, like "count", or the absolute path of a socket.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

const SIGINT = 2, SIGTERM = 15;

// What a client sends can be anything that is open. Reading another kind than a regular file could
// block this process for as long as the client likes.
function checkFile(fd) {
    const file = Gio.File.new_for_path(`/proc/self/fd/${fd}`);
    if (file.query_file_type(Gio.FileQueryInfoFlags.NONE, null) !== Gio.FileType.REGULAR)
        throw new Ipc.Error({code: Ipc.Error.INVALID_ARGUMENT, message: 'what was sent is not a regular file'});
}

function count(server, connection, request) {
    if (request.fd_list === null)
        throw new Ipc.Error({code: Ipc.Error.INVALID_ARGUMENT, message: 'no file was sent'});
    // What get() returns is ours, and the stream's from here on; what stays in the list is closed with the message.
    const fd = request.fd_list.get(0);
    const stream = new Gio.UnixInputStream({fd, close_fd: true});
    let [nLines, nBytes] = [0, 0];

    try {
        checkFile(fd);
        for (let data; (data = stream.read_bytes(65536, null).toArray()).length > 0;) {
            nLines += data.reduce((n, byte) => n + (byte === 10 ? 1 : 0), 0);
            nBytes += data.length;
        }
    } finally {
        stream.close(null);
    }
    return Ipc.Message.make('counted', `${nLines} lines, ${nBytes} bytes`);
}

function main(address) {
    const loop = new GLib.MainLoop(null, false);
    // A server takes no descriptors unless it says how many a message may have.
    const server = new Ipc.SocketServer({address, max_fds: 1});

    server.add_handler('count', count);
    server.start();
    for (const signal of [SIGINT, SIGTERM])
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal, () => loop.quit());
    printerr(`listening on ${address}`);
    loop.run();
    server.stop();
}

if (System.programArgs.length !== 1) {
    printerr('usage: fd-server.js ADDRESS');
    System.exit(2);
}
try {
    main(...System.programArgs);
} catch (error) {
    printerr(`fd-server.js: ${error.message}`);
    System.exit(1);
}
