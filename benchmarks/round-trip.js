#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The halves of round-trip.py in JavaScript:
//
//     gjs -m round-trip.js server|client ipc|dbus PATH SECONDS
import GLib from 'gi://GLib';
import Gio from 'gi://Gio';
import Ipc from 'gi://Ipc?version=1.0';

const TEXT = 'x'.repeat(64);
const INTERFACE = `
<node><interface name='org.example.Echo'>
  <method name='Echo'><arg type='s' direction='in'/><arg type='s' direction='out'/></method>
</interface></node>`;

const kept = [];

function serveIpc(path) {
  const server = Ipc.SocketServer.new(path);
  server.add_handler('echo', (_server, _connection, request) => Ipc.Message.new_text('echo', request.get_text()));
  server.start();
  kept.push(server);
}

function serveDBus(path) {
  const server = Gio.DBusServer.new_sync(`unix:path=${path}`, Gio.DBusServerFlags.NONE, Gio.dbus_generate_guid(), null, null);
  server.connect('new-connection', (_server, connection) => {
    const echo = Gio.DBusExportedObject.wrapJSObject(INTERFACE, { Echo: text => text });
    echo.export(connection, '/');
    kept.push(connection, echo);
    return true;
  });
  server.start();
  kept.push(server);
}

function ipcCall(path) {
  const client = Ipc.SocketClient.new(path);
  client.open(null);
  return () => {
    const reply = client.request(Ipc.Message.new_text('echo', TEXT), Ipc.TIMEOUT_DEFAULT, null);
    if (reply.get_text() !== TEXT)
      throw new Error('wrong echo');
  };
}

function dbusCall(path) {
  const connection = Gio.DBusConnection.new_for_address_sync(`unix:path=${path}`,
    Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT, null, null);
  const type = new GLib.VariantType('(s)');
  return () => {
    const reply = connection.call_sync(null, '/', 'org.example.Echo', 'Echo', new GLib.Variant('(s)', [TEXT]), type,
      Gio.DBusCallFlags.NONE, -1, null);
    if (reply.get_child_value(0).get_string()[0] !== TEXT)
      throw new Error('wrong echo');
  };
}

function ask(call, seconds) {
  for (let i = 0; i < 200; i++)
    call();
  const start = GLib.get_monotonic_time();
  let n = 0, now;
  do {
    for (let i = 0; i < 50; i++)
      call();
    n += 50;
    now = GLib.get_monotonic_time();
  } while (now < start + seconds * 1e6);
  print(n * 1e6 / (now - start));
}

const [role, kind, path, seconds] = ARGV;

if (role === 'server') {
  (kind === 'ipc' ? serveIpc : serveDBus)(path);
  print('up');
  new GLib.MainLoop(null, false).run();
} else {
  ask((kind === 'ipc' ? ipcCall : dbusCall)(path), Number(seconds));
}
