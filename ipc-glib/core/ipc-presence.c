/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-presence.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/ipc-bell.h"
#include "core/ipc-byte-lock.h"
#include "core/ipc-fork.h"
#include "core/ipc-life.h"
#include "core/ipc-shared-file.h"

#define NAME ".presence"
#define LAYOUT 2u
#define ATTEMPTS 16
#define MAX_BELLS 64u

/* One index. */
typedef struct
{
  _Atomic uint64_t incarnation; /* only written by who holds the lock; 0: never used */
  _Atomic uint32_t life;        /* see core/ipc-life.h */
  _Atomic uint32_t has_label;
  char label[IPC_PRESENCE_LABEL];
  char room[8];
} Entry;

/* What precedes them. */
typedef struct
{
  _Alignas (64) _Atomic uint64_t count;
} Head;

_Static_assert (sizeof (Head) == 64 && sizeof (Entry) == 64, "an entry has a cache line");

struct _IpcPresence
{
  IpcSharedFile file;
  int lock_fd;                  /* fork-guarded */
  int directory_fd;             /* the same */
  IpcPresenceLines lines;
  _Atomic uint64_t bells;       /* those in use */
  _Atomic int bell_fds[MAX_BELLS];    /* fork-guarded; of whoever has the bell; -1: it never was */
  _Atomic uint32_t n_deaths;
  Entry *entries;
  unsigned index;
  IpcOwner me;
  IpcLife *life;                /* (nullable) NULL: without a thread */
  unsigned generation;
  unsigned n_users;             /* (mutex all) */
  IpcPresence *next;            /* (mutex all) */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static IpcPresence *all;        /* (mutex all) those of this process, one a directory */

static void
lock_all (void)
{
  pthread_mutex_lock (&all_lock);
}

static void
unlock_all (void)
{
  pthread_mutex_unlock (&all_lock);
}

/* A forked child must not find the lock taken by a thread that it does not have. What is registered last is called
 * first, so ours has to come after that of core/ipc-fork.c, whose lock is taken with ours held. */
static void
init_once (void)
{
  ipc_fork_hold ();
  ipc_fork_release ();
  pthread_atfork (lock_all, unlock_all, unlock_all);
}

/* ---- locks ---- */

/* The first index that nobody has. */
static bool
take_index (int fd, unsigned *index, IpcFault *fault)
{
  struct flock lock;

  for (unsigned i = 0; i < IPC_PRESENCE_MAX; i++)
    {
      if (ipc_byte_lock (fd, F_OFD_SETLK, F_WRLCK, i, 1, &lock) == 0)
        {
          *index = i;
          return true;
        }
      if (errno != EAGAIN && errno != EACCES)
        return ipc_fault_set_errno (fault, errno, "cannot lock a place in \"%s\"", NAME);
    }
  return ipc_fault_set (fault, IPC_FAULT_LIMIT_EXCEEDED, "\"%s\" has no place left: %u processes", NAME, IPC_PRESENCE_MAX);
}

/* ---- attaching ---- */

static void
write_label (Entry *entry)
{
  atomic_store (&entry->has_label, 0);
  snprintf (entry->label, sizeof entry->label, "%ld %s", (long) getpid (), program_invocation_short_name);
  atomic_store (&entry->has_label, 1);
}

/* Of others, in the thread of the own life. */
static void
tell_of_deaths (void *data)
{
  IpcPresence *self = data;
  uint64_t bells = atomic_load (&self->bells);

  atomic_fetch_add (&self->n_deaths, 1);
  for (unsigned i = 0; i < MAX_BELLS; i++)
    if ((bells >> i & 1) != 0)
      ipc_bell_ring (self, self->me, i + 1);
}

/* The index is ours. A crash before the incarnation is stored leaves the one before, which is dead, in place. */
static void
move_in (IpcPresence *self)
{
  Entry *entry = &self->entries[self->index];
  uint64_t incarnation = (atomic_load (&entry->incarnation) + 1) & (((uint64_t) 1 << IPC_OWNER_INDEX_SHIFT) - 1);

  if (incarnation == 0)
    incarnation = 1;
  atomic_store (&entry->life, 0);
  write_label (entry);
  atomic_store (&entry->incarnation, incarnation);
  self->me = (uint64_t) self->index << IPC_OWNER_INDEX_SHIFT | incarnation;
  self->life = ipc_life_new (&entry->life, tell_of_deaths, self);
}

static bool
open_table (int directory_fd, IpcSharedFile *file, IpcFault *fault)
{
  const IpcSharedInfo info = {
    .kind = IPC_SHARED_KIND_PRESENCE,
    .layout = LAYOUT,
    .size = IPC_SHARED_HEADER_SIZE + sizeof (Head) + IPC_PRESENCE_MAX * sizeof (Entry),
  };

  /* Another process may make it, or take it away, in between. */
  for (int i = 0; i < ATTEMPTS; i++)
    {
      if (ipc_shared_file_open (directory_fd, NAME, IPC_SHARED_KIND_PRESENCE, LAYOUT, info.size, true, file, fault))
        {
          if (file->info.size == info.size)
            return true;
          ipc_shared_file_close (file);
          return ipc_fault_set (fault, IPC_FAULT_CORRUPT, "\"%s\" has %ju bytes, expected %ju", NAME, (uintmax_t) file->info.size, (uintmax_t) info.size);
        }
      if (fault->code != IPC_FAULT_NOT_FOUND)
        return false;
      if (ipc_shared_file_create (directory_fd, NAME, &info, NULL, NULL, file, fault))
        return true;
      if (fault->code != IPC_FAULT_EXISTS)
        return false;
    }
  return false;
}

/* What else it needs. */
static bool
open_rest (IpcPresence *self, int directory_fd, const IpcSharedFile *file, IpcFault *fault)
{
  self->lock_fd = ipc_byte_lock_open (file->fd, O_RDWR);
  if (self->lock_fd < 0)
    return ipc_fault_set_errno (fault, errno, "cannot open \"%s\" once more", NAME);
  if (!take_index (self->lock_fd, &self->index, fault))
    return false;
  self->directory_fd = ipc_fork_open (fcntl (directory_fd, F_DUPFD_CLOEXEC, 0));
  if (self->directory_fd < 0)
    return ipc_fault_set_errno (fault, errno, "cannot keep the directory of \"%s\"", NAME);
  return true;
}

static void
free_presence (IpcPresence *self)
{
  const int fds[] = { self->directory_fd, self->lock_fd };

  /* While the names are ours. */
  for (unsigned i = 0; i < MAX_BELLS; i++)
    if (self->bell_fds[i] >= 0)
      ipc_bell_take_down (self, i + 1, self->bell_fds[i]);
  for (unsigned i = 0; i < sizeof fds / sizeof fds[0]; i++)
    if (fds[i] >= 0)
      ipc_fork_close (fds[i]);
  for (unsigned i = 0; i < IPC_PRESENCE_LINES; i++)
    if (self->lines.lines[i].owner != 0)
      ipc_fork_close (self->lines.lines[i].fd);
  pthread_mutex_destroy (&self->lines.lock);
  free (self);
}

static IpcPresence *
find_locked (const IpcSharedFile *file)
{
  for (IpcPresence *known = all; known != NULL; known = known->next)
    if (known->generation == ipc_fork_generation () && known->file.device == file->device && known->file.inode == file->inode)
      return known;
  return NULL;
}

static IpcPresence *
attach_locked (int directory_fd, IpcFault *fault)
{
  IpcSharedFile file = { .fd = -1 };
  IpcPresence *self;

  if (!open_table (directory_fd, &file, fault))
    return NULL;
  self = find_locked (&file);
  if (self != NULL)
    {
      ipc_shared_file_close (&file);
      self->n_users++;
      return self;
    }
  self = calloc (1, sizeof *self);
  if (self == NULL)
    {
      ipc_shared_file_close (&file);
      ipc_fault_set_errno (fault, ENOMEM, "cannot attach to \"%s\"", NAME);
      return NULL;
    }
  self->lock_fd = self->directory_fd = -1;
  for (unsigned i = 0; i < MAX_BELLS; i++)
    self->bell_fds[i] = -1;
  pthread_mutex_init (&self->lines.lock, NULL);
  if (!open_rest (self, directory_fd, &file, fault))
    {
      free_presence (self);
      ipc_shared_file_close (&file);
      return NULL;
    }
  self->file = file;
  self->entries = (Entry *) (ipc_shared_file_get_body (&file) + sizeof (Head));
  self->generation = ipc_fork_generation ();
  self->n_users = 1;
  move_in (self);
  self->next = all;
  all = self;
  return self;
}

IpcPresence *
ipc_presence_attach (int directory_fd, IpcFault *fault)
{
  IpcFault own;
  IpcPresence *self;

  pthread_once (&once, init_once);
  lock_all ();
  self = attach_locked (directory_fd, fault != NULL ? fault : &own);
  unlock_all ();
  return self;
}

void
ipc_presence_detach (IpcPresence *self)
{
  /* In a forked child the parent's is left alone: its descriptor is closed, and its thread is not here. */
  if (self->generation != ipc_fork_generation ())
    return;
  lock_all ();
  if (--self->n_users == 0)
    {
      for (IpcPresence **link = &all; *link != NULL; link = &(*link)->next)
        if (*link == self)
          {
            *link = self->next;
            break;
          }
      if (self->life != NULL)
        ipc_life_free (self->life);
      ipc_shared_file_close (&self->file);
      free_presence (self);
    }
  unlock_all ();
}

/* ---- asking ---- */

IpcOwner
ipc_presence_get_me (const IpcPresence *self)
{
  return self->me;
}

unsigned
ipc_presence_get_index (const IpcPresence *self)
{
  return self->index;
}

void
ipc_presence_get_id (const IpcPresence *self, uint8_t id[16])
{
  _Static_assert (IPC_SHARED_ID_SIZE == 16, "as the header says");
  memcpy (id, self->file.info.id, IPC_SHARED_ID_SIZE);
}

uint64_t
ipc_presence_count_up (IpcPresence *self)
{
  Head *head = (Head *) ipc_shared_file_get_body (&self->file);

  return atomic_fetch_add (&head->count, 1) + 1;
}

int
ipc_presence_get_directory (const IpcPresence *self)
{
  return self->directory_fd;
}

/* NULL: no process can have that id, or another one has its index by now, which it only got because the owner was gone. */
static Entry *
find_entry (IpcPresence *self, IpcOwner owner)
{
  unsigned index = ipc_owner_get_index (owner);
  uint64_t incarnation = owner & (((uint64_t) 1 << IPC_OWNER_INDEX_SHIFT) - 1);

  if (incarnation == 0 || index >= IPC_PRESENCE_MAX)
    return NULL;
  return atomic_load (&self->entries[index].incarnation) == incarnation ? &self->entries[index] : NULL;
}

bool
ipc_presence_is_alive (IpcPresence *self, IpcOwner owner)
{
  Entry *entry;
  struct flock lock;

  if (owner == self->me)
    return true;
  entry = find_entry (self, owner);
  if (entry == NULL || entry == &self->entries[self->index])
    return false;
  if (ipc_byte_lock (self->lock_fd, F_OFD_GETLK, F_WRLCK, ipc_owner_get_index (owner), 1, &lock) != 0)
    return true;                /* no proof */
  return lock.l_type != F_UNLCK;
}

bool
ipc_presence_seems_alive (IpcPresence *self, IpcOwner owner)
{
  Entry *entry;
  uint32_t life;

  if (owner == self->me)
    return true;
  entry = find_entry (self, owner);
  if (entry == NULL)
    return false;
  life = atomic_load (&entry->life);
  if (life == 0)
    return ipc_presence_is_alive (self, owner);
  return !ipc_life_is_over (life);
}

_Atomic uint32_t *
ipc_presence_watch (IpcPresence *self, IpcOwner owner, uint32_t *expected)
{
  Entry *entry = find_entry (self, owner);

  return entry != NULL && ipc_life_watch (&entry->life, expected) ? &entry->life : NULL;
}

void
ipc_presence_ring_at (IpcPresence *self, _Atomic uint32_t *word, uint32_t expected)
{
  if (self->life != NULL)
    ipc_life_add (self->life, word, expected);
}

uint32_t
ipc_presence_count_deaths (const IpcPresence *self)
{
  return atomic_load (&self->n_deaths);
}

void
ipc_presence_get_label (IpcPresence *self, IpcOwner owner, char label[IPC_PRESENCE_LABEL])
{
  Entry *entry = find_entry (self, owner);

  label[0] = '\0';
  if (entry == NULL || atomic_load (&entry->has_label) != 1)
    return;
  /* It may be written anew, by another process, while it is copied: then it is not the owner's. */
  ipc_fault_escape (label, IPC_PRESENCE_LABEL, entry->label, strnlen (entry->label, sizeof entry->label));
  if (atomic_load (&entry->has_label) != 1 || find_entry (self, owner) != entry)
    label[0] = '\0';
}

/* ---- bells ---- */

unsigned
ipc_presence_take_bell (IpcPresence *self)
{
  uint64_t bells = atomic_load (&self->bells);
  unsigned i;

  do
    {
      for (i = 0; i < MAX_BELLS && (bells >> i & 1) != 0; i++)
        ;
      if (i == MAX_BELLS)
        return 0;
    }
  while (!atomic_compare_exchange_weak (&self->bells, &bells, bells | (uint64_t) 1 << i));
  return i + 1;
}

void
ipc_presence_return_bell (IpcPresence *self, unsigned number)
{
  atomic_fetch_and (&self->bells, ~((uint64_t) 1 << (number - 1)));
}

bool
ipc_presence_has_bell (const IpcPresence *self, unsigned number)
{
  return number >= 1 && number <= MAX_BELLS && (atomic_load (&self->bells) >> (number - 1) & 1) != 0;
}

_Atomic int *
ipc_presence_get_bell (IpcPresence *self, unsigned number)
{
  return &self->bell_fds[number - 1];
}

IpcPresenceLines *
ipc_presence_get_lines (IpcPresence *self)
{
  return &self->lines;
}
