#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes vectors.json, beside this file. With --check: says whether it is up to date.

Only what doc/wire-protocol.md says goes in: the bytes are put together here by
hand, with an encoder that knows nothing of the codecs under test, and every
expectation is written down, not computed.
"""

import sys

sys.dont_write_bytecode = True

import json
import os

import encoder as e
import frames_bad
import frames_good
import json_objects
import streams

OUTPUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vectors.json')


def document():
    vectors = []
    for module in (frames_good, frames_bad, streams, json_objects):
        vectors += module.vectors()
    names = [vector['name'] for vector in vectors]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    return {'format': 1, 'protocol': 1, 'about': e.ABOUT, 'vectors': vectors}


def main(arguments):
    text = json.dumps(document(), indent=1, ensure_ascii=True) + '\n'
    if arguments == ['--check']:
        with open(OUTPUT, encoding='ascii') as file:
            same = file.read() == text
        print('vectors.json is %s' % ('up to date' if same else 'not what generate.py writes'))
        return 0 if same else 1
    with open(OUTPUT, 'w', encoding='ascii') as file:
        file.write(text)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
