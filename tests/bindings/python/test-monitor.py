# SPDX-License-Identifier: LGPL-2.1-or-later
"""The GTK example, on a display that nobody sees: what its window shows follows the server."""

import os
import re
import shutil
import subprocess
import sys
import unittest

from case import PATIENCE, Case, Ipc, awaited, gi
import tap

MONITOR = os.path.join(os.environ.get('EXAMPLES', '.'), 'monitor-gtk.py')


def why_not():
    try:
        gi.require_version('Gtk', '4.0')
    except ValueError as error:
        return str(error)
    return None if shutil.which('Xvfb') else 'there is no Xvfb'


class Display:
    """An X server on a free display."""

    def __init__(self):
        reader, writer = os.pipe()
        command = ['Xvfb', '-displayfd', str(writer), '-nolisten', 'tcp', '-screen', '0', '800x600x24']
        self._process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as numbers:
            self.name = ':' + numbers.readline().strip()

    def end(self):
        self._process.terminate()
        self._process.wait(PATIENCE)


@unittest.skipIf(why_not(), why_not())
class TestMonitor(Case):
    def start_monitor(self):
        display = Display()
        self.addCleanup(display.end)
        env = dict(os.environ, DISPLAY=display.name, GDK_BACKEND='x11', GSK_RENDERER='cairo',
                   XDG_RUNTIME_DIR=self.directory)
        command = [sys.executable, MONITOR, '--quit-after-clients', '2', self.address]
        monitor = subprocess.Popen(command, env=env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.addCleanup(monitor.wait, PATIENCE)
        self.addCleanup(monitor.stdout.close)
        self.addCleanup(monitor.kill)
        return monitor

    def wait_for_line(self, pattern):
        for line in self.monitor.stdout:
            if re.fullmatch(pattern, line.rstrip('\n')):
                return
        self.fail('never shown: ' + pattern)

    def wait_for_server(self):
        client = Ipc.SocketClient(self.address, wait_for_server=True)
        client.open()
        return client

    def test_what_it_shows(self):
        self.monitor = self.start_monitor()
        first = self.wait_for_server()
        self.wait_for_line('clients: 1')
        for i in range(5):
            self.assertEqual(first.request(Ipc.Message('echo', str(i))).text, str(i))
        self.wait_for_line('5 received')
        self.wait_for_line('5 sent')
        second = self.wait_for_server()
        self.wait_for_line('clients: 2')
        first.close()
        self.wait_for_line('clients: 1')
        second.close()
        self.wait_for_line('clients: 0')
        self.assertEqual(self.monitor.wait(PATIENCE), 0)


if __name__ == '__main__':
    tap.main()
