// SPDX-License-Identifier: LGPL-2.1-or-later
// Servers and clients in processes of their own; the blocking calls.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import {newAddress, openClient, signalled, startPeer, startServer, until} from './fixture.js';
import {equal, raisedError, run, test} from './tap.js';

const {make} = Ipc.Message;

test('blocking calls', async () => {
    const address = newAddress();
    const peer = await startPeer('serve', address);
    const client = new Ipc.SocketClient({address});
    client.open(null);
    for (const payload of [new Uint8Array(1 << 20).fill(1), 'grüß dich', {a: [1]},
        new GLib.Variant('(si)', ['x', 1]), null]) {
        const sent = make('echo', payload, {lang: 'de'});
        const got = client.request(sent);
        equal([got.message_type, got.format, got.headers], ['echo_response', sent.format, {lang: 'de'}]);
        equal(got.payload, sent.payload);
    }
    equal(client.connection.request(make('echo', 'x'), 20000).text, 'x');
    await raisedError(() => client.request(make('nonsense')), Ipc.Error, Ipc.Error.UNKNOWN_TYPE);
    await raisedError(() => client.request(make('keep'), 20), Ipc.Error, Ipc.Error.TIMED_OUT);
    client.send(make('echo', 'nobody listens'));
    client.connection.flush(null);
    client.close();
    await raisedError(() => client.request(make('echo')), Ipc.Error, Ipc.Error.NOT_CONNECTED);
    equal(await peer.end(), 0);
});

test('promises', async () => {
    const address = newAddress();
    const peer = await startPeer('serve', address);
    const client = await openClient(address), other = await openClient(address);
    const numbers = Array.from({length: 100}, (_, i) => i);
    const replies = await Promise.all(numbers.map(i => client.request_async(make('echo', {i}))));
    equal(replies.map(reply => reply.json.i), numbers);
    const news = [client, other].map(c => signalled(c, 'message-received::news'));
    equal((await client.request_async(make('to-all', 'extra'))).json, {queued: 2, dropped: 0});
    equal((await Promise.all(news)).map(([message]) => message.text), ['extra', 'extra']);
    client.close();
    other.close();
    equal(await peer.end(), 0);
});

test('a killed server', async () => {
    const address = newAddress();
    const peer = await startPeer('serve', address);
    const client = await openClient(address);
    const closed = signalled(client, 'closed');
    const pending = client.request_async(make('keep'), -1);
    await client.request_async(make('echo'));
    await peer.kill();
    await raisedError(pending, Ipc.Error, Ipc.Error.UNCERTAIN);
    await closed;
    await raisedError(client.request_async(make('echo')), Ipc.Error, Ipc.Error.NOT_CONNECTED);
    await startPeer('serve', address);
    await client.open_async();
    equal((await client.request_async(make('echo', 'again'))).text, 'again');
});

test('clients come and go', async () => {
    const address = newAddress();
    const server = startServer(address, {echo: (_, connection, request) => request.text});
    const peers = [await startPeer('call', address, '200'), await startPeer('call', address, '200')];
    for (const peer of peers)
        equal(await peer.readLine(), 'done 200');
    equal(server.n_clients, 2);
    await peers[0].kill();
    await until(() => server.n_clients === 1);
    equal(await peers[1].end(), 0);
    await until(() => server.n_clients === 0);
});

run();
