// SPDX-License-Identifier: LGPL-2.1-or-later
// Shared memory: bytes and numbers, read and written by this process and another one.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import {signalled, startPeer} from './fixture.js';
import {equal, ok, raised, raisedError, run, test} from './tap.js';

const E = Ipc.Error;
const manager = new Ipc.SharedMemoryManager();
let n = 0;

function make(size = 4096) {
    return manager.create_segment(`s${n++}`, size);
}

function text(bytes) {
    return new TextDecoder().decode(bytes);
}

test('managers', async () => {
    const segment = make();
    equal([segment.name, segment.size, segment.n_attached, segment.is_deleted], [`s${n - 1}`, 4096, 1, false]);
    equal(segment.access, Ipc.Access.READ | Ipc.Access.WRITE);
    ok(Math.abs(segment.created_at / 1000 - Date.now()) < 60000, `${segment.created_at}`);
    equal(manager.create_segment('default').size, manager.default_segment_size);
    ok([...manager.items].some(item => item.name === segment.name), 'it is in the list');
    equal(manager.open_segment(segment.name) === segment, true);
    await raisedError(() => manager.create_segment(segment.name), E, E.EXISTS, segment.name);
    await raisedError(() => manager.create_segment(segment.name, 5), E, E.MISMATCH, '4096 bytes, asked 5');
    await raisedError(() => manager.create_segment('large', 2 ** 30 + 1), E, E.LIMIT_EXCEEDED);
    await raisedError(() => manager.create_segment('../a'), E, E.INVALID_NAME);
    await raisedError(() => manager.open_segment('nobody'), E, E.NOT_FOUND);
    await raisedError(() => Ipc.SharedMemory.new_anonymous(0), E, E.INVALID_ARGUMENT);
    for (const cls of [Ipc.SharedMemory, Ipc.Semaphore])
        ok(await raised(() => new cls()) instanceof TypeError, cls.name);
    const before = manager.total_size;
    manager.delete_segment(segment.name);
    equal([segment.is_deleted, manager.total_size], [true, before - 4096]);
});

test('reading and writing', async () => {
    const segment = make();
    const bytes = new Uint8Array([97, 98, 99]);
    const within = new Uint8Array([0, 97, 98, 99, 0]);
    for (const data of [bytes, 'abc', new GLib.Bytes(bytes), bytes.buffer, within.subarray(1, 4), new DataView(within.buffer, 1, 3)]) {
        segment.write(4000, new Uint8Array(3));
        segment.write(4000, data);
        equal(text(segment.read(4000, 3)), 'abc');
    }
    segment.write(0, 'grün');
    equal([text(segment.read(0, 5)), segment.read(4000).length, segment.read().length], ['grün', 96, 4096]);
    equal(segment.read(7, 0), new Uint8Array());
    segment.write(7, '');
    const copy = segment.read(0, 5);
    copy[0] = 0;
    equal(segment.readUint8(0), 'g'.charCodeAt(0));
    await raisedError(() => segment.read(4090, 7), E, E.OUT_OF_BOUNDS, 'offset 4090, length 7, of 4096');
    await raisedError(() => segment.write(4094, 'abc'), E, E.OUT_OF_BOUNDS);
    await raisedError(() => segment.readUint32(4093), E, E.OUT_OF_BOUNDS);
    for (const call of [() => segment.read('x'), () => segment.read(1.5), () => segment.read(0, null), () => segment.write(NaN, 'x'),
        () => segment.write('x'), () => segment.readUint8(0.5)])
        ok(await raised(call) instanceof TypeError, `${call}`);
    for (const wrong of [3, null, undefined, [1, 2], {}])
        ok(await raised(() => segment.write(0, wrong)) instanceof TypeError, `${wrong}`);
});

test('numbers', async () => {
    const segment = make();
    const values = {
        Int8: [-128, 127], Uint8: [0, 255], Int16: [-32768, 32767], Uint16: [0, 65535],
        Int32: [-(2 ** 31), 2 ** 31 - 1], Uint32: [0, 2 ** 32 - 1], Float32: [-1.5, 0.25], Float64: [-1e300, Math.PI],
    };
    for (const [type, [low, high]] of Object.entries(values)) {
        for (const value of [low, high]) {
            segment[`write${type}`](3, value);
            equal(segment[`read${type}`](3), value, type);
        }
    }
    for (const value of [-(2n ** 63n), 2n ** 63n - 1n]) {
        segment.writeBigInt64(8, value);
        equal(segment.readBigInt64(8) === value, true);
    }
    segment.writeBigUint64(8, 2n ** 64n - 1n);
    equal([segment.readBigUint64(8) === 2n ** 64n - 1n, segment.read_int64(8)], [true, -1]);
    equal([segment.add_int64(8, 43), segment.add_int64(8, -2), segment.read_int64(8)], [42, 40, 40]);
    segment.write_int64(8, -5);
    segment.write_double(16, 2.5);
    equal([segment.read_int64(8), segment.read_double(16), segment.readFloat64(16)], [-5, 2.5, 2.5]);
    const big = new Uint8Array(new Float64Array([1, 2, 3]).buffer);
    segment.write(24, big);
    equal([...new Float64Array(segment.read(24, 24).buffer)], [1, 2, 3]);
});

test('access', async () => {
    const segment = make();
    const reader = manager.open_segment(segment.name, Ipc.Access.READ);
    segment.write(0, 'ab');
    equal([text(reader.read(0, 2)), reader === segment], ['ab', false]);
    for (const call of [() => reader.write(0, 'x'), () => reader.writeUint8(0, 1), () => reader.resize(5000), () => reader.seal()])
        await raisedError(call, E, E.PERMISSION_DENIED);
    equal(text([...manager.items].find(item => item.name === segment.name).read(0, 2)), 'ab');
    segment.seal();
    ok(reader.is_sealed, 'it is sealed');
    await raisedError(() => segment.write(0, 'x'), E, E.PERMISSION_DENIED);
});

test('without a name', async () => {
    const segment = Ipc.SharedMemory.new_anonymous(100);
    equal([segment.name, segment.size], [null, 100]);
    segment.write(0, 'mine');
    segment.seal();
    const fd = segment.dup_fd();
    const other = Ipc.SharedMemory.new_from_fd(fd);
    GLib.close(fd);
    equal([text(other.read(0, 4)), other.is_sealed, other.access], ['mine', true, Ipc.Access.READ]);
});

test('two processes', async () => {
    const segment = make();
    const peer = await startPeer('segment', segment.name);
    const changed = signalled(segment, 'changed');
    equal(await peer.ask('write', 10, 'news'), 'true');
    equal(text(segment.read(10, 4)), 'news');
    segment.write(10, 'N');
    equal([await peer.ask('read', 10, 4), segment.n_attached], ['News', 2]);
    equal(await peer.ask('tell'), 'true');
    await changed;
    const resized = signalled(segment, 'resized');
    equal(await peer.ask('resize', 5000), 'true');
    await resized;
    equal(segment.read(4990).length, 10);
    await raisedError(() => segment.resize(4096), E, E.INVALID_ARGUMENT, 'can only grow');
    const deleted = signalled(segment, 'deleted');
    equal(await peer.ask('delete'), 'true');
    await deleted;
    equal([segment.is_deleted, await peer.end()], [true, 0]);
});

run();
