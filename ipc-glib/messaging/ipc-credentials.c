/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-credentials-private.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/ipc-error-private.h"

#define DEFAULT_OVERFLOW_UID 65534u

/* Since Linux 6.5; older headers do not have it, and older kernels say so. */
#ifndef SO_PEERPIDFD
#if defined __hppa__
#define SO_PEERPIDFD 0x404B
#elif defined __sparc__
#define SO_PEERPIDFD 0x0056
#else
#define SO_PEERPIDFD 77
#endif
#endif

int ipc_credentials_pidfd_option = SO_PEERPIDFD;

GCredentials *
ipc_credentials_get (int socket_fd, GError **error)
{
  struct ucred ucred;
  socklen_t size = sizeof ucred;
  GCredentials *credentials;

  if (getsockopt (socket_fd, SOL_SOCKET, SO_PEERCRED, &ucred, &size) != 0 || size != sizeof ucred)
    {
      ipc_error_set_errno (error, errno, "cannot tell who the peer is");
      return NULL;
    }
  credentials = g_credentials_new ();
  g_credentials_set_native (credentials, G_CREDENTIALS_TYPE_LINUX_UCRED, &ucred);
  return credentials;
}

/* The uid that stands for all those that have no meaning in our user namespace. */
static uid_t
get_overflow_uid (void)
{
  static gsize overflow_uid;    /* + 1 */

  if (g_once_init_enter (&overflow_uid))
    {
      g_autofree char *text = NULL;
      guint64 uid = DEFAULT_OVERFLOW_UID;

      if (g_file_get_contents ("/proc/sys/kernel/overflowuid", &text, NULL, NULL))
        uid = g_ascii_strtoull (text, NULL, 10);
      g_once_init_leave (&overflow_uid, (gsize) uid + 1);
    }
  return (uid_t) (overflow_uid - 1);
}

gboolean
ipc_credentials_are_known (GCredentials *credentials)
{
  struct ucred *ucred;

  if (credentials == NULL)
    return FALSE;
  ucred = g_credentials_get_native (credentials, G_CREDENTIALS_TYPE_LINUX_UCRED);
  return ucred != NULL && ucred->pid != 0 && ucred->uid != (uid_t) -1 && ucred->uid != get_overflow_uid ();
}

int
ipc_credentials_open_pidfd (int socket_fd)
{
  socklen_t size = sizeof (int);
  int pidfd;

  if (getsockopt (socket_fd, SOL_SOCKET, ipc_credentials_pidfd_option, &pidfd, &size) != 0 || size != sizeof pidfd)
    return -1;
  return pidfd;
}
