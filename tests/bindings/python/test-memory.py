# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shared memory: read and written whole, looked at without a copy, by this process and another one."""

import array
import fcntl
import mmap
import os
import threading
import time

from case import Gio, GLib, Ipc, awaited, open_fds, signalled
from memory import MemoryCase
import tap


class TestSegments(MemoryCase):
    def test_managers(self):
        self.assertTrue(self.manager)
        self.assertIn(self.name, [segment.name for segment in self.manager.items])
        self.assertIs(self.manager.open_segment(self.name), self.segment)
        scope = Ipc.Scope.new_for_directory(self.directory)
        other = Ipc.SharedMemoryManager(scope, default_segment_size=100)
        self.assertIs(other.scope, scope)
        self.assertEqual((len(other.items), other.total_size, other.average_segment_size), (0, 0, 0))
        self.assertEqual(other.create_segment('a').size, 100)
        b = other.create_segment('b', 300)
        self.assertEqual((b.name, b.size, other.n_items, other.total_size, other.average_segment_size), ('b', 300, 2, 400, 200))
        b.read()
        self.assertEqual(other.total_access_count, 1)
        other.delete_segment('b')
        self.assertTrue(b.is_deleted)
        self.assertEqual([segment.name for segment in other.items], ['a'])

    def test_what_is_refused(self):
        manager, E = self.manager, Ipc.Error
        self.assert_raises(E.EXISTS, manager.create_segment, self.name, text=self.name)
        self.assert_raises(E.MISMATCH, manager.create_segment, self.name, 5, text='4096 bytes, asked 5')
        self.assert_raises(E.LIMIT_EXCEEDED, manager.create_segment, 'large', (1 << 30) + 1)
        self.assert_raises(E.TOO_LARGE, manager.create_segment, 'larger', 1 << 60)
        self.assert_raises(E.INVALID_NAME, manager.create_segment, '../a', 10)
        self.assert_raises(E.NOT_FOUND, manager.open_segment, 'nobody')
        self.assert_raises(E.NOT_FOUND, manager.delete_segment, 'nobody')
        self.assert_raises(E.INVALID_ARGUMENT, Ipc.SharedMemory.new_anonymous, 0)
        self.assertRaises(TypeError, Ipc.SharedMemory)
        self.assertRaises(TypeError, Ipc.Semaphore)
        self.assertRaises(TypeError, manager.create_segment, None)
        self.assertRaises(OverflowError, manager.create_segment, 'a', -1)
        with open('/dev/null', 'rb') as file:
            self.assert_raises(E.WRONG_TYPE, Ipc.SharedMemory.new_from_fd, file.fileno())

    def test_properties(self):
        segment = self.segment
        self.assertEqual((segment.name, segment.size, segment.n_attached, segment.is_deleted, segment.is_sealed),
                         (self.name, 4096, 1, False, False))
        self.assertEqual(segment.access, Ipc.Access.READ | Ipc.Access.WRITE)
        self.assertEqual(len(segment.id), 36)
        self.assertTrue(segment.is_consistent)
        self.assertTrue(time.time() - 60 < segment.created_at / 1e6 <= segment.last_accessed / 1e6 <= time.time())
        before = segment.access_count
        segment.write(0, b'a')
        segment.read(0, 1)
        self.assertEqual(segment.access_count, before + 2)
        self.assertEqual(repr(segment), '<Ipc.SharedMemory %r, 4096 bytes>' % self.name)
        self.assertTrue(segment)
        with Ipc.SharedMemory.new_anonymous(1) as anonymous:
            self.assertEqual((anonymous.name, len(anonymous), bool(anonymous)), (None, 1, True))
            self.assertIn('anonymous', repr(anonymous))

    def test_read_and_write(self):
        segment = self.segment
        self.assertEqual(segment.read(), bytes(4096))
        for data in (b'abc', bytearray(b'abc'), memoryview(b'xabcx')[1:4], array.array('B', b'abc'), GLib.Bytes.new(b'abc'),
                     memoryview(b'a-b-c-')[::2]):
            segment.write(4000, bytes(3))
            self.assertTrue(segment.write(4000, data))
            self.assertEqual(segment.read(4000, 3), b'abc')
        self.assertEqual(segment.read(3999, 5), b'\0abc\0')
        self.assertEqual(segment.read(4000), b'abc' + bytes(93))
        self.assertEqual(segment.read(length=2), bytes(2))
        segment.write(5, b'')
        self.assertEqual((segment.read(5, 0), segment.read(4096, 0), segment.read(4096)), (b'', b'', b''))
        E = Ipc.Error
        self.assert_raises(E.OUT_OF_BOUNDS, segment.read, 4090, 7, text='offset 4090, length 7, of 4096')
        self.assert_raises(E.OUT_OF_BOUNDS, segment.read, 4097)
        self.assert_raises(E.OUT_OF_BOUNDS, segment.write, 4094, b'abc')
        for wrong in 'abc', 3, None, [1, 2]:
            self.assertRaises(TypeError, segment.write, 0, wrong)
        self.assertRaises(OverflowError, segment.read, -1)
        for call, *args in ((segment.read, 'x'), (segment.read, 1.5), (segment.read, 0, 1.5), (segment.write, 1.5, b'x'),
                            (segment.read_int64, 1.5), (segment.write_int64, 0, 1.5), (segment.add_int64, 0, 1.5),
                            (self.manager.create_segment, 'a', 1.5)):
            self.assertRaises(TypeError, call, *args)
        self.assertEqual(segment.get_bytes(4000, 3).get_data(), b'abc')

    def test_slices(self):
        segment = self.segment
        segment[:6] = b'abcdef'
        self.assertEqual((segment[0:3], segment[2], segment[5:1:-2], segment[3:3], segment[6]), (b'abc', 99, b'fd', b'', 0))
        segment[-3:] = bytearray(b'xyz')
        segment[-1] = 33
        self.assertEqual((segment[4093:], segment[4094:9999], segment[-1], segment[9999:]), (b'xy!', b'y!', 33, b''))
        self.assertEqual((len(segment[:]), len(segment), segment[::1024]), (4096, 4096, b'a\0\0\0'))
        self.assertTrue(b'cde' in segment and 33 in segment and 34 not in segment)
        self.assertEqual(bytes(segment), segment.read())
        segment[3:3] = b''
        for index in 4096, -4097:
            self.assertRaises(IndexError, segment.__getitem__, index)
            self.assertRaises(IndexError, segment.__setitem__, index, 1)
        for data in b'ab', b'abcd':
            self.assertRaises(ValueError, segment.__setitem__, slice(0, 3), data)
        self.assertRaises(ValueError, segment.__setitem__, slice(0, 6, 2), b'abc')
        self.assertRaises(ValueError, segment.__setitem__, 0, 256)
        self.assertRaises(TypeError, segment.__setitem__, slice(0, 3), 'abc')
        self.assertRaises(TypeError, segment.__getitem__, 'abc')
        self.assertEqual(segment[:6], b'abcdef')

    def test_numbers(self):
        segment = self.segment
        for value in 0, -1, 2 ** 63 - 1, -2 ** 63:
            segment.write_int64(3, value)
            self.assertEqual(segment.read_int64(3), value)
        for value in 0.0, -1.5, 1e300, float('inf'):
            segment.write_double(11, value)
            self.assertEqual(segment.read_double(11), value)
        segment.write_int64(8, 40)
        self.assertEqual((segment.add_int64(8, 2), segment.add_int64(8, -50), segment.read_int64(8)), (42, -8, -8))
        self.assertEqual(int.from_bytes(segment[8:16], 'little', signed=True), -8)
        for call, *args in ((segment.read_int64,), (segment.read_double,), (segment.add_int64, 1), (segment.write_double, 1)):
            self.assert_raises(Ipc.Error.OUT_OF_BOUNDS, call, 4089, *args)

    def test_access(self):
        reader = self.manager.open_segment(self.name, Ipc.Access.READ)
        self.assertIsNot(reader, self.segment)
        self.segment[0:2] = b'ab'
        self.assertEqual((reader[0:2], bytes(reader.buf[:2])), (b'ab', b'ab'))
        E = Ipc.Error
        for call, *args in ((reader.write, 0, b'x'), (reader.write_int64, 0, 1), (reader.add_int64, 0, 1), (reader.resize, 5000),
                            (reader.seal,), (reader.notify_changed,), (reader.__setitem__, 0, 1)):
            self.assert_raises(E.PERMISSION_DENIED, call, *args)
        writer = self.manager.open_segment(self.name, access=Ipc.Access.WRITE)
        writer.write(0, b'c')
        self.assert_raises(E.PERMISSION_DENIED, writer.read)
        self.assert_raises(E.PERMISSION_DENIED, lambda: writer.buf)
        self.assertEqual(reader[0:2], b'cb')
        listed = next(item for item in self.manager.items if item.name == self.name)
        self.assertEqual((listed.read(0, 2), listed.buf.readonly), (b'cb', True))

    def test_threads_and_a_torn_read(self):
        """What is read is what one write left there."""
        stop, torn = threading.Event(), []

        def write(letter):
            while not stop.is_set():
                self.segment.write(0, letter * 3000)

        def read():
            for _ in range(300):
                torn.extend([0] if len(set(self.segment.read(0, 3000))) != 1 else [])
        threads = [threading.Thread(target=write, args=(letter,)) for letter in (b'a', b'b')]
        readers = [threading.Thread(target=read) for _ in range(2)]
        self.segment.write(0, b'a' * 3000)
        for thread in threads + readers:
            thread.start()
        for thread in readers:
            thread.join()
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(torn, [])


