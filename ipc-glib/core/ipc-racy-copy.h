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
