// SPDX-License-Identifier: LGPL-2.1-or-later
// Requests and replies within one process: formats, errors, timeouts, cancellation.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';
import {newAddress, openClient, signalled, startBoth, startServer, turn, until} from './fixture.js';
import {equal, ok, raised, raisedError, run, test} from './tap.js';

const {make} = Ipc.Message;

function mirror(server, connection, request) {
    return Ipc.Message.new_full('mirrored', request.format, request.get_payload(),
        Object.entries(request.headers).flat(), null);
}

test('every format', async () => {
    const {client} = await startBoth({mirror});
    const big = new Uint8Array(1 << 20).fill(7);
    for (const payload of [null, Uint8Array.of(0, 255), big, '', 'grüß dich', 'x'.repeat(100000),
        {a: [1, {b: null}], text: 'ü'}, [], new GLib.Variant('(sv)', ['x', new GLib.Variant('as', ['y'])])]) {
        const sent = make('mirror', payload);
        const got = await client.request_async(sent);
        equal([got.message_type, got.format, got.text], ['mirrored', sent.format, sent.text]);
        equal(got.payload, sent.payload);
        equal(JSON.stringify(got.json), JSON.stringify(sent.json));
        equal(got.variant?.print(true), sent.variant?.print(true));
    }
});

test('headers', async () => {
    const {client} = await startBoth({mirror});
    const got = await client.request_async(make('mirror', null, {lang: 'de', ключ: ''}));
    equal([got.headers.lang, got.headers['ключ'], Object.keys(got.headers).length], ['de', '', 2]);
});

function countOpenFds() {
    const children = Gio.File.new_for_path('/proc/self/fd').enumerate_children('standard::name', 0, null);
    let n = 0;
    while (children.next_file(null))
        n++;
    children.close(null);
    return n;
}

test('descriptors', async () => {
    const address = newAddress();
    const server = new Ipc.SocketServer({address, max_fds: 2});
    server.add_handler('swap', (_, connection, request) => {
        const list = request.fd_list;
        return make('swapped', null, null, [list.get(1), list.get(0)]);
    });
    server.start();
    const client = await openClient(address);
    const path = GLib.build_filenamev([GLib.path_get_dirname(address), 'file']);
    GLib.file_set_contents(path, 'hello');
    const stream = Gio.File.new_for_path(path).read(null);
    const reply = await client.request_async(make('swap', null, null, [stream.get_fd(), 0]));
    equal(reply.fd_list.get_length(), 2);
    equal(new TextDecoder().decode(GLib.file_get_contents(`/proc/self/fd/${reply.fd_list.peek_fds()[1]}`)[1]), 'hello');
    await raisedError(() => client.request_async(make('swap', null, null, [0, 0, 0])), Ipc.Error, Ipc.Error.LIMIT_EXCEEDED);
    server.stop();
});

// They are closed when their message is collected, and that is in time.
test('descriptors do not pile up', async () => {
    const address = newAddress();
    const server = new Ipc.SocketServer({address, max_fds: 4});
    server.add_handler('take', (_, connection, request) => `${request.fd_list.get_length()}`);
    server.start();
    const client = await openClient(address);
    for (let i = 0; i < 600; i++)
        equal((await client.request_async(make('take', null, null, [0, 0, 0, 0]))).text, '4');
    const n = countOpenFds();
    ok(n < 700, `${n} descriptors are open`);
    server.stop();
});

test('what handlers return', async () => {
    const {server, client} = await startBoth();
    for (const [result, field] of [['text', 'text'], [Uint8Array.of(1, 2), 'payload'],
        [{k: [1]}, 'json'], [[1], 'json']]) {
        server.add_handler('ask', () => result);
        const reply = await client.request_async(make('ask'));
        equal(reply[field], result);
        equal(reply.message_type, 'ask');
    }
});

test('pipelined', async () => {
    const {client} = await startBoth({mirror});
    const numbers = Array.from({length: 200}, (_, i) => `${i}`);
    const replies = await Promise.all(numbers.map(text => client.request_async(make('mirror', text))));
    equal(replies.map(reply => reply.text), numbers);
});

test('refused before it is sent', async () => {
    const {client} = await startBoth({mirror});
    const bad = [[make(''), Ipc.Error.INVALID_DATA], [make('t'.repeat(256)), Ipc.Error.INVALID_DATA],
        [Ipc.Message.new_full('t', Ipc.PayloadFormat.TEXT, Uint8Array.of(255), null, null), Ipc.Error.INVALID_DATA],
        [Ipc.Message.new_full('t', Ipc.PayloadFormat.JSON, Uint8Array.of(123), null, null), Ipc.Error.INVALID_DATA]];
    for (const [message, code] of bad) {
        await raisedError(client.request_async(message), Ipc.Error, code);
        await raisedError(client.send_async(message), Ipc.Error, code);
        await raisedError(() => client.send(message), Ipc.Error, code);
    }
    equal((await client.request_async(make('mirror', 'well'))).text, 'well');
});

test('nobody there', async () => {
    const address = newAddress();
    const client = new Ipc.SocketClient({address});
    await raisedError(client.open_async(), Ipc.Error, Ipc.Error.NO_SERVER, 'server');
    await raisedError(client.request_async(make('t')), Ipc.Error, Ipc.Error.NOT_CONNECTED);
    await raisedError(() => client.send(make('t')), Ipc.Error, Ipc.Error.NOT_CONNECTED);
});

