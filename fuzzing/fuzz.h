/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fuzz target is one file that defines LLVMFuzzerTestOneInput(): it takes any
 * bytes, returns 0, and aborts (g_assert_*) where a promise is broken. The bytes
 * are a heap block of exactly SIZE.
 */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Optional: what has to be done once, before the first input. */
int LLVMFuzzerInitialize (int *argc, char ***argv);
