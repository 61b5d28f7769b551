#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What mapped files cost in Python: views of one without a copy, reading and writing, and transactions, beside the mmap module of
Python's own library.

    meson devenv -C build /usr/bin/python3 $PWD/benchmarks/mapped-file.py [--check]

Rounds are interleaved, and what is printed are medians. With --check, the exit status is 1 if to make a view of a file that is
mapped takes more than a microsecond.
"""

import mmap
import os
import sys
import tempfile

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

import bench_views  # noqa: E402

SIZE = 1 << 20
LITTLE = 64
BLOCK = 4096


def map_by_hand(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, SIZE)
        return mmap.mmap(fd, SIZE)
    finally:
        os.close(fd)


def map_file(file):
    fd = file.dup_fd()
    try:
        return mmap.mmap(fd, file.get_size())
    finally:
        os.close(fd)


def cases(file, mapping, theirs):
    view, their_view = memoryview(mapping), memoryview(theirs)
    little, block = bytes(LITTLE), bytes(BLOCK)
    little_bytes, block_bytes = GLib.Bytes.new(little), GLib.Bytes.new(block)

    def fill(target, data):
        target[:len(data)] = data

    def commit():
        transaction = file.begin()
        transaction.write(0, block_bytes)
        transaction.commit(None)

    return {
        'a memoryview of what is mapped': (lambda: memoryview(mapping), 20000),
        'a slice of it': (lambda: view[4096:8192], 20000),
        'a slice of an mmap': (lambda: their_view[4096:8192], 20000),
        'mapping it once more': (lambda: map_file(file).close(), 200),
        '64 B written through the view, mark_dirty()': (lambda: (fill(view, little), file.mark_dirty(0, LITTLE)), 2000),
        '64 B written through an mmap': (lambda: fill(their_view, little), 5000),
        '64 B written and read': (lambda: (file.write(0, little_bytes), file.read(0, LITTLE)), 2000),
        '64 B written and read, mmap': (lambda: (fill(their_view, little), bytes(their_view[:LITTLE])), 5000),
        '4 KiB in a transaction, NORMAL': (commit, 500),
        '4 KiB written through an mmap': (lambda: fill(their_view, block), 5000),
        '4 KiB written, and flush() of the mmap': (lambda: (fill(their_view, block), theirs.flush(0, BLOCK)), 5),
    }


def main():
    options = bench_views.parse(__doc__)
    with tempfile.TemporaryDirectory(dir='.') as directory:
        directory = os.path.abspath(directory)
        scope = Ipc.Scope.new_for_directory(directory)
        access = Ipc.Access.READ | Ipc.Access.WRITE
        file = Ipc.MappedFileManager.new(scope).map_file(os.path.join(directory, 'ours'), SIZE, access)
        file.set_durability(Ipc.Durability.NORMAL)
        table = cases(file, map_file(file), map_by_hand(os.path.join(directory, 'theirs')))
        medians = bench_views.measure(table, options.rounds)
        file.unmap()
    return bench_views.report(medians, options.check)


if __name__ == '__main__':
    sys.exit(main())
