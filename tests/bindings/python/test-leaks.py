# SPDX-License-Identifier: LGPL-2.1-or-later
"""
100,000 messages of each kind leave the process no larger than a few thousand did. What PyGObject itself loses
with each callback (about 130 bytes in 3.42, whatever the library) is measured with GLib alone and taken off.
"""

import asyncio
import gc
import os

from case import Case, Gio, GLib, Ipc, awaited
import tap

N = 100000
WARM_UP = 4000
WINDOW = 200
SLACK = 3 << 20      # a message of 100 bytes leaked each time would be 10 MB and more


def resident():
    gc.collect()
    with open('/proc/self/statm') as statm:
        return int(statm.read().split()[1]) * os.sysconf('SC_PAGESIZE')


class TestLeaks(Case):
    def assert_no_growth(self, before, n_calls=0):
        self.assertLess(resident() - before - n_calls * self.lost_per_call, SLACK)

    @classmethod
    def setUpClass(cls):
        stream = Gio.MemoryInputStream.new_from_bytes(GLib.Bytes.new(b'x'))

        async def call_glib(n):
            for _ in range(n):
                done = asyncio.get_running_loop().create_future()
                stream.skip_async(0, GLib.PRIORITY_DEFAULT, None,
                                  lambda source, result: done.set_result(source.skip_finish(result)))
                await done

        async def measure():
            await call_glib(WARM_UP)
            before = resident()
            await call_glib(N // 5)
            return (resident() - before) / (N // 5)
        cls.lost_per_call = Ipc.run(measure())

    @awaited
    async def test_permits(self):
        semaphore = Ipc.SemaphoreManager().create_semaphore('leaks', 2)

        async def many(n):
            for _ in range(n):
                with semaphore.acquire():
                    semaphore.try_acquire()
            for _ in range(n // 5):
                async with semaphore.acquire_async():
                    pass
        await many(WARM_UP)
        before = resident()
        await many(N)
        self.assert_no_growth(before, N // 5)
        self.assertEqual(semaphore.available_permits, 2)

    @awaited
    async def test_segments(self):
        segment = Ipc.SharedMemoryManager().create_segment('leaks', 65536)

        async def many(n):
            for i in range(n):
                segment.write(0, b'x' * 1000)
                segment.read(0, 1000)
                segment[5:8] = bytearray(b'abc')
                segment.add_int64(8, 1), segment.read_double(16)
                with segment.locked(), segment:
                    segment.buf[i % 1000] = 1
            for _ in range(n // 10):
                async with segment.locked():
                    pass
        await many(WARM_UP)
        before = resident()
        await many(N // 10)
        self.assert_no_growth(before, N // 100)

    async def many_requests(self, client, make, n):
        for _ in range(n // WINDOW):
            await asyncio.gather(*[client.request_async(make()) for _ in range(WINDOW)])

    @awaited
    async def test_requests(self):
        _, client = await self.start_both(echo=lambda server, connection, request:
                                          Ipc.Message('echo', request.payload, request.headers))
        await self.many_requests(client, lambda: Ipc.Message('echo', b'x' * 100, {'k': 'v'}), WARM_UP)
        before = resident()
        await self.many_requests(client, lambda: Ipc.Message('echo', b'x' * 100, {'k': 'v'}), N // 2)
        self.assert_no_growth(before, N // 2)

    @awaited
    async def test_coroutine_handlers(self):
        async def handler(server, connection, request):
            return request.json
        _, client = await self.start_both(ask=handler)
        await self.many_requests(client, lambda: Ipc.Message('ask', {'k': [1]}), WARM_UP)
        before = resident()
        await self.many_requests(client, lambda: Ipc.Message('ask', {'k': [1]}), N // 10)
        self.assert_no_growth(before, N // 10)

    @awaited
    async def test_error_replies(self):
        def refuse(server, connection, request):
            raise Ipc.new_error(Ipc.Error.FULL, 'no room')
        _, client = await self.start_both(refuse=refuse)

        async def many(n):
            for _ in range(n // WINDOW):
                calls = [client.request_async(Ipc.Message('refuse')) for _ in range(WINDOW)]
                for error in await asyncio.gather(*calls, return_exceptions=True):
                    assert Ipc.is_error(error, Ipc.Error.FULL)
        await many(N // 5)      # a window full of tracebacks needs its time to settle
        before = resident()
        await many(N // 10)
        self.assert_no_growth(before, N // 10)

    async def many_events(self, client, n):
        for i in range(n // 1000):
            message = Ipc.Message('event', b'x' * 64)
            for _ in range(999):
                client.send(message)
            await client.request_async(Ipc.Message('sync'))

    @awaited
    async def test_events_through_a_handler(self):
        seen = [0]

        def count(server, connection, request):
            seen[0] += 1
        _, client = await self.start_both(event=count, sync=lambda *_: 'ok')
        await self.many_events(client, WARM_UP)
        before = resident()
        await self.many_events(client, N)
        self.assert_no_growth(before)
        self.assertEqual(seen[0], (N + WARM_UP) // 1000 * 999)

    @awaited
    async def test_events_through_a_signal(self):
        server, client = await self.start_both(sync=lambda *_: 'ok')
        seen = [0]

        def received(server, connection, message):
            seen[0] += len(message.payload) == 64
        server.connect('message-received::event', received)
        await self.many_events(client, WARM_UP)
        before = resident()
        await self.many_events(client, N)
        self.assert_no_growth(before)
        self.assertEqual(seen[0], (N + WARM_UP) // 1000 * 999)

    @awaited
    async def test_payload_formats(self):
        def make_all():
            for payload in (b'x' * 1000, 'x' * 1000, {'x': 'x' * 1000}, GLib.Variant('s', 'x' * 1000)):
                message = Ipc.Message('t', payload, {'k': 'v'})
                message.payload, message.text, message.json, message.variant, message.headers, message.id
        for _ in range(WARM_UP // 4):
            make_all()
        before = resident()
        for _ in range(N // 8):
            make_all()
        self.assert_no_growth(before)


if __name__ == '__main__':
    tap.main()
