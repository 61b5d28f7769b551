# SPDX-License-Identifier: LGPL-2.1-or-later
"""Semaphores: permits as context managers, dropped, held by another process and recovered from it."""

import asyncio
import gc
import os
import threading
import time

from case import Gio, GLib, Ipc, awaited, open_fds, signalled
from semaphores import SemaphoreCase
import tap


class TestSemaphores(SemaphoreCase):
    def test_managers(self):
        self.assertTrue(self.manager)
        self.assertIn(self.name, [semaphore.name for semaphore in self.manager.items])
        self.assertIs(self.manager.open_semaphore(self.name), self.semaphore)
        scope = Ipc.Scope.new_for_directory(self.directory)
        other = Ipc.SemaphoreManager(scope, default_permits=3)
        self.assertIs(other.scope, scope)
        self.assertEqual((len(other.items), other.utilization), (0, 0))
        self.assertEqual(other.create_semaphore('a').total_permits, 3)
        b = other.create_semaphore('b', permits=5)
        with b.acquire(), b.acquire():
            self.assertEqual((b.total_permits, other.n_items, other.total_permits, other.available_permits, other.utilization),
                             (5, 2, 8, 6, 0.25))
        other.delete_semaphore('b')
        self.assertTrue(b.is_deleted)
        self.assertEqual([semaphore.name for semaphore in other.items], ['a'])

    def test_errors(self):
        manager = self.manager
        self.assert_raises(Ipc.Error.EXISTS, manager.create_semaphore, self.name, text=self.name)
        self.assert_raises(Ipc.Error.MISMATCH, manager.create_semaphore, self.name, 3, text='2 permits, asked 3')
        self.assert_raises(Ipc.Error.LIMIT_EXCEEDED, manager.create_semaphore, 'large', 4097, text='4097')
        for bad in '', '.a', '../a', 'a' * 65:
            self.assert_raises(Ipc.Error.INVALID_NAME, manager.create_semaphore, bad)
            self.assert_raises(Ipc.Error.INVALID_NAME, manager.open_semaphore, bad)
        self.assert_raises(Ipc.Error.NOT_FOUND, manager.open_semaphore, 'nobody')
        self.assert_raises(Ipc.Error.NOT_FOUND, manager.delete_semaphore, 'nobody')
        for bad in -1, 2 ** 32, '1', None:
            self.assertRaises((OverflowError, TypeError), manager.create_semaphore, 'a', bad)
        for bad in 1.5, '1', None:
            self.assertRaises(TypeError, self.semaphore.acquire, bad)
        self.assertRaises(TypeError, Ipc.Permit)
        with self.semaphore.acquire(), self.semaphore.acquire():
            self.assert_raises(Ipc.Error.TIMED_OUT, self.semaphore.acquire, 10, text=self.name)
            self.assert_raises(Ipc.Error.INVALID_ARGUMENT, self.semaphore.acquire, -3)
            cancellable = Gio.Cancellable()
            cancellable.cancel()
            with self.assertRaises(GLib.Error) as caught:
                self.semaphore.acquire(-1, cancellable)
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        self.assert_free(2)

    def test_with(self):
        before = time.time() - 0.1     # the clock of the last tick
        with self.semaphore.acquire() as permit:
            self.assert_free(1)
            self.assertTrue(permit.is_held)
            self.assertIs(permit.semaphore, self.semaphore)
            self.assertTrue(before <= permit.acquired_at / 1e6 <= time.time())
            self.assertIn(self.name, repr(permit))
            with self.semaphore.acquire(0):
                self.assert_free(0)
                self.assertIsNone(self.semaphore.try_acquire())
        self.assertFalse(permit.is_held)
        self.assert_free(2)
        with self.assertRaises(KeyError):
            with self.semaphore.acquire(timeout=1000, cancellable=None):
                raise KeyError
        self.assert_free(2)
        with self.semaphore.acquire() as permit:
            # to release it early is no error
            permit.release()
            permit.release()
            self.assert_free(2)
            with self.semaphore.acquire():
                self.assert_free(1)
        with self.semaphore.try_acquire() as permit:
            self.assertTrue(permit.is_held)
        self.assertEqual((self.semaphore.acquired_count, self.semaphore.released_count, self.semaphore.recovered_count),
                         (6, 6, 0))

    def test_dropped(self):
        """The last reference is a safety net: an exception or a cycle keeps one."""
        permit = self.semaphore.acquire()
        self.assert_free(1)
        permit = self.semaphore.acquire()
        self.assert_free(1)
        del permit
        self.assert_free(2)

        def fail():
            kept = self.semaphore.acquire()
            raise KeyError(kept.is_held)
        try:
            fail()
        except KeyError:
            self.assert_free(1)
        self.assert_free(2)
        cycle = [self.semaphore.acquire()]
        cycle.append(cycle)
        del cycle
        gc.collect()
        self.assert_free(2)

    def test_a_permit_keeps_its_semaphore(self):
        permit = Ipc.SemaphoreManager().open_semaphore(self.name).acquire()
        gc.collect()
        self.assert_free(1)
        self.assertEqual(permit.semaphore.name, self.name)
        permit.release()
        self.assert_free(2)

    def test_in_threads(self):
        """Who waits does not keep other threads from running."""
        first, second = self.semaphore.acquire(), self.semaphore.acquire()
        got = []

        def wait():
            with self.semaphore.acquire(-1) as permit:
                got.append(permit.is_held)
        threads = [threading.Thread(target=wait) for _ in range(8)]
        for thread in threads:
            thread.start()
        while self.semaphore.waiters != len(threads):
            time.sleep(0.001)
        self.assertEqual(got, [])
        first.release()
        second.release()
        for thread in threads:
            thread.join()
        self.assertEqual(got, [True] * len(threads))
        self.assert_free(2)

    @awaited
    async def test_two_processes(self):
        peers = [self.start_peer('hold', self.name), self.start_peer('hold', self.name)]
        self.assert_free(0)
        holders = self.semaphore.list_holders()
        self.assertEqual({int(holder.label.split()[0]) for holder in holders}, {peer.pid for peer in peers})
        for holder in holders:
            self.assertTrue(time.time() - 60 < holder.since / 1e6 <= time.time())
            self.assertIn(holder.label, repr(holder))
        self.assertIsNone(self.semaphore.try_acquire())
        waiting = asyncio.create_task(asyncio.to_thread(self.semaphore.acquire, -1))
        await self.wait_for_waiters(1)
        self.assertEqual(peers[0].end(), 0)
        with await waiting:
            self.assert_free(0)
        self.assertEqual(self.semaphore.recovered_count, 0)

    @awaited
    async def test_a_killed_process(self):
        peers = [self.start_peer('hold', self.name), self.start_peer('hold', self.name)]
        recovered = signalled(self.semaphore, 'permits-recovered')
        waiting = asyncio.create_task(asyncio.to_thread(self.semaphore.acquire, -1))
        await self.wait_for_waiters(1)
        peers[0].kill()
        with await waiting as permit:
            self.assertTrue(permit.is_held)
        self.assertEqual((await recovered)[0], 1)
        self.assertEqual(self.semaphore.recovered_count, 1)
        self.assertEqual(peers[1].end(), 0)
        self.assert_free(2)

    @awaited
    async def test_properties_change(self):
        """What another process does is notified."""
        changed = signalled(self.semaphore, 'notify::available-permits')
        peer = self.start_peer('hold', self.name)
        await changed
        self.assert_free(1)
        changed = signalled(self.semaphore, 'notify::available-permits')
        peer.kill()
        await changed
        self.assert_free(2)

    def test_a_forked_child(self):
        permit = self.semaphore.acquire()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                if not permit.is_held:
                    permit.release()
            except GLib.Error as error:
                status = 0 if Ipc.is_error(error, Ipc.Error.FORKED) else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assert_free(1)
        permit.release()
        self.assert_free(2)

    def test_nothing_is_left(self):
        """No descriptor, whatever is made and dropped."""
        def use():
            manager = Ipc.SemaphoreManager()
            semaphore = manager.open_semaphore(self.name)
            with semaphore.acquire():
                self.assertEqual(len(manager.items[0].list_holders()) in (0, 1), True)
        use()
        before = open_fds()
        for _ in range(20):
            use()
        self.assertLessEqual(open_fds(), before)


if __name__ == '__main__':
    tap.main()
