/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs of "gipc file" share. */
#pragma once

#include "gipc.h"

int            gipc_file_info  (const GipcVerb *verb, int argc, char **argv);
int            gipc_file_read  (const GipcVerb *verb, int argc, char **argv);
int            gipc_file_write (const GipcVerb *verb, int argc, char **argv);
int            gipc_file_sync  (const GipcVerb *verb, int argc, char **argv);
int            gipc_file_watch (const GipcVerb *verb, int argc, char **argv);

/* (transfer full): one that is there; nothing is made. */
IpcMappedFile *gipc_file_map   (const char *path, IpcAccess access, GError **error);
