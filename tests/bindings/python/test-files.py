# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mapped files: read and written, looked at without a copy, synced, locked, and changed by transactions."""

import os
import pathlib

from case import Case, Gio, GLib, Ipc, awaited, open_fds
import tap


class TestFiles(Case):
    def setUp(self):
        super().setUp()
        self.manager = Ipc.MappedFileManager()
        self.path = os.path.join(self.directory, 'x')
        self.file = self.manager.map_file(self.path, 10000)

    def tearDown(self):
        self.file.unmap()
        super().tearDown()

    def assert_raises(self, code, call, *args, text=None):
        with self.assertRaises(GLib.Error) as caught:
            call(*args)
        self.assert_error(caught.exception, code, text)

    def test_managers(self):
        self.assertEqual([file.path for file in self.manager.items], [self.path])
        self.assertEqual((self.manager.total_size, self.manager.average_file_size, self.manager.dirty_files), (10000, 10000, 0))
        other = self.manager.map_file(pathlib.Path(self.directory) / 'y')
        self.assertEqual(other.size, self.manager.default_file_size)
        other[0] = 1
        self.assertEqual(self.manager.dirty_files, 1)
        self.manager.sync_all()
        self.assertEqual(self.manager.dirty_files, 0)
        other.unmap()
        self.assertFalse(other.is_mapped)
        self.assertEqual(len(self.manager.items), 1)

    def test_what_is_refused(self):
        E = Ipc.Error
        self.assert_raises(E.OUT_OF_BOUNDS, self.file.read, 10000, 1, text='offset 10000, length 1, of 10000 bytes')
        self.assert_raises(E.WRONG_TYPE, self.manager.map_file, self.directory)
        self.assert_raises(E.TOO_LARGE, self.manager.map_file, self.path, 1 << 60)
        self.assert_raises(E.INVALID_ARGUMENT, self.manager.map_file, self.path, 0, Ipc.Access(99))
        reader = self.manager.map_file(self.path, 0, Ipc.Access.READ)
        self.assert_raises(E.PERMISSION_DENIED, reader.write, 0, b'x')
        reader.unmap()
        self.assert_raises(E.CLOSED, reader.read)
        with self.assertRaises(TypeError):
            Ipc.MappedFile()

    def test_bytes(self):
        self.file.write(5, b'hello')
        self.assertEqual(self.file.read(5, 5), b'hello')
        self.file[5:7] = b'HE'
        self.assertEqual(self.file[5:10], b'HEllo')
        self.assertEqual(pathlib.Path(self.path).read_bytes()[5:10], b'HEllo')
        self.assertEqual(len(self.file), 10000)
        with self.assertRaises(ValueError):
            self.file[0:3] = b'x'
        self.assertTrue(self.file.is_dirty)
        self.file.sync()
        self.assertEqual(self.file.dirty_bytes, 0)

    def test_buffer(self):
        before = open_fds()
        with self.manager.map_file(self.path) as file:
            view = file.buf
            self.assertEqual((len(view), view.readonly), (10000, False))
            view[3:6] = b'abc'
            self.assertFalse(file.is_dirty)
            file.mark_dirty(3, 3)
            self.assertEqual(file.dirty_bytes, 4096)
            self.assertEqual(self.file[3:6], b'abc')
        self.assertFalse(file.is_mapped)
        self.assertEqual(bytes(view[3:6]), b'abc')
        del view, file
        self.assertEqual(open_fds(), before)
        with self.manager.map_file(self.path, 0, Ipc.Access.READ) as reader:
            self.assertTrue(reader.buf.readonly)

    def test_transactions(self):
        with self.file.begin() as transaction:
            transaction.write(0, b'one')
            transaction.write(9000, bytearray(b'two'))
            self.assertEqual(self.file[0:3], bytes(3))
        self.assertFalse(transaction.is_open)
        self.assertEqual((self.file[0:3], self.file[9000:9003]), (b'one', b'two'))
        with self.assertRaises(KeyError):
            with self.file.begin() as transaction:
                transaction.write(0, b'six')
                raise KeyError
        self.assertEqual(self.file[0:3], b'one')
        self.file.durability = Ipc.Durability.NORMAL
        self.assertEqual(self.file.durability, Ipc.Durability.NORMAL)

    @awaited
    async def test_awaiting(self):
        self.file[0:5] = b'hello'
        await self.file.sync_async(0, 0)
        self.assertFalse(self.file.is_dirty)
        async with self.file.begin() as transaction:
            transaction.write(0, b'HELLO')
        self.assertEqual(self.file[0:5], b'HELLO')
        other = self.manager.map_file(self.path)
        async with self.file.locked(0, 10):
            with self.assertRaises(GLib.Error) as caught:
                other.lock_range(5, 1, Ipc.Access.WRITE, 0)
            self.assert_error(caught.exception, Ipc.Error.TIMED_OUT)
        with other.locked():
            pass
        other.unmap()


tap.main()
