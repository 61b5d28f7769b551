// SPDX-License-Identifier: LGPL-2.1-or-later
// The other process of a test:
//   peer.js serve ADDRESS       a server with a few handlers
//   peer.js call ADDRESS N      N requests `echo`, then the line "done N"
//   peer.js hold NAME           a permit of that semaphore, which is opened
//   peer.js segment NAME        that segment, which is opened; each line that it reads is done to it, such as "write 3 abc"
// It says "ready" when it serves, is connected, or has its permit or segment, and goes when its standard input is closed.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

Gio._promisify(Gio.DataInputStream.prototype, 'read_line_async', 'read_line_finish_utf8');

async function stdinClosed() {
    const input = new Gio.DataInputStream({base_stream: Gio.UnixInputStream.new(0, false)});
    let line;
    do
        [line] = await input.read_line_async(GLib.PRIORITY_DEFAULT, null);
    while (line !== null);
}

async function serve(address) {
    const server = new Ipc.SocketServer({address});
    const kept = [];
    server.add_handler('echo', (_, connection, request) => Ipc.Message.new_full('echo_response', request.format,
        request.get_payload(), Object.entries(request.headers).flat(), null));
    server.add_handler('to-all', (_, connection, request) => {
        const [queued, dropped] = server.broadcast(Ipc.Message.make('news', request.text));
        return {queued, dropped};
    });
    server.add_handler('keep', (_, connection, request) => {
        kept.push(request);
    });
    server.start();
    print('ready');
    await stdinClosed();
    await server.stop_async();
}

async function call(address, n) {
    const client = new Ipc.SocketClient({address});
    await client.open_async();
    print('ready');
    for (let i = 0; i < Number(n); i++) {
        const reply = await client.request_async(Ipc.Message.make('echo', `${i}`));
        if (reply.text !== `${i}`)
            throw new Error(`got ${reply.text}, wanted ${i}`);
    }
    print(`done ${n}`);
    await stdinClosed();
    client.close();
}

async function hold(name) {
    const permit = new Ipc.SemaphoreManager().open_semaphore(name).acquire();
    print('ready');
    await stdinClosed();
    permit.release();
}

const commands = {
    write: (segment, offset, text) => segment.write(Number(offset), text),
    read: (segment, offset, length) => new TextDecoder().decode(segment.read(Number(offset), Number(length))),
    resize: (segment, size) => segment.resize(Number(size)),
    lock: segment => segment.lock(),
    tell: segment => segment.notify_changed(),
    delete: segment => new Ipc.SharedMemoryManager().delete_segment(segment.name),
};

async function segment(name) {
    const opened = new Ipc.SharedMemoryManager().open_segment(name);
    const input = new Gio.DataInputStream({base_stream: Gio.UnixInputStream.new(0, false)});
    print('ready');
    for (;;) {
        const [line] = await input.read_line_async(GLib.PRIORITY_DEFAULT, null);
        if (line === null)
            return;
        const [command, ...words] = line.split(' ');
        try {
            print(commands[command](opened, ...words));
        } catch (error) {
            print(error.message);
        }
    }
}

const loop = new GLib.MainLoop(null, false);
const [what, ...args] = System.programArgs;
let status = 0;
({serve, call, hold, segment})[what](...args).catch(error => {
    logError(error);
    status = 1;
}).finally(() => loop.quit());
loop.run();
System.exit(status);
