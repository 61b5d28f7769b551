/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How SQLite writes its log: a VFS before the usual one, in which a commit is one system call.
 *
 * SQLite writes each page, and before it its header, with a call of its own. Here they are gathered until something else is done with the
 * file, and at the latest when it is synced, which SQLite does before it says to anybody that the commit is there. So a database that is
 * opened here is always to sync (`synchronous = FULL`); whether a commit waits for the disk is said before it. One that does not may
 * be waited for later, when others can write again: what they do then is behind it in the same file, so theirs is never there without it.
 *
 * The files are those of the usual VFS: programs that do not use it share them.
 */
#pragma once

#include <sqlite3.h>

#include <glib.h>

/* The name of the VFS. */
const char *ipc_queue_wal_get_vfs  (void);
/* Whether what is committed from now on does not wait for the disk. SQLite's own syncs, of a log that is begun anew and before what is in
 * it goes into the database, are done in any case. */
void        ipc_queue_wal_set_lazy (sqlite3 *db, gboolean lazy);
/* Waits until all that was committed would survive a power cut. SQLite has no lock meanwhile, so others can go on. Returns its code. */
int         ipc_queue_wal_sync     (sqlite3 *db);
