#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Has a server count the words of the standard input. They are written into shared memory, which is
sealed and handed over: not a byte of it goes through the socket, and nobody can change it any more.

    memory-client.py ADDRESS < FILE
"""

import os
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def make_request(data):
    with Ipc.SharedMemory.new_anonymous(len(data)) as segment:
        segment.buf[:] = data
        segment.seal()
        fd = segment.dup_fd()
    try:
        # The message has a descriptor of its own.
        return Ipc.Message('count-words', fd_list=[fd])
    finally:
        os.close(fd)


def main(address):
    request = make_request(sys.stdin.buffer.read())
    with Ipc.SocketClient(address) as client:
        print(client.request(request, 5000).text)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: memory-client.py ADDRESS < FILE', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('memory-client.py: ' + error.message)
