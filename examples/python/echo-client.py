#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Sends a request of type "echo" and prints the reply.

    echo-client.py ADDRESS TEXT

Every *_async method can be awaited under Ipc.run(). A program without an event loop uses
client.open() and client.request(), which block.
"""

import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


async def main(address, text):
    # Rather than failing when nobody serves the address, wait until somebody does.
    async with Ipc.SocketClient(address, wait_for_server=True) as client:
        reply = await client.request_async(Ipc.Message('echo', text), 5000)
        print('%s: %s' % (reply.message_type, reply.text))


if __name__ == '__main__':
    if len(sys.argv) != 3:
        print('usage: echo-client.py ADDRESS TEXT', file=sys.stderr)
        sys.exit(2)
    try:
        Ipc.run(main(*sys.argv[1:]))
    except GLib.Error as error:
        sys.exit('echo-client.py: ' + error.message)
