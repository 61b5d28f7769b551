#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The live counters of the indexer: who sees them, that they are exact, whoever dies on the way."""

import os
import re
import signal
import struct
import sys
import time

from programs import DEADLINE, Program, case, run, run_cases
from tap import equal
from test_indexer import HERE, INDEXER, NAMES, check_counters, fake, hold, late, make_tree, need_introspection, report_of


def scope_of(directory):
    """Of the one indexer that runs."""
    scope, = (directory / 'temporary').iterdir()
    return dict(os.environ, IPC_GLIB_DIR=str(scope))


def memory(directory, verb, *arguments):
    result = run(os.environ['GIPC'], 'memory', verb, 'counters', *arguments, env=scope_of(directory))
    equal((result.returncode, result.stderr), (0, b''))
    return result.stdout


def read_counters(directory):
    """Of the indexer that runs: what precedes the places, then files and bytes of each worker."""
    contents = memory(directory, 'read')
    numbers = struct.unpack('=%dq' % (len(contents) // 8), contents)
    return numbers[:8], [numbers[i:i + 2] for i in range(8, len(numbers), 2)]


def counting(directory, offset, numbers, then):
    """A worker that writes numbers into the counters and becomes another one."""
    (directory / 'numbers').write_bytes(struct.pack('=%dq' % len(numbers), *numbers))
    program = directory / then
    program.write_text('#!/bin/sh\nIPC_GLIB_DIR=$(dirname "$1") "%s" memory write counters %d < "%s"\nexec "%s" "$@"\n'
                       % (os.environ['GIPC'], offset, directory / 'numbers', HERE / 'fake_worker.py' if then == 'hold' else
                          os.path.join(os.path.dirname(INDEXER), 'worker-c')))
    program.chmod(0o755)
    return str(program)


@case
def counters_are_live(directory):
    """While one worker holds its files, all others are in the counters, and who watches is told of the end."""
    tree = make_tree(directory, extra=50)
    n_files = 50 + len(NAMES)
    indexer, holder, held = hold(directory, tree, late(directory) + ',' + fake(directory, 'hold'))
    with indexer:
        with Program(os.environ['GIPC'], 'memory', 'watch', 'counters', env=scope_of(directory)) as watcher:
            equal(watcher.line(watcher.stderr), 'watching counters')
            deadline = time.monotonic() + DEADLINE
            while (numbers := read_counters(directory))[0][4] < n_files - held:
                equal(time.monotonic() < deadline, True, numbers)
            (layout, n_workers, n_jobs, is_over, files, n_bytes, *rest), places = numbers
            equal((layout, n_workers, n_jobs, is_over, files, rest), (1, 2, n_files, 0, n_files - held, [0, 0]))
            equal(places, [(files, n_bytes), (0, 0)])
            os.kill(holder, signal.SIGKILL)
            equal(indexer.end(), 0)
            equal(watcher.end(), 0)
            happened = [line.split()[-1] for line in watcher.rest(watcher.stdout)]
            equal(happened[-1], 'deleted')
            equal(set(happened[:-1]), {'changed'})
        check_counters(report_of('\n'.join(indexer.rest(indexer.stdout)).encode()), (0, 0), (0, 0))


@case
def a_killed_worker_had_counted(directory):
    """What it had counted and could not tell is taken back, also half of it."""
    tree = make_tree(directory, extra=20)
    for counted, retracted in ((5, 500), (5, 500)), ((1,), (1, 0)), ((0, 7), (0, 7)):
        (directory / 'mark').unlink(missing_ok=True)
        indexer, holder, _ = hold(directory, tree, '%s,%s' % (counting(directory, 64, counted, 'hold'), late(directory)))
        with indexer:
            equal(read_counters(directory)[1][0], (*counted, 0)[:2])
            os.kill(holder, signal.SIGKILL)
            equal(indexer.end(), 0)
            check_counters(report_of('\n'.join(indexer.rest(indexer.stdout)).encode()), retracted, (0, 0))


@case
def wrong_counters_are_found_out(directory):
    tree = make_tree(directory)
    result = run(INDEXER, str(tree), '-o', str(directory / 'index'), '-w', counting(directory, 32, (1000, 1), 'honest'))
    equal((result.returncode, result.stderr), (1, b'indexer: the counters are not what was indexed\n'))
    equal(b': NOT what was indexed\n' in result.stdout, True, result)


@case
def indexers_do_not_collide(directory):
    tree = make_tree(directory, extra=200)
    indexers = [Program(INDEXER, str(tree), '-o', str(directory / ('index %d' % number)), '-w', 'c,c', '-b', '5', '-r', '1')
                for number in range(4)]
    for indexer in indexers:
        with indexer:
            equal((indexer.end(), indexer.rest(indexer.stderr)), (0, []))
            report = report_of('\n'.join(indexer.rest(indexer.stdout)).encode())
            equal(report[0]['files'], 200 + len(NAMES))
            check_counters(report, (0, 0), (0, 0))


@case
def observers(directory):
    """They run beside the work, in its scope, and end with it."""
    tree = make_tree(directory)
    watch = "'%s' memory watch counters" % os.environ['GIPC']
    indexer, holder, _ = hold(directory, tree, '%s,%s' % (fake(directory, 'hold'), late(directory)), '--observer', watch,
                              '--observer', 'sh -c "echo $IPC_GLIB_DIR; echo \\"$IPC_GLIB_DIR\\""')
    with indexer:
        scope = scope_of(directory)['IPC_GLIB_DIR']
        said = []
        while not {'watching counters', scope} <= set(said):
            said.append(indexer.line(indexer.stderr))
        os.kill(holder, signal.SIGKILL)
        equal(indexer.end(), 0)
        equal(indexer.rest(indexer.stderr)[-1].split()[-1], 'deleted')
    for command in '/no/such/program', "'", '':
        result = run(INDEXER, str(tree), '-o', str(directory / 'index2'), '-w', 'c', '--observer', 'true', '--observer', command)
        equal((result.returncode, result.stdout, result.stderr.count(b'\n')), (1, b'', 1), result)
        equal(result.stderr.startswith(b'indexer: --observer: '), True, result)
        equal(os.path.exists(directory / 'index2'), False, 'no index')


@case
def an_observer_in_python(directory):
    need_introspection()
    tree = make_tree(directory)
    program = os.path.join(os.path.dirname(INDEXER), 'watch-counters.py')
    indexer, holder, _ = hold(directory, tree, '%s,%s' % (fake(directory, 'hold'), late(directory)), '--observer',
                              "/usr/bin/python3 '%s' counters" % program)
    with indexer:
        equal(' of %d files, ' % len(NAMES) in indexer.line(indexer.stderr), True)
        os.kill(holder, signal.SIGKILL)
        equal(indexer.end(), 0)
        last = indexer.rest(indexer.stderr)[-1]
        equal(bool(re.fullmatch(r'100%%  %d of %d files, .* MB; read by each worker: 0 \+ %d; over, %d in all' % ((len(NAMES),) * 4), last)),
              True, last)


if __name__ == '__main__':
    sys.exit(run_cases(counters_are_live, a_killed_worker_had_counted, wrong_counters_are_found_out, indexers_do_not_collide,
                       observers, an_observer_in_python))
