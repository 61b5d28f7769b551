// SPDX-License-Identifier: LGPL-2.1-or-later
// Mapped files: read and written, synced, locked, and changed by transactions.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import './fixture.js';
import {equal, ok, raised, raisedError, run, test} from './tap.js';

const E = Ipc.Error;
const manager = new Ipc.MappedFileManager();
const decoder = new TextDecoder();
const encoder = new TextEncoder();
let n = 0;

function map(size = 10000) {
    return manager.map_file(`${GLib.getenv('IPC_GLIB_DIR')}/x${n++}`, size);
}

function text(file, offset, length) {
    return decoder.decode(file.read(offset, length).toArray());
}

test('reading and writing', async () => {
    const file = map();
    file.write(5, encoder.encode('hello'));
    equal(text(file, 5, 5), 'hello');
    equal([file.size, file.is_dirty, file.dirty_bytes], [10000, true, 4096]);
    file.sync();
    equal(file.is_dirty, false);
    file.write(5000, encoder.encode('x'));
    await file.sync_async();
    equal(file.is_dirty, false);
    await raisedError(() => file.read(10000, 1), E, E.OUT_OF_BOUNDS, 'of 10000 bytes');
    await raisedError(() => manager.map_file('/dev/null'), E, E.WRONG_TYPE);
    file.unmap();
    await raisedError(() => file.read(0, 1), E, E.CLOSED);
});

test('the manager', async () => {
    const file = map(100), other = manager.map_file(file.path);
    ok([...manager.items].includes(other), 'listed');
    other.write(0, encoder.encode('a'));
    equal(text(file, 0, 1), 'a');
    await manager.sync_all_async();
    equal(manager.dirty_files, 0);
    file.unmap();
    other.unmap();
});

test('transactions', async () => {
    const file = map();
    equal(await file.withTransaction(transaction => {
        transaction.write(0, encoder.encode('one'));
        transaction.write(9000, encoder.encode('two'));
        equal(file.read(0, 1).toArray()[0], 0);
        return 42;
    }), 42);
    equal([text(file, 0, 3), text(file, 9000, 3)], ['one', 'two']);
    equal((await raised(file.withTransaction(transaction => {
        transaction.write(0, encoder.encode('six'));
        throw new Error('oops');
    }))).message, 'oops');
    equal(text(file, 0, 3), 'one');
    file.unmap();
});

test('locks', async () => {
    const file = map(), other = manager.map_file(file.path);
    file.lock_range(0, 10);
    await raisedError(() => other.lock_range(5, 1, Ipc.Access.WRITE, 0), E, E.TIMED_OUT, file.path);
    const waiting = other.lock_range_async(5, 1);
    file.unlock_range();
    await waiting;
    other.unlock_range();
    file.unmap();
    other.unmap();
});

run();
