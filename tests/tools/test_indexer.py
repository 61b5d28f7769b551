#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The indexer: what it writes is what sha256sum would, whoever dies on the way."""

import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

from programs import DEADLINE, Program, case, need_terminals, run, run_cases
from tap import Skip, equal

INDEXER = os.environ['INDEXER']
HERE = pathlib.Path(__file__).parent
NAMES = [b'plain', b'with space', b' leading', b'back\\slash', b'new\nline', b'return\r', b'\\n', b'\xff\xfe not UTF-8',
         b'-', b'--help', b'.hidden', b'%41', b'#?&', 'snow ☃'.encode(), b'sub/one', b'sub/sub/two', b'sub.x',
         b'\x01']


def make_tree(directory, extra=0):
    """Files with awkward names, and things that are not regular files."""
    root = os.fsencode(directory / 'tree')
    for number, name in enumerate(NAMES):
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.write(b'line\n' * (number * 1000) + b'tail' * (number % 3))
    for number in range(extra):
        (directory / 'tree' / ('file %d' % number)).write_bytes(os.urandom(number % 5000))
    os.symlink('plain', os.path.join(root, b'link'))
    os.symlink('/', os.path.join(root, b'link to directory'))
    os.symlink('nowhere', os.path.join(root, b'dangling'))
    os.mkfifo(os.path.join(root, b'fifo'))
    os.mkdir(os.path.join(root, b'empty directory'))
    return directory / 'tree'


def files_below(tree):
    for directory, _, names in os.walk(os.fsencode(tree)):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def sha256sum(tree, **options):
    """The index as coreutils make it."""
    return run('sha256sum', '--', *sorted(files_below(tree)), check=True, **options).stdout


def report_of(stdout):
    """Numbers by name, and the lines of the workers: label → (files, fate)."""
    text = stdout.decode()
    numbers = {name: int(value) for name, value in re.findall(r'^([a-z]+) +(\d+)', text, re.M)}
    workers = {label: (int(files), fate) for label, files, fate in
               re.findall(r'^worker +(\S+) +(\d+) files +\S+ MB  (.*)$', text, re.M)}
    return numbers, workers, text


def check_counters(report, retracted=None, uncounted=None):
    """What the workers have counted, and what the coordinator has, is what was indexed."""
    numbers, _, text = report
    line = re.search(r'^counters +(\d+) files, (\d+) bytes by all workers, (\d+) files, (\d+) bytes in all: exactly what was indexed$',
                     text, re.M)
    equal([int(number) for number in line.groups()] if line else None, [numbers['files'], numbers['bytes']] * 2, text)
    for name, want in ('retracted', retracted), ('uncounted', uncounted):
        corrected = re.search(r'^%s +(\d+) files, (\d+) bytes ' % name, text, re.M)
        if want is not None:
            equal(tuple(int(number) for number in corrected.groups()) if corrected else (0, 0), want, text)


def index(directory, tree, workers, *options, status=0):
    """Runs the indexer and checks that the index is complete: (numbers, workers, text)."""
    output = directory / 'index'
    os.environ['FAKE_WORKER_MARK'] = str(directory / 'mark')
    result = run(INDEXER, str(tree), '--output', str(output), '--workers', workers, *options)
    equal(result.returncode, status, result)
    equal(output.read_bytes() == sha256sum(tree), True, 'the index is what sha256sum prints')
    equal(run('sha256sum', '-c', '--strict', '--quiet', str(output)).returncode, 0)
    report = report_of(result.stdout)
    equal(report[0]['files'], len(list(files_below(tree))))
    equal(sum(files for files, _ in report[1].values()), report[0]['files'], 'files of all workers')
    check_counters(report)
    return report


def fake(directory, behaviour):
    path = directory / behaviour
    path.symlink_to(HERE / 'fake_worker.py')
    return str(path)


def late(directory):
    """A C worker that lets the fake one have its batch first."""
    path = directory / 'late'
    path.write_text('#!/bin/sh\nwhile [ ! -s "$FAKE_WORKER_MARK" ]; do sleep 0.01; done\nexec "%s" "$@"\n'
                    % os.path.join(os.path.dirname(INDEXER), 'worker-c'))
    path.chmod(0o755)
    return str(path)


