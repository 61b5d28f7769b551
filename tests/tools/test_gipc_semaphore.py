#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gipc semaphore from outside: commands that hold permits, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time

from gipc import GIPC, check_error, gipc
from programs import DEADLINE, Program, case, run, run_cases
from tap import equal

# A command that says its process, then what it gets, until it gets SIGTERM.
CATCHER = '''
import os, signal
caught = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, caught)
print(os.getpid(), flush=True)
number = 0
while number != signal.SIGTERM:
    number = signal.sigwait(caught)
    print(signal.Signals(number).name, flush=True)
os._exit(9)
'''


def semaphore(verb, *arguments, **options):
    return gipc('semaphore', verb, *arguments, **options)


def info(name='s'):
    result = semaphore('info', '--json', name)
    equal((result.returncode, result.stderr), (0, b''))
    return json.loads(result.stdout)


def until(condition, name='s'):
    """What info says when the condition holds of it."""
    deadline = time.monotonic() + DEADLINE
    while not condition(row := info(name)):
        if time.monotonic() > deadline:
            raise AssertionError('it does not come: %r' % row)
    return row


def hold(*options, name='s'):
    """A command that says its process and runs until its standard input ends."""
    holder = Program(GIPC, 'semaphore', 'run', *options, name, '--', 'sh', '-c', 'echo $$; exec cat', stdin=subprocess.PIPE)
    holder.command = int(holder.line(holder.stdout))
    return holder


def let_go(holder, status=0):
    holder.process.stdin.close()
    equal(holder.end(), status)


def is_alive(pid):
    """Not so a process that is dead and not waited for."""
    try:
        with open('/proc/%d/stat' % pid) as stat:
            return stat.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_death(pid):
    deadline = time.monotonic() + DEADLINE
    while is_alive(pid):
        if time.monotonic() > deadline:
            raise AssertionError('process %d lives on' % pid)
        time.sleep(0.005)


@case
def help_texts(directory):
    whole = semaphore('--help')
    equal((whole.returncode, whole.stderr), (0, b''))
    for verb in 'create', 'list', 'info', 'run', 'delete':
        equal(('\n  %s ' % verb).encode() in whole.stdout, True, verb)
        result = semaphore(verb, '--help')
        equal((result.returncode, result.stderr), (0, b''))
        equal(('gipc semaphore ' + verb).encode() in result.stdout, True, verb)


@case
def usage(directory):
    for arguments in [(), ('nonsense',), ('--nonsense',), ('create',), ('create', 'a', 'b'), ('create', '-p', 'x', 'a'),
                      ('create', '--permits', '0', 'a'), ('create', '--permits', '-1', 'a'),
                      ('create', '--permits', '-2147483649', 'a'), ('list', 'a'), ('info',), ('info', 'a', 'b'), ('run',),
                      ('run', 'a'), ('run', 'a', '--'), ('run', '--permits', '0', 'a', '--', 'true'),
                      ('run', '--timeout', '-2', 'a', '--', 'true'), ('run', '--timeout', '1.5', 'a', '--', 'true'),
                      ('run', 'a', 'sleep', '--nonsense'), ('delete',), ('delete', 'a', 'b')]:
        check_error(gipc('semaphore', *arguments), 2, 'gipc semaphore', '--help')
    equal(semaphore('list').stdout, b'', 'nothing was made')


@case
def create_and_delete(directory):
    for arguments, permits in (('a',), 1), (('--permits', '3', 'b'), 3), (('c', '-p', '4096'), 4096):
        result = semaphore('create', *arguments)
        equal((result.returncode, result.stdout, result.stderr), (0, b'', b''))
        row = info(arguments[0] if len(arguments) == 1 else [word for word in arguments if word in 'bc'][0])
        equal((row['total_permits'], row['available_permits'], row['waiters']), (permits, permits, 0))
    check_error(semaphore('create', 'b'), 1, '"b"', '3')
    check_error(semaphore('create', 'b', '-p', '2'), 1, '"b"', '3', '2')
    check_error(semaphore('create', 'd', '-p', '4097'), 1, '"d"', '4097', '4096')
    for verb in 'create', 'info', 'delete':
        for bad in '', '../x', '.x', 'a b', 'x' * 65, 'a\nb':
            check_error(semaphore(verb, bad), 1)
    equal(semaphore('delete', 'b').returncode, 0)
    for verb in 'delete', 'info':
        check_error(semaphore(verb, 'b'), 1, 'b')
    equal(semaphore('create', 'b', '-p', '2').returncode, 0)
    equal(info('b')['total_permits'], 2)


