/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plain values that one thread writes while others look: a flag that only says
 * what to do first and is judged again under the lock, a statistic, a pointer
 * that is only compared. Such a read or write is one machine instruction as
 * before, and the compiler and ThreadSanitizer know that it is meant.
 *
 * Nothing is ordered by these: what belongs together is under a lock.
 */
#pragma once

#define IPC_READ_ONCE(place) __atomic_load_n (&(place), __ATOMIC_RELAXED)
#define IPC_WRITE_ONCE(place, value) __atomic_store_n (&(place), (value), __ATOMIC_RELAXED)
/* There is one writer at a time. */
#define IPC_ADD_ONCE(place, n) IPC_WRITE_ONCE (place, (place) + (n))
