# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may be called from other threads than that of the main loop."""

import asyncio
import threading

from case import PATIENCE, Case, Ipc, awaited
import tap

N_THREADS = 4
N_EACH = 500


def in_threads(work):
    """Runs work (number) in some threads at once; what one of them raises is raised."""
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=guarded, args=[number]) for number in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    if errors:
        raise errors[0]


class TestThreads(Case):
    @awaited
    async def test_send(self):
        seen = [[] for _ in range(N_THREADS)]
        all_here = asyncio.Event()

        def count(server, connection, request):
            seen[int(request.headers['thread'])].append(int(request.text))
            if sum(map(len, seen)) == N_THREADS * N_EACH:
                all_here.set()
        _, client = await self.start_both(count=count)

        def work(number):
            for i in range(N_EACH):
                client.connection.send(Ipc.Message('count', str(i), {'thread': str(number)}))
        await asyncio.to_thread(in_threads, work)
        await all_here.wait()
        self.assertEqual(seen, [list(range(N_EACH))] * N_THREADS)      # in order, for each of the threads

    @awaited
    async def test_broadcast(self):
        server = self.start_server()
        seen, all_here = [], asyncio.Event()

        def news(server, connection, message):
            seen.append(message.text)
            if len(seen) == N_THREADS * 50:
                all_here.set()
        await self.open_client(news=news)
        while not server.n_clients:
            await asyncio.sleep(0)

        def work(number):
            for i in range(50):
                server.broadcast(Ipc.Message('news', '%d/%d' % (number, i)))
        await asyncio.to_thread(in_threads, work)
        await all_here.wait()
        self.assertEqual(sorted(seen), sorted('%d/%d' % (n, i) for n in range(N_THREADS) for i in range(50)))

    def test_blocking_requests(self):
        self.start_peer('serve', self.address)
        with Ipc.SocketClient(self.address) as client:
            def work(number):
                for i in range(N_EACH):
                    text = '%d/%d' % (number, i)
                    assert client.request(Ipc.Message('echo', text)).text == text
            in_threads(work)

    def test_a_client_each(self):
        self.start_peer('serve', self.address)

        def work(number):
            with Ipc.SocketClient(self.address) as client:
                for i in range(N_EACH):
                    assert client.request(Ipc.Message('echo', str(i))).text == str(i)
        in_threads(work)


if __name__ == '__main__':
    tap.main()
