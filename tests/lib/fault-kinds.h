/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "fault-shim.h"

#define FAULT_KIND_ERRORS 7

typedef struct
{
  const char *call;
  int errors[FAULT_KIND_ERRORS];        /* errnos and FAULT_SHORT; 0 ends them */
} FaultKind;

const FaultKind *fault_kinds (size_t *n);
