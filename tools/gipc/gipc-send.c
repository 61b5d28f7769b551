/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc send: one event. It is with the kernel when the exit status is 0; whether the
 * server wanted it is not known. */
#include "gipc.h"

int
gipc_send (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (IpcMessage) event = NULL;
  g_autoptr (GError) error = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  client = gipc_open (arguments[0]);
  if (client == NULL)
    return GIPC_EXIT_FAILED;
  event = gipc_message_new (arguments[1], arguments[2], ipc_client_get_max_message_size (client));
  if (event == NULL)
    return GIPC_EXIT_FAILED;
  if (!ipc_client_send (client, event, &error) ||
      !ipc_connection_flush (ipc_client_get_connection (client), NULL, &error))
    return gipc_fail ("%s", error->message);
  ipc_client_close (client);
  return GIPC_EXIT_OK;
}
