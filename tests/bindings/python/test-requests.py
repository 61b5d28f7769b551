# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests and replies within one process: formats, errors, timeouts, cancellation."""

import asyncio
import os
import tempfile

from case import Case, Gio, GLib, Ipc, awaited, open_fds, signalled
import tap

FORMATS = Ipc.PayloadFormat


def mirror(server, connection, request):
    return Ipc.Message('mirrored', request.payload, request.headers, format=request.format)


class TestRequests(Case):
    @awaited
    async def test_every_format(self):
        _, client = await self.start_both(mirror=mirror)
        for payload in (None, b'', bytes(range(256)), b'x' * 1048576, '', 'grüß dich', 'x' * 100000,
                        {'a': [1, {'b': None}], 'text': 'ü'}, [],
                        GLib.Variant('(sv)', ('x', GLib.Variant('as', ['y'])))):
            with self.subTest(repr(payload)[:40]):
                sent = Ipc.Message('mirror', payload)
                got = await client.request_async(sent)
                self.assertEqual(got.message_type, 'mirrored')
                self.assertEqual(got.format, sent.format)
                self.assertEqual(got.payload, sent.payload)
                self.assertEqual(got.text, sent.text)
                self.assertEqual(got.json, sent.json)
                if sent.variant is not None:
                    self.assertTrue(got.variant.equal(sent.variant))

    @awaited
    async def test_headers(self):
        _, client = await self.start_both(mirror=mirror)
        headers = {'lang': 'de', 'empty': '', 'ключ': 'значение'}
        got = await client.request_async(Ipc.Message('mirror', b'x', headers))
        self.assertEqual(got.headers, headers)
        self.assertEqual(got.get_header('lang'), 'de')

    @awaited
    async def test_descriptors(self):
        def swap(server, connection, request):
            return Ipc.Message('swapped', fd_list=reversed(request.fd_list.peek_fds()))

        server = Ipc.SocketServer(self.address, max_fds=2)
        server.add_handler('swap', swap)
        server.start()
        self.addCleanup(server.stop)
        client = await self.open_client()
        before = open_fds()
        with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as other:
            one.write(b'one')
            one.flush()
            for files in ([one, other], [one.fileno(), other.fileno()],
                          Gio.UnixFDList.new_from_array([os.dup(one.fileno()), os.dup(other.fileno())])):
                reply = await client.request_async(Ipc.Message('swap', fd_list=files))
                self.assertEqual(os.fstat(reply.fd_list.peek_fds()[0]).st_ino, os.fstat(other.fileno()).st_ino)
                with open(reply.fd_list.get(1), 'rb') as same:
                    self.assertEqual(os.pread(same.fileno(), 10, 0), b'one')
            del files
            with self.assertRaises(GLib.Error) as caught:
                await client.request_async(Ipc.Message('swap', fd_list=[one, one, one]))
            self.assert_error(caught.exception, Ipc.Error.LIMIT_EXCEEDED)
            for i in range(300):
                await client.request_async(Ipc.Message('swap', fd_list=[one, other]))
        del reply, caught
        # Python may still have the last message or two.
        self.assertLessEqual(open_fds(), before + 4)

    @awaited
    async def test_what_handlers_return(self):
        for result, field in (('text', 'text'), (b'bytes', 'payload'), (bytearray(b'bytes'), 'payload'),
                              ({'k': [1]}, 'json'), ([1, 2], 'json')):
            with self.subTest(result):
                server = self.start_server(ask=lambda server, connection, request: result)
                client = await self.open_client()
                reply = await client.request_async(Ipc.Message('ask'))
                self.assertEqual(getattr(reply, field), result)
                self.assertEqual(reply.message_type, 'ask')
                client.close()
                server.stop()

    @awaited
    async def test_pipelined(self):
        _, client = await self.start_both(mirror=mirror)
        calls = [client.request_async(Ipc.Message('mirror', str(i))) for i in range(200)]
        self.assertEqual([reply.text for reply in await asyncio.gather(*calls)], [str(i) for i in range(200)])

    @awaited
    async def test_refused_before_it_is_sent(self):
        _, client = await self.start_both(mirror=mirror)
        for message, code in ((Ipc.Message(''), Ipc.Error.INVALID_DATA),
                              (Ipc.Message('t' * 256), Ipc.Error.INVALID_DATA),
                              (Ipc.Message('t', b'\xff', format=FORMATS.TEXT), Ipc.Error.INVALID_DATA),
                              (Ipc.Message('t', '{"a":1,}', format=FORMATS.JSON), Ipc.Error.INVALID_DATA)):
            await self.assert_refused(client.request_async(message), code)
            with self.assertRaises(GLib.Error) as caught:
                client.send(message)
            self.assert_error(caught.exception, code)
        self.assertEqual((await client.request_async(Ipc.Message('mirror', 'well'))).text, 'well')

    @awaited
    async def test_nobody_there(self):
        client = Ipc.SocketClient(self.address)
        await self.assert_refused(client.open_async(), Ipc.Error.NO_SERVER, 'server')
        await self.assert_refused(client.request_async(Ipc.Message('t')), Ipc.Error.NOT_CONNECTED)
        with self.assertRaises(GLib.Error) as caught:
            client.send(Ipc.Message('t'))
        self.assert_error(caught.exception, Ipc.Error.NOT_CONNECTED)

    @awaited
    async def test_unknown_type(self):
        _, client = await self.start_both(mirror=mirror)
        await self.assert_refused(client.request_async(Ipc.Message('nonsense')), Ipc.Error.UNKNOWN_TYPE, 'nonsense')

    @awaited
    async def test_error_replies(self):
        def full(server, connection, request):
            raise Ipc.new_error(Ipc.Error.FULL, 'no room for more')

        def foreign(server, connection, request):
            raise GLib.Error.new_literal(Gio.io_error_quark(), 'no such thing', Gio.IOErrorEnum.NOT_FOUND)

        def broken(server, connection, request):
            raise LookupError('where is it?')

        def unusable(server, connection, request):
            return 5
        _, client = await self.start_both(full=full, foreign=foreign, broken=broken, unusable=unusable)
        await self.assert_refused(client.request_async(Ipc.Message('full')), Ipc.Error.FULL, 'no room for more')
        await self.assert_refused(client.request_async(Ipc.Message('foreign')), Ipc.Error.REMOTE, 'no such thing')
        with self.assertLogs('ipc-glib', 'ERROR') as log:
            await self.assert_refused(client.request_async(Ipc.Message('broken')), Ipc.Error.REMOTE,
                                      'LookupError: where is it?')
        self.assertIn('broken', log.output[0])
        await self.assert_refused(client.request_async(Ipc.Message('unusable')), Ipc.Error.REMOTE, 'TypeError')

    @awaited
    async def test_deferred_reply(self):
        kept = asyncio.get_running_loop().create_future()

        def later(server, connection, request):
            kept.set_result((connection, request))
        _, client = await self.start_both(later=later, mirror=mirror)
        call = client.request_async(Ipc.Message('later', 'question'))
        connection, request = await kept
        await client.request_async(Ipc.Message('mirror'))      # others are served meanwhile
        self.assertFalse(call.done())
        self.assertEqual((request.text, request.is_request), ('question', True))
        connection.reply(request, Ipc.Message('answer', 'here it is'))
        self.assertEqual((await call).text, 'here it is')
        for again in (lambda: connection.reply(request, Ipc.Message('answer')),
                      lambda: connection.reply_error(request, Ipc.new_error(Ipc.Error.FAILED, 'x'))):
            self.assertRaises(GLib.Error, again)

    @awaited
    async def test_deferred_error(self):
        kept = asyncio.get_running_loop().create_future()
        _, client = await self.start_both(later=lambda server, *call: kept.set_result(call))
        call = client.request_async(Ipc.Message('later'))
        connection, request = await kept
        connection.reply_error(request, Ipc.new_error(Ipc.Error.TOO_LARGE, 'too much'))
        await self.assert_refused(call, Ipc.Error.TOO_LARGE, 'too much')

    @awaited
    async def test_dropped(self):
        kept = []
        _, client = await self.start_both(forget=lambda server, connection, request: None,
                                          keep=lambda server, connection, request: kept.append(request))
        await self.assert_refused(client.request_async(Ipc.Message('forget'), -1), Ipc.Error.REMOTE,
                                  'without an answer')
        call = client.request_async(Ipc.Message('keep'), -1)
        while not kept:
            await asyncio.sleep(0)
        kept.clear()
        await self.assert_refused(call, Ipc.Error.REMOTE, 'without an answer')

    @awaited
    async def test_timeout(self):
        kept = []
        _, client = await self.start_both(keep=lambda server, connection, request: kept.append(request), mirror=mirror)
        await self.assert_refused(client.request_async(Ipc.Message('keep'), 20), Ipc.Error.TIMED_OUT)
        await self.assert_refused(client.request_async(Ipc.Message('keep'), timeout=0), Ipc.Error.TIMED_OUT)
        client.request_timeout = 20
        await self.assert_refused(client.request_async(Ipc.Message('keep')), Ipc.Error.TIMED_OUT)
        await self.assert_refused(client.request_async(Ipc.Message('keep'), -3), Ipc.Error.INVALID_ARGUMENT)
        self.assertEqual((await client.request_async(Ipc.Message('mirror', 'well'), 20000)).text, 'well')

    @awaited
    async def test_wrong_timeout_types(self):
        _, client = await self.start_both(mirror=mirror)
        for timeout in (1.5, '5', None):
            with self.assertRaises(TypeError):
                client.request_async(Ipc.Message('mirror'), timeout)
            with self.assertRaises(TypeError):
                client.connection.request(Ipc.Message('mirror'), timeout)

    @awaited
    async def test_cancelled_future(self):
        kept = []
        server, client = await self.start_both(keep=lambda server, connection, request: kept.append(request),
                                               mirror=mirror)
        cancelled = signalled(server.connections[0], 'request-cancelled')
        call = client.request_async(Ipc.Message('keep', 'this one'), -1)
        while not kept:
            await asyncio.sleep(0)
        self.assertTrue(call.cancel())
        with self.assertRaises(asyncio.CancelledError):
            await call
        self.assertEqual((await cancelled)[0].text, 'this one')
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(client.request_async(Ipc.Message('keep'), -1), 0.02)
        self.assertEqual((await client.request_async(Ipc.Message('mirror', 'well'))).text, 'well')

    @awaited
    async def test_cancellable(self):
        kept = []
        _, client = await self.start_both(keep=lambda server, connection, request: kept.append(request))
        cancellable = Gio.Cancellable()
        call = client.request_async(Ipc.Message('keep'), -1, cancellable)
        cancellable.cancel()
        for awaitable in (call, client.request_async(Ipc.Message('keep'), cancellable=cancellable)):
            with self.assertRaises(GLib.Error) as caught:
                await awaitable
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))

    @awaited
    async def test_callback(self):
        _, client = await self.start_both(mirror=mirror)
        done = asyncio.get_running_loop().create_future()
        client.request_async(Ipc.Message('mirror', 'x'), Ipc.TIMEOUT_DEFAULT, None,
                             lambda source, result, *data: done.set_result((source.request_finish(result).text, data)),
                             'some', 'data')
        self.assertEqual(await done, ('x', ('some', 'data')))
        done = asyncio.get_running_loop().create_future()
        client.request_async(Ipc.Message('mirror', 'y'),
                             callback=lambda source, result: done.set_result(source.request_finish(result).text))
        self.assertEqual(await done, 'y')

    @awaited
    async def test_wrong_calls(self):
        _, client = await self.start_both()
        with self.assertRaisesRegex(TypeError, "misses the argument 'message'"):
            client.request_async()
        with self.assertRaisesRegex(TypeError, "unexpected argument 'time'"):
            client.request_async(Ipc.Message('t'), time=5)

    @awaited
    async def test_the_server_asks(self):
        server = self.start_server()
        await self.open_client(name=lambda server, connection, request: 'nobody' if server is None else 'a server')
        reply = await server.connections[0].request_async(Ipc.Message('name'))
        self.assertEqual(reply.text, 'nobody')

    @awaited
    async def test_closed_meanwhile(self):
        kept = []
        _, client = await self.start_both(keep=lambda server, connection, request: kept.append((connection, request)))
        call = client.request_async(Ipc.Message('keep'), -1)
        while not kept:
            await asyncio.sleep(0)
        kept[0][0].close()
        await self.assert_refused(call, Ipc.Error.UNCERTAIN)
        await self.assert_refused(client.request_async(Ipc.Message('keep')), Ipc.Error.NOT_CONNECTED)


if __name__ == '__main__':
    tap.main()
