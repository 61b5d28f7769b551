#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of both dialects over a Unix socket, written from doc/wire-protocol.md.

It blocks, has one request outstanding unless asked for more, and serves as a model
of how little a client needs. As a program: wire_client.py PATH TYPE [TEXT].
"""

import sys

sys.dont_write_bytecode = True

import json
import os
import socket
import struct
import time

import wire_codec as codec
import wire_json
import wire_session
from wire_error import WireError

TIMEOUT = 20


class Closed(Exception):
    """The peer closed the connection."""


class RemoteError(Exception):
    """An ERROR frame, or an error object."""

    def __init__(self, nick, text, code=None, reply_serial=0):
        super().__init__('%s: %s' % (nick, text))
        self.nick = nick
        self.code = code
        self.reply_serial = reply_serial


def connect(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(TIMEOUT)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def receive(sock):
    """Some bytes. A peer that closes with our bytes unread makes the end a reset."""
    try:
        data = sock.recv(65536)
    except ConnectionResetError:
        data = b''
    if not data:
        raise Closed()
    return data


def receive_with_fds(sock):
    """The same, and the descriptors that came with them."""
    try:
        data, fds, flags, _ = socket.recv_fds(sock, 65536, 253)
    except ConnectionResetError:
        raise Closed() from None
    if not data:
        raise Closed()
    if flags & socket.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        raise codec.drop('descriptors were lost')
    return data, fds


class BinaryClient:
    """MAX_FDS: descriptors that it takes with a message; MEMFD: it also takes payloads in a memfd."""

    def __init__(self, path, name='wire_client', handshake=True, max_fds=0, memfd=False):
        self.sock = connect(path)
        self.session = wire_session.BinarySession()
        self.waiting = []               # frames that were read and not asked for yet
        self.serial = 0
        self.agreed = codec.Limits(max_fds=max_fds, memfd=memfd)
        if handshake:
            keys = {'max_fds': max_fds} if max_fds else {}
            hello = codec.encode_hello(max_message_size=codec.DEFAULT_MAX_MESSAGE_SIZE, name=name,
                                       features=['memfd'] if memfd else [], **keys)
            self.send_raw(codec.PREAMBLE + hello)
            self.wait_for_hello()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    @property
    def hello(self):
        return self.session.hello

    def wait_for_hello(self):
        frame = self.next_frame()
        if frame.kind == codec.ERROR:
            raise self.remote_error(frame)
        self.agreed.max_fds = min(self.agreed.max_fds, frame.value.get('max-fds', 0))
        self.agreed.memfd = self.agreed.memfd and 'memfd' in frame.value.get('features', ())
        self.session.reader.limits = self.agreed
        return frame

    def send_raw(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass                        # what the peer said before it closed is still to be read

    def send(self, kind, **fields):
        self.send_raw(codec.Frame(kind, **fields).encode())

    def event(self, message_type, payload=b'', payload_format=codec.BYTES, headers=None):
        self.send(codec.EVENT, type=message_type, payload=payload, format=payload_format, headers=headers,
                  timestamp=time.time_ns() // 1000)

    def encode_request(self, message_type, payload=b'', payload_format=codec.BYTES, headers=None):
        self.serial += 1
        self.session.outstanding.add(self.serial)
        return codec.Frame(codec.REQUEST, type=message_type, payload=payload, format=payload_format, headers=headers,
                           serial=self.serial, timestamp=time.time_ns() // 1000).encode()

    def request(self, message_type, payload=b'', payload_format=codec.BYTES, headers=None):
        """The REPLY; RemoteError for an ERROR."""
        self.send_raw(self.encode_request(message_type, payload, payload_format, headers))
        return self.reply_to(self.serial)

    def request_with_fds(self, message_type, payload=b'', fds=(), in_memfd=False):
        """The same for bytes, with descriptors; IN_MEMFD: the payload goes as the last of them."""
        self.serial += 1
        self.session.outstanding.add(self.serial)
        fds = list(fds)
        if in_memfd:
            fds.append(codec.write_memfd(payload))
            payload = struct.pack('<Q', len(payload))
        data = codec.Frame(codec.REQUEST, type=message_type, payload=payload, memfd=in_memfd, n_fds=len(fds),
                           serial=self.serial, timestamp=time.time_ns() // 1000).encode()
        # They go with the first byte; what the kernel did not take of the rest follows.
        sent = socket.send_fds(self.sock, [data], fds)
        self.send_raw(data[sent:])
        if in_memfd:
            os.close(fds.pop())
        return self.reply_to(self.serial)

    def cancel(self, serial):
        self.send(codec.CANCEL, reply_serial=serial)

    def ping(self, serial):
        """Sends PING and waits for its PONG."""
        self.send(codec.PING, serial=serial)
        return self.wait_for(lambda frame: frame.kind == codec.PONG and frame.reply_serial == serial)

    def reply_to(self, serial):
        frame = self.wait_for(lambda frame: frame.kind in (codec.REPLY, codec.ERROR) and frame.reply_serial == serial)
        if frame.kind == codec.ERROR:
            raise self.remote_error(frame)
        return frame

    def wait_for(self, wanted):
        kept = []
        try:
            while True:
                frame = self.next_frame()
                if wanted(frame):
                    return frame
                if frame.kind == codec.ERROR and frame.reply_serial == 0:
                    raise self.remote_error(frame)
                kept.append(frame)
        finally:
            self.waiting = kept + self.waiting

    @staticmethod
    def remote_error(frame):
        return RemoteError(frame.type, frame.value, (frame.headers or {}).get('code'), frame.reply_serial)

    def next_frame(self):
        """The next frame, whatever it is; Closed at the end."""
        while not self.waiting:
            self.waiting = self.session.feed(*receive_with_fds(self.sock))
        frame = self.waiting.pop(0)
        if isinstance(frame, WireError):
            raise frame
        return frame

    def at_end(self):
        """Whether nothing but the end of the stream is left."""
        try:
            self.next_frame()
        except Closed:
            return True
        return False


class JsonClient:
    def __init__(self, path):
        self.sock = connect(path)
        self.reader = wire_json.ObjectReader()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def send_raw(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, **fields):
        self.send_raw(json.dumps(fields).encode() + b'\n')

    def next_object(self):
        """The next object as a dict; Closed at the end."""
        while True:
            value = self.reader.next()
            if value is not None:
                return value
            self.reader.feed(receive(self.sock))

    def request(self, **fields):
        self.send(**fields)
        return self.next_object()

    def at_end(self):
        try:
            self.next_object()
        except Closed:
            return self.reader.at_boundary()
        return False


def main(arguments):
    if len(arguments) not in (2, 3):
        print('usage: wire_client.py PATH TYPE [TEXT]', file=sys.stderr)
        return 2
    with BinaryClient(arguments[0]) as client:
        try:
            text = arguments[2].encode() if len(arguments) == 3 else b''
            print(client.request(arguments[1], text, codec.TEXT).value)
        except RemoteError as error:
            print('wire_client.py: %s' % error, file=sys.stderr)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
