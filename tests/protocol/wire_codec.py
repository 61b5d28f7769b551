# SPDX-License-Identifier: LGPL-2.1-or-later
"""The binary dialect, written from doc/wire-protocol.md: preamble, frames and
what a receiver checks. Bytes in, values or WireError out; no input or output."""

import struct
from dataclasses import dataclass, field

import wire_gvariant
import wire_json
from wire_error import WireError

PREAMBLE = b'\0IPC\x01\r\n\0'
VERSION_AT = 4
HEADER = struct.Struct('<IBBBBQQq')
MAX_SERIAL = (1 << 53) - 1
MAX_ANY = (1 << 64) - 1
DEFAULT_MAX_MESSAGE_SIZE = 16 << 20

HELLO, EVENT, REQUEST, REPLY, ERROR, CANCEL, GOODBYE, PING, PONG = range(1, 10)
KINDS = {HELLO: 'HELLO', EVENT: 'EVENT', REQUEST: 'REQUEST', REPLY: 'REPLY', ERROR: 'ERROR',
         CANCEL: 'CANCEL', GOODBYE: 'GOODBYE', PING: 'PING', PONG: 'PONG'}
MESSAGES = (EVENT, REQUEST, REPLY)
TYPED = (EVENT, REQUEST, REPLY, ERROR)
CONTROL = (CANCEL, GOODBYE, PING, PONG)

BYTES, TEXT, JSON, VARIANT = range(4)
FORMAT_MASK, RESERVED, MEMFD, HEADERS = 0x07, 0x38, 0x40, 0x80

# What the serials of a kind may be, where that is checked: the smallest and the largest value.
SERIALS = {HELLO: (0, 0), EVENT: (0, 0), REQUEST: (1, MAX_SERIAL)}
REPLY_SERIALS = {REQUEST: (0, 0), REPLY: (1, MAX_ANY), CANCEL: (1, MAX_ANY)}

# HELLO is a GVariant and ERROR is text, also where the flags claim nothing.
FORMATS = {HELLO: (BYTES, VARIANT), ERROR: (BYTES, TEXT)}

HELLO_TYPES = {'max-message-size': 't', 'max-fds': 'u', 'features': 'as', 'name': 's'}


@dataclass
class Limits:
    max_length: int = DEFAULT_MAX_MESSAGE_SIZE
    max_fds: int = 0
    memfd: bool = False


@dataclass
class Frame:
    kind: int
    format: int = BYTES
    memfd: bool = False
    n_fds: int = 0
    serial: int = 0
    reply_serial: int = 0
    timestamp: int = 0
    type: str = ''
    headers: dict = None
    payload: bytes = b''
    value: object = field(default=None, compare=False)

    def encode(self):
        body = self.type.encode()
        flags = self.format | (MEMFD if self.memfd else 0)
        if self.headers is not None:
            data = wire_gvariant.encode('a{ss}', self.headers)
            body += struct.pack('<I', len(data)) + data
            flags |= HEADERS
        body += self.payload
        return HEADER.pack(len(body), self.kind, flags, self.n_fds, len(self.type.encode()),
                           self.serial, self.reply_serial, self.timestamp) + body


@dataclass
class Header:
    length: int
    kind: int
    flags: int
    n_fds: int
    type_length: int
    serial: int
    reply_serial: int
    timestamp: int


def drop(text, nick='invalid-data'):
    return WireError(nick, text, 'drop')


def check_preamble(data):
    """True: a whole preamble; False: the start of one."""
    for position, (have, want) in enumerate(zip(data, PREAMBLE)):
        if have != want and position != VERSION_AT:
            raise drop('byte %d of the preamble is 0x%02x' % (position, have))
    if len(data) > VERSION_AT and data[VERSION_AT] != PREAMBLE[VERSION_AT]:
        raise drop('the peer speaks version %d' % data[VERSION_AT], 'version')
    return len(data) >= len(PREAMBLE)


def decode_header(data, limits):
    """Everything that can be said of a frame from its first 32 bytes."""
    header = Header(*HEADER.unpack(data[:HEADER.size]))
    if header.length > limits.max_length:
        raise drop('length %d, limit %d' % (header.length, limits.max_length), 'too-large')
    if header.kind not in KINDS:
        raise drop('kind %d' % header.kind)
    check_flags(header, limits)
    check_serials(header)
    if (header.type_length > 0) != (header.kind in TYPED):
        raise drop('type_length %d in %s' % (header.type_length, KINDS[header.kind]))
    least = header.type_length + (4 if header.flags & HEADERS else 0) + (8 if header.flags & MEMFD else 0)
    if header.length < least:
        raise drop('length %d, at least %d needed' % (header.length, least))
    if header.flags & (MEMFD | HEADERS) == MEMFD and header.length > least:
        raise drop('length %d beside a memfd, %d expected' % (header.length, least))
    return header


