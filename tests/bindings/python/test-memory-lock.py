# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lock of a segment: held for a block, awaited, cancelled, and taken over from a process that died with it."""

import asyncio
import threading

from case import Gio, GLib, Ipc, awaited
from memory import MemoryCase
import tap


class TestLocks(MemoryCase):
    def test_locked(self):
        segment = self.segment
        other = Ipc.SharedMemoryManager().open_segment(self.name)
        with segment.locked() as locked:
            self.assertIs(locked, segment)
            self.assertFalse(other.try_lock())
            self.assert_raises(Ipc.Error.TIMED_OUT, other.lock, 10, text=self.name)
            with self.assertRaises(GLib.Error):
                with other.locked(0):
                    self.fail('somebody has it')
            cancellable = Gio.Cancellable()
            cancellable.cancel()
            with self.assertRaises(GLib.Error) as caught:
                other.lock(-1, cancellable)
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        self.assert_unlocked()
        with self.assertRaises(KeyError):
            with segment.locked(timeout=1000, cancellable=None):
                raise KeyError
        self.assert_unlocked()
        segment.lock()
        self.assert_raises(Ipc.Error.TIMED_OUT, segment.lock, 0)
        segment.unlock()
        self.assert_raises(Ipc.Error.NOT_HELD, segment.unlock)
        self.assert_raises(Ipc.Error.INVALID_ARGUMENT, segment.lock, -3)
        self.assertRaises(TypeError, segment.lock, 1.5)

    def test_the_last_reference_unlocks(self):
        other = Ipc.SharedMemoryManager().open_segment(self.name)
        other.lock()
        self.assertFalse(self.segment.try_lock())
        del other
        self.assert_unlocked()

    def test_in_threads(self):
        """Changes of several writes, that do not mix."""
        def work():
            segment = Ipc.SharedMemoryManager().open_segment(self.name)
            for _ in range(200):
                with segment.locked(-1):
                    segment.write_int64(0, segment.read_int64(0) + 1)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.segment.read_int64(0), 800)

    @awaited
    async def test_awaited(self):
        segment = self.segment
        self.assertTrue(await segment.lock_async())
        await self.assert_refused(segment.lock_async(10), Ipc.Error.TIMED_OUT)
        segment.unlock()
        n = 0

        async def work():
            nonlocal n
            async with segment.locked(-1) as locked:
                self.assertIs(locked, segment)
                before = n
                await asyncio.sleep(0)
                n = before + 1
        await asyncio.gather(*[work() for _ in range(100)])
        self.assertEqual(n, 100)
        with self.assertRaises(KeyError):
            async with segment.locked():
                raise KeyError
        self.assert_unlocked()

    @awaited
    async def test_cancelled(self):
        """Whoever does not wait any more has no lock."""
        segment = self.segment
        with segment.locked():
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(segment.lock_async(-1), 0.01)
        self.assert_unlocked()
        for _ in range(10):
            future = segment.lock_async()       # it is ours already
            self.assertFalse(segment.try_lock())
            future.cancel()
            while not segment.try_lock():
                await asyncio.sleep(0)
            segment.unlock()

    @awaited
    async def test_a_deleted_segment(self):
        peer = self.start_peer('segment', self.name)
        self.assertEqual(peer.ask('lock'), 'True')
        waiting = self.segment.lock_async(-1)
        self.manager.delete_segment(self.name)
        await self.assert_refused(waiting, Ipc.Error.DELETED, self.name)


class TestDeaths(MemoryCase):
    def die_with_it(self):
        peer = self.start_peer('segment', self.name)
        self.assertEqual(peer.ask('lock'), 'True')
        self.assertEqual(peer.ask('write', 0, 'half'), 'True')
        peer.kill()

    def repair(self, segment):
        self.assertIs(segment, self.segment)
        self.assertFalse(Ipc.SharedMemoryManager().open_segment(self.name).try_lock())
        segment.write(0, b'good')

    def test_as_in_c(self):
        self.die_with_it()
        self.assert_raises(Ipc.Error.OWNER_DIED, self.segment.lock, text=self.name)
        self.assertFalse(self.segment.is_consistent)
        self.repair(self.segment)
        self.assertTrue(self.segment.mark_consistent())
        self.assertTrue(self.segment.is_consistent)
        self.segment.unlock()
        self.assert_unlocked()

    def test_nobody_repairs(self):
        """It is said to each, and nobody keeps the lock."""
        self.die_with_it()
        for _ in range(3):
            with self.assertRaises(GLib.Error) as caught:
                with self.segment.locked(5000):
                    self.fail('nobody has repaired it')
            self.assert_error(caught.exception, Ipc.Error.OWNER_DIED)
            self.assert_raises(Ipc.Error.NOT_HELD, self.segment.unlock)
        with self.segment.locked(repair=self.repair):
            self.assertTrue(self.segment.is_consistent)
        with self.segment.locked():
            self.assertEqual(self.segment[:4], b'good')
        self.assert_unlocked()

    def test_a_repair_that_fails(self):
        self.die_with_it()

        def fail(segment):
            raise KeyError
        with self.assertRaises(KeyError):
            with self.segment.locked(repair=fail):
                self.fail('it was not repaired')
        self.assert_raises(Ipc.Error.NOT_HELD, self.segment.unlock)
        self.assertFalse(self.segment.is_consistent)
        with self.segment.locked(repair=self.repair):
            pass
        self.assert_unlocked()

    @awaited
    async def test_awaited(self):
        peer = self.start_peer('segment', self.name)
        self.assertEqual(peer.ask('lock'), 'True')
        waiting = self.segment.lock_async(-1)
        peer.kill()
        await self.assert_refused(waiting, Ipc.Error.OWNER_DIED)
        self.segment.unlock()
        with self.assertRaises(GLib.Error) as caught:
            async with self.segment.locked():
                self.fail('nobody has repaired it')
        self.assert_error(caught.exception, Ipc.Error.OWNER_DIED)
        future = self.segment.lock_async()
        future.cancel()
        while True:
            await asyncio.sleep(0)
            try:
                self.segment.try_lock()
            except GLib.Error as error:
                self.assert_error(error, Ipc.Error.OWNER_DIED)
                self.segment.unlock()
                break
        async with self.segment.locked(repair=self.repair):
            self.assertEqual(self.segment[:4], b'good')
        self.assert_unlocked()


if __name__ == '__main__':
    tap.main()
