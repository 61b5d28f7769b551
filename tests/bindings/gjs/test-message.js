// SPDX-License-Identifier: LGPL-2.1-or-later
// Ipc.Message in JavaScript: what it can be made of, and what can be read from it.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import {equal, ok, raised, run, test} from './tap.js';

const {BYTES, TEXT, JSON: JSON_, VARIANT} = Ipc.PayloadFormat;
const everyByte = Uint8Array.from({length: 256}, (_, i) => i);

test('bytes', () => {
    for (const payload of [everyByte, everyByte.buffer, new DataView(everyByte.buffer), new GLib.Bytes(everyByte)]) {
        const message = Ipc.Message.make('data', payload);
        equal(message.format, BYTES);
        equal(message.payload, everyByte);
        equal([message.text, message.json, message.variant], [null, null, null]);
    }
    equal(Ipc.Message.make('data', new Uint8Array(everyByte.buffer, 10, 2)).payload, Uint8Array.of(10, 11));
    equal(Ipc.Message.make('data', Uint16Array.of(1)).payload.length, 2);
});

test('a payload is a copy', () => {
    const data = Uint8Array.of(1, 2, 3);
    const message = Ipc.Message.make('data', data);
    data[0] = 9;
    message.payload[1] = 9;
    equal(message.payload, Uint8Array.of(1, 2, 3));
});

test('empty', () => {
    for (const payload of [null, undefined, new Uint8Array()]) {
        const message = Ipc.Message.make('nothing', payload);
        equal([message.format, message.payload.length], [BYTES, 0]);
    }
    equal([Ipc.Message.make('t', '').format, Ipc.Message.make('t', '').text], [TEXT, '']);
});

test('text', () => {
    const message = Ipc.Message.make('greeting', 'grüß dich 👋');
    equal([message.format, message.text], [TEXT, 'grüß dich 👋']);
    equal(message.payload, new TextEncoder().encode('grüß dich 👋'));
});

test('json', () => {
    for (const value of [{a: [1, 2.5, null, true], ü: {}}, [], [[1]], {}, Object.create(null)]) {
        const message = Ipc.Message.make('data', value);
        equal(message.format, JSON_);
        equal(JSON.stringify(message.json), JSON.stringify(value));
    }
});

test('variant', () => {
    const message = Ipc.Message.make('data', new GLib.Variant('(sai)', ['x', [1, 2]]), {k: 'v'});
    equal(message.format, VARIANT);
    equal(message.variant.get_type_string(), '(sai)');
    equal(message.variant.recursiveUnpack(), ['x', [1, 2]]);
    equal(message.headers, {k: 'v'});
});

test('headers', () => {
    const message = Ipc.Message.make('t', null, {lang: 'de', empty: '', ключ: 'значение'});
    equal(Object.keys(message.headers).sort(), ['empty', 'lang', 'ключ']);
    equal([message.get_header('ключ'), message.get_header('empty'), message.get_header('x')], ['значение', '', null]);
    equal(Ipc.Message.make('t').headers, {});
});

test('the rest', () => {
    const before = GLib.get_real_time();
    const message = Ipc.Message.make('org.example.Thing', 'x');
    equal(message.message_type, 'org.example.Thing');
    equal(message.is_request, false);
    ok(message.id.length > 0, 'an id');
    ok(before <= message.timestamp && message.timestamp <= GLib.get_real_time(), 'the time');
});

test('what is no payload', async () => {
    for (const payload of [5, true, new Date(), () => 1, Promise.resolve('x'), new Map(), Symbol.iterator])
        ok(await raised(() => Ipc.Message.make('t', payload)) instanceof TypeError, 'a TypeError');
});

test('what C would cut or mistake', async () => {
    for (const args of [['a\0b'], ['t', null, {'a\0': 'x'}], ['t', null, {a: 'x\0'}], [null], [5], ['t', null, {n: 1}]])
        ok(await raised(() => Ipc.Message.make(...args)) instanceof TypeError, 'a TypeError');
});

test('by the names of C', () => {
    equal(Ipc.Message.new('t', Uint8Array.of(1)).get_payload().toArray(), Uint8Array.of(1));
    equal(Ipc.Message.new_text('t', 'x').get_text(), 'x');
    equal(Ipc.Message.new_variant('t', new GLib.Variant('i', 7)).get_variant().unpack(), 7);
    const full = Ipc.Message.new_full('t', JSON_, new TextEncoder().encode('[1]'), ['k', 'v'], null);
    equal([full.get_format(), full.get_headers(), full.json], [JSON_, {k: 'v'}, [1]]);
});

test('errors', () => {
    const error = new Ipc.Error({code: Ipc.Error.FULL, message: 'no room'});
    ok(error instanceof GLib.Error && error instanceof Ipc.Error, 'the classes');
    ok(error.matches(Ipc.Error, Ipc.Error.FULL) && !error.matches(Ipc.Error, Ipc.Error.CLOSED), 'matches');
});

run();
