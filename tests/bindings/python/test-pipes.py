# SPDX-License-Identifier: LGPL-2.1-or-later
"""Named pipes: lines of anybody, clients of the library, and a service that a shell drives."""

import os
import subprocess
import sys

from case import Case, Ipc, awaited, signalled
import tap

EXAMPLES = os.environ['EXAMPLES']


class TestPipes(Case):
    def setUp(self):
        super().setUp()
        self.pipe = os.path.join(self.directory, 'pipe')

    @awaited
    async def test_lines(self):
        server = Ipc.PipeServer(self.pipe)
        lines, dropped = [], []
        server.add_handler('line', lambda server, connection, line: lines.append((line.text, connection.wire_format)))
        server.connect('line-dropped', lambda server, error: dropped.append(error))
        async with server:
            gone = signalled(server, 'message-received::bye')
            with open(self.pipe, 'wb') as pipe:
                pipe.write('eins\nzwei ☃\n'.encode() + b'\xff\nNUL\0\n{"message_type":"bye","payload":"now"}\n')
            connection, message = await gone
        self.assertEqual(lines, [('eins', Ipc.WireFormat.LINES), ('zwei ☃', Ipc.WireFormat.LINES)])
        self.assertEqual(message.text, 'now')
        self.assertIsNone(connection.credentials)
        self.assertEqual([error.code for error in dropped], [Ipc.Error.INVALID_DATA] * 2)
        self.assertFalse(os.path.exists(self.pipe))

    @awaited
    async def test_clients(self):
        server = Ipc.PipeServer(self.pipe)
        server.add_handler('add', lambda server, connection, request: str(sum(map(int, request.text.split()))))
        async with server, Ipc.PipeClient(self.pipe) as client:
            self.assertEqual((await client.request_async(Ipc.Message('add', '2 3'))).text, '5')
            self.assertEqual(len((await client.request_async(Ipc.Message('add', '1 ' * 100000))).text), 6)
            self.assertEqual(server.n_clients, 1)
            heard = signalled(client, 'message-received::news')
            server.broadcast(Ipc.Message('news', 'all of it'))
            self.assertEqual((await heard)[0].text, 'all of it')

    def test_example(self):
        service = subprocess.Popen([sys.executable, os.path.join(EXAMPLES, 'pipe-service.py'), self.pipe], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(service.communicate)
        self.addCleanup(service.kill)
        self.assertEqual(service.stderr.readline(), 'listening on %s\n' % self.pipe)
        for command, value in ('up', 1), ('up', 2), ('down', 1):
            subprocess.run(['sh', '-c', 'echo %s > "$0"' % command, self.pipe], check=True)
            self.assertEqual(service.stdout.readline(), '%d\n' % value)
        with Ipc.PipeClient(self.pipe) as client:
            self.assertEqual(client.request(Ipc.Message('value', '')).text, '1')
        subprocess.run(['sh', '-c', 'echo quit > "$0"', self.pipe], check=True)
        self.assertEqual(service.wait(20), 0)
        self.assertFalse(os.path.exists(self.pipe))


if __name__ == '__main__':
    tap.main()
