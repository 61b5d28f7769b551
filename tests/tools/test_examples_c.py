#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The examples in C, each as the process it is."""

import configparser
import os
import pathlib
import signal
import socket
import subprocess
import sys

from programs import Program, case, run, run_cases
from tap import equal


def serve(variable):
    server = Program(os.environ[variable], 'example')
    equal(server.line(server.stderr), 'listening on example')
    return server


@case
def echo(directory):
    with serve('ECHO_SERVER') as server:
        result = run(os.environ['ECHO_CLIENT'], 'example', 'hello')
        equal((result.returncode, result.stdout, result.stderr), (0, b'echo_response: hello\n', b''))
        equal(server.end(signal.SIGTERM), 0)


@case
def echo_client_waits_for_its_server(directory):
    with Program(os.environ['ECHO_CLIENT'], 'example', 'early') as client:
        with serve('ECHO_SERVER'):
            equal(client.line(client.stdout), 'echo_response: early')
            equal(client.end(), 0)


def chat_client():
    return Program(os.environ['CHAT_CLIENT'], 'example', stdin=subprocess.PIPE)


def say(client, text):
    client.process.stdin.write(text.encode() + b'\n')
    client.process.stdin.flush()


@case
def chat(directory):
    with serve('CHAT_SERVER') as server, chat_client() as one:
        first = one.line(one.stdout).split()
        equal(first[1:], ['came', 'in'])
        with chat_client() as two:
            second = two.line(two.stdout).split()
            equal(one.line(one.stdout), second[0] + ' came in')
            say(one, 'hello')
            for client in one, two:
                equal(client.line(client.stdout), first[0] + ': hello')
            say(two, 'bye')
            two.process.stdin.close()
            equal(two.end(), 0)
        equal(one.line(one.stdout), second[0] + ': bye')
        equal(one.line(one.stdout), second[0] + ' left')
        equal(server.end(signal.SIGTERM), 0)
        equal(one.end(), 0)


def count(file_name):
    return run(os.environ['FD_CLIENT'], 'example', str(file_name))


@case
def descriptors(directory):
    """The server gets the open file, and no other kind of descriptor blocks it."""
    file = directory / 'file'
    pipe = directory / 'pipe'
    os.mkfifo(pipe)
    with serve('FD_SERVER') as server, open(os.open(pipe, os.O_RDWR), 'rb'):
        for content in b'', b'one\ntwo\n', b'x' * 200000 + b'\n' * 3:
            file.write_bytes(content)
            result = count(file)
            equal((result.returncode, result.stdout, result.stderr),
                  (0, b'%d lines, %d bytes\n' % (content.count(b'\n'), len(content)), b''))
        for other in pipe, '/dev/zero':
            result = count(other)
            equal((result.returncode, result.stdout), (1, b''), str(other))
            equal(b'not a regular file' in result.stderr, True, result.stderr)
        missing = count(directory / 'missing')
        equal((missing.returncode, b'missing' in missing.stderr), (1, True), missing.stderr)
        # JavaScript closes what it got when it collects the message.
        if os.environ['FD_SERVER'].endswith('.js'):
            equal(server.end(signal.SIGTERM), 0)
            return
        descriptors_of = f'/proc/{server.pid}/fd'
        equal([name for name in os.listdir(descriptors_of)
               if os.readlink(f'{descriptors_of}/{name}').startswith((str(directory / 'file'), '/dev/zero'))], [])
        equal(server.end(signal.SIGTERM), 0)


UNITS = pathlib.Path(__file__).resolve().parents[2] / 'examples' / 'systemd'


def read_unit(name):
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read(UNITS / name)
    return unit