@case
def listed(directory):
    for arguments in (), ('--json',):
        result = semaphore('list', *arguments)
        equal((result.returncode, result.stdout, result.stderr), (0, b'', b''))
    semaphore('create', 'beta', '-p', '2')
    semaphore('create', 'alpha')
    accessed = info('beta')['last_accessed']
    with hold(name='beta') as holder:
        rows = [line.split() for line in semaphore('list').stdout.decode().splitlines()]
        equal(rows, [['NAME', 'PERMITS', 'FREE', 'WAITERS', 'ACQUIRED', 'RECOVERED'],
                     ['alpha', '1', '1', '0', '0', '0'], ['beta', '2', '1', '0', '1', '0']])
        let_go(holder)
    # to look at them is no access
    before = info('beta')
    equal(before['last_accessed'] >= accessed, True)
    rows = [json.loads(line) for line in semaphore('list', '--json').stdout.splitlines()]
    equal([row['name'] for row in rows], ['alpha', 'beta'])
    equal({**rows[1], 'holders': []}, before)
    with open('/dev/full', 'wb') as full:
        for arguments in ('list',), ('list', '--json'), ('info', 'alpha'), ('info', '--json', 'alpha'):
            process = subprocess.run([GIPC, 'semaphore', *arguments], stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE)
            equal((process.returncode, process.stderr[:23]), (1, b'gipc: standard output: '))


@case
def told(directory):
    """Who holds its permits, since when."""
    before = time.time()
    with hold('--permits', '3') as one, hold() as two:
        row = info()
        equal((row['name'], row['total_permits'], row['available_permits'], row['acquired_count'], row['released_count']),
              ('s', 3, 1, 2, 0))
        equal(sorted(int(holder['label'].split()[0]) for holder in row['holders']), sorted([one.pid, two.pid]))
        for holder in row['holders']:
            equal(holder['label'].split()[1], 'gipc')
            # the clock of the last tick
            equal(before - 0.1 <= holder['since'] / 1e6 <= time.time(), True, holder)
        equal(before - 0.1 <= row['created_at'] / 1e6 <= row['last_accessed'] / 1e6 <= time.time(), True, row)
        lines = semaphore('info', 's').stdout.decode().splitlines()
        equal([line.split()[0] for line in lines],
              ['name', 'permits', 'free', 'waiters', 'acquired', 'released', 'recovered', 'created', 'accessed',
               'holder', 'holder'])
        equal({line.split()[1] for line in lines[9:]}, {str(one.pid), str(two.pid)})
        let_go(one)
        let_go(two)
    row = info()
    equal((row['holders'], row['available_permits'], row['released_count'], row['recovered_count']), ([], 3, 2, 0))


