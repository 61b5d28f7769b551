#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Puts jobs into a queue, which is made if there is none.
//
//   queue-publish.js URI QUEUE TEXT…
//
// URI says where the queue is kept: "sqlite:" for a database that all your programs share, "ipc:ADDRESS" for the queues that
// another process serves (gipc queue serve ADDRESS).

import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

function openQueue(manager, name) {
    try {
        return manager.create_queue(name);
    } catch (error) {
        if (!error.matches(Ipc.Error, Ipc.Error.EXISTS))
            throw error;
    }
    return manager.open_queue(name);
}

if (System.programArgs.length < 2) {
    printerr('usage: queue-publish.js URI QUEUE TEXT…');
    System.exit(2);
}
const [uri, name, ...texts] = System.programArgs;
try {
    const queue = openQueue(Ipc.QueueManager.new_for_uri(uri), name);
    for (const text of texts) {
        queue.publish(Ipc.Message.make('job', text));
        print(`published ${text}`);
    }
} catch (error) {
    printerr(`queue-publish.js: ${error.message}`);
    System.exit(1);
}
