#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gipc memory from outside: bytes as they are, who is told of what, whoever is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time

from gipc import GIPC, check_error, gipc
from programs import DEADLINE, Program, case, run, run_cases
from tap import Skip, equal

VERBS = 'create', 'list', 'info', 'write', 'read', 'watch', 'delete'
LINE = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +(\d+) +(\d+) (changed|resized|deleted)')


def memory(verb, *arguments, **options):
    return gipc('memory', verb, *arguments, **options)


def done(result, stdout=b''):
    equal((result.returncode, result.stderr), (0, b''))
    if stdout is not None:
        equal(result.stdout == stdout, True, 'what it prints')
    return result


def create(name='s', size='4096'):
    done(memory('create', name, size))


def read(*arguments, name='s'):
    return done(memory('read', name, *arguments), stdout=None).stdout


def info(name='s'):
    return json.loads(done(memory('info', '--json', name), stdout=None).stdout)


def until(condition, name='s'):
    """What info says when the condition holds of it."""
    deadline = time.monotonic() + DEADLINE
    while not condition(row := info(name)):
        if time.monotonic() > deadline:
            raise AssertionError('it does not come: %r' % row)
    return row


def watch(*options, name='s'):
    """One that sees what happens from now on."""
    watcher = Program(GIPC, 'memory', 'watch', *options, name)
    equal(watcher.line(watcher.stderr), 'watching ' + name)
    return watcher


def seen(watcher):
    """Size, accesses and what happened, of the next line."""
    line = watcher.line(watcher.stdout)
    match = LINE.fullmatch(line or '')
    if not match:
        raise AssertionError('not a line of watch: %r' % line)
    return int(match[1]), int(match[2]), match[3]


def in_python(script):
    """What gipc has no verb for, by the library in another process."""
    if 'HAVE_INTROSPECTION' not in os.environ:
        raise Skip('no typelib in this build')
    if run('/usr/bin/python3', '-c', 'import gi').returncode != 0:
        raise Skip('no PyGObject')
    prelude = ('import gi; gi.require_version("Ipc", "1.0"); from gi.repository import Ipc; '
               'manager = Ipc.SharedMemoryManager.new(None); '
               's = manager.open_segment("s", Ipc.Access.READ | Ipc.Access.WRITE); ')
    done(run('/usr/bin/python3', '-c', prelude + script))


@case
def help_texts(directory):
    whole = memory('--help')
    equal((whole.returncode, whole.stderr), (0, b''))
    for verb in VERBS:
        equal(('\n  %s ' % verb).encode() in whole.stdout, True, verb)
        result = memory(verb, '--help')
        equal((result.returncode, result.stderr), (0, b''))
        equal(('gipc memory ' + verb).encode() in result.stdout, True, verb)


@case
def usage(directory):
    create('a')
    for arguments in [(), ('nonsense',), ('--nonsense',), ('create',), ('create', 'b'), ('create', 'b', '1', '2'),
                      ('create', 'b', ''), ('create', 'b', '0'), ('create', 'b', '0K'), ('create', 'b', 'K'),
                      ('create', 'b', '-1'), ('create', 'b', '--', '-1'), ('create', 'b', '+1'), ('create', 'b', '1.5K'),
                      ('create', 'b', '1 K'), ('create', 'b', '1T'), ('create', 'b', '1k'), ('create', 'b', '1KK'),
                      ('create', 'b', '0x10'), ('create', 'b', ' 1'), ('create', 'b', '18446744073709551616'),
                      ('create', 'b', '18014398509481984K'), ('create', 'b', '17179869184G'), ('list', 'a'), ('info',),
                      ('info', 'a', 'b'), ('write',), ('write', 'a', 'x'), ('write', 'a', '1', '2'), ('read',),
                      ('read', 'a', 'x'), ('read', 'a', '1', 'x'), ('read', 'a', '1', '2', '3'), ('watch',),
                      ('watch', 'a', 'b'), ('watch', 'a', '--count', '0'), ('watch', 'a', '--count', '-1x'),
                      ('watch', 'a', '-n', '-2'), ('delete',), ('delete', 'a', 'b')]:
        check_error(gipc('memory', *arguments), 2, 'gipc memory', '--help')
    equal([line.split()[0] for line in memory('list').stdout.decode().splitlines()], ['NAME', 'a'], 'nothing was made')