@case
def a_command_as_it_is(directory):
    """What goes in, comes out and is returned."""
    command = 'import sys; print(sys.argv[1:], sys.stdin.read()); print("e", file=sys.stderr); sys.exit(int(sys.argv[1]))'
    for status in 0, 1, 2, 75, 255:
        result = semaphore('run', 's', '--', sys.executable, '-c', command, str(status), '--', '--permits', 'x', input=b'in')
        equal((result.returncode, result.stdout.decode(), result.stderr),
              (status, "['%d', '--', '--permits', 'x'] in\n" % status, b'e\n'))
    equal(semaphore('run', 's', 'sh', '--', '-c', 'exit 3').returncode, 3, 'options of the command after a --')
    for number in signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV:
        equal(semaphore('run', 's', '--', 'sh', '-c', 'ulimit -c 0; kill -%d $$' % number).returncode, 128 + number)
    check_error(semaphore('run', 's', '--', 'no-such-command'), 127, 'no-such-command')
    check_error(semaphore('run', 's', '--', '/no/such/command'), 127, '/no/such/command')
    check_error(semaphore('run', 's', '--', str(directory)), 126, str(directory))
    (directory / 'script').write_text('echo no first line')
    check_error(semaphore('run', 's', '--', str(directory / 'script')), 126, 'script')
    (directory / 'script').chmod(0o700)
    equal(semaphore('run', 's', '--', str(directory / 'script')).stdout, b'no first line\n')
    row = info()
    equal((row['total_permits'], row['available_permits'], row['recovered_count']), (1, 1, 0))
    equal(row['acquired_count'], row['released_count'])


@case
def signals_of_a_command_are_as_they_were(directory):
    """Not as gipc has them for itself: nothing is blocked or ignored that was not so before."""
    show = ['grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status']
    for ignored in set(), {signal.SIGPIPE}, {signal.SIGCHLD, signal.SIGHUP}:
        def ignore():
            for number in signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP:
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        options = {'preexec_fn': ignore, 'restore_signals': False}
        equal(semaphore('run', 's', '--', *show, **options).stdout, run(*show, **options).stdout)


@case
def no_permit_in_time(directory):
    with hold() as holder:
        for timeout in '0', '50':
            check_error(semaphore('run', '--timeout', timeout, 's', '--', 'echo', 'x'), 75, '"s"', timeout + ' ms')
        equal(info()['waiters'], 0)
        let_go(holder)
    for timeout in '0', '50', '-1':
        equal(semaphore('run', '--timeout', timeout, 's', '--', 'echo', 'x').stdout, b'x\n')


@case
def another_number_of_permits(directory):
    equal(semaphore('run', '--permits', '2', 's', '--', 'true').returncode, 0)
    equal(info()['total_permits'], 2)
    check_error(semaphore('run', '--permits', '3', 's', '--', 'echo', 'x'), 1, '"s"', '2', '3')
    check_error(semaphore('run', '--permits', '4097', 't', '--', 'echo', 'x'), 1, '"t"', '4097')
    check_error(semaphore('run', '../x', '--', 'echo', 'x'), 1, '../x')
    for arguments in (), ('--permits', '2'):
        equal(semaphore('run', *arguments, 's', '--', 'true').returncode, 0)
    row = info()
    equal((row['total_permits'], row['available_permits'], row['acquired_count']), (2, 2, 3))


@case
def no_more_than_there_are_permits(directory):
    """Each says when it begins and ends, all into one file: never more than two in between."""
    log = directory / 'log'
    script = 'echo + >> "%s"; sleep 0.02; echo - >> "%s"' % (log, log)
    runners = [Program(GIPC, 'semaphore', 'run', '--permits', '2', 's', '--', 'sh', '-c', script) for _ in range(12)]
    for runner in runners:
        with runner:
            equal((runner.end(), runner.rest(runner.stderr)), (0, []))
    at_once, highest = 0, 0
    for line in log.read_text().split():
        at_once += 1 if line == '+' else -1
        highest = max(highest, at_once)
    equal((at_once, highest), (0, 2))
    row = info()
    equal((row['acquired_count'], row['released_count'], row['available_permits']), (12, 12, 2))


@case
def signals_are_passed_on(directory):
    with Program(GIPC, 'semaphore', 'run', 's', '--', sys.executable, '-c', CATCHER) as runner:
        runner.line(runner.stdout)
        for name in 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGTERM':
            runner.process.send_signal(getattr(signal, name))
            equal(runner.line(runner.stdout), name)
        # what the command makes of it is what counts
        equal(runner.end(), 9)
    for number in signal.SIGINT, signal.SIGTERM:
        with hold() as holder:
            holder.process.send_signal(number)
            equal(holder.end(), 128 + number)
    row = info()
    equal((row['available_permits'], row['acquired_count'], row['released_count']), (1, 3, 3))


