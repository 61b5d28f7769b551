#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes a program that compiles only if every type of the library works with g_autoptr().

gen-autoptr.py GIR OUTPUT
"""

import sys
import xml.etree.ElementTree as ElementTree

CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'

PROGRAM = '''/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ipc-glib/ipc-glib.h>

int
main (void)
{{
{declarations}

  return {expression} ? 1 : 0;
}}
'''


def find_types(gir):
    namespace = ElementTree.parse(gir).getroot().find(CORE + 'namespace')
    for element in namespace:
        tag = element.tag.split('}')[1]
        if tag in ('class', 'interface') or tag == 'record' and element.get(GLIB + 'get-type'):
            yield element.get(C + 'type') or element.get(GLIB + 'type-name')


def main():
    types = sorted(find_types(sys.argv[1]))
    if 'IpcMessage' not in types or 'IpcServer' not in types:
        sys.exit('the GIR does not have the types that it should')
    declarations = '\n'.join(f'  g_autoptr({name}) v{i} = NULL;' for i, name in enumerate(types))
    expression = ' || '.join(f'v{i}' for i in range(len(types)))
    with open(sys.argv[2], 'w', encoding='utf-8') as stream:
        stream.write(PROGRAM.format(declarations=declarations, expression=expression))


if __name__ == '__main__':
    main()
