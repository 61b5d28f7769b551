/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An operation of the library is done again and again, each time with another of its system calls failing in another
 * way, until there is none left that has not. Whatever failed:
 *
 *  - it ends, with success or with an error that names what it was about, and has the code of what failed; what only
 *    interrupts it makes no difference;
 *  - no descriptor, no temporary file, and no socket of a server that does not run is left;
 *  - the next time, with nothing failing, it succeeds;
 *  - a client of the same server that had nothing to do with it is served as before.
 *
 * What is not about one transport runs over each of them.
 *
 * A sweep tries each error once, and each call failing from then on with one of the errors in turn;
 * IPC_TEST_FAULTS_ALL=1 makes that all of them. Over pipes, where many calls are the same as over sockets, an operation may
 * have each error only some times, and another one the times between; all of them with that variable.
 */
#pragma once

#include "fault-shim.h"
#include "socket-test.h"

G_BEGIN_DECLS

typedef struct _Sweep Sweep;

typedef struct
{
  const char *name;
  const char *transport;        /* (nullable) `socket` or `pipe`: only over this one */
  /* Nothing fails. */
  void (*prepare) (Sweep *self);
  /* From here calls fail; an error goes to self->error. */
  void (*begin) (Sweep *self);
  /* (nullable) The loop runs until it is; calls fail no more if that takes long. */
  gboolean (*is_over) (Sweep *self);
  /* Nothing fails. Takes the result, checks it and lets all go that prepare() and begin() made. */
  void (*finish) (Sweep *self);
  const char *const *calls;     /* (nullable) those that are to fail, in place of all that it makes */
  int lie;                      /* an errno that is not tried: nobody could tell that it is wrong; 0: none */
  gboolean must_fail;           /* also when no call does; finish() takes the error then */
  gboolean in_this_thread;      /* it blocks: what others call is left alone */
  guint stride;                 /* over pipes, and where it is of one transport: from one time that fails to the next one; 0: 1 */
} SweepOperation;

struct _Sweep
{
  const SweepOperation *operation;
  const Fault *fault;           /* (nullable) NULL: this time nothing fails */
  const char *directory;        /* of the test */
  Service *service;             /* (owned) at `served` */
  IpcClient *bystander;         /* (owned) a client of it */
  guint step;                   /* from one time that fails to the next one */
  GError *error;                /* (owned) (nullable) why it failed this time */
  const char *needle;           /* what the error has to name */

  /* For the operation, which clears them again. */
  char *path;                   /* (nullable) (owned) */
  Service *other;               /* (nullable) (owned) */
  IpcClient *client;            /* (nullable) (owned) */
  IpcTestAsync async;
  gpointer data;
};

/* All of main(): each of OPERATIONS, which end with NULL, is a test. */
int  sweep_run (int *argc, char ***argv, const SweepOperation *const *operations);
/* NAME in the directory of the sweep, and what errors have to name, is self->path. */
void sweep_set_path (Sweep *self, const char *name);

/* ── What operations have in common ── */

/* self->client, which gives up soon where nobody answers. */
void     sweep_make_client         (Sweep *self, const char *address);
/* The same of the server that the bystander has too. */
void     sweep_prepare_client      (Sweep *self);
void     sweep_prepare_open_client (Sweep *self);
gboolean sweep_is_closed           (Sweep *self);
/* self->async has been called. */
gboolean sweep_has_answer          (Sweep *self);
/* If it is open, it still carries messages; if not, it can be opened. Then it goes. */
void     sweep_check_client        (Sweep *self);
/* It is not needed any more. Its server lets it go too. */
void     sweep_drop_client         (Sweep *self);

/* self->other at an abstract address, which is self->path; not started. */
void     sweep_prepare_abstract    (Sweep *self);

/* self->client of a server with a thread of its own; and the check that goes with it, which ends both. */
void     sweep_prepare_remote      (Sweep *self);
void     sweep_check_remote        (Sweep *self);

G_END_DECLS