@case
def gipc_is_killed(directory):
    """Its command does not go on without the permit, which is the next one's."""
    for round_ in range(1, 6):
        with hold() as holder:
            with Program(GIPC, 'semaphore', 'run', 's', '--', 'echo', 'mine') as waiter:
                until(lambda row: row['waiters'] == 1)
                equal(holder.end(signal.SIGKILL), -signal.SIGKILL)
                equal(waiter.line(waiter.stdout), 'mine')
                equal(waiter.end(), 0)
            wait_for_death(holder.command)
        row = info()
        equal((row['available_permits'], row['waiters'], row['recovered_count']), (1, 0, round_))
        equal(row['released_count'], round_)
    # nobody was waiting
    with hold() as holder:
        equal(holder.end(signal.SIGKILL), -signal.SIGKILL)
        wait_for_death(holder.command)
    equal(info()['available_permits'], 1)
    equal(semaphore('run', '--timeout', '0', 's', '--', 'echo', 'mine').stdout, b'mine\n')


@case
def the_command_is_killed(directory):
    with hold() as holder:
        with Program(GIPC, 'semaphore', 'run', 's', '--', 'echo', 'mine') as waiter:
            until(lambda row: row['waiters'] == 1)
            os.kill(holder.command, signal.SIGKILL)
            equal(holder.end(), 128 + signal.SIGKILL)
            equal(waiter.line(waiter.stdout), 'mine')
            equal(waiter.end(), 0)
    row = info()
    equal((row['available_permits'], row['released_count'], row['recovered_count']), (1, 2, 0))


@case
def killed_while_it_waits(directory):
    with hold() as holder:
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGKILL:
            with Program(GIPC, 'semaphore', 'run', 's', '--', 'echo', 'x') as waiter:
                until(lambda row: row['waiters'] == 1)
                equal(waiter.end(number), -number)
                equal(waiter.rest(waiter.stdout), [])
        with Program(GIPC, 'semaphore', 'run', 's', '--', 'echo', 'mine') as waiter:
            until(lambda row: row['waiters'] >= 1)
            let_go(holder)
            equal(waiter.line(waiter.stdout), 'mine')
            equal(waiter.end(), 0)
    equal(info()['available_permits'], 1)


@case
def deleted_meanwhile(directory):
    with hold() as holder, Program(GIPC, 'semaphore', 'run', 's', '--', 'echo', 'x') as waiter:
        until(lambda row: row['waiters'] == 1)
        equal(semaphore('delete', 's').returncode, 0)
        equal((waiter.end(), waiter.rest(waiter.stdout)), (1, []))
        equal('deleted' in waiter.line(waiter.stderr), True)
        # a new one is another one
        equal(semaphore('run', '--timeout', '0', '--permits', '3', 's', '--', 'echo', 'x').stdout, b'x\n')
        equal(info()['total_permits'], 3)
        let_go(holder)


@case
def all_make_it_at_once(directory):
    for number in range(5):
        name = 'race-%d' % number
        runners = [Program(GIPC, 'semaphore', 'run', '--permits', '4', name, '--', 'true') for _ in range(6)]
        for runner in runners:
            with runner:
                equal((runner.end(), runner.rest(runner.stderr)), (0, []))
        row = info(name)
        equal((row['total_permits'], row['available_permits'], row['acquired_count']), (4, 4, 6))


if __name__ == '__main__':
    sys.exit(run_cases(help_texts, usage, create_and_delete, listed, told, a_command_as_it_is,
                       signals_of_a_command_are_as_they_were, no_permit_in_time, another_number_of_permits,
                       no_more_than_there_are_permits, signals_are_passed_on, gipc_is_killed, the_command_is_killed,
                       killed_while_it_waits, deleted_meanwhile, all_make_it_at_once))
