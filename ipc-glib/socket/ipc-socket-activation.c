/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-activation-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"

#define FIRST_FD 3              /* sd_listen_fds(3) */
#define MOST_FDS 65536
#define NAME_OF_NONE "unknown"
#define MOST_SHOWN 8            /* names in a message */

/* ---- what it is ---- */

static gboolean
get_option (int fd, int option, int *value, GError **error)
{
  socklen_t size = sizeof *value;

  if (getsockopt (fd, SOL_SOCKET, option, value, &size) == 0)
    return TRUE;
  if (errno == EBADF)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "descriptor %d is not open", fd);
  else if (errno == ENOTSOCK)
    g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "descriptor %d is not a socket", fd);
  else
    ipc_error_set_errno (error, errno, "cannot look at descriptor %d", fd);
  return FALSE;
}

static gboolean
check (int fd, GError **error)
{
  int domain, type, listens;

  if (!get_option (fd, SO_DOMAIN, &domain, error) || !get_option (fd, SO_TYPE, &type, error) ||
      !get_option (fd, SO_ACCEPTCONN, &listens, error))
    return FALSE;
  if (domain != AF_UNIX)
    g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "descriptor %d is not a Unix socket", fd);
  else if (type != SOCK_STREAM)
    g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "descriptor %d is not a stream socket", fd);
  else if (!listens)
    g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "descriptor %d is a socket that does not listen", fd);
  else
    return TRUE;
  return FALSE;
}

static gboolean
close_on_exec (int fd)
{
  int flags = fcntl (fd, F_GETFD);

  return flags >= 0 && fcntl (fd, F_SETFD, flags | FD_CLOEXEC) == 0;
}

static int
take (int fd, GError **error)
{
  int copy;

  if (!check (fd, error))
    return -1;
  copy = ipc_fork_open (fcntl (fd, F_DUPFD_CLOEXEC, FIRST_FD));
  if (copy < 0 || !close_on_exec (fd) || !g_unix_set_fd_nonblocking (copy, TRUE, NULL))
    {
      ipc_error_set_errno (error, errno, "cannot take over descriptor %d", fd);
      if (copy >= 0)
        ipc_fork_close (copy);
      return -1;
    }
  return copy;
}

/* ---- what the service manager gave ---- */

static gboolean
read_number (const char *variable, guint64 max, guint64 *number, GError **error)
{
  const char *text = secure_getenv (variable);
  g_autofree char *shown = NULL;

  if (text == NULL)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "this process was given no sockets: $%s is not set", variable);
      return FALSE;
    }
  if (g_ascii_string_to_unsigned (text, 10, 0, max, number, NULL))
    return TRUE;
  shown = g_strescape (text, NULL);
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "$%s is \"%s\", not a number of 0 to %" G_GUINT64_FORMAT, variable, shown, max);
  return FALSE;
}

static gboolean
count_fds (guint64 *n, GError **error)
{
  guint64 pid;

  if (!read_number ("LISTEN_PID", G_MAXINT, &pid, error) || !read_number ("LISTEN_FDS", MOST_FDS, n, error))
    return FALSE;
  if (pid == (guint64) getpid ())
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "this process was given no sockets: they were for process %" G_GUINT64_FORMAT ", this is %d",
               pid, (int) getpid ());
  return FALSE;
}

/* One name for each; without the variable none has one. */
static char **
list_names (guint64 n, GError **error)
{
  const char *text = secure_getenv ("LISTEN_FDNAMES");
  g_auto (GStrv) names = NULL;

  if (text == NULL)
    {
      names = g_new0 (char *, n + 1);
      for (guint64 i = 0; i < n; i++)
        names[i] = g_strdup (NAME_OF_NONE);
      return g_steal_pointer (&names);
    }
  names = g_strsplit (text, ":", -1);
  if (g_strv_length (names) == n)
    return g_steal_pointer (&names);
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "$LISTEN_FDNAMES has %u names, for %" G_GUINT64_FORMAT " sockets",
               g_strv_length (names), n);
  return NULL;
}

static char *
show_names (char **names)
{
  GString *shown = g_string_new (names[0] == NULL ? "none" : NULL);

  for (guint i = 0; names[i] != NULL && i <= MOST_SHOWN; i++)
    {
      g_autofree char *name = g_strescape (names[i], NULL);

      g_string_append_printf (shown, "%s%.64s", i > 0 ? ", " : "", i < MOST_SHOWN ? name : "...");
    }
  return g_string_free (shown, FALSE);
}

static int
find_fd (const char *name, GError **error)
{
  guint64 n, found = 0, matches = 0;
  g_auto (GStrv) names = NULL;
  g_autofree char *shown = NULL;

  if (!count_fds (&n, error))
    return -1;
  names = list_names (n, error);
  if (names == NULL)
    return -1;
  for (guint64 i = 0; i < n; i++)
    {
      /* Also those that nobody asks for are not for the programs that this one runs. */
      close_on_exec (FIRST_FD + (int) i);
      if (g_str_equal (names[i], name) && matches++ == 0)
        found = FIRST_FD + i;
    }
  if (matches == 1)
    return (int) found;
  shown = show_names (names);
  if (matches == 0)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "no socket of that name was given to this process, but: %s", shown);
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "%" G_GUINT64_FORMAT " sockets have that name, the first is fd:%" G_GUINT64_FORMAT,
                 matches, found);
  return -1;
}

int
ipc_socket_activation_open (const IpcSocketAddress *address, GError **error)
{
  gboolean by_name = address->kind == IPC_SOCKET_ADDRESS_SYSTEMD;
  int fd = by_name ? find_fd (address->file.basename, error) : address->fd;
  int copy = fd >= 0 ? take (fd, error) : -1;

  if (copy < 0 && by_name)
    g_prefix_error (error, "systemd:%s: ", address->file.basename);
  return copy;
}
