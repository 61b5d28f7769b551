// SPDX-License-Identifier: LGPL-2.1-or-later
// Handlers, signals and objects in JavaScript: promises, exceptions, what may be kept, who is let in.

import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import Gio from 'gi://Gio';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';
import {newAddress, openClient, signalled, startBoth, startServer, turn, until} from './fixture.js';
import {cleanup, equal, ok, raised, raisedError, run, test} from './tap.js';

const {make} = Ipc.Message;

test('arguments', async () => {
    const seen = [];
    const {server, client} = await startBoth({t: (...args) => {
        seen.push(...args);
        return 'ok';
    }});
    await client.request_async(make('t', 'x'));
    equal(seen[0], server);
    equal(seen[1], server.connections.get_item(0));
    equal(seen[2].text, 'x');
});

test('async handlers', async () => {
    const {client} = await startBoth({
        async slow(server, connection, request) {
            await turn();
            return {slow: request.text};
        },
        async refuse() {
            await turn();
            throw new Ipc.Error({code: Ipc.Error.FULL, message: 'no room'});
        },
        async broken() {
            await turn();
            throw new RangeError('bad luck');
        },
        async nothing() {
            await turn();
        },
    });
    const ask = (type, text = null) => client.request_async(make(type, text), -1);
    const replies = await Promise.all(['a', 'b', 'c'].map(text => ask('slow', text)));
    equal(replies.map(reply => reply.json.slow), ['a', 'b', 'c']);
    await raisedError(ask('refuse'), Ipc.Error, Ipc.Error.FULL, 'no room');
    await raisedError(ask('broken'), Ipc.Error, Ipc.Error.REMOTE, 'RangeError: bad luck');
    await raisedError(ask('nothing'), Ipc.Error, Ipc.Error.REMOTE, 'without an answer');
});

test('messages without an answer', async () => {
    const seen = [];
    const {client} = await startBoth({
        news(server, connection, message) {
            seen.push(message.text);
            return 'ignored';
        },
        async more(server, connection, message) {
            await turn();
            seen.push(message.text);
            return 'ignored';
        },
        broken() {
            throw new RangeError('ignored as well');
        },
        sync: () => 'ok',
    });
    for (const type of ['news', 'more', 'broken'])
        await client.send_async(make(type, type));
    await client.request_async(make('sync'));
    await until(() => seen.length === 2);
    equal(seen, ['news', 'more']);
});

test('added, removed, replaced', async () => {
    const {server, client} = await startBoth({t: () => 'first'});
    const ask = async (type = 't') => (await client.request_async(make(type))).text;
    equal(await ask(), 'first');
    server.add_handler('t', () => 'second');
    equal(await ask(), 'second');
    equal([server.remove_handler('t'), server.remove_handler('t')], [true, false]);
    await raisedError(ask(), Ipc.Error, Ipc.Error.UNKNOWN_TYPE);
    server.add_handler(null, () => 'any');
    equal([await ask(), await ask('other')], ['any', 'any']);
    server.add_handler('t', () => 'third');
    equal([await ask(), await ask('other')], ['third', 'any']);
    server.remove_handler(null);
    await raisedError(ask('other'), Ipc.Error, Ipc.Error.UNKNOWN_TYPE);
});

test('a handler may remove itself, close, or stop', async () => {
    const {server, client} = await startBoth({
        once() {
            server.remove_handler('once');
            return 'last words';
        },
        bye: (_, connection) => connection.close(),
    });
    equal((await client.request_async(make('once'))).text, 'last words');
    await raisedError(client.request_async(make('once')), Ipc.Error, Ipc.Error.UNKNOWN_TYPE);
    await raisedError(client.request_async(make('bye')), Ipc.Error, Ipc.Error.UNCERTAIN);
    await client.open_async();
    server.add_handler('stop', () => server.stop());
    ok(await raised(client.request_async(make('stop'))) instanceof GLib.Error, 'an error');
});

test('kept messages stay valid', async () => {
    const kept = [];
    const {server, client} = await startBoth({
        keep(_, connection, request) {
            kept.push([request, request.get_payload()]);
            return 'ok';
        },
    });
    server.connect('message-received::signal', (_, connection, message) => kept.push([message, message.get_payload()]));
    for (let i = 0; i < 300; i++) {
        await client.request_async(make('keep', new Uint8Array(1000).fill(i % 256), {i: `${i}`}));
        client.send(make('signal', new Uint8Array(1000).fill(i % 256), {i: `${i}`}));
        if (i % 100 === 0)
            System.gc();
    }
    await client.request_async(make('keep'));
    System.gc();
    equal(kept.length, 601);
    for (const [i, [message, payload]] of kept.slice(0, 600).entries()) {
        const n = Math.floor(i / 2);
        equal(message.payload, new Uint8Array(1000).fill(n % 256));
        equal(payload.toArray(), new Uint8Array(1000).fill(n % 256));
        equal([message.message_type, message.headers.i], [['keep', 'signal'][i % 2], `${n}`]);
    }
});

