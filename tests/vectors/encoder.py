# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bytes by hand: frames and the GVariants in them, for the vectors only."""

ABOUT = [
    'Byte-exact vectors for doc/wire-protocol.md. Written by generate.py; do not edit.',
    'Bytes: "hex", or "parts", each a "hex" that is there "repeat" times.',
    'layer gvariant: a value of "type" whose GVariant text is "text"; or not in normal form.',
    'layer preamble: the first bytes of a connection. layer frame: one frame, judged with "limits" '
    '(16 MiB, no descriptors, no memfd, where not given).',
    'layer stream: all that a peer sends from its first byte; "outstanding" are the serials that wait for an answer.',
    '"descriptors" of a stream: each goes with the byte "at" and those up to the next one, in one sendmsg(), which '
    'starts there; "fds" says what they are: "any", or a memfd that holds "memfd", with these "seals". '
    'Agreed on are "limits"; "n_fds" and "payload" of a frame are what comes out.',
    'layer json: all that a peer of the JSON dialect sends; "documents" is how many objects are complete and valid.',
    'outcome ok, incomplete (more bytes are needed) or error: "nick" is the type of the ERROR; '
    'action drop (ERROR with reply_serial 0, or an error object, then close), reply (ERROR to the request, carry on), '
    'fail (the request that this would answer has failed, carry on) or continue (error object, carry on).',
    'stage: what finds the error in a frame: its header, its body (message type, header length) or its '
    'payload (or what is in the headers).',
]

HELLO, EVENT, REQUEST, REPLY, ERROR, CANCEL, GOODBYE, PING, PONG = range(1, 10)
NAMES = [None, 'HELLO', 'EVENT', 'REQUEST', 'REPLY', 'ERROR', 'CANCEL', 'GOODBYE', 'PING', 'PONG']
BYTES, TEXT, JSON, VARIANT = range(4)
MEMFD, HEADERS = 0x40, 0x80
TIME = 1700000000123456
PREAMBLE = bytes.fromhex('0049504301 0d0a00'.replace(' ', ''))
MAX_SERIAL = 2 ** 53 - 1


def le(value, width):
    return value.to_bytes(width, 'little', signed=value < 0)


# GVariant: each function takes bytes that are serialized already.

def string(text):
    return text.encode() + b'\0'


def framed(body, ends):
    width = 1
    while len(body) + width * len(ends) > 256 ** width - 1:
        width *= 2
    return body + b''.join(le(end, width) for end in ends)


def pad(body, alignment):
    return body + b'\0' * (-len(body) % alignment)


def array(items, alignment=1):
    """Of items whose size varies."""
    body, ends = b'', []
    for item in items:
        body = pad(body, alignment) + item
        ends.append(len(body))
    return framed(body, ends)


def record(*items):
    """A tuple or entry of (bytes, alignment, has a fixed size); at least one varies."""
    body, ends = b'', []
    for item, alignment, fixed in items:
        body = pad(body, alignment) + item
        ends.append(None if fixed else len(body))
    return framed(body, [end for end in reversed(ends[:-1]) if end is not None])


def variant(signature, value):
    return value + b'\0' + signature.encode()


def string_map(pairs):
    return array([record((string(k), 1, False), (string(v), 1, False)) for k, v in pairs])


def variant_map(pairs):
    """PAIRS of name, signature, serialized value."""
    return array([record((string(k), 1, False), (variant(s, v), 8, False)) for k, s, v in pairs], 8)


# Frames.

def header(length, kind, flags=0, n_fds=0, type_length=0, serial=0, reply_serial=0, timestamp=TIME):
    return (le(length, 4) + bytes([kind, flags, n_fds, type_length]) + le(serial, 8) + le(reply_serial, 8)
            + le(timestamp, 8))


def frame(kind, message_type='', payload=b'', flags=0, headers=None, **fields):
    """HEADERS: serialized. FIELDS override what the header would say."""
    message_type = message_type if isinstance(message_type, bytes) else message_type.encode()
    body = message_type
    if headers is not None:
        flags |= HEADERS
        body += le(len(headers), 4) + headers
    body += payload
    values = {'length': len(body), 'kind': kind, 'flags': flags, 'type_length': len(message_type)}
    values.update(fields)
    return header(**values) + body


def hello(pairs=()):
    return frame(HELLO, payload=variant_map(pairs), flags=VARIANT, timestamp=0)


# Vectors.

def vector(layer, name, description, data, expect, direction='either', **more):
    result = {'name': name, 'layer': layer, 'direction': direction, 'description': description}
    result.update(more)
    if isinstance(data, list):
        result['parts'] = [{'hex': piece.hex(), 'repeat': times} for piece, times in data]
    else:
        result['hex'] = data.hex()
    result['expect'] = expect
    return result


def error(nick, action, **more):
    return {'outcome': 'error', 'nick': nick, 'action': action, **more}
