# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the unittest cases of a program as TAP. A hang ends the program with the stack of every thread."""

import faulthandler
import sys
import unittest

DEADLINE = 90


class _Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self._number = 0

    def startTest(self, test):
        super().startTest(test)
        self._number += 1
        self._problems = []
        self._skipped = None

    def _note(self, test, error):
        self._problems.append(self._exc_info_to_string(error, test))

    def addError(self, test, error):
        super().addError(test, error)
        self._note(test, error)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._note(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._problems.append(str(subtest) + '\n' + self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._skipped = reason

    def stopTest(self, test):
        super().stopTest(test)
        print('%sok %d %s%s' % ('not ' if self._problems else '', self._number, test.id().split('.', 1)[1],
                                ' # SKIP ' + self._skipped if self._skipped is not None else ''))
        for line in '\n'.join(self._problems).splitlines():
            print('#', line)
        sys.stdout.flush()


def main(deadline=DEADLINE):
    faulthandler.enable()
    faulthandler.dump_traceback_later(deadline, exit=True)
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])
    print('TAP version 13\n1..%d' % suite.countTestCases(), flush=True)
    result = _Result()
    suite.run(result)
    faulthandler.cancel_dump_traceback_later()
    sys.exit(not result.wasSuccessful())
