# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the cases of shared memory share: a segment of 4096 bytes, that is the case's own."""

from case import Case, GLib, Ipc


class MemoryCase(Case):
    def setUp(self):
        super().setUp()
        self.manager = Ipc.SharedMemoryManager()
        self.name = '-'.join(self.id().split('.')[-2:]).replace('_', '-')[:64]
        self.segment = self.manager.create_segment(self.name, 4096)

    def assert_raises(self, code, call, *args, text=None):
        with self.assertRaises(GLib.Error) as caught:
            call(*args)
        self.assert_error(caught.exception, code, text)

    def assert_unlocked(self, segment=None):
        """Another object of the same segment can have the lock."""
        other = Ipc.SharedMemoryManager().open_segment((segment or self.segment).name)
        self.assertTrue(other.try_lock())
        other.unlock()
