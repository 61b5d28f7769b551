# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole conversations of the binary dialect: what is allowed when."""

from encoder import *


def stream(name, description, data, frames, problem=None, direction='client-to-server', **more):
    expect = problem or {'outcome': 'ok'}
    return vector('stream', 'stream-' + name, description, data, {**expect, 'frames': frames}, direction, **more)


def seen(kind, message_type='', serial=0, reply_serial=0):
    return {'kind': NAMES[kind], 'type': message_type, 'serial': serial, 'reply_serial': reply_serial}


def with_fds(name, description, pieces, frames, problem=None, **limits):
    """PIECES: bytes, and the descriptors that go with the first of them."""
    start = PREAMBLE + hello((('max-fds', 'u', le(2, 4)), ('features', 'as', array([string('memfd')]))))
    data, descriptors = start, []
    for piece, fds in pieces:
        if fds or descriptors:
            descriptors.append({'at': len(data), 'fds': fds})
        data += piece
    limits = {'max-fds': 2, 'memfd': True, **limits}
    return stream(name, description, data, [{**seen(HELLO), 'n_fds': 0}] + frames, problem, limits=limits,
                  descriptors=descriptors)


def saw(kind, message_type='', n_fds=0, payload=None, **more):
    item = {**seen(kind, message_type, **more), 'n_fds': n_fds}
    return item if payload is None else {**item, 'payload': payload.hex()}


def memfd(content, seals=15):
    return {'memfd': content.hex(), 'seals': seals}


def in_memfd(payload, message_type='m', n_fds=1, flags=MEMFD, size=None, **fields):
    return frame(EVENT, message_type, le(len(payload) if size is None else size, 8), flags, n_fds=n_fds, **fields)


def descriptors():
    drop, large = error('invalid-data', 'drop'), error('too-large', 'drop')
    plain, one, two = frame(EVENT, 'a', b'x'), frame(EVENT, 'b', b'y', n_fds=1), frame(EVENT, 'c', n_fds=2)
    saw_plain, saw_one, saw_two = saw(EVENT, 'a'), saw(EVENT, 'b', 1), saw(EVENT, 'c', 2)
    content = b'what is in it'
    get = saw(EVENT, 'm', payload=content)
    bad = frame(REQUEST, 'r', le(2, 8), MEMFD | TEXT, n_fds=1, serial=1)
    return [
        with_fds('fds', 'one frame, one descriptor', [(one, ['any'])], [saw_one]),
        with_fds('fds-merged', 'frames without any before and after it', [(plain, []), (two, ['any', 'any']), (plain, [])],
                 [saw_plain, saw_two, saw_plain]),
        with_fds('fds-next', 'two frames in a row', [(one, ['any']), (two, ['any'] * 2)], [saw_one, saw_two]),
        with_fds('fds-behind', 'what needs none may go in the same sendmsg()', [(one + plain, ['any'])],
                 [saw_one, saw_plain]),
        with_fds('fds-none', 'a descriptor is announced, and none comes', [(one, [])], [], drop),
        with_fds('fds-few', 'two are announced, and one comes', [(two, ['any'])], [], drop),
        with_fds('fds-many', 'one is announced, and two come', [(one, ['any'] * 2)], [], drop),
        with_fds('fds-unannounced', 'none is announced, and one comes', [(plain, ['any'])], [], drop),
        with_fds('fds-on-ping', 'PING has none', [(frame(PING, serial=1), ['any'])], [], drop),
        with_fds('memfd', 'the payload is in a memfd', [(in_memfd(content), [memfd(content)])], [get]),
        with_fds('memfd-larger', 'what is in it beyond the size does not count',
                 [(in_memfd(content), [memfd(content + b'more')])], [get]),
        with_fds('memfd-empty', 'a size of 0', [(in_memfd(b''), [memfd(b'')])], [saw(EVENT, 'm', payload=b'')]),
        with_fds('memfd-last', 'it is the last one', [(in_memfd(content, n_fds=3), ['any', 'any', memfd(content)])],
                 [saw(EVENT, 'm', 2, content)]),
        with_fds('memfd-headers', 'there are headers beside it',
                 [(frame(EVENT, 'm', le(len(content), 8), MEMFD | TEXT, string_map([('a', 'b')]), n_fds=1),
                   [memfd(content)])], [get]),
        with_fds('memfd-bad-payload', 'its content is judged like any', [(bad, [memfd(b'\xff\xff')]), (plain, [])],
                 [{'error': {'nick': 'invalid-data', 'action': 'reply', 'serial': 1}}, saw_plain]),
        with_fds('memfd-any', 'what is no memfd', [(in_memfd(content), ['any'])], [], drop),
        with_fds('memfd-small', 'it is smaller than its size', [(in_memfd(content, size=14), [memfd(content)])], [], drop),
        with_fds('memfd-large', 'the frame and what is in the memfd together are larger than the limit',
                 [(in_memfd(b'x' * 1500), [memfd(b'x' * 1500)])], [], large, **{'max-message-size': 1500}),
        with_fds('memfd-size-max', 'a size of 2^64-1', [(in_memfd(content, size=2 ** 64 - 1), [memfd(content)])], [], large),
    ] + [with_fds('memfd-seals-%d' % seals, 'seals are missing', [(in_memfd(content), [memfd(content, seals)])], [], drop)
         for seals in (0, 7, 11, 13, 14)]


