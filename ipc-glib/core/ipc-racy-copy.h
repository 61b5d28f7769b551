/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying from and to memory that others may change meanwhile: the caller finds out afterwards whether somebody did.
 * To the language that is a race; so that ThreadSanitizer looks for others than this one, it does not see it.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define IPC_RACES 1
#elif defined(__has_feature)
#if __has_feature (thread_sanitizer)
#define IPC_RACES 1
#endif
#endif

#ifdef IPC_RACES
__attribute__ ((no_sanitize ("thread"), optimize ("no-tree-loop-distribute-patterns"), unused)) static void
ipc_racy_copy (void *to, const void *from, size_t size)
{
  volatile uint8_t *target = to;
  const volatile uint8_t *source = from;

  for (size_t i = 0; i < size; i++)
    target[i] = source[i];
}
/* It does not know fences. */
#define ipc_racy_fence(order) __asm__ __volatile__ ("" ::: "memory")
#else
#define ipc_racy_fence(order) atomic_thread_fence (order)

static inline void
ipc_racy_copy (void *to, const void *from, size_t size)
{
  memcpy (to, from, size);
}
#endif

/* The same for 1 to IPC_RACY_LITTLE bytes, without a call: from both ends, so that it meets or overlaps. */
#define IPC_RACY_LITTLE 64u

#ifdef IPC_RACES
#define ipc_racy_copy_little ipc_racy_copy
#else
#define IPC_RACY_COPY_ENDS(type, to, from, size) \
  do \
    { \
      type ipc_racy_first, ipc_racy_last; \
      memcpy (&ipc_racy_first, from, sizeof (type)); \
      memcpy (&ipc_racy_last, (const uint8_t *) (from) + (size) - sizeof (type), sizeof (type)); \
      memcpy (to, &ipc_racy_first, sizeof (type)); \
      memcpy ((uint8_t *) (to) + (size) - sizeof (type), &ipc_racy_last, sizeof (type)); \
    } \
  while (0)

typedef uint64_t IpcRacyPiece __attribute__ ((vector_size (16)));

static inline void
ipc_racy_copy_little (void *to, const void *from, size_t size)
{
  if (size >= 32)
    {
      IPC_RACY_COPY_ENDS (IpcRacyPiece, to, from, size);
      IPC_RACY_COPY_ENDS (IpcRacyPiece, (uint8_t *) to + 16, (const uint8_t *) from + 16, size - 32);
    }
  else if (size >= 16)
    IPC_RACY_COPY_ENDS (IpcRacyPiece, to, from, size);
  else if (size >= 8)
    IPC_RACY_COPY_ENDS (uint64_t, to, from, size);
  else if (size >= 4)
    IPC_RACY_COPY_ENDS (uint32_t, to, from, size);
  else
    {
      uint8_t middle = ((const uint8_t *) from)[size / 2];

      IPC_RACY_COPY_ENDS (uint8_t, to, from, size);
      ((uint8_t *) to)[size / 2] = middle;
    }
}
#endif

/* The same for much that another processor has in its cache and is going to read: to take each line over from there
 * first is most of what it costs, so the stores go past the caches. */
#if defined(__x86_64__) && !defined(IPC_RACES)
#include <emmintrin.h>

static inline void
ipc_racy_copy_past_cache (void *to, const void *from, size_t size)
{
  uint8_t *target = to;
  const uint8_t *source = from;
  size_t head = -(uintptr_t) target % 16;

  if (size < 64)
    {
      memcpy (target, source, size);
      return;
    }
  memcpy (target, source, head);
  for (; size - head >= 16; head += 16)
    _mm_stream_si128 ((__m128i *) (target + head), _mm_loadu_si128 ((const __m128i *) (source + head)));
  /* They wait for no other stores, nor do others for them. */
  _mm_sfence ();
  memcpy (target + head, source + head, size - head);
}
#else
#define ipc_racy_copy_past_cache ipc_racy_copy
#endif
