/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipe/ipc-pipe-hello-private.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/ipc-error-private.h"
#include "core/ipc-frame.h"

#define HEADER_END (IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE)

gboolean
ipc_pipe_token_check (const char *token)
{
  return strlen (token) == IPC_PIPE_TOKEN_SIZE && strspn (token, "0123456789abcdef") == IPC_PIPE_TOKEN_SIZE;
}

char *
ipc_pipe_token_new (GError **error)
{
  guint8 bytes[IPC_PIPE_TOKEN_SIZE / 2];
  GString *token;

  if (TEMP_FAILURE_RETRY (getrandom (bytes, sizeof bytes, 0)) != sizeof bytes)
    {
      ipc_error_set_errno (error, errno, "no random numbers for the name of a pipe");
      return NULL;
    }
  token = g_string_sized_new (IPC_PIPE_TOKEN_SIZE + 1);
  for (gsize i = 0; i < sizeof bytes; i++)
    g_string_append_printf (token, "%02x", bytes[i]);
  return g_string_free (token, FALSE);
}

/* The rest of it is judged by the connection that it opens. */
char *
ipc_pipe_hello_get_token (GBytes *hello, GError **error)
{
  const IpcFrameLimits limits = { .max_length = (guint32) g_bytes_get_size (hello) };
  const guint8 *bytes = g_bytes_get_data (hello, NULL);
  g_autoptr (GBytes) payload = NULL;
  g_autoptr (GVariant) wire = NULL;
  g_autofree char *token = NULL;
  IpcFrame frame;
  IpcFault fault;

  if (!ipc_preamble_check (bytes, IPC_PREAMBLE_SIZE, &fault) || !ipc_frame_decode (bytes + IPC_PREAMBLE_SIZE, &limits, &frame, &fault))
    {
      ipc_error_set_fault (error, &fault, NULL);
      return NULL;
    }
  payload = g_bytes_new_from_bytes (hello, HEADER_END, g_bytes_get_size (hello) - HEADER_END);
  wire = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARDICT, payload, FALSE));
  /* A string is the same in every byte order. */
  if (g_variant_is_normal_form (wire) && g_variant_lookup (wire, "token", "s", &token) && ipc_pipe_token_check (token))
    return g_steal_pointer (&token);
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "a HELLO of %" G_GSIZE_FORMAT " bytes without a token of %d hexadecimal digits",
               g_bytes_get_size (hello), IPC_PIPE_TOKEN_SIZE);
  return NULL;
}
