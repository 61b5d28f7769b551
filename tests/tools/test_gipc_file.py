#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gipc file from outside: bytes as they are, all or nothing, and who is told of what."""

import os
import re
import sys

from gipc import GIPC, gipc
from programs import Program, case, run_cases
from tap import equal

VERBS = 'info', 'read', 'write', 'sync', 'watch'
LINE = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +(\d+) (changed|truncated|replaced)')


def file(verb, *arguments, **options):
    return gipc('file', verb, *arguments, **options)


def done(result, stdout=b''):
    equal((result.returncode, result.stderr), (0, b''))
    equal(result.stdout == stdout, True, 'what it prints')


def make(directory, content):
    path = os.path.join(directory, 'x')
    with open(path, 'wb') as stream:
        stream.write(content)
    return path


def seen(watcher):
    line = watcher.line(watcher.stdout)
    match = LINE.fullmatch(line or '')
    if not match:
        raise AssertionError('not a line of watch: %r' % line)
    return int(match[1]), match[2]


@case
def help_and_usage(directory):
    for verb in VERBS:
        equal(file(verb, '--help').returncode, 0)
        equal(file(verb).returncode, 2)
    equal(file('read', 'x', 'y').returncode, 2)
    equal(file('nothing').returncode, 2)


@case
def round_trip(directory):
    path = make(directory, bytes(range(256)) * 8)
    done(file('read', path), bytes(range(256)) * 8)
    done(file('write', path, '1K', input=b'hello'))
    done(file('read', path, '1K', '5'), b'hello')
    done(file('read', path, '2K'), b'')
    done(file('sync', path))
    with open(path, 'rb') as stream:
        content = stream.read()
    equal((len(content), content[1024:1029], content[1029]), (2048, b'hello', 5))
    info = file('info', path).stdout.decode()
    equal(('path        ' + path in info, 'size        2048' in info), (True, True))


@case
def what_is_refused(directory):
    path = make(directory, b'0123456789')
    for arguments, text in (('read', path, '11'), 'of 10 bytes'), (('read', path, '5', '6'), 'of 10 bytes'), \
            (('read', str(directory)), 'a directory'), (('info', path + 'y'), 'there is no file'), (('sync', path + 'y'), 'there is no file'):
        result = file(*arguments)
        equal((result.returncode, text in result.stderr.decode()), (1, True))
    result = file('write', path, '8', input=b'abc')
    equal((result.returncode, b'of 10 bytes' in result.stderr), (1, True))
    with open(path, 'rb') as stream:
        equal(stream.read(), b'0123456789')
    equal(os.path.exists(os.path.join(directory, '.x.journal')), False)


@case
def watched(directory):
    path = make(directory, bytes(10000))
    with Program(GIPC, 'file', 'watch', path) as watcher:
        equal(watcher.line(watcher.stderr), 'watching ' + path)
        done(file('write', path, input=b'x'))
        equal(seen(watcher), (10000, 'changed'))
        os.truncate(path, 100)
        equal(seen(watcher), (100, 'truncated'))
        os.unlink(path)
        equal(seen(watcher), (100, 'replaced'))
        equal(watcher.end(), 0)


if __name__ == '__main__':
    sys.exit(run_cases(help_and_usage, round_trip, what_is_refused, watched))
