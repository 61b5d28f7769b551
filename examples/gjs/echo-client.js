#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sends a request of type "echo" and prints the reply.
//
//   echo-client.js ADDRESS TEXT
//
// Every *_async method returns a promise. A program without a main loop uses client.open(null) and
// client.request(message), which block.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

async function main(address, text) {
    // Rather than failing when nobody serves the address, wait until somebody does.
    const client = new Ipc.SocketClient({address, wait_for_server: true});

    await client.open_async();
    const reply = await client.request_async(Ipc.Message.make('echo', text), 5000);
    print(`${reply.message_type}: ${reply.text}`);
    client.close();
}

if (System.programArgs.length !== 2) {
    printerr('usage: echo-client.js ADDRESS TEXT');
    System.exit(2);
}

const loop = new GLib.MainLoop(null, false);
let status = 0;
main(...System.programArgs).catch(error => {
    printerr(`echo-client.js: ${error.message}`);
    status = 1;
}).finally(() => loop.quit());
loop.run();
System.exit(status);
