# SPDX-License-Identifier: LGPL-2.1-or-later
"""Permits that are awaited."""

import asyncio

from case import GLib, Ipc, awaited, signalled
from semaphores import SemaphoreCase
import tap


class TestAwaitedPermits(SemaphoreCase):
    @awaited
    async def test_async_with(self):
        async with self.semaphore.acquire_async() as permit:
            self.assertTrue(permit.is_held)
            self.assert_free(1)
        self.assertFalse(permit.is_held)
        with await self.semaphore.acquire_async(1000) as permit:
            self.assert_free(1)
        with self.assertRaises(KeyError):
            async with self.semaphore.acquire_async(timeout=1000):
                raise KeyError
        self.assert_free(2)
        with self.semaphore.acquire(), self.semaphore.acquire():
            for timeout in 0, 10:
                await self.assert_refused(self.semaphore.acquire_async(timeout), Ipc.Error.TIMED_OUT, self.name)
                with self.assertRaises(GLib.Error):
                    async with self.semaphore.acquire_async(timeout):
                        self.fail('there is none')
            await self.assert_refused(self.semaphore.acquire_async(-3), Ipc.Error.INVALID_ARGUMENT)
            self.assertRaises(TypeError, self.semaphore.acquire_async, 1.5)
        self.assert_free(2)

    @awaited
    async def test_many_at_once(self):
        """Never more than two, and each has its turn."""
        order, highest, n = [], 0, 0

        async def work(number):
            nonlocal highest, n
            async with self.semaphore.acquire_async(-1):
                order.append(number)
                n += 1
                highest = max(highest, n)
                await asyncio.sleep(0)
                n -= 1
        await asyncio.gather(*[work(number) for number in range(100)])
        self.assertEqual(highest, 2)
        self.assertEqual(sorted(order), list(range(100)))
        self.assert_free(2)
        self.assertEqual(self.semaphore.acquired_count, 100)

    @awaited
    async def test_cancelled(self):
        with self.semaphore.acquire(), self.semaphore.acquire():
            future = self.semaphore.acquire_async(-1)
            self.assertIsInstance(future, asyncio.Future)
            await self.wait_for_waiters(1)
            future.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await future
            await self.wait_for_waiters(0)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(self.semaphore.acquire_async(-1), 0.01)
            await self.wait_for_waiters(0)
        # one that is cancelled when the permit is there already does not lose it
        for _ in range(10):
            futures = [self.semaphore.acquire_async(-1) for _ in range(2)]
            self.assert_free(0)
            for future in futures:
                future.cancel()
            while self.semaphore.available_permits != 2:
                await asyncio.sleep(0)

    @awaited
    async def test_callbacks(self):
        """As in C, for those who want it so."""
        done = asyncio.get_running_loop().create_future()
        self.semaphore.acquire_async(1000, None, lambda source, result: done.set_result(source.acquire_finish(result)))
        with await done as permit:
            self.assertTrue(permit.is_held)

    @awaited
    async def test_deleted(self):
        with self.semaphore.acquire(), self.semaphore.acquire():
            waiting = self.semaphore.acquire_async(-1)
            deleted = signalled(self.semaphore, 'deleted')
            await self.wait_for_waiters(1)
            self.manager.delete_semaphore(self.name)
            await self.assert_refused(waiting, Ipc.Error.DELETED, self.name)
            await deleted
            self.assertEqual(self.manager.create_semaphore(self.name, 1).available_permits, 1)
        self.assert_free(2)

    @awaited
    async def test_a_killed_process(self):
        peers = [self.start_peer('hold', self.name), self.start_peer('hold', self.name)]
        recovered = signalled(self.semaphore, 'permits-recovered')
        waiting = self.semaphore.acquire_async(-1)
        await self.wait_for_waiters(1)
        peers[0].kill()
        with await waiting as permit:
            self.assertTrue(permit.is_held)
        self.assertEqual((await recovered)[0], 1)
        self.assertEqual(self.semaphore.recovered_count, 1)
        self.assertEqual(peers[1].end(), 0)
        self.assert_free(2)


if __name__ == '__main__':
    tap.main()
