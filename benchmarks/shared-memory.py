#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What shared memory costs in Python: views of a segment without a copy, and reading and writing it whole, beside
multiprocessing.shared_memory of Python's own library.

    meson devenv -C build /usr/bin/python3 $PWD/benchmarks/shared-memory.py [--check]

Rounds are interleaved, and what is printed are medians. With --check, the exit status is 1 if to make a view of a segment
that is mapped takes more than a microsecond.
"""

import argparse
import mmap
import os
import statistics
import sys
import tempfile
import time
from multiprocessing import shared_memory

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

SIZE = 1 << 20
LITTLE = 64
MOST_US = 1.0


def measure(function, n):
    """Microseconds for one call."""
    began = time.perf_counter()
    for _ in range(n):
        function()
    return (time.perf_counter() - began) * 1e6 / n


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
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--rounds', type=int, default=31)
    parser.add_argument('--check', action='store_true')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir='/dev/shm') as directory:
        scope = Ipc.Scope.new_for_directory(directory)
        segment = Ipc.SharedMemoryManager.new(scope).create_segment('bench', SIZE, Ipc.Access.READ | Ipc.Access.WRITE)
        theirs = shared_memory.SharedMemory(create=True, size=SIZE)
        mapping = map_segment(segment)
        table = cases(segment, mapping, theirs)
        results = {name: [] for name in table}
        for _ in range(options.rounds):
            for name, (function, n) in table.items():
                results[name].append(measure(function, n))
        table.clear()
        theirs.unlink()
    medians = {name: statistics.median(values) for name, values in results.items()}
    for name, median in medians.items():
        print('%-42s %10.2f µs' % (name, median))
    missed = [name for name in list(medians)[:2] if medians[name] > MOST_US]
    for name in missed:
        print('MISSED: %s takes more than %.1f µs' % (name, MOST_US))
    return options.check and bool(missed)


if __name__ == '__main__':
    sys.exit(main())
