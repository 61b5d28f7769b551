#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sends a million messages through the JavaScript binding and watches its memory.
//
//     gjs -m leak.js [MESSAGES]
//
// Server and client are in this one process, on one main loop. Messages go in
// bursts: events to a handler, events to a signal, requests. The resident memory
// after the first tenth, when everything has its size, is compared with that at
// the end. Exit status 1 if it grew.
//
// The collector knows nothing of the memory behind a wrapper, and GJS before 1.82
// does not call handlers while it sweeps: hence System.gc() between the bursts.
import GLib from 'gi://GLib';
import Gio from 'gi://Gio';
import Ipc from 'gi://Ipc?version=1.0';
import System from 'system';

const BURST = 1000;
const GC_INTERVAL = 10000;
const MAX_GROWTH_MIB = 4;
const STALL_SECONDS = 60;
const KINDS = ['handled', 'signalled', 'asked'];

function residentMib() {
  const [, contents] = GLib.file_get_contents('/proc/self/status');
  const [, kib] = /VmRSS:\s*(\d+) kB/.exec(new TextDecoder().decode(contents));
  return Number(kib) / 1024;
}

class Leak {
  constructor(directory, nMessages) {
    const address = GLib.build_filenamev([directory, 'socket']);

    this._loop = new GLib.MainLoop(null, false);
    this._nMessages = nMessages;
    this._nArrived = 0;
    this._nBursts = 0;
    this._left = 0;
    this.first = null;
    this.last = null;
    this.error = null;
    this._server = this._makeServer(address);
    this._client = Ipc.SocketClient.new(address);
  }

  _makeServer(address) {
    const server = Ipc.SocketServer.new(address);

    server.add_handler('handled', (_server, _connection, message) => {
      this._arrived(message.get_text());
      return null;
    });
    server.add_handler('asked', (_server, _connection, message) =>
      Ipc.Message.new_text('answered', message.get_text()));
    server.connect('message-received::signalled', (_server, _connection, message) => {
      this._arrived(message.get_text());
    });
    server.start();
    return server;
  }

  run() {
    let seen = 0;
    const stall = GLib.timeout_add_seconds(GLib.PRIORITY_DEFAULT, STALL_SECONDS, () => {
      if (seen === this._nArrived)
        this._fail(`nothing came in ${STALL_SECONDS} s, after ${seen} messages`);
      seen = this._nArrived;
      return GLib.SOURCE_CONTINUE;
    });

    this._client.open_async(null, (client, result) => {
      try {
        client.open_finish(result);
        this._startBurst();
      } catch (error) {
        this._fail(error.message);
      }
    });
    this._loop.run();
    GLib.source_remove(stall);
    this._client.close();
    this._server.stop();
  }

  _fail(error) {
    this.error = error;
    this._loop.quit();
  }

  _startBurst() {
    const kind = KINDS[this._nBursts++ % KINDS.length];

    this._left = BURST;
    for (let i = 0; i < BURST; i++) {
      const message = Ipc.Message.new_text(kind, `message ${i} of burst ${this._nBursts}`);
      if (kind === 'asked')
        this._client.request_async(message, Ipc.TIMEOUT_DEFAULT, null,
          (client, result) => this._onReply(client, result));
      else
        this._client.send(message);
    }
  }

  _onReply(client, result) {
    try {
      this._arrived(client.request_finish(result).get_text());
    } catch (error) {
      if (this.last === null)
        this._fail(error.message);
    }
  }

  _arrived(text) {
    if (!text.endsWith(`of burst ${this._nBursts}`))
      this._fail(`“${text}” came in burst ${this._nBursts}`);
    this._nArrived++;
    if (this._nArrived % GC_INTERVAL === 0)
      System.gc();
    if (this._nArrived === Math.floor(this._nMessages / 10))
      this.first = residentMib();
    if (this._nArrived === this._nMessages) {
      this.last = residentMib();
      this._loop.quit();
      return;
    }
    if (--this._left === 0)
      this._startBurst();
  }
}

function removeDirectory(directory) {
  const file = Gio.File.new_for_path(directory);
  const children = file.enumerate_children('standard::name', Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, null);

  for (let info = children.next_file(null); info !== null; info = children.next_file(null))
    children.get_child(info).delete(null);
  children.close(null);
  file.delete(null);
}

function main(args) {
  const nMessages = args.length > 0 ? Number(args[0]) : 1000000;
  const directory = GLib.dir_make_tmp('ipc-leak-XXXXXX');
  let leak;

  try {
    leak = new Leak(directory, nMessages);
    leak.run();
  } finally {
    removeDirectory(directory);
  }
  if (leak.error !== null) {
    printerr(`leak.js: ${leak.error}`);
    return 1;
  }
  const good = leak.last - leak.first < MAX_GROWTH_MIB;
  print(`JavaScript, ${nMessages} messages: ${leak.first.toFixed(1)} MiB, then ${leak.last.toFixed(1)} MiB: ` +
        `${good ? 'pass' : 'FAIL'}`);
  return good ? 0 : 1;
}

System.exit(main(ARGV));
