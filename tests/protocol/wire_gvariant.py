# SPDX-License-Identifier: LGPL-2.1-or-later
"""GVariant bytes, written from "GVariant values" in doc/wire-protocol.md.

Little-endian, normal form. A variant is a Variant (signature, value); an array
of dictionary entries is a list of (key, value) pairs, so that order and
repeated keys survive; when encoding, a dict will do as well.
"""

import collections
import re
import struct

MAX_DEPTH = 64
MAX_TYPE = 255

Variant = collections.namedtuple('Variant', 'signature value')

BASIC = {'y': 'B', 'n': '<h', 'q': '<H', 'i': '<i', 'u': '<I', 'h': '<i', 'x': '<q', 't': '<Q', 'd': '<d', 'b': 'B'}
STRINGS = 'sog'
OBJECT_PATH = re.compile(r'/|(/[A-Za-z0-9_]+)+')


class Malformed(ValueError):
    """Bytes that are not the normal form of a value of the type."""


def split_type(signature, start=0, depth=0):
    """The end of the one complete type that begins at START."""
    if depth > MAX_DEPTH or start >= len(signature):
        raise Malformed('type string %r' % signature)
    char = signature[start]
    if char in BASIC or char in STRINGS or char == 'v':
        return start + 1
    if char in 'am':
        if char == 'a' and signature[start + 1:start + 2] == '{':
            return split_entry(signature, start + 1, depth + 1)
        return split_type(signature, start + 1, depth + 1)
    if char == '(':
        position = start + 1
        while signature[position:position + 1] != ')':
            position = split_type(signature, position, depth + 1)
        return position + 1
    if char == '{':
        return split_entry(signature, start, depth)
    raise Malformed('type string %r' % signature)


def split_entry(signature, start, depth):
    key = signature[start + 1:start + 2]
    if key not in BASIC and (not key or key not in STRINGS):
        raise Malformed('type string %r' % signature)
    end = split_type(signature, start + 2, depth + 1)
    if signature[end:end + 1] != '}':
        raise Malformed('type string %r' % signature)
    return end + 1


def check_type(signature):
    if not signature or split_type(signature) != len(signature):
        raise Malformed('type string %r' % signature)


def members(signature):
    """The member types of a tuple or dictionary entry."""
    result, position = [], 1
    while position < len(signature) - 1:
        end = split_type(signature, position)
        result.append(signature[position:end])
        position = end
    return result


def align(position, alignment):
    return (position + alignment - 1) // alignment * alignment


def alignment_of(signature):
    char = signature[0]
    if char in BASIC:
        return struct.calcsize(BASIC[char])
    if char in STRINGS:
        return 1
    if char == 'v':
        return 8
    if char in 'am':
        return alignment_of(signature[1:])
    return max([alignment_of(member) for member in members(signature)], default=1)


def fixed_size(signature):
    """How many bytes every value of the type takes, or None."""
    char = signature[0]
    if char in BASIC:
        return struct.calcsize(BASIC[char])
    if char not in '({':
        return None
    size = 0
    for member in members(signature):
        member_size = fixed_size(member)
        if member_size is None:
            return None
        size = align(size, alignment_of(member)) + member_size
    return align(size, alignment_of(signature)) or 1


def offset_size(total):
    for width in (1, 2, 4):
        if total < 1 << (8 * width):
            return width
    return 8


def frame(body, offsets):
    """BODY with its framing offsets, in the narrowest width that fits all."""
    for width in (1, 2, 4, 8):
        if len(body) + width * len(offsets) < 1 << (8 * width):
            break
    return body + b''.join(offset.to_bytes(width, 'little') for offset in offsets)


def encode(signature, value):
    char = signature[0]
    if char in BASIC:
        return struct.pack(BASIC[char], value)
    if char in STRINGS:
        return value.encode() + b'\0'
    if char == 'v':
        return encode(*value) + b'\0' + value[0].encode()
    if char == 'm':
        return encode_maybe(signature[1:], value)
    if char == 'a':
        return encode_array(signature[1:], value)
    return encode_tuple(signature, value)


def encode_maybe(signature, value):
    if value is None:
        return b''
    return encode(signature, value) + (b'\0' if fixed_size(signature) is None else b'')


