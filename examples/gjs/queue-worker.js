#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Does jobs of a queue. Start as many of these as you like: each job goes to one of them. Kill one: the next one gets its job.
//
//   queue-worker.js URI QUEUE COUNT
//
// It ends after COUNT jobs. One whose text begins with "bad" fails: it comes again, and after too many attempts it is a dead
// letter, which is told at the end.

import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

async function work(delivery) {
    const {text} = delivery.get_message();
    if (text.startsWith('bad')) {
        print(`failed ${text}, attempt ${delivery.attempt}`);
        // Without a delay it would be longer each time.
        await delivery.nack_async(0);
    } else {
        print(`did ${text}`);
        await delivery.ack_async();
    }
}

async function main(uri, name, count) {
    const manager = Ipc.QueueManager.new_for_uri(uri);
    const queue = await manager.open_queue_async(name);
    for await (const delivery of queue) {
        await work(delivery);
        if (--count === 0)
            break;
    }
    for (const letter of await queue.list_dead_async())
        print(`dead ${letter.get_message().text}, after ${letter.get_attempts()} attempts`);
}

if (System.programArgs.length !== 3) {
    printerr('usage: queue-worker.js URI QUEUE COUNT');
    System.exit(2);
}
const loop = new GLib.MainLoop(null, false);
const [uri, name, count] = System.programArgs;
let status = 0;
main(uri, name, Number(count)).catch(error => {
    printerr(`queue-worker.js: ${error.message}`);
    status = 1;
}).finally(() => loop.quit());
loop.run();
System.exit(status);
