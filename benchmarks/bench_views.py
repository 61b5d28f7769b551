# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What mapped-file.py and shared-memory.py have in common: a table of cases, each a name, a function, and how often it is called in a
round. Rounds are interleaved, and what is printed are medians. The first two are to make a view of what is mapped, which is not to take
more than a microsecond.
"""

import argparse
import statistics
import time

MOST_US = 1.0
N_VIEWS = 2


def parse(description):
    parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    parser.add_argument('--rounds', type=int, default=31)
    parser.add_argument('--check', action='store_true')
    return parser.parse_args()


def time_calls(function, n):
    """Microseconds for one call."""
    began = time.perf_counter()
    for _ in range(n):
        function()
    return (time.perf_counter() - began) * 1e6 / n


def measure(table, rounds):
    """The median of each. TABLE is empty afterwards, and holds nothing any more."""
    results = {name: [] for name in table}
    for _ in range(rounds):
        for name, (function, n) in table.items():
            results[name].append(time_calls(function, n))
    table.clear()
    return {name: statistics.median(values) for name, values in results.items()}


def report(medians, check):
    """The exit status."""
    for name, median in medians.items():
        print('%-44s %10.2f µs' % (name, median))
    missed = [name for name in list(medians)[:N_VIEWS] if medians[name] > MOST_US]
    for name in missed:
        print('MISSED: %s takes more than %.1f µs' % (name, MOST_US))
    return check and bool(missed)
