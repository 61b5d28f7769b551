#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gipc queue from outside: with queues that another process serves, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time

from gipc import GIPC, check_error, gipc
from programs import DEADLINE, Program, case, run_cases
from tap import equal

SERVER = 'queues'


def queue(verb, *arguments, **options):
    return gipc('queue', verb, '--uri', 'ipc:' + SERVER, *arguments, **options)


def serve(*options):
    server = Program(GIPC, 'queue', 'serve', *options, SERVER)
    equal(server.line(server.stderr), 'serving queues at ' + SERVER)
    return server


def done(result, output=None):
    equal((result.returncode, result.stderr), (0, b''), result)
    if output is not None:
        equal(result.stdout, output)
    return result.stdout


def stats(name='jobs'):
    return json.loads(done(queue('stats', '--json', name)))


def until(condition):
    """What stats says when the condition holds of it."""
    deadline = time.monotonic() + DEADLINE
    while not condition(row := stats()):
        if time.monotonic() > deadline:
            raise AssertionError('it does not come: %r' % row)
    return row


@case
def help_texts(directory):
    whole = gipc('queue', '--help')
    equal((whole.returncode, whole.stderr), (0, b''))
    for verb in 'publish', 'consume', 'list', 'stats', 'peek', 'dead', 'redrive', 'purge', 'delete', 'serve':
        equal(('\n  %s ' % verb).encode() in whole.stdout, True, verb)
        result = gipc('queue', verb, '--help')
        equal((result.returncode, result.stderr), (0, b''))
        equal(('gipc queue ' + verb).encode() in result.stdout, True, verb)


@case
def usage(directory):
    for arguments in [(), ('nonsense',), ('publish',), ('publish', 'a', 'b', 'c'), ('publish', '--priority', 'urgent', 'a', 'b'),
                      ('publish', '--ttl', '-2', 'a', 'b'), ('publish', '--delay', '-1', 'a', 'b'), ('publish', '--lines', 'a', 'b'),
                      ('publish', '--lines', '--dedup-id', 'x', 'a'), ('consume',), ('consume', 'a', 'b'), ('consume', '-n', '0', 'a'),
                      ('consume', '-t', '-2', 'a'), ('consume', '-d', '-2', 'a'), ('list', 'a'), ('stats',), ('peek',),
                      ('peek', '-n', '0', 'a'), ('dead',), ('redrive',), ('redrive', 'a', '1', '2'), ('purge',), ('delete',), ('serve',),
                      ('serve', '--max-size', '0', 'a'), ('serve', '--max-retries', '-1', 'a')]:
        check_error(gipc('queue', *arguments), 2, 'gipc queue', '--help')


@case
def nobody_serves(directory):
    check_error(queue('publish', 'jobs', 'x'), 1, SERVER)
    check_error(gipc('queue', 'list', '--uri', 'nonsense'), 1, 'nonsense')
    check_error(gipc('queue', 'list', '--uri', 'memory:x'), 1, 'memory:')


@case
def in_order(directory):
    with serve() as server:
        done(queue('publish', 'jobs', 'one'), b'1\n')
        done(queue('publish', 'jobs', '-', input=b'two'), b'2\n')
        done(queue('publish', '--priority', 'critical', 'jobs', 'three'), b'3\n')
        done(queue('publish', '--json', 'jobs', '{"a": 4}'), b'4\n')
        done(queue('publish', '--delay', '3600000', 'jobs', 'much later'), b'5\n')
        row = stats()
        equal((row['n_ready'], row['n_delayed'], row['total_messages']), (4, 1, 5))
        equal([line.split()[0] for line in done(queue('peek', 'jobs')).decode().splitlines()], ['3', '1', '2', '4', '5'])
        peeked = json.loads(done(queue('peek', '--json', '-n', '1', 'jobs')))
        equal((peeked['payload'], peeked['priority'], peeked['attempt'], peeked['message_id']), ('three', 'critical', 0, 3))
        done(queue('consume', '-n', '3', 'jobs'), b'three\none\ntwo\n')
        equal(json.loads(done(queue('consume', '--json', 'jobs')))['payload'], {'a': 4})
        check_error(queue('consume', '-t', '0', 'jobs'), 75, 'jobs')
        rows = [line.split() for line in done(queue('list')).decode().splitlines()]
        equal(rows, [['NAME', 'READY', 'DELAYED', 'UNACKED', 'DEAD', 'TOTAL'], ['jobs', '0', '1', '0', '0', '5']])
        done(queue('purge', 'jobs'), b'1\n')
        done(queue('delete', 'jobs'), b'')
        done(queue('list'), b'')
        for verb in 'stats', 'peek', 'dead', 'redrive', 'purge', 'delete':
            check_error(queue(verb, 'jobs'), 1, 'jobs')
        equal(server.end(signal.SIGTERM), 0)


@case
def dedup(directory):
    with serve():
        done(queue('publish', '-i', 'a', 'jobs', 'x'), b'1\n')
        done(queue('publish', '-i', 'a', 'jobs', 'x'), b'1\n')
        equal(stats()['n_ready'], 1)


