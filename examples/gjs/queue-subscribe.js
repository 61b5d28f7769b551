#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Gets a copy of all that is published in a queue, as does everybody else who runs this; nothing is taken from the queue.
//
//   queue-subscribe.js URI QUEUE COUNT
//
// It ends after COUNT messages.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

function main(uri, name, count) {
    const queue = Ipc.QueueManager.new_for_uri(uri).open_queue(name);
    const loop = new GLib.MainLoop(null, false);
    const subscription = queue.subscribe((_, message) => {
        print(`heard ${message.text}`);
        if (--count === 0)
            loop.quit();
    });
    print(`subscribed to ${name}`);
    loop.run();
    subscription.stop();
}

if (System.programArgs.length !== 3) {
    printerr('usage: queue-subscribe.js URI QUEUE COUNT');
    System.exit(2);
}
try {
    const [uri, name, count] = System.programArgs;
    main(uri, name, Number(count));
} catch (error) {
    printerr(`queue-subscribe.js: ${error.message}`);
    System.exit(1);
}
