# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the cases share: a directory of their own, an event loop, a peer process."""

import asyncio
import atexit
import functools
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

# Names are looked up in a scope of this process alone; it is chosen when it is first needed.
_scope = tempfile.mkdtemp(prefix='ipc-glib-scope-')
atexit.register(shutil.rmtree, _scope)
os.environ['IPC_GLIB_DIR'] = _scope

import gi  # noqa: E402
gi.require_version('Ipc', '1.0')
from gi.repository import Gio, GLib, GObject, Ipc

PATIENCE = 20      # seconds: longer than any answer takes, shorter than the deadline of the program
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'peer.py')

# An exception in a handler is logged; here that would only be noise, and assertLogs() sees it all the same.
logging.getLogger('ipc-glib').addHandler(logging.NullHandler())


def awaited(test):
    """Runs a coroutine method as a test."""
    @functools.wraps(test)
    def run(self):
        Ipc.run(asyncio.wait_for(test(self), PATIENCE))
    return run


def signalled(obj, signal_name):
    """A future of the arguments of the next emission."""
    future = asyncio.get_running_loop().create_future()

    def emitted(_, *args):
        obj.disconnect(handler)
        if not future.done():
            future.set_result(args)
    handler = obj.connect(signal_name, emitted)
    return future


def open_fds():
    gc.collect()
    return len(os.listdir('/proc/self/fd'))


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix='ipc-glib-test-')
        self.addCleanup(shutil.rmtree, self.directory)
        self.address = os.path.join(self.directory, 'server')

    def start_server(self, **handlers):
        server = Ipc.SocketServer(self.address)
        for message_type, handler in handlers.items():
            server.add_handler(message_type, handler)
        server.start()
        self.addCleanup(server.stop)
        return server

    async def open_client(self, **handlers):
        client = Ipc.SocketClient(self.address)
        for message_type, handler in handlers.items():
            client.add_handler(message_type, handler)
        await client.open_async()
        self.addCleanup(client.close)
        return client

    async def start_both(self, **handlers):
        return self.start_server(**handlers), await self.open_client()

    def assert_error(self, error, code, text=None):
        self.assertIsInstance(error, GLib.Error)
        self.assertTrue(error.matches(Ipc.Error.quark(), code), '%s %d: %s' % (error.domain, error.code, error.message))
        if text is not None:
            self.assertIn(text, error.message)

    async def assert_refused(self, awaitable, code, text=None):
        with self.assertRaises(GLib.Error) as caught:
            await awaitable
        self.assert_error(caught.exception, code, text)

    def start_peer(self, *args, **options):
        """Another process; it lives until its standard input is closed."""
        peer = Peer(*args, **options)
        self.addCleanup(peer.end)
        return peer


class Peer:
    def __init__(self, *args, **options):
        self._process = subprocess.Popen([sys.executable, PEER, *args], text=True, bufsize=1,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        assert self.read_line() == 'ready', 'the peer did not start'

    @property
    def pid(self):
        return self._process.pid

    def read_line(self):
        return self._process.stdout.readline().rstrip('\n')

    def ask(self, *words):
        """What it answers to one line."""
        print(*words, file=self._process.stdin)
        return self.read_line()

    def kill(self):
        self._process.kill()
        self._process.wait(PATIENCE)

    def end(self):
        """Its exit status; it is killed if it does not go by itself."""
        self._process.stdin.close()
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            status = -signal.SIGKILL
        self._process.stdout.close()
        return status
