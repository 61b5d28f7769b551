/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random operations on a queue, beside a model of it that is so simple that it can be read: a list of messages, in the order of their
 * ids. After each step both say the same, and in the end each message was acknowledged once, is dead, or is there.
 */
#include "queue-test.h"

#define STEPS 20000

typedef enum
{
  READY,
  TAKEN,
  DEAD,
  DONE,
} State;

typedef struct
{
  guint64 id;
  IpcPriority priority;
  State state;
  guint attempts;
  IpcDelivery *delivery;        /* (owned) (nullable) */
} Model;

typedef struct
{
  IpcMessageQueue *queue;
  GRand *rand;
  GArray *all;                  /* of Model */
  guint max_retries;
} Run;

static Model *
get (Run *run, guint i)
{
  return &g_array_index (run->all, Model, i);
}

static guint
count (Run *run, State state)
{
  guint n = 0;

  for (guint i = 0; i < run->all->len; i++)
    n += get (run, i)->state == state;
  return n;
}

/* (nullable): the one that has to come next. */
static Model *
get_next (Run *run)
{
  Model *next = NULL;

  for (guint i = 0; i < run->all->len; i++)
    {
      Model *model = get (run, i);

      if (model->state == READY && (next == NULL || model->priority > next->priority))
        next = model;
    }
  return next;
}

/* (nullable): any that is in STATE. */
static Model *
pick (Run *run, State state)
{
  guint n = count (run, state), nth;

  if (n == 0)
    return NULL;
  nth = (guint) g_rand_int_range (run->rand, 0, (gint32) n);
  for (guint i = 0;; i++)
    if (get (run, i)->state == state && nth-- == 0)
      return get (run, i);
}

static void
do_publish (Run *run)
{
  Model model = { .priority = (IpcPriority) g_rand_int_range (run->rand, IPC_PRIORITY_LOW, IPC_PRIORITY_CRITICAL + 1), .state = READY };

  model.id = queue_test_publish_full (run->queue, "x", model.priority, 0, 0, NULL);
  g_array_append_val (run->all, model);
}

static void
do_take (Run *run)
{
  Model *next = get_next (run);

  if (next == NULL)
    {
      queue_test_expect_none (run->queue);
      return;
    }
  next->delivery = queue_test_take (run->queue, NULL);
  next->state = TAKEN;
  next->attempts++;
  g_assert_cmpuint (ipc_delivery_get_id (next->delivery), ==, next->id);
  g_assert_cmpuint (ipc_delivery_get_attempt (next->delivery), ==, next->attempts);
}

static void
come_back (Run *run, Model *model)
{
  model->state = model->attempts > run->max_retries ? DEAD : READY;
}

static void
do_settle (Run *run)
{
  Model *model = pick (run, TAKEN);
  g_autoptr(GError) error = NULL;

  if (model == NULL)
    return;
  switch (g_rand_int_range (run->rand, 0, 4))
    {
    case 0:
      g_assert_true (ipc_delivery_nack (model->delivery, 0, NULL, &error));
      come_back (run, model);
      break;
    case 1:
      g_assert_true (ipc_delivery_reject (model->delivery, NULL, NULL, &error));
      model->state = DEAD;
      break;
    case 2:
      /* Dropped below. */
      come_back (run, model);
      break;
    default:
      queue_test_ack (model->delivery);
      model->state = DONE;
      break;
    }
  g_clear_object (&model->delivery);
  /* What is dropped goes back, but nobody waits for it. */
  ipc_test_wait_for (ipc_message_queue_get_n_unacked (run->queue) == count (run, TAKEN));
}

static void
do_redrive (Run *run)
{
  Model *model = pick (run, DEAD);

  if (model == NULL)
    return;
  g_assert_cmpint (ipc_message_queue_redrive (run->queue, model->id, NULL, NULL), ==, 1);
  model->state = READY;
  model->attempts = 0;
}

static void
do_purge (Run *run)
{
  g_assert_cmpint (ipc_message_queue_purge (run->queue, NULL, NULL), ==, count (run, READY));
  for (guint i = 0; i < run->all->len; i++)
    if (get (run, i)->state == READY)
      get (run, i)->state = DONE;
}

/* Those that are done need not be looked at for ever. */
static void
forget_done (Run *run)
{
  for (guint i = run->all->len; i > 0; i--)
    if (get (run, i - 1)->state == DONE)
      g_array_remove_index (run->all, i - 1);
}

static void
step (Run *run)
{
  gint32 what = g_rand_int_range (run->rand, 0, 100);

  if (what < 35)
    do_publish (run);
  else if (what < 65)
    do_take (run);
  else if (what < 95)
    do_settle (run);
  else if (what < 99)
    do_redrive (run);
  else if (what == 99 && g_rand_boolean (run->rand))
    do_purge (run);
  g_assert_cmpuint (ipc_message_queue_get_n_ready (run->queue), ==, count (run, READY));
  g_assert_cmpuint (ipc_message_queue_get_n_unacked (run->queue), ==, count (run, TAKEN));
  g_assert_cmpuint (ipc_message_queue_get_n_dead (run->queue), ==, count (run, DEAD));
  forget_done (run);
}

static void
test_random (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  g_autoptr(GArray) all = g_array_new (FALSE, FALSE, sizeof (Model));
  Run run = { .rand = rand, .all = all, .max_retries = 2 };

  queue_test_init (&fixture, test->data);
  queue_test_set (&fixture, "max-retries", run.max_retries);
  run.queue = fixture.queue;
  /* One that waits for a disk takes longer for each. */
  for (guint i = 0; i < (g_strcmp0 (test->data, "memory:") == 0 ? STEPS : STEPS / 10); i++)
    step (&run);
  for (guint i = 0; i < all->len; i++)
    g_clear_object (&get (&run, i)->delivery);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, queue_test_roles);
  queue_test_add ("model/random", test_random);
  return ipc_test_run ();
}
