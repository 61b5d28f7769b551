// SPDX-License-Identifier: LGPL-2.1-or-later
// Semaphores: permits that are released, collected, held by another process and recovered from it.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';
import {signalled, startPeer, until} from './fixture.js';
import {equal, ok, raisedError, run, test} from './tap.js';

const manager = new Ipc.SemaphoreManager();
let n = 0;

function make(permits = 2) {
    return manager.create_semaphore(`s${n++}`, permits);
}

test('managers', async () => {
    const semaphore = make(3);
    equal([semaphore.total_permits, semaphore.available_permits, semaphore.waiters], [3, 3, 0]);
    equal(make(undefined).total_permits, 2);
    equal(manager.create_semaphore('default').total_permits, 1);
    ok([...manager.items].some(item => item.name === semaphore.name), 'it is in the list');
    equal(manager.open_semaphore(semaphore.name) === semaphore, true);
    const E = Ipc.Error;
    await raisedError(() => manager.create_semaphore(semaphore.name), E, E.EXISTS, semaphore.name);
    await raisedError(() => manager.create_semaphore(semaphore.name, 4), E, E.MISMATCH, '3 permits, asked 4');
    await raisedError(() => manager.create_semaphore('large', 4097), E, E.LIMIT_EXCEEDED, '4097');
    await raisedError(() => manager.create_semaphore('../a'), E, E.INVALID_NAME);
    await raisedError(() => manager.open_semaphore('nobody'), E, E.NOT_FOUND);
    await raisedError(() => manager.delete_semaphore('nobody'), E, E.NOT_FOUND);
    manager.delete_semaphore(semaphore.name);
    ok(semaphore.is_deleted, 'it is deleted');
});

test('blocking', async () => {
    const semaphore = make();
    const before = Date.now() - 100;        // the clock of the last tick
    const permit = semaphore.acquire();
    equal([permit.is_held, permit.semaphore === semaphore, semaphore.available_permits], [true, true, 1]);
    ok(before <= permit.acquired_at / 1000 && permit.acquired_at / 1000 <= Date.now(), `${permit.acquired_at}`);
    const other = semaphore.try_acquire();
    equal([other.is_held, semaphore.try_acquire()], [true, null]);
    await raisedError(() => semaphore.acquire(10), Ipc.Error, Ipc.Error.TIMED_OUT, semaphore.name);
    await raisedError(() => semaphore.acquire(-3, null), Ipc.Error, Ipc.Error.INVALID_ARGUMENT);
    const cancellable = new Gio.Cancellable();
    cancellable.cancel();
    await raisedError(() => semaphore.acquire(-1, cancellable), Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED);
    for (const held of [permit, permit, other])
        held.release();
    equal([permit.is_held, semaphore.available_permits], [false, 2]);
    equal([semaphore.acquired_count, semaphore.released_count, semaphore.recovered_count], [2, 2, 0]);
});

test('a permit that is dropped is held until it is collected', async () => {
    const semaphore = make();
    (() => semaphore.acquire())();
    equal(semaphore.available_permits, 1);
    await until(() => {
        System.gc();
        return semaphore.available_permits === 2;
    });
});

test('a permit keeps its semaphore', async () => {
    const {name} = make();
    const permit = new Ipc.SemaphoreManager().open_semaphore(name).acquire();
    System.gc();
    equal([permit.is_held, permit.semaphore.name], [true, name]);
    permit.release();
    equal(manager.open_semaphore(name).available_permits, 2);
});

test('two processes', async () => {
    const semaphore = make();
    const peers = [await startPeer('hold', semaphore.name), await startPeer('hold', semaphore.name)];
    equal([semaphore.available_permits, semaphore.try_acquire()], [0, null]);
    const holders = semaphore.list_holders();
    equal(holders.map(holder => holder.label.split(' ')[0]).sort(), peers.map(peer => peer.pid).sort());
    ok(holders.every(holder => Math.abs(holder.since / 1000 - Date.now()) < 60000), 'since when');
    equal(await peers[0].end(), 0);
    semaphore.acquire(20000).release();
    equal(semaphore.recovered_count, 0);
    equal(await peers[1].end(), 0);
    equal(semaphore.available_permits, 2);
});

test('a killed process', async () => {
    const semaphore = make(1);
    const peer = await startPeer('hold', semaphore.name);
    const recovered = signalled(semaphore, 'permits-recovered');
    equal(semaphore.try_acquire(), null);
    await peer.kill();
    semaphore.acquire(20000).release();
    equal(await recovered, [1]);
    equal([semaphore.recovered_count, semaphore.available_permits], [1, 1]);
});

test('properties change', async () => {
    const semaphore = make();
    const changed = signalled(semaphore, 'notify::available-permits');
    const peer = await startPeer('hold', semaphore.name);
    await changed;
    equal(semaphore.available_permits, 1);
    const back = signalled(semaphore, 'notify::available-permits');
    equal(await peer.end(), 0);
    await back;
    equal(semaphore.available_permits, 2);
});

run();
