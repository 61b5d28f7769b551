#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Says each line of standard input in a chat room, and prints what is said there.
//
//   chat-client.js ADDRESS
//
// It leaves at the end of its input, or when the server does.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

Gio._promisify(Gio.DataInputStream.prototype, 'read_line_async', 'read_line_finish_utf8');

async function sayLines(client, cancellable) {
    const input = new Gio.DataInputStream({base_stream: Gio.UnixInputStream.new(0, false)});

    for (;;) {
        const [line] = await input.read_line_async(GLib.PRIORITY_DEFAULT, cancellable);
        if (line === null)
            break;
        // Waits while the server is too slow to take more; send() would fail then.
        await client.send_async(Ipc.Message.make('say', line));
    }
    await client.connection?.flush_async();
}

async function main(address) {
    const client = new Ipc.SocketClient({address});
    const gone = new Gio.Cancellable();

    client.add_handler('said', (server, connection, message) => print(message.text));
    client.connect('closed', () => gone.cancel());
    await client.open_async();
    try {
        await sayLines(client, gone);
    } catch (error) {
        if (!gone.is_cancelled())
            throw error;
    }
    client.close();
}

if (System.programArgs.length !== 1) {
    printerr('usage: chat-client.js ADDRESS');
    System.exit(2);
}

const loop = new GLib.MainLoop(null, false);
let status = 0;
main(...System.programArgs).catch(error => {
    printerr(`chat-client.js: ${error.message}`);
    status = 1;
}).finally(() => loop.quit());
loop.run();
System.exit(status);
