#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Answers requests of type "echo" with what they contain, until SIGINT or SIGTERM.
//
//   echo-server.js ADDRESS
//
// ADDRESS is a name, like "echo", or the absolute path of a socket.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

const SIGINT = 2, SIGTERM = 15;

// What is returned is the reply; it could be a string, a Uint8Array or a plain object as well.
function echo(server, connection, request) {
    return Ipc.Message.new_full('echo_response', request.format, request.get_payload(), null, null);
}

function main(address) {
    const loop = new GLib.MainLoop(null, false);
    const server = new Ipc.SocketServer({address});

    server.add_handler('echo', echo);
    server.start();
    for (const signal of [SIGINT, SIGTERM])
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal, () => loop.quit());
    printerr(`listening on ${address}`);
    loop.run();
    server.stop();
}

if (System.programArgs.length !== 1) {
    printerr('usage: echo-server.js ADDRESS');
    System.exit(2);
}
try {
    main(...System.programArgs);
} catch (error) {
    printerr(`echo-server.js: ${error.message}`);
    System.exit(1);
}
