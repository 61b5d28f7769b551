#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gipc from outside: what it prints, where, and how it ends."""

import base64
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from gipc import GIPC, check_error, gipc
from programs import Program, case, need_terminals, run, run_cases
from tap import Skip, equal

BYTES = b'\xff\x00\x01\n'


def listen(*arguments, address='name'):
    listener = Program(GIPC, 'listen', *arguments, address)
    equal(listener.line(listener.stderr), 'listening on ' + address)
    return listener


def next_message(listener):
    return json.loads(listener.line(listener.stdout))


def socket_path(name='name'):
    return os.path.join(os.environ['IPC_GLIB_DIR'], 'socket', name)


@case
def help_and_version(directory):
    result = gipc('--help')
    equal(result.returncode, 0)
    for verb in 'listen', 'call', 'send', 'list', 'memory', 'monitor', 'semaphore':
        equal(verb.encode() in result.stdout, True, verb)
        verb_help = gipc(verb, '--help')
        equal((verb_help.returncode, verb_help.stderr), (0, b''))
        equal(b'gipc ' + verb.encode() in verb_help.stdout, True, verb)
    equal(b'--timeout' in gipc('call', '--help').stdout, True)
    result = gipc('--version')
    equal((result.returncode, result.stdout.split()[0]), (0, b'gipc'))


@case
def usage(directory):
    for arguments in [(), ('nonsense',), ('--nonsense',), ('listen',), ('listen', 'a', 'b'),
                      ('listen', '--nonsense', 'a'), ('call',), ('call', 'a'), ('call', 'a', 'b', 'c', 'd'),
                      ('call', '--timeout', 'x', 'a', 'b'),
                      ('call', '--timeout', '-3', 'a', 'b'), ('call', '--timeout', '99999999999', 'a', 'b'),
                      ('send', 'a'), ('send', 'a', 'b', 'c', 'd'), ('list', 'a'), ('monitor',), ('monitor', 'a', 'b'),
                      ('monitor', '--all', 'a'), ('monitor', '--interval', '9', 'a'), ('monitor', '--count', '0', 'a'),
                      ('monitor', '--interval', 'x', 'a'), ('monitor', '--count', '-2', 'a')]:
        check_error(gipc(*arguments), 2, '--help')


@case
def echo_text(directory):
    with listen('--echo') as listener:
        before = int(time.time())
        for sent, printed in ('hello', 'hello\n'), ('', '\n'), ('Grüße ☃', 'Grüße ☃\n'), ('two\n', 'two\n'):
            result = gipc('call', 'name', 'echo', sent)
            equal((result.returncode, result.stdout.decode(), result.stderr), (0, printed, b''))
            message = next_message(listener)
            equal((message['message_type'], message['payload']), ('echo', sent))
            equal('payload_base64' in message or 'headers' in message, False, message)
            equal(before <= message['timestamp'] <= time.time(), True, message)
            equal((type(message['connection']), type(message['id'])), (int, str))
        result = gipc('call', 'name', 'echo')
        equal((result.returncode, result.stdout), (0, b'\n'))
        equal(gipc('call', 'name', 'echo', '--', '-5').stdout, b'-5\n')


@case
def echo_standard_input(directory):
    with listen('--echo') as listener:
        equal(gipc('call', 'name', 'echo', '-', input=b'from stdin').stdout, b'from stdin\n')
        equal(next_message(listener)['payload'], 'from stdin')
        equal(gipc('call', 'name', 'echo', '-', input=BYTES).stdout, BYTES)
        message = next_message(listener)
        equal((message['payload'], message['payload_base64']), ('', base64.b64encode(BYTES).decode()))
        large = os.urandom(1 << 20)
        equal(gipc('call', 'name', 'echo', '-', input=large).stdout == large, True, '1 MiB comes back')


