#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Prints what memory-writer.js shows, whenever it changes, until the segment is deleted.
//
//   memory-reader.js NAME
//
// Who reads slowly misses frames, and always sees the newest one whole.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

// The number of the frame, then the text.
const FRAME_SIZE = 1024;
const TEXT_OFFSET = 8;

function show(segment) {
    const frame = segment.read(0, FRAME_SIZE);
    const [number] = new BigInt64Array(frame.buffer, 0, 1);
    const text = frame.subarray(TEXT_OFFSET);
    if (number > 0n)
        print(`${number}: ${new TextDecoder().decode(text.subarray(0, text.indexOf(0)))}`);
}

function main(name) {
    const loop = new GLib.MainLoop(null, false);
    const segment = new Ipc.SharedMemoryManager().open_segment(name, Ipc.Access.READ);
    segment.connect('changed', show);
    segment.connect('deleted', () => loop.quit());
    // Listening comes first, so that nothing is missed in between.
    show(segment);
    loop.run();
}

if (System.programArgs.length !== 1) {
    printerr('usage: memory-reader.js NAME');
    System.exit(2);
}
try {
    main(System.programArgs[0]);
} catch (error) {
    printerr(`memory-reader.js: ${error.message}`);
    System.exit(1);
}
