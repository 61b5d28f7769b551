# SPDX-License-Identifier: LGPL-2.1-or-later
"""Single frames that are wrong, one rule of doc/wire-protocol.md each."""

from encoder import *


def bad(name, description, data, stage='header', nick='invalid-data', action='drop', limits=None):
    more = {'limits': limits} if limits else {}
    return vector('frame', 'bad-' + name, description, data, error(nick, action, stage=stage), **more)


def lengths():
    large = {'nick': 'too-large'}
    return [
        bad('length-max-plus-1', 'one byte over 16 MiB', header((16 << 20) + 1, EVENT, type_length=1), **large),
        bad('length-2g', 'length 0x80000000', header(0x80000000, EVENT, type_length=1), **large),
        bad('length-4g', 'length 0xffffffff', header(0xffffffff, EVENT, type_length=1), **large),
        bad('length-small-limit', '65 where 64 is the limit', frame(EVENT, 'tick', b'x' * 61),
            limits={'max-message-size': 64}, **large),
        bad('length-0', 'no room for the message type', header(0, EVENT, type_length=1)),
        bad('length-type', 'three bytes for a type of four', header(3, EVENT, type_length=4) + b'tic'),
        bad('length-headers', 'no room for the length of the headers',
            header(7, EVENT, HEADERS, type_length=4) + b'tick\0\0\0'),
        bad('length-memfd', 'no room for the size of the memfd', header(11, EVENT, MEMFD, 1, 4) + b'tick' + bytes(7),
            limits={'memfd': True}),
    ]


def kinds_and_flags():
    result = [bad('kind-%d' % kind, 'kind %d' % kind, header(4, kind, type_length=4) + b'tick')
              for kind in (0, 10, 77, 255)]
    result += [bad('format-%d' % value, 'payload format %d' % value, frame(EVENT, 'tick', flags=value))
               for value in (4, 5, 6, 7)]
    result += [bad('flag-bit-%d' % bit, 'bit %d of the flags' % bit, frame(EVENT, 'tick', flags=1 << bit))
               for bit in (3, 4, 5)]
    result += [
        bad('hello-text', 'HELLO as text', frame(HELLO, flags=TEXT)),
        bad('hello-json', 'HELLO as JSON', frame(HELLO, payload=b'{}', flags=JSON)),
        bad('error-json', 'ERROR whose payload is JSON', frame(ERROR, 'remote', b'{}', JSON, reply_serial=1)),
        bad('error-variant', 'ERROR whose payload is a GVariant',
            frame(ERROR, 'remote', variant('u', le(7, 4)), VARIANT, reply_serial=1)),
        bad('cancel-flags', 'CANCEL with flags', frame(CANCEL, flags=TEXT, reply_serial=1)),
        bad('cancel-body', 'CANCEL with a body', frame(CANCEL, payload=b'x', reply_serial=1)),
        bad('goodbye-flags', 'GOODBYE with flags', frame(GOODBYE, flags=TEXT)),
        bad('goodbye-body', 'GOODBYE with a body', frame(GOODBYE, payload=b'x')),
        bad('ping-flags', 'PING with flags', frame(PING, flags=VARIANT, serial=1)),
        bad('ping-body', 'PING with a body', frame(PING, payload=b'x', serial=1)),
        bad('pong-body', 'PONG with a body', frame(PONG, payload=b'x', reply_serial=1)),
        bad('pong-headers', 'PONG with headers', frame(PONG, headers=b'', reply_serial=1)),
    ]
    return result


def descriptors():
    return [
        bad('fds-off', 'a descriptor that was not agreed', frame(EVENT, 'tick', n_fds=1)),
        bad('fds-17', '17 descriptors, limit 16', frame(EVENT, 'tick', n_fds=17), limits={'max-fds': 16}),
        bad('fds-error', 'ERROR with a descriptor', frame(ERROR, 'remote', b'', TEXT, n_fds=1, reply_serial=1),
            limits={'max-fds': 16}),
        bad('fds-hello', 'HELLO with a descriptor', frame(HELLO, flags=VARIANT, n_fds=1), limits={'max-fds': 16}),
        bad('fds-ping', 'PING with a descriptor', frame(PING, n_fds=1, serial=1), limits={'max-fds': 16}),
        bad('memfd-off', 'a memfd that was not agreed', frame(EVENT, 'tick', bytes(8), MEMFD, n_fds=1),
            limits={'max-fds': 16}),
        bad('memfd-missing', 'a memfd, but no descriptor', frame(EVENT, 'tick', bytes(8), MEMFD),
            limits={'max-fds': 16, 'memfd': True}),
        bad('memfd-long', 'more than the size beside a memfd', frame(EVENT, 'tick', bytes(9), MEMFD, n_fds=1),
            limits={'memfd': True}),
        bad('memfd-long-headers', 'the same after headers', frame(EVENT, 'tick', bytes(9), MEMFD, b'', n_fds=1),
            'body', limits={'memfd': True}),
        bad('memfd-error', 'ERROR in a memfd', frame(ERROR, 'remote', bytes(8), TEXT | MEMFD, n_fds=1, reply_serial=1),
            limits={'max-fds': 16, 'memfd': True}),
    ]


