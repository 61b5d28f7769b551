# SPDX-License-Identifier: LGPL-2.1-or-later
"""GVariants, preambles and single frames that are right (and GVariants that are not)."""

from encoder import *

DEFAULT_HELLO = (('max-message-size', 't', le(16 << 20, 8)),)
FULL_HELLO = (('max-message-size', 't', le(16 << 20, 8)), ('max-fds', 'u', le(16, 4)),
              ('features', 'as', array([string('memfd'), string('shared-memory')])), ('name', 's', string('worker')))


def gvariants():
    def good(name, signature, text, data):
        return vector('gvariant', 'gvariant-' + name, '%s as %s' % (text, signature), data, {'outcome': 'ok'},
                      type=signature, text=text)

    def bad(name, signature, description, data):
        return vector('gvariant', 'gvariant-bad-' + name, description, data, error('invalid-data', 'drop'),
                      type=signature)

    pairs = [('encoding', 'utf-8'), ('trace', '7f')]
    long_pairs = [('key-%d' % i, 'v' * 50) for i in range(5)]
    number = variant('u', le(7, 4))
    return [
        good('string', 's', "'hi'", string('hi')),
        good('empty-map', 'a{ss}', '@a{ss} {}', b''),
        good('string-map', 'a{ss}', "{'encoding': 'utf-8', 'trace': '7f'}", string_map(pairs)),
        good('string-map-16', 'a{ss}', '{%s}' % ', '.join("'%s': '%s'" % pair for pair in long_pairs),
             string_map(long_pairs)),
        good('strings', 'as', "['memfd', 'shared-memory']", array([string('memfd'), string('shared-memory')])),
        good('variant-map', 'a{sv}', "{'max-fds': <uint32 16>}", variant_map([('max-fds', 'u', le(16, 4))])),
        good('variant-string', 'v', "<'hi'>", variant('s', string('hi'))),
        good('variant-int', 'v', '<uint32 7>', number),
        good('variant-variant', 'v', '<<uint32 7>>', variant('v', number)),
        good('tuple', 'v', "<('a', 1, byte 0x02)>",
             variant('(siy)', record((string('a'), 1, False), (le(1, 4), 4, True), (b'\2', 1, True)))),
        good('fixed-tuple', 'v', '<(byte 0x01, uint64 2)>', variant('(yt)', b'\1' + bytes(7) + le(2, 8))),
        good('fixed-tuple-padded-end', 'v', '<(uint32 1, byte 0x02)>', variant('(uy)', le(1, 4) + b'\2' + bytes(3))),
        good('unit', 'v', '<()>', variant('()', b'\0')),
        good('integers', 'v', '<[1, -2]>', variant('ai', le(1, 4) + le(-2, 4))),
        good('maybe', 'v', "<(@ms 'x', @mi nothing)>",
             variant('(msmi)', record((string('x') + b'\0', 1, False), (b'', 4, False)))),
        good('boolean', 'v', '<true>', variant('b', b'\1')),
        good('double', 'v', '<1.5>', variant('d', bytes.fromhex('000000000000f83f'))),
        bad('no-bytes', 'v', 'a variant of no bytes', b''),
        bad('no-type', 'v', 'a variant without a NUL before its type', b'\7'),
        bad('wrong-type', 'v', 'a type string that is not one', variant('Q', b'\7')),
        bad('size', 'v', 'three bytes for a u', variant('u', b'\1\2\3')),
        bad('boolean', 'v', 'a boolean of 2', variant('b', b'\2')),
        bad('string', 's', 'a string without its NUL', b'hi'),
        bad('string-nul', 's', 'a NUL inside a string', b'h\0i\0'),
        bad('string-utf-8', 's', 'a string that is not UTF-8', b'\xff\0'),
        bad('padding', 'v', 'padding that is not zero', variant('(yt)', b'\1' + b'\1' * 7 + le(2, 8))),
        bad('offset', 'as', 'an offset beyond the end', b'hi\0\xff'),
        bad('offset-width', 'as', 'offsets of two bytes where one is enough', b'hi\0' + le(3, 2)),
        bad('order', 'as', 'offsets that go down', b'a\0b\0' + bytes([4, 2])),
    ]


