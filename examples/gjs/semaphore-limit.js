#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Start as many of these as you like: at most PERMITS of them do their work at the same time, the
// others wait for their turn. Kill one while it works: the next one takes over.
//
//   semaphore-limit.js NAME PERMITS MILLISECONDS
//
// The work is to say so and to sleep for MILLISECONDS.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

const pid = new Gio.Credentials().get_unix_pid();

// Whoever comes first makes the semaphore.
function openSemaphore(name, permits) {
    const manager = new Ipc.SemaphoreManager();
    try {
        return manager.create_semaphore(name, permits);
    } catch (error) {
        if (!error.matches(Ipc.Error, Ipc.Error.EXISTS))
            throw error;
    }
    return manager.open_semaphore(name);
}

function sleep(milliseconds) {
    return new Promise(resolve => GLib.timeout_add(GLib.PRIORITY_DEFAULT, milliseconds, () => {
        resolve();
        return GLib.SOURCE_REMOVE;
    }));
}

async function main(name, permits, milliseconds) {
    const semaphore = openSemaphore(name, permits);
    // A permit that is only dropped would be held until it is collected, so it is given back here.
    await semaphore.withPermit(async () => {
        print(`${pid} works, ${semaphore.available_permits} of ${semaphore.total_permits} permits are free`);
        await sleep(milliseconds);
        print(`${pid} is done`);
    }, -1);
}

if (System.programArgs.length !== 3) {
    printerr('usage: semaphore-limit.js NAME PERMITS MILLISECONDS');
    System.exit(2);
}
const loop = new GLib.MainLoop(null, false);
const [name, permits, milliseconds] = System.programArgs;
let status = 0;
main(name, Number(permits), Number(milliseconds)).catch(error => {
    printerr(`semaphore-limit.js: ${error.message}`);
    status = 1;
}).finally(() => loop.quit());
loop.run();
System.exit(status);
