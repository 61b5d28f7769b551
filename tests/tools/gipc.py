# SPDX-License-Identifier: LGPL-2.1-or-later
"""gipc as the tests run it, and how it says that something is wrong."""

import os

from programs import run
from tap import equal

GIPC = os.environ['GIPC']


def gipc(*arguments, **options):
    return run(GIPC, *arguments, **options)


def check_error(result, status, *words):
    equal(result.returncode, status, 'status of %r' % (result,))
    equal(result.stdout, b'', 'standard output')
    text = result.stderr.decode()
    equal(text.count('\n'), 1, 'lines in %r' % text)
    equal(text[:6], 'gipc: ', 'prefix of %r' % text)
    for word in words:
        if word not in text:
            raise AssertionError('%r does not say %r' % (text, word))
