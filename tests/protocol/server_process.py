# SPDX-License-Identifier: LGPL-2.1-or-later
"""A `gipc listen --echo` of its own, in a directory of its own."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading

import wire_client

DEADLINE = 20


class Server:
    def __init__(self, gipc):
        self.directory = tempfile.mkdtemp(prefix='ipc-wire-')
        self.path = os.path.join(self.directory, 'server')
        self.lines = []
        self.condition = threading.Condition()
        environment = dict(os.environ, IPC_GLIB_DIR=self.directory)
        self.process = subprocess.Popen([gipc, 'listen', self.path, '--echo'], env=environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.threads = [threading.Thread(target=self.collect, daemon=True), threading.Thread(target=self.complain,
                                                                                             daemon=True)]
        self.complaints = []
        try:
            first = self.process.stderr.readline()
            if not first.startswith('listening'):
                raise RuntimeError('the server did not start: %r' % first)
        except BaseException:
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.directory)
            raise
        for thread in self.threads:
            thread.start()

    def collect(self):
        for line in self.process.stdout:
            with self.condition:
                self.lines.append(json.loads(line))
                self.condition.notify_all()

    def complain(self):
        for line in self.process.stderr:
            self.complaints.append(line)

    def wait_for_line(self, **members):
        """The printed line that has these members."""
        def match():
            return [line for line in self.lines if all(line.get(name) == value for name, value in members.items())]

        with self.condition:
            if not self.condition.wait_for(match, DEADLINE):
                raise AssertionError('no line with %r' % members)
            return match()[0]

    def binary(self, **options):
        return wire_client.BinaryClient(self.path, **options)

    def json(self):
        return wire_client.JsonClient(self.path)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def finish(self):
        """Ends it, if it is still there; its exit status."""
        try:
            if self.process.poll() is None:
                self.terminate()
            status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        for thread in self.threads:
            thread.join(DEADLINE)
        self.process.stdout.close()
        self.process.stderr.close()
        shutil.rmtree(self.directory)
        return status
