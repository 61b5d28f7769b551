#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What holds for every text file of the tree.

check-files.py SOURCE-ROOT

 * it says its licence in its first lines (SPDX);
 * nothing was put off: the usual words for that do not occur;
 * no tabs, no trailing white space, a newline at the end; no line of code over 160 characters (120 is the aim).
"""

import os
import pathlib
import re
import sys

CODE = {'.c', '.h', '.cpp', '.py', '.js', '.vala', '.build', '.sh'}
TEXT = CODE | {'.md', '.in', '.rst', '.toml', '.supp', '.bash', '.metadata', '.dict', '.symbols'}
NAMED = {'run', 'run-demo', 'meson_options.txt'}
# a word is written in two halves, so that this file passes
PUT_OFF = re.compile(r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b')
SKIPPED_FOLDERS = {'.git', '__pycache__', 'subprojects', 'vectors', 'corpus'}
MAX_LINE = 160


def find_files(root):
    for folder, folders, names in os.walk(root):
        path = pathlib.Path(folder)
        # a build folder is one that says so, whatever its name
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS
                            and not (path / f / 'meson-private').exists()
                            and not (path == root and f.startswith('build') and f != 'build-aux'))
        for name in sorted(names):
            if pathlib.PurePath(name).suffix in TEXT or name in NAMED:
                yield path / name


def check(path):
    text = path.read_text(encoding='utf-8')
    lines = text.split('\n')
    if not any('SPDX-License-Identifier: LGPL-2.1-or-later' in line for line in lines[:5]):
        yield 1, 'does not say its licence (SPDX)'
    if text and not text.endswith('\n'):
        yield len(lines), 'has no newline at the end'
    for number, line in enumerate(lines, 1):
        if PUT_OFF.search(line):
            yield number, 'was put off: ' + line.strip()
        if line != line.rstrip():
            yield number, 'trailing white space'
        if '\t' in line:
            yield number, 'a tab'
        if path.suffix in CODE and len(line) > MAX_LINE:
            yield number, f'{len(line)} characters, limit {MAX_LINE}'


def main():
    root = pathlib.Path(sys.argv[1])
    failed = False
    for path in find_files(root):
        for number, complaint in check(path):
            print(f'{path.relative_to(root)}:{number}: {complaint}')
            failed = True
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
