/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc call: one request, and its reply on standard output. */
#include "gipc.h"

static int
call (IpcClient *client, IpcMessage *request, gint timeout, gboolean as_json)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcMessage) reply = ipc_client_request (client, request, timeout, NULL, &error);
  g_autofree char *line = NULL;

  if (reply == NULL)
    return gipc_fail ("%s", error->message);
  if (!as_json)
    return gipc_message_print_payload (reply) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
  line = gipc_message_to_line (reply, NULL);
  return gipc_write_line (line) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

int
gipc_call (const GipcVerb *verb, int argc, char **argv)
{
  gint timeout = IPC_TIMEOUT_DEFAULT;
  gboolean as_json = FALSE;
  const GOptionEntry options[] = {
    { "timeout", 't', 0, G_OPTION_ARG_INT, &timeout,
      "how long to wait for the reply; -1 for ever (default: 30000)", "MS" },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &as_json, "PAYLOAD is a JSON document; print the whole reply as JSON", NULL },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (IpcMessage) request = NULL;
  gsize limit;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  if (timeout < IPC_TIMEOUT_DEFAULT)
    return gipc_fail_usage (verb, "--timeout: %d is less than -1", timeout);
  client = gipc_open (arguments[0]);
  if (client == NULL)
    return GIPC_EXIT_FAILED;
  limit = ipc_client_get_max_message_size (client);
  request = as_json ? gipc_message_new_json (arguments[1], arguments[2], limit)
                    : gipc_message_new (arguments[1], arguments[2], limit);
  return request != NULL ? call (client, request, timeout, as_json) : GIPC_EXIT_FAILED;
}