def need_introspection():
    if 'HAVE_INTROSPECTION' not in os.environ:
        raise Skip('no typelib in this build')
    if not shutil.which('gjs'):
        raise Skip('no gjs')
    if run('/usr/bin/python3', '-c', 'import gi').returncode != 0:
        raise Skip('no PyGObject')


def check_contents(numbers, tree):
    contents = [pathlib.Path(os.fsdecode(path)).read_bytes() for path in files_below(tree)]
    equal(numbers['bytes'], sum(map(len, contents)))
    equal(numbers['lines'], sum(content.count(b'\n') for content in contents))


@case
def one_c_worker(directory):
    tree = make_tree(directory)
    numbers, workers, _ = index(directory, tree, 'c')
    check_contents(numbers, tree)
    equal(workers, {'c': (len(NAMES), 'finished')})
    equal((numbers['requeued'], numbers['ignored'], numbers['unreadable']), (0, 0, 0))
    equal(('retracted' in numbers, 'uncounted' in numbers), (False, False))


@case
def several_c_workers(directory):
    tree = make_tree(directory, extra=500)
    numbers, workers, _ = index(directory, tree, 'c,c,c', '--batch', '3')
    check_contents(numbers, tree)
    equal(list(workers), ['c', 'c-2', 'c-3'])


@case
def python_worker(directory):
    need_introspection()
    tree = make_tree(directory)
    numbers, workers, _ = index(directory, tree, 'python')
    check_contents(numbers, tree)
    equal(workers, {'python': (len(NAMES), 'finished')})


@case
def gjs_worker(directory):
    need_introspection()
    tree = make_tree(directory)
    numbers, workers, _ = index(directory, tree, 'gjs')
    check_contents(numbers, tree)
    equal(workers, {'gjs': (len(NAMES), 'finished')})


@case
def all_languages(directory):
    need_introspection()
    tree = make_tree(directory, extra=300)
    numbers, workers, _ = index(directory, tree, 'c,python,gjs')
    check_contents(numbers, tree)
    equal(set(workers), {'c', 'python', 'gjs'})
    equal(('retracted' in numbers, 'uncounted' in numbers), (False, False))


@case
def controlled_from_a_shell(directory):
    tree = make_tree(directory, extra=300)
    pipe, output = directory / 'control', directory / 'index'

    def tell(command):
        equal(run('sh', '-c', 'echo %s > "$1"' % command, 'sh', str(pipe)).returncode, 0)

    def status(program):
        tell('status')
        return program.line(program.stderr)

    os.environ['FAKE_WORKER_MARK'] = str(directory / 'mark')
    with Program(INDEXER, str(tree), '-o', str(output), '-w', late(directory), '-b', '10', '--control', str(pipe)) as program:
        while not pipe.exists():
            time.sleep(0.01)
        tell('pause')
        tell('dance')
        equal(program.line(program.stderr), 'indexer: "dance" is none of pause, resume, stop and status')
        # from here on it would begin, were it not for that
        (directory / 'mark').write_text('go')
        before = status(program)
        equal(re.sub(r'\d+', 'N', before), 'indexer: paused, N of N files')
        equal(status(program), before)
        tell('resume')
        equal(program.end(), 0)
        equal(pipe.exists(), False)
    equal(output.read_bytes() == sha256sum(tree), True)
    (directory / 'mark').write_text('')
    with Program(INDEXER, str(tree), '-o', str(output), '-w', late(directory), '--control', str(pipe)) as program:
        while not pipe.exists():
            time.sleep(0.01)
        tell('stop')
        equal(program.end(), 1)
        equal(program.line(program.stderr), 'indexer: interrupted')


@case
def a_worker_without_the_library(directory):
    tree = make_tree(directory)
    report = index(directory, tree, fake(directory, 'honest'))
    equal(report[1], {'honest': (len(NAMES), 'finished')})
    # it does not count, and that is said
    check_counters(report, (0, 0), (len(NAMES), report[0]['bytes']))


