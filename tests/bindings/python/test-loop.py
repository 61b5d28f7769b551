# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ipc.run() and Ipc.EventLoop: asyncio on a GLib main context."""

import asyncio
import signal
import socket
import sys
import threading

from case import PATIENCE, Case, GLib, Ipc, awaited
import tap


class TestLoop(Case):
    def test_run(self):
        async def main():
            await asyncio.sleep(0)
            return 'result'

        async def broken():
            raise LookupError
        self.assertEqual(Ipc.run(main()), 'result')
        self.assertRaises(LookupError, Ipc.run, broken())
        self.assertEqual(Ipc.run(main()), 'result')

    def test_asyncio_run_is_refused(self):
        async def main():
            with self.assertRaisesRegex(RuntimeError, r'Ipc\.run\(\)'):
                Ipc.SocketClient(self.address).open_async()
        asyncio.run(main())

    @awaited
    async def test_glib_and_asyncio_together(self):
        loop, seen = asyncio.get_running_loop(), []
        GLib.timeout_add(1, lambda: seen.append('timeout'))
        GLib.idle_add(lambda: seen.append('idle'))
        loop.call_later(0.001, seen.append, 'call_later')
        loop.call_soon(seen.append, 'call_soon')
        while len(seen) < 4:
            await asyncio.sleep(0.001)
        self.assertEqual(sorted(seen), ['call_later', 'call_soon', 'idle', 'timeout'])

    @awaited
    async def test_time_passes(self):
        loop = asyncio.get_running_loop()
        for delay in (0.001, 0.02):
            start = loop.time()
            await asyncio.sleep(delay)
            self.assertGreaterEqual(loop.time() - start, delay - 0.001)

    @awaited
    async def test_sockets(self):
        left, right = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=left)
        other_reader, other_writer = await asyncio.open_unix_connection(sock=right)
        blob = bytes(range(256)) * 8192      # more than a socket takes at once: readers and writers come and go
        other_writer.write(blob)
        self.assertEqual(await reader.readexactly(len(blob)), blob)
        writer.write(b'and back\n')
        self.assertEqual(await other_reader.readline(), b'and back\n')
        for stream in (writer, other_writer):
            stream.close()
            await stream.wait_closed()

    @awaited
    async def test_beside_a_server(self):
        async def double(server, connection, request):
            process = await asyncio.create_subprocess_exec(sys.executable, '-c', 'print(2 * %s)' % request.text,
                                                           stdout=asyncio.subprocess.PIPE)
            return (await process.communicate())[0].decode().strip()
        _, client = await self.start_both(double=double)
        replies = await asyncio.gather(*[client.request_async(Ipc.Message('double', str(i))) for i in range(3)])
        self.assertEqual([reply.text for reply in replies], ['0', '2', '4'])

    @awaited
    async def test_woken_by_a_thread(self):
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=[done.set])
        thread.start()
        await done.wait()
        thread.join()
        self.assertEqual(await asyncio.to_thread(lambda: 5), 5)

    @awaited
    async def test_signal(self):
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, done.set)
        signal.raise_signal(signal.SIGUSR1)
        await done.wait()
        loop.remove_signal_handler(signal.SIGUSR1)

    def test_interrupt(self):
        async def main():
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
            await asyncio.sleep(PATIENCE)
        self.assertRaises(KeyboardInterrupt, Ipc.run, main())

    def test_in_another_thread(self):
        async def main():
            server = Ipc.SocketServer(self.address)
            server.add_handler('who', lambda *_: threading.current_thread().name)
            async with server, Ipc.SocketClient(self.address) as client:
                return (await client.request_async(Ipc.Message('who'))).text
        results = []

        def work():
            loop = Ipc.EventLoop(GLib.MainContext())
            try:
                results.append(loop.run_until_complete(asyncio.wait_for(main(), PATIENCE)))
            finally:
                loop.close()
        thread = threading.Thread(target=work, name='worker')
        thread.start()
        thread.join(PATIENCE)
        self.assertEqual(results, ['worker'])


if __name__ == '__main__':
    tap.main()