def vectors():
    return conversations() + descriptors()


def conversations():
    start, hi = PREAMBLE + hello(), seen(HELLO)
    drop = error('invalid-data', 'drop')
    one = frame(REQUEST, 'echo', b'a', TEXT, serial=1)
    two = frame(REQUEST, 'echo', b'b', TEXT, serial=2)
    bad = frame(REQUEST, 'echo', b'\xff', TEXT, serial=1)
    saw_one, saw_two = seen(REQUEST, 'echo', 1), seen(REQUEST, 'echo', 2)
    answer = frame(REPLY, 'echo_response', b'a', TEXT, reply_serial=1)
    saw_answer = seen(REPLY, 'echo_response', 0, 1)
    back = {'direction': 'server-to-client'}
    refusal = frame(ERROR, 'version', b'the peer speaks 255', TEXT)
    cut = {'outcome': 'incomplete'}
    return [
        stream('hello', 'the handshake', start, [hi]),
        stream('request', 'a request after it', start + one, [hi, saw_one]),
        stream('requests', 'serials may skip', start + one + frame(REQUEST, 'echo', serial=90),
               [hi, saw_one, seen(REQUEST, 'echo', 90)]),
        stream('cancel', 'a request, and CANCEL', start + one + frame(CANCEL, reply_serial=1),
               [hi, saw_one, seen(CANCEL, reply_serial=1)]),
        stream('cancel-unknown', 'CANCEL of a request that was answered, or never made, is ignored',
               start + frame(CANCEL, reply_serial=77) + one, [hi, seen(CANCEL, reply_serial=77), saw_one]),
        stream('pings', 'PING may repeat its serial', start + frame(PING, serial=3) * 2 + frame(PING),
               [hi, seen(PING, serial=3), seen(PING, serial=3), seen(PING)]),
        stream('bad-payload', 'a request with a malformed payload costs only that request', start + bad + two,
               [hi, {'error': {'nick': 'invalid-data', 'action': 'reply', 'serial': 1}}, saw_two]),
        stream('cut-header', 'the end inside a header', start + one[:3], [hi], cut),
        stream('cut-body', 'the end inside a body', start + one[:-1], [hi], cut),
        stream('goodbye', 'GOODBYE, and an answer after it', start + frame(GOODBYE) + answer,
               [hi, seen(GOODBYE), saw_answer], outstanding=[1]),
        stream('no-hello', 'a request before HELLO', PREAMBLE + one, [], drop),
        stream('no-hello-ping', 'PING before HELLO', PREAMBLE + frame(PING, serial=1), [], drop),
        stream('hello-twice', 'a second HELLO', start + hello(), [hi], drop),
        stream('preamble-twice', 'a second preamble is not a frame', start + start, [hi],
               error('too-large', 'drop')),
        stream('version', 'version 255', PREAMBLE[:4] + b'\xff' + PREAMBLE[5:] + hello(), [], error('version', 'drop')),
        stream('serial-repeated', 'the same serial again', start + one + one, [hi, saw_one], drop),
        stream('serial-smaller', 'a smaller serial', start + two + one, [hi, saw_two], drop),
        stream('serial-of-bad', 'the serial of a malformed request is used up', start + bad + one,
               [hi, {'error': {'nick': 'invalid-data', 'action': 'reply', 'serial': 1}}], drop),
        stream('reply-unknown', 'a reply to what was not asked', start + answer, [hi], drop),
        stream('error-unknown', 'an error for what was not asked',
               start + frame(ERROR, 'remote', b'', TEXT, reply_serial=4), [hi], drop),
        stream('reply', 'a reply', start + answer, [hi, saw_answer], outstanding=[1, 2], **back),
        stream('reply-order', 'replies may come in any order',
               start + frame(REPLY, 'b', reply_serial=2) + frame(ERROR, 'cancelled', b'', TEXT, reply_serial=1),
               [hi, seen(REPLY, 'b', 0, 2), seen(ERROR, 'cancelled', 0, 1)], outstanding=[1, 2], **back),
        stream('bad-reply', 'a reply with a malformed payload costs only its request',
               start + frame(REPLY, 'b', b'\xff', TEXT, reply_serial=1) + frame(REPLY, 'b', reply_serial=2),
               [hi, {'error': {'nick': 'invalid-data', 'action': 'fail', 'serial': 1}}, seen(REPLY, 'b', 0, 2)],
               outstanding=[1, 2], **back),
        stream('reply-twice', 'two replies to one request', start + answer + answer, [hi, saw_answer], drop,
               outstanding=[1], **back),
        stream('refused', 'the server refuses the handshake', PREAMBLE + refusal, [seen(ERROR, 'version')], **back),
        stream('error-closing', 'ERROR with reply_serial 0', start + frame(ERROR, 'too-large', b'', TEXT),
               [hi, seen(ERROR, 'too-large')], outstanding=[1], **back),
    ]
