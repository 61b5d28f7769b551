#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What shared memory costs in Python: views of a segment without a copy, and reading and writing it whole, beside
multiprocessing.shared_memory of Python's own library.

    meson devenv -C build /usr/bin/python3 $PWD/benchmarks/shared-memory.py [--check]

Rounds are interleaved, and what is printed are medians. With --check, the exit status is 1 if to make a view of a segment
that is mapped takes more than a microsecond.
"""

import mmap
import os
import sys
import tempfile
from multiprocessing import shared_memory

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

import bench_views  # noqa: E402

SIZE = 1 << 20
LITTLE = 64


def map_segment(segment):
    """All of it, as the kernel has it: what is read there is not kept whole."""
    fd = segment.dup_fd()
    try:
        return mmap.mmap(fd, segment.get_size(), offset=segment.get_fd_offset())
    finally:
        os.close(fd)


def cases(segment, mapping, theirs):
    view, their_view = memoryview(mapping), theirs.buf
    little, much = bytes(LITTLE), bytes(SIZE)
    little_bytes, much_bytes = GLib.Bytes.new(little), GLib.Bytes.new(much)

    def fill(target, data):
        target[:len(data)] = data

    return {
        'a memoryview of what is mapped': (lambda: memoryview(mapping), 20000),
        'a slice of it': (lambda: view[4096:8192], 20000),
        'a slice of a SharedMemory.buf': (lambda: their_view[4096:8192], 20000),
        'mapping a segment': (lambda: map_segment(segment).close(), 200),
        '64 B written and read through the view': (lambda: (fill(view, little), bytes(view[:LITTLE])), 5000),
        '64 B written and read, SharedMemory': (lambda: (fill(their_view, little), bytes(their_view[:LITTLE])), 5000),
        '64 B written and read whole': (lambda: (segment.write(0, little_bytes), segment.read(0, LITTLE)), 2000),
        '1 MiB written and read through the view': (lambda: (fill(view, much), bytes(view)), 20),
        '1 MiB written and read, SharedMemory': (lambda: (fill(their_view, much), bytes(their_view[:SIZE])), 20),
        '1 MiB written and read whole': (lambda: (segment.write(0, much_bytes), segment.read(0, SIZE)), 20),
        'add_int64()': (lambda: segment.add_int64(0, 1), 2000),
    }


def main():
    options = bench_views.parse(__doc__)
    with tempfile.TemporaryDirectory(dir='/dev/shm') as directory:
        scope = Ipc.Scope.new_for_directory(directory)
        segment = Ipc.SharedMemoryManager.new(scope).create_segment('bench', SIZE, Ipc.Access.READ | Ipc.Access.WRITE)
        theirs = shared_memory.SharedMemory(create=True, size=SIZE)
        mapping = map_segment(segment)
        table = cases(segment, mapping, theirs)
        medians = bench_views.measure(table, options.rounds)
        theirs.unlink()
    return bench_views.report(medians, options.check)


if __name__ == '__main__':
    sys.exit(main())