@case
def activated(directory):
    """The units of the example, played by us: the client is there before its server."""
    unit = read_unit('ipc-echo.socket')['Socket']
    address = read_unit('ipc-echo.service')['Service']['ExecStart'].split()[1]
    path = unit['ListenStream'].replace('%t', str(directory))
    os.makedirs(os.path.dirname(path), mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(int(unit['Backlog']))
        with Program(os.environ['ECHO_CLIENT'], path, 'early') as client:
            # the shell becomes the server, so that the number is right
            with Program('sh', '-c', 'LISTEN_PID=$$ exec "$0" "$1" 3<&0 </dev/null', os.environ['ECHO_SERVER'], address,
                         stdin=listener,
                         env=dict(os.environ, LISTEN_FDS='1', LISTEN_FDNAMES=unit['FileDescriptorName'])) as server:
                equal(server.line(server.stderr), 'listening on ' + address)
                equal(client.line(client.stdout), 'echo_response: early')
                equal(client.end(), 0)
                equal(server.end(signal.SIGTERM), 0)
    equal(os.path.exists(path), True, 'the path is not the server\'s')


def limit(*arguments, **options):
    return run(os.environ['SEMAPHORE_LIMIT'], *arguments, **options)


@case
def limited(directory):
    """All write into one file: in between two lines of one that works there is never a third."""
    with open(directory / 'log', 'ab') as log:
        workers = [subprocess.Popen([os.environ['SEMAPHORE_LIMIT'], 'example', '2', '30'], stdout=log) for _ in range(5)]
    for worker in workers:
        equal(worker.wait(timeout=30), 0)
    at_work = set()
    for line in (directory / 'log').read_text().splitlines():
        pid, what = line.split(' ', 1)
        if what == 'is done':
            at_work.remove(pid)
        else:
            at_work.add(pid)
            equal(what in ['works, %d of 2 permits are free' % n for n in (0, 1)], True, line)
        equal(len(at_work) <= 2, True, 'two at most')
    equal(at_work, set())
    result = limit('example', '3', '0')
    equal((result.returncode, b'2 permits, asked 3' in result.stderr), (1, True), result)


@case
def limited_and_killed(directory):
    with Program(os.environ['SEMAPHORE_LIMIT'], 'example', '1', '60000') as worker:
        equal(worker.line(worker.stdout), '%d works, 0 of 1 permits are free' % worker.pid)
        with Program(os.environ['SEMAPHORE_LIMIT'], 'example', '1', '0') as waiter:
            equal(worker.end(signal.SIGKILL), -signal.SIGKILL)
            equal(waiter.line(waiter.stdout), '%d works, 0 of 1 permits are free' % waiter.pid)
            equal((waiter.line(waiter.stdout), waiter.end()), ('%d is done' % waiter.pid, 0))


def next_frame(reader, before):
    """What it shows next: what comes while it starts it may show twice."""
    line = before
    while line == before:
        line = reader.line(reader.stdout)
    return line


@case
def frames(directory):
    with Program(os.environ['MEMORY_WRITER'], 'example', stdin=subprocess.PIPE) as writer:
        equal(writer.line(writer.stderr), 'writing to example')
        other = run(os.environ['MEMORY_WRITER'], 'example', input=b'')
        equal((other.returncode, b'exists' in other.stderr), (1, True), other)
        say(writer, 'one')
        with Program(os.environ['MEMORY_READER'], 'example') as reader:
            equal(next_frame(reader, None), '1: one')
            say(writer, 'a longer one')
            equal(next_frame(reader, '1: one'), '2: a longer one')
            say(writer, 'x' * 1000)
            equal(next_frame(reader, '2: a longer one'), '3: ' + 'x' * 1000)
            with Program(os.environ['MEMORY_READER'], 'example') as late:
                equal(next_frame(late, None), '3: ' + 'x' * 1000)
                say(writer, '')
                for each in reader, late:
                    equal(next_frame(each, '3: ' + 'x' * 1000), '4: ')
                writer.process.stdin.close()
                equal([program.end() for program in (writer, reader, late)], [0, 0, 0])
                equal([program.rest(program.stderr) for program in (writer, reader, late)], [[], [], []])
    missing = run(os.environ['MEMORY_READER'], 'example')
    equal((missing.returncode, b'example' in missing.stderr), (1, True), missing)


@case
def handed_over(directory):
    """Memory that nobody can change any more, and that goes with its message."""
    with serve('MEMORY_SERVER') as server:
        for text in b'one', b'  two\n words ', b'word ' * 200000:
            result = run(os.environ['MEMORY_CLIENT'], 'example', input=text)
            equal((result.returncode, result.stdout, result.stderr),
                  (0, b'%d words, %d bytes\n' % (len(text.split()), len(text)), b''))
        equal(run(os.environ['MEMORY_CLIENT'], 'example', input=b'').returncode, 1)
        equal(server.end(signal.SIGTERM), 0)


def serve_queues():
    server = Program(os.environ['GIPC'], 'queue', 'serve', '--max-retries', '2', 'queues')
    equal(server.line(server.stderr), 'serving queues at queues')
    return server


def publish(*texts):
    result = run(os.environ['QUEUE_PUBLISH'], 'ipc:queues', 'jobs', *texts)
    equal((result.returncode, result.stdout.decode(), result.stderr), (0, ''.join('published %s\n' % text for text in texts), b''))


@case
def jobs(directory):
    """One that fails comes again, before those behind it, until it is dead."""
    with serve_queues() as server:
        publish('one', 'bad two', 'three')
        result = run(os.environ['QUEUE_WORKER'], 'ipc:queues', 'jobs', '5')
        equal((result.returncode, result.stderr), (0, b''))
        equal(result.stdout.decode().splitlines(),
              ['did one'] + ['failed bad two, attempt %d' % i for i in (1, 2, 3)] + ['did three', 'dead bad two, after 3 attempts'])
        # Of two, each does some, and together they do all.
        with Program(os.environ['QUEUE_WORKER'], 'ipc:queues', 'jobs', '3') as first, \
                Program(os.environ['QUEUE_WORKER'], 'ipc:queues', 'jobs', '3') as second:
            publish(*'abcdef')
            done = []
            for worker in first, second:
                equal(worker.end(), 0)
                done += [line for line in worker.rest(worker.stdout) if line.startswith('did ')]
            equal(sorted(done), ['did ' + text for text in 'abcdef'])
        equal(server.end(signal.SIGTERM), 0)


@case
def copies(directory):
    with serve_queues():
        publish('before')
        with Program(os.environ['QUEUE_SUBSCRIBE'], 'ipc:queues', 'jobs', '2') as first, \
                Program(os.environ['QUEUE_SUBSCRIBE'], 'ipc:queues', 'jobs', '2') as second:
            for subscriber in first, second:
                equal(subscriber.line(subscriber.stdout), 'subscribed to jobs')
            publish('a', 'b')
            for subscriber in first, second:
                equal((subscriber.end(), subscriber.rest(subscriber.stdout)), (0, ['heard a', 'heard b']))
        equal(run(os.environ['QUEUE_WORKER'], 'ipc:queues', 'jobs', '3').stdout, b'did before\ndid a\ndid b\n')


@case
def no_queues(directory):
    for variable, rest in ('QUEUE_PUBLISH', ['x']), ('QUEUE_WORKER', ['1']), ('QUEUE_SUBSCRIBE', ['1']):
        result = run(os.environ[variable], 'ipc:nobody', 'jobs', *rest)
        equal((result.returncode, b'nobody' in result.stderr), (1, True), result)


@case
def noted(directory):
    """A file that is changed by transactions, by many at a time."""
    path = str(directory / 'note')
    equal(run(os.environ['FILE_NOTE'], path).stdout, b'0 \n')
    equal(run(os.environ['FILE_NOTE'], path, 'one').stdout, b'1 one\n')
    together = [Program(os.environ['FILE_NOTE'], path, 'text %d' % i) for i in range(5)]
    for program in together:
        with program:
            equal(program.end(), 0)
    result = run(os.environ['FILE_NOTE'], path)
    equal((result.returncode, result.stdout.startswith(b'6 text ')), (0, True), result)
    equal(run(os.environ['FILE_NOTE'], '/dev/null').returncode, 1)


@case
def usage(directory):
    for arguments in ('no such name', '1', '0'), ('example', '4097', '0'):
        equal(limit(*arguments).returncode, 1, arguments)
    for variable in ('ECHO_SERVER', 'ECHO_CLIENT', 'CHAT_SERVER', 'CHAT_CLIENT', 'FD_SERVER', 'FD_CLIENT',
                     'SEMAPHORE_LIMIT', 'MEMORY_WRITER', 'MEMORY_READER', 'MEMORY_SERVER', 'MEMORY_CLIENT', 'FILE_NOTE',
                     'QUEUE_PUBLISH', 'QUEUE_WORKER', 'QUEUE_SUBSCRIBE'):
        equal(run(os.environ[variable]).returncode, 2, variable)
    for variable in 'ECHO_SERVER', 'CHAT_SERVER', 'CHAT_CLIENT', 'FD_SERVER', 'MEMORY_WRITER', 'MEMORY_READER', 'MEMORY_SERVER':
        equal(run(os.environ[variable], 'no such name').returncode, 1, variable)


if __name__ == '__main__':
    sys.exit(run_cases(echo, echo_client_waits_for_its_server, chat, descriptors, activated, limited, limited_and_killed,
                       frames, handed_over, noted, jobs, copies, no_queues, usage))