@case
def echo_json(directory):
    document = {'a': [1, 2.5, None, True, 1e308, 0.1], 'b': {'ü': 'line\nbreak'}, 'large': 2 ** 62}
    with listen('--echo') as listener:
        result = gipc('call', '--json', 'name', 'echo', json.dumps(document, indent=2))
        equal((result.returncode, result.stdout.count(b'\n')), (0, 1))
        reply = json.loads(result.stdout)
        equal((reply['message_type'], reply['payload']), ('echo_response', document))
        equal('connection' in reply, False)
        equal(next_message(listener)['payload'], document)
        equal(json.loads(gipc('call', '--json', 'name', 'echo').stdout)['payload'], None)
        for bad in '{', '[1,]', '{"a":1,"a":2}', '[' * 100000, '':
            check_error(gipc('call', '--json', 'name', 'echo', '-', input=bad.encode()), 1)
        # and none of that harmed the server
        equal(gipc('call', 'name', 'echo', 'still here').stdout, b'still here\n')


@case
def unknown_types_are_refused_and_printed(directory):
    with listen('--echo') as listener:
        check_error(gipc('call', 'name', 'nonsense', 'x'), 1, 'unknown message type: nonsense')
        equal(next_message(listener)['message_type'], 'nonsense')
    with listen(address='other') as listener:
        check_error(gipc('call', 'other', 'echo', 'x'), 1, 'unknown message type: echo')
        equal(next_message(listener)['message_type'], 'echo')


@case
def send_events(directory):
    with listen('--echo') as listener:
        for payload, text in (('an event', 'an event'), ('', '')):
            result = gipc('send', 'name', 'news', payload)
            equal((result.returncode, result.stdout, result.stderr), (0, b'', b''))
            message = next_message(listener)
            equal((message['message_type'], message['payload']), ('news', text))
        equal(gipc('send', 'name', 'news', '-', input=BYTES).returncode, 0)
        equal(base64.b64decode(next_message(listener)['payload_base64']), BYTES)
        large = b'x' * (4 << 20)
        equal(gipc('send', 'name', 'news', '-', input=large).returncode, 0)
        equal(next_message(listener)['payload'] == large.decode(), True, '4 MiB arrive')


@case
def json_dialect(directory):
    with listen('--echo') as listener, socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(30)
        peer.connect(socket_path())
        peer.sendall(b'{"id":"mine","message_type":"echo","payload":"hello","timestamp":5,"headers":{"b":"2","a":"1"}}')
        answer = json.loads(peer.makefile().readline())
        equal((answer['message_type'], answer['payload'], answer['reply_to']), ('echo_response', 'hello', 'mine'))
        message = next_message(listener)
        equal({key: message[key] for key in message if key != 'connection'},
              {'id': 'mine', 'message_type': 'echo', 'payload': 'hello', 'timestamp': 5,
               'headers': {'a': '1', 'b': '2'}})


# What is sent, and the text of the JSON that it has to become.
VARIANTS = [
    ("('x', [1.5, nan, inf, -inf, 0.1, 1e308, 1e-300, 3.0])", '["x",[1.5,null,null,null,0.1,1e+308,1e-300,3]]'),
    ('uint64 18446744073709551615', '18446744073709551615'),
    ('int64 -9223372036854775808', '-9223372036854775808'),
    ("{-1: <byte 7>, 2: <true>}", '{"-1":7,"2":true}'),
    ("{'\"\\\\': <@as []>, 'b': <@a{sv} {}>}", '{"\\"\\\\":[],"b":{}}'),
    ("[{byte 1: 'a'}, {byte 2: 'b'}]", '[{"1":"a"},{"2":"b"}]'),
    ("(@mi nothing, just 5, {'a', 'b'}, <{'c', 'd'}>, just {'e', 'f'}, @() ())",
     '[null,5,{"a":"b"},{"c":"d"},{"e":"f"},[]]'),
    ("(signature 'ai', objectpath '/a', byte 255, handle 3)", '["ai","/a",255,3]'),
]
SEND_VARIANTS = '''
import sys, gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc
client = Ipc.SocketClient.new('name')
client.open(None)
for text in sys.argv[1:]:
    variant = GLib.Variant.parse(None, text, None, None)
    client.request(Ipc.Message.new_variant('echo', variant), Ipc.TIMEOUT_DEFAULT, None)
'''


