/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that fails, for SQLite: a VFS in front of the usual one, the default from fault_vfs_register() on.
 *
 * What is written to databases and logs is not on the disk before it is synced. When the power is cut, all that was written since
 * is there or not, in any combination, in sectors of 512 bytes; what a program wrote to a file that nobody synced may be there, too.
 */
#pragma once

#include <glib.h>

typedef enum
{
  FAULT_NONE,
  FAULT_POWER,                  /* from then on nothing works */
  FAULT_FULL,                   /* one write finds no room */
  FAULT_SYNC,                   /* one sync fails */
} FaultKind;

void  fault_vfs_register (void);
/* At the operation number AT (from 0), counted from now on. */
void  fault_vfs_set      (FaultKind kind, guint at);
/* Whether a write spoils nothing beside it when the power is cut; SQLite syncs and writes in another order then. */
void  fault_vfs_set_powersafe (gboolean powersafe);
/* How many there were since, and whether it has come to it. */
guint fault_vfs_get_count (void);
gboolean fault_vfs_has_happened (void);
/* Writes what is left of the files in FROM into the directory TO. */
void  fault_vfs_recover  (const char *from, const char *to, GRand *rand);
/* Forgets all files. */
void  fault_vfs_reset    (void);
