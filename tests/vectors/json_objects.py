# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exchanges of the JSON dialect, right and wrong."""

from encoder import *


def item(name, description, data, documents, results, outcome=None, direction='client-to-server'):
    expect = {**(outcome or {'outcome': 'ok'}), 'documents': documents, 'results': results}
    return vector('json', 'json-' + name, description, data, expect, direction)


def text(message_type, payload='', **fields):
    return {'message_type': message_type, 'format': 'text', 'payload': payload, **fields}


def good():
    simple = b'{"id":"1","message_type":"echo","payload":"hi","timestamp":1700000000}'
    seen = text('echo', 'hi', id='1', timestamp=1700000000)
    small, saw = b'{"message_type":"a"}', text('a')
    answer = b'{"id":"9","message_type":"echo_response","payload":"hi","timestamp":1700000000,"reply_to":"1"}\n'
    refusal = (b'{"id":"9","message_type":"error","payload":"unknown message type: x","timestamp":1700000000,'
               b'"reply_to":"1","code":"unknown-type"}\n')
    return [
        item('simple', 'one object without a newline', simple, 1, [seen]),
        item('line', 'one object a line', simple + b'\n' + small + b'\n', 2, [seen, saw]),
        item('merged', 'nothing between two objects', simple + small, 2, [seen, saw]),
        item('space', 'white space before, between and after', b' \t\r\n' + small + b'\n\n  ' + small + b'\r\n', 2,
             [saw, saw]),
        item('space-inside', 'white space inside', b'{ "message_type" :\n "a" }', 1, [saw]),
        item('newline-only', 'a listener that only says newline', b'\n', 0, []),
        item('id-integer', 'an integer id is its decimal text', b'{"id":17,"message_type":"a"}', 1,
             [text('a', id='17')]),
        item('id-255', 'the longest id', b'{"id":"' + b'x' * 255 + b'","message_type":"a"}', 1,
             [text('a', id='x' * 255)]),
        item('timestamp-fraction', 'a time with a fraction', b'{"message_type":"a","timestamp":1700000000.5}', 1,
             [text('a', timestamp=1700000000.5)]),
        item('unknown-member', 'other members are ignored', b'{"message_type":"a","colour":{"x":[1]}}', 1, [saw]),
        item('payload-object', 'a payload that is JSON', b'{"message_type":"a","payload":{"x":[1,null]}}', 1,
             [{'message_type': 'a', 'format': 'json', 'payload': {'x': [1, None]}}]),
        item('payload-null', 'null is a JSON payload', b'{"message_type":"a","payload":null}', 1,
             [{'message_type': 'a', 'format': 'json', 'payload': None}]),
        item('payload-number', 'so is a number', b'{"message_type":"a","payload":9223372036854775807}', 1,
             [{'message_type': 'a', 'format': 'json', 'payload': 2 ** 63 - 1}]),
        item('payload-bytes', 'bytes', b'{"message_type":"a","payload":"","payload_base64":"AP+A"}', 1,
             [{'message_type': 'a', 'format': 'bytes', 'bytes': '00ff80'}]),
        item('escapes', 'escapes in strings', rb'{"message_type":"a","payload":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}',
             1, [text('a', '"\\/\b\f\n\r\t\u00e9\U0001f600')]),
        item('braces', 'braces and quotes inside a string', rb'{"message_type":"a","payload":"}{\"}"}', 1,
             [text('a', '}{"}')]),
        item('headers', 'headers', b'{"message_type":"a","headers":{"k":"v"}}', 1, [text('a', headers={'k': 'v'})]),
        item('reply-to', 'an answer', b'{"message_type":"a","reply_to":"5"}', 1, [text('a', reply_to='5')]),
        item('deep', '64 levels', b'{"message_type":"a","payload":' + b'[' * 63 + b']' * 63 + b'}', 1,
             [{'message_type': 'a', 'format': 'json', 'payload': nested(63)}]),
        item('answer', 'what a server answers', answer, 1,
             [text('echo_response', 'hi', id='9', timestamp=1700000000, reply_to='1')], direction='server-to-client'),
        item('error', 'an error object', refusal, 1,
             [text('error', 'unknown message type: x', id='9', timestamp=1700000000, reply_to='1')],
             direction='server-to-client'),
        item('cut', 'the end inside an object', simple[:-1], 0, [], {'outcome': 'incomplete'}),
        item('object-max', 'an object of exactly 1 MiB', sized(1 << 20), 1, [text('a', 'x' * 8, repeat=True)]),
        item('values', '65,000 values', [(b'{"message_type":"a","payload":[0', 1), (b',0', 64999), (b']}', 1)], 1,
             [{'message_type': 'a', 'format': 'json', 'n_payload': 65000}]),
    ]


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def sized(size):
    """An object of SIZE bytes, its text payload all x."""
    head, tail = b'{"message_type":"a","payload":"', b'"}'
    return [(head, 1), (b'x', size - len(head) - len(tail)), (tail, 1)]


