# SPDX-License-Identifier: LGPL-2.1-or-later
"""Handlers and signals in Python: coroutines, exceptions, what may be kept, who is let in."""

import asyncio
import gc
import weakref

from case import Case, Gio, GLib, Ipc, awaited, signalled
import tap


def fixed(text):
    return lambda server, connection, request: text


class TestHandlers(Case):
    @awaited
    async def test_arguments(self):
        server = self.start_server()
        seen = []
        server.add_handler('t', lambda *args: seen.append(args) or 'ok', 'some', 'data')
        client = await self.open_client()
        await client.request_async(Ipc.Message('t', 'x'))
        self.assertIs(seen[0][0], server)
        self.assertIs(seen[0][1], server.connections[0])
        self.assertIsInstance(seen[0][2], Ipc.Message)
        self.assertEqual(seen[0][3:], ('some', 'data'))

    @awaited
    async def test_coroutine(self):
        async def slow(server, connection, request):
            await asyncio.sleep(0.001)
            return {'slow': request.text}

        async def refuse(server, connection, request):
            await asyncio.sleep(0)
            raise Ipc.new_error(Ipc.Error.FULL, 'no room')

        async def broken(server, connection, request):
            await asyncio.sleep(0)
            raise ValueError('bad luck')

        async def cancelled(server, connection, request):
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

        async def nothing(server, connection, request):
            await asyncio.sleep(0)
        _, client = await self.start_both(slow=slow, refuse=refuse, broken=broken, cancelled=cancelled, nothing=nothing)
        replies = await asyncio.gather(*[client.request_async(Ipc.Message('slow', str(i))) for i in range(10)])
        self.assertEqual([reply.json for reply in replies], [{'slow': str(i)} for i in range(10)])
        await self.assert_refused(client.request_async(Ipc.Message('refuse')), Ipc.Error.FULL, 'no room')
        with self.assertLogs('ipc-glib', 'ERROR'):
            await self.assert_refused(client.request_async(Ipc.Message('broken')), Ipc.Error.REMOTE,
                                      'ValueError: bad luck')
        with self.assertRaises(GLib.Error) as caught:
            await client.request_async(Ipc.Message('cancelled'))
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        await self.assert_refused(client.request_async(Ipc.Message('nothing')), Ipc.Error.REMOTE, 'without an answer')

    @awaited
    async def test_other_awaitables(self):
        def ask_back(server, connection, request):
            return connection.request_async(Ipc.Message('name'))      # a future
        self.start_server(ask=ask_back)
        client = await self.open_client(name=fixed('Otto'))
        self.assertEqual((await client.request_async(Ipc.Message('ask'))).text, 'Otto')

    def test_coroutine_without_a_loop(self):
        async def handler(server, connection, request):
            return 'never'
        self.start_server(t=handler)
        client = Ipc.SocketClient(self.address)
        results = []
        context = GLib.MainContext.default()

        def opened(source, result):
            source.open_finish(result)
            source.request_async(Ipc.Message('t'), callback=answered)

        def answered(source, result):
            try:
                results.append(source.request_finish(result))
            except GLib.Error as error:
                results.append(error)
        client.open_async(callback=opened)
        with self.assertLogs('ipc-glib', 'ERROR'):
            while not results:
                context.iteration(True)
        self.assert_error(results[0], Ipc.Error.REMOTE, 'Ipc.run()')
        client.close()

    @awaited
    async def test_messages_without_an_answer(self):
        seen = []

        async def coroutine(server, connection, request):
            seen.append(request.text)
            return 'ignored'

        def broken(server, connection, request):
            raise ValueError('ignored as well')
        _, client = await self.start_both(news=lambda *call: seen.append(call[2].text) or 'ignored', news2=coroutine,
                                          broken=broken, sync=fixed('ok'))
        with self.assertLogs('ipc-glib', 'ERROR'):
            for message_type in ('news', 'news2', 'broken'):
                await client.send_async(Ipc.Message(message_type, 'x'))
            await client.request_async(Ipc.Message('sync'))
        while len(seen) < 2:
            await asyncio.sleep(0)
        self.assertEqual(seen, ['x', 'x'])
        self.assertEqual((await client.request_async(Ipc.Message('sync'))).text, 'ok')

    @awaited
    async def test_added_removed_replaced(self):
        server, client = await self.start_both(t=fixed('first'))

        async def ask(message_type='t'):
            return (await client.request_async(Ipc.Message(message_type))).text
        self.assertEqual(await ask(), 'first')
        server.add_handler('t', fixed('second'))
        self.assertEqual(await ask(), 'second')
        self.assertTrue(server.remove_handler('t'))
        self.assertFalse(server.remove_handler('t'))
        await self.assert_refused(ask(), Ipc.Error.UNKNOWN_TYPE)
        server.add_handler(None, fixed('any'))
        self.assertEqual([await ask(), await ask('other')], ['any', 'any'])
        server.add_handler('t', fixed('third'))
        self.assertEqual([await ask(), await ask('other')], ['third', 'any'])
        self.assertTrue(server.remove_handler(None))
        await self.assert_refused(ask('other'), Ipc.Error.UNKNOWN_TYPE)

    @awaited
    async def test_a_removed_handler_is_freed(self):
        class Handler:
            def __call__(self, server, connection, request):
                server.remove_handler('t')      # while it runs
                return 'last words'
        handler = Handler()
        freed = weakref.ref(handler)
        _, client = await self.start_both(t=handler)
        del handler
        self.assertEqual((await client.request_async(Ipc.Message('t'))).text, 'last words')
        gc.collect()
        self.assertIsNone(freed())

    @awaited
    async def test_kept_messages_stay_valid(self):
        kept = []

        def keep(server, connection, request):
            kept.append((request, request.get_payload()))
            return 'ok'
        server, client = await self.start_both(keep=keep)
        server.connect('message-received::signal', lambda server, connection, message: kept.append((message, None)))
        for i in range(500):
            await client.request_async(Ipc.Message('keep', b'%d' % i * 1000, {'i': str(i)}))
            await client.send_async(Ipc.Message('signal', b'%d' % i * 1000, {'i': str(i)}))
        await client.request_async(Ipc.Message('keep'))
        gc.collect()
        self.assertEqual(len(kept), 1001)
        for i, (message, payload) in enumerate(kept[:1000]):
            want = b'%d' % (i // 2) * 1000
            self.assertEqual(message.payload, want)
            self.assertEqual(message.headers, {'i': str(i // 2)})
            self.assertEqual(message.message_type, ('keep', 'signal')[i % 2])
            if payload is not None:
                self.assertEqual(payload.get_data(), want)

    @awaited
    async def test_a_handler_may_close(self):
        _, client = await self.start_both(bye=lambda server, connection, request: connection.close())
        closed = signalled(client, 'closed')
        await self.assert_refused(client.request_async(Ipc.Message('bye')), Ipc.Error.UNCERTAIN)
        await closed

    @awaited
    async def test_a_handler_may_stop_the_server(self):
        _, client = await self.start_both(stop=lambda server, connection, request: server.stop())
        closed = signalled(client, 'closed')
        with self.assertRaises(GLib.Error):
            await client.request_async(Ipc.Message('stop'))
        await closed


class TestSignals(Case):
    @awaited
    async def test_detail(self):
        server, client = await self.start_both(sync=fixed('ok'))
        seen = []
        for signal in ('message-received::ping', 'message-received::org.example.Pong', 'message-received'):
            server.connect(signal, lambda server, connection, message, name: seen.append((name, message.text)), signal)
        for message_type in ('ping', 'org.example.Pong', 'other'):
            client.send(Ipc.Message(message_type, message_type))
        await client.request_async(Ipc.Message('sync'))
        self.assertEqual([text for name, text in seen if name == 'message-received::ping'], ['ping'])
        self.assertEqual([text for name, text in seen if name.endswith('Pong')], ['org.example.Pong'])
        self.assertEqual([text for name, text in seen if name == 'message-received' and text],
                         ['ping', 'org.example.Pong', 'other'])

    @awaited
    async def test_detail_on_a_client(self):
        server, client = await self.start_both()
        news = signalled(client, 'message-received::news')
        self.assertEqual(server.broadcast(Ipc.Message('news', 'extra')), (1, 0))
        self.assertEqual((await news)[0].text, 'extra')
        news = signalled(client.connection, 'message-received')
        server.send_to(server.connections[0].id, Ipc.Message('more', 'to you'))
        self.assertEqual((await news)[0].text, 'to you')

    @awaited
    async def test_connected_and_disconnected(self):
        server = self.start_server()
        connected, disconnected = signalled(server, 'client-connected'), signalled(server, 'client-disconnected')
        client = await self.open_client()
        (connection,) = await connected
        self.assertIs(server.get_client(connection.id), connection)
        client.close()
        gone, error = await disconnected
        self.assertIs(gone, connection)
        self.assertIsNone(error)
        self.assertFalse(connection.is_open)

    @awaited
    async def test_closed(self):
        server, client = await self.start_both()
        closed, connection_closed = signalled(client, 'closed'), signalled(client.connection, 'closed')
        server.stop()
        await asyncio.gather(closed, connection_closed)
        self.assertEqual(client.state, Ipc.ClientState.CLOSED)

    async def admitted(self, *handlers):
        server = self.start_server()
        for handler in handlers:
            server.connect('authorize-client', handler)
        client = Ipc.SocketClient(self.address)
        try:
            await client.open_async()
            return True
        except GLib.Error as error:
            self.assert_error(error, Ipc.Error.PERMISSION_DENIED)
            return False
        finally:
            client.close()
            server.stop()

    @awaited
    async def test_authorize(self):
        async def coroutine(server, connection):
            return Ipc.Authorization.GRANTED

        def broken(server, connection):
            raise ValueError('who is that?')
        self.assertTrue(await self.admitted(lambda *_: Ipc.Authorization.GRANTED))
        self.assertTrue(await self.admitted(lambda *_: None, lambda *_: Ipc.Authorization.GRANTED))
        self.assertFalse(await self.admitted(lambda *_: Ipc.Authorization.DENIED, lambda *_: Ipc.Authorization.GRANTED))
        for name, handler in (('undecided', lambda *_: Ipc.Authorization.UNDECIDED), ('nothing', lambda *_: None),
                              ('true', lambda *_: True), ('false', lambda *_: False), ('text', lambda *_: 'yes'),
                              ('dict', lambda *_: {}), ('number', lambda *_: 77),
                              ('coroutine', lambda *call: self.closed_later(coroutine(*call))), ('exception', broken)):
            with self.subTest(name):
                self.assertFalse(await self.admitted(handler))

    def closed_later(self, coroutine):
        self.addCleanup(coroutine.close)      # it is never awaited, on purpose
        return coroutine

    @awaited
    async def test_authorize_by_credentials(self):
        seen = []

        def same_user(server, connection):
            credentials = connection.get_credentials()
            seen.append(credentials.get_unix_user())
            return Ipc.Authorization.GRANTED
        self.assertTrue(await self.admitted(same_user))
        import os
        self.assertEqual(seen, [os.getuid()])


if __name__ == '__main__':
    tap.main()
