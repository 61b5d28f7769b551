// SPDX-License-Identifier: LGPL-2.1-or-later
// Named pipes: lines of anybody, clients of the library, and a service that a shell drives.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import {newAddress, signalled, until} from './fixture.js';
import {cleanup, equal, ok, run, test} from './tap.js';

const EXAMPLES = GLib.getenv('EXAMPLES');

// As a shell does it.
async function shell(command, path) {
    const process = Gio.Subprocess.new(['sh', '-c', command, path], Gio.SubprocessFlags.NONE);
    await process.wait_async(null);
    equal(process.get_exit_status(), 0);
}

function startServer(address) {
    const server = new Ipc.PipeServer({address});
    cleanup(() => server.stop());
    return server;
}

test('lines', async () => {
    const address = newAddress();
    const server = startServer(address);
    const lines = [];
    server.add_handler('line', (_server, connection, line) => {
        equal([connection.wire_format, connection.credentials], [Ipc.WireFormat.LINES, null]);
        lines.push(line.get_text());
    });
    server.start();
    const bye = signalled(server, 'message-received::bye');
    await shell(`printf 'one\\ntwo\\n{"message_type":"bye","payload":"now"}\\nthree' > "$0"`, address);
    equal((await bye)[1].get_text(), 'now');
    await until(() => lines.length === 3);
    equal(lines, ['one', 'two', 'three']);
});

test('a line that is none', async () => {
    const address = newAddress();
    const server = startServer(address);
    server.start();
    const dropped = signalled(server, 'line-dropped');
    await shell(`printf '\\377\\n' > "$0"`, address);
    ok((await dropped)[0].matches(Ipc.Error, Ipc.Error.INVALID_DATA), 'it tells why');
});

test('clients', async () => {
    const address = newAddress();
    const server = startServer(address);
    server.add_handler('shout', (_server, _connection, request) => request.get_text().toUpperCase());
    server.start();
    const client = new Ipc.PipeClient({address});
    await client.open_async();
    cleanup(() => client.close());
    equal((await client.request_async(Ipc.Message.new_text('shout', 'hello'))).get_text(), 'HELLO');
    const news = signalled(client, 'message-received::news');
    server.broadcast(Ipc.Message.new_text('news', 'all of it'));
    equal((await news)[0].get_text(), 'all of it');
    equal(server.n_clients, 1);
});

test('the example', async () => {
    const address = newAddress();
    const service = Gio.Subprocess.new(['gjs', '-m', GLib.build_filenamev([EXAMPLES, 'pipe-service.js']), address],
        Gio.SubprocessFlags.STDOUT_PIPE | Gio.SubprocessFlags.STDERR_PIPE);
    cleanup(() => service.force_exit());
    const [output, errors] = [service.get_stdout_pipe(), service.get_stderr_pipe()].map(stream => new Gio.DataInputStream({base_stream: stream}));
    equal((await errors.read_line_async(GLib.PRIORITY_DEFAULT, null))[0], `listening on ${address}`);
    for (const [command, value] of [['up', '1'], ['up', '2'], ['down', '1']]) {
        await shell(`echo ${command} > "$0"`, address);
        equal((await output.read_line_async(GLib.PRIORITY_DEFAULT, null))[0], value);
    }
    const client = new Ipc.PipeClient({address});
    await client.open_async();
    equal((await client.request_async(Ipc.Message.new_text('value', ''))).get_text(), '1');
    client.close();
    await shell('echo quit > "$0"', address);
    await service.wait_async(null);
    equal(service.get_exit_status(), 0);
});

run();
