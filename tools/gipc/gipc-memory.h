/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs of "gipc memory" share. */
#pragma once

#include "gipc.h"

int      gipc_memory_create     (const GipcVerb *verb, int argc, char **argv);
int      gipc_memory_list       (const GipcVerb *verb, int argc, char **argv);
int      gipc_memory_info       (const GipcVerb *verb, int argc, char **argv);
int      gipc_memory_write      (const GipcVerb *verb, int argc, char **argv);
int      gipc_memory_read       (const GipcVerb *verb, int argc, char **argv);
int      gipc_memory_watch      (const GipcVerb *verb, int argc, char **argv);
int      gipc_memory_delete     (const GipcVerb *verb, int argc, char **argv);

/* gipc-memory-list.c: its members, as in the list */
GString *gipc_memory_to_json    (IpcSharedMemory *segment);