@case
def kill_one(directory):
    tree = make_tree(directory, extra=1000)
    for _ in range(5):
        numbers, workers, text = index(directory, tree, 'c,c,c', '--kill-one', '--batch', '10')
        killed = re.search(r'^killed +(\S+) \(process \d+\) with kill -9, after (\d+) files, with (\d+) ', text, re.M)
        equal(workers[killed[1]][1], 'killed by signal 9')
        equal(int(killed[2]) >= (1000 + len(NAMES)) // 5, True, killed[0])
        # its results may have been on the way already
        equal(numbers['requeued'] <= 2 * 10, True, text)
        equal(numbers['ignored'], 0)
        # what it had counted and not told is counted again by others
        equal(numbers.get('retracted', 0) <= numbers['requeued'], True, text)
        equal('uncounted' in numbers, False, text)


def wait_for(path):
    deadline = time.monotonic() + DEADLINE
    while not path.exists() or path.stat().st_size == 0:
        if time.monotonic() > deadline:
            raise AssertionError('%s does not appear' % path)
        time.sleep(0.01)
    return int(path.read_text())


def find_children(pid):
    return [int(child) for child in pathlib.Path('/proc/%d/task/%d/children' % (pid, pid)).read_text().split()]


def hold(directory, tree, workers, *options):
    """The indexer with a worker that holds on to its batch, and that worker's process and number of files."""
    os.environ['FAKE_WORKER_MARK'] = str(directory / 'mark')
    indexer = Program(INDEXER, str(tree), '--output', str(directory / 'index'), '--workers', workers, *options)
    held = wait_for(directory / 'mark')
    holder = next(child for child in find_children(indexer.pid)
                  if b'hold' in pathlib.Path('/proc/%d/cmdline' % child).read_bytes())
    return indexer, holder, held


@case
def kill_9_while_others_wait(directory):
    tree = make_tree(directory, extra=100)
    indexer, holder, held = hold(directory, tree, late(directory) + ',' + fake(directory, 'hold'))
    with indexer:
        os.kill(holder, signal.SIGKILL)
        equal(indexer.end(), 0)
        numbers, workers, text = report_of('\n'.join(indexer.rest(indexer.stdout)).encode())
        equal((numbers['requeued'], workers['hold'], workers['late']),
              (held, (0, 'killed by signal 9'), (100 + len(NAMES), 'finished')), text)
        equal(held > 0, True, text)
    equal((directory / 'index').read_bytes() == sha256sum(tree), True, 'the index is what sha256sum prints')


@case
def a_worker_that_leaves(directory):
    tree = make_tree(directory, extra=50)
    numbers, workers, _ = index(directory, tree, late(directory) + ',' + fake(directory, 'leave'))
    equal(numbers['requeued'] > 0, True, numbers)
    # the coordinator may be quicker to kill it than it is to leave
    equal(workers['leave'] in ((0, 'exited with status 3'), (0, 'killed by signal 9')), True, workers)


@case
def lies_are_ignored(directory):
    tree = make_tree(directory)
    numbers, workers, _ = index(directory, tree, fake(directory, 'lie'))
    equal(workers['lie'], (len(NAMES), 'finished'))
    equal(numbers['ignored'] >= len(NAMES) + 3, True, numbers)


@case
def garbled_results_do_not_count(directory):
    tree = make_tree(directory)
    numbers, workers, _ = index(directory, tree, late(directory) + ',' + fake(directory, 'garble'))
    equal(workers['garble'][0], 0)
    equal(numbers['requeued'] > 0, True, numbers)


@case
def impossible_times_do_not_count(directory):
    tree = make_tree(directory)
    for behaviour in 'future', 'reverse':
        (directory / 'mark').unlink(missing_ok=True)
        late_one = late(directory)
        numbers, workers, _ = index(directory, tree, late_one + ',' + fake(directory, behaviour), '--readers', '1')
        equal((workers[behaviour][0], numbers['readers']), (0, 1))
        equal(numbers['requeued'] > 0, True, numbers)


def check_permits(text, n_readers, limit, n_acquired, n_recovered):
    equal(n_readers <= limit, True, text)
    permits = re.search(r'^permits +(\d+) acquired, (\d+) recovered from the dead, (\d+) of (\d+) back$', text, re.M)
    equal([int(number) for number in permits.groups()], [n_acquired, n_recovered, limit, limit], text)


@case
def readers_are_bounded(directory):
    tree = make_tree(directory, extra=300)
    for limit in 1, 2, 5:
        numbers, _, text = index(directory, tree, 'c,c,c', '--batch', '5', '--readers', str(limit))
        equal(numbers['readers'] >= 1, True, text)
        check_permits(text, numbers['readers'], limit, 300 + len(NAMES), 0)
    numbers, _, text = index(directory, tree, 'c,c,c')
    equal((numbers['readers'] >= 1, 'permits' in numbers), (True, False), text)


@case
def readers_are_bounded_in_all_languages(directory):
    need_introspection()
    tree = make_tree(directory, extra=300)
    for limit in 1, 2:
        numbers, _, text = index(directory, tree, 'c,python,gjs', '--batch', '5', '--readers', str(limit))
        check_permits(text, numbers['readers'], limit, 300 + len(NAMES), 0)


@case
def a_reader_without_a_permit_is_found_out(directory):
    tree = make_tree(directory)
    os.environ['FAKE_WORKER_MARK'] = str(directory / 'mark')
    greedy = fake(directory, 'greedy')
    result = run(INDEXER, str(tree), '-o', str(directory / 'index'), '-w', greedy, '-b', '7', '--readers', '3')
    numbers = report_of(result.stdout)[0]
    equal((result.returncode, numbers['files'] > 3, numbers['readers'] > 3), (1, True, True), result)
    equal(result.stderr.decode(), 'indexer: %d files were read at the same time, 3 may be\n' % numbers['readers'])
    result = run(INDEXER, str(tree), '-o', str(directory / 'index'), '-w', greedy, '-b', '7')
    equal((result.returncode, report_of(result.stdout)[0]['readers']), (0, numbers['readers']), result)


@case
def a_killed_reader_gives_its_permit_back(directory):
    """The only permit is held by a worker that is killed, while another one waits for it."""
    tree = make_tree(directory, extra=50)
    holder_program = directory / 'hold'
    holder_program.write_text('#!/bin/sh\nIPC_GLIB_DIR=$(dirname "$1") exec "%s" semaphore run readers -- "%s" "$@"\n'
                              % (os.environ['GIPC'], HERE / 'fake_worker.py'))
    holder_program.chmod(0o755)
    indexer, holder, held = hold(directory, tree, '%s,%s' % (late(directory), holder_program), '--readers', '1')
    with indexer:
        scope, = (directory / 'temporary').iterdir()
        deadline = time.monotonic() + DEADLINE
        while json.loads(run(os.environ['GIPC'], 'semaphore', 'info', '--json', 'readers',
                             env=dict(os.environ, IPC_GLIB_DIR=str(scope))).stdout)['waiters'] != 1:
            if time.monotonic() > deadline:
                raise AssertionError('nobody waits')
        os.kill(holder, signal.SIGKILL)
        equal(indexer.end(), 0)
        numbers, workers, text = report_of('\n'.join(indexer.rest(indexer.stdout)).encode())
        equal((numbers['requeued'], workers['hold'], workers['late']),
              (held, (0, 'killed by signal 9'), (50 + len(NAMES), 'finished')), text)
        check_permits(text, numbers['readers'], 1, 50 + len(NAMES) + 1, 1)
    equal((directory / 'index').read_bytes() == sha256sum(tree), True, 'the index is what sha256sum prints')


@case
def all_workers_die(directory):
    tree = make_tree(directory)
    os.environ['FAKE_WORKER_MARK'] = str(directory / 'mark')
    for workers in fake(directory, 'leave'), '/bin/false', '/bin/false,/bin/false', '/no/such/program':
        result = run(INDEXER, str(tree), '--output', str(directory / 'index'), '--workers', workers)
        equal((result.returncode, result.stdout), (1, b''), result)
        equal(b'worker' in result.stderr, True, result)
        equal(os.path.exists(directory / 'index'), False, 'no index')


@case
def a_worker_that_cannot_start(directory):
    tree = make_tree(directory)
    _, workers, _ = index(directory, tree, 'c,/no/such/program,/bin/false')
    equal(workers['program'], (0, 'did not start'))
    equal(workers['false'], (0, 'exited with status 1'))


@case
def interrupted(directory):
    tree = make_tree(directory)
    indexer, holder, _ = hold(directory, tree, fake(directory, 'hold'))
    with indexer:
        equal(indexer.end(signal.SIGTERM), 1)
        equal(indexer.rest(indexer.stderr), ['indexer: interrupted'])
    equal(os.path.exists('/proc/%d' % holder), False, 'the worker is gone')
    equal(os.path.exists(directory / 'index'), False, 'no index')


@case
def the_coordinator_is_killed(directory):
    """Its workers end by themselves."""
    tree = make_tree(directory)
    indexer, holder, _ = hold(directory, tree, late(directory) + ',' + fake(directory, 'hold'))
    with indexer:
        workers = find_children(indexer.pid)
        equal(indexer.end(signal.SIGKILL), -signal.SIGKILL)
        os.kill(holder, signal.SIGKILL)  # that one pauses for ever
        # the streams end when the last process that writes to them has ended
        indexer.rest(indexer.stderr)
    for worker in workers:
        equal(os.path.exists('/proc/%d/exe' % worker), False, 'worker %d' % worker)
    # what it has left goes with the next one, and nothing else does
    temporary = directory / 'temporary'
    (temporary / 'indexer-own').mkdir()
    equal(len(list(temporary.iterdir())), 2)
    index(directory, tree, 'c')
    equal(list(temporary.iterdir()), [temporary / 'indexer-own'])
    (temporary / 'indexer-own').rmdir()


@case
def how_the_directory_is_named(directory):
    tree = make_tree(directory)
    (directory / 'alias').symlink_to('tree')
    for name in 'tree', './tree', 'tree/sub/..', str(tree), 'alias/.', 'alias':
        for suffix in '', '/', '//':
            result = run(INDEXER, name + suffix, '-o', 'index', '-w', 'c', cwd=directory)
            equal(result.returncode, 0, result)
            index_lines = (directory / 'index').read_bytes()
            equal(index_lines.count(b'\n'), len(NAMES))
            equal(index_lines.split(b'  ', 1)[1].startswith(name.rstrip('/').encode() + b'/'), True, name)
            equal(run('sha256sum', '-c', '--strict', '--quiet', 'index', cwd=directory).returncode, 0)


@case
def the_index_is_not_in_the_index(directory):
    tree = make_tree(directory)
    want = sha256sum(tree)
    for _ in range(2):
        result = run(INDEXER, str(tree), '-o', str(tree / 'index'), '-w', 'c')
        equal(result.returncode, 0, result)
        equal((tree / 'index').read_bytes() == want, True)


@case
def empty_directory(directory):
    (directory / 'tree').mkdir()
    result = run(INDEXER, str(directory / 'tree'), '-o', str(directory / 'index'), '-w', 'c')
    equal((result.returncode, (directory / 'index').read_bytes()), (0, b''))


def as_somebody(directory):
    """For root, whom no mode stops: options for run() that make somebody else the owner of all this."""
    if os.getuid() != 0:
        return {}
    # not the user that the kernel calls nobody: it stands for those whom it cannot name
    somebody = {'user': 54321, 'group': 54321, 'extra_groups': []}
    if run('test', '-x', INDEXER, **somebody).returncode != 0:
        raise Skip('root reads everything, and nobody else can run the indexer here')
    for path in [directory, *directory.rglob('*')]:
        os.chown(path, 54321, 54321, follow_symlinks=False)
    return somebody


@case
def unreadable(directory):
    """What cannot be read is named and counted; the rest is indexed."""
    tree = make_tree(directory)
    somebody = as_somebody(directory)
    (tree / 'plain').chmod(0)
    (tree / 'sub').chmod(0)
    result = run(INDEXER, str(tree), '-o', str(directory / 'index'), '-w', 'c', **somebody)
    (tree / 'sub').chmod(0o700)
    equal(result.returncode, 0, result)
    equal(report_of(result.stdout)[0]['unreadable'], 2)
    for name in b'plain', b'sub':
        equal(b'/tree/' + name + b': Permission denied\n' in result.stderr, True, result.stderr)
    equal((directory / 'index').read_bytes().count(b'\n'), len(NAMES) - 3)


@case
def a_file_that_vanishes(directory):
    """After the walk, before a worker gets to it."""
    tree = make_tree(directory)
    indexer, holder, held = hold(directory, tree, fake(directory, 'hold') + ',' + late(directory))
    with indexer:
        for path in list(files_below(tree)):
            os.unlink(path)
            os.mkfifo(path)
        os.kill(holder, signal.SIGKILL)
        equal(indexer.end(), 0)
        numbers, _, text = report_of('\n'.join(indexer.rest(indexer.stdout)).encode())
        equal(numbers['unreadable'] >= held, True, text)
        equal(numbers['files'] + numbers['unreadable'], len(NAMES), text)
        errors = indexer.rest(indexer.stderr)
        equal(len(errors), numbers['unreadable'], errors)


@case
def usage(directory):
    tree = str(make_tree(directory))
    output = str(directory / 'index')
    for arguments in [(), (tree,), ('-o', output), (tree, tree, '-o', output), (tree, '-o', output, '-w', ''),
                      (tree, '-o', output, '-w', 'c,cobol'), (tree, '-o', output, '-b', '0'),
                      (tree, '-o', output, '-b', '1001'), (tree, '-o', output, '--readers', '0'),
                      (tree, '-o', output, '-r', '4097'), (tree, '-o', output, '-r', 'x'), (tree, '-o', output, '--observer'),
                      (tree, '-o', output, '--kill-one', '-w', 'c')]:
        result = run(INDEXER, *arguments)
        equal((result.returncode, result.stderr.count(b'\n')), (2, 1), result)
    for arguments in [('/no/such/directory', '-o', output), (tree + '/plain', '-o', output),
                      (tree, '-o', tree), (tree, '-o', '/no/such/directory/index')]:
        result = run(INDEXER, *arguments, '-w', 'c')
        equal((result.returncode, result.stderr.count(b'\n')), (1, 1), result)


@case
def progress_on_a_terminal(directory):
    need_terminals()
    tree = make_tree(directory)
    script = 'stty cols 100; exec "$0" "$1" -o "$2" -w c'
    result = run(sys.executable, '-c', 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)',
                 'sh', '-c', script, INDEXER, str(tree), str(directory / 'index'))
    equal(result.returncode, 0, result)
    equal(b'100%% %3d of %d files' % (len(NAMES), len(NAMES)) in result.stdout, True, result)
    quiet = run(INDEXER, str(tree), '-o', str(directory / 'index'), '-w', 'c')
    equal(quiet.stderr, b'')