def preambles():
    def item(name, description, data, expect):
        return vector('preamble', 'preamble-' + name, description, data, expect)
    wrong = error('invalid-data', 'drop')
    result = [item('whole', 'the preamble', PREAMBLE, {'outcome': 'ok'})]
    result += [item('first-%d' % size, 'its first %d bytes' % size, PREAMBLE[:size], {'outcome': 'incomplete'})
               for size in (1, 4, 5, 7)]
    result += [
        item('version-0', 'version 0', PREAMBLE[:4] + b'\0' + PREAMBLE[5:], error('version', 'drop')),
        item('version-2', 'version 2', PREAMBLE[:4] + b'\2' + PREAMBLE[5:], error('version', 'drop')),
        item('version-255', 'version 255', PREAMBLE[:4] + b'\xff' + PREAMBLE[5:], error('version', 'drop')),
        item('auth', 'another protocol that starts with a NUL', b'\0AUTH EX', wrong),
        item('magic', 'a wrong letter', b'\0IPc' + PREAMBLE[4:], wrong),
        item('no-cr', 'CR lost by a text mode', b'\0IPC\x01\x0a\x0a\0', wrong),
        item('no-end', 'the last byte is not NUL', PREAMBLE[:7] + b'\1', wrong),
        item('magic-early', 'wrong at the second byte already', b'\0J', wrong),
    ]
    return result


def good_frame(name, description, data, direction='either', limits=None, **fields):
    frame_fields = {'flags': 0, 'n_fds': 0, 'serial': 0, 'reply_serial': 0, 'timestamp': TIME, 'type': '',
                    'headers': None, 'payload': ''}
    frame_fields.update(fields, length=len(data) - 32)
    more = {'limits': limits} if limits else {}
    return vector('frame', name, description, data, {'outcome': 'ok', 'frame': frame_fields}, direction, **more)


def hello_frame(name, description, pairs, text, value):
    payload = variant_map(pairs)
    return good_frame('hello-' + name, description, hello(pairs), kind='HELLO', flags=VARIANT, timestamp=0,
                      payload=payload.hex(), hello=value, gvariant={'type': 'a{sv}', 'text': text})


def hellos():
    size = "'max-message-size': <uint64 16777216>"
    rest = "'max-fds': <uint32 16>, 'features': <['memfd', 'shared-memory']>, 'name': <'worker'>"
    return [
        hello_frame('empty', 'HELLO with no keys has no payload', (), '@a{sv} {}', {}),
        hello_frame('max-message-size', 'the largest length that is taken', DEFAULT_HELLO, '{%s}' % size,
                    {'max-message-size': 16 << 20}),
        hello_frame('max-fds', 'descriptors a message', FULL_HELLO[1:2], "{'max-fds': <uint32 16>}", {'max-fds': 16}),
        hello_frame('features', 'two features', FULL_HELLO[2:3], "{'features': <['memfd', 'shared-memory']>}",
                    {'features': ['memfd', 'shared-memory']}),
        hello_frame('no-features', 'an empty list', (('features', 'as', b''),), "{'features': <@as []>}",
                    {'features': []}),
        hello_frame('name', 'a name', FULL_HELLO[3:], "{'name': <'worker'>}", {'name': 'worker'}),
        hello_frame('all', 'all keys', FULL_HELLO, '{%s, %s}' % (size, rest),
                    {'max-message-size': 16 << 20, 'max-fds': 16, 'features': ['memfd', 'shared-memory'],
                     'name': 'worker'}),
        hello_frame('unknown-key', 'a key from the future is ignored', (('tomorrow', 'b', b'\1'),) + DEFAULT_HELLO,
                    "{'tomorrow': <true>, %s}" % size, {'max-message-size': 16 << 20}),
    ]


