#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every vector of tests/vectors against the codec of this folder."""

import sys

sys.dont_write_bytecode = True

import os
import subprocess

import tap
import vectors
import wire_codec as codec
import wire_gvariant
import wire_session
from wire_error import WireError


def outcome_of(error):
    return {'outcome': 'error', 'nick': error.nick, 'action': error.action}


def expected(vector, *more):
    names = ('outcome', 'nick', 'action') + more
    return {name: vector['expect'][name] for name in names if name in vector['expect']}


def check_gvariant(vector):
    try:
        value = wire_gvariant.decode(vector['type'], vectors.data(vector))
        tap.equal(wire_gvariant.encode(vector['type'], value), vectors.data(vector), 'encoded again')
        have = {'outcome': 'ok'}
    except wire_gvariant.Malformed:
        have = {'outcome': 'error', 'nick': 'invalid-data', 'action': 'drop'}
    tap.equal(have, expected(vector), 'outcome')


def check_preamble(vector):
    try:
        have = {'outcome': 'ok' if codec.check_preamble(vectors.data(vector)) else 'incomplete'}
    except WireError as error:
        have = outcome_of(error)
    tap.equal(have, expected(vector), 'outcome')


def limits_of(vector):
    limits = vector.get('limits', {})
    return codec.Limits(limits.get('max-message-size', codec.DEFAULT_MAX_MESSAGE_SIZE), limits.get('max-fds', 0),
                        limits.get('memfd', False))


def check_frame(vector):
    data, stage = vectors.data(vector), 'header'
    try:
        header = codec.decode_header(data, limits_of(vector))
        stage, body = 'body', data[32:]
        tap.equal(len(body), header.length, 'length')
        codec.split_body(header, body)
        stage = 'payload'
        frame = codec.decode_body(header, body)
    except WireError as error:
        tap.equal({**outcome_of(error), 'stage': stage}, expected(vector, 'stage'), 'outcome')
        return
    tap.equal('ok', vector['expect']['outcome'], 'outcome')
    check_fields(vector['expect']['frame'], header, frame, data)


def check_fields(want, header, frame, data):
    have = {name: getattr(header, name) for name in
            ('length', 'flags', 'n_fds', 'serial', 'reply_serial', 'timestamp')}
    have.update(kind=codec.KINDS[header.kind], type=frame.type, headers=frame.headers, payload=frame.payload.hex())
    for name, value in have.items():
        tap.equal(value, want[name], name)
    for name in ('text', 'json', 'hello'):
        if name in want:
            tap.equal(frame.value, want[name], name)
    tap.equal(frame.encode(), data, 'encoded again')


def check_split(vector):
    """The reader gives the same whatever the pieces are."""
    data, readers = vectors.data(vector), []
    for size in (1, 7, 33, len(data) + 1):
        reader, frames = codec.FrameReader(limits_of(vector)), []
        for start in range(0, len(data), size):
            reader.feed(data[start:start + size])
            try:
                frames.append(reader.next())
            except WireError as error:
                frames.append(outcome_of(error))
                break
        readers.append([frame for frame in frames if frame is not None])
    for frames in readers[1:]:
        tap.equal(frames, readers[0], 'frames')


def seen(item, with_fds):
    if isinstance(item, WireError):
        return {'error': {'nick': item.nick, 'action': item.action, 'serial': item.request}}
    for fd in item.fds:
        os.close(fd)
    result = {'kind': codec.KINDS[item.kind], 'type': item.type, 'serial': item.serial,
              'reply_serial': item.reply_serial}
    if with_fds:
        result['n_fds'] = len(item.fds)
    if item.memfd:
        result['payload'] = item.payload.hex()
    return result


def open_descriptor(what):
    if what == 'any':
        return os.open('/dev/null', os.O_RDWR | os.O_CLOEXEC)
    return codec.write_memfd(bytes.fromhex(what['memfd']), what['seals'])


def open_descriptors(vector, start, end):
    """Those that come with the bytes from START to END."""
    return [open_descriptor(what) for entry in vector.get('descriptors', ()) if start <= entry['at'] < end
            for what in entry['fds']]