@case
def demonstration(directory):
    need_introspection()
    tree = make_tree(directory, extra=500)
    demo = os.path.join(os.path.dirname(INDEXER), 'run-demo')
    result = subprocess.run([demo, str(tree)], capture_output=True, timeout=120)
    equal(result.returncode, 0, result)
    equal(b'VERDICT: good. sha256sum agrees on all %d files.' % (500 + len(NAMES)) in result.stdout, True, result)
    equal(b'\nkilled ' in result.stdout, True, result)
    readers = re.search(rb'^readers +([12]) at the same time at most, the limit is 2$', result.stdout, re.M)
    permits = re.search(rb'^permits +(\d+) acquired, ([01]) recovered from the dead, 2 of 2 back$', result.stdout, re.M)
    equal((bool(readers), int(permits[1]) >= 500 + len(NAMES)), (True, True), result)
    check_counters(report_of(result.stdout), uncounted=(0, 0))


def queue_counts(uri):
    """What is in each of the two queues: (jobs that are left, results and the plan)."""
    listed = run(os.environ['GIPC'], 'queue', 'list', '--json', '--uri', uri)
    rows = {row['name'].split('-')[1]: row['n_messages'] for row in map(json.loads, listed.stdout.splitlines())}
    return rows.get('jobs', 0), rows.get('results', 0)


