// SPDX-License-Identifier: LGPL-2.1-or-later
// Permits that are awaited, and held while a function runs.

import Gio from 'gi://Gio';
import Ipc from 'gi://Ipc?version=1.0';
import {signalled, startPeer, until} from './fixture.js';
import {equal, ok, raised, raisedError, run, test} from './tap.js';

const manager = new Ipc.SemaphoreManager();
let n = 0;

function make(permits = 2) {
    return manager.create_semaphore(`s${n++}`, permits);
}

test('promises', async () => {
    const semaphore = make();
    const permit = await semaphore.acquire_async();
    const other = await semaphore.acquire_async(1000, null);
    equal([permit.is_held, other.is_held, semaphore.available_permits], [true, true, 0]);
    for (const timeout of [0, 10])
        await raisedError(semaphore.acquire_async(timeout), Ipc.Error, Ipc.Error.TIMED_OUT, semaphore.name);
    const cancellable = new Gio.Cancellable();
    const waiting = semaphore.acquire_async(-1, cancellable);
    await until(() => semaphore.waiters === 1);
    cancellable.cancel();
    await raisedError(waiting, Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED);
    await until(() => semaphore.waiters === 0);
    const next = semaphore.acquire_async(-1);
    await until(() => semaphore.waiters === 1);
    permit.release();
    (await next).release();
    other.release();
    equal(semaphore.available_permits, 2);
});

test('withPermit', async () => {
    const semaphore = make();
    let atOnce = 0, highest = 0, kept = null;
    const work = async permit => {
        ok(permit.is_held, 'it is held');
        kept = permit;
        highest = Math.max(highest, ++atOnce);
        await null;
        atOnce--;
        return 'done';
    };
    const results = await Promise.all(Array.from({length: 100}, () => semaphore.withPermit(work, -1)));
    equal([results.length, new Set(results).size, results[0], highest, kept.is_held], [100, 1, 'done', 2, false]);
    equal(semaphore.available_permits, 2);
    equal(await semaphore.withPermit(() => 7), 7);
    const problem = await raised(semaphore.withPermit(() => {
        throw new RangeError('mine');
    }));
    equal([problem.name, problem.message, semaphore.available_permits], ['RangeError', 'mine', 2]);
    await semaphore.withPermit(permit => permit.release());
    const held = [semaphore.acquire(), semaphore.acquire()];
    let called = false;
    await raisedError(semaphore.withPermit(() => (called = true), 10), Ipc.Error, Ipc.Error.TIMED_OUT);
    equal(called, false);
    held.forEach(permit => permit.release());
    equal([semaphore.acquired_count, semaphore.released_count], [105, 105]);
});

test('deleted', async () => {
    const semaphore = make(1);
    const permit = semaphore.acquire();
    const waiting = semaphore.acquire_async(-1);
    const deleted = signalled(semaphore, 'deleted');
    await until(() => semaphore.waiters === 1);
    manager.delete_semaphore(semaphore.name);
    await raisedError(waiting, Ipc.Error, Ipc.Error.DELETED, semaphore.name);
    await deleted;
    permit.release();
    equal(semaphore.available_permits, 1);
});

test('a process is killed while another one waits', async () => {
    const semaphore = make(1);
    const peer = await startPeer('hold', semaphore.name);
    const recovered = signalled(semaphore, 'permits-recovered');
    const waiting = semaphore.acquire_async(-1);
    await until(() => semaphore.waiters === 1);
    await peer.kill();
    (await waiting).release();
    equal(await recovered, [1]);
    equal([semaphore.recovered_count, semaphore.available_permits], [1, 1]);
});

run();
