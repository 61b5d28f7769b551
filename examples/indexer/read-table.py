#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Reads the table of results of an indexer, also while it works; what is where is written in table.h.

    read-table.py FILE

It prints how many files are done, and exits with 1 if the head and the records disagree: that never
happens, whenever the indexer is killed.
"""

import struct
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

HEAD = struct.Struct('=5Q')
RECORD = struct.Struct('=3Q32sQ')
DONE = 1


def main(path):
    with Ipc.MappedFileManager().map_file(path, 0, Ipc.Access.READ) as file:
        # One read is one moment, and no half of a transaction.
        table = file.read(0, file.get_size())
    table = memoryview(bytes(table))
    _, n_records, n_done, n_bytes, n_lines = HEAD.unpack_from(table)
    records = [RECORD.unpack_from(table, RECORD.size * (i + 1)) for i in range(n_records)]
    done = [record for record in records if record[0] == DONE]
    counted = len(done), sum(record[1] for record in done), sum(record[2] for record in done)
    print('%d of %d files, %d bytes, %d lines' % (n_done, n_records, n_bytes, n_lines))
    if counted != (n_done, n_bytes, n_lines):
        sys.exit('read-table.py: the records say %d files, %d bytes, %d lines' % counted)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: read-table.py FILE', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('read-table.py: ' + error.message)
