/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From faults, errno and nicks to errors.
 */
#include "base/ipc-error-private.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "ipc-enums.h"
#include "ipc-test.h"

static void
test_quark (IpcTest *test)
{
  g_assert_cmpstr (g_quark_to_string (IPC_ERROR), ==, "ipc-error-quark");
}

/* These go over the wire: they are for ever. */
static void
test_nicks (IpcTest *test)
{
  static const struct
  {
    IpcError code;
    const char *nick;
  } cases[] = {
    { IPC_ERROR_FAILED, "failed" },
    { IPC_ERROR_UNKNOWN_TYPE, "unknown-type" },
    { IPC_ERROR_INVALID_DATA, "invalid-data" },
    { IPC_ERROR_TOO_LARGE, "too-large" },
    { IPC_ERROR_FULL, "full" },
    { IPC_ERROR_CLOSED, "closed" },
    { IPC_ERROR_VERSION, "version" },
    { IPC_ERROR_REMOTE, "remote" },
    { IPC_ERROR_ADDRESS_IN_USE, "address-in-use" },
    { IPC_ERROR_ALREADY, "already" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      IpcError code = 99;

      g_assert_cmpstr (ipc_error_to_nick (cases[i].code), ==, cases[i].nick);
      g_assert_true (ipc_error_from_nick (cases[i].nick, &code));
      g_assert_cmpint (code, ==, cases[i].code);
    }
}

static void
test_all_nicks (IpcTest *test)
{
  for (int i = 0; i <= IPC_ERROR_ALREADY; i++)
    {
      IpcError code = 99;

      g_assert_true (ipc_error_from_nick (ipc_error_to_nick (i), &code));
      g_assert_cmpint (code, ==, i);
    }
}

static void
test_no_nicks (IpcTest *test)
{
  static const char *const nicks[] = { "", "UNKNOWN-TYPE", "unknown_type", "IPC_ERROR_FAILED", "cancelled", "failed " };

  for (guint i = 0; i < G_N_ELEMENTS (nicks); i++)
    {
      IpcError code = 99;

      g_assert_false (ipc_error_from_nick (nicks[i], &code));
      g_assert_cmpint (code, ==, 99);
    }
  g_assert_cmpstr (ipc_error_to_nick (IPC_ERROR_ALREADY + 1), ==, "failed");
  g_assert_cmpstr (ipc_error_to_nick ((IpcError) -1), ==, "failed");
}

static void
test_faults (IpcTest *test)
{
  static const struct
  {
    IpcFaultCode fault;
    IpcError code;
  } cases[] = {
    { IPC_FAULT_NONE, IPC_ERROR_FAILED },
    { IPC_FAULT_INVALID_NAME, IPC_ERROR_INVALID_NAME },
    { IPC_FAULT_INVALID_ARGUMENT, IPC_ERROR_INVALID_ARGUMENT },
    { IPC_FAULT_INVALID_DATA, IPC_ERROR_INVALID_DATA },
    { IPC_FAULT_VERSION, IPC_ERROR_VERSION },
    { IPC_FAULT_TOO_LARGE, IPC_ERROR_TOO_LARGE },
    { IPC_FAULT_ADDRESS_IN_USE, IPC_ERROR_ADDRESS_IN_USE },
    { IPC_FAULT_UNSAFE_PATH, IPC_ERROR_UNSAFE_PATH },
    { IPC_FAULT_WRONG_TYPE, IPC_ERROR_WRONG_TYPE },
    { IPC_FAULT_NO_SPACE, IPC_ERROR_NO_SPACE },
    { IPC_FAULT_CORRUPT, IPC_ERROR_CORRUPT },
    { IPC_FAULT_MISMATCH, IPC_ERROR_MISMATCH },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError) error = NULL;
      IpcFault fault;

      ipc_fault_set (&fault, cases[i].fault, "100%% of %d", 5);
      ipc_error_set_fault (&error, &fault, NULL);
      g_assert_error (error, IPC_ERROR, (int) cases[i].code);
      g_assert_cmpstr (error->message, ==, "100% of 5");
    }
}

static void
test_fault_prefix (IpcTest *test)
{
  g_autoptr(GError) error = NULL;
  IpcFault fault;

  ipc_fault_set (&fault, IPC_FAULT_TOO_LARGE, "too %s", "much");
  ipc_error_set_fault (&error, &fault, "the %s thing");
  g_assert_cmpstr (error->message, ==, "the %s thing: too much");
  ipc_error_set_fault (NULL, &fault, "ignored");
}

static void
test_errnos (IpcTest *test)
{
  const struct
  {
    int system_errno;
    GQuark domain;
    int code;
  } cases[] = {
    { ENOSPC, IPC_ERROR, IPC_ERROR_NO_SPACE },
    { EDQUOT, IPC_ERROR, IPC_ERROR_NO_SPACE },
    { EACCES, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED },
    { EPERM, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED },
    { ELOOP, IPC_ERROR, IPC_ERROR_UNSAFE_PATH },
    { ENOENT, G_IO_ERROR, G_IO_ERROR_NOT_FOUND },
    { EMFILE, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES },
    { ECANCELED, G_IO_ERROR, G_IO_ERROR_CANCELLED },
    { EIO, G_IO_ERROR, G_IO_ERROR_FAILED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GError) direct = NULL;
      g_autoptr(GError) through_fault = NULL;
      g_autofree char *expected = g_strconcat ("open 7: ", g_strerror (cases[i].system_errno), NULL);
      IpcFault fault;

      ipc_error_set_errno (&direct, cases[i].system_errno, "open %d", 7);
      g_assert_error (direct, cases[i].domain, cases[i].code);
      g_assert_cmpstr (direct->message, ==, expected);
      ipc_fault_set_errno (&fault, cases[i].system_errno, "open %d", 7);
      ipc_error_set_fault (&through_fault, &fault, "x");
      g_assert_error (through_fault, cases[i].domain, cases[i].code);
      g_assert_true (g_str_has_prefix (through_fault->message, "x: open 7: "));
    }
}

static int
check_in_child (unsigned generation)
{
  g_autoptr(GError) error = NULL;

  if (ipc_error_check_fork (generation, "the server", &error))
    return 1;
  if (!g_error_matches (error, IPC_ERROR, IPC_ERROR_FORKED) || !g_str_has_prefix (error->message, "the server "))
    return 2;
  return ipc_error_check_fork (ipc_fork_generation (), "the server", NULL) ? 0 : 3;
}

static void
test_fork (IpcTest *test)
{
  g_autoptr(GError) error = NULL;
  unsigned generation = ipc_fork_generation ();
  int status;
  pid_t child;

  g_assert_true (ipc_error_check_fork (generation, "the server", &error));
  g_assert_no_error (error);
  child = fork ();
  if (child == 0)
    _exit (check_in_child (generation));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/error/quark", test_quark);
  ipc_test_add ("/base/error/nicks", test_nicks);
  ipc_test_add ("/base/error/all-nicks", test_all_nicks);
  ipc_test_add ("/base/error/no-nicks", test_no_nicks);
  ipc_test_add ("/base/error/faults", test_faults);
  ipc_test_add ("/base/error/fault-prefix", test_fault_prefix);
  ipc_test_add ("/base/error/errnos", test_errnos);
  ipc_test_add ("/base/error/fork", test_fork);
  return ipc_test_run ();
}