def serials():
    return [
        bad('hello-serial', 'HELLO with a serial', frame(HELLO, flags=VARIANT, serial=1)),
        bad('event-serial', 'EVENT with a serial', frame(EVENT, 'tick', serial=1)),
        bad('request-serial-0', 'REQUEST without a serial', frame(REQUEST, 'echo')),
        bad('request-serial-2-53', 'REQUEST with serial 2^53', frame(REQUEST, 'echo', serial=MAX_SERIAL + 1)),
        bad('request-serial-max', 'REQUEST with serial 2^64-1', frame(REQUEST, 'echo', serial=2 ** 64 - 1)),
        bad('request-reply-serial', 'REQUEST that answers', frame(REQUEST, 'echo', serial=1, reply_serial=1)),
        bad('reply-to-0', 'REPLY to nothing', frame(REPLY, 'x')),
        bad('cancel-0', 'CANCEL of nothing', frame(CANCEL)),
    ]


def types():
    result = [
        bad('type-missing', 'EVENT without a message type', header(1, EVENT) + b'x'),
        bad('type-missing-error', 'ERROR without a message type', header(1, ERROR, TEXT, reply_serial=1) + b'x'),
        bad('type-hello', 'HELLO with a message type', frame(HELLO, 'x', flags=VARIANT)),
        bad('type-cancel', 'CANCEL with a message type', frame(CANCEL, reply_serial=1, type_length=1)),
        bad('type-ping', 'PING with a message type', frame(PING, serial=1, type_length=1)),
    ]
    wrong = [('nul', b'a\0b', 'NUL'), ('newline', b'a\nb', 'a newline'), ('escape', b'\x1b[2J', 'an escape'),
             ('del', b'a\x7f', 'DEL'), ('c1', 'a\u0085'.encode(), 'a C1 control character'),
             ('utf-8', b'\xff\xfe', 'bytes that are not UTF-8'), ('overlong', b'\xc0\xaf', 'an overlong form'),
             ('surrogate', b'\xed\xa0\x80', 'a surrogate'), ('cut', b'a\xe2\x98', 'a sequence cut short')]
    return result + [bad('type-' + name, 'a message type with ' + what, frame(EVENT, data), 'body')
                     for name, data, what in wrong]


def headers():
    pair = string_map([('a', 'b')])
    result = [
        bad('headers-long', 'headers longer than the frame',
            header(11, EVENT, HEADERS, type_length=4) + b'tick' + le(4, 4) + b'abc', 'body'),
        bad('headers-huge', 'headers of 0xffffffff bytes',
            header(8, EVENT, HEADERS, type_length=4) + b'tick' + le(0xffffffff, 4), 'body'),
    ]
    wrong = [('normal-form', pair[:-1] + b'\xff', 'that are not in normal form'),
             ('variants', variant_map([('a', 's', string('b'))]), 'that are an a{sv}'),
             ('twice', string_map([('a', 'b'), ('a', 'c')]), 'with a key twice'),
             ('no-name', string_map([('', 'b')]), 'with an empty key')]
    for name, data, what in wrong:
        result.append(bad('headers-%s-event' % name, 'an event with headers ' + what,
                          frame(EVENT, 'tick', headers=data), 'payload'))
        result.append(bad('headers-%s-request' % name, 'a request with headers ' + what,
                          frame(REQUEST, 'echo', headers=data, serial=1), 'payload', action='reply'))
    return result


def payloads():
    deep = variant('u', le(7, 4))
    for _ in range(70):
        deep = variant('v', deep)
    wrong = [('text-utf-8', TEXT, b'\xff', 'text that is not UTF-8'),
             ('text-nul', TEXT, b'a\0', 'text with a NUL'),
             ('text-surrogate', TEXT, b'\xed\xa0\x80', 'text with a surrogate'),
             ('json-empty', JSON, b'', 'no JSON'),
             ('json-space', JSON, b'  ', 'only white space'),
             ('json-cut', JSON, b'{"a":', 'JSON cut short'),
             ('json-two', JSON, b'{}{}', 'two JSON documents'),
             ('json-deep', JSON, b'[' * 65 + b']' * 65, 'JSON of 65 levels'),
             ('json-twice', JSON, b'{"a":1,"\\u0061":2}', 'a member twice'),
             ('json-integer', JSON, b'9223372036854775808', 'an integer out of range'),
             ('variant-empty', VARIANT, b'', 'a GVariant of no bytes'),
             ('variant-type', VARIANT, variant('Q', b'\7'), 'a GVariant of a type that is none'),
             ('variant-size', VARIANT, variant('u', b'\1\2\3'), 'three bytes for a u'),
             ('variant-type-256', VARIANT, variant('(%s)' % ('y' * 254), b'\1' * 254), 'a type of 256 characters'),
             ('variant-type-256-inside', VARIANT, variant('v', variant('(%s)' % ('y' * 254), b'\1' * 254)),
              'a type of 256 characters further in'),
             ('variant-deep', VARIANT, deep, 'a GVariant of 71 levels')]
    result = []
    for name, flags, data, what in wrong:
        result.append(bad('payload-%s-event' % name, 'an event with ' + what, frame(EVENT, 'tick', data, flags),
                          'payload'))
        result.append(bad('payload-%s-request' % name, 'a request with ' + what,
                          frame(REQUEST, 'echo', data, flags, serial=1), 'payload', action='reply'))
    result.append(bad('hello-normal-form', 'HELLO that is not in normal form',
                      frame(HELLO, payload=b'\xff', flags=VARIANT), 'payload'))
    result.append(bad('hello-variant', 'HELLO as one v',
                      frame(HELLO, payload=variant('a{sv}', b''), flags=VARIANT), 'payload'))
    return result


def vectors():
    return lengths() + kinds_and_flags() + descriptors() + serials() + types() + headers() + payloads()
