#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Answers requests of type "echo" with what they contain, until SIGINT or SIGTERM.

    echo-server.py ADDRESS

ADDRESS is a name, like "echo", or the absolute path of a socket.
"""

import signal
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def echo(server, connection, request):
    # What is returned is the reply; it could be a str, bytes or a dict as well.
    return Ipc.Message('echo_response', request.payload, format=request.format)


def main(address):
    loop = GLib.MainLoop()
    server = Ipc.SocketServer(address)
    server.add_handler('echo', echo)
    for number in signal.SIGINT, signal.SIGTERM:
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    with server:
        print('listening on', address, file=sys.stderr, flush=True)
        loop.run()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: echo-server.py ADDRESS', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('echo-server.py: ' + error.message)
