/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipc-abuse: what many hostile clients cost a server, and an honest client beside them.
 *
 * Three processes: a server with the defaults (but for the number of clients), one that is all the hostile clients,
 * plain sockets that never read, and this one, which asks the server for an echo again and again and looks at how
 * much memory the server has. It prints the growth of that, and how long the honest client waited.
 */
#include <errno.h>
#include <ipc-glib/ipc-glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024.0 * 1024.0)
#define HEADER 32u
#define FRAMES_A_WRITE 64u
#define UNFINISHED 20000u

typedef struct
{
  const char *name;
  const char *title;
  const char *type;     /* of the requests; NULL: none */
  gsize size;           /* of their payloads */
  gsize unfinished;     /* how much of one frame is sent, instead of requests */
} Attack;

static const Attack attacks[] = {
  { "requests", "small requests", "echo", 64, 0 },
  { "replies", "small requests that ask for 64 KiB each", "large", 16, 0 },
  { "held", "requests of 16 KiB that the server never answers", "hold", 16384, 0 },
  { "unfinished", "20,000 bytes of a frame that never ends", NULL, 0, UNFINISHED },
  { "events", "nothing but not reading what the server sends to all", NULL, 0, 0 },
};

static int n_clients = 1000;
static double seconds = 10;
static char *only = NULL;
static gboolean check = FALSE;
static double max_growth = 64;
static double max_p99 = 50;

static const GOptionEntry entries[] = {
  { "clients", 0, 0, G_OPTION_ARG_INT, &n_clients, "Hostile clients (1000)", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "How long each attack goes on (10)", "S" },
  { "only", 0, 0, G_OPTION_ARG_STRING, &only, "Only these attacks, separated by commas", "ATTACKS" },
  { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Exit with 1 if a limit is exceeded", NULL },
  { "max-growth", 0, 0, G_OPTION_ARG_DOUBLE, &max_growth, "Limit of what the server may grow by (64)", "MIB" },
  { "max-p99", 0, 0, G_OPTION_ARG_DOUBLE, &max_p99, "Limit of what 99% of the honest requests may take (50)", "MS" },
  G_OPTION_ENTRY_NULL
};

static G_NORETURN void
fail (const char *what)
{
  fprintf (stderr, "ipc-abuse: %s: %s\n", what, g_strerror (errno));
  _exit (1);
}

static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      (void) setrlimit (RLIMIT_NOFILE, &limit);
    }
}

/* ---- the server ---- */

static IpcMessage *
on_echo (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return ipc_message_new ("echo", ipc_message_get_payload (request));
}

/* Made anew each time: nothing of it is shared. */
static IpcMessage *
on_large (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autoptr (GBytes) payload = g_bytes_new_take (memset (g_malloc (65536), 'x', 65536), 65536);

  return ipc_message_new ("large", payload);
}

typedef struct
{
  IpcConnection *connection;    /* not owned: it is there until it is disconnected */
  IpcMessage *request;          /* (owned) */
} Held;

static void
held_free (gpointer data)
{
  Held *held = data;

  ipc_message_unref (held->request);
  g_free (held);
}

static IpcMessage *
on_hold (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer all, GError **error)
{
  Held *held = g_new (Held, 1);

  *held = (Held){ connection, ipc_message_ref (request) };
  g_ptr_array_add (all, held);
  return NULL;
}

/* Nobody waits for those any more. */
static void
on_disconnected (IpcServer *server, IpcConnection *connection, const GError *error, gpointer data)
{
  GPtrArray *all = data;

  for (guint i = all->len; i-- > 0;)
    if (((Held *) g_ptr_array_index (all, i))->connection == connection)
      g_ptr_array_remove_index_fast (all, i);
}

static gboolean
broadcast (gpointer server)
{
  g_autoptr (GBytes) payload = g_bytes_new_take (memset (g_malloc (1024), 'x', 1024), 1024);
  g_autoptr (IpcMessage) message = ipc_message_new ("news", payload);

  ipc_server_broadcast (server, message, NULL);
  return G_SOURCE_CONTINUE;
}

static G_NORETURN void
serve (const Attack *attack, const char *path, int ready_fd)
{
  g_autoptr (IpcServer) server = IPC_SERVER (ipc_socket_server_new (path));
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GPtrArray) held = g_ptr_array_new_with_free_func (held_free);
  g_autoptr (GError) error = NULL;

  ipc_server_set_max_clients (server, (guint) n_clients + 10);
  ipc_server_add_handler (server, "echo", on_echo, NULL, NULL);
  ipc_server_add_handler (server, "large", on_large, NULL, NULL);
  ipc_server_add_handler (server, "hold", on_hold, held, NULL);
  g_signal_connect (server, "client-disconnected", G_CALLBACK (on_disconnected), held);
  if (!ipc_server_start (server, &error))
    {
      fprintf (stderr, "ipc-abuse: %s\n", error->message);
      _exit (1);
    }
  if (g_str_equal (attack->name, "events"))
    g_timeout_add (5, broadcast, server);
  if (write (ready_fd, "r", 1) != 1)
    fail ("the server cannot report");
  g_main_loop_run (loop);
  _exit (0);
}