@case
def variants_as_json(directory):
    if 'HAVE_INTROSPECTION' not in os.environ or run('/usr/bin/python3', '-c', 'import gi').returncode != 0:
        raise Skip('no typelib in this build, or no PyGObject')
    with listen('--echo') as listener:
        result = run('/usr/bin/python3', '-c', SEND_VARIANTS, *[text for text, _ in VARIANTS])
        equal((result.returncode, result.stderr), (0, b''))
        for text, want in VARIANTS:
            line = listener.line(listener.stdout)
            equal('"payload":%s,"timestamp"' % want in line, True, '%s: %s' % (text, line))
            json.loads(line)


@case
def absolute_path(directory):
    path = str(directory / 'a.socket')
    with listen('--echo', address=path) as listener:
        equal(gipc('call', path, 'echo', 'x').stdout, b'x\n')
        equal(gipc('call', 'unix:' + path, 'echo', 'x').stdout, b'x\n')
        equal(listener.end(signal.SIGINT), 0)
    equal(os.path.exists(path), False, 'the socket is gone')


@case
def named_pipe(directory):
    path = str(directory / 'a pipe')
    for address, path in ('pipe:name', os.path.join(os.path.dirname(os.path.dirname(socket_path())), 'pipe', 'name')), ('pipe:' + path, path):
        with listen('--echo', address=address) as listener:
            with open(path, 'w') as pipe:
                pipe.write('hello\n{"message_type":"greeting","payload":"bonjour"}\nlast')
            for want in ('line', 'hello'), ('greeting', 'bonjour'), ('line', 'last'):
                message = next_message(listener)
                equal((message['message_type'], message['payload']), want)
            equal(gipc('call', address, 'echo', 'round trip').stdout, b'round trip\n')
            equal(next_message(listener)['payload'], 'round trip')
            equal(gipc('send', address, 'event', 'x' * 100000).returncode, 0)
            equal(len(next_message(listener)['payload']), 100000)
            if address == 'pipe:name':
                equal(gipc('list').stdout.decode().splitlines()[1].split()[:2], ['pipe:name', 'alive'])
                equal(gipc('monitor', '--count', '1', address).returncode, 0)
            equal(listener.end(signal.SIGINT), 0)
        equal(os.path.exists(path), False, 'the pipe is gone')


@case
def errors(directory):
    for verb in ('call', 'send'):
        check_error(gipc(verb, 'nobody', 'x'), 1, 'nobody')
        check_error(gipc(verb, '../x', 'x'), 1, '../x')
        check_error(gipc(verb, 'pipe:nobody', 'x'), 1, 'nobody', 'there is none')
        check_error(gipc(verb, 'pipe:a b', 'x'), 1, 'a b')
    check_error(gipc('listen', 'pipe:a b'), 1, 'a b')
    check_error(gipc('listen', 'a b'), 1, 'a b')
    check_error(gipc('listen', ''), 1)
    with listen():
        check_error(gipc('listen', 'name'), 1, 'name')
        for bad in '', 'error', 'x' * 256, 'a\nb':
            check_error(gipc('send', 'name', bad), 1)
            check_error(gipc('call', 'name', bad), 1)
        check_error(gipc('send', 'name', 'x', '-', input=b'x' * ((16 << 20) + 1)), 1, str(16 << 20))
        equal(gipc('send', 'name', 'x', 'y').returncode, 0)


def serve_silently(listener):
    """A server that shakes hands and then says nothing until it is closed."""
    try:
        while True:
            peer = listener.accept()[0]
            peer.recv(40, socket.MSG_WAITALL)
            peer.sendall(bytes.fromhex('00495043010d0a00') + struct.pack('<IBBBBQQq', 0, 1, 0, 0, 0, 0, 0, 0))
            while peer.recv(4096):
                pass
            peer.close()
    except OSError:
        pass


@case
def timeout(directory):
    path = str(directory / 'silent')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        server = threading.Thread(target=serve_silently, args=(listener,))
        server.start()
        try:
            check_error(gipc('call', '--timeout', '100', path, 'echo', 'x'), 1, path, 'timeout')
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


@case
def listen_stops_in_order(directory):
    for number in signal.SIGINT, signal.SIGTERM:
        with listen('--echo') as listener, socket.socket(socket.AF_UNIX) as idle:
            idle.connect(socket_path())
            equal(gipc('call', 'name', 'echo', 'x').returncode, 0)
            equal(listener.end(number), 0)
            equal(listener.rest(listener.stderr), [])
        equal(os.path.exists(socket_path()), False, 'the socket is gone')