# so many files that there is time to kill somebody
N_RESUMED = 1000


def check_table(path):
    """What the head says is what the records say; how many are done."""
    found = {'done': 0, 'bytes': 0, 'lines': 0}
    table = path.read_bytes()
    layout, n_records, *head = struct.unpack_from('=5Q', table)
    if layout == 0:
        equal(any(table), False, 'nothing was written yet')
        return 0
    for i in range(n_records):
        state, n_bytes, n_lines = struct.unpack_from('=3Q', table, 64 * (i + 1))
        found = {'done': found['done'] + (state == 1), 'bytes': found['bytes'] + n_bytes, 'lines': found['lines'] + n_lines}
    equal((layout, head), (1, list(found.values())))
    return found['done']


def kill_at(directory, tree, uri, n_results, victims):
    """Kills -9 the coordinator, or its workers, when so many results are there."""
    indexer = Program(INDEXER, str(tree), '--output', str(directory / 'index'), '--workers', 'c,c', '--batch', '1', '--resume', uri,
                      '--table', str(directory / 'table'))
    with indexer:
        deadline = time.monotonic() + DEADLINE
        while queue_counts(uri)[1] < n_results and indexer.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError('there are no %d results' % n_results)
        if victims == 'coordinator':
            indexer.end(signal.SIGKILL)
        else:
            children = pathlib.Path('/proc/%d/task/%d/children' % (indexer.pid, indexer.pid))
            for pid in children.read_text().split() if children.exists() else []:
                os.kill(int(pid), signal.SIGKILL)
            indexer.end()
    # What it had no time to remove.
    for left in (directory / 'temporary').iterdir():
        shutil.rmtree(left, ignore_errors=True)  # workers may be leaving it


