#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker for the indexer that behaves as its label says. It knows the JSON dialect of the protocol and needs no
library. When it has its first batch, it writes the number of files in it to the file FAKE_WORKER_MARK.

  hold     takes a batch and never answers
  leave    takes a batch and ends
  lie      answers for jobs that it has not, and for its own twice; the second time they are not its own any more
  garble   answers with something that is no result
  future   says that it has read until tomorrow
  reverse  says that it had read before it began
  greedy   says that it was reading all files of its batch at the same time
  honest   works"""

import hashlib
import json
import os
import pathlib
import signal
import socket
import sys
import time
import urllib.parse

address, label = sys.argv[1:]
behaviour = label.split('-')[0]
coordinator = socket.socket(socket.AF_UNIX)
coordinator.connect(address)
answers = coordinator.makefile()


def request(message_type, payload):
    coordinator.sendall(json.dumps({'message_type': message_type, 'payload': payload}).encode() + b'\n')
    answer = json.loads(answers.readline())
    if answer['message_type'] == 'error':
        sys.exit('%s: %s' % (label, answer['payload']))
    return answer['payload']


def index(job):
    data = pathlib.Path(os.fsdecode(urllib.parse.unquote_to_bytes(job['uri'].removeprefix('file://')))).read_bytes()
    return {'job': job['job'], 'sha256': hashlib.sha256(data).hexdigest(), 'size': len(data),
            'lines': data.count(b'\n')}


def now():
    return time.monotonic_ns() // 1000


request('join', label)
batch = request('next', [])
pathlib.Path(os.environ['FAKE_WORKER_MARK']).write_text(str(len(batch)))
if behaviour == 'hold':
    signal.pause()
if behaviour == 'leave':
    sys.exit(3)
while batch:
    began = now()
    results = [index(job) for job in batch]
    if behaviour == 'lie':
        lie = {'sha256': '0' * 64, 'size': 1, 'lines': 1}
        results += [{'job': job, **lie} for job in [*(job['job'] for job in batch), 0, 10 ** 9, 2 ** 40]]
    if behaviour == 'garble':
        results = [{'job': batch[0]['job'], 'sha256': 'nonsense', 'size': 1, 'lines': 1}]
    times = {'future': {'began': began, 'ended': began + 86400 * 10 ** 6}, 'reverse': {'began': now(), 'ended': began - 1},
             'greedy': {'began': began, 'ended': now()}}.get(behaviour, {})
    results = [{**result, **times} for result in results]
    batch = request('next', results)
