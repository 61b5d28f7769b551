# SPDX-License-Identifier: LGPL-2.1-or-later
"""Queues from Python."""

import asyncio
import gc

from case import Case, GLib, Ipc, awaited
import tap


class TestQueues(Case):
    def setUp(self):
        super().setUp()
        self.manager = Ipc.QueueManager()
        self.queue = self.manager.create_queue('jobs')

    def publish(self, *texts):
        return [self.queue.publish(Ipc.Message('job', text)) for text in texts]

    def test_blocking(self):
        first, second = self.publish('a', 'b')
        self.assertGreater(second, first)
        urgent = self.queue.publish(Ipc.Message('job', {'n': 1}, {'k': 'v'}), Ipc.Priority.CRITICAL, dedup_id='x')
        self.assertEqual(self.queue.publish(Ipc.Message('job', 'again'), dedup_id='x'), urgent)
        delivery = self.queue.consume(0)
        self.assertEqual((delivery.id, delivery.message.json, delivery.message.headers), (urgent, {'n': 1}, {'k': 'v'}))
        self.assertEqual((delivery.attempt, delivery.redelivered, delivery.priority), (1, False, Ipc.Priority.CRITICAL))
        delivery.ack()
        self.assertRaises(GLib.Error, delivery.ack)
        self.assertEqual([seen.message.text for seen in self.queue.peek()], ['a', 'b'])
        self.assertEqual(self.queue.publish_many([Ipc.Message('job', str(i)) for i in range(3)]), 3)
        self.assertEqual((self.queue.n_ready, self.queue.total_messages), (5, 6))
        self.assertEqual(self.queue.purge(), 5)
        with self.assertRaises(GLib.Error) as caught:
            self.queue.consume(10)
        self.assertTrue(Ipc.is_error(caught.exception, Ipc.Error.TIMED_OUT))
        self.assertRaises(TypeError, self.queue.consume, 1.5)
        self.assertRaises(TypeError, Ipc.MessageQueue)
        self.assertRaises(TypeError, Ipc.Delivery)

    def test_with(self):
        self.publish('a')
        with self.assertRaises(KeyError):
            with self.queue.consume(0):
                raise KeyError
        self.assertEqual((self.queue.n_ready, self.queue.n_delayed), (0, 1))
        self.queue.purge()
        self.publish('b')
        with self.queue.consume(0) as delivery:
            self.assertEqual(delivery.message.text, 'b')
        self.assertEqual(self.queue.n_messages, 0)
        # What was settled in the block stays so.
        self.publish('c')
        with self.queue.consume(0) as delivery:
            delivery.reject('why')
        self.assertEqual([letter.get_reason() for letter in self.queue.list_dead()], ['why'])
        self.assertEqual(self.queue.redrive(), 1)
        self.queue.consume(0).nack(0)
        del delivery
        self.queue.consume(0)
        gc.collect()
        self.assertEqual(self.queue.consume(0).attempt, 3)

    @awaited
    async def test_async_for(self):
        seen = []

        async def work():
            async for delivery in self.queue:
                async with delivery:
                    seen.append(delivery.message.text)
        task = asyncio.ensure_future(work())
        for text in 'abc':
            await self.queue.publish_async(Ipc.Message('job', text))
            await asyncio.sleep(0)
        while len(seen) < 3:
            await asyncio.sleep(0.001)
        self.assertEqual(seen, ['a', 'b', 'c'])
        await self.manager.delete_queue_async('jobs')
        await task

    @awaited
    async def test_cancelled(self):
        future = self.queue.consume_async(-1)
        await asyncio.sleep(0)
        future.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await future
        self.publish('a')
        delivery = await self.queue.consume_async()
        self.assertEqual(delivery.attempt, 1)
        await delivery.nack_async(0)
        delivery = await self.queue.consume_async(0)
        await delivery.extend_async(60000)
        await delivery.ack_async()

    @awaited
    async def test_callbacks(self):
        taken, copies = [], []
        subscription = self.queue.subscribe(lambda queue, message: copies.append(message.text))
        consumer = self.queue.start_consuming(2, lambda queue, delivery: (taken.append(delivery.message.text), delivery.ack()))
        self.publish('a', 'b', 'c')
        while len(taken) < 3 or len(copies) < 3:
            await asyncio.sleep(0.001)
        self.assertEqual((taken, copies), (['a', 'b', 'c'], ['a', 'b', 'c']))
        consumer.stop()
        subscription.stop()

    def test_manager(self):
        self.assertEqual([queue.name for queue in self.manager.items], ['jobs'])
        self.assertEqual(self.manager.open_queue('jobs'), self.queue)
        self.assertRaises(GLib.Error, self.manager.create_queue, 'jobs')
        self.assertTrue(self.manager.serve(self.directory + '/queues'))
        self.assertRaises(GLib.Error, self.manager.serve, self.directory + '/more')
        self.manager.delete_queue('jobs')
        self.assertRaises(GLib.Error, Ipc.QueueManager.new_for_uri, 'nonsense')


if __name__ == '__main__':
    tap.main()
