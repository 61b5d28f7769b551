// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A counter that is driven from a shell:
 *
 *   pipe-service ADDRESS
 *
 *   echo up > PIPE; echo down > PIPE; echo quit > PIPE
 *   gipc call pipe:ADDRESS value
 *
 * ADDRESS is a name, like "counter", or the absolute path of a named pipe. Each change is printed.
 */

static int main (string[] args) {
  var loop = new MainLoop ();
  int counter = 0;

  if (args.length != 2) {
    stderr.printf ("usage: pipe-service ADDRESS\n");
    return 2;
  }
  var server = new Ipc.PipeServer (args[1]);
  // Each line that somebody writes into the pipe; there is nobody to answer.
  server.add_handler ("line", (server, connection, line) => {
    switch (line.get_text ()) {
    case "up":
      counter++;
      break;
    case "down":
      counter--;
      break;
    case "quit":
      loop.quit ();
      break;
    default:
      stderr.printf ("pipe-service: what is \"%s\"?\n", line.get_text ());
      break;
    }
    stdout.printf ("%d\n", counter);
    stdout.flush ();
    return null;
  });
  // A client of the library gets an answer.
  server.add_handler ("value", (server, connection, request) => {
    return new Ipc.Message.text ("value", counter.to_string ());
  });
  try {
    server.start ();
  } catch (Error error) {
    stderr.printf ("pipe-service: %s\n", error.message);
    return 1;
  }
  stderr.printf ("listening on %s\n", args[1]);
  loop.run ();
  server.stop ();
  return 0;
}