class TestViews(MemoryCase):
    def test_buf(self):
        segment = self.segment
        view = segment.buf
        self.assertIs(segment.buf, view)
        self.assertEqual((type(view), len(view), view.readonly, view.format), (memoryview, 4096, False, 'B'))
        view[0:3] = b'abc'
        self.assertEqual(segment[0:4], b'abc\0')
        segment.write(1, b'XY')
        self.assertEqual(bytes(view[:3]), b'aXY')
        numbers = view.cast('q')
        numbers[511] = -5
        self.assertEqual(segment.read_int64(4088), -5)
        self.assertEqual(segment.add_int64(4088, 3), numbers[511])

    def test_an_array_of_numpy(self):
        try:
            import numpy
        except ImportError:
            self.skipTest('there is no numpy')
        array = numpy.frombuffer(self.segment.buf, dtype='f8', count=4, offset=64)
        array[:] = 1.5, 2, 3, 4
        self.assertEqual(self.segment.read_double(64), 1.5)
        self.segment.write(0, numpy.arange(4, dtype='f8'))
        self.assertEqual(self.segment.read_double(24), 3)

    def test_a_view_is_the_memory_itself(self):
        """What another process writes is seen through the view that there is."""
        view = self.segment.buf
        address = view[100:104]
        peer = self.start_peer('segment', self.name)
        self.assertEqual(peer.ask('write', 100, 'news'), 'True')
        self.assertEqual(bytes(address), b'news')
        address[0] = ord('N')
        self.assertEqual(peer.ask('read', 100, 4), 'News')
        self.assertEqual(peer.ask('store', 103, ord('t')), 'None')
        self.assertEqual((bytes(address), self.segment[100:104]), (b'Newt', b'Newt'))
        self.assertIs(self.segment.buf, view)
        self.assertEqual(self.segment.n_attached, 2)

    def test_growing(self):
        view = self.segment.buf
        view[0] = 1
        self.segment.resize(10000)
        self.assertEqual((len(self.segment), len(self.segment.buf), len(view)), (10000, 10000, 4096))
        self.segment.buf[1] = 2
        self.assertEqual(bytes(view[:3]), b'\1\2\0')
        peer = self.start_peer('segment', self.name)
        self.assertEqual(peer.ask('resize', 20000), 'True')
        self.assertEqual(peer.ask('write', 19997, 'end'), 'True')
        self.assertEqual(bytes(self.segment.buf[-3:]), b'end')
        self.assert_raises(Ipc.Error.INVALID_ARGUMENT, self.segment.resize, 19999, text='can only grow')

    def test_closing(self):
        """A view that is in use stays good; the segment can be used on."""
        with self.segment as segment:
            view = segment.buf
            kept = view[:4]
            view[:4] = b'kept'
        self.assertEqual((bytes(kept), segment[:4]), (b'kept', b'kept'))
        segment.close()
        self.assertIsNot(segment.buf, view)
        with self.assertRaises(KeyError):
            with segment:
                raise KeyError
        with Ipc.SharedMemory.new_anonymous(4096) as anonymous:
            view = anonymous.buf
        del anonymous
        view[:] = b'x' * 4096       # and without the segment
        self.assertEqual(view[4095], ord('x'))

    def test_sealing(self):
        E = Ipc.Error
        with Ipc.SharedMemory.new_anonymous(100) as segment:
            segment.buf[:3] = b'abc'
            held = segment.buf
            with self.assertRaises(GLib.Error) as caught:
                segment.seal()
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.BUSY), caught.exception)
            self.assertIn('mapped its descriptor', caught.exception.message)
            self.assertFalse(segment.is_sealed)
            del held
            self.assertTrue(segment.seal())
            self.assertTrue(segment.is_sealed and segment.buf.readonly)
            self.assertEqual((bytes(segment.buf[:3]), segment[:3]), (b'abc', b'abc'))
            self.assertRaises(TypeError, segment.buf.__setitem__, 0, 1)
            self.assert_raises(E.PERMISSION_DENIED, segment.write, 0, b'x')
            self.assert_raises(E.PERMISSION_DENIED, segment.resize, 200)
        # one with a name keeps those who use the library from writing
        self.assertFalse(self.segment.buf.readonly)
        self.manager.open_segment(self.name).seal()
        self.assertTrue(self.segment.buf.readonly)
        self.assert_raises(E.PERMISSION_DENIED, self.segment.__setitem__, 0, 1)

    def test_handing_over(self):
        segment = Ipc.SharedMemory.new_anonymous(4096)
        segment[:4] = b'mine'
        for sealed in False, True:
            if sealed:
                segment.seal()
            fd = segment.dup_fd()
            peer = self.start_peer('segment-of', str(fd), pass_fds=[fd])
            os.close(fd)
            self.assertEqual(peer.ask('read', 0, 4), 'mine')
            if sealed:
                self.assertIn('not open for writing', peer.ask('write', 0, 'more'))
            else:
                self.assertEqual(peer.ask('write', 4, 'ours'), 'True')
            self.assertEqual(bytes(segment.buf[:8]), b'mineours')
            self.assertEqual(peer.end(), 0)

    def test_a_memfd_of_somebody_else(self):
        fd = os.memfd_create('test', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.addCleanup(os.close, fd)
        os.write(fd, b'0123456789')
        self.assert_raises(Ipc.Error.INVALID_DATA, Ipc.SharedMemory.new_from_fd, fd)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        segment = Ipc.SharedMemory.new_from_fd(fd)
        self.assertEqual((segment.size, segment[2:5], segment.get_fd_offset(), segment.is_sealed), (10, b'234', 0, False))
        segment.buf[0] = ord('x')
        self.assertEqual(os.pread(fd, 2, 0), b'x1')
        segment.close()
        del segment
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
        segment = Ipc.SharedMemory.new_from_fd(fd)
        self.assertEqual((bytes(segment.buf), segment.buf.readonly, segment.access), (b'x123456789', True, Ipc.Access.READ))
        self.assertTrue(segment.is_sealed)

    def test_a_map_of_ones_own(self):
        fd = self.segment.dup_fd()
        with open(fd, 'r+b') as file, mmap.mmap(file.fileno(), 4096, offset=self.segment.get_fd_offset()) as own:
            own[:3] = b'own'
        self.assertEqual(self.segment[:3], b'own')


class TestChanges(MemoryCase):
    @awaited
    async def test_changed(self):
        peer = self.start_peer('segment', self.name)
        changed = signalled(self.segment, 'changed')
        self.assertEqual(peer.ask('write', 0, 'news'), 'True')
        self.assertEqual(peer.ask('tell'), 'True')
        await changed
        self.assertEqual(self.segment[:4], b'news')
        resized, noticed = signalled(self.segment, 'resized'), signalled(self.segment, 'notify::size')
        self.assertEqual(peer.ask('resize', 5000), 'True')
        await resized
        await noticed
        self.assertEqual(self.segment.size, 5000)
        deleted = signalled(self.segment, 'deleted')
        self.assertEqual(peer.ask('delete'), 'True')
        await deleted
        self.assertTrue(self.segment.is_deleted)
        self.assertEqual(peer.ask('read', 0, 4), 'news')
        self.assertEqual(self.manager.create_segment(self.name, 10).read(), bytes(10))

    def test_counts_of_several_processes(self):
        peers = [self.start_peer('segment', self.name) for _ in range(2)]
        for peer in peers:
            print('add', 0, 2000, file=peer._process.stdin)
        for _ in range(2000):
            self.segment.add_int64(0, 1)
        self.assertEqual([peer.read_line() for peer in peers], ['2000', '2000'])
        self.assertEqual(self.segment.read_int64(0), 6000)

    def test_a_truncated_file(self):
        """No crash: what is gone reads as zero, or is an error."""
        self.segment[:3] = b'abc'
        bytes_ = self.segment.get_bytes(0, 3)
        peer = self.start_peer('segment', self.name)
        peer.ask('truncate')
        self.assert_raises(Ipc.Error.CORRUPT, self.segment.read)
        self.assertEqual(bytes_.get_data(), bytes(3))
        self.assert_raises(Ipc.Error.CORRUPT, self.segment.write, 0, b'x')

    def test_a_forked_child(self):
        view = self.segment.buf
        view[0] = 7
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                view[1] = view[0] + 1
                self.segment.read()
            except GLib.Error as error:
                status = 0 if Ipc.is_error(error, Ipc.Error.FORKED) else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assertEqual(self.segment[:2], b'\7\10')

    def test_nothing_is_left(self):
        """No descriptor, whatever is made and dropped."""
        def use():
            segment = Ipc.SharedMemoryManager().open_segment(self.name)
            with segment, segment.locked():
                segment.buf[0] += 1
                Ipc.SharedMemory.new_anonymous(100).buf[0] = 1
        use()
        before = open_fds()
        for _ in range(20):
            use()
        self.assertLessEqual(open_fds(), before)


if __name__ == '__main__':
    tap.main()
