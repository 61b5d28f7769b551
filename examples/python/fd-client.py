#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Opens a file and has a server count what is in it. The server gets the open file, not its
name: it need not be able to open it itself.

    fd-client.py ADDRESS FILE
"""

import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def main(address, file_name):
    # The message has a descriptor of its own, so the file can be closed.
    with open(file_name, 'rb') as file:
        request = Ipc.Message('count', '', fd_list=[file])
    with Ipc.SocketClient(address) as client:
        print(client.request(request, 5000).text)


if __name__ == '__main__':
    if len(sys.argv) != 3:
        print('usage: fd-client.py ADDRESS FILE', file=sys.stderr)
        sys.exit(2)
    try:
        main(*sys.argv[1:])
    except (GLib.Error, OSError) as error:
        sys.exit('fd-client.py: %s' % getattr(error, 'message', error))
