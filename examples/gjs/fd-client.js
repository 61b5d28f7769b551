#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Opens a file and has a server count what is in it. The server gets the open file, not its
// name: it need not be able to open it itself.
//
//   fd-client.js ADDRESS FILE

import Gio from 'gi://Gio';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

function main(address, fileName) {
    const stream = Gio.File.new_for_commandline_arg(fileName).read(null);
    // The message has a descriptor of its own, so the stream can be closed.
    const request = Ipc.Message.make('count', '', null, [stream.get_fd()]);
    stream.close(null);

    const client = new Ipc.SocketClient({address});
    client.open(null);
    print(client.request(request, 5000).text);
    client.close();
}

if (System.programArgs.length !== 2) {
    printerr('usage: fd-client.js ADDRESS FILE');
    System.exit(2);
}
try {
    main(...System.programArgs);
} catch (error) {
    printerr(`fd-client.js: ${error.message}`);
    System.exit(1);
}