def check_flags(header, limits):
    kind, flags = header.kind, header.flags
    if flags & RESERVED or flags & FORMAT_MASK > VARIANT:
        raise drop('flags 0x%02x' % flags)
    if kind in CONTROL and (flags or header.length):
        raise drop('%s with flags or a body' % KINDS[kind])
    if flags & FORMAT_MASK not in FORMATS.get(kind, range(4)):
        raise drop('%s with flags 0x%02x' % (KINDS[kind], flags))
    memfds = 1 if flags & MEMFD else 0
    if memfds and (not limits.memfd or header.n_fds == 0 or kind not in MESSAGES):
        raise drop('a memfd that was not agreed, or is not there')
    if header.n_fds - memfds > (limits.max_fds if kind in MESSAGES else 0):
        raise drop('%d descriptors' % header.n_fds)


def check_serials(header):
    for name, table in (('serial', SERIALS), ('reply_serial', REPLY_SERIALS)):
        low, high = table.get(header.kind, (0, MAX_ANY))
        if not low <= getattr(header, name) <= high:
            raise drop('%s %d in %s' % (name, getattr(header, name), KINDS[header.kind]))


def check_message_type(data):
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise drop('message type: %s' % error) from None
    if not 1 <= len(data) <= 255 or any(ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 for c in text):
        raise drop('message type %r' % text)
    return text


def split_body(header, body):
    """(type, header bytes or None, payload bytes)."""
    message_type = check_message_type(body[:header.type_length]) if header.kind in TYPED else ''
    rest, headers = body[header.type_length:], None
    if header.flags & HEADERS:
        size = struct.unpack_from('<I', rest)[0]
        if size > len(rest) - 4:
            raise drop('headers of %d bytes, %d left' % (size, len(rest) - 4))
        headers, rest = rest[4:4 + size], rest[4 + size:]
    if header.flags & MEMFD and len(rest) != 8:
        raise drop('%d bytes beside a memfd' % len(rest))
    return message_type, headers, rest


def decode_body(header, body):
    """The whole frame, its headers and payload checked as the kind asks for."""
    message_type, headers, payload = split_body(header, body)
    try:
        if headers is not None:
            headers = decode_headers(headers)
        value = decode_payload(header, payload)
    except (wire_gvariant.Malformed, WireError, UnicodeDecodeError) as error:
        action = {REQUEST: 'reply', REPLY: 'fail'}.get(header.kind, 'drop')
        raise WireError('invalid-data', 'payload: %s' % error, action) from None
    return Frame(header.kind, header.flags & FORMAT_MASK, bool(header.flags & MEMFD), header.n_fds, header.serial,
                 header.reply_serial, header.timestamp, message_type, headers, payload, value)


def decode_headers(data):
    pairs = wire_gvariant.decode('a{ss}', data)
    headers = dict(pairs)
    if len(headers) != len(pairs) or '' in headers:
        raise drop('a header twice, or without a name')
    return headers


def decode_payload(header, payload):
    if header.flags & MEMFD:
        return None
    if header.kind == HELLO:
        return decode_hello(payload)
    if header.kind == ERROR:
        return payload.decode(errors='replace')
    kind_of_payload = header.flags & FORMAT_MASK
    if kind_of_payload == TEXT:
        text = payload.decode()
        if '\0' in text:
            raise drop('NUL in a text')
        return text
    if kind_of_payload == JSON:
        return wire_json.parse(payload)
    if kind_of_payload == VARIANT:
        return wire_gvariant.decode('v', payload)
    return payload


def decode_hello(payload):
    hello = {}
    for key, variant in wire_gvariant.decode('a{sv}', payload):
        if variant.signature == HELLO_TYPES.get(key):
            hello[key] = variant.value
    return hello


def encode_hello(**keys):
    pairs = [(name.replace('_', '-'), value) for name, value in keys.items()]
    payload = wire_gvariant.encode('a{sv}', [
        (name, wire_gvariant.Variant(HELLO_TYPES[name], value)) for name, value in pairs])
    return Frame(HELLO, VARIANT, payload=payload).encode()


def encode_variant(signature, value):
    return wire_gvariant.encode('v', wire_gvariant.Variant(signature, value))


class FrameReader:
    """Cuts a byte stream into frames, however it arrives."""

    def __init__(self, limits=None):
        self.limits = limits or Limits()
        self.buffer = bytearray()
        self.header = None
        self.last = None                # the header of the frame that next() judged last

    def feed(self, data):
        self.buffer += data

    def next(self):
        """The next Frame, or None if it is not all there yet."""
        if self.header is None:
            if len(self.buffer) < HEADER.size:
                return None
            self.header = decode_header(bytes(self.buffer[:HEADER.size]), self.limits)
            del self.buffer[:HEADER.size]
        header = self.header
        if len(self.buffer) < header.length:
            return None
        body = bytes(self.buffer[:header.length])
        del self.buffer[:header.length]
        self.header, self.last = None, header
        return decode_body(header, body)
