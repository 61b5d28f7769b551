#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Shows a text to whoever looks: each line of the standard input takes the place of the one before. It
// is written into shared memory once, however many readers there are, and none of them is waited for.
//
//   memory-writer.js NAME
//
// At the end of the input the segment is deleted. See memory-reader.js.

import Gio from 'gi://Gio';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

// The number of the frame, then the text.
const FRAME_SIZE = 1024;
const TEXT_OFFSET = 8;

function makeFrame(number, line) {
    const frame = new Uint8Array(FRAME_SIZE);
    new BigInt64Array(frame.buffer, 0, 1)[0] = BigInt(number);
    frame.set(line.subarray(0, FRAME_SIZE - TEXT_OFFSET), TEXT_OFFSET);
    return frame;
}

function main(name) {
    const manager = new Ipc.SharedMemoryManager();
    const segment = manager.create_segment(name, FRAME_SIZE);
    const input = new Gio.DataInputStream({base_stream: Gio.UnixInputStream.new(0, false)});
    printerr(`writing to ${name}`);
    try {
        for (let number = 1; ; number++) {
            const [line] = input.read_line(null);
            if (line === null)
                break;
            // One write is one frame: nobody sees the number without its text.
            segment.write(0, makeFrame(number, line));
            segment.notify_changed();
        }
    } finally {
        manager.delete_segment(name);
    }
}

if (System.programArgs.length !== 1) {
    printerr('usage: memory-writer.js NAME');
    System.exit(2);
}
try {
    main(System.programArgs[0]);
} catch (error) {
    printerr(`memory-writer.js: ${error.message}`);
    System.exit(1);
}