def recover_table(directory):
    """As somebody reads it who maps it, and so does what the killed one had begun."""
    path = directory / 'table'
    result = run(os.environ['GIPC'], 'file', 'write', str(path), '56', input=b'\0' * 8)
    equal(result.returncode, 0, result)
    return check_table(path)


@case
def resumed(directory):
    """The coordinator and the workers are killed again and again: the index is complete and exact."""
    uri = 'sqlite:%s' % (directory / 'jobs.db')
    if b'without SQLite' in run(os.environ['GIPC'], 'queue', 'list', '--uri', uri).stderr:
        raise Skip('SQLite is not there')
    tree = make_tree(directory, N_RESUMED)
    output = directory / 'index'
    for n_results, victims in (1, 'coordinator'), (40, 'coordinator'), (90, 'workers'), (150, 'coordinator'), (200, 'workers'):
        kill_at(directory, tree, uri, n_results, victims)
        if output.exists():
            raise Skip('this machine is too quick to kill anything in time')
        equal(n_results - 1 <= recover_table(directory) < N_RESUMED + len(NAMES), True)
    result = run(INDEXER, str(tree), '--output', str(output), '--workers', 'c,c', '--resume', uri, '--table', str(directory / 'table'))
    equal(result.returncode, 0, result)
    equal(output.read_bytes() == sha256sum(tree), True, 'the index is what sha256sum prints')
    done = int(re.search(rb'^resumed +(\d+) files', result.stdout, re.M).group(1))
    equal(199 <= done < len(list(files_below(tree))), True, result.stdout)
    equal(report_of(result.stdout)[0]['files'], len(list(files_below(tree))))
    equal(recover_table(directory), len(list(files_below(tree))))
    # Nothing is left, and the next time it begins anew.
    equal(run(os.environ['GIPC'], 'queue', 'list', '--uri', uri).stdout, b'')
    (tree / 'new file').write_bytes(b'x')
    equal(run(INDEXER, str(tree), '--output', str(output), '--workers', 'c', '--resume', uri).returncode, 0)
    equal(output.read_bytes() == sha256sum(tree), True)


