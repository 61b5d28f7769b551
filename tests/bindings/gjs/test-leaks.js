// SPDX-License-Identifier: LGPL-2.1-or-later
// 100,000 messages of each kind: every one is handled, and the process does not grow.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';
import {startBoth} from './fixture.js';
import {equal, ok, run, test} from './tap.js';

const N = 100000;
const WARM_UP = 10000;
const SLACK = 6 << 20;      // a message leaked each time would be more
const ROUNDS = 4;

const {make} = Ipc.Message;

function resident() {
    System.gc();
    const [, text] = GLib.file_get_contents('/proc/self/statm');
    return Number(new TextDecoder().decode(text).split(' ')[1]) * 4096;
}

// When the collector comes, and how the memory is cut up by then, is not ours to say: what is lost with each message makes
// every round grow, what the engine keeps for itself does not.
async function noGrowth(work) {
    const grown = [];
    for (let i = 0; i < ROUNDS; i++) {
        const before = resident();
        await work();
        grown.push(resident() - before);
        if (grown[i] < SLACK)
            return;
    }
    ok(false, `grown in every round, by ${grown} bytes`);
}

async function manyRequests(client, type, n) {
    for (let i = 0; i < n / 200; i++) {
        const replies = await Promise.all(Array.from({length: 200}, () =>
            client.request_async(make(type, new Uint8Array(100), {k: 'v'}))));
        ok(replies.every(reply => reply.get_payload().toArray().length === 100), 'all replies');
        if (i % 25 === 24)
            System.gc();
    }
}

test('requests', async () => {
    const {client} = await startBoth({echo: (server, connection, request) => request.payload});
    await manyRequests(client, 'echo', WARM_UP);
    await noGrowth(() => manyRequests(client, 'echo', N / 2));
});

test('async handlers', async () => {
    const {client} = await startBoth({async echo(server, connection, request) {
        await null;
        return request.payload;
    }});
    await manyRequests(client, 'echo', WARM_UP);
    await noGrowth(() => manyRequests(client, 'echo', N / 5));
});

test('permits', async () => {
    const semaphore = new Ipc.SemaphoreManager().create_semaphore('leaks', 2);
    const many = async n => {
        for (let i = 0; i < n; i++)
            semaphore.acquire().release();
        for (let i = 0; i < n / 5; i++)
            await semaphore.withPermit(() => null);
    };
    await many(WARM_UP);
    await noGrowth(() => many(N));
    equal(semaphore.available_permits, 2);
});

test('segments', async () => {
    const segment = new Ipc.SharedMemoryManager().create_segment('leaks', 65536);
    const data = new Uint8Array(10000);
    const many = async n => {
        for (let i = 0; i < n; i++) {
            segment.write(0, data);
            segment.read(0, 10000);
            segment.writeUint32(8, segment.readUint32(8) + 1);
            segment.add_int64(16, 1);
            segment.read_double(24);
        }
        for (let i = 0; i < n / 10; i++)
            await segment.withLock(() => null);
    };
    await many(WARM_UP / 2);
    await noGrowth(() => many(N / 10));
});

async function manyEvents(client, n, size) {
    for (let i = 0; i < n / 1000; i++) {
        const message = make('event', new Uint8Array(size));
        for (let j = 0; j < 999; j++)
            client.send(message);
        await client.request_async(make('sync'));
    }
}

test('events through a handler', async () => {
    let seen = 0;
    const {client} = await startBoth({
        event: () => {
            seen++;
        },
        sync: () => 'ok',
    });
    await manyEvents(client, WARM_UP, 64);
    let sent = WARM_UP;
    await noGrowth(() => {
        sent += N;
        return manyEvents(client, N, 64);
    });
    equal(seen, sent / 1000 * 999);
});

test('events through a signal', async () => {
    let seen = 0;
    const {server, client} = await startBoth({sync: () => 'ok'});
    server.connect('message-received::event', (_, connection, message) => {
        seen += message.get_payload().toArray().length === 64 ? 1 : 0;
        if (seen % 5000 === 0)
            System.gc();
    });
    await manyEvents(client, WARM_UP, 64);
    let sent = WARM_UP;
    await noGrowth(() => {
        sent += N;
        return manyEvents(client, N, 64);
    });
    equal(seen, sent / 1000 * 999);
});

test('large messages do not pile up', async () => {
    const {client} = await startBoth({big: (server, connection, request) => `${request.get_payload().toArray().length}`});
    const big = make('big', new Uint8Array(65536));
    const before = resident();
    let peak = 0;
    for (let i = 0; i < 4000; i++) {
        await client.request_async(big);
        if (i % 500 === 0) {
            const [, text] = GLib.file_get_contents('/proc/self/statm');
            peak = Math.max(peak, Number(new TextDecoder().decode(text).split(' ')[1]) * 4096 - before);
        }
    }
    ok(peak < 100 << 20, `grown by ${peak} bytes in between`);      // all of them are 250 MiB
});

run();
