#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Does jobs of a queue. Start as many of these as you like: each job goes to one of them. Kill one: the next one gets
its job.

    queue-worker.py URI QUEUE COUNT

It ends after COUNT jobs. One whose text begins with "bad" fails: it comes again, and after too many attempts it is a
dead letter, which is told at the end.
"""

import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


async def work(delivery):
    text = delivery.message.text
    if text.startswith('bad'):
        print('failed %s, attempt %d' % (text, delivery.attempt), flush=True)
        # Without a delay it would be longer each time.
        await delivery.nack_async(0)
    else:
        print('did', text, flush=True)


async def main(uri, name, count):
    manager = Ipc.QueueManager.new_for_uri(uri)
    queue = await manager.open_queue_async(name)
    async for delivery in queue:
        async with delivery:        # it is acknowledged at the end, unless it was settled by then
            await work(delivery)
        count -= 1
        if count == 0:
            break
    for letter in await queue.list_dead_async():
        print('dead %s, after %d attempts' % (letter.get_message().text, letter.get_attempts()), flush=True)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        print('usage: queue-worker.py URI QUEUE COUNT', file=sys.stderr)
        sys.exit(2)
    try:
        Ipc.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    except GLib.Error as error:
        sys.exit('queue-worker.py: ' + error.message)
