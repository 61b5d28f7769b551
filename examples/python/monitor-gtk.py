#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A window that shows who is connected to an echo server, and how much they say.

    monitor-gtk.py [--quit-after-clients N] ADDRESS

The list is bound to the server's `connections`, the labels to the properties of the server and of each
connection: no code keeps them up to date. With --quit-after-clients the program ends when N clients have come
and gone; every text that the window shows is then printed when it changes.
"""

import argparse
import sys

import gi
gi.require_version('Gtk', '4.0')
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, GObject, Gtk, Ipc  # noqa: E402

SYNC = GObject.BindingFlags.SYNC_CREATE


def bound_label(source, name, text):
    label = Gtk.Label(xalign=0, width_chars=13)
    source.bind_property(name, label, 'label', SYNC, lambda binding, value: text % value)
    return label


class Window(Gtk.ApplicationWindow):
    def __init__(self, server, **properties):
        super().__init__(title=server.address, default_width=600, default_height=320, **properties)
        self.summary = bound_label(server, 'n-clients', 'clients: %d')
        self.list = Gtk.ListBox(selection_mode=Gtk.SelectionMode.NONE, vexpand=True)
        self.list.set_placeholder(Gtk.Label(label='Nobody is connected'))
        self.list.bind_model(server.connections, self.make_row)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12)
        for side in 'start', 'end', 'top', 'bottom':
            getattr(box, 'set_margin_' + side)(12)
        box.append(self.summary)
        box.append(Gtk.ScrolledWindow(child=self.list))
        self.set_child(box)

    def make_row(self, connection):
        row = Gtk.Box(spacing=12)
        row.append(bound_label(connection, 'id', 'client %d'))
        row.append(bound_label(connection, 'messages-received', '%d received'))
        row.append(bound_label(connection, 'messages-sent', '%d sent'))
        row.append(bound_label(connection, 'queued-bytes', '%d bytes queued'))
        return row


class Monitor(Gtk.Application):
    def __init__(self, address, quit_after_clients):
        super().__init__()
        self.left = quit_after_clients
        self.server = Ipc.SocketServer(address)
        self.server.add_handler('echo', lambda server, connection, request: Ipc.Message(
            'echo_response', request.payload, format=request.format))

    def do_activate(self):
        self.window = Window(self.server, application=self)
        if self.left is not None:
            self.print_changes()
            self.server.connect('client-disconnected', self.count_down)
        self.window.present()
        self.server.start()
        print('listening on', self.server.address, file=sys.stderr, flush=True)

    def do_shutdown(self):
        self.server.stop()
        Gtk.Application.do_shutdown(self)

    def count_down(self, *_):
        self.left -= 1
        if self.left == 0:
            # not at once: the window shall show that the last one has gone
            GLib.idle_add(self.quit)

    def print_changes(self):
        def print_label(label, _):
            print(label.get_label(), flush=True)

        def watch_row(model, position, removed, added):
            for i in range(position, position + added):
                label = self.window.list.get_row_at_index(i).get_child().get_first_child()
                while label is not None:
                    print_label(label, None)
                    label.connect('notify::label', print_label)
                    label = label.get_next_sibling()
        self.window.summary.connect('notify::label', print_label)
        self.server.connections.connect_after('items-changed', watch_row)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('address', metavar='ADDRESS')
    parser.add_argument('--quit-after-clients', type=int, metavar='N')
    options = parser.parse_args()
    if not Gtk.init_check():
        print('monitor-gtk.py: there is no display', file=sys.stderr)
        return 77
    return Monitor(options.address, options.quit_after_clients).run()


if __name__ == '__main__':
    sys.exit(main())
