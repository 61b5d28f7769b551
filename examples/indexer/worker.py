#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker of the indexer in Python; what is said to whom is written in coordinator.c."""

import hashlib
import json
import os
import stat
import sys
import time
import urllib.parse

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402

CHUNK = 1024 * 1024


def open_regular(path):
    # It was a regular file when it was found; O_NONBLOCK is for the case that it has become a FIFO.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError('not a regular file any more')
    return open(fd, 'rb', buffering=0)


def index_file(path):
    sha256, size, lines = hashlib.sha256(), 0, 0
    with open_regular(path) as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            size += len(chunk)
            lines += chunk.count(b'\n')
    return {'sha256': sha256.hexdigest(), 'size': size, 'lines': lines}


def index_file_with_permit(readers, path):
    # With the overrides of the library this is `with readers.acquire(-1):`; the worker also runs without them.
    permit = readers.acquire(-1, None) if readers is not None else None
    try:
        began = time.monotonic_ns() // 1000
        return {**index_file(path), 'began': began, 'ended': time.monotonic_ns() // 1000}
    finally:
        if permit is not None:
            permit.release()


class Counters:
    """Our place in the segment where everybody can see how far we are: files, then bytes."""

    def __init__(self, scope, name, place):
        self.segment = Ipc.SharedMemoryManager.new(scope).open_segment(name, Ipc.Access.READ | Ipc.Access.WRITE)
        self.place = int(place)

    def count(self, size):
        self.segment.add_int64(self.place, 1)
        self.segment.add_int64(self.place + 8, size)
        self.segment.notify_changed()


def work_on(job, readers, counters):
    # A path is bytes; the URI has them, whatever they are.
    path = urllib.parse.unquote_to_bytes(job['uri'].removeprefix('file://'))
    try:
        result = {'job': job['job'], **index_file_with_permit(readers, path)}
    except OSError as error:
        return {'job': job['job'], 'error': error.strerror or str(error)}
    counters.count(result['size'])
    return result


def next_batch(client, results):
    payload = GLib.Bytes.new(json.dumps(results).encode())
    request = Ipc.Message.new_full('next', Ipc.PayloadFormat.JSON, payload, None, None)
    # For ever: the answer may have to wait for another worker to finish, or to die.
    reply = client.request(request, -1, None)
    return json.loads(reply.get_payload().get_data())


def main(address, label):
    client = Ipc.SocketClient.new(address)
    client.open(None)
    welcome = client.request(Ipc.Message.new_text('join', label), Ipc.TIMEOUT_DEFAULT, None)
    # What we are told of is in the scope that is the folder of the socket.
    scope = Ipc.Scope.new_for_directory(os.path.dirname(address))
    name = welcome.get_header('readers')
    readers = Ipc.SemaphoreManager.new(scope).open_semaphore(name) if name is not None else None
    counters = Counters(scope, welcome.get_header('counters'), welcome.get_header('place'))
    batch = next_batch(client, [])
    while batch:
        batch = next_batch(client, [work_on(job, readers, counters) for job in batch])
    client.close()


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit('usage: worker.py ADDRESS LABEL')
    try:
        main(*sys.argv[1:])
    except GLib.Error as error:
        sys.exit(f'worker {sys.argv[2]}: {error.message}')
