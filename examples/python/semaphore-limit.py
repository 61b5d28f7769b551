#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Start as many of these as you like: at most PERMITS of them do their work at the same time, the
others wait for their turn. Kill one while it works: the next one takes over.

    semaphore-limit.py NAME PERMITS MILLISECONDS

The work is to say so and to sleep for MILLISECONDS.
"""

import os
import sys
import time

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def open_semaphore(name, permits):
    # Whoever comes first makes the semaphore.
    manager = Ipc.SemaphoreManager()
    try:
        return manager.create_semaphore(name, permits)
    except GLib.Error as error:
        if not Ipc.is_error(error, Ipc.Error.EXISTS):
            raise
    return manager.open_semaphore(name)


def main(name, permits, milliseconds):
    semaphore = open_semaphore(name, permits)
    with semaphore.acquire(-1):
        print('%d works, %d of %d permits are free'
              % (os.getpid(), semaphore.available_permits, semaphore.total_permits), flush=True)
        time.sleep(milliseconds / 1000)
        print('%d is done' % os.getpid(), flush=True)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        print('usage: semaphore-limit.py NAME PERMITS MILLISECONDS', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except GLib.Error as error:
        sys.exit('semaphore-limit.py: ' + error.message)
