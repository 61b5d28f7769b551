/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server answers to `ipc.stats`, the rates between two such answers, and both as text.
 */
#include "gipc.h"

static guint64
get_number (GVariant *stats, const char *name)
{
  guint64 value = 0;

  g_variant_lookup (stats, name, "t", &value);
  return value;
}

/* FALSE: REPLY is something else. */
gboolean
gipc_sample_read (GipcSample *sample, IpcMessage *reply)
{
  GVariant *stats = ipc_message_get_variant (reply);

  if (stats == NULL || !g_variant_is_of_type (stats, G_VARIANT_TYPE_VARDICT))
    return FALSE;
  *sample = (GipcSample){
    .uptime = MAX (get_number (stats, "uptime"), 1),
    .clients = get_number (stats, "clients"),
    .refused = get_number (stats, "clients-refused"),
    .messages_received = get_number (stats, "messages-received"),
    .messages_sent = get_number (stats, "messages-sent"),
    .messages_dropped = get_number (stats, "messages-dropped"),
    .bytes_received = get_number (stats, "bytes-received"),
    .bytes_sent = get_number (stats, "bytes-sent"),
    .queued_bytes = get_number (stats, "queued-bytes"),
  };
  g_variant_lookup (stats, "pid", "u", &sample->pid);
  return TRUE;
}

/* Measured with the clock of the server, so that nobody's delay counts. FALSE: BEFORE is not of the same server. */
gboolean
gipc_sample_get_rates (const GipcSample *before, const GipcSample *now, GipcRates *rates)
{
  double seconds = ((double) now->uptime - (double) before->uptime) / 1000;

  if (before->uptime == 0 || before->pid != now->pid || seconds <= 0)
    return FALSE;
  rates->messages = (double) (now->messages_received - before->messages_received + now->messages_sent - before->messages_sent) / seconds;
  rates->bytes = (double) (now->bytes_received - before->bytes_received + now->bytes_sent - before->bytes_sent) / seconds;
  return TRUE;
}

static void
add_number (GString *out, const char *name, guint64 value)
{
  gipc_json_append_name (out, name);
  g_string_append_printf (out, "%" G_GUINT64_FORMAT, value);
}

static void
add_rate (GString *out, const char *name, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  gipc_json_append_name (out, name);
  g_string_append (out, g_ascii_formatd (text, sizeof text, "%.1f", value));
}

/* RATES is NULL while they are not known. */
void
gipc_sample_to_json (const GipcSample *sample, const GipcRates *rates, GString *out)
{
  add_number (out, "pid", sample->pid);
  add_number (out, "uptime", sample->uptime);
  add_number (out, "clients", sample->clients);
  add_number (out, "clients_refused", sample->refused);
  add_number (out, "messages_received", sample->messages_received);
  add_number (out, "messages_sent", sample->messages_sent);
  add_number (out, "messages_dropped", sample->messages_dropped);
  add_number (out, "bytes_received", sample->bytes_received);
  add_number (out, "bytes_sent", sample->bytes_sent);
  add_number (out, "queued_bytes", sample->queued_bytes);
  if (rates == NULL)
    return;
  add_rate (out, "messages_per_second", rates->messages);
  add_rate (out, "bytes_per_second", rates->bytes);
}

/* At most 7 characters: 999.9k */
static void
format_short (char *text, gsize size, double value)
{
  static const char units[] = " kMGTPE";
  guint unit = 0;

  while (value >= 999.95 && unit < sizeof units - 2)
    {
      value /= 1000;
      unit++;
    }
  if (unit == 0)
    g_snprintf (text, (gulong) size, "%.0f", value);
  else
    g_snprintf (text, (gulong) size, "%.1f%c", value, units[unit]);
}

const char gipc_sample_header[] = "CLIENTS   MSG/S     B/S  QUEUED DROPPED";

char *
gipc_sample_to_row (const GipcSample *sample, const GipcRates *rates)
{
  char messages[16] = "-", bytes[16] = "-", queued[16], dropped[16];

  if (rates != NULL)
    {
      format_short (messages, sizeof messages, rates->messages);
      format_short (bytes, sizeof bytes, rates->bytes);
    }
  format_short (queued, sizeof queued, (double) sample->queued_bytes);
  format_short (dropped, sizeof dropped, (double) sample->messages_dropped);
  return g_strdup_printf ("%7" G_GUINT64_FORMAT " %7s %7s %7s %7s", sample->clients, messages, bytes, queued, dropped);
}
