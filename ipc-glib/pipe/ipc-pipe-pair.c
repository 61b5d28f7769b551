/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipe/ipc-pipe-pair-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-safe-path.h"
#include "pipe/ipc-pipe-hello-private.h"

#define IN ".in"
#define OUT ".out"

typedef struct
{
  char text[IPC_PIPE_TOKEN_SIZE + 8];
} Name;

static Name
name_of (const char *token, const char *end)
{
  Name name;

  snprintf (name.text, sizeof name.text, "%.*s%s", IPC_PIPE_TOKEN_SIZE, token, end);
  return name;
}

int
ipc_pipe_pairs_open (int directory_fd, const char *basename, gboolean create, GError **error)
{
  g_autofree char *name = g_strdup_printf (".%s.d", basename);
  gboolean is_new = create && faccessat (directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
  IpcFault fault;
  int fd;

  if (ipc_directory_open_sub (directory_fd, name, create, &fd, &fault))
    return fd;
  if (is_new)
    unlinkat (directory_fd, name, AT_REMOVEDIR);
  if (fault.code == IPC_FAULT_SYSTEM && fault.system_errno == ENOENT)
    g_set_error_literal (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, fault.message);
  else
    ipc_error_set_fault (error, &fault, NULL);
  return -1;
}

void
ipc_pipe_pair_unlink (int pairs_fd, const char *token)
{
  unlinkat (pairs_fd, name_of (token, IN).text, 0);
  unlinkat (pairs_fd, name_of (token, OUT).text, 0);
}

/* ---- the client ---- */

/* The umask may have taken bits away. */
static gboolean
make_one (int pairs_fd, const char *name)
{
  return mkfifoat (pairs_fd, name, 0600) == 0 && fchmodat (pairs_fd, name, 0600, 0) == 0;
}

static int
open_one (int pairs_fd, const char *name, int flags)
{
  return ipc_fork_open (TEMP_FAILURE_RETRY (openat (pairs_fd, name, flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)));
}

/* Nobody reads it yet, and then a pipe cannot be opened for writing: so it is opened for both first. */
static int
open_for_writing (int pairs_fd, const char *name)
{
  int both = open_one (pairs_fd, name, O_RDWR);
  int fd = both >= 0 ? open_one (pairs_fd, name, O_WRONLY) : -1;

  if (both >= 0)
    ipc_fork_close (both);
  return fd;
}

gboolean
ipc_pipe_pair_make (int pairs_fd, const char *token, int *read_fd, int *write_fd, GError **error)
{
  Name in = name_of (token, IN), out = name_of (token, OUT);
  int reader = -1, writer = -1, problem;

  if (make_one (pairs_fd, in.text) && make_one (pairs_fd, out.text))
    {
      reader = open_one (pairs_fd, out.text, O_RDONLY);
      writer = reader >= 0 ? open_for_writing (pairs_fd, in.text) : -1;
    }
  if (writer >= 0)
    {
      *read_fd = reader;
      *write_fd = writer;
      return TRUE;
    }
  problem = errno;
  if (reader >= 0)
    ipc_fork_close (reader);
  ipc_pipe_pair_unlink (pairs_fd, token);
  if (problem == ENOENT)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "its server is about to start or to stop");
  else
    ipc_error_set_errno (error, problem, "cannot make a pair of pipes for it");
  return FALSE;
}

/* ---- the server ---- */

/* A client that waits sees that it waits in vain. */
static void
dismiss (int pairs_fd, const char *token)
{
  int fd;

  if (ipc_directory_open_entry (pairs_fd, name_of (token, OUT).text, S_IFIFO, O_WRONLY | O_NONBLOCK, &fd, NULL))
    close (fd);
  ipc_pipe_pair_unlink (pairs_fd, token);
}

/* Anything else stays what it is. */
static gboolean
is_shortage (const IpcFault *fault)
{
  return fault->code == IPC_FAULT_SYSTEM &&
         (fault->system_errno == EMFILE || fault->system_errno == ENFILE || fault->system_errno == ENOMEM);
}

