# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON dialect against a server that echoes."""

import json
import socket
import time

import tap
import wire_json
from wire_client import connect


def check_answer(answer, payload, reply_to=None):
    tap.equal(answer['message_type'], 'echo_response', 'message_type')
    tap.equal(answer['payload'], payload, 'payload')
    if reply_to is not None:
        tap.equal(answer['reply_to'], reply_to, 'reply_to')
    assert isinstance(answer['id'], str) and answer['id'], answer
    assert abs(answer['timestamp'] - time.time()) < 60, answer
    wire_json.message(answer)


def check_error(answer, nick, reply_to=None):
    tap.equal(answer['message_type'], 'error', 'message_type')
    tap.equal(answer['code'], nick, 'code')
    assert isinstance(answer['payload'], str) and answer['payload'], answer
    if reply_to is not None:
        tap.equal(answer['reply_to'], reply_to, 'reply_to')
    wire_json.message(answer)


def check_echo(server):
    with server.json() as client:
        check_answer(client.request(id='1', message_type='echo', payload='hi', timestamp=1700000000), 'hi', '1')
        answer = client.request(id='two', message_type='echo', payload='h\u00e9', timestamp=1700000000.25)
        check_answer(answer, 'h\u00e9', 'two')
        check_answer(client.request(id=17, message_type='echo', payload=''), '', '17')
        check_answer(client.request(message_type='echo', payload='no id'), 'no id')


def check_simple(server):
    """A client that knows four members, sends one object and reads one back in one read."""
    with connect(server.path) as sock:
        sock.sendall(b'{"id":"abc","message_type":"echo","payload":"simple","timestamp":1700000000}')
        answer = json.loads(sock.recv(65536))
        tap.equal((answer['message_type'], answer['payload']), ('echo_response', 'simple'))
        tap.equal((type(answer['id']), type(answer['timestamp'])), (str, int))


def check_one_line(server):
    with connect(server.path) as sock:
        sock.sendall(b'{"message_type":"echo","payload":"a\\nb"}')
        data = sock.recv(65536)
        tap.equal((data.count(b'\n'), data[-1:]), (1, b'\n'), 'newlines')


def check_payloads(server):
    with server.json() as client:
        for payload in ({'a': [1, 2.5, None]}, [], 17, True, None):
            check_answer(client.request(message_type='echo', payload=payload), payload)
        answer = client.request(message_type='echo', payload='', payload_base64='AP+A')
        check_answer(answer, '')
        tap.equal(answer['payload_base64'], 'AP+A', 'payload_base64')
        check_answer(client.request(message_type='echo'), '')
        check_answer(client.request(message_type='echo', payload='h', headers={'k': 'v'}), 'h')
    tap.equal(server.wait_for_line(headers={'k': 'v'})['payload'], 'h', 'payload')


def check_white_space(server):
    with server.json() as client:
        client.send_raw(b'\n \t\r\n { "message_type" :\r\n "echo", "payload": "w" } ')
        check_answer(client.next_object(), 'w')


def check_merged(server):
    with server.json() as client:
        client.send_raw(b''.join(b'{"id":"%d","message_type":"echo","payload":"m"}' % number for number in range(50)))
        for number in range(50):
            check_answer(client.next_object(), 'm', '%d' % number)


def check_split(server):
    data = rb'{"id":"s","message_type":"echo","payload":"}\"\u00e9{","x":[1.5e2,{}]}'
    with server.binary() as bystander, server.json() as client:
        for cut in range(1, len(data)):
            client.send_raw(data[:cut])
            bystander.ping(cut)
            client.send_raw(data[cut:])
            check_answer(client.next_object(), '}"\u00e9{', 's')
        for byte in data:
            client.send_raw(bytes([byte]))
        check_answer(client.next_object(), '}"\u00e9{', 's')


def check_unknown_type(server):
    with server.json() as client:
        answer = client.request(id='u', message_type='no-such-type', payload='x')
        check_error(answer, 'unknown-type', 'u')
        assert 'no-such-type' in answer['payload'], answer
        check_answer(client.request(message_type='echo', payload='still'), 'still')


def check_no_type(server):
    with server.json() as client:
        check_error(client.request(id='n', payload='x'), 'invalid-data', 'n')
        check_answer(client.request(message_type='echo', payload='still'), 'still')


def check_reply_to(server):
    """What is an answer is never answered."""
    with server.json() as client:
        client.send(id='r', message_type='echo', payload='never', reply_to='77')
        check_answer(client.request(id='s', message_type='echo', payload='next'), 'next', 's')


def check_invalid(server):
    with server.json() as client:
        check_answer(client.request(message_type='echo', payload='first'), 'first')
        client.send_raw(b'{"message_type":"echo",}')
        check_error(client.next_object(), 'invalid-data')
        assert client.at_end()


def check_half_close(server):
    with server.json() as client:
        client.send_raw(b'{"id":"a","message_type":"echo","payload":"1"}{"id":"b","message_type":"echo","payload":"2"}')
        client.sock.shutdown(socket.SHUT_WR)
        check_answer(client.next_object(), '1', 'a')
        check_answer(client.next_object(), '2', 'b')
        assert client.at_end()


def check_half_close_inside(server):
    with server.json() as client:
        client.send_raw(b'{"id":"a","message_type":"echo","payload":"1"}{"id":')
        client.sock.shutdown(socket.SHUT_WR)
        check_answer(client.next_object(), '1', 'a')
        try:
            check_error(client.next_object(), 'invalid-data')
        finally:
            assert client.at_end()


def check_large(server):
    """An answer that fits in a MiB comes; an object of one byte more than a MiB ends it."""
    with server.json() as client:
        payload = 'x' * (wire_json.MAX_OBJECT - 300)
        check_answer(client.request(message_type='echo', payload=payload), payload)
        client.send_raw(b'{"message_type":"echo","payload":"' + b'x' * wire_json.MAX_OBJECT)
        check_error(client.next_object(), 'too-large')
        assert client.at_end()


CASES = [('json/' + name, check) for name, check in (
    ('echo', check_echo), ('simple', check_simple), ('one-line', check_one_line), ('payloads', check_payloads),
    ('white-space', check_white_space), ('merged', check_merged), ('split', check_split),
    ('unknown-type', check_unknown_type), ('no-type', check_no_type), ('reply-to', check_reply_to),
    ('invalid', check_invalid), ('half-close', check_half_close), ('half-close-inside', check_half_close_inside),
    ('large', check_large))]
