# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers, clients and connections as Python objects."""

import asyncio
import gc
import os
import stat
import weakref

from case import Case, Gio, GLib, GObject, Ipc, awaited, open_fds, signalled
import tap


class TestObjects(Case):
    def test_construction(self):
        server = Ipc.SocketServer(self.address, max_clients=3, mode=0o660)
        self.assertEqual((server.address, server.max_clients, server.mode), (self.address, 3, 0o660))
        server = Ipc.SocketServer(address=self.address)
        self.assertEqual(server.address, self.address)
        self.assertEqual(Ipc.SocketServer.new(self.address).address, self.address)
        client = Ipc.SocketClient(self.address, wait_for_server=True)
        self.assertEqual((client.address, client.wait_for_server), (self.address, True))
        self.assertIsInstance(server, Ipc.Server)
        self.assertIsInstance(client, Ipc.Client)

    def test_truth(self):
        server, client = Ipc.SocketServer(self.address), Ipc.SocketClient(self.address)
        self.assertTrue(server)
        self.assertTrue(client)
        with server:
            self.assertEqual(len(server.connections), 0)
            self.assertTrue(server)

    def test_properties(self):
        server = Ipc.SocketServer(self.address)
        seen = []
        server.connect('notify::max-message-size', lambda *_: seen.append(server.max_message_size))
        server.max_message_size = 70000
        self.assertEqual((server.max_message_size, server.get_max_message_size(), server.props.max_message_size, seen),
                         (70000, 70000, 70000, [70000]))
        with self.assertRaises(AttributeError):
            server.n_clients = 5
        with self.assertRaises(AttributeError):
            server.address = 'other'
        self.assertIsInstance(server.connections, Gio.ListModel)

    @awaited
    async def test_context_managers(self):
        server = Ipc.SocketServer(self.address)
        with server as same:
            self.assertIs(same, server)
            self.assertTrue(server.is_running)
            self.assertTrue(stat.S_ISSOCK(os.stat(self.address).st_mode))
            async with Ipc.SocketClient(self.address) as client:
                self.assertEqual(client.state, Ipc.ClientState.OPEN)
            self.assertEqual(client.state, Ipc.ClientState.CLOSED)
        self.assertFalse(server.is_running)
        self.assertFalse(os.path.exists(self.address))
        async with server:
            self.assertTrue(server.is_running)
        self.assertFalse(server.is_running)
        with self.assertRaises(LookupError), server:
            raise LookupError
        self.assertFalse(server.is_running)

    def test_context_manager_that_cannot_start(self):
        with Ipc.SocketServer(self.address) as server:
            with self.assertRaises(GLib.Error) as caught, Ipc.SocketServer(self.address):
                pass
            self.assert_error(caught.exception, Ipc.Error.ADDRESS_IN_USE, 'server')
            with self.assertRaises(GLib.Error) as caught:
                server.start()
            self.assert_error(caught.exception, Ipc.Error.ALREADY)

    def test_bad_addresses(self):
        for address in ('', '.hidden', 'a/b', 'x' * 65, 'a b'):
            with self.subTest(address):
                with self.assertRaises(GLib.Error) as caught:
                    Ipc.SocketServer(address).start()
                self.assert_error(caught.exception, Ipc.Error.INVALID_NAME)

    @awaited
    async def test_a_name_in_the_scope(self):
        with Ipc.SocketServer('by-name') as server:
            async with Ipc.SocketClient('by-name'):
                self.assertEqual(server.n_clients, 1)
            self.assertTrue(os.path.exists(os.path.join(os.environ['IPC_GLIB_DIR'], 'socket', 'by-name')))
            self.assertEqual(server.scope.get_directory(), os.environ['IPC_GLIB_DIR'])

    @awaited
    async def test_connections(self):
        server = self.start_server()
        changes = []
        server.connections.connect('items-changed', lambda model, *change: changes.append(change))
        clients = [await self.open_client() for _ in range(3)]
        while server.n_clients < 3:
            await asyncio.sleep(0)
        self.assertEqual(len(server.connections), 3)
        self.assertEqual(changes, [(0, 0, 1), (1, 0, 1), (2, 0, 1)])
        connections = list(server.connections)
        self.assertTrue(all(isinstance(connection, Ipc.Connection) for connection in connections))
        self.assertEqual(len({connection.id for connection in server.connections}), 3)
        self.assertIs(server.connections[-1], connections[2])
        self.assertIn(connections[1], server.connections)
        gone = signalled(server, 'client-disconnected')
        clients[1].close()
        self.assertIs((await gone)[0], connections[1])
        self.assertEqual(list(server.connections), [connections[0], connections[2]])
        self.assertIsNone(server.get_client(connections[1].id))

    @awaited
    async def test_bound_statistics(self):
        class Label(GObject.Object):
            text = GObject.Property(type=str, default='')
            number = GObject.Property(type=int, default=-1)
        server, label = self.start_server(ask=lambda *_: 'ok'), Label()
        server.bind_property('n-clients', label, 'number', GObject.BindingFlags.SYNC_CREATE)
        self.assertEqual(label.number, 0)
        client = await self.open_client()
        await client.request_async(Ipc.Message('ask'))
        self.assertEqual(label.number, 1)
        server.connections[0].bind_property('messages-received', label, 'text', GObject.BindingFlags.SYNC_CREATE,
                                            lambda binding, value: 'received %d' % value)
        changed = signalled(label, 'notify::text')
        before = server.connections[0].messages_received
        await client.request_async(Ipc.Message('ask'))
        await changed
        self.assertEqual(label.text, 'received %d' % (before + 1))
        self.assertEqual(server.connections[0].messages_sent, client.connection.messages_received)

    @awaited
    async def test_what_a_connection_tells(self):
        server, client = await self.start_both(ask=lambda *_: 'ok')
        await client.request_async(Ipc.Message('ask'))
        connection = server.connections[0]
        self.assertTrue(connection.is_open)
        self.assertEqual(connection.wire_format, Ipc.WireFormat.BINARY)
        self.assertEqual(connection.transport, Ipc.Transport.STREAM)
        self.assertEqual(connection.credentials.get_unix_user(), os.getuid())
        self.assertLessEqual(connection.last_activity, GLib.get_real_time())
        self.assertGreater(connection.id, 0)
        await connection.flush_async()
        self.assertEqual(connection.queued_bytes, 0)

    @awaited
    async def test_broadcast(self):
        server = self.start_server()
        self.assertEqual(tuple(server.broadcast(Ipc.Message('news'))), (0, 0))
        clients = [await self.open_client() for _ in range(4)]
        while server.n_clients < 4:
            await asyncio.sleep(0)
        news = [signalled(client, 'message-received::news') for client in clients]
        queued, dropped = server.broadcast(Ipc.Message('news', {'n': 1}, {'from': 'me'}))
        self.assertEqual((queued, dropped), (4, 0))
        for (message,) in await asyncio.gather(*news):
            self.assertEqual((message.json, message.headers), ({'n': 1}, {'from': 'me'}))

    @awaited
    async def test_send_to(self):
        server, client = await self.start_both()
        while not server.n_clients:
            await asyncio.sleep(0)
        private = signalled(client, 'message-received')
        server.send_to(server.connections[0].id, Ipc.Message('private', 'x'))
        self.assertEqual((await private)[0].text, 'x')
        with self.assertRaises(GLib.Error) as caught:
            server.send_to(999999, Ipc.Message('private', 'x'))
        self.assert_error(caught.exception, Ipc.Error.NOT_FOUND, '999999')

    @awaited
    async def test_state_is_notified(self):
        self.start_server()
        client = Ipc.SocketClient(self.address)
        seen = []
        client.connect('notify::state', lambda *_: client.state in seen[-1:] or seen.append(client.state))
        async with client:
            self.assertEqual(seen, [Ipc.ClientState.OPENING, Ipc.ClientState.OPEN])
        while len(seen) < 3:
            await asyncio.sleep(0)
        self.assertEqual(seen[2:], [Ipc.ClientState.CLOSED])

    @awaited
    async def test_wait_for_server(self):
        client = Ipc.SocketClient(self.address, wait_for_server=True)
        opening = client.open_async()
        while client.state != Ipc.ClientState.WAITING:
            await asyncio.sleep(0)
        self.start_server()
        await opening
        self.assertEqual(client.state, Ipc.ClientState.OPEN)
        client.close()

    @awaited
    async def test_waiting_can_be_cancelled(self):
        client = Ipc.SocketClient(self.address, wait_for_server=True)
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(client.open_async(), 0.02)
        while client.state != Ipc.ClientState.CLOSED:
            await asyncio.sleep(0)

    @awaited
    async def test_nothing_is_left(self):
        async def once():
            server = Ipc.SocketServer(self.address)
            server.add_handler('ask', lambda *_: 'ok')
            client = Ipc.SocketClient(self.address)
            server.start()
            await client.open_async()
            await client.request_async(Ipc.Message('ask'))
            gone = signalled(server, 'client-disconnected')
            client.close()
            await gone
            await server.stop_async()
            return weakref.ref(server), weakref.ref(client)
        await once()
        before = open_fds()
        for server, client in [await once() for _ in range(5)]:
            self.assertIsNone(server())
            self.assertIsNone(client())
        self.assertEqual(open_fds(), before)
        gc.collect()


if __name__ == '__main__':
    tap.main()
