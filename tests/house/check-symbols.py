#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the library exports is what was agreed on.

check-symbols.py [--update] LIST LIBRARY [GIR]

LIST is the checked-in list of exported symbols; --update writes it anew. With a GIR, each symbol must also be known
there, with the version that it came with.
"""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'
HEAD = '''# SPDX-License-Identifier: LGPL-2.1-or-later
# The symbols that the library exports. `meson compile update-symbols` writes this file;
# a line that goes is a break of the ABI.
'''
SKIP = 77
# these come with a type, which has its own version
TYPE_FUNCTION = re.compile(r'_get_type$')


def exported_symbols(library):
    output = subprocess.run(['nm', '-D', '--defined-only', library], check=True, capture_output=True, text=True).stdout
    symbols = {line.split()[-1].split('@')[0] for line in output.splitlines() if line.strip()}
    # what sanitizers and linkers put in
    return sorted(s for s in symbols if not s.startswith('_'))


def listed_symbols(path):
    with open(path, encoding='utf-8') as stream:
        return [line.strip() for line in stream if line.strip() and not line.startswith('#')]


def described_symbols(gir):
    """Symbol -> version or None."""
    found = {}
    for element in ElementTree.parse(gir).iter():
        symbol = element.get(C + 'identifier')
        if symbol and element.tag.split('}')[1] != 'member':
            found[symbol] = element.get('version')
        get_type = element.get(GLIB + 'get-type')
        if get_type and get_type.startswith('ipc_'):
            found[get_type] = element.get('version')
    return found


def compare(listed, exported):
    for symbol in sorted(set(exported) - set(listed)):
        yield f'{symbol}: exported, and not in the list'
    for symbol in sorted(set(listed) - set(exported)):
        yield f'{symbol}: in the list, and not exported'
    for symbol in exported:
        if not symbol.startswith('ipc_'):
            yield f'{symbol}: exported without the prefix'


def check_gir(exported, gir):
    described = described_symbols(gir)
    for symbol in exported:
        if symbol not in described:
            yield f'{symbol}: exported, and not in the GIR'
        elif not described[symbol]:
            yield f'{symbol}: has no Since'


def main():
    arguments = sys.argv[1:]
    update = arguments[0] == '--update'
    if update:
        arguments.pop(0)
    if not shutil.which('nm'):
        print('there is no nm')
        return SKIP
    path, library, *gir = arguments
    exported = exported_symbols(library)
    if update:
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(HEAD + ''.join(symbol + '\n' for symbol in exported))
        return 0
    complaints = list(compare(listed_symbols(path), exported))
    if gir:
        complaints += check_gir(exported, gir[0])
    for complaint in complaints:
        print(complaint)
    if complaints:
        print('where the change is meant: meson compile update-symbols')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
