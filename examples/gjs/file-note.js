#!/usr/bin/gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
// Keeps a note in a file, and how often it was changed. Whatever happens while it is changed, also a
// power cut, the number and the text belong together, for all who read them.
//
//     file-note.js PATH [TEXT]
//
// Without TEXT it prints what is there.

import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

// The number, in eight bytes, then the text.
const SIZE = 1024;

function read(file) {
    const bytes = Uint8Array.from(file.read(0, SIZE).toArray());
    const number = Number(new DataView(bytes.buffer).getBigInt64(0, true));
    return [number, new TextDecoder().decode(bytes.subarray(8)).replace(/\0+$/, '')];
}

function change(file, text) {
    // Nobody else changes it between reading and writing.
    file.lock_range(0, SIZE);
    const bytes = new Uint8Array(SIZE);
    new DataView(bytes.buffer).setBigInt64(0, BigInt(read(file)[0] + 1), true);
    bytes.set(new TextEncoder().encode(text).subarray(0, SIZE - 8), 8);
    const transaction = file.begin();
    transaction.write(0, bytes);
    transaction.commit();
    file.unlock_range(0, SIZE);
}

if (ARGV.length !== 1 && ARGV.length !== 2) {
    printerr('usage: file-note.js PATH [TEXT]');
    System.exit(2);
}
try {
    const file = new Ipc.MappedFileManager().map_file(ARGV[0], SIZE);
    if (ARGV.length === 2)
        change(file, ARGV[1]);
    print(...read(file));
    file.unmap();
} catch (error) {
    printerr(`file-note.js: ${error.message}`);
    System.exit(1);
}