def wrong_messages():
    """Valid JSON that is no message: an error object, and the next one is read."""
    then, saw = b'{"message_type":"a"}', text('a')
    refused = {'error': {'nick': 'invalid-data', 'action': 'continue'}}
    cases = [
        ('empty', b'{}', 'no members'),
        ('no-type', b'{"id":"1","payload":"x"}', 'no message_type'),
        ('type-number', b'{"message_type":1}', 'a message_type that is no string'),
        ('type-empty', b'{"message_type":""}', 'an empty message_type'),
        ('type-256', b'{"message_type":"' + b't' * 256 + b'"}', 'a message_type of 256 bytes'),
        ('type-control', b'{"message_type":"a\\nb"}', 'a control character in message_type'),
        ('id-object', b'{"message_type":"a","id":{}}', 'an id that is an object'),
        ('id-256', b'{"message_type":"a","id":"' + b'x' * 256 + b'"}', 'an id of 256 bytes'),
        ('timestamp-string', b'{"message_type":"a","timestamp":"now"}', 'a timestamp that is no number'),
        ('headers-array', b'{"message_type":"a","headers":[]}', 'headers that are an array'),
        ('headers-number', b'{"message_type":"a","headers":{"k":1}}', 'a header that is no string'),
        ('headers-no-name', b'{"message_type":"a","headers":{"":"v"}}', 'a header without a name'),
        ('base64', b'{"message_type":"a","payload_base64":"*"}', 'what is not base64'),
        ('base64-number', b'{"message_type":"a","payload_base64":1}', 'payload_base64 that is no string'),
    ]
    return [item('refused-' + name, what + '; the next object is read', data + then, 2, [refused, saw])
            for name, data, what in cases]


def invalid():
    """No JSON: an error object, then the connection is closed."""
    stop = error('invalid-data', 'drop')
    cases = [
        ('trailing-comma', b'{"a":1,}'), ('comment', b'{/*c*/}'), ('single-quotes', b"{'a':1}"),
        ('unquoted', b'{a:1}'), ('leading-zero', b'{"a":0123}'), ('hexadecimal', b'{"a":0x10}'),
        ('plus', b'{"a":+1}'), ('point', b'{"a":1.}'), ('integer-large', b'{"a":9223372036854775808}'),
        ('integer-small', b'{"a":-9223372036854775809}'), ('integer-unsigned', b'{"a":18446744073709551615}'),
        ('overflow', b'{"a":1e999}'), ('nan', b'{"a":NaN}'), ('infinity', b'{"a":-Infinity}'),
        ('twice', b'{"a":1,"a":2}'), ('twice-escaped', b'{"a":1,"\\u0061":2}'), ('nul-escaped', b'{"a":"\\u0000"}'),
        ('surrogate', b'{"a":"\\ud800"}'), ('surrogate-order', b'{"a":"\\ude00\\ud83d"}'),
        ('control', b'{"a":"\x01"}'), ('escape', b'{"a":"\\x"}'), ('utf-8', b'{"a":"\xff\xfe"}'),
        ('overlong', b'{"a":"\xc0\xaf"}'), ('surrogate-utf-8', b'{"a":"\xed\xa0\x80"}'), ('bracket', b'{"a":[1}'),
        ('no-value', b'{"a":}'), ('no-colon', b'{"a" 1}'), ('literal', b'{"a":True}'),
        ('deep', b'{"a":' + b'[' * 64 + b']' * 64 + b'}'),
    ]
    result = [item('invalid-' + name, 'not JSON: ' + name, data, 0, [{'error': {'nick': 'invalid-data',
                                                                               'action': 'drop'}}], stop)
              for name, data in cases]
    broken = [{'error': {'nick': 'invalid-data', 'action': 'drop'}}]
    large = [{'error': {'nick': 'too-large', 'action': 'drop'}}]
    small = b'{"message_type":"a"}'
    return result + [
        item('invalid-garbage', 'garbage after an object', small + b'\nhello', 1, [text('a')] + broken, stop),
        item('invalid-array', 'an array after an object', small + b'[]', 1, [text('a')] + broken, stop),
        item('invalid-comma', 'a comma between objects', small + b',' + small, 1, [text('a')] + broken, stop),
        item('invalid-bom', 'a byte order mark after white space', b'\n\xef\xbb\xbf' + small, 0, broken, stop),
        item('invalid-values', '66,000 values', [(b'{"message_type":"a","payload":[0', 1), (b',0', 65999), (b']}', 1)],
             0, large, error('too-large', 'drop')),
        item('invalid-object-max-plus-1', 'an object of 1 MiB and one byte', sized((1 << 20) + 1), 0, large,
             error('too-large', 'drop')),
    ]


def first_bytes():
    stop = error('invalid-data', 'drop')
    return [vector('stream', 'first-byte-' + name, 'a first byte that begins no dialect: ' + name, data,
                   {**stop, 'frames': []}, 'client-to-server')
            for name, data in (('letter', b'GET / HTTP/1.1\r\n\r\n'), ('bracket', b'[]'), ('bom', b'\xef\xbb\xbf{}'),
                               ('one', b'\x01'))]


def vectors():
    return good() + wrong_messages() + invalid() + first_bytes()
