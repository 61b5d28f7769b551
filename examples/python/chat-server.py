#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A chat room: what one client says is sent to all, until SIGINT or SIGTERM.

    chat-server.py ADDRESS

Clients send events of type "say" and get events of type "said".
"""

import signal
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def tell_all(server, text):
    queued, dropped = server.broadcast(Ipc.Message('said', text))
    if dropped:
        print('chat-server.py: %d clients read too slowly and missed a line' % dropped, file=sys.stderr)


def say(server, connection, message):
    if message.text is not None:
        tell_all(server, '%d: %s' % (connection.id, message.text))


def main(address):
    loop = GLib.MainLoop()
    server = Ipc.SocketServer(address)
    server.add_handler('say', say)
    server.connect('client-connected',
                   lambda server, connection: tell_all(server, '%d came in' % connection.id))
    server.connect('client-disconnected',
                   lambda server, connection, error: tell_all(server, '%d left' % connection.id))
    for number in signal.SIGINT, signal.SIGTERM:
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    with server:
        print('listening on', address, file=sys.stderr, flush=True)
        loop.run()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: chat-server.py ADDRESS', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('chat-server.py: ' + error.message)