def encode_array(element, value):
    if isinstance(value, dict):
        value = list(value.items())
    body, offsets = b'', []
    for item in value:
        body = body.ljust(align(len(body), alignment_of(element)), b'\0')
        body += encode(element, item)
        offsets.append(len(body))
    return body if fixed_size(element) is not None else frame(body, offsets)


def encode_tuple(signature, value):
    types, body, offsets = members(signature), b'', []
    for index, (member, item) in enumerate(zip(types, value, strict=True)):
        body = body.ljust(align(len(body), alignment_of(member)), b'\0') + encode(member, item)
        if fixed_size(member) is None and index < len(types) - 1:
            offsets.insert(0, len(body))
    size = fixed_size(signature)
    return body.ljust(size, b'\0') if size is not None else frame(body, offsets)


def decode(signature, data):
    """The value, or Malformed. The normal form of a value is unique: what does
    not encode to the same bytes again was not in it."""
    check_type(signature)
    value = take(signature, data, 0)
    if encode(signature, value) != data:
        raise Malformed('%s is not in normal form' % signature)
    return value


def take(signature, data, depth):
    if depth > MAX_DEPTH:
        raise Malformed('nested deeper than %d' % MAX_DEPTH)
    size = fixed_size(signature)
    if size is not None and size != len(data):
        raise Malformed('%d bytes for %s' % (len(data), signature))
    char = signature[0]
    if char in BASIC:
        value = struct.unpack(BASIC[char], data)[0]
        if char == 'b' and value > 1:
            raise Malformed('boolean %d' % value)
        return bool(value) if char == 'b' else value
    if char in STRINGS:
        return take_string(char, data)
    if char == 'v':
        return take_variant(data, depth)
    if char == 'm':
        return take_maybe(signature[1:], data, depth)
    if char == 'a':
        return take_array(signature[1:], data, depth)
    return take_tuple(signature, data, depth)


def take_string(char, data):
    if data.find(b'\0') != len(data) - 1 or not data:
        raise Malformed('string without its NUL')
    try:
        value = data[:-1].decode()
    except UnicodeDecodeError as error:
        raise Malformed(str(error)) from None
    if char == 'o' and not OBJECT_PATH.fullmatch(value):
        raise Malformed('object path %r' % value)
    if char == 'g':
        position = 0
        while position < len(value):
            position = split_type(value, position)
    return value


def take_variant(data, depth):
    end = data.rfind(b'\0')
    if end < 0:
        raise Malformed('variant without a type')
    try:
        signature = data[end + 1:].decode('ascii')
    except UnicodeDecodeError:
        raise Malformed('variant without a type') from None
    check_type(signature)
    if len(signature) > MAX_TYPE:
        raise Malformed('a type of %d characters' % len(signature))
    return Variant(signature, take(signature, data[:end], depth + 1))


def take_maybe(element, data, depth):
    if not data:
        return None
    if fixed_size(element) is None:
        if data[-1]:
            raise Malformed('maybe without its zero byte')
        data = data[:-1]
    return take(element, data, depth + 1)


def take_array(element, data, depth):
    size = fixed_size(element)
    if size is not None:
        if len(data) % size:
            raise Malformed('%d bytes for an array of %s' % (len(data), element))
        return [take(element, data[i:i + size], depth + 1) for i in range(0, len(data), size)]
    if not data:
        return []
    width = offset_size(len(data))
    table = int.from_bytes(data[-width:], 'little')
    if table > len(data) - width or (len(data) - table) % width:
        raise Malformed('array offsets')
    result, start = [], 0
    for position in range(table, len(data), width):
        end = int.from_bytes(data[position:position + width], 'little')
        start = align(start, alignment_of(element))
        if not start <= end <= table:
            raise Malformed('array offsets')
        result.append(take(element, data[start:end], depth + 1))
        start = end
    return result


def take_tuple(signature, data, depth):
    types, result, start = members(signature), [], 0
    if not types:
        if data != b'\0':
            raise Malformed('unit')
        return ()
    width, table = offset_size(len(data)), len(data)
    for index, member in enumerate(types):
        start, size = align(start, alignment_of(member)), fixed_size(member)
        if size is not None:
            end = start + size
        elif index == len(types) - 1:
            end = table
        else:
            table -= width
            end = int.from_bytes(data[max(table, 0):max(table, 0) + width], 'little')
        if table < 0 or not start <= end <= table:
            raise Malformed('tuple offsets')
        result.append(take(member, data[start:end], depth + 1))
        start = end
    return tuple(result)
