# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers and clients in processes of their own; the blocking calls."""

import asyncio

from case import Case, Gio, GLib, Ipc, awaited, signalled
import tap


class TestProcesses(Case):
    def open_peer(self):
        self.peer = self.start_peer('serve', self.address)
        client = Ipc.SocketClient(self.address)
        self.addCleanup(client.close)
        return client

    def assert_raises(self, code, call, *args):
        with self.assertRaises(GLib.Error) as caught:
            call(*args)
        self.assert_error(caught.exception, code)

    def test_blocking(self):
        with self.open_peer() as client:
            for payload in (b'x' * 1048576, 'grüß dich', {'a': [1]}, GLib.Variant('(si)', ('x', 1)), None):
                sent = Ipc.Message('echo', payload, {'lang': 'de'})
                got = client.request(sent)
                self.assertEqual((got.message_type, got.format, got.payload, got.headers),
                                 ('echo_response', sent.format, sent.payload, {'lang': 'de'}))
            self.assertEqual(client.connection.request(Ipc.Message('echo', 'x')).text, 'x')
            self.assertEqual(client.request(Ipc.Message('echo', 'x'), timeout=20000, cancellable=None).text, 'x')
            self.assertTrue(client.send(Ipc.Message('echo', 'nobody listens')))
            self.assertTrue(client.connection.flush())
        self.assertEqual(self.peer.end(), 0)

    def test_blocking_errors(self):
        client = self.open_peer()
        self.assert_raises(Ipc.Error.NOT_CONNECTED, client.request, Ipc.Message('echo'))
        with client:
            self.assert_raises(Ipc.Error.UNKNOWN_TYPE, client.request, Ipc.Message('nonsense'))
            self.assert_raises(Ipc.Error.TIMED_OUT, client.request, Ipc.Message('keep'), 20)
            with self.assertRaises(TypeError):
                client.request(Ipc.Message('keep'), 1.5)
            cancellable = Gio.Cancellable()
            cancellable.cancel()
            with self.assertRaises(GLib.Error) as caught:
                client.request(Ipc.Message('keep'), -1, cancellable)
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
            self.assertEqual(client.request(Ipc.Message('echo', 'well')).text, 'well')
        self.assert_raises(Ipc.Error.NOT_CONNECTED, client.request, Ipc.Message('echo'))

    def test_opened_again_without_a_main_loop(self):
        client = self.open_peer()
        for i in range(3):
            with client:
                self.assertEqual(client.state, Ipc.ClientState.OPEN)
                self.assertEqual(client.request(Ipc.Message('echo', str(i))).text, str(i))
            self.assertEqual(client.state, Ipc.ClientState.CLOSED)

    @awaited
    async def test_awaited(self):
        async with self.open_peer() as client:
            replies = await asyncio.gather(*[client.request_async(Ipc.Message('echo', {'i': i})) for i in range(100)])
            self.assertEqual([reply.json['i'] for reply in replies], list(range(100)))

    @awaited
    async def test_broadcast_between_processes(self):
        async with self.open_peer() as first, Ipc.SocketClient(self.address) as second:
            news = [signalled(client, 'message-received::news') for client in (first, second)]
            reply = await first.request_async(Ipc.Message('to-all', 'extra'))
            self.assertEqual(reply.json, {'queued': 2, 'dropped': 0})
            self.assertEqual([message.text for (message,) in await asyncio.gather(*news)], ['extra', 'extra'])

    @awaited
    async def test_a_killed_server(self):
        async with self.open_peer() as client:
            closed = signalled(client, 'closed')
            pending = client.request_async(Ipc.Message('keep'), -1)
            await client.request_async(Ipc.Message('echo'))      # so that `keep` has arrived
            self.peer.kill()
            await self.assert_refused(pending, Ipc.Error.UNCERTAIN)
            await closed
            self.assertEqual(client.state, Ipc.ClientState.CLOSED)
            await self.assert_refused(client.request_async(Ipc.Message('echo')), Ipc.Error.NOT_CONNECTED)
            self.start_peer('serve', self.address)      # the stale socket is no hindrance
            await client.open_async()
            self.assertEqual((await client.request_async(Ipc.Message('echo', 'again'))).text, 'again')

    @awaited
    async def test_clients_come_and_go(self):
        server = self.start_server(echo=lambda server, connection, request: request.payload.decode())
        all_here = asyncio.get_running_loop().create_future()
        server.connect('client-connected',
                       lambda *_: server.n_clients == 3 and not all_here.done() and all_here.set_result(None))
        peers = [await asyncio.to_thread(self.start_peer, 'call', self.address, '200') for _ in range(3)]
        await all_here
        for peer in peers:
            self.assertEqual(await asyncio.to_thread(peer.read_line), 'done 200')
        gone = signalled(server, 'client-disconnected')
        peers[0].kill()
        await gone
        self.assertEqual(server.n_clients, 2)
        for peer in peers[1:]:
            gone = signalled(server, 'client-disconnected')
            self.assertEqual(await asyncio.to_thread(peer.end), 0)
            await gone
        self.assertEqual(server.n_clients, 0)


if __name__ == '__main__':
    tap.main()
