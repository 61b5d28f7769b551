#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares the JSON validator with Python's json, made strict.

Usage: json-differential.py HELPER [CASES]

HELPER is the json-verdicts program. The documents are generated from a seed that
is printed; IPC_TEST_SEED repeats it.
"""
import json
import math
import os
import random
import struct
import subprocess
import sys

MAX_DEPTH = 64
MAX_VALUES = 65536

FIXED = [
    b'', b' ', b'{}', b'[]', b'{}{}', b'{} x', b'[1,]', b'/*c*/{}', b'var x={};', b"{'a':1}", b'\xef\xbb\xbf{}',
    b'["\\x"]', b'[0123]', b'[0x10]', b'[+1]', b'9223372036854775807', b'9223372036854775808', b'-9223372036854775808',
    b'-9223372036854775809', b'18446744073709551615', b'1e999', b'NaN', b'Infinity', b'-Infinity', b'1' * 4000,
    b'{"a":1,"a":2}', b'"\\u0000"', b'"\\ud800"', b'"\\ud800\\udc00"', b'"\\udc00\\ud800"', b'"\x01"', b'\xff\xfe',
    b'"\xc0\xaf"', b'[' * 64 + b']' * 64, b'[' * 65 + b']' * 65,
    b'[' + b'1,' * 65535 + b'1]', b'[' + b'1,' * 65536 + b'1]',
    b'1.7976931348623157e308', b'1.7976931348623159e308', b'-0', b'-0.0', b'0e1', b'1e-999', b'"\x7f"', b'[1]\x00',
]
TOKENS = ['{', '}', '[', ']', ',', ':', '"', '\\', '"a"', '"b"', '"\\u0061"', '"a":', '"b":1', 'true', 'false', 'null',
          '0', '-', '1', '12', '.', '5', 'e', 'E', '+', ' ', '\n', '\t', '\r', '\f', '\\u', 'd83d', '\\ude00', '\\ud83d',
          '\u00e9', '\U0001f600', '\x00', '\x1f', '/', '9223372036854775807', '9223372036854775808',
          '1e308', '1e309']


class Refused(Exception):
    pass


def refuse(what):
    raise Refused(what)


def read_integer(text):
    return int(text) if len(text) < 25 and -2**63 <= int(text) < 2**63 else refuse('integer')


def read_float(text):
    value = float(text)
    return refuse('overflow') if math.isinf(value) else value


def read_pairs(pairs):
    if len({name for name, _ in pairs}) < len(pairs):
        refuse('duplicate')
    return dict(pairs)


def check_text(text):
    if '\0' in text or any('\ud800' <= c <= '\udfff' for c in text):
        refuse('text')


def walk(root):
    """Depth and number of values, without recursion."""
    pending, values = [(root, 0)], -1
    while pending:
        node, depth = pending.pop()
        values += 1
        if isinstance(node, (dict, list)):
            if depth == MAX_DEPTH:
                refuse('depth')
            if isinstance(node, dict):
                for name in node:
                    check_text(name)
                node = list(node.values())
            pending += [(child, depth + 1) for child in node]
        elif isinstance(node, str):
            check_text(node)
    if values > MAX_VALUES:
        refuse('values')


def expected(document):
    try:
        walk(json.loads(document.decode('utf-8'), parse_int=read_integer, parse_float=read_float,
                        parse_constant=refuse, object_pairs_hook=read_pairs))
        return True
    except (ValueError, RecursionError, Refused):
        return False


def random_text(rng):
    alphabet = 'ab"\\/\n\t\x01\x7f\u00e9\u20ac\ud7ff\ue000\U0001f600\U0010ffff'
    return ''.join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 2, 3, 9, 40])))


def random_number(rng):
    if rng.random() < 0.5:
        return rng.choice([1, -1]) * rng.getrandbits(rng.randrange(1, 66))
    return rng.choice([1, -1]) * rng.random() * 10.0 ** rng.randrange(-320, 308)


def random_value(rng, depth):
    kind = rng.randrange(8 if depth < 5 else 5)
    if kind < 2:
        return random_number(rng)
    if kind < 4:
        return random_text(rng)
    if kind == 4:
        return rng.choice([True, False, None])
    size = rng.choice([0, 1, 2, 3, 20 if depth < 2 else 4])
    if kind == 5:
        return [random_value(rng, depth + 1) for _ in range(size)]
    return {random_text(rng): random_value(rng, depth + 1) for _ in range(size)}


def random_document(rng):
    text = json.dumps(random_value(rng, 0), ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 1]),
                      separators=rng.choice([(',', ':'), (' , ', ' : ')]))
    return text.encode()


def mutate(rng, document):
    data = bytearray(document)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        token = rng.choice(TOKENS).encode('utf-8', 'surrogatepass')
        action = rng.randrange(4)
        if action == 0:
            data[at:at] = token
        elif action == 1:
            data[at:at + rng.randrange(1, 4)] = b''
        elif action == 2:
            data[at:at + len(token)] = token
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def soup(rng):
    return ''.join(rng.choice(TOKENS) for _ in range(rng.randrange(1, 12))).encode()


def generate(rng, n):
    documents = list(FIXED)
    while len(documents) < n:
        document = random_document(rng)
        documents += [document, mutate(rng, document), mutate(rng, document), soup(rng)]
    return documents


def verdicts(helper, documents):
    stream = b''.join(struct.pack('<I', len(document)) + document for document in documents)
    output = subprocess.run([helper], input=stream, stdout=subprocess.PIPE, check=True).stdout
    lines = output.decode().splitlines()
    assert len(lines) == len(documents), (len(lines), len(documents))
    return lines


def main():
    seed = int(os.environ.get('IPC_TEST_SEED') or random.SystemRandom().getrandbits(32))
    print(f'IPC_TEST_SEED={seed}', flush=True)
    documents = generate(random.Random(seed), int(sys.argv[2]) if len(sys.argv) > 2 else 20000)
    wrong = good = 0
    for document, line in zip(documents, verdicts(sys.argv[1], documents)):
        want = expected(document)
        good += want
        if want != (line == 'ok'):
            wrong += 1
            print(f'Python says {want}, the validator {line!r}: {document[:300]!r}')
    print(f'{len(documents)} documents, {good} of them good, {wrong} judged differently')
    sys.exit(1 if wrong else 0)


main()
