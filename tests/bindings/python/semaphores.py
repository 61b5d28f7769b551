# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the cases of semaphores share: one of two permits, that is the case's own."""

import asyncio

from case import Case, GLib, Ipc


class SemaphoreCase(Case):
    def setUp(self):
        super().setUp()
        self.manager = Ipc.SemaphoreManager()
        self.name = self.id().split('.')[-1].replace('_', '-')
        self.semaphore = self.manager.create_semaphore(self.name, 2)

    def assert_raises(self, code, call, *args, text=None):
        with self.assertRaises(GLib.Error) as caught:
            call(*args)
        self.assert_error(caught.exception, code, text)

    def assert_free(self, n):
        self.assertEqual(self.semaphore.available_permits, n)

    async def wait_for_waiters(self, n):
        while self.semaphore.waiters != n:
            await asyncio.sleep(0.001)