/* ---- the hostile clients ---- */

typedef struct
{
  int fd;               /* -1: to be connected */
  guint64 serial;
  gsize written;        /* of the bytes that are to be written now */
} Client;

static void
store (guint8 *to, guint64 value, guint size)
{
  for (guint i = 0; i < size; i++)
    to[i] = (guint8) (value >> (8 * i));
}

static void
write_header (guint8 *to, gsize length, guint8 kind, gsize type_length, guint64 serial)
{
  memset (to, 0, HEADER);
  store (to, length, 4);
  to[4] = kind;
  to[7] = (guint8) type_length;
  store (to + 8, serial, 8);
}

/* FALSE: not now. */
static gboolean
join (Client *client, const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  guint8 hello[8 + HEADER] = { 0x00, 'I', 'P', 'C', 0x01, '\r', '\n', 0x00 };

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  write_header (hello + 8, 0, 1, 0, 0);
  client->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (client->fd < 0)
    fail ("socket");
  client->serial = 0;
  client->written = 0;
  if (connect (client->fd, (struct sockaddr *) &address, sizeof address) == 0 && send (client->fd, hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello)
    return TRUE;
  close (client->fd);
  client->fd = -1;
  return FALSE;
}

/* What a client writes at a time: so many requests with its next serials, or its one unfinished frame. */
static gsize
fill (const Attack *attack, const Client *client, guint8 *buffer)
{
  gsize type_length = attack->type != NULL ? strlen (attack->type) : 0;
  gsize frame = HEADER + type_length + attack->size;
  guint n = (guint) CLAMP (262144 / frame, 1, FRAMES_A_WRITE);

  if (attack->unfinished > 0)
    {
      write_header (buffer, 65536, 2, 1, 0);
      memset (buffer + HEADER, 'x', attack->unfinished - HEADER);
      return attack->unfinished;
    }
  for (guint i = 0; i < n; i++, buffer += frame)
    {
      write_header (buffer, frame - HEADER, 3, type_length, client->serial + i + 1);
      memcpy (buffer + HEADER, attack->type, type_length);
      memset (buffer + HEADER + type_length, 'x', attack->size);
    }
  return n * frame;
}

/* TRUE: something could be done. */
static gboolean
push (const Attack *attack, Client *client, const char *path, guint8 *buffer)
{
  gsize size;
  gssize n;

  if (client->fd < 0)
    return join (client, path);
  if (attack->type == NULL && (attack->unfinished == 0 || client->written == attack->unfinished))
    return FALSE;
  size = fill (attack, client, buffer);
  n = send (client->fd, buffer + client->written, size - client->written, MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN)
    return FALSE;
  if (n < 0)
    {
      close (client->fd);
      client->fd = -1;
      return TRUE;
    }
  client->written += (gsize) n;
  if (client->written == size && attack->unfinished == 0)
    {
      client->written = 0;
      client->serial += size / (HEADER + strlen (attack->type) + attack->size);
    }
  return TRUE;
}

static G_NORETURN void
attack_for_ever (const Attack *attack, const char *path)
{
  Client *clients = g_new (Client, n_clients);
  guint8 *buffer = g_malloc (1 << 20);

  for (int i = 0; i < n_clients; i++)
    clients[i] = (Client){ .fd = -1 };
  for (;;)
    {
      gboolean busy = FALSE;

      for (int i = 0; i < n_clients; i++)
        busy |= push (attack, &clients[i], path, buffer);
      if (!busy)
        g_usleep (1000);
    }
}

/* ---- the honest one, and the result ---- */

/* Memory of PID that is not files, in bytes. */
static guint64
get_memory (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", (int) pid);
  g_autofree char *status = NULL;
  const char *line;

  if (!g_file_get_contents (path, &status, NULL, NULL))
    return 0;
  line = strstr (status, "RssAnon:");
  return line != NULL ? g_ascii_strtoull (line + strlen ("RssAnon:"), NULL, 10) * 1024 : 0;
}

static gint
compare_times (gconstpointer a, gconstpointer b)
{
  gint64 one = *(const gint64 *) a, other = *(const gint64 *) b;

  return one < other ? -1 : one > other;
}

static double
get_quantile (GArray *times, double quantile)
{
  guint i = (guint) (quantile * (times->len - 1));

  return (double) g_array_index (times, gint64, i) / 1000;
}

static gboolean
ask (IpcClient *client, GArray *times)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "honest");
  gint64 start = g_get_monotonic_time ();
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcMessage) reply = ipc_client_request (client, request, 10000, NULL, &error);
  gint64 time = g_get_monotonic_time () - start;
  gsize size;

  if (reply == NULL)
    {
      fprintf (stderr, "ipc-abuse: the honest client: %s\n", error->message);
      return FALSE;
    }
  if (memcmp (ipc_message_peek_payload (reply, &size), "honest", 6) != 0)
    return FALSE;
  g_array_append_val (times, time);
  return TRUE;
}

