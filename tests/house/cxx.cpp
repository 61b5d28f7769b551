/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The headers are C++ as well: they compile, the names link, and the cleanup macros work.
 */
#include <ipc-glib/ipc-glib.h>

int
main ()
{
  g_autoptr (IpcMessage) message = ipc_message_new_text ("greeting", "hello");
  g_autoptr (GListModel) none = nullptr;

  g_assert_cmpstr (ipc_message_get_text (message), ==, "hello");
  g_assert_cmpint (ipc_message_get_format (message), ==, IPC_PAYLOAD_FORMAT_TEXT);
  g_assert_cmpstr (g_type_name (IPC_TYPE_SOCKET_SERVER), ==, "IpcSocketServer");
  g_assert_true (IPC_CHECK_VERSION (0, 1, 0));
  g_assert_false (IPC_IS_SERVER (none));
  return 0;
}