test('signals with detail', async () => {
    const {server, client} = await startBoth({sync: () => 'ok'});
    const seen = [];
    for (const name of ['message-received::ping', 'message-received::org.example.Pong', 'message-received']) {
        const detail = name.split('::')[1] ?? 'all';
        server.connect(name, (_, connection, message) => seen.push(`${detail} ${message.text ?? ''}`));
    }
    for (const type of ['ping', 'org.example.Pong', 'other'])
        client.send(make(type, type));
    await client.request_async(make('sync'));
    equal(seen.filter(text => text.startsWith('ping')), ['ping ping']);
    equal(seen.filter(text => text.startsWith('org')), ['org.example.Pong org.example.Pong']);
    equal(seen.filter(text => text.startsWith('all') && text !== 'all '),
        ['all ping', 'all org.example.Pong', 'all other']);

    const news = signalled(client, 'message-received::news');
    equal(server.broadcast(make('news', 'extra')), [1, 0]);
    equal((await news)[0].text, 'extra');
});

test('connections', async () => {
    const address = newAddress();
    const server = startServer(address);
    ok(GObject.type_is_a(server.connections, Gio.ListModel), 'a list model');
    equal([...server.connections], []);
    const clients = [await openClient(address), await openClient(address), await openClient(address)];
    await until(() => server.n_clients === 3);
    const connections = [...server.connections];
    equal(connections.length, 3);
    equal(new Set(connections.map(connection => connection.id)).size, 3);
    for (const connection of server.connections)
        equal(server.get_client(connection.id), connection);
    const gone = signalled(server, 'client-disconnected');
    clients[1].close();
    const [connection, error] = await gone;
    equal([connection, error], [connections[1], null]);
    equal([...server.connections].length, 2);
    server.send_to(connections[0].id, make('private', 'x'));
    await raisedError(() => server.send_to(999999, make('private')), Ipc.Error, Ipc.Error.NOT_FOUND, '999999');
});

test('properties and bindings', async () => {
    const {server, client} = await startBoth({ask: () => 'ok'});
    const action = new Gio.SimpleAction({name: 'x', state: new GLib.Variant('u', 0)});
    equal([server.is_running, server.n_clients, server.address.endsWith('/server')], [true, 1, true]);
    server.bind_property('is-running', action, 'enabled', GObject.BindingFlags.SYNC_CREATE);
    await client.request_async(make('ask'));
    const [connection] = server.connections;
    equal([connection.is_open, connection.wire_format], [true, Ipc.WireFormat.BINARY]);
    ok(connection.messages_received > 0 && connection.messages_sent > 0, 'statistics');
    equal(connection.get_credentials().get_unix_user(), new Gio.Credentials().get_unix_user());
    server.stop();
    equal([server.is_running, action.enabled], [false, false]);
    await raisedError(() => startServer('a/b'), Ipc.Error, Ipc.Error.INVALID_NAME);
});

test('authorize', async () => {
    const {GRANTED, DENIED, UNDECIDED} = Ipc.Authorization;
    async function isAdmitted(...handlers) {
        const server = startServer(newAddress());
        const client = new Ipc.SocketClient({address: server.address});
        handlers.forEach(handler => server.connect('authorize-client', handler));
        try {
            await client.open_async();
            return true;
        } catch (error) {
            ok(error.matches(Ipc.Error, Ipc.Error.PERMISSION_DENIED), `${error}`);
            return false;
        } finally {
            client.close();
            server.stop();
        }
    }
    equal(await isAdmitted(() => GRANTED), true);
    equal(await isAdmitted(() => UNDECIDED, () => GRANTED), true);
    equal(await isAdmitted(() => DENIED, () => GRANTED), false);
    const throws = () => {
        GLib.test_expect_message('Gjs', GLib.LogLevelFlags.LEVEL_CRITICAL, '*who is that*');
        throw new RangeError('who is that?');
    };
    for (const handler of [() => UNDECIDED, () => undefined, () => null, () => true, () => 'yes', () => ({}), () => 77,
        async () => GRANTED, throws])
        equal(await isAdmitted(handler), false, `${handler}`);
});

test('wait for the server', async () => {
    const address = newAddress();
    const client = new Ipc.SocketClient({address, wait_for_server: true});
    cleanup(() => client.close());
    const opening = client.open_async();
    await until(() => client.state === Ipc.ClientState.WAITING);
    startServer(address);
    await opening;
    equal(client.state, Ipc.ClientState.OPEN);
});

run();
