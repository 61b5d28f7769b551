/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc memory: its verbs, one a file, and what they share. */
#include "gipc-memory.h"

static const GipcVerb verbs[] = {
  { "memory create", "NAME SIZE", "make a segment of shared memory",
    "SIZE is in bytes, or with K, M or G behind it. All bytes are zero. It stays until it is\ndeleted.", 2, 2,
    gipc_memory_create },
  { "memory list", "", "list the segments of the scope", NULL, 0, 0, gipc_memory_list },
  { "memory info", "NAME", "show a segment", NULL, 1, 1, gipc_memory_info },
  { "memory write", "NAME [OFFSET]", "write standard input into a segment",
    "All of it is written at once, from OFFSET (default: 0) on, and those who have the segment\n"
    "are told. What does not fit is not written.", 1, 2, gipc_memory_write },
  { "memory read", "NAME [OFFSET [LENGTH]]", "print the bytes of a segment",
    "As they are: LENGTH bytes from OFFSET (default: 0) on, or all that follow.", 1, 3, gipc_memory_read },
  { "memory watch", "NAME", "print a line for each change of a segment",
    "Prints \"watching NAME\" on standard error when it sees what changes from then on. A line\n"
    "has the time, the size, how often the segment was read or written, and what happened:\n"
    "changed, resized or deleted. It ends when the segment is deleted; SIGINT and SIGTERM end\n"
    "it, too.", 1, 1, gipc_memory_watch },
  { "memory delete", "NAME", "delete a segment", "Those that have it go on with it.", 1, 1, gipc_memory_delete },
};

int
gipc_memory (const GipcVerb *verb, int argc, char **argv)
{
  return gipc_run_group (verb, verbs, G_N_ELEMENTS (verbs), argc, argv);
}
