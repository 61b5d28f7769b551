# SPDX-License-Identifier: LGPL-2.1-or-later
"""The binary dialect against a server that echoes."""

import select

import tap
import wire_codec as codec
import wire_gvariant
from wire_client import RemoteError, connect


def check_handshake(server):
    with server.binary() as client:
        tap.equal(client.hello.get('max-message-size'), codec.DEFAULT_MAX_MESSAGE_SIZE, 'max-message-size')
        tap.equal(client.request('echo', b'hi', codec.TEXT).value, 'hi')


def check_memfd(server):
    """A server takes payloads in a memfd from whoever says that it sends them, and descriptors only if told to."""
    payload = bytes(range(256)) * 5000
    with server.binary(memfd=True, max_fds=3) as client:
        tap.equal(client.hello.get('features'), ['memfd'], 'features')
        tap.equal(client.hello.get('max-fds'), 0, 'max-fds')
        for size in (0, 1, len(payload)):
            reply = client.request_with_fds('echo', payload[:size], in_memfd=True)
            tap.equal(reply.payload == payload[:size], True, 'payload of %d bytes' % size)
        tap.equal(client.request('echo', b'hi').payload, b'hi')
    with server.binary(max_fds=3) as client, open('/dev/null', 'rb') as file:
        try:
            client.request_with_fds('echo', b'hi', [file.fileno()])
        except RemoteError as error:
            tap.equal((error.nick, error.reply_serial), ('invalid-data', 0), 'ERROR')
        else:
            raise AssertionError('an answer')


def check_hello_empty(server):
    """A HELLO needs no keys, and no payload."""
    with server.binary(handshake=False) as client:
        client.send_raw(codec.PREAMBLE + codec.Frame(codec.HELLO, codec.VARIANT).encode())
        client.wait_for_hello()
        tap.equal(client.request('echo', b'hi').payload, b'hi')


def check_silent(server):
    """The server says nothing before it has the first byte."""
    with connect(server.path) as silent, server.binary() as client:
        for _ in range(3):
            client.ping(1)
        tap.equal(select.select([silent], [], [], 0)[0], [], 'bytes from the server')


def check_formats(server):
    payloads = ((codec.BYTES, b'\0\xff'), (codec.BYTES, b''), (codec.TEXT, 'h\u00e9llo'.encode()), (codec.TEXT, b''),
                (codec.JSON, b'{"a":[1,2.5,null]}'), (codec.JSON, b'17'),
                (codec.VARIANT, codec.encode_variant('u', 7)),
                (codec.VARIANT, codec.encode_variant('a{sv}', [('k', wire_gvariant.Variant('as', ['x', 'y']))])),
                (codec.BYTES, bytes(range(256)) * 4096))
    with server.binary() as client:
        for payload_format, payload in payloads:
            reply = client.request('echo', payload, payload_format)
            tap.equal(reply.type, 'echo_response', 'type')
            tap.equal(reply.format, payload_format, 'format')
            tap.equal(reply.payload == payload, True, 'payload of format %d, %d bytes' % (payload_format, len(payload)))


def check_headers(server):
    with server.binary() as client:
        tap.equal(client.request('echo', b'x', codec.TEXT, {'trace': '7f', 'encoding': 'utf-8'}).value, 'x')
        tap.equal(client.request('echo', b'x', codec.TEXT, {}).value, 'x')
    line = server.wait_for_line(headers={'trace': '7f', 'encoding': 'utf-8'})
    tap.equal(line['payload'], 'x', 'payload')


def check_event(server):
    with server.binary() as client:
        client.event('tick', b'from an event', codec.TEXT)
        tap.equal(server.wait_for_line(payload='from an event')['message_type'], 'tick', 'type')
        client.event('echo', b'not a request', codec.TEXT)
        tap.equal(client.request('echo', b'next', codec.TEXT).value, 'next')
        tap.equal(client.waiting, [], 'answers to an event')


def check_pipelined(server):
    with server.binary() as client:
        client.send_raw(b''.join(client.encode_request('echo', b'%d' % number, codec.TEXT) for number in range(200)))
        for number in range(200):
            tap.equal(client.reply_to(number + 1).value, '%d' % number, 'reply')


def check_split(server):
    """Cut in two at every byte; the server has the first half before the second is sent."""
    start = codec.PREAMBLE + codec.encode_hello(name='split')
    with server.binary() as bystander:
        for cut in range(1, len(start)):
            with server.binary(handshake=False) as client:
                client.send_raw(start[:cut])
                bystander.ping(cut)
                client.send_raw(start[cut:])
                client.wait_for_hello()
        with server.binary() as client:
            length = len(codec.Frame(codec.REQUEST, type='echo', payload=b'hi', headers={'a': 'b'}).encode())
            for cut in range(1, length):
                data = client.encode_request('echo', b'hi', codec.TEXT, {'a': 'b'})
                client.send_raw(data[:cut])
                bystander.ping(cut)
                client.send_raw(data[cut:])
                tap.equal(client.reply_to(client.serial).value, 'hi', 'cut at %d' % cut)


