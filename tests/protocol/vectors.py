# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads tests/vectors/vectors.json."""

import json
import os

DIRECTORY = os.environ.get('IPC_VECTORS_DIR') or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), '..', 'vectors')


def load(*layers):
    with open(os.path.join(DIRECTORY, 'vectors.json'), encoding='ascii') as file:
        document = json.load(file)
    assert document['format'] == 1
    return [vector for vector in document['vectors'] if not layers or vector['layer'] in layers]


def data(vector):
    parts = vector.get('parts') or [{'hex': vector['hex'], 'repeat': 1}]
    return b''.join(bytes.fromhex(part['hex']) * part['repeat'] for part in parts)
