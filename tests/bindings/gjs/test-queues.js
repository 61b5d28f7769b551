// SPDX-License-Identifier: LGPL-2.1-or-later
// Queues from JavaScript.

import Gio from 'gi://Gio';
import Ipc from 'gi://Ipc?version=1.0';
import {until} from './fixture.js';
import {equal, ok, raisedError, run, test} from './tap.js';

const manager = new Ipc.QueueManager();
let n = 0;

function make() {
    return manager.create_queue(`q${n++}`);
}

function job(payload, headers = null) {
    return Ipc.Message.make('job', payload, headers);
}

test('blocking', async () => {
    const queue = make();
    queue.publish(job('a'));
    const id = queue.publish(job({n: 1}, {k: 'v'}), Ipc.Priority.CRITICAL, 0, 0, 'x');
    equal(queue.publish(job('again'), Ipc.Priority.NORMAL, 0, 0, 'x'), id);
    const delivery = queue.consume(0);
    const message = delivery.get_message();
    equal([delivery.id, message.json.n, message.headers.k, delivery.attempt], [id, 1, 'v', 1]);
    delivery.ack();
    equal(queue.peek().map(seen => seen.get_message().text), ['a']);
    equal([queue.n_ready, queue.total_messages], [1, 2]);
    equal(queue.purge(), 1);
    await raisedError((async () => queue.consume(10))(), Ipc.Error, Ipc.Error.TIMED_OUT);
});

test('settling', async () => {
    const queue = make();
    queue.publish(job('a'));
    let delivery = await queue.consume_async();
    await delivery.nack_async(0);
    delivery = await queue.consume_async(0);
    equal([delivery.attempt, delivery.redelivered], [2, true]);
    await delivery.extend_async(60000);
    await delivery.reject_async('why');
    await raisedError(delivery.ack_async(), Ipc.Error, Ipc.Error.NOT_HELD);
    equal((await queue.list_dead_async()).map(letter => letter.get_reason()), ['why']);
    equal(await queue.redrive_async(), 1);
    (await queue.consume_async(0)).ack();
    equal(queue.n_messages, 0);
});

test('for await', async () => {
    const queue = make();
    const seen = [];
    const work = async () => {
        for await (const delivery of queue) {
            seen.push(delivery.get_message().text);
            await delivery.ack_async();
            if (seen.length === 4)
                break;
        }
    };
    const working = work();
    for (const text of ['a', 'b', 'c', 'd'])
        await queue.publish_async(job(text));
    await working;
    equal(seen, ['a', 'b', 'c', 'd']);
    // Until the queue is deleted, or it is cancelled.
    const again = work();
    await manager.delete_queue_async(queue.name);
    await again;
    const other = make(), cancellable = new Gio.Cancellable();
    const cancelled = (async () => {
        for await (const delivery of other.deliveries(cancellable))
            ok(!delivery, 'there is none');
    })();
    cancellable.cancel();
    await cancelled;
});

test('callbacks', async () => {
    const queue = make();
    const taken = [], copies = [];
    const subscription = queue.subscribe((_, message) => copies.push(message));
    const consumer = queue.start_consuming(2, (_, delivery) => {
        taken.push(delivery.get_message().text);
        delivery.ack();
    });
    for (const text of ['a', 'b', 'c'])
        queue.publish(job(text));
    await until(() => taken.length === 3 && copies.length === 3);
    equal([taken, copies.map(message => message.text)], [['a', 'b', 'c'], ['a', 'b', 'c']]);
    consumer.stop();
    subscription.stop();
});

run();