def check_single_bytes(server):
    with server.binary(handshake=False) as client:
        for byte in codec.PREAMBLE + codec.encode_hello(name='dribble'):
            client.send_raw(bytes([byte]))
        client.wait_for_hello()
        for byte in client.encode_request('echo', b'slow', codec.TEXT):
            client.send_raw(bytes([byte]))
        tap.equal(client.reply_to(1).value, 'slow')


def check_unknown_type(server):
    with server.binary() as client:
        try:
            client.request('no-such-type', b'x', codec.TEXT)
        except RemoteError as error:
            tap.equal(error.nick, 'unknown-type', 'nick')
            assert 'no-such-type' in str(error), error
        else:
            raise AssertionError('an answer')
        tap.equal(client.request('echo', b'still', codec.TEXT).value, 'still')


def check_bad_payload(server):
    with server.binary() as client:
        data = client.encode_request('echo', b'\xff', codec.TEXT)
        client.send_raw(data + client.encode_request('echo', b'good', codec.TEXT))
        try:
            client.reply_to(1)
        except RemoteError as error:
            tap.equal(error.nick, 'invalid-data', 'nick')
        else:
            raise AssertionError('an answer')
        tap.equal(client.reply_to(2).value, 'good')


def check_bad_header(server):
    with server.binary() as client:
        client.send_raw(codec.HEADER.pack(4, 77, 0, 0, 4, 0, 0, 0) + b'tick')
        frame = client.next_frame()
        tap.equal((frame.kind, frame.type, frame.reply_serial), (codec.ERROR, 'invalid-data', 0), 'frame')
        assert client.at_end()


def check_version(server):
    data = bytearray(codec.PREAMBLE)
    data[codec.VERSION_AT] = 255
    with server.binary(handshake=False) as client:
        client.send_raw(bytes(data) + codec.encode_hello())
        try:
            client.wait_for_hello()
        except RemoteError as error:
            tap.equal(error.nick, 'version', 'nick')
        else:
            raise AssertionError('HELLO')
        assert client.at_end()


def check_cancel(server):
    """A cancelled request is still answered, once; the connection goes on."""
    with server.binary() as client:
        client.send_raw(client.encode_request('echo', b'x', codec.TEXT))
        client.cancel(1)
        try:
            tap.equal(client.reply_to(1).value, 'x')
        except RemoteError as error:
            tap.equal(error.nick, 'cancelled', 'nick')
        client.cancel(1)
        client.cancel(4711)
        tap.equal(client.request('echo', b'y', codec.TEXT).value, 'y')
        tap.equal(client.waiting, [], 'more answers')


def check_ping(server):
    with server.binary() as client:
        for serial in (0, 1, 5, 5, codec.MAX_SERIAL):
            tap.equal(client.ping(serial).reply_serial, serial, 'reply_serial')


def check_end_in_frame(server):
    """A peer that is gone in the middle costs nobody else anything."""
    request = codec.Frame(codec.REQUEST, type='echo', payload=b'hi', serial=1).encode()
    for cut in (0, 1, 31, 32, 33, len(request) - 1):
        with server.binary() as client:
            client.send_raw(request[:cut])
    with server.binary() as client:
        tap.equal(client.request('echo', b'well', codec.TEXT).value, 'well')


def check_large(server):
    """Exactly the limit is echoed; one byte more drops the sender."""
    limit = codec.DEFAULT_MAX_MESSAGE_SIZE
    with server.binary() as client:
        size = limit - len('echo_response')
        reply = client.request('echo', bytes(size))
        tap.equal(len(reply.payload), size, 'bytes back')
        client.send_raw(codec.HEADER.pack(limit + 1, codec.EVENT, 0, 0, 1, 0, 0, 0))
        frame = client.next_frame()
        tap.equal((frame.type, frame.reply_serial), ('too-large', 0), 'frame')
        assert client.at_end()


def check_order(server):
    """Events and requests are taken in the order in which they were sent."""
    with server.binary() as client:
        tap.equal(client.request('echo', b'order', codec.TEXT).value, 'order')
        for number in range(20):
            client.event('order', b'%d' % number, codec.TEXT)
        client.request('echo', b'order-end', codec.TEXT)
    server.wait_for_line(payload='order-end')
    have = [line['payload'] for line in server.lines if line['message_type'] == 'order']
    tap.equal(have, ['%d' % number for number in range(20)], 'order')


CASES = [('binary/' + name, check) for name, check in (
    ('handshake', check_handshake), ('memfd', check_memfd), ('hello-empty', check_hello_empty),
    ('silent', check_silent),
    ('formats', check_formats), ('headers', check_headers), ('event', check_event), ('pipelined', check_pipelined),
    ('split', check_split), ('single-bytes', check_single_bytes), ('unknown-type', check_unknown_type),
    ('bad-payload', check_bad_payload), ('bad-header', check_bad_header), ('version', check_version),
    ('cancel', check_cancel), ('ping', check_ping), ('end-in-frame', check_end_in_frame), ('large', check_large),
    ('order', check_order))]