@case
def listen_without_a_reader(directory):
    with Program(GIPC, 'listen', 'name') as listener:
        equal(listener.line(listener.stderr), 'listening on name')
        equal(gipc('send', 'name', 'x', 'first').returncode, 0)
        equal(next_message(listener)['payload'], 'first')
    with open('/dev/full', 'wb') as full:
        listener = subprocess.Popen([GIPC, 'listen', 'name'], stdout=full, stderr=subprocess.PIPE)
        with listener:
            equal(listener.stderr.readline(), b'listening on name\n')
            equal(gipc('send', 'name', 'x', 'first').returncode, 0)
            equal(listener.wait(timeout=30), 1)
            equal(listener.stderr.read().startswith(b'gipc: standard output: '), True)


@case
def list_servers(directory):
    result = gipc('list')
    equal((result.returncode, result.stdout, result.stderr), (0, b'', b''))
    with listen(address='beta') as beta, listen(address='alpha') as alpha:
        rows = [line.split() for line in gipc('list').stdout.decode().splitlines()]
        equal(rows, [['NAME', 'STATE', 'PID', 'UID'], ['alpha', 'alive', str(alpha.pid), str(os.getuid())],
                     ['beta', 'alive', str(beta.pid), str(os.getuid())]])
        alpha.end(signal.SIGKILL)
        servers = [json.loads(line) for line in gipc('list', '--json').stdout.splitlines()]
        equal(servers, [{'name': 'alpha', 'state': 'stale', 'alive': False},
                        {'name': 'beta', 'state': 'alive', 'alive': True, 'pid': beta.pid, 'uid': os.getuid()}])
        # a stale one is replaced
        with listen(address='alpha'):
            equal(json.loads(gipc('list', '--json').stdout.splitlines()[0])['state'], 'alive')
        beta.process.send_signal(signal.SIGSTOP)
        servers = [json.loads(line) for line in gipc('list', '--json').stdout.splitlines()]
        equal([(server['name'], server['state']) for server in servers], [('alpha', 'stale'), ('beta', 'silent')])


def monitor(*arguments):
    return Program(GIPC, 'monitor', '--json', '--interval', '50', *arguments)


def wait_for(program, condition):
    """The first line of a monitor for which the condition holds."""
    while True:
        line = program.line(program.stdout)
        if line is None:
            raise AssertionError('the monitor ended: %r' % program.rest(program.stderr))
        row = json.loads(line)
        if condition(row):
            return row


@case
def monitor_one(directory):
    with listen('--echo') as listener, monitor('name') as watcher:
        row = wait_for(watcher, lambda row: 'messages_per_second' in row)
        equal((row['address'], row['state'], row['pid'], row['clients']), ('name', 'alive', listener.pid, 1))
        before = row['messages_received']
        for _ in range(5):
            equal(gipc('call', 'name', 'echo', 'x' * 1000).returncode, 0)
        # what the monitor asks is counted, too, so that messages alone do not tell
        row = wait_for(watcher, lambda row: row['bytes_received'] > 5000 and row['bytes_sent'] > 5000)
        equal(row['messages_received'] >= before + 5 and row['bytes_per_second'] > 0, True, row)
        equal((row['queued_bytes'], row['messages_dropped'], row['clients_refused']), (0, 0, 0))
        equal(watcher.end(signal.SIGINT), 0)
        equal(watcher.rest(watcher.stderr), [])


