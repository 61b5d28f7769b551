#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""No identifier of the public headers is a macro of System V IPC.

check-sysv.py COMPILER PUBLIC-HEADER...

<sys/ipc.h> defines IPC_CREAT, IPC_PRIVATE and more. An enumerator of that name does not compile after it, and before it
silently changes its value. A compile test cannot show the second, so the names are compared here.
"""

import re
import subprocess
import sys

HEADERS = ['sys/ipc.h', 'sys/shm.h', 'sys/sem.h', 'sys/msg.h', 'mqueue.h', 'linux/ipc.h', 'linux/msg.h', 'linux/sem.h']
# names that the kernel's headers have where those of this system do not
ALWAYS = {'IPC_OLD', 'IPC_64', 'IPC_OWN', 'IPC_DIPC', 'IPC_INFO'}


def macros_of(compiler, header):
    run = subprocess.run([*compiler, '-D_GNU_SOURCE', '-dM', '-E', '-'], input=f'#include <{header}>\n',
                         capture_output=True, text=True, check=False)
    return set(re.findall(r'^#define (IPC_\w+)', run.stdout, re.MULTILINE))


def main():
    compiler, headers = sys.argv[1].split(), sys.argv[2:]
    macros = set(ALWAYS)
    for header in HEADERS:
        macros |= macros_of(compiler, header)
    if 'IPC_CREAT' not in macros:
        print('no macros found: the compiler does not work, or System V IPC is gone')
        return 1
    failed = False
    for path in headers:
        with open(path, encoding='utf-8') as stream:
            text = re.sub(r'/\*.*?\*/', '', stream.read(), flags=re.DOTALL)
        for name in sorted(macros & set(re.findall(r'\w+', text))):
            print(f'{path}: {name} is a macro of System V IPC')
            failed = True
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
