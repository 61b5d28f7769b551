#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A counter that is driven from a shell:
//
//   pipe-service.js ADDRESS
//
//   echo up > PIPE; echo down > PIPE; echo quit > PIPE
//   gipc call pipe:ADDRESS value
//
// ADDRESS is a name, like "counter", or the absolute path of a named pipe. Each change is printed.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

function main(address) {
    const loop = new GLib.MainLoop(null, false);
    const server = new Ipc.PipeServer({address});
    const steps = {up: 1, down: -1, quit: 0};
    let value = 0;

    // Each line that somebody writes into the pipe; there is nobody to answer.
    server.add_handler('line', (_server, _connection, line) => {
        const command = line.get_text();

        if (!(command in steps))
            printerr(`pipe-service.js: what is "${command}"?`);
        value += steps[command] ?? 0;
        if (command === 'quit')
            loop.quit();
        print(value);
    });
    // A client of the library gets an answer.
    server.add_handler('value', () => `${value}`);
    server.start();
    printerr(`listening on ${address}`);
    loop.run();
    server.stop();
}

if (System.programArgs.length !== 1) {
    printerr('usage: pipe-service.js ADDRESS');
    System.exit(2);
}
try {
    main(...System.programArgs);
} catch (error) {
    printerr(`pipe-service.js: ${error.message}`);
    System.exit(1);
}