static gboolean
watch (const Attack *attack, IpcClient *client, pid_t server, guint64 before)
{
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
  gint64 end = g_get_monotonic_time () + (gint64) (seconds * G_USEC_PER_SEC);
  gint64 look = 0;
  guint64 most = before;
  gboolean good = TRUE;
  double growth;

  while (good && g_get_monotonic_time () < end)
    {
      good = ask (client, times);
      if (g_get_monotonic_time () >= look)
        {
          most = MAX (most, get_memory (server));
          look = g_get_monotonic_time () + 20000;
        }
      g_usleep (500);
    }
  if (times->len == 0)
    return FALSE;
  g_array_sort (times, compare_times);
  growth = ((double) most - (double) before) / MIB;
  good &= growth <= max_growth && get_quantile (times, 0.99) <= max_p99;
  g_print ("%-11s %7d %9.1f MiB %9u %8.2f %8.2f %8.2f ms  %s\n", attack->name, n_clients, growth, times->len,
           get_quantile (times, 0.5), get_quantile (times, 0.99), get_quantile (times, 1), good ? "pass" : "FAIL");
  return good;
}

static pid_t
start (void)
{
  pid_t parent = getpid ();
  pid_t pid = fork ();

  if (pid < 0)
    fail ("fork");
  if (pid > 0)
    return pid;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != parent)
    _exit (1);
  return 0;
}

static void
end (pid_t pid)
{
  kill (pid, SIGKILL);
  while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
    ;
}

/* A child that begins when a byte comes through what *GO is set to. */
static pid_t
start_hostile (const Attack *attack, const char *path, int *go)
{
  int ends[2];
  pid_t pid;
  char byte;

  if (pipe (ends) != 0)
    fail ("pipe");
  pid = start ();
  if (pid == 0)
    {
      if (read (ends[0], &byte, 1) != 1)
        _exit (1);
      attack_for_ever (attack, path);
    }
  close (ends[0]);
  *go = ends[1];
  return pid;
}

static pid_t
start_server (const Attack *attack, const char *path)
{
  int ready[2];
  pid_t pid;
  char byte;

  if (pipe (ready) != 0)
    fail ("pipe");
  pid = start ();
  if (pid == 0)
    serve (attack, path, ready[1]);
  close (ready[1]);
  if (read (ready[0], &byte, 1) != 1)
    _exit (1);
  close (ready[0]);
  return pid;
}

/* In a process of its own: the library is not to have been used before the others are forked off. */
static int
run_attack (const Attack *attack, const char *directory)
{
  g_autofree char *path = g_build_filename (directory, "server", NULL);
  pid_t server = start_server (attack, path);
  int go;
  pid_t hostile = start_hostile (attack, path, &go);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (GError) error = NULL;
  gboolean good;
  guint64 before;

  /* The honest one is in before the others come. */
  if (!ipc_client_open (client, NULL, &error))
    {
      fprintf (stderr, "ipc-abuse: %s\n", error->message);
      return 1;
    }
  before = get_memory (server);
  if (write (go, "g", 1) != 1)
    fail ("the attack does not begin");
  good = watch (attack, client, server, before);
  end (hostile);
  end (server);
  close (go);
  unlink (path);
  return good || !check ? 0 : 1;
}

static gboolean
run (const Attack *attack, const char *directory)
{
  int status = 1;
  pid_t pid;

  fflush (stdout);
  pid = start ();
  if (pid == 0)
    {
      int result = run_attack (attack, directory);

      fflush (stdout);
      _exit (result);
    }
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  return status == 0;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- what hostile clients cost");
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) names = NULL;
  g_autofree char *directory = NULL;
  gboolean good = TRUE;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc > 1 || n_clients < 1 || seconds <= 0)
    {
      g_printerr ("ipc-abuse: %s\n", error != NULL ? error->message : "bad arguments (see --help)");
      return 2;
    }
  signal (SIGPIPE, SIG_IGN);
  raise_descriptor_limit ();
  names = only != NULL ? g_strsplit (only, ",", -1) : NULL;
  directory = g_dir_make_tmp ("ipc-abuse-XXXXXX", &error);
  if (directory == NULL)
    {
      g_printerr ("ipc-abuse: %s\n", error->message);
      return 1;
    }
  g_print ("%-11s %7s %13s %9s %8s %8s %8s\n", "attack", "clients", "server grows", "honest", "p50", "p99", "max");
  for (guint i = 0; i < G_N_ELEMENTS (attacks); i++)
    if (names == NULL || g_strv_contains ((const char *const *) names, attacks[i].name))
      good &= run (&attacks[i], directory);
  {
    g_autofree char *lock = g_build_filename (directory, ".server.lock", NULL);

    unlink (lock);
    rmdir (directory);
  }
  return good ? 0 : 1;
}
