# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON dialect, written from doc/wire-protocol.md: strict documents, objects
cut from a stream, and what a message object may hold."""

import base64
import json
import re

from wire_error import WireError

MAX_OBJECT = 1 << 20
MAX_DEPTH = 64
MAX_VALUES = 65536
MIN_INTEGER, MAX_INTEGER = -(1 << 63), (1 << 63) - 1
WHITE = b' \t\r\n'
FIRST_BYTES = b'{' + WHITE


def invalid(text, nick='invalid-data', action='drop'):
    return WireError(nick, text, action)


def integer(text):
    if len(text) > 20 or not MIN_INTEGER <= int(text) <= MAX_INTEGER:
        raise invalid('integer out of range')
    return int(text)


def floating(text):
    value = float(text)
    if value in (float('inf'), float('-inf')):
        raise invalid('number out of range')
    return value


def constant(text):
    raise invalid('%s is not JSON' % text)


def unique(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise invalid('a member twice')
    return result


DECODER = json.JSONDecoder(object_pairs_hook=unique, parse_int=integer, parse_float=floating, parse_constant=constant)


class Scanner:
    """Finds where an object ends, and refuses what is nested too deep."""

    def __init__(self):
        self.open = []
        self.in_string = self.escaped = False
        self.closed = False

    def feed(self, byte):
        if self.in_string:
            if self.escaped:
                self.escaped = False
            elif byte == 0x5c:
                self.escaped = True
            elif byte == 0x22:
                self.in_string = False
        elif byte == 0x22:
            self.in_string = True
        elif byte in b'{[':
            self.open.append(byte + 2)
            if len(self.open) > MAX_DEPTH:
                raise invalid('nested deeper than %d' % MAX_DEPTH)
        elif byte in b'}]':
            if not self.open or self.open.pop() != byte:
                raise invalid('a bracket that was not opened')
            self.closed = not self.open


def parse(data):
    """One strict RFC 8259 document of any type."""
    scanner = Scanner()
    for byte in data:
        scanner.feed(byte)
    try:
        text = data.decode()
        start = len(text) - len(text.lstrip(' \t\r\n'))
        value, end = DECODER.raw_decode(text, start)
    except WireError:
        raise
    except ValueError as error:
        raise invalid(str(error)) from None
    if text[end:].strip(' \t\r\n'):
        raise invalid('data after the document')
    if count(value) > MAX_VALUES:
        raise invalid('more than %d values' % MAX_VALUES, 'too-large')
    return value


def count(value):
    """Members and elements, all the way down; no NUL and no lone surrogate on the way."""
    if isinstance(value, str):
        check_text(value)
        return 0
    if isinstance(value, dict):
        for key in value:
            check_text(key)
        value = list(value.values())
    if not isinstance(value, list):
        return 0
    return sum(1 + count(item) for item in value)


def check_text(text):
    if '\0' in text or re.search('[\ud800-\udfff]', text):
        raise invalid('NUL or a lone surrogate')


class ObjectReader:
    """Cuts a byte stream into objects, with or without white space between."""

    def __init__(self):
        self.buffer = bytearray()
        self.scanned = 0
        self.scanner = Scanner()

    def feed(self, data):
        self.buffer += data

    def next(self):
        """The next object as a dict, or None if it is not all there yet."""
        if self.scanned == 0:
            while self.buffer and self.buffer[0] in WHITE:
                del self.buffer[0]
            if self.buffer and self.buffer[0] != 0x7b:
                raise invalid('an object starts with {')
        while self.scanned < len(self.buffer) and not self.scanner.closed:
            self.scanner.feed(self.buffer[self.scanned])
            self.scanned += 1
            if self.scanned > MAX_OBJECT:
                raise invalid('an object of more than %d bytes' % MAX_OBJECT, 'too-large')
        if not self.scanner.closed:
            return None
        document = bytes(self.buffer[:self.scanned])
        del self.buffer[:self.scanned]
        self.scanned, self.scanner = 0, Scanner()
        return parse(document)

    def at_boundary(self):
        return not bytes(self.buffer).strip(WHITE)


def text_id(value, name):
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or len(value.encode()) > 255:
        raise invalid('%s is not a string of at most 255 bytes' % name, action='continue')
    return value


def message(value):
    """The fields of a message object, or WireError with action 'continue'."""
    def refuse(text):
        raise invalid(text, action='continue')

    message_type = value.get('message_type')
    if not isinstance(message_type, str) or not 1 <= len(message_type.encode()) <= 255 \
            or any(ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 for c in message_type):
        refuse('message_type missing or not a type')
    result = {'message_type': message_type}
    for name in ('id', 'reply_to'):
        if name in value:
            result[name] = text_id(value[name], name)
    if 'timestamp' in value:
        if isinstance(value['timestamp'], bool) or not isinstance(value['timestamp'], (int, float)):
            refuse('timestamp is not a number')
        result['timestamp'] = value['timestamp']
    if 'headers' in value:
        headers = value['headers']
        if not isinstance(headers, dict) or '' in headers \
                or not all(isinstance(item, str) for item in headers.values()):
            refuse('headers is not an object of strings')
        result['headers'] = headers
    result.update(payload(value, refuse))
    return result


def payload(value, refuse):
    if 'payload_base64' in value:
        try:
            return {'format': 'bytes', 'bytes': base64.b64decode(value['payload_base64'], validate=True)}
        except (ValueError, TypeError):
            refuse('payload_base64 is not base64')
    if isinstance(value.get('payload', ''), str):
        return {'format': 'text', 'payload': value.get('payload', '')}
    return {'format': 'json', 'payload': value['payload']}
