/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fault-tell.h"

static char now[256];

void
fault_describe (const char *operation, const Fault *fault)
{
  if (fault == NULL)
    g_snprintf (now, sizeof now, "%s, nothing fails", operation);
  else
    g_snprintf (now, sizeof now, "%s, %s number %u%s says %s", operation, fault->call, fault->first,
                fault->times == 1 ? "" : fault->times == 0 ? " and all after it" : " and the next ones",
                fault->error == FAULT_SHORT ? "one byte" : g_strerror (fault->error));
}

const char *
fault_get_now (void)
{
  return now;
}

void
fault_complain (const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_test_message ("%s: %s", now, what);
  g_test_fail ();
}
