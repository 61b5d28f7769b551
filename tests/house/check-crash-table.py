#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page of what survives what names tests that there are.

check-crash-table.py PAGE PROGRAM...

A name is a path in brackets, [/socket/path/lost]. The programs are asked what tests they have, over each transport; of those in Python, which are
not run, the cases are looked for: [/tools/indexer/kill-one] is kill_one in tools/test_indexer.py.
"""

import os
import pathlib
import re
import subprocess
import sys

NAME = re.compile(r'\[(/[a-z0-9/-]+)\]')


CASE = re.compile(r'^@case\ndef (\w+)\(', re.M)


def cases_of(script):
    folder = '/%s/%s/' % (script.parent.name, script.stem.removeprefix('test_').replace('_', '-'))
    return {folder + name.replace('_', '-') for name in CASE.findall(script.read_text(encoding='utf-8'))}


def list_tests(program, transport):
    environment = dict(os.environ, IPC_TEST_TRANSPORT=transport)
    return subprocess.run([program, '-l'], check=True, capture_output=True, text=True, env=environment).stdout.splitlines()


def tests_of(program):
    if program.endswith('.py'):
        return cases_of(pathlib.Path(program))
    return {line for transport in ('socket', 'pipe') for line in list_tests(program, transport) if line.startswith('/')}


def main():
    page, programs = sys.argv[1], sys.argv[2:]
    there = set().union(*map(tests_of, programs))
    with open(page, encoding='utf-8') as stream:
        lines = stream.readlines()
    problems = ['%s:%d: there is no test %s' % (page, number, name)
                for number, line in enumerate(lines, 1) for name in NAME.findall(line) if name not in there]
    problems += ['%s:%d: a row without a test' % (page, number)
                 for number, line in enumerate(lines, 1)
                 if line.startswith('| ') and not NAME.search(line) and '|---' not in lines[number]
                 and 'a power cut' not in line]
    print('\n'.join(problems) or '%d names of tests' % sum(len(NAME.findall(line)) for line in lines))
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
