#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The GVariant bytes of the vectors, and the codec of this folder, against GLib."""

import sys

sys.dont_write_bytecode = True

import random

import tap
import vectors
import wire_gvariant

try:
    from gi.repository import GLib
except ImportError:
    GLib = None

SEED = 20240229
ROUNDS = 20000
BYTES = (0, 1, 2, 3, 5, 8, 16, 97, 255)

TEXTS = ('1', '@a{sv} {}', "{'max-message-size': <uint64 16777216>, 'features': <['memfd', 'x']>}",
         "('a', 1, 'b', @ay [], uint64 7, @ms nothing, @mi 5, @ms 'x')", "[('a', 1), ('b', 2)]", '()',
         '(byte 1, uint64 2, byte 3)', '[true, false]', "{1: 'x', 2: 'y'}", "<<<'x'>>>", "objectpath '/a/b'",
         "signature 'a{sv}(ii)'", "[<'%s'>]" % ('x' * 300), '[@ay [1, 2], [3]]', '@a() [(), ()]', '@m() ()',
         '(1.5, @an [1, -2])', '[%s]' % ', '.join("'%d'" % number for number in range(20000)))


def serialize(signature, text):
    variant = GLib.Variant.parse(GLib.VariantType(signature) if signature else None, text, None, None)
    return variant.get_type_string(), variant.get_data_as_bytes().get_data() or b''


def check_text(text):
    signature, data = serialize(None, text)
    value = wire_gvariant.decode(signature, data)
    tap.equal(wire_gvariant.encode(signature, value), data, text[:40])


def check_vector(vector):
    tap.equal(vectors.data(vector), serialize(vector['type'], vector['text'])[1], vector['name'])


def check_frame(vector):
    frame = vector['expect']['frame']
    if 'gvariant' in frame:
        tap.equal(frame['payload'], serialize(frame['gvariant']['type'], frame['gvariant']['text'])[1].hex(), 'payload')
    if 'gvariant_headers' in frame:
        data = serialize('a{ss}', frame['gvariant_headers'])[1]
        body = vectors.data(vector)[32 + len(frame['type'].encode()):]
        tap.equal(body[:4 + len(data)], len(data).to_bytes(4, 'little') + data, 'headers')


def mutate(generator, data):
    data = bytearray(data)
    for _ in range(generator.randint(1, 2)):
        choice = generator.random()
        if choice < 0.6 and data:
            data[generator.randrange(len(data))] = generator.choice(BYTES)
        elif choice < 0.8 and data:
            del data[generator.randrange(len(data))]
        else:
            data.insert(generator.randrange(len(data) + 1), generator.choice(BYTES))
    return bytes(data)


def check_mutations():
    """What is in normal form here is so for GLib, and the other way round."""
    generator, normal = random.Random(SEED), 0
    samples = [serialize(None, text) for text in TEXTS[:-1]]
    for _ in range(ROUNDS):
        signature, data = generator.choice(samples)
        data = mutate(generator, data)
        variant = GLib.Variant.new_from_bytes(GLib.VariantType(signature), GLib.Bytes(data), False)
        try:
            wire_gvariant.decode(signature, data)
            good = True
        except wire_gvariant.Malformed:
            good = False
        tap.equal(good, variant.is_normal_form(), '%s %s' % (signature, data.hex()))
        normal += good
    assert 1000 < normal < ROUNDS - 1000, normal


def check_skipped():
    raise tap.Skip('no PyGObject')


def main():
    if GLib is None:
        return tap.run([('gvariant', check_skipped)])
    cases = [('gvariant/text-%d' % number, lambda t=text: check_text(t)) for number, text in enumerate(TEXTS, 1)]
    for vector in vectors.load('gvariant'):
        if vector['expect']['outcome'] == 'ok':
            cases.append(('gvariant/' + vector['name'], lambda v=vector: check_vector(v)))
    for vector in vectors.load('frame'):
        if {'gvariant', 'gvariant_headers'} & set(vector['expect'].get('frame', ())):
            cases.append(('frame/' + vector['name'], lambda v=vector: check_frame(v)))
    return tap.run(cases + [('gvariant/mutations', check_mutations)])


if __name__ == '__main__':
    sys.exit(main())