@case
def create_and_delete(directory):
    for size, n in ('1', 1), ('100', 100), ('4096', 4096), ('3K', 3072), ('2M', 2 << 20), ('0001K', 1024):
        create('a', size)
        row = info('a')
        equal((row['size'], row['access_count'], row['n_attached'], row['is_sealed'], row['is_consistent']),
              (n, 0, 0, False, True))
        equal(read(name='a') == bytes(n), True, 'all is zero')
        done(memory('delete', 'a'))
    create('b', '3K')
    check_error(memory('create', 'b', '3072'), 1, '"b"', '3072')
    check_error(memory('create', 'b', '2K'), 1, '"b"', '3072', '2048')
    check_error(memory('create', 'd', '2G'), 1, '"d"', '2147483648', '1073741824')
    check_error(memory('create', 'd', '17179869183G'), 1, '"d"', 'bytes')
    before = info('b')
    done(memory('delete', 'b'))
    for verb in 'delete', 'info', 'read', 'write', 'watch':
        check_error(memory(verb, 'b'), 1, 'b')
    create('b', '5')
    after = info('b')
    equal((after['size'], after['generation'] > before['generation'], after['id'] != before['id']), (5, True, True))


@case
def odd_names(directory):
    create('s')
    for verb in VERBS[2:]:
        for bad in '', '../x', '.x', 'a b', 'x' * 65, 'a\nb', 'a/b', '\udcff':
            check_error(memory(verb, bad), 1)
    for bad in '', '../x', '.x', 'a b', 'x' * 65, 'a\nb', 'a/b', '\udcff':
        check_error(memory('create', bad, '10'), 1)
    check_error(memory('create', '--', '-x', '10'), 1)
    for good in 'x' * 64, 'A.b_c-d', '1':
        create(good, '10')
        done(memory('write', good, input=b'0123456789'))
        done(memory('read', good), b'0123456789')
        equal(info(good)['name'], good)
    equal(len(memory('list').stdout.splitlines()), 5)


@case
def listed(directory):
    for arguments in (), ('--json',):
        done(memory('list', *arguments))
    create('beta', '2K')
    create('alpha', '1')
    done(memory('write', 'beta', input=b'x'))
    accessed = info('beta')['last_accessed']
    with watch(name='beta') as watcher:
        rows = [line.split() for line in memory('list').stdout.decode().splitlines()]
        equal(rows, [['NAME', 'SIZE', 'ATTACHED', 'ACCESSES'], ['alpha', '1', '0', '0'], ['beta', '2048', '1', '1']])
        equal(watcher.end(signal.SIGTERM), 0)
    # to look at them is no access
    before = info('beta')
    equal((before['last_accessed'] >= accessed, before['n_attached']), (True, 0))
    rows = [json.loads(line) for line in memory('list', '--json').stdout.splitlines()]
    equal([row['name'] for row in rows], ['alpha', 'beta'])
    equal((rows[1], info('beta')), (before, before))
    equal(set(before), {'name', 'id', 'size', 'access_count', 'n_attached', 'generation', 'is_sealed', 'is_consistent',
                        'created_at', 'last_accessed'})


