#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Shows a text to whoever looks: each line of the standard input takes the place of the one before. It
is written into shared memory once, however many readers there are, and none of them is waited for.

    memory-writer.py NAME

At the end of the input the segment is deleted. See memory-reader.py.
"""

import struct
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

# The number of the frame, then the text.
FRAME = struct.Struct('=q1016s')


def main(name):
    manager = Ipc.SharedMemoryManager()
    segment = manager.create_segment(name, FRAME.size)
    print('writing to', name, file=sys.stderr, flush=True)
    try:
        for number, line in enumerate(sys.stdin.buffer, start=1):
            # One write is one frame: nobody sees the number without its text.
            segment.write(0, FRAME.pack(number, line.rstrip(b'\n')))
            segment.notify_changed()
    finally:
        manager.delete_segment(name)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: memory-writer.py NAME', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('memory-writer.py: ' + error.message)
