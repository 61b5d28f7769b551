# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs functions as test cases and reports them as TAP."""

import os
import signal
import traceback

DEADLINE = 120


class Skip(Exception):
    pass


def run(cases):
    """CASES of (name, function). The exit status for sys.exit()."""
    signal.alarm(int(os.environ.get('TEST_DEADLINE', DEADLINE)))
    print('TAP version 13\n1..%d' % len(cases), flush=True)
    failed = 0
    for number, (name, function) in enumerate(cases, 1):
        try:
            function()
            print('ok %d %s' % (number, name), flush=True)
        except Skip as reason:
            print('ok %d %s # SKIP %s' % (number, name, reason), flush=True)
        except Exception:
            failed += 1
            print('not ok %d %s' % (number, name))
            print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()), flush=True)
    return 1 if failed else 0


def equal(have, want, what=''):
    if have != want:
        raise AssertionError('%s: %.400s, expected %.400s' % (what, repr(have), repr(want)))
