# SPDX-License-Identifier: LGPL-2.1-or-later
"""The binary dialect, written from doc/wire-protocol.md: preamble, frames and
what a receiver checks. Bytes in, values or WireError out; no input or output."""

import fcntl
import mmap
import os
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

# F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE
SEALS = 0x0f
F_ADD_SEALS, F_GET_SEALS = 1033, 1034

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
    fds: list = field(default_factory=list, compare=False)      # descriptors that came with it; whoever has it closes them

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


def decode_body(header, body, in_memfd=None):
    """The whole frame, its headers and payload checked as the kind asks for. IN_MEMFD: the payload, if it is there."""
    message_type, headers, payload = split_body(header, body)
    if in_memfd is not None:
        payload = in_memfd
    try:
        if headers is not None:
            headers = decode_headers(headers)
        value = None if header.flags & MEMFD and in_memfd is None else decode_payload(header, payload)
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


def write_memfd(payload, seals=SEALS):
    """A memfd with PAYLOAD in it, sealed."""
    fd = os.memfd_create('payload', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(payload)
    while view:
        view = view[os.write(fd, view):]
    fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


def read_memfd(fd, size):
    """The first SIZE bytes of a memfd that a peer sent; closes it."""
    try:
        if fcntl.fcntl(fd, F_GET_SEALS) & SEALS != SEALS:
            raise drop('a memfd that is not sealed')
        status = os.fstat(fd)
        if size > min(status.st_size, status.st_blocks * 512):
            raise drop('%d bytes in a memfd of %d' % (size, status.st_size))
        if size == 0:
            return b''
        with mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ) as view:
            return bytes(view)
    except OSError as error:
        raise drop('no memfd: %s' % error) from None
    finally:
        os.close(fd)


class FrameReader:
    """Cuts a byte stream into frames, however it arrives. FDS: the descriptors that came with it; None: they are
    not looked at."""

    def __init__(self, limits=None, fds=None):
        self.limits = limits or Limits()
        self.fds = fds
        self.buffer = bytearray()
        self.header = None
        self.last = None                # the header of the frame that next() judged last

    def feed(self, data, fds=()):
        self.buffer += data
        if self.fds is not None:
            self.fds += fds

    def next(self):
        """The next Frame, or None if it is not all there yet."""
        if self.header is None:
            if len(self.buffer) < HEADER.size:
                self.check_fds(0, not self.buffer)
                return None
            self.header = decode_header(bytes(self.buffer[:HEADER.size]), self.limits)
            del self.buffer[:HEADER.size]
        header = self.header
        self.check_fds(header.n_fds, len(self.buffer) <= header.length)
        if len(self.buffer) < header.length:
            return None
        body = bytes(self.buffer[:header.length])
        del self.buffer[:header.length]
        self.header, self.last = None, header
        if self.fds is None:
            return decode_body(header, body)
        fds, self.fds = self.fds[:header.n_fds], self.fds[header.n_fds:]
        return self.decode_with_fds(header, body, fds)

    def check_fds(self, announced, nothing_behind):
        """Those beyond what is announced can only belong to a frame that has begun."""
        if self.fds is None:
            return
        if len(self.fds) < announced:
            raise drop('%d descriptors, %d announced' % (len(self.fds), announced))
        if len(self.fds) > announced and nothing_behind:
            raise drop('%d descriptors that no frame announces' % (len(self.fds) - announced))

    def decode_with_fds(self, header, body, fds):
        try:
            payload = None
            if header.flags & MEMFD:
                size = struct.unpack('<Q', split_body(header, body)[2])[0]
                if header.length - 8 + size > self.limits.max_length:
                    raise drop('%d bytes in a memfd, limit %d' % (size, self.limits.max_length), 'too-large')
                payload = read_memfd(fds.pop(), size)
            frame = decode_body(header, body, payload)
            frame.fds, fds = fds, []
            return frame
        finally:
            for fd in fds:
                os.close(fd)

    def close(self):
        """Descriptors that belong to no frame."""
        while self.fds:
            os.close(self.fds.pop())
