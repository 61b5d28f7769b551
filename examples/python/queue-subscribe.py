#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Gets a copy of all that is published in a queue, as does everybody else who runs this; nothing is taken from the queue.

    queue-subscribe.py URI QUEUE COUNT

It ends after COUNT messages.
"""

import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


def main(uri, name, count):
    manager = Ipc.QueueManager.new_for_uri(uri)
    queue = manager.open_queue(name)
    loop = GLib.MainLoop()
    n = 0

    def hear(_, message):
        nonlocal n
        print('heard', message.text, flush=True)
        n += 1
        if n == count:
            loop.quit()
    subscription = queue.subscribe(hear)
    print('subscribed to', name, flush=True)
    loop.run()
    subscription.stop()


if __name__ == '__main__':
    if len(sys.argv) != 4:
        print('usage: queue-subscribe.py URI QUEUE COUNT', file=sys.stderr)
        sys.exit(2)
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    except GLib.Error as error:
        sys.exit('queue-subscribe.py: ' + error.message)