@case
def resumed_over_a_socket(directory):
    """Queues that another process serves; a plan that was not complete is made anew."""
    tree = make_tree(directory, N_RESUMED)
    output = directory / 'index'
    with Program(os.environ['GIPC'], 'queue', 'serve', 'queues') as server:
        server.line(server.stderr)
        kill_at(directory, tree, 'ipc:queues', 1, 'coordinator')
        result = run(INDEXER, str(tree), '--output', str(output), '--workers', 'c', '--resume', 'ipc:queues')
        equal(result.returncode, 0, result)
        equal(output.read_bytes() == sha256sum(tree), True)
    problem = run(INDEXER, str(tree), '--output', str(output), '--workers', 'c', '--resume', 'ipc:queues')
    equal((problem.returncode, b'queues' in problem.stderr), (1, True), problem)


if __name__ == '__main__':
    sys.exit(run_cases(one_c_worker, several_c_workers, controlled_from_a_shell, python_worker, gjs_worker, all_languages,
                       a_worker_without_the_library, kill_one, kill_9_while_others_wait, a_worker_that_leaves,
                       lies_are_ignored, garbled_results_do_not_count, impossible_times_do_not_count, readers_are_bounded,
                       readers_are_bounded_in_all_languages, a_reader_without_a_permit_is_found_out,
                       a_killed_reader_gives_its_permit_back, all_workers_die, a_worker_that_cannot_start,
                       interrupted, the_coordinator_is_killed, how_the_directory_is_named,
                       the_index_is_not_in_the_index, empty_directory, unreadable, a_file_that_vanishes, usage,
                       progress_on_a_terminal, demonstration, resumed, resumed_over_a_socket))
