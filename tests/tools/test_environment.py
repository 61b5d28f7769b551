#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A server and its client, each a gipc, in surroundings that are not what one expects: few descriptors, a small stack,
other languages, odd directories, and system calls that are interrupted or do their work by the byte."""

import contextlib
import json
import os
import resource
import shutil
import socket
import sys
import uuid

from programs import Program, case, run, run_cases
from tap import Skip, equal

GIPC = os.environ['GIPC']
TEXT = 'Grüße aus İstanbul, 1.5 ıIiİ'
MEBIBYTE = 1 << 20


def listen(address, **options):
    listener = Program(GIPC, 'listen', '--echo', address, **options)
    equal(listener.line(listener.stderr), 'listening on ' + address)
    return listener


def check_call(address, text=TEXT, **options):
    result = run(GIPC, 'call', '--timeout', '20000', address, 'echo', '-', input=text.encode(), **options)
    equal((result.returncode, result.stderr), (0, b''))
    equal(result.stdout.decode().rstrip('\n'), text)


def check_end(listener):
    listener.line(listener.stdout)
    equal(listener.end(15), 0)
    equal(listener.rest(listener.stderr), [])


def check_pair(address='name', **options):
    """All a program does: it serves, is called, is listed and watched, and ends in order."""
    with listen(address, **options) as listener:
        check_call(address, **options)
        result = run(GIPC, 'list', '--json', **options)
        equal(json.loads(result.stdout)['state'], 'alive')
        result = run(GIPC, 'monitor', '--json', '--count', '1', address, **options)
        equal(json.loads(result.stdout)['clients'], 1, 'clients of %r' % result.stdout)
        result = run(GIPC, 'call', address, 'nonsense', **options)
        equal((result.returncode, b'unknown-type' in result.stderr or b'nonsense' in result.stderr), (1, True))
        check_end(listener)


def with_variables(**variables):
    """An environment; None unsets."""
    environment = dict(os.environ)
    for name, value in variables.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = os.fsdecode(value)
    return environment


def with_limit(which, soft):
    hard = resource.getrlimit(which)[1]
    return {'preexec_fn': lambda: resource.setrlimit(which, (soft, hard))}


# ── What there is little of ──

@case
def few_descriptors(directory):
    limit = with_limit(resource.RLIMIT_NOFILE, 64)
    check_pair(**limit)
    with listen('name', **limit) as listener, contextlib.ExitStack() as others:
        path = directory / 'scope' / 'socket' / 'name'
        held = []
        for _ in range(100):
            held.append(others.enter_context(socket.socket(socket.AF_UNIX)))
            held[-1].connect(str(path))
        for one in held:
            one.close()
        check_call('name', **limit)
        check_end(listener)


@case
def small_stack(directory):
    limit = with_limit(resource.RLIMIT_STACK, 512 * 1024)
    check_pair(**limit)
    with listen('name', **limit) as listener:
        check_call('name', 'x' * MEBIBYTE, **limit)
        deep = '[' * 64 + ']' * 64
        result = run(GIPC, 'call', '--json', 'name', 'echo', deep, **limit)
        equal((result.returncode, json.loads(result.stdout)['payload']), (0, json.loads(deep)))
        equal(listener.end(15), 0)


# ── Languages ──

@case
def plain_c(directory):
    check_pair(env=with_variables(LC_ALL='C', LANG=None))


@case
def c_utf8(directory):
    check_pair(env=with_variables(LC_ALL='C.UTF-8'))


@case
def turkish(directory):
    """An I that is not the capital of i, and a comma in numbers."""
    locales = directory / 'locales'
    locales.mkdir()
    if not shutil.which('localedef'):
        raise Skip('no localedef to make a locale with')
    made = run('localedef', '-i', 'tr_TR', '-f', 'UTF-8', str(locales / 'tr_TR.UTF-8'))
    if not (locales / 'tr_TR.UTF-8' / 'LC_CTYPE').exists():
        raise Skip('no such locale can be made: %s' % made.stderr.decode().strip())
    environment = with_variables(LC_ALL='tr_TR.UTF-8', LOCPATH=str(locales))
    check = run('locale', 'decimal_point', env=environment)
    equal(check.stdout, b',\n', 'the decimal point')
    check_pair(env=environment)
    with listen('name', env=environment) as listener:
        result = run(GIPC, 'call', '--json', 'name', 'echo', '[1.5,"I"]', env=environment)
        equal((result.returncode, json.loads(result.stdout)['payload']), (0, [1.5, 'I']))
        equal(json.loads(listener.line(listener.stdout))['payload'], [1.5, 'I'])
        equal(listener.end(15), 0)


# ── Directories ──

@case
def temporary_directory(directory):
    (directory / 'a place').mkdir()
    (directory / 'b\udcff').mkdir()
    for place in 'missing', 'a place', 'b\udcff', '':
        check_pair(env=with_variables(TMPDIR=str(directory / place) if place else ''))
    equal((os.listdir(directory / 'a place'), os.listdir(directory / 'b\udcff')), ([], []))


def make_places(directory):
    """Each with what is wrong with it."""
    for name, mode in [('open', 0o777), ('group', 0o750), ('good', 0o700)]:
        (directory / name).mkdir()
        (directory / name).chmod(mode)
    (directory / 'link').symlink_to('good')
    (directory / 'file').touch()
    return [('open', 'open: mode 0777, expected 0700'), ('group', 'group: mode 0750, expected 0700'),
            ('link', 'link is a symbolic link'), ('file', 'file is a regular file, expected a directory'),
            ('missing/deep', 'cannot open %s: No such file or directory' % (directory / 'missing'))]


def check_nothing_in(*places):
    equal([os.listdir(place) for place in places], [[] for _ in places], 'what is in the unusable places')


@case
def explicit_scope(directory):
    """It is used, or that it cannot be is an error, never another place."""
    for place, fault in make_places(directory):
        scope = str(directory / place)
        environment = with_variables(IPC_GLIB_DIR=scope)
        for verb in ('listen', 'name'), ('call', 'name', 'echo', 'x'):
            result = run(GIPC, *verb, env=environment)
            text = 'gipc: socket %s/socket/name: $IPC_GLIB_DIR: ' % scope
            equal((result.returncode, result.stdout), (1, b''))
            equal(result.stderr.decode()[:len(text)], text)
            equal(result.stderr.decode().rstrip('\n')[-len(fault):], fault)
        if place != 'missing/deep':
            for verb in ('list',), ('semaphore', 'list'), ('memory', 'list'), ('monitor', '--all', '--count', '1'):
                result = run(GIPC, *verb, env=environment)
                equal((result.returncode, result.stderr.decode().rstrip('\n')[-len(fault):]), (1, fault), verb)
    check_nothing_in(directory / 'open', directory / 'group', directory / 'good')
    result = run(GIPC, 'listen', 'name', env=with_variables(IPC_GLIB_DIR='good'), cwd=directory)
    equal((result.returncode, result.stderr),
          (1, b'gipc: socket good/socket/name: $IPC_GLIB_DIR: the path "good" is not absolute\n'))
    for place in 'good', 'a place', 'b\udcff', 'new':
        if place != 'new':
            (directory / place).mkdir(mode=0o700, exist_ok=True)
        check_pair(env=with_variables(IPC_GLIB_DIR=str(directory / place)))
        equal(os.listdir(directory / place), ['socket'])


def find_fallback(name):
    """Where a server is that could not be in $XDG_RUNTIME_DIR."""
    uid = os.geteuid()
    for scope in '/run/user/%d/ipc-glib' % uid, '/dev/shm/ipc-glib-%d' % uid:
        if os.path.exists(os.path.join(scope, 'socket', name)):
            return os.path.join(scope, 'socket')
    raise AssertionError('%s is nowhere' % name)


@case
def runtime_directory(directory):
    """It is used, or the next place is, the same by all; what is wrong with it is nobody's business."""
    for place, _ in make_places(directory) + [('relative', None), ('', None), (None, None)]:
        runtime = place if place in ('relative', '', None) else str(directory / place)
        name = 'test-' + uuid.uuid4().hex
        odd = with_variables(IPC_GLIB_DIR=None, FLATPAK_ID=None, XDG_RUNTIME_DIR=runtime)
        none = with_variables(IPC_GLIB_DIR=None, FLATPAK_ID=None, XDG_RUNTIME_DIR=None)
        with Program(GIPC, 'listen', '--echo', name, env=odd, cwd=directory) as listener:
            said = listener.line(listener.stderr)
            if said != 'listening on ' + name and not os.access('/dev/shm', os.W_OK):
                raise Skip('there is no other place here: %s' % said)
            equal(said, 'listening on ' + name)
            folder = find_fallback(name)
            check_call(name, env=none)
            check_end(listener)
        os.unlink(os.path.join(folder, '.%s.lock' % name))
    check_nothing_in(directory / 'open', directory / 'group', directory / 'good')
    for place in 'good', 'a place':
        (directory / place).mkdir(mode=0o700, exist_ok=True)
        check_pair(env=with_variables(IPC_GLIB_DIR=None, FLATPAK_ID=None, XDG_RUNTIME_DIR=str(directory / place)))
        equal(os.listdir(directory / place / 'ipc-glib'), ['socket'])


# ── System calls ──

@case
def interrupted(directory):
    """Every second call of a kind is interrupted, or takes one byte."""
    if 'FAULT_SHIM' not in os.environ:
        raise Skip('nothing can be loaded before a sanitizer')
    calls = 'open openat connect accept4 recv recvmsg send sendmsg flock read'.split()
    for faults in [','.join(call + '=EINTR/2' for call in calls[:8]),
                   'recv=short/2,recvmsg=short/2,send=short/2,sendmsg=short/2,read=EINTR/2,flock=EINTR/2']:
        check_pair(env=with_variables(IPC_TEST_FAULTS=faults, LD_PRELOAD=os.environ['FAULT_SHIM']))


if __name__ == '__main__':
    sys.exit(run_cases(few_descriptors, small_stack, plain_c, c_utf8, turkish, temporary_directory, explicit_scope,
                       runtime_directory, interrupted))
