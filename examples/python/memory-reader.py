#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Prints what memory-writer.py shows, whenever it changes, until the segment is deleted.

    memory-reader.py NAME

Who reads slowly misses frames, and always sees the newest one whole.
"""

import struct
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

# The number of the frame, then the text.
FRAME = struct.Struct('=q1016s')


def show(segment):
    number, text = FRAME.unpack(segment.read(0, FRAME.size))
    if number > 0:
        print('%d: %s' % (number, text.rstrip(b'\0').decode(errors='replace')), flush=True)


def main(name):
    loop = GLib.MainLoop()
    segment = Ipc.SharedMemoryManager().open_segment(name, Ipc.Access.READ)
    segment.connect('changed', show)
    segment.connect('deleted', lambda _: loop.quit())
    # Listening comes first, so that nothing is missed in between.
    show(segment)
    loop.run()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: memory-reader.py NAME', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('memory-reader.py: ' + error.message)
