#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Counts the lines and bytes of files that clients have open and send, until SIGINT or SIGTERM.

    fd-server.py ADDRESS

ADDRESS is a name, like "count", or the absolute path of a socket.
"""

import os
import signal
import stat
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def count(server, connection, request):
    if request.fd_list is None:
        raise Ipc.new_error(Ipc.Error.INVALID_ARGUMENT, 'no file was sent')
    # What get() returns is ours to close; what stays in the list is closed with the message.
    with open(request.fd_list.get(0), 'rb', buffering=0) as file:
        # It can be anything that is open. Reading another kind than a regular file could
        # block this process for as long as the client likes.
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Ipc.new_error(Ipc.Error.INVALID_ARGUMENT, 'what was sent is not a regular file')
        # The position in the file is shared with the client: pread() leaves it alone.
        n_lines = n_bytes = 0
        while data := os.pread(file.fileno(), 65536, n_bytes):
            n_lines += data.count(b'\n')
            n_bytes += len(data)
    return Ipc.Message('counted', '%d lines, %d bytes' % (n_lines, n_bytes))


def main(address):
    loop = GLib.MainLoop()
    # A server takes no descriptors unless it says how many a message may have.
    server = Ipc.SocketServer(address, max_fds=1)
    server.add_handler('count', count)
    for number in signal.SIGINT, signal.SIGTERM:
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    with server:
        print('listening on', address, file=sys.stderr, flush=True)
        loop.run()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: fd-server.py ADDRESS', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('fd-server.py: ' + error.message)