@case
def lines(directory):
    text = b''.join(b'%d\n' % i for i in range(2500))
    with serve('--max-size', '2500'):
        done(queue('publish', '--lines', 'jobs', input=text), b'2500\n')
        check_error(queue('publish', '--lines', 'jobs', input=b'x\n'), 1, '0 messages', '2500')
        done(queue('consume', '-n', '2500', 'jobs'), text)
        # The last one need not end, and one may be empty.
        done(queue('publish', '--lines', 'jobs', input=b'a\n\nb'), b'3\n')
        done(queue('consume', '-n', '3', 'jobs'), b'a\n\nb\n')
        done(queue('publish', '--lines', 'jobs', input=b''), b'0\n')


@case
def commands(directory):
    with serve('--max-retries', '1'):
        done(queue('publish', 'jobs', 'payload'))
        done(queue('consume', '--exec', 'cat; exit 3', '--delay', '0', 'jobs'), b'payload')
        equal(stats()['n_ready'], 1)
        done(queue('consume', '--exec', 'kill -9 $$', '--delay', '0', 'jobs'), b'')
        equal((stats()['n_ready'], stats()['n_dead']), (0, 1))
        dead = json.loads(done(queue('dead', '--json', 'jobs')))
        equal((dead['payload'], dead['attempts'], '2' in dead['reason']), ('payload', 2, True))
        equal(b'payload' in done(queue('dead', 'jobs')), True)
        check_error(queue('redrive', 'jobs', '77'), 1, '77')
        check_error(queue('redrive', 'jobs', 'x'), 1, 'x')
        done(queue('redrive', 'jobs', '1'), b'1\n')
        done(queue('consume', '--exec', 'wc -c', 'jobs'), b'7\n')
        equal(stats()['n_messages'], 0)
        # One that does not read all of it.
        done(queue('publish', 'jobs', '-', input=b'x' * 1000000))
        done(queue('consume', '--exec', 'true', 'jobs'), b'')
        equal(stats()['n_messages'], 0)


@case
def follow(directory):
    with serve():
        done(queue('publish', 'jobs', '0'))
        with Program(GIPC, 'queue', 'consume', '--uri', 'ipc:' + SERVER, '--follow', 'jobs') as consumer:
            for i in range(5):
                equal(consumer.line(consumer.stdout), str(i))
                done(queue('publish', 'jobs', str(i + 1)))
            equal(consumer.line(consumer.stdout), '5')
            consumer.end(signal.SIGTERM)


@case
def killed_while_a_command_runs(directory):
    with serve():
        done(queue('publish', 'jobs', 'x'))
        with Program(GIPC, 'queue', 'consume', '--uri', 'ipc:' + SERVER, '--exec', 'echo $$; exec sleep 1000', 'jobs') as consumer:
            command = int(consumer.line(consumer.stdout))
            equal(stats()['n_unacked'], 1)
            consumer.end(signal.SIGKILL)
            # The command goes with it, and the message is there at once.
            equal(consumer.line(consumer.stdout), None)
            row = until(lambda row: row['n_ready'] == 1)
            equal(row['n_unacked'], 0)
        equal(os.path.exists('/proc/%d' % command) and open('/proc/%d/stat' % command).read().rsplit(')', 1)[1].split()[0] not in 'ZX',
              False)
        equal(json.loads(done(queue('peek', '--json', 'jobs')))['attempt'], 1)
        done(queue('consume', 'jobs'), b'x\n')


@case
def nobody_reads(directory):
    with serve():
        done(queue('publish', 'jobs', 'x'))
        with open('/dev/full', 'wb') as full:
            result = subprocess.run([GIPC, 'queue', 'consume', '--uri', 'ipc:' + SERVER, 'jobs'], stdout=full, stderr=subprocess.PIPE,
                                    timeout=DEADLINE)
        equal((result.returncode, result.stderr[:6]), (1, b'gipc: '))
        # What could not be printed was not consumed.
        until(lambda row: row['n_ready'] == 1)


@case
def the_server_is_killed(directory):
    with serve() as server:
        done(queue('publish', 'jobs', 'x'))
        with Program(GIPC, 'queue', 'consume', '--uri', 'ipc:' + SERVER, '-n', '2', 'jobs') as consumer:
            equal(consumer.line(consumer.stdout), 'x')
            server.end(signal.SIGKILL)
            equal(consumer.end(), 1)
            equal(consumer.line(consumer.stderr)[:6], 'gipc: ')


@case
def in_a_database(directory):
    uri = 'sqlite:%s' % (directory / 'queues.db')
    probe = gipc('queue', 'list', '--uri', uri)
    if probe.returncode == 1 and b'without SQLite' in probe.stderr:
        return
    equal(probe.returncode, 0, probe)
    done(gipc('queue', 'publish', '--uri', uri, 'jobs', 'kept'), b'1\n')
    done(gipc('queue', 'consume', '--uri', uri, 'jobs'), b'kept\n')
    done(gipc('queue', 'publish', '--uri', uri, 'jobs', 'served'))
    with serve('--uri', uri):
        done(queue('consume', 'jobs'), b'served\n')


if __name__ == '__main__':
    sys.exit(run_cases(help_texts, usage, nobody_serves, in_order, dedup, lines, commands, follow, killed_while_a_command_runs, nobody_reads,
                       the_server_is_killed, in_a_database))
