// SPDX-License-Identifier: LGPL-2.1-or-later
// The lock of a segment: held while a function runs, awaited, cancelled, and taken over from a process that died with it.

import Gio from 'gi://Gio';
import Ipc from 'gi://Ipc?version=1.0';
import {signalled, startPeer, turn} from './fixture.js';
import {equal, ok, raised, raisedError, run, test} from './tap.js';

const E = Ipc.Error;
const manager = new Ipc.SharedMemoryManager();
let n = 0;

// Two objects of one segment: a lock belongs to an object.
function makeBoth() {
    const segment = manager.create_segment(`s${n++}`, 4096);
    return {segment, other: new Ipc.SharedMemoryManager().open_segment(segment.name)};
}

function isFree(other) {
    const taken = other.try_lock();
    if (taken)
        other.unlock();
    return taken;
}

test('blocking', async () => {
    const {segment, other} = makeBoth();
    segment.lock();
    equal(other.try_lock(), false);
    await raisedError(() => other.lock(10), E, E.TIMED_OUT, segment.name);
    await raisedError(() => segment.lock(0, null), E, E.TIMED_OUT);
    segment.unlock();
    await raisedError(() => segment.unlock(), E, E.NOT_HELD);
    await raisedError(() => segment.lock(-3), E, E.INVALID_ARGUMENT);
    ok(isFree(other), 'free');
});

test('with a lock', async () => {
    const {segment, other} = makeBoth();
    equal(await segment.withLock(async locked => {
        equal([locked === segment, other.try_lock()], [true, false]);
        await turn();
        return 42;
    }), 42);
    ok(isFree(other), 'free after the end');
    equal((await raised(segment.withLock(() => {
        throw new Error('oops');
    }))).message, 'oops');
    ok(isFree(other), 'free after an exception');
    other.lock();
    await raisedError(segment.withLock(() => ok(false), 10), E, E.TIMED_OUT);
    const cancellable = new Gio.Cancellable();
    const waiting = segment.withLock(() => ok(false), -1, cancellable);
    await turn();
    cancellable.cancel();
    await raisedError(waiting, Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED);
    other.unlock();
    let count = 0;
    await Promise.all(Array.from({length: 100}, () => segment.withLock(async () => {
        const before = count;
        await turn();
        count = before + 1;
    }, -1)));
    equal([count, isFree(other)], [100, true]);
});

test('awaited', async () => {
    const {segment, other} = makeBoth();
    equal(await segment.lock_async(), true);
    await raisedError(other.lock_async(10), E, E.TIMED_OUT);
    const waiting = other.lock_async(-1);
    manager.delete_segment(segment.name);
    await raisedError(waiting, E, E.DELETED);
    segment.unlock();
});

async function dieWithIt(segment) {
    const peer = await startPeer('segment', segment.name);
    equal([await peer.ask('lock'), await peer.ask('write', 0, 'half')], ['true', 'true']);
    await peer.kill();
}

test('a process that died with it', async () => {
    const {segment, other} = makeBoth();
    await dieWithIt(segment);
    for (let i = 0; i < 3; i++) {
        await raisedError(segment.withLock(() => ok(false)), E, E.OWNER_DIED, segment.name);
        await raisedError(() => segment.unlock(), E, E.NOT_HELD);
    }
    const failing = segment.withLock(() => ok(false), -1, null, () => {
        throw new Error('cannot');
    });
    equal([(await raised(failing)).message, segment.is_consistent], ['cannot', false]);
    await raisedError(() => segment.unlock(), E, E.NOT_HELD);
    const result = await segment.withLock(locked => locked.readUint8(0), -1, null, async locked => {
        await turn();
        equal(locked === segment, true);
        locked.write(0, 'good');
    });
    equal([result, segment.is_consistent], ['g'.charCodeAt(0), true]);
    equal(await segment.withLock(() => 'fine'), 'fine');
    ok(isFree(other), 'free');
});

test('as in C', async () => {
    const {segment, other} = makeBoth();
    await dieWithIt(segment);
    await raisedError(() => segment.lock(), E, E.OWNER_DIED);
    segment.unlock();
    await raisedError(segment.lock_async(), E, E.OWNER_DIED);
    segment.mark_consistent();
    segment.unlock();
    await segment.lock_async();
    const changed = signalled(segment, 'notify::access-count');
    other.write(0, 'x');
    await changed;
    segment.unlock();
});

run();