@case
def told(directory):
    before = time.time()
    create('s', '1K')
    done(memory('write', 's', input=b'x'))
    read()
    row = info()
    equal((row['name'], row['size'], row['access_count']), ('s', 1024, 2))
    # the clock of the last tick
    equal(before - 0.1 <= row['created_at'] / 1e6 <= row['last_accessed'] / 1e6 <= time.time(), True, row)
    equal(bool(re.fullmatch(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', row['id'])), True, row)
    lines = done(memory('info', 's'), stdout=None).stdout.decode().splitlines()
    equal([line.split()[0] for line in lines],
          ['name', 'id', 'size', 'accesses', 'attached', 'generation', 'sealed', 'consistent', 'created', 'accessed'])
    equal([line.split()[1] for line in lines[:8]],
          ['s', row['id'], '1024', '2', '0', str(row['generation']), 'no', 'yes'])
    with open('/dev/full', 'wb') as full:
        for arguments in ('list',), ('list', '--json'), ('info', 's'), ('info', '--json', 's'), ('read', 's'):
            process = subprocess.run([GIPC, 'memory', *arguments], stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE)
            equal((process.returncode, process.stderr[:23]), (1, b'gipc: standard output: '))


@case
def round_trips(directory):
    """Bytes are bytes, however many, at whatever place."""
    size = (3 << 20) + 17
    create('s', str(size))
    everything = bytes(range(256)) * 4
    for data, offset in (everything, 0), (b'\n', 5000), (b'\0\0\n\r\x1a\xff', size - 6), (os.urandom(size), 0), (b'', 7), (b'', size):
        before = bytearray(read())
        done(memory('write', 's', *([str(offset)] if offset else []), input=data))
        before[offset:offset + len(data)] = data
        equal(read() == before, True, 'only what was written has changed')
        equal(read(str(offset), str(len(data))) == data, True)
        equal(read(str(offset)) == before[offset:], True)
    equal(read('1K', '2K') == before[1024:3072], True, 'with letters')
    done(memory('write', 's', '1M', input=b'mega'))
    equal(read(str(1 << 20), '4'), b'mega')
    # the pipe is longer than what is taken from it
    result = run('sh', '-c', '"$0" memory read s | head -c 10', GIPC)
    equal((result.returncode, result.stdout == before[:10]), (0, True))


@case
def through_pipes(directory):
    """From one segment into another one, as the shell does it."""
    create('one', '1M')
    create('two', '1M')
    data = os.urandom(1 << 20)
    done(memory('write', 'one', input=data))
    done(run('sh', '-ec', '"$0" memory read one | "$0" memory write two', GIPC))
    equal(read(name='two') == data, True)


@case
def what_does_not_fit(directory):
    create('s', '100')
    done(memory('write', 's', input=b'x' * 100))
    for arguments, data, words in [((), b'y' * 101, ['offset 0', 'length 101']), (('1',), b'y' * 100, ['offset 1', 'length 100']),
                                   (('100',), b'y', ['offset 100', 'length 1']), (('101',), b'', ['offset 101', 'length 0']),
                                   (('18446744073709551615',), b'yy', ['18446744073709551615'])]:
        check_error(memory('write', 's', *arguments, input=data), 1, '"s"', 'of 100 bytes', *words)
    for arguments in ('0', '101'), ('1', '100'), ('101',), ('101', '0'), ('18446744073709551615', '2'), ('2', '18446744073709551615'):
        check_error(memory('read', 's', *arguments), 1, '"s"', 'of 100 bytes')
    equal(read(), b'x' * 100, 'nothing was written')
    equal(read('100'), b'')
    with open('/dev/zero', 'rb') as endless:
        process = subprocess.run([GIPC, 'memory', 'write', 's'], stdin=endless, capture_output=True, timeout=DEADLINE)
        check_error(process, 1, '"s"', 'of 100 bytes')
    equal(read(), b'x' * 100, 'nothing was written')


@case
def input_that_cannot_be_read(directory):
    create('s')
    folder = os.open(directory, os.O_RDONLY)
    try:
        process = subprocess.run([GIPC, 'memory', 'write', 's'], stdin=folder, capture_output=True, timeout=DEADLINE)
    finally:
        os.close(folder)
    check_error(process, 1, 'standard input')
    equal(info()['access_count'], 0)


@case
def a_write_is_whole(directory):
    """While input comes nothing is written, and who reads sees all of it or nothing."""
    create('s', '1M')
    old, new = b'o' * (1 << 20), b'n' * (1 << 20)
    done(memory('write', 's', input=old))
    with Program(GIPC, 'memory', 'write', 's', stdin=subprocess.PIPE) as writer:
        writer.process.stdin.write(new[:-1])
        writer.process.stdin.flush()
        equal(read() == old, True)
        writer.process.stdin.write(new[-1:])
        writer.process.stdin.close()
        equal(writer.end(), 0)
        equal(read() == new, True)


@case
def watched(directory):
    """Each change of another process, at once, through a pipe."""
    create('s', '1K')
    with watch() as watcher:
        for number in range(5):
            done(memory('write', 's', input=b'%d' % number))
            equal(seen(watcher), (1024, number + 1, 'changed'))
        # who writes nothing tells all the same
        done(memory('write', 's', input=b''))
        equal(seen(watcher), (1024, 5, 'changed'))
        done(memory('delete', 's'))
        equal(seen(watcher), (1024, 5, 'deleted'))
        equal((watcher.end(), watcher.rest(watcher.stdout), watcher.rest(watcher.stderr)), (0, [], []))
    check_error(memory('watch', 's'), 1, 's')


@case
def watched_so_many_times(directory):
    create('s', '10')
    with watch('--count', '1') as one, watch('-n', '3') as three, watch() as all_of_them:
        for number in range(3):
            done(memory('write', 's', input=b'x'))
            for watcher in [one] * (number == 0) + [three, all_of_them]:
                equal(seen(watcher), (10, number + 1, 'changed'))
        for watcher in one, three:
            equal((watcher.end(), watcher.rest(watcher.stdout)), (0, []))
        done(memory('delete', 's'))
        equal(seen(all_of_them), (10, 3, 'deleted'))
        equal(all_of_them.end(), 0)


@case
def watched_in_a_pipeline(directory):
    create('s', '10')
    script = '"$0" memory watch s | while read -r day time size accesses what; do echo "$what"; "$0" memory read s 0 1; echo; done'
    with Program('sh', '-c', script, GIPC) as pipeline:
        equal(pipeline.line(pipeline.stderr), 'watching s')
        for letter in 'abc':
            done(memory('write', 's', input=letter.encode()))
            equal((pipeline.line(pipeline.stdout), pipeline.line(pipeline.stdout)), ('changed', letter))
        done(memory('delete', 's'))
        equal(pipeline.line(pipeline.stdout), 'deleted')
        equal(pipeline.end(), 0)


@case
def the_reader_of_a_watcher_leaves(directory):
    create('s', '10')
    watcher = subprocess.Popen([GIPC, 'memory', 'watch', 's'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with watcher:
        equal(watcher.stderr.readline(), b'watching s\n')
        watcher.stdout.close()
        done(memory('write', 's', input=b'x'))
        equal(watcher.wait(timeout=DEADLINE), 1)
        equal(watcher.stderr.read()[:23], b'gipc: standard output: ')


@case
def resized(directory):
    create('s', '1K')
    with watch() as watcher:
        in_python('s.resize(8192)')
        equal(seen(watcher), (8192, 0, 'resized'))
        in_python('s.resize(16384); s.write_int64(16376, 1); s.notify_changed()')
        equal(seen(watcher)[::2], (16384, 'resized'))
        equal(seen(watcher), (16384, 1, 'changed'))
        equal(watcher.end(signal.SIGINT), 0)
    equal((len(read()), read('16376', '1'), info()['size']), (16384, b'\1', 16384))
    done(memory('write', 's', '16383', input=b'x'))


@case
def sealed(directory):
    create('s', '10')
    done(memory('write', 's', input=b'0123456789'))
    in_python('s.seal()')
    check_error(memory('write', 's', input=b'x'), 1, '"s"', 'sealed')
    equal((read(), info()['is_sealed']), (b'0123456789', True))
    equal(b'\nsealed      yes\n' in memory('info', 's').stdout, True)
    done(memory('delete', 's'))


@case
def watchers_are_killed(directory):
    """Nobody keeps their place, and those that are left hear as before."""
    create('s', '10')
    with watch() as survivor:
        for number in signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL:
            with watch() as watcher:
                equal(info()['n_attached'], 2)
                equal(watcher.end(number), -number if number == signal.SIGKILL else 0)
            equal(info()['n_attached'], 1)
            before = info()['access_count']
            done(memory('write', 's', input=b'x'))
            equal(seen(survivor), (10, before + 1, 'changed'))
    equal(info()['n_attached'], 0)


@case
def killed_before_it_writes(directory):
    create('s', '1K')
    done(memory('write', 's', input=b'old'))
    with Program(GIPC, 'memory', 'write', 's', stdin=subprocess.PIPE) as writer:
        writer.process.stdin.write(b'new')
        writer.process.stdin.flush()
        until(lambda row: row['n_attached'] == 1)
        equal(writer.end(signal.SIGKILL), -signal.SIGKILL)
    row = info()
    equal((read('0', '3'), row['n_attached'], row['access_count'], row['is_consistent']), (b'old', 0, 1, True))


@case
def killed_at_any_time(directory):
    """What is there is all of one write, or it is said that it is not; to write it anew mends that."""
    size = 4 << 20
    create('s', str(size))
    contents = [letter * size for letter in (b'a', b'b')]
    done(memory('write', 's', input=contents[0]))
    for number in range(40):
        with Program(GIPC, 'memory', 'write', 's', stdin=subprocess.PIPE) as writer:
            writer.process.stdin.write(contents[number % 2])
            writer.process.stdin.close()
            # a little later each time
            deadline = time.monotonic() + number * 0.0003
            while time.monotonic() < deadline:
                pass
            equal(writer.end(signal.SIGKILL) in (0, -signal.SIGKILL), True)
        result = memory('read', 's')
        if result.returncode == 0:
            equal(result.stdout in contents, True, 'half of one')
        else:
            check_error(result, 1, '"s"', 'killed while it wrote')
            equal(info()['is_consistent'], False)
            done(memory('write', 's', input=contents[number % 2]))
            equal(read() == contents[number % 2], True)
        equal(info()['is_consistent'], True)
    equal(info()['n_attached'], 0)


@case
def all_write_at_once(directory):
    size = 256 * 1024
    create('s', str(size))
    contents = [b'%d' % number * size for number in range(6)]
    with watch('--count', '1') as watcher:
        writers = [Program(GIPC, 'memory', 'write', 's', stdin=subprocess.PIPE) for _ in contents]
        for writer, data in zip(writers, contents):
            writer.process.stdin.write(data)
        for writer in writers:
            writer.process.stdin.close()
        for writer in writers:
            with writer:
                equal((writer.end(), writer.rest(writer.stderr)), (0, []))
        equal(seen(watcher)[::2], (size, 'changed'))
    equal(read() in contents, True, 'one of them')
    equal(info()['access_count'], len(contents) + 1)


@case
def deleted_while_it_is_written(directory):
    """Who has it goes on with it, which is nobody's any more."""
    create('s', '10')
    with Program(GIPC, 'memory', 'write', 's', stdin=subprocess.PIPE) as writer:
        until(lambda row: row['n_attached'] == 1)
        done(memory('delete', 's'))
        create('s', '20')
        writer.process.stdin.write(b'x')
        writer.process.stdin.close()
        equal((writer.end(), writer.rest(writer.stderr)), (0, []))
    equal(read(), bytes(20))


if __name__ == '__main__':
    sys.exit(run_cases(help_texts, usage, create_and_delete, odd_names, listed, told, round_trips, through_pipes,
                       what_does_not_fit, input_that_cannot_be_read, a_write_is_whole, watched, watched_so_many_times,
                       watched_in_a_pipeline, the_reader_of_a_watcher_leaves, resized, sealed, watchers_are_killed,
                       killed_before_it_writes, killed_at_any_time, all_write_at_once, deleted_while_it_is_written))