def events():
    def event(name, description, payload, flags, **fields):
        return good_frame('event-' + name, description, frame(EVENT, 'tick', payload, flags), kind='EVENT', flags=flags,
                          type='tick', payload=payload.hex(), **fields)
    number, text = variant('u', le(7, 4)), 'h\u00e9llo'
    deep = number
    for _ in range(62):
        deep = variant('v', deep)
    pairs = [('encoding', 'utf-8'), ('trace', '7f')]
    headers = string_map(pairs)
    label = 't\u00efck/\u2603'
    return [
        event('bytes', 'a payload of bytes', b'\0\xff\x80', BYTES),
        event('empty', 'no payload', b'', BYTES),
        event('text', 'a payload of text', text.encode(), TEXT, text=text),
        event('text-empty', 'an empty text', b'', TEXT, text=''),
        event('json', 'a JSON object', b'{"a":[1,2.5,null,true,"x"]}', JSON, json={'a': [1, 2.5, None, True, 'x']}),
        event('json-scalar', 'a JSON number', b'-9223372036854775808', JSON, json=-2 ** 63),
        event('json-space', 'white space around JSON', b' \t\r\n[] \n', JSON, json=[]),
        event('variant', 'a GVariant', number, VARIANT, gvariant={'type': 'v', 'text': '<uint32 7>'}),
        event('variant-type-255', 'a GVariant whose type has 255 characters', variant('(%s)' % ('y' * 253), b'\1' * 253),
              VARIANT, gvariant={'type': 'v', 'text': '<(%s)>' % ', '.join(['byte 0x01'] * 253)}),
        event('variant-63-deep', 'a GVariant of 63 levels', deep, VARIANT,
              gvariant={'type': 'v', 'text': '<' * 63 + 'uint32 7' + '>' * 63}),
        good_frame('event-headers', 'two headers', frame(EVENT, 'tick', b'x', TEXT, headers=headers), kind='EVENT',
                   flags=TEXT | HEADERS, type='tick', headers=dict(pairs), payload='78', text='x',
                   gvariant_headers="{'encoding': 'utf-8', 'trace': '7f'}"),
        good_frame('event-headers-none', 'headers, but none in them', frame(EVENT, 'tick', b'x', TEXT, headers=b''),
                   kind='EVENT', flags=TEXT | HEADERS, type='tick', headers={}, payload='78', text='x'),
        good_frame('event-type-utf-8', 'a message type in UTF-8', frame(EVENT, label, b'', TEXT), kind='EVENT',
                   flags=TEXT, type=label, text=''),
        good_frame('event-type-255', 'the longest message type', frame(EVENT, 't' * 255), kind='EVENT', type='t' * 255),
        good_frame('event-type-1', 'the shortest message type', frame(EVENT, 't'), kind='EVENT', type='t'),
        good_frame('event-time-negative', 'before 1970', frame(EVENT, 't', timestamp=-1), kind='EVENT', type='t',
                   timestamp=-1),
        good_frame('event-length-max', 'exactly as long as the limit', frame(EVENT, 'tick', b'x' * 60), kind='EVENT',
                   type='tick', payload='78' * 60, limits={'max-message-size': 64}),
        good_frame('event-fds', 'two descriptors', frame(EVENT, 'tick', n_fds=2), kind='EVENT', type='tick', n_fds=2,
                   limits={'max-fds': 2}),
        good_frame('event-memfd', 'the payload is in a memfd, which does not count as a descriptor',
                   frame(EVENT, 'tick', le(1 << 20, 8), MEMFD, n_fds=1), kind='EVENT', type='tick', flags=MEMFD,
                   n_fds=1, payload=le(1 << 20, 8).hex(), limits={'memfd': True}),
    ]


