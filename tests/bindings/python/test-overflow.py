# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that does not read: each policy, sent to one and to all; who is told; and what is counted."""

import asyncio
import socket
import unittest

from case import Case, GLib, Ipc, awaited
import tap

N = 2000
POLICIES = [Ipc.OverflowPolicy.REJECT, Ipc.OverflowPolicy.DROP_OLDEST, Ipc.OverflowPolicy.DROP_NEWEST,
            Ipc.OverflowPolicy.DISCONNECT]


class TestOverflow(Case):
    def setUp(self):
        super().setUp()
        self.server = self.start_server()
        self.server.max_queued_bytes = 20000
        self.dropped = []
        self.server.connect('message-dropped', lambda server, connection, message:
                            self.dropped.append((connection.id, int(message.text.split()[0]))))

    async def connect(self):
        """A client that speaks JSON and reads nothing."""
        peer = socket.socket(socket.AF_UNIX)
        self.addCleanup(peer.close)
        peer.connect(self.address)
        peer.sendall(b'\n')
        while self.server.n_clients == 0:
            await asyncio.sleep(0.01)
        return peer, self.server.connections[0]

    async def overflow(self, policy, broadcast):
        self.server.overflow_policy = policy
        self.assertEqual(self.server.overflow_policy, policy)
        self.peer, connection = await self.connect()
        outcomes = []
        for i in range(N):
            message = Ipc.Message('tick', '%d %s' % (i, 'x' * 1000))
            if broadcast:
                outcomes.append(self.server.broadcast(message))
                continue
            try:
                outcomes.append(connection.send(message))
            except GLib.Error as error:
                outcomes.append(error)
        await asyncio.sleep(0.05)
        return connection, outcomes

    def check_errors(self, errors):
        self.assertGreater(len(errors), 100)
        for error in errors:
            self.assertTrue(Ipc.is_error(error, Ipc.Error.FULL), error)

    @awaited
    async def test_reject(self):
        connection, outcomes = await self.overflow(Ipc.OverflowPolicy.REJECT, False)
        self.check_errors([outcome for outcome in outcomes if outcome is not True])
        self.assertEqual(self.dropped, [])
        self.assertEqual(connection.messages_dropped, 0)

    @awaited
    async def test_reject_broadcast(self):
        connection, outcomes = await self.overflow(Ipc.OverflowPolicy.REJECT, True)
        self.assertEqual(set(tuple(outcome) for outcome in outcomes), {(1, 0), (0, 1)})
        self.assertEqual(self.dropped, [(connection.id, i) for i in range(N) if tuple(outcomes[i]) == (0, 1)])

    @awaited
    async def test_drop_oldest(self):
        for broadcast in False, True:
            connection, outcomes = await self.overflow(Ipc.OverflowPolicy.DROP_OLDEST, broadcast)
            self.assertEqual(set(map(str, outcomes)), {str(outcomes[0])})
            first = self.dropped[0][1]
            self.assertGreater(first, 0)
            self.assertEqual(self.dropped, [(connection.id, first + i) for i in range(len(self.dropped))])
            self.assertLess(self.dropped[-1][1], N - 5)
            self.assertEqual(connection.messages_dropped, len(self.dropped))
            self.peer.close()
            while self.server.n_clients:
                await asyncio.sleep(0.01)
            self.dropped.clear()

    @awaited
    async def test_drop_newest(self):
        for broadcast in False, True:
            connection, outcomes = await self.overflow(Ipc.OverflowPolicy.DROP_NEWEST, broadcast)
            n = len(self.dropped)
            self.assertEqual(self.dropped, [(connection.id, i) for i in range(N - n, N)])
            if broadcast:
                self.assertEqual([tuple(outcome) for outcome in outcomes], [(1, 0)] * (N - n) + [(0, 1)] * n)
            else:
                self.assertEqual(outcomes, [True] * N)
            self.peer.close()
            while self.server.n_clients:
                await asyncio.sleep(0.01)
            self.dropped.clear()

    @awaited
    async def test_disconnect(self):
        for broadcast in False, True:
            reasons = []
            handler = self.server.connect('client-disconnected', lambda server, connection, error: reasons.append(error))
            connection, outcomes = await self.overflow(Ipc.OverflowPolicy.DISCONNECT, broadcast)
            self.assertFalse(connection.is_open)
            self.check_errors(reasons * 101)
            self.assertEqual(len(reasons), 1)
            self.assertEqual(self.server.n_clients, 0)
            self.server.disconnect(handler)

    @awaited
    async def test_statistics(self):
        server, client = self.server, await self.open_client()
        told = []
        server.connect('notify::messages-received', lambda server, pspec: told.append(server.messages_received))
        reply = await client.request_async(Ipc.Message('ipc.stats', {'clients': True}), 1000)
        stats = reply.variant.unpack()
        self.assertEqual((stats['address'], stats['clients'], len(stats['connections'])), (self.address, 1, 1))
        self.assertEqual(stats['bytes-received'], server.bytes_received)
        while told != [1]:
            await asyncio.sleep(0.01)
        for name in 'messages-sent', 'bytes-sent', 'queued-bytes', 'messages-dropped':
            self.assertEqual(type(server.get_property(name)), int)


if __name__ == '__main__':
    tap.main()
