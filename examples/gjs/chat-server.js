#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A chat room: what one client says is sent to all, until SIGINT or SIGTERM.
//
//   chat-server.js ADDRESS
//
// Clients send events of type "say" and get events of type "said".

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

const SIGINT = 2, SIGTERM = 15;

function tellAll(server, text) {
    const [, nDropped] = server.broadcast(Ipc.Message.make('said', text));
    if (nDropped > 0)
        printerr(`chat-server.js: ${nDropped} clients read too slowly and missed a line`);
}

function say(server, connection, message) {
    if (message.text !== null)
        tellAll(server, `${connection.id}: ${message.text}`);
}

function main(address) {
    const loop = new GLib.MainLoop(null, false);
    const server = new Ipc.SocketServer({address});

    server.add_handler('say', say);
    server.connect('client-connected', (_, connection) => tellAll(server, `${connection.id} came in`));
    server.connect('client-disconnected', (_, connection) => tellAll(server, `${connection.id} left`));
    server.start();
    for (const signal of [SIGINT, SIGTERM])
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal, () => loop.quit());
    printerr(`listening on ${address}`);
    loop.run();
    server.stop();
}

if (System.programArgs.length !== 1) {
    printerr('usage: chat-server.js ADDRESS');
    System.exit(2);
}
try {
    main(...System.programArgs);
} catch (error) {
    printerr(`chat-server.js: ${error.message}`);
    System.exit(1);
}
