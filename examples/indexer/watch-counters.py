#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Shows the counters of an indexer while it works; where they are is written in counters.h.

    indexer DIR --output FILE --observer './watch-counters.py counters'

A line is printed when they change, but no more than ten a second, and one at the end.
"""

import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

LAYOUT, N_WORKERS, N_JOBS, IS_OVER, FILES, BYTES = range(6)
WORKERS, LAYOUT_KNOWN = 8, 1
PAUSE_MS = 100


class Watcher:
    def __init__(self, segment):
        self.segment = segment
        self.loop = GLib.MainLoop()
        self.pause = 0
        self.changed = False
        segment.connect('changed', lambda segment: self.show_soon())
        segment.connect('deleted', lambda segment: self.end())

    def read(self):
        # One read is one moment: no number of it is older than another one.
        return memoryview(self.segment.read(0, self.segment.get_size()).get_data()).cast('q')

    def show(self):
        numbers = self.read()
        each = [numbers[WORKERS + 2 * i] for i in range(numbers[N_WORKERS])]
        print('%3d%%  %d of %d files, %.1f MB; read by each worker: %s%s'
              % (numbers[FILES] * 100 // max(numbers[N_JOBS], 1), numbers[FILES], numbers[N_JOBS], numbers[BYTES] / 1e6,
                 ' + '.join(map(str, each)), '; over, %d in all' % sum(each) if numbers[IS_OVER] else ''), flush=True)

    def show_soon(self):
        self.changed = True
        if self.pause == 0:
            self.pause_is_over()

    def pause_is_over(self):
        self.pause = GLib.timeout_add(PAUSE_MS, self.pause_is_over) if self.changed else 0
        if self.changed:
            self.changed = False
            self.show()
        return GLib.SOURCE_REMOVE

    def end(self):
        self.show()
        self.loop.quit()


def main(name):
    segment = Ipc.SharedMemoryManager.new(None).open_segment(name, Ipc.Access.READ)
    watcher = Watcher(segment)
    if watcher.read()[LAYOUT] != LAYOUT_KNOWN:
        sys.exit('watch-counters.py: %s has another layout' % name)
    watcher.show()
    # It may have gone before anybody looked; nobody tells of that again.
    if not segment.get_is_deleted():
        watcher.loop.run()
    else:
        watcher.show()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: watch-counters.py NAME', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1])
    except GLib.Error as error:
        sys.exit('watch-counters.py: ' + error.message)
