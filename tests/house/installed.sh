#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# installed.sh BUILD-DIR PREFIX COMPILER...
#
# Installs into a fresh directory, and builds and runs a program there as a user would: with pkg-config, the installed
# headers, and nothing of the source tree. Then looks at what was installed.
set -eu

build=$1 prefix=$2
shift 2
command -v pkg-config >/dev/null || { echo "there is no pkg-config"; exit 77; }
command -v meson >/dev/null || { echo "there is no meson"; exit 77; }

fail () { echo "$*" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
meson install -C "$build" --no-rebuild --quiet --destdir "$root" >"$root/log" 2>&1 || { cat "$root/log"; exit 1; }

pc=$(find "$root" -name ipc-glib-1.0.pc)
[ -n "$pc" ] || fail "ipc-glib-1.0.pc is not installed"
# a copy that is right about where it is now; all else in it has to follow from the prefix
mkdir "$root/pkgconfig"
sed "s|^prefix=.*|prefix=$root$prefix|" "$pc" >"$root/pkgconfig/ipc-glib-1.0.pc"
PKG_CONFIG_PATH=$root/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
pkg-config --validate ipc-glib-1.0

cat >"$root/program.c" <<'END'
#include <ipc-glib/ipc-glib.h>

int
main (void)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("greeting", "hello");

  g_print ("%s %s\n", ipc_message_get_text (message), IPC_VERSION_S);
  return 0;
}
END
# shellcheck disable=SC2046 # these are words
"$@" -Wall -Werror "$root/program.c" -o "$root/program" $(pkg-config --cflags --libs ipc-glib-1.0)
output=$(LD_LIBRARY_PATH=$(pkg-config --variable=libdir ipc-glib-1.0) "$root/program")
[ "$output" = "hello $(pkg-config --modversion ipc-glib-1.0)" ] || fail "the program said: $output"

headers=$root$prefix/include/ipc-glib-1.0/ipc-glib
[ -e "$headers/ipc-glib.h" ] || fail "the umbrella header is not installed"
if find "$headers" -mindepth 1 -type d | grep .; then fail "headers are not installed flat"; fi
if find "$headers" -name '*private*' | grep .; then fail "private headers are installed"; fi
# one that does not come through the umbrella header is refused, and says why
for header in "$headers"/*.h; do
  name=${header##*/}
  [ "$name" != ipc-glib.h ] || continue
  grep -q "\"$name\"" "$headers/ipc-glib.h" || fail "$name is installed, and not in the umbrella header"
done
