#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Puts jobs into a queue, which is made if there is none.

    queue-publish.py URI QUEUE TEXT…

URI says where the queue is kept: "sqlite:" for a database that all your programs share, "ipc:ADDRESS" for the
queues that another process serves (gipc queue serve ADDRESS).
"""

import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def open_queue(manager, name):
    try:
        return manager.create_queue(name)
    except GLib.Error as error:
        if not Ipc.is_error(error, Ipc.Error.EXISTS):
            raise
    return manager.open_queue(name)


def main(uri, name, *texts):
    manager = Ipc.QueueManager.new_for_uri(uri)
    queue = open_queue(manager, name)
    for text in texts:
        queue.publish(Ipc.Message('job', text))
        print('published', text)


if __name__ == '__main__':
    if len(sys.argv) < 3:
        print('usage: queue-publish.py URI QUEUE TEXT…', file=sys.stderr)
        sys.exit(2)
    try:
        main(*sys.argv[1:])
    except GLib.Error as error:
        sys.exit('queue-publish.py: ' + error.message)
