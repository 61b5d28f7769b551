/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The JSON validator: the input is a document. However it is cut, the verdict is
 * the same; and what passes, json-glib reads and writes as something that passes.
 */
#include "fuzz.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "core/ipc-json-validator.h"

typedef struct
{
  IpcJsonStatus status;
  size_t taken;
  IpcFault fault;
} Verdict;

/* Cuts of 1 to 8 bytes that depend on the input alone; in one go if STATE is 0. */
static size_t
next_cut (uint32_t *state, size_t left)
{
  if (*state == 0)
    return left;
  *state = *state * 1664525 + 1013904223;
  return MIN (left, (*state >> 29) + 1);
}

static Verdict
judge (bool object_only, const uint8_t *data, size_t size, uint32_t state)
{
  IpcJsonValidator *validator = ipc_json_validator_new (object_only);
  Verdict verdict = { .status = IPC_JSON_MORE };

  while (verdict.status == IPC_JSON_MORE && verdict.taken < size)
    {
      size_t piece_size = next_cut (&state, size - verdict.taken), taken = 0;
      g_autofree uint8_t *piece = g_memdup2 (data + verdict.taken, piece_size);

      verdict.status = ipc_json_validator_feed (validator, piece, piece_size, &taken, &verdict.fault);
      if (verdict.status == IPC_JSON_MORE)
        g_assert_cmpuint (taken, ==, piece_size);
      verdict.taken += taken;
    }
  if (verdict.status == IPC_JSON_MORE)
    verdict.status = ipc_json_validator_finish (validator, &verdict.fault);
  ipc_json_validator_free (validator);
  return verdict;
}

static void
check_cuts (bool object_only, const uint8_t *data, size_t size)
{
  uint32_t state = (uint32_t) size;
  Verdict whole = judge (object_only, data, size, 0), cut;

  for (size_t i = 0; i < size; i++)
    state = state * 31 + data[i];
  cut = judge (object_only, data, size, state | 1);
  g_assert_cmpint (whole.status, ==, cut.status);
  g_assert_cmpint (whole.fault.code, ==, cut.fault.code);
  g_assert_cmpstr (whole.fault.message, ==, cut.fault.message);
  if (whole.status == IPC_JSON_COMPLETE)
    g_assert_cmpuint (whole.taken, ==, cut.taken);
  else
    g_assert_false (ipc_json_validate (data, size, object_only, NULL));
}

static void
check_with_json_glib (const char *text, size_t size)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GError) error = NULL;
  g_autofree char *written = NULL;
  IpcFault fault;

  if (!json_parser_load_from_data (parser, text, (gssize) size, &error))
    g_error ("json-glib: %s", error->message);
  written = json_to_string (json_parser_get_root (parser), FALSE);
  /* A double that needs an exponent and no fraction is written as `1e+308.0`: json-glib's own mistake. */
  if (!ipc_json_validate (written, strlen (written), false, &fault) && strstr (fault.message, "invalid number") == NULL)
    g_error ("what json-glib made of it: %s: %s", fault.message, written);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  bool any = ipc_json_validate (data, size, false, NULL), object = ipc_json_validate (data, size, true, NULL);

  check_cuts (false, data, size);
  check_cuts (true, data, size);
  g_assert_true (any || !object);
  if (any)
    check_with_json_glib ((const char *) data, size);
  return 0;
}
