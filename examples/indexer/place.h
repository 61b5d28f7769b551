/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A directory of one run, which goes when the run ends; that of one which was killed goes when the next one begins.
 */
#pragma once

#include <glib.h>

typedef struct
{
  char *path;   /* (owned) */
  int fd;       /* holds the lock that says that it is in use */
} Place;

#define PLACE_INIT { NULL, -1 }

gboolean place_make (Place *self, GError **error);
void place_remove (Place *self);
