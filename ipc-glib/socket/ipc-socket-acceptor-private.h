/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What takes clients in at a listening socket: a GSocketService, and a gate in
 * front of it. The service would spin and complain when there is no descriptor
 * for one more client; before that the gate stops it, and goes on by itself,
 * slowly, until there are descriptors again and nobody waits.
 *
 * Used in one context only. Nothing is accepted in a forked child.
 */
#pragma once

#include <gio/gio.h>

typedef struct _IpcSocketAcceptor IpcSocketAcceptor;

typedef struct
{
  /* Whether one more may come now. If not, those that wait go on waiting until ipc_socket_acceptor_retry(), or a while. */
  gboolean (*has_room)   (gpointer user_data);
  /* A client; the descriptor is passed on. */
  void     (*take)       (int fd, gpointer user_data);
  /* There is no descriptor for another one: told once until all that wait are in. */
  void     (*overloaded) (gpointer user_data);
} IpcSocketAcceptorFuncs;

/* Takes over LISTEN_FD, which is guarded (core/ipc-fork.h). The functions are called in CONTEXT, and may free it. */
IpcSocketAcceptor *ipc_socket_acceptor_new   (int listen_fd, GMainContext *context, const IpcSocketAcceptorFuncs *funcs,
                                              gpointer user_data);
/* Closes the socket. */
void               ipc_socket_acceptor_free  (IpcSocketAcceptor *self);
/* There may be a descriptor, or room, again. */
void               ipc_socket_acceptor_retry (IpcSocketAcceptor *self);
