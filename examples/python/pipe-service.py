#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A counter that is driven from a shell:

    pipe-service.py ADDRESS

    echo up > PIPE; echo down > PIPE; echo quit > PIPE
    gipc call pipe:ADDRESS value

ADDRESS is a name, like "counter", or the absolute path of a named pipe. Each change is printed.
"""

import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


class Counter:
    def __init__(self, address):
        self.value = 0
        self.loop = GLib.MainLoop()
        self.server = Ipc.PipeServer(address)
        self.server.add_handler('line', self.on_line)
        self.server.add_handler('value', lambda server, connection, request: str(self.value))

    def on_line(self, server, connection, line):
        # Each line that somebody writes into the pipe; there is nobody to answer.
        if line.text == 'quit':
            self.loop.quit()
        elif line.text in ('up', 'down'):
            self.value += 1 if line.text == 'up' else -1
        else:
            print('pipe-service.py: what is "%s"?' % line.text, file=sys.stderr, flush=True)
        print(self.value, flush=True)

    def run(self):
        with self.server:
            print('listening on', self.server.address, file=sys.stderr, flush=True)
            self.loop.run()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: pipe-service.py ADDRESS', file=sys.stderr)
        sys.exit(2)
    try:
        Counter(sys.argv[1]).run()
    except GLib.Error as error:
        sys.exit('pipe-service.py: ' + error.message)
