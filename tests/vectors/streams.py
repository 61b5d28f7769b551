# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole conversations of the binary dialect: what is allowed when."""

from encoder import *


def stream(name, description, data, frames, problem=None, direction='client-to-server', **more):
    expect = problem or {'outcome': 'ok'}
    return vector('stream', 'stream-' + name, description, data, {**expect, 'frames': frames}, direction, **more)


def seen(kind, message_type='', serial=0, reply_serial=0):
    return {'kind': NAMES[kind], 'type': message_type, 'serial': serial, 'reply_serial': reply_serial}


def vectors():
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
