#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Takes the first C program out of a page, so that what is shown there is known to compile.

extract-example.py PAGE OUTPUT
"""

import re
import sys

BLOCK = re.compile(r'^```c\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def main():
    with open(sys.argv[1], encoding='utf-8') as stream:
        programs = [block for block in BLOCK.findall(stream.read()) if '\nmain (' in block]
    if not programs:
        sys.exit(f'{sys.argv[1]}: there is no C program')
    with open(sys.argv[2], 'w', encoding='utf-8') as stream:
        stream.write(programs[0])


if __name__ == '__main__':
    main()
