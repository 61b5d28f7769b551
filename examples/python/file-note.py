#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Keeps a note in a file, and how often it was changed. Whatever happens while it is changed, also a
power cut, the number and the text belong together, for all who read them.

    file-note.py PATH [TEXT]

Without TEXT it prints what is there.
"""

import struct
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

# The number, then the text.
NOTE = struct.Struct('=q1016s')


def main(path, text=None):
    with Ipc.MappedFileManager().map_file(path, NOTE.size) as file:
        if text is not None:
            # Nobody else changes it between reading and writing.
            with file.locked(0, NOTE.size), file.begin() as transaction:
                number, _ = NOTE.unpack(file.read(0, NOTE.size))
                transaction.write(0, NOTE.pack(number + 1, text.encode()))
        number, text = NOTE.unpack(file.read(0, NOTE.size))
        print(number, text.rstrip(b'\0').decode(errors='replace'))


if __name__ == '__main__':
    if len(sys.argv) not in (2, 3):
        print('usage: file-note.py PATH [TEXT]', file=sys.stderr)
        sys.exit(2)
    try:
        main(*sys.argv[1:])
    except GLib.Error as error:
        sys.exit('file-note.py: ' + error.message)
