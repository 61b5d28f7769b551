#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client of this folder against a real server.

By hand: GIPC=path/to/gipc ./test_server.py
"""

import sys

sys.dont_write_bytecode = True

import os

import server_binary
import server_json
import server_process
import server_vectors
import tap
import wire_codec as codec
import wire_client


def check_goodbye(server):
    """Told to end, the server says GOODBYE, answers what it has, and closes."""
    with server.binary() as client, server.json() as other:
        tap.equal(client.request('echo', b'1', codec.TEXT).value, '1')
        tap.equal(other.request(message_type='echo', payload='2')['payload'], '2')
        server.terminate()
        frame = client.wait_for(lambda frame: frame.kind == codec.GOODBYE)
        tap.equal(frame.reply_serial, 1, 'the last request that is answered')
        assert client.at_end()
        assert other.at_end()
    tap.equal(server.process.wait(server_process.DEADLINE), 0, 'exit status')
    try:
        wire_client.connect(server.path).close()
    except OSError:
        return
    raise AssertionError('the address is still served')


def main():
    gipc = os.environ.get('GIPC')
    if not gipc:
        print('set GIPC to the path of gipc', file=sys.stderr)
        return 2
    server = server_process.Server(gipc)
    checks = server_binary.CASES + server_json.CASES + server_vectors.cases() + [('server/goodbye', check_goodbye)]
    try:
        status = tap.run([(name, lambda c=check: c(server)) for name, check in checks])
    finally:
        ended = server.finish()
    if ended != 0:
        print('# the server ended with %d: %s' % (ended, ''.join(server.complaints[-20:])))
    return status or (1 if ended else 0)


if __name__ == '__main__':
    sys.exit(main())