@case
def monitor_counts(directory):
    result = gipc('monitor', '--all', '--json', '--count', '2', '--interval', '20')
    equal((result.returncode, result.stdout, result.stderr), (0, b'', b''))
    with listen():
        result = gipc('monitor', '--count', '3', '--interval', '20', 'name')
        equal((result.returncode, result.stderr), (0, b''))
        rows = [line.split() for line in result.stdout.decode().splitlines()]
        equal(rows[0], ['ADDRESS', 'STATE', 'CLIENTS', 'MSG/S', 'B/S', 'QUEUED', 'DROPPED'])
        equal([row[:3] for row in rows[1:]], [['name', 'alive', '1']] * 3)
        equal((rows[1][3], rows[2][3] != '-'), ('-', True))
        with open('/dev/full', 'wb') as full:
            process = subprocess.run([GIPC, 'monitor', 'name'], stdout=full, stderr=subprocess.PIPE, timeout=30)
            equal((process.returncode, process.stderr[:23]), (1, b'gipc: standard output: '))
    result = gipc('monitor', '--count', '2', '--interval', '20', 'name')
    equal((result.returncode, result.stdout.count(b'gone'), result.stderr.count(b'\n')), (1, 2, 1))
    check_error(gipc('monitor', 'a b'), 1, 'a b')


@case
def monitor_comes_and_goes(directory):
    with monitor('name') as watcher:
        equal(wait_for(watcher, lambda row: True)['state'], 'gone')
        for end in signal.SIGKILL, signal.SIGTERM:
            with listen() as listener:
                row = wait_for(watcher, lambda row: row['state'] == 'alive')
                equal((row['pid'], 'messages_per_second' in row), (listener.pid, False))
                listener.process.send_signal(signal.SIGSTOP)
                wait_for(watcher, lambda row: row['state'] == 'silent')
                listener.process.send_signal(signal.SIGCONT)
                wait_for(watcher, lambda row: row['state'] == 'alive')
                listener.end(end)
                wait_for(watcher, lambda row: row['state'] == 'gone')
        equal(watcher.end(signal.SIGTERM), 0)


@case
def monitor_all(directory):
    with monitor('--all') as watcher, listen(address='beta'):
        equal(wait_for(watcher, lambda row: row['state'] == 'alive')['address'], 'beta')
        with listen(address='alpha') as alpha:
            wait_for(watcher, lambda row: row['address'] == 'alpha' and row['state'] == 'alive')
            # in the order of the names
            equal(json.loads(watcher.line(watcher.stdout))['address'], 'beta')
            alpha.end(signal.SIGKILL)
            wait_for(watcher, lambda row: row['address'] == 'alpha' and row['state'] == 'gone')
        # one that is stopped does not hold up the others
        with listen(address='alpha') as alpha:
            wait_for(watcher, lambda row: row['address'] == 'alpha' and row['state'] == 'alive')
            alpha.process.send_signal(signal.SIGSTOP)
            wait_for(watcher, lambda row: row['address'] == 'alpha' and row['state'] == 'silent')
            wait_for(watcher, lambda row: row['address'] == 'beta' and row['state'] == 'alive')
            alpha.process.send_signal(signal.SIGCONT)
            alpha.end(signal.SIGTERM)
        # its file is gone, and so is its line
        wait_for(watcher, lambda row: row['address'] == 'beta')
        while json.loads(watcher.line(watcher.stdout))['address'] != 'beta':
            pass
        equal([json.loads(watcher.line(watcher.stdout))['address'] for _ in range(3)], ['beta'] * 3)
        equal(watcher.end(signal.SIGINT), 0)


@case
def monitor_on_a_terminal(directory):
    need_terminals()
    master, slave = os.openpty()
    with listen():
        process = subprocess.run([GIPC, 'monitor', '--count', '3', '--interval', '20', 'name'], stdout=slave, timeout=30)
        os.close(slave)
        equal(process.returncode, 0)
    text = b''
    try:
        while True:
            text += os.read(master, 65536)
    except OSError:     # how Linux says that the other end is closed
        pass
    os.close(master)
    frames = text.split(b'\x1b[2A\x1b[J')
    equal(len(frames), 3, text)
    for frame in frames:
        equal([line.split()[0] for line in frame.splitlines()], [b'ADDRESS', b'name'])


if __name__ == '__main__':
    sys.exit(run_cases(help_and_version, usage, named_pipe, echo_text, echo_standard_input, echo_json,
                       unknown_types_are_refused_and_printed, send_events, json_dialect, variants_as_json,
                       absolute_path, errors, timeout, listen_stops_in_order, listen_without_a_reader, list_servers,
                       monitor_one, monitor_counts, monitor_comes_and_goes, monitor_all, monitor_on_a_terminal))
