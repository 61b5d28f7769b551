// SPDX-License-Identifier: LGPL-2.1-or-later
// What the cases share: a directory of their own, servers and clients, another process.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import {atEnd, cleanup} from './tap.js';

Gio._promisify(Gio.DataInputStream.prototype, 'read_line_async', 'read_line_finish_utf8');
Gio._promisify(Gio.Subprocess.prototype, 'wait_async', 'wait_finish');

const PEER = Gio.File.new_for_uri(import.meta.url).get_parent().get_child('peer.js').get_path();

function removeAll(file) {
    if (file.query_file_type(Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, null) === Gio.FileType.DIRECTORY) {
        const children = file.enumerate_children('standard::name', Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, null);
        for (let info = children.next_file(null); info; info = children.next_file(null))
            removeAll(children.get_child(info));
        children.close(null);
    }
    file.delete(null);
}

// The scope of the user is not to be touched. It is chosen when it is first needed.
const scope = GLib.Dir.make_tmp('ipc-glib-scope-XXXXXX');
GLib.setenv('IPC_GLIB_DIR', scope, true);
atEnd(() => removeAll(Gio.File.new_for_path(scope)));

// The absolute path of a socket that nothing else uses.
export function newAddress() {
    const directory = GLib.Dir.make_tmp('ipc-glib-test-XXXXXX');
    cleanup(() => removeAll(Gio.File.new_for_path(directory)));
    return GLib.build_filenamev([directory, 'server']);
}

export function startServer(address, handlers = {}) {
    const server = new Ipc.SocketServer({address});
    for (const [type, handler] of Object.entries(handlers))
        server.add_handler(type, handler);
    server.start();
    cleanup(() => server.stop());
    return server;
}

export async function openClient(address, handlers = {}) {
    const client = new Ipc.SocketClient({address});
    for (const [type, handler] of Object.entries(handlers))
        client.add_handler(type, handler);
    await client.open_async();
    cleanup(() => client.close());
    return client;
}

export async function startBoth(handlers = {}) {
    const address = newAddress();
    const server = startServer(address, handlers);
    return {address, server, client: await openClient(address)};
}

// A promise of the arguments of the next emission.
export function signalled(object, name) {
    return new Promise(resolve => {
        const id = object.connect(name, (_, ...args) => {
            object.disconnect(id);
            resolve(args);
        });
    });
}

// One turn of the main loop.
export function turn() {
    return new Promise(resolve => GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
        resolve();
        return GLib.SOURCE_REMOVE;
    }));
}

export async function until(condition) {
    while (!condition())
        await turn();
}

// Another process; it lives until its standard input is closed.
export async function startPeer(...args) {
    const flags = Gio.SubprocessFlags.STDIN_PIPE | Gio.SubprocessFlags.STDOUT_PIPE;
    const process = Gio.Subprocess.new(['gjs', '-m', PEER, ...args], flags);
    const output = new Gio.DataInputStream({base_stream: process.get_stdout_pipe()});
    const peer = {
        pid: process.get_identifier(),
        readLine: async () => (await output.read_line_async(GLib.PRIORITY_DEFAULT, null))[0],
        // What it answers to one line.
        ask: async (...words) => {
            process.get_stdin_pipe().write_all(`${words.join(' ')}\n`, null);
            return (await output.read_line_async(GLib.PRIORITY_DEFAULT, null))[0];
        },
        kill: async () => {
            process.force_exit();
            await process.wait_async(null);
        },
        end: async () => {
            process.get_stdin_pipe().close(null);
            await process.wait_async(null);
            return process.get_if_exited() ? process.get_exit_status() : -1;
        },
    };
    cleanup(() => process.force_exit());
    if (await peer.readLine() !== 'ready')
        throw new Error('the peer did not start');
    return peer;
}
