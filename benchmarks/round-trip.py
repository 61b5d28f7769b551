#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Round trips from Python and JavaScript: this library beside Gio.DBusConnection.

    round-trip.py [--rounds N] [--seconds S] [--check]

Client and server are programs in the same language, on one CPU. The client asks
synchronously, with 64 bytes of text, and gets them back; D-Bus is peer to peer, so
that no daemon is between. Rounds alternate; the figures are medians. With --check
the exit status is 1 if this library is less than three times as quick.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TEXT = 'x' * 64
AT_LEAST = 3.0
INTERFACE = """
<node><interface name='org.example.Echo'>
  <method name='Echo'><arg type='s' direction='in'/><arg type='s' direction='out'/></method>
</interface></node>
"""


# ---- the two halves, in Python; round-trip.js has them in JavaScript ----

def serve_ipc(path):
    from gi.repository import GLib, Ipc

    server = Ipc.SocketServer.new(path)
    server.add_handler('echo', lambda server, connection, request: Ipc.Message.new_text('echo', request.get_text()))
    server.start()
    print('up', flush=True)
    GLib.MainLoop().run()


def serve_dbus(path):
    from gi.repository import Gio, GLib

    info = Gio.DBusNodeInfo.new_for_xml(INTERFACE).interfaces[0]

    def on_call(connection, sender, object_path, interface, method, parameters, invocation):
        invocation.return_value(GLib.Variant('(s)', (parameters[0],)))

    def on_connection(server, connection):
        connections.append(connection)
        connection.register_object('/', info, on_call, None, None)
        return True

    connections = []
    server = Gio.DBusServer.new_sync('unix:path=' + path, Gio.DBusServerFlags.NONE, Gio.dbus_generate_guid(), None, None)
    server.connect('new-connection', on_connection)
    server.start()
    print('up', flush=True)
    GLib.MainLoop().run()


def ipc_call(path):
    from gi.repository import Ipc

    client = Ipc.SocketClient.new(path)
    client.open(None)

    def call():
        reply = client.request(Ipc.Message.new_text('echo', TEXT), Ipc.TIMEOUT_DEFAULT, None)
        assert reply.get_text() == TEXT

    return call


def dbus_call(path):
    from gi.repository import Gio, GLib

    connection = Gio.DBusConnection.new_for_address_sync(
        'unix:path=' + path, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, None, None)

    def call():
        reply = connection.call_sync(None, '/', 'org.example.Echo', 'Echo', GLib.Variant('(s)', (TEXT,)),
                                     GLib.VariantType('(s)'), Gio.DBusCallFlags.NONE, -1, None)
        assert reply[0] == TEXT

    return call


def ask(call, seconds):
    for _ in range(200):
        call()
    n = 0
    start = time.monotonic()
    while (now := time.monotonic()) < start + seconds:
        for _ in range(50):
            call()
        n += 50
    print(n / (now - start), flush=True)


def half(role, kind, path, seconds):
    import gi

    gi.require_version('Ipc', '1.0')
    if role == 'server':
        {'ipc': serve_ipc, 'dbus': serve_dbus}[kind](path)
    else:
        ask({'ipc': ipc_call, 'dbus': dbus_call}[kind](path), seconds)


# ---- the comparison ----

def measure(command, kind, seconds):
    """Round trips per second."""
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, 'socket')
    server = subprocess.Popen([*command, 'server', kind, path, '0'], stdout=subprocess.PIPE, text=True)
    try:
        if server.stdout.readline() != 'up\n':
            sys.exit('the %s server of %s did not start' % (kind, command[0]))
        client = subprocess.run([*command, 'client', kind, path, str(seconds)], stdout=subprocess.PIPE, text=True,
                                check=True, timeout=60 + 10 * seconds)
        return float(client.stdout)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        shutil.rmtree(directory)


def languages():
    here = os.path.dirname(os.path.abspath(__file__))
    yield 'Python', [sys.executable, os.path.abspath(__file__)]
    gjs = shutil.which('gjs')
    if gjs is not None:
        yield 'JavaScript', [gjs, '-m', os.path.join(here, 'round-trip.js')]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=1.0)
    parser.add_argument('--check', action='store_true')
    options = parser.parse_args()
    missed = False
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name, command in languages():
        rates = {'ipc': [], 'dbus': []}
        for _ in range(options.rounds):
            for kind, results in rates.items():
                results.append(measure(command, kind, options.seconds))
        ours, theirs = (statistics.median(rates[kind]) for kind in ('ipc', 'dbus'))
        missed |= ours < AT_LEAST * theirs
        print('%-12s ipc-glib %8.0f/s   Gio.DBusConnection %8.0f/s   %.2f x (at least %.1f)'
              % (name, ours, theirs, ours / theirs, AT_LEAST), flush=True)
    return 1 if missed and options.check else 0


if __name__ == '__main__':
    if len(sys.argv) == 5 and sys.argv[1] in ('server', 'client'):
        half(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        sys.exit(main())
