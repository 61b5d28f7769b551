/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "semaphore-test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE 20000

IpcSemaphoreManager *
semaphore_test_manager_new (const char *directory)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcScope) scope = ipc_scope_new_for_directory (directory, &error);

  g_assert_no_error (error);
  return ipc_semaphore_manager_new (scope);
}

IpcSemaphore *
semaphore_test_create (IpcSemaphoreManager *manager, const char *name, guint permits)
{
  g_autoptr(GError) error = NULL;
  IpcSemaphore *semaphore = ipc_semaphore_manager_create_semaphore (manager, name, permits, &error);

  g_assert_no_error (error);
  g_assert_nonnull (semaphore);
  return semaphore;
}

IpcSemaphore *
semaphore_test_open (IpcSemaphoreManager *manager, const char *name)
{
  g_autoptr(GError) error = NULL;
  IpcSemaphore *semaphore = ipc_semaphore_manager_open_semaphore (manager, name, &error);

  g_assert_no_error (error);
  g_assert_nonnull (semaphore);
  return semaphore;
}

IpcPermit *
semaphore_test_acquire (IpcSemaphore *semaphore)
{
  g_autoptr(GError) error = NULL;
  IpcPermit *permit = ipc_semaphore_acquire (semaphore, PATIENCE, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (permit);
  return permit;
}

void
semaphore_test_assert_none (IpcSemaphore *semaphore)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_semaphore_try_acquire (semaphore, &error));
  g_assert_no_error (error);
}

void
semaphore_test_release (IpcPermit *permit)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (ipc_permit_release (permit, &error));
  g_assert_no_error (error);
  ipc_permit_unref (permit);
}

/* ── The other process ── */

typedef struct
{
  IpcSemaphore *semaphore; /* (owned) */
  gint timeout;
  GPtrArray *permits;      /* (owned) (element-type IpcPermit) (mutex lock) */
  GMutex lock;
  GThread *waiting;        /* (owned) (nullable) */
} Peer;

static void
keep (Peer *self, IpcPermit *permit)
{
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->permits, permit);
  g_mutex_unlock (&self->lock);
}

static gpointer
acquire_thread (gpointer data)
{
  Peer *self = data;
  g_autoptr(GError) error = NULL;
  IpcPermit *permit = ipc_semaphore_acquire (self->semaphore, self->timeout, NULL, &error);

  if (permit == NULL)
    {
      ipc_test_tell ("error %d", error->code);
      return NULL;
    }
  keep (self, permit);
  ipc_test_tell ("got");
  return NULL;
}

static void
join (Peer *self)
{
  g_clear_pointer (&self->waiting, g_thread_join);
}

static void
release_last (Peer *self)
{
  g_autoptr(GError) error = NULL;
  IpcPermit *permit;

  g_mutex_lock (&self->lock);
  g_assert_cmpuint (self->permits->len, >, 0);
  permit = g_ptr_array_steal_index (self->permits, self->permits->len - 1);
  g_mutex_unlock (&self->lock);
  semaphore_test_release (permit);
  ipc_test_tell ("released");
}

static void
assert_forked (const GError *error)
{
  if (!g_error_matches (error, IPC_ERROR, IPC_ERROR_FORKED))
    g_error ("%s", error != NULL ? error->message : "no error in a forked child");
}

/* A child that asks everything of what its parent has, drops what its parent holds, and lives on. */
static void
play_child (Peer *self)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_semaphore_try_acquire (self->semaphore, &error));
  assert_forked (error);
  g_clear_error (&error);
  g_assert_null (ipc_semaphore_acquire (self->semaphore, -1, NULL, &error));
  assert_forked (error);
  g_clear_error (&error);
  g_assert_null (ipc_semaphore_list_holders (self->semaphore, &error));
  assert_forked (error);
  g_clear_error (&error);
  for (guint i = 0; i < self->permits->len; i++)
    {
      g_assert_false (ipc_permit_get_is_held (self->permits->pdata[i]));
      g_assert_false (ipc_permit_release (self->permits->pdata[i], &error));
      assert_forked (error);
      g_clear_error (&error);
    }
  g_ptr_array_set_size (self->permits, 0);
  g_object_unref (self->semaphore);
  ipc_test_tell ("forked");
  alarm (25);
  for (;;)
    pause ();
}

static void
fork_and_check (Peer *self)
{
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    play_child (self);
}

static void
obey (Peer *self, const char *line)
{
  if (g_str_has_prefix (line, "acquire "))
    {
      join (self);
      self->timeout = atoi (line + strlen ("acquire "));
      self->waiting = g_thread_new ("acquire", acquire_thread, self);
    }
  else if (g_str_equal (line, "try"))
    {
      IpcPermit *permit = ipc_semaphore_try_acquire (self->semaphore, NULL);

      if (permit != NULL)
        keep (self, permit);
      ipc_test_tell ("%s", permit != NULL ? "got" : "none");
    }
  else if (g_str_equal (line, "release"))
    release_last (self);
  else if (g_str_equal (line, "fork"))
    fork_and_check (self);
  else if (g_str_equal (line, "count"))
    ipc_test_tell ("%u %u", ipc_semaphore_get_available_permits (self->semaphore), ipc_semaphore_get_waiters (self->semaphore));
  else
    g_error ("what is \"%s\"?", line);
}

int
semaphore_test_role (char **arguments)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (arguments[0]);
  Peer self = { .permits = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_permit_unref) };

  g_mutex_init (&self.lock);
  self.semaphore = semaphore_test_open (manager, arguments[1]);
  ipc_test_tell ("ready");
  for (;;)
    {
      g_autofree char *line = ipc_test_hear ();

      if (line == NULL || g_str_equal (line, "quit"))
        break;
      obey (&self, line);
    }
  join (&self);
  g_ptr_array_unref (self.permits);
  g_object_unref (self.semaphore);
  g_mutex_clear (&self.lock);
  return 0;
}

IpcTestPeer *
semaphore_test_spawn (const char *directory, const char *name)
{
  const char *const arguments[] = { directory, name, NULL };
  IpcTestPeer *peer = ipc_test_peer_spawn ("semaphore-peer", arguments);

  ipc_test_peer_expect (peer, "ready");
  return peer;
}

void
semaphore_test_peer_command (IpcTestPeer *peer, const char *command, const char *answer)
{
  ipc_test_peer_write_line (peer, command);
  if (answer != NULL)
    ipc_test_peer_expect (peer, answer);
}
