#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# shell.sh FILE...: the shell scripts pass shellcheck.
command -v shellcheck >/dev/null || { echo "there is no shellcheck"; exit 77; }
exec shellcheck --shell=sh "$@"
