/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs of "gipc semaphore" share. */
#pragma once

#include "gipc.h"

#define GIPC_SEMAPHORE_PERMITS_UNSET G_MININT

int           gipc_semaphore_create         (const GipcVerb *verb, int argc, char **argv);
int           gipc_semaphore_list           (const GipcVerb *verb, int argc, char **argv);
int           gipc_semaphore_info           (const GipcVerb *verb, int argc, char **argv);
int           gipc_semaphore_run            (const GipcVerb *verb, int argc, char **argv);
int           gipc_semaphore_delete         (const GipcVerb *verb, int argc, char **argv);

/* gipc-semaphore.c */
gboolean      gipc_semaphore_read_permits   (const GipcVerb *verb, gint option, guint *permits);

/* gipc-semaphore-list.c: its members, as in the list, without the brace at the end */
GString      *gipc_semaphore_to_json        (IpcSemaphore *semaphore);