test('error replies', async () => {
    const {client} = await startBoth({
        full() {
            throw new Ipc.Error({code: Ipc.Error.FULL, message: 'no room for more'});
        },
        foreign() {
            throw new Gio.IOErrorEnum({code: Gio.IOErrorEnum.NOT_FOUND, message: 'no such thing'});
        },
        broken() {
            throw new RangeError('where is it?');
        },
        unusable: () => 5,
    });
    const ask = type => client.request_async(make(type));
    await raisedError(ask('nonsense'), Ipc.Error, Ipc.Error.UNKNOWN_TYPE, 'nonsense');
    await raisedError(ask('full'), Ipc.Error, Ipc.Error.FULL, 'no room for more');
    await raisedError(ask('foreign'), Ipc.Error, Ipc.Error.REMOTE, 'no such thing');
    await raisedError(ask('broken'), Ipc.Error, Ipc.Error.REMOTE, 'RangeError: where is it?');
    await raisedError(ask('unusable'), Ipc.Error, Ipc.Error.REMOTE, 'TypeError');
});

test('deferred reply', async () => {
    const kept = [];
    const {client} = await startBoth({
        mirror,
        later: (server, connection, request) => {
            kept.push([connection, request]);
        },
    });
    const calls = [client.request_async(make('later', 'one')), client.request_async(make('later', 'two'))];
    await client.request_async(make('mirror'));
    System.gc();
    equal(kept.map(([, request]) => [request.text, request.is_request]), [['one', true], ['two', true]]);
    kept[0][0].reply(kept[0][1], make('answer', 'here it is'));
    kept[1][0].reply_error(kept[1][1], new Ipc.Error({code: Ipc.Error.TOO_LARGE, message: 'too much'}));
    equal((await calls[0]).text, 'here it is');
    await raisedError(calls[1], Ipc.Error, Ipc.Error.TOO_LARGE, 'too much');
    await raised(() => kept[0][0].reply(kept[0][1], make('answer')));
});

test('dropped', async () => {
    let kept = [];
    const {client} = await startBoth({
        forget: () => {},
        keep: (server, connection, request) => {
            kept.push(request);
        },
    });
    await raisedError(client.request_async(make('forget'), -1), Ipc.Error, Ipc.Error.REMOTE, 'without an answer');
    const call = client.request_async(make('keep'), -1);
    await until(() => kept.length > 0);
    kept = [];
    System.gc();
    await raisedError(call, Ipc.Error, Ipc.Error.REMOTE, 'without an answer');
});

test('timeout', async () => {
    const kept = [];
    const {client} = await startBoth({
        mirror,
        keep: (server, connection, request) => {
            kept.push(request);
        },
    });
    await raisedError(client.request_async(make('keep'), 20), Ipc.Error, Ipc.Error.TIMED_OUT);
    await raisedError(client.request_async(make('keep'), 0), Ipc.Error, Ipc.Error.TIMED_OUT);
    client.request_timeout = 20;
    await raisedError(client.request_async(make('keep')), Ipc.Error, Ipc.Error.TIMED_OUT);
    equal((await client.request_async(make('mirror', 'well'), 20000)).text, 'well');
});

test('cancelled', async () => {
    const kept = [];
    const {server, client} = await startBoth({
        keep: (_, connection, request) => {
            kept.push(request);
        },
    });
    const cancellable = new Gio.Cancellable();
    const call = client.request_async(make('keep', 'this one'), -1, cancellable);
    await until(() => kept.length > 0);
    const cancelled = signalled(server.connections.get_item(0), 'request-cancelled');
    cancellable.cancel();
    await raisedError(call, Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED);
    equal((await cancelled)[0].text, 'this one');
    await raisedError(client.request_async(make('keep'), -1, cancellable), Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED);
});

test('callback', async () => {
    const {client} = await startBoth({mirror});
    const text = await new Promise(resolve => client.request_async(make('mirror', 'x'), -1, null,
        (source, result) => resolve(source.request_finish(result).text)));
    equal(text, 'x');
    const other = await new Promise(resolve => client.request_async(make('mirror', 'y'),
        (source, result) => resolve(source.request_finish(result).text)));
    equal(other, 'y');
});

test('the server asks', async () => {
    const address = newAddress();
    const server = startServer(address);
    await openClient(address, {name: s => s === null ? 'nobody' : 'a server'});
    await until(() => server.n_clients === 1);
    const [connection] = server.connections;
    equal((await connection.request_async(make('name'))).text, 'nobody');
});

test('closed meanwhile', async () => {
    const kept = [];
    const {client} = await startBoth({
        keep: (server, connection, request) => {
            kept.push([connection, request]);
        },
    });
    const call = client.request_async(make('keep'), -1);
    await until(() => kept.length > 0);
    kept[0][0].close();
    await raisedError(call, Ipc.Error, Ipc.Error.UNCERTAIN);
    await turn();
    await raisedError(client.request_async(make('keep')), Ipc.Error, Ipc.Error.NOT_CONNECTED);
    ok(!kept[0][0].is_open, 'closed');
});

run();
