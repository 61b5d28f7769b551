#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sends a million messages through the Python binding and watches its memory.

    leak.py [MESSAGES]

Server and client are in this one process, on one main loop. Messages go in
bursts: events to a handler, events to a signal, requests. The resident memory
after the first tenth, when everything has its size, is compared with that at
the end. Exit status 1 if it grew.

PyGObject may lose memory of its own with each asynchronous call (3.42 does, with
a bare Gio.Task as well). That is measured first, and allowed.
"""
import os
import resource
import shutil
import sys
import tempfile

import gi

gi.require_version('Ipc', '1.0')
from gi.repository import Gio, GLib, Ipc  # noqa: E402

BURST = 1000
MAX_GROWTH_MIB = 4.0
KINDS = ('handled', 'signalled', 'asked')
N_BARE_CALLS = 100_000
STALL_SECONDS = 60


def resident_mib():
    with open('/proc/self/statm', encoding='ascii') as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def bare_call_mib():
    """What PyGObject loses with one asynchronous call that has nothing to do with us."""
    loop = GLib.MainLoop()
    memory = []

    def call(n_left):
        task = Gio.Task.new(None, None, on_done, n_left)
        task.return_boolean(True)

    def on_done(_source, task, n_left):
        task.propagate_boolean()
        if n_left in (N_BARE_CALLS, 0):
            memory.append(resident_mib())
        if n_left > 0:
            call(n_left - 1)
        else:
            loop.quit()

    call(N_BARE_CALLS * 3 // 2)
    loop.run()
    return (memory[1] - memory[0]) / N_BARE_CALLS


class Leak:
    """The bursts, and what has come of them."""

    def __init__(self, directory, n_messages):
        self.loop = GLib.MainLoop()
        self.n_messages = n_messages
        self.n_arrived = 0
        self.n_bursts = 0
        self.left = 0
        self.first = None
        self.last = None
        self.error = None
        self.server = self.make_server(os.path.join(directory, 'socket'))
        self.client = Ipc.SocketClient.new(os.path.join(directory, 'socket'))

    def make_server(self, address):
        server = Ipc.SocketServer.new(address)
        server.add_handler('handled', self.on_handled)
        server.add_handler('asked', self.on_asked)
        server.connect('message-received::signalled', self.on_signalled)
        server.start()
        return server

    def run(self):
        self.client.open_async(None, self.on_open)
        GLib.timeout_add_seconds(STALL_SECONDS, self.check_stall, [0])
        self.loop.run()
        self.client.close()
        self.server.stop()

    def fail(self, error):
        self.error = error
        self.loop.quit()

    def check_stall(self, seen):
        if seen[0] == self.n_arrived:
            self.fail(f'nothing came in {STALL_SECONDS} s, after {seen[0]} messages')
        seen[0] = self.n_arrived
        return True

    def on_open(self, client, result):
        try:
            client.open_finish(result)
        except GLib.Error as error:
            self.fail(error.message)
        else:
            self.start_burst()

    def start_burst(self):
        kind = KINDS[self.n_bursts % len(KINDS)]
        self.n_bursts += 1
        self.left = BURST
        for number in range(BURST):
            message = Ipc.Message.new_text(kind, f'message {number} of burst {self.n_bursts}')
            if kind == 'asked':
                self.client.request_async(message, Ipc.TIMEOUT_DEFAULT, None, self.on_reply)
            else:
                self.client.send(message)

    def arrived(self, text):
        if not text.endswith(f'of burst {self.n_bursts}'):
            self.fail(f'“{text}” came in burst {self.n_bursts}')
        self.n_arrived += 1
        if self.n_arrived == self.n_messages // 10:
            self.first = resident_mib()
        if self.n_arrived == self.n_messages:
            self.last = resident_mib()
            self.loop.quit()
            return
        self.left -= 1
        if self.left == 0:
            self.start_burst()

    def on_handled(self, _server, _connection, message, *_user_data):
        self.arrived(message.get_text())

    def on_signalled(self, _server, _connection, message):
        self.arrived(message.get_text())

    def on_asked(self, _server, _connection, message, *_user_data):
        return Ipc.Message.new_text('answered', message.get_text())

    def on_reply(self, client, result):
        try:
            reply = client.request_finish(result)
        except GLib.Error as error:
            if self.last is None:
                self.fail(error.message)
        else:
            self.arrived(reply.get_text())


def main():
    n_messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    lost_by_pygobject = bare_call_mib() * n_messages * 0.9 / len(KINDS)
    directory = tempfile.mkdtemp(prefix='ipc-leak-')
    try:
        leak = Leak(directory, n_messages)
        leak.run()
    finally:
        shutil.rmtree(directory)
    if leak.error:
        sys.exit(f'leak.py: {leak.error}')
    good = leak.last - leak.first - lost_by_pygobject < MAX_GROWTH_MIB
    print(f'Python, {n_messages} messages: {leak.first:.1f} MiB, then {leak.last:.1f} MiB '
          f'({lost_by_pygobject:.1f} MiB of that lost by PyGObject itself): {"pass" if good else "FAIL"}')
    sys.exit(0 if good else 1)


main()