def run_stream(vector, size):
    """What came of the stream, fed in pieces of SIZE bytes, and how it ended."""
    data, result = vectors.data(vector), []
    try:
        session = wire_session.session_for(data)
    except WireError as error:
        return [], outcome_of(error)
    session.outstanding = set(vector.get('outstanding', ()))
    with_fds = 'descriptors' in vector
    if 'limits' in vector:
        session.reader.limits = limits_of(vector)
    for start in range(0, len(data), size):
        result += session.feed(data[start:start + size], open_descriptors(vector, start, start + size))
        if result and isinstance(result[-1], WireError) and result[-1].action == 'drop':
            session.reader.close()
            return [seen(item, with_fds) for item in result[:-1]], outcome_of(result[-1])
    whole = session.reader.header is None and not session.reader.buffer
    return [seen(item, with_fds) for item in result], {'outcome': 'ok' if whole else 'incomplete'}


def check_stream(vector):
    for size in (1, 5, len(vectors.data(vector))):
        frames, outcome = run_stream(vector, size)
        tap.equal(frames, vector['expect']['frames'], 'frames in pieces of %d' % size)
        tap.equal(outcome, expected(vector), 'outcome in pieces of %d' % size)


def simplify(item):
    if isinstance(item, WireError):
        return {'error': {'nick': item.nick, 'action': item.action}}
    item = dict(item)
    if 'bytes' in item:
        item['bytes'] = item['bytes'].hex()
    return item


def check_json(vector):
    data = vectors.data(vector)
    for size in (1, len(data)) if len(data) < 4096 else (4096, len(data)):
        session, results = wire_session.JsonSession(), []
        for start in range(0, len(data), size):
            results += session.feed(data[start:start + size])
            if results and isinstance(results[-1], WireError) and results[-1].action == 'drop':
                break
        compare_json(vector, session, results)


def compare_json(vector, session, results):
    want = vector['expect']['results']
    tap.equal(len(results), len(want), 'number of results')
    for have, expectation in zip(results, want):
        have, expectation = simplify(have), dict(expectation)
        if 'n_payload' in expectation:
            have['n_payload'] = len(have.pop('payload'))
        elif expectation.pop('repeat', False):
            have['payload'] = have['payload'][:8]
        tap.equal(have, expectation, 'result')
    last = results[-1] if results else None
    if isinstance(last, WireError) and last.action == 'drop':
        tap.equal(outcome_of(last), expected(vector), 'outcome')
    else:
        tap.equal('ok' if session.reader.at_boundary() else 'incomplete', vector['expect']['outcome'], 'outcome')


def check_generated():
    """vectors.json is what the script beside it writes."""
    script = os.path.join(vectors.DIRECTORY, 'generate.py')
    done = subprocess.run([sys.executable, '-B', script, '--check'], capture_output=True, text=True, check=False)
    tap.equal(done.returncode, 0, done.stdout + done.stderr)


def check_open_descriptors():
    """Runs last: nothing that came was left open."""
    assert len(os.listdir('/proc/self/fd')) < 10, os.listdir('/proc/self/fd')


def check_counts():
    frames = vectors.load('frame')
    malformed = [vector for vector in frames if vector['expect']['outcome'] == 'error']
    kinds = {vector['expect']['frame']['kind'] for vector in frames if 'frame' in vector['expect']}
    assert len(malformed) >= 40, len(malformed)
    tap.equal(kinds, set(codec.KINDS.values()), 'kinds')


CHECKS = {'gvariant': check_gvariant, 'preamble': check_preamble, 'frame': check_frame, 'stream': check_stream,
          'json': check_json}


def main():
    cases = [('vectors/generated', check_generated), ('vectors/counts', check_counts)]
    for vector in vectors.load():
        check = CHECKS[vector['layer']]
        cases.append(('%s/%s' % (vector['layer'], vector['name']), lambda v=vector, c=check: c(v)))
        if vector['layer'] == 'frame':
            cases.append(('split/' + vector['name'], lambda v=vector: check_split(v)))
    cases.append(('vectors/open-descriptors', check_open_descriptors))
    return tap.run(cases)


if __name__ == '__main__':
    sys.exit(main())