def calls():
    return [
        good_frame('request', 'the first request', frame(REQUEST, 'echo', b'hi', TEXT, serial=1), kind='REQUEST',
                   flags=TEXT, type='echo', serial=1, payload='6869', text='hi'),
        good_frame('request-last', 'the largest serial', frame(REQUEST, 'echo', serial=MAX_SERIAL), kind='REQUEST',
                   type='echo', serial=MAX_SERIAL),
        good_frame('reply', 'its reply', frame(REPLY, 'echo_response', b'hi', TEXT, reply_serial=1), kind='REPLY',
                   flags=TEXT, type='echo_response', reply_serial=1, payload='6869', text='hi'),
        good_frame('error', 'a request nobody handles',
                   frame(ERROR, 'unknown-type', b'unknown message type: x', TEXT, reply_serial=1), kind='ERROR',
                   flags=TEXT, type='unknown-type', reply_serial=1, payload=b'unknown message type: x'.hex(),
                   text='unknown message type: x'),
        good_frame('error-remote', 'an error of another domain',
                   frame(ERROR, 'remote', b'no', TEXT, headers=string_map([('code', 'g-io-error-quark 1')]),
                         reply_serial=9), kind='ERROR', flags=TEXT | HEADERS, type='remote', reply_serial=9,
                   headers={'code': 'g-io-error-quark 1'}, payload='6e6f', text='no',
                   gvariant_headers="{'code': 'g-io-error-quark 1'}"),
        good_frame('error-drop', 'the connection is about to close', frame(ERROR, 'invalid-data', b'kind 77', TEXT),
                   kind='ERROR', flags=TEXT, type='invalid-data', payload=b'kind 77'.hex(), text='kind 77'),
        good_frame('cancel', 'the answer to 1 is not wanted', frame(CANCEL, reply_serial=1, timestamp=0),
                   kind='CANCEL', reply_serial=1, timestamp=0),
        good_frame('goodbye', 'requests up to 7 will be answered', frame(GOODBYE, reply_serial=7, timestamp=0),
                   kind='GOODBYE', reply_serial=7, timestamp=0),
        good_frame('goodbye-none', 'no request will be answered', frame(GOODBYE, timestamp=0), kind='GOODBYE',
                   timestamp=0),
        good_frame('ping', 'is anybody there', frame(PING, serial=5, timestamp=0), kind='PING', serial=5, timestamp=0),
        good_frame('pong', 'yes', frame(PONG, reply_serial=5, timestamp=0), kind='PONG', reply_serial=5, timestamp=0),
    ]


def tolerated():
    """What no sender writes and every receiver reads."""
    return [
        good_frame('hello-format-0', 'HELLO is a GVariant, even where its flags say bytes', frame(HELLO), kind='HELLO',
                   hello={}),
        good_frame('error-format-0', 'ERROR is text, even where its flags say bytes',
                   frame(ERROR, 'remote', b'no', BYTES, reply_serial=1), kind='ERROR', type='remote', reply_serial=1,
                   payload='6e6f', text='no'),
        hello_frame('key-type', 'a key with a type that it does not have is ignored',
                    (('max-message-size', 's', string('1')),) + FULL_HELLO[3:],
                    "{'max-message-size': <'1'>, 'name': <'worker'>}", {'name': 'worker'}),
        good_frame('event-reply-serial', 'a reply_serial that means nothing', frame(EVENT, 't', reply_serial=3),
                   kind='EVENT', type='t', reply_serial=3),
        good_frame('reply-serial', 'a serial that means nothing', frame(REPLY, 'x', serial=3, reply_serial=1),
                   kind='REPLY', type='x', serial=3, reply_serial=1),
        good_frame('ping-serial-max', 'PING may carry any serial', frame(PING, serial=2 ** 63 - 1), kind='PING',
                   serial=2 ** 63 - 1),
    ]


def vectors():
    return gvariants() + preambles() + hellos() + events() + calls() + tolerated()
