# SPDX-License-Identifier: LGPL-2.1-or-later
"""The vectors that a client can send, against a server; after each, an honest client is served."""

import tap
import vectors
import wire_codec as codec
from wire_client import RemoteError
from server_json import check_error

HELLO = codec.PREAMBLE + codec.encode_hello()


def check_bystander(server):
    with server.binary() as client:
        tap.equal(client.request('echo', b'honest', codec.TEXT).value, 'honest')


def expect_drop(client, nick):
    frame = client.next_frame()
    while frame.kind != codec.ERROR or frame.reply_serial != 0:
        frame = client.next_frame()
    tap.equal(frame.type, nick, 'nick')
    assert client.at_end()


def check_preamble(server, vector):
    with server.binary(handshake=False) as client:
        client.send_raw(vectors.data(vector))
        expect_drop(client, vector['expect']['nick'])
    check_bystander(server)


def check_frame(server, vector):
    expect = vector['expect']
    data = vectors.data(vector)
    with server.binary(handshake=False) as client:
        if data[4] == codec.HELLO:
            client.send_raw(codec.PREAMBLE + data)
        else:
            client.send_raw(HELLO)
            client.wait_for_hello()
            client.send_raw(data)
        if expect['action'] == 'drop':
            expect_drop(client, expect['nick'])
        else:
            client.serial = 1
            client.session.outstanding.add(1)
            expect_error_reply(client, expect['nick'])
    check_bystander(server)


def expect_error_reply(client, nick):
    try:
        client.reply_to(1)
    except RemoteError as error:
        tap.equal((error.nick, error.reply_serial), (nick, 1), 'ERROR')
    else:
        raise AssertionError('an answer')
    tap.equal(client.request('echo', b'on', codec.TEXT).value, 'on')


def check_stream(server, vector):
    data = vectors.data(vector)
    with server.binary(handshake=False) as client:
        client.session.outstanding.update(range(1, 100))
        start = codec.PREAMBLE + codec.Frame(codec.HELLO, codec.VARIANT).encode()
        if data.startswith(start):
            client.send_raw(start)
            client.wait_for_hello()
            data = data[len(start):]
        client.send_raw(data)
        if vector['name'].startswith('first-byte'):
            assert client.at_end()
        else:
            expect_drop(client, vector['expect']['nick'])
    check_bystander(server)


def check_json(server, vector):
    """Errors as expected, in order; what is not an error is of a type that the server does not know."""
    with server.json() as client:
        client.send_raw(vectors.data(vector))
        for result in vector['expect']['results']:
            if 'error' in result:
                check_error(client.next_object(), result['error']['nick'])
            elif 'reply_to' not in result:
                check_error(client.next_object(), 'unknown-type', result.get('id'))
        if vector['expect']['outcome'] == 'error':
            assert client.at_end()
        else:
            client.send(message_type='echo', payload='on')
            tap.equal(client.next_object()['payload'], 'on', 'payload')
    check_bystander(server)


def is_sendable(vector):
    if 'limits' in vector or vector['direction'] == 'server-to-client':
        return False
    if vector['layer'] == 'json':
        kept = vector['expect']['results'] and vector['expect']['results'][0]
        return vector['expect']['outcome'] != 'incomplete' and (not kept or kept.get('message_type') != 'echo')
    return vector['expect']['outcome'] == 'error'


def cases():
    checks = {'preamble': check_preamble, 'frame': check_frame, 'stream': check_stream, 'json': check_json}
    return [('vectors/' + vector['name'], lambda server, v=vector: checks[v['layer']](server, v))
            for vector in vectors.load(*checks) if is_sendable(vector)]