static IpcPipePairTaken
take_one (int pairs_fd, const char *name, int flags, int *fd, GError **error)
{
  IpcFault fault;

  if (ipc_directory_open_entry (pairs_fd, name, S_IFIFO, flags | O_NONBLOCK, fd, &fault))
    {
      ipc_fork_guard_fd (*fd);
      return IPC_PIPE_PAIR_TAKEN;
    }
  if (fault.code == IPC_FAULT_SYSTEM && (fault.system_errno == ENOENT || fault.system_errno == ENXIO))
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "the client of %s is gone", name);
  else
    ipc_error_set_fault (error, &fault, NULL);
  return is_shortage (&fault) ? IPC_PIPE_PAIR_LATER : IPC_PIPE_PAIR_LOST;
}

IpcPipePairTaken
ipc_pipe_pair_take (int pairs_fd, const char *token, int *read_fd, int *write_fd, GError **error)
{
  IpcPipePairTaken taken;
  int reader = -1, writer = -1;

  /* In this order: a client that sees somebody come to write to it and leave again takes that for its refusal. */
  taken = take_one (pairs_fd, name_of (token, IN).text, O_RDONLY, &reader, error);
  if (taken == IPC_PIPE_PAIR_TAKEN)
    taken = take_one (pairs_fd, name_of (token, OUT).text, O_WRONLY, &writer, error);
  if (taken == IPC_PIPE_PAIR_TAKEN)
    {
      ipc_pipe_pair_unlink (pairs_fd, token);
      *read_fd = reader;
      *write_fd = writer;
      return taken;
    }
  if (reader >= 0)
    ipc_fork_close (reader);
  if (taken == IPC_PIPE_PAIR_LOST)
    dismiss (pairs_fd, token);
  return taken;
}

gboolean
ipc_pipe_pair_exists (int pairs_fd, const char *token)
{
  return faccessat (pairs_fd, name_of (token, OUT).text, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- what was left ---- */

/* The token of what may be half of a pair. */
static gboolean
get_token (const char *name, char token[IPC_PIPE_TOKEN_SIZE + 1])
{
  const char *end = strlen (name) > IPC_PIPE_TOKEN_SIZE ? name + IPC_PIPE_TOKEN_SIZE : "";

  if (strcmp (end, IN) != 0 && strcmp (end, OUT) != 0)
    return FALSE;
  memcpy (token, name, IPC_PIPE_TOKEN_SIZE);
  token[IPC_PIPE_TOKEN_SIZE] = '\0';
  return ipc_pipe_token_check (token);
}

static GPtrArray *
list_tokens (int pairs_fd)
{
  GPtrArray *tokens = g_ptr_array_new_with_free_func (g_free);
  int fd = TEMP_FAILURE_RETRY (openat (pairs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  char token[IPC_PIPE_TOKEN_SIZE + 1];
  struct dirent *entry;

  while (directory != NULL && (entry = readdir (directory)) != NULL)
    if (get_token (entry->d_name, token))
      g_ptr_array_add (tokens, g_strdup (token));
  if (directory != NULL)
    closedir (directory);
  else if (fd >= 0)
    close (fd);
  return tokens;
}

void
ipc_pipe_pairs_sweep (int pairs_fd, int pipe_fd)
{
  g_autoptr (GPtrArray) tokens = list_tokens (pairs_fd);
  struct pollfd pipe = { .fd = pipe_fd, .events = POLLIN };

  poll (&pipe, 1, 0);
  if ((pipe.revents & POLLHUP) == 0)
    return;
  for (guint i = 0; i < tokens->len; i++)
    ipc_pipe_pair_unlink (pairs_fd, g_ptr_array_index (tokens, i));
}

void
ipc_pipe_pairs_forget (int pairs_fd)
{
  g_autoptr (GPtrArray) tokens = list_tokens (pairs_fd);

  for (guint i = 0; i < tokens->len; i++)
    dismiss (pairs_fd, g_ptr_array_index (tokens, i));
}
