#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Counts the words in sealed shared memory that clients hand over, until SIGINT or SIGTERM.

    memory-server.py ADDRESS

ADDRESS is a name, like "words", or the absolute path of a socket.
"""

import os
import signal
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def open_segment(fd_list):
    if fd_list is None:
        raise Ipc.new_error(Ipc.Error.INVALID_ARGUMENT, 'no shared memory was sent')
    # What get() returns is ours to close; the segment has a descriptor of its own.
    fd = fd_list.get(0)
    try:
        segment = Ipc.SharedMemory.new_from_fd(fd)
    finally:
        os.close(fd)
    # What is sealed and has no name does not change while it is looked at, whoever sent it.
    if not segment.is_sealed:
        raise Ipc.new_error(Ipc.Error.INVALID_ARGUMENT, 'the shared memory is not sealed')
    return segment


def count_words(server, connection, request):
    with open_segment(request.fd_list) as segment:
        return '%d words, %d bytes' % (len(segment.read().split()), segment.size)


def main(address):
    loop = GLib.MainLoop()
    # A server takes no descriptors unless it says how many a message may have.
    server = Ipc.SocketServer(address, max_fds=1)
    server.add_handler('count-words', count_words)
    for number in signal.SIGINT, signal.SIGTERM:
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    with server:
        print('listening on', address, file=sys.stderr, flush=True)
        loop.run()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: memory-server.py ADDRESS', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('memory-server.py: ' + error.message)
