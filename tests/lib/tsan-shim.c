/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For builds with ThreadSanitizer only. GLib is not instrumented, and its locks are futexes of its own, so the
 * sanitizer would not know what they order, and report races that are not there. These stand in front of the functions
 * of GLib by which one thread hands something to another, and say so; then they call the real ones.
 *
 * This file is compiled without the sanitizer. What GLib calls of itself, within one of its libraries, does not come by
 * here: the calls of the library and of the tests do, and those from GIO to GLib.
 *
 * What is said, is what GLib guarantees:
 *  - a lock orders what was done under it before with what is done under it later;
 *  - what was done before a source, a task or a cancellable was set up or fired, is seen in its callback;
 *  - what was done before a reference was dropped, is seen by who frees it.
 */
#include <dlfcn.h>
#include <gio/gio.h>
#include <pthread.h>
#include <sanitizer/tsan_interface.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Some are macros as well. */
#undef g_task_new
#undef g_once_init_enter
#undef g_once_init_leave
#undef g_object_ref

extern void __tsan_acquire (void *address);
extern void __tsan_release (void *address);

/* The function that is called NAME where it is not this one. */
#define REAL(name) \
  ({ \
    static __typeof__ (&name) ipc_real; \
    __typeof__ (&name) ipc_found = __atomic_load_n (&ipc_real, __ATOMIC_ACQUIRE); \
    if (ipc_found == NULL) \
      { \
        ipc_found = (__typeof__ (&name)) dlsym (RTLD_NEXT, #name); \
        __atomic_store_n (&ipc_real, ipc_found, __ATOMIC_RELEASE); \
      } \
    ipc_found; \
  })

static void
pass_on (gpointer address)
{
  __tsan_acquire (address);
  __tsan_release (address);
}

/* ── Locks ── */

void
g_mutex_init (GMutex *mutex)
{
  __tsan_mutex_create (mutex, __tsan_mutex_not_static);
  REAL (g_mutex_init) (mutex);
}

void
g_mutex_clear (GMutex *mutex)
{
  REAL (g_mutex_clear) (mutex);
  __tsan_mutex_destroy (mutex, 0);
}

void
g_mutex_lock (GMutex *mutex)
{
  __tsan_mutex_pre_lock (mutex, 0);
  REAL (g_mutex_lock) (mutex);
  __tsan_mutex_post_lock (mutex, 0, 0);
}

gboolean
g_mutex_trylock (GMutex *mutex)
{
  gboolean locked;

  __tsan_mutex_pre_lock (mutex, __tsan_mutex_try_lock);
  locked = REAL (g_mutex_trylock) (mutex);
  __tsan_mutex_post_lock (mutex, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

void
g_mutex_unlock (GMutex *mutex)
{
  __tsan_mutex_pre_unlock (mutex, 0);
  REAL (g_mutex_unlock) (mutex);
  __tsan_mutex_post_unlock (mutex, 0);
}

static void
before_wait (GMutex *mutex)
{
  __tsan_mutex_pre_unlock (mutex, 0);
  __tsan_mutex_post_unlock (mutex, 0);
}

static void
after_wait (GMutex *mutex)
{
  __tsan_mutex_pre_lock (mutex, 0);
  __tsan_mutex_post_lock (mutex, 0, 0);
}

void
g_cond_wait (GCond *cond, GMutex *mutex)
{
  before_wait (mutex);
  REAL (g_cond_wait) (cond, mutex);
  after_wait (mutex);
}

gboolean
g_cond_wait_until (GCond *cond, GMutex *mutex, gint64 end_time)
{
  gboolean signalled;

  before_wait (mutex);
  signalled = REAL (g_cond_wait_until) (cond, mutex, end_time);
  after_wait (mutex);
  return signalled;
}

gboolean
g_once_init_enter (volatile void *location)
{
  gboolean first = REAL (g_once_init_enter) (location);

  __tsan_acquire ((gpointer) location);
  return first;
}

void
g_once_init_leave (volatile void *location, gsize result)
{
  __tsan_release ((gpointer) location);
  REAL (g_once_init_leave) (location, result);
}

/* ── References ── */

/* Who has the last one has to see what the others did, and so has to know that it is the last. (Toggle references are
 * for bindings; here are none.) */
void
g_object_unref (gpointer object)
{
  guint *ref_count = (guint *) &((GObject *) object)->ref_count;
  guint count = __atomic_load_n (ref_count, __ATOMIC_SEQ_CST);

  __tsan_release (object);
  while (count > 1)
    if (__atomic_compare_exchange_n (ref_count, &count, count - 1, FALSE, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
      return;
  __tsan_acquire (object);
  REAL (g_object_unref) (object);
}

void
g_bytes_unref (GBytes *bytes)
{
  if (bytes != NULL)
    pass_on (bytes);
  REAL (g_bytes_unref) (bytes);
}

void
g_source_unref (GSource *source)
{
  pass_on (source);
  REAL (g_source_unref) (source);
}

gpointer
g_weak_ref_get (GWeakRef *weak_ref)
{
  gpointer object = REAL (g_weak_ref_get) (weak_ref);

  if (object != NULL)
    __tsan_acquire (object);
  return object;
}

void
g_weak_ref_set (GWeakRef *weak_ref, gpointer object)
{
  if (object != NULL)
    __tsan_release (object);
  REAL (g_weak_ref_set) (weak_ref, object);
}

/* ── Callbacks ── */

/* In place of a callback's data: what the callback is, and the address by which the threads are ordered. */
typedef struct _Carrier Carrier;
struct _Carrier
{
  GCallback func;
  gpointer data;
  GDestroyNotify notify;
  gpointer source; /* (nullable) what it is the callback of */
  Carrier *next;   /* (mutex carriers_lock) */
};

static pthread_mutex_t carriers_lock = PTHREAD_MUTEX_INITIALIZER;
static Carrier *carriers;

/* What GLib sets up when a source is attached, it takes apart after its callback, under a lock of its own. */
static pthread_mutex_t attaching = PTHREAD_MUTEX_INITIALIZER;

static void
wait_until_attached (void)
{
  pthread_mutex_lock (&attaching);
  pthread_mutex_unlock (&attaching);
}

static Carrier *
carrier_new (gpointer source, GCallback func, gpointer data, GDestroyNotify notify)
{
  Carrier *self = g_new (Carrier, 1);

  pthread_mutex_lock (&carriers_lock);
  *self = (Carrier){ func, data, notify, source, carriers };
  carriers = self;
  pthread_mutex_unlock (&carriers_lock);
  __tsan_release (self);
  return self;
}

static gboolean
is_carrier (gpointer address)
{
  gboolean found = FALSE;

  pthread_mutex_lock (&carriers_lock);
  for (Carrier *carrier = carriers; carrier != NULL && !found; carrier = carrier->next)
    found = carrier == address;
  pthread_mutex_unlock (&carriers_lock);
  return found;
}

static void
carrier_free (gpointer data)
{
  Carrier *self = data;

  pass_on (self);
  pthread_mutex_lock (&carriers_lock);
  for (Carrier **link = &carriers; *link != NULL; link = &(*link)->next)
    if (*link == self)
      {
        *link = self->next;
        break;
      }
  pthread_mutex_unlock (&carriers_lock);
  if (self->notify != NULL)
    self->notify (self->data);
  g_free (self);
}

/* The data is the first, second or third argument, depending on the source. */
static gboolean
carry (gpointer a, gpointer b, gpointer c)
{
  Carrier *self = is_carrier (a) ? a : is_carrier (b) ? b : c;
  gboolean (*func) (gpointer, gpointer, gpointer) = (gpointer) self->func;
  gboolean again;

  wait_until_attached ();
  __tsan_acquire (self);
  again = func (a == self ? self->data : a, b == self ? self->data : b, c == self ? self->data : c);
  __tsan_release (self);
  return again;
}

void
g_source_set_callback (GSource *source, GSourceFunc func, gpointer data, GDestroyNotify notify)
{
  REAL (g_source_set_callback) (source, (GSourceFunc) (gpointer) carry, carrier_new (source, G_CALLBACK (func), data, notify), carrier_free);
}

/* What is called of a source of the library's own, in place of its functions; found by the pointer that each source has. */
typedef struct
{
  GSourceFuncs wrapped; /* first */
  GSourceFuncs *real;
} Wrapped;

static GSourceFuncs *
get_real (GSource *source)
{
  wait_until_attached ();
  __tsan_acquire (source);
  return ((Wrapped *) (gpointer) source->source_funcs)->real;
}

static gboolean
wrapped_prepare (GSource *source, gint *timeout)
{
  gboolean ready = get_real (source)->prepare (source, timeout);

  __tsan_release (source);
  return ready;
}

static gboolean
wrapped_check (GSource *source)
{
  gboolean ready = get_real (source)->check (source);

  __tsan_release (source);
  return ready;
}

static gboolean
wrapped_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  gboolean again = get_real (source)->dispatch (source, callback, data);

  __tsan_release (source);
  return again;
}

static void
wrapped_finalize (GSource *source)
{
  get_real (source)->finalize (source);
}

static GSourceFuncs *
wrap (GSourceFuncs *real)
{
  static Wrapped all[64];
  Wrapped *wrapped = all;

  pthread_mutex_lock (&carriers_lock);
  while (wrapped->real != NULL && wrapped->real != real)
    wrapped++;
  wrapped->real = real;
  wrapped->wrapped.prepare = real->prepare != NULL ? wrapped_prepare : NULL;
  wrapped->wrapped.check = real->check != NULL ? wrapped_check : NULL;
  wrapped->wrapped.dispatch = wrapped_dispatch;
  wrapped->wrapped.finalize = real->finalize != NULL ? wrapped_finalize : NULL;
  wrapped->wrapped.closure_callback = real->closure_callback;
  wrapped->wrapped.closure_marshal = real->closure_marshal;
  pthread_mutex_unlock (&carriers_lock);
  return &wrapped->wrapped;
}

GSource *
g_source_new (GSourceFuncs *funcs, guint size)
{
  return REAL (g_source_new) (wrap (funcs), size);
}

guint
g_source_attach (GSource *source, GMainContext *context)
{
  guint id;

  pthread_mutex_lock (&carriers_lock);
  for (Carrier *carrier = carriers; carrier != NULL; carrier = carrier->next)
    if (carrier->source == source)
      __tsan_release (carrier);
  pthread_mutex_unlock (&carriers_lock);
  __tsan_release (source);
  pthread_mutex_lock (&attaching);
  id = REAL (g_source_attach) (source, context);
  pthread_mutex_unlock (&attaching);
  return id;
}

/* As GLib has it, with the functions above. */
void
g_main_context_invoke_full (GMainContext *context, gint priority, GSourceFunc function, gpointer data, GDestroyNotify notify)
{
  GMainContext *own = g_main_context_get_thread_default ();
  gboolean is_owner, acquired;

  if (context == NULL)
    context = g_main_context_default ();
  if (own == NULL)
    own = g_main_context_default ();
  is_owner = g_main_context_is_owner (context);
  acquired = !is_owner && own == context && g_main_context_acquire (context);
  if (is_owner || acquired)
    {
      while (function (data))
        ;
      if (acquired)
        g_main_context_release (context);
      if (notify != NULL)
        notify (data);
    }
  else
    {
      GSource *source = g_idle_source_new ();

      g_source_set_priority (source, priority);
      g_source_set_callback (source, function, data, notify);
      g_source_attach (source, context);
      g_source_unref (source);
    }
}

/* ── Tasks ── */

static void
carry_result (GObject *source, GAsyncResult *result, gpointer data)
{
  Carrier *self = data;
  GAsyncReadyCallback callback = (GAsyncReadyCallback) (gpointer) self->func;
  gpointer user_data = self->data;

  __tsan_acquire (result);
  carrier_free (self);
  callback (source, result, user_data);
}

GTask *
g_task_new (gpointer source, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  if (callback == NULL)
    return REAL (g_task_new) (source, cancellable, NULL, data);
  return REAL (g_task_new) (source, cancellable, carry_result, carrier_new (NULL, G_CALLBACK (callback), data, NULL));
}

void
g_task_return_pointer (GTask *task, gpointer result, GDestroyNotify notify)
{
  __tsan_release (task);
  REAL (g_task_return_pointer) (task, result, notify);
}

void
g_task_return_boolean (GTask *task, gboolean result)
{
  __tsan_release (task);
  REAL (g_task_return_boolean) (task, result);
}

void
g_task_return_error (GTask *task, GError *error)
{
  __tsan_release (task);
  REAL (g_task_return_error) (task, error);
}

/* ── Cancellation ── */

gulong
g_cancellable_connect (GCancellable *cancellable, GCallback callback, gpointer data, GDestroyNotify notify)
{
  if (cancellable != NULL)
    __tsan_release (cancellable);
  return REAL (g_cancellable_connect) (cancellable, callback, data, notify);
}

void
g_cancellable_cancel (GCancellable *cancellable)
{
  if (cancellable != NULL)
    pass_on (cancellable);
  REAL (g_cancellable_cancel) (cancellable);
  if (cancellable != NULL)
    __tsan_release (cancellable);
}

void
g_cancellable_disconnect (GCancellable *cancellable, gulong id)
{
  REAL (g_cancellable_disconnect) (cancellable, id);
  if (cancellable != NULL)
    pass_on (cancellable);
}

gboolean
g_cancellable_is_cancelled (GCancellable *cancellable)
{
  gboolean cancelled = REAL (g_cancellable_is_cancelled) (cancellable);

  if (cancelled)
    __tsan_acquire (cancellable);
  return cancelled;
}

/* ── Maps ── */

/* What is put in the place of other pages, the kernel puts there as one step, and who reads meanwhile reads these or those. The sanitizer
 * takes it for a write to all of them. */
void *
mmap64 (void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
  if ((flags & MAP_FIXED) != 0)
    return (void *) syscall (SYS_mmap, address, length, protection, flags, fd, offset);
  return REAL (mmap64) (address, length, protection, flags, fd, offset);
}
