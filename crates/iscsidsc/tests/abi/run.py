"""Runs one module of the suite and compares what it called with docs/discovery-library.md.

    run.py MODULE [Class.test …]

The test program `tests/abi.rs` starts it with the environment that `peers`, `service` and `case` read. It fails if a
test fails, **or is skipped**, or if the table names a test of this module for an export that the test did not call
(or a test that did not run). Only calls made in the body of the test count, not those of setUp and cleanups.
With tests named it runs these, and looks at their rows only.
"""

import os
import re
import sys
import unittest

from discovery_library import CALLS, PROTOTYPES
from service import Service

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "../../../../docs/discovery-library.md")
_ROW = re.compile(r"^\| `(\w+)` \|[^|]*\|[^|]*\|([^|]*)\|$", re.M)
_TEST = re.compile(r"`(\w+)::(\w+\.\w+)`")


def rows(module):
    """What the table says of a module: pairs of export and `Class.test`."""
    with open(TABLE, encoding="utf-8") as page:
        found = _ROW.findall(page.read())
    assert found, "no rows in the table"
    return [(export, test) for export, tests in found for of, test in _TEST.findall(tests) if of == module]


def each(suite):
    """The tests in a suite of suites."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test


def short(test):
    """`Class.test`."""
    return ".".join(test.id().split(".")[-2:])


def record(test, called):
    """Lets a test note in `called` what its body calls."""
    body = getattr(test, test._testMethodName, None)
    if body is None:
        return  # A module that could not be loaded: the loader's own test says why.

    def recorded():
        CALLS.clear()
        try:
            body()
        finally:
            called[short(test)] = set(CALLS)

    setattr(test, test._testMethodName, recorded)


def faults(module, tests, called, result):
    """What is wrong beyond tests that fail."""
    found = [f"{short(test)} was skipped: {why}" for test, why in result.skipped]
    if result.testsRun == 0:
        found.append(f"{module} has no tests")
    for export, test in rows(module):
        if tests and test not in tests:
            continue
        if export not in PROTOTYPES:
            found.append(f"the table has a row for {export}, which is no export")
        elif test not in called:
            found.append(f"the table names {module}::{test} for {export}, but no such test ran")
        elif export not in called[test]:
            others = ", ".join(sorted(called[test])) or "nothing"
            found.append(f"the table names {module}::{test} for {export}, but it called {others}")
    return found


def main(module, *tests):
    """Runs it all; the exit status."""
    sys.path.insert(0, HERE)
    loader = unittest.TestLoader()
    names = [f"{module}.{test}" for test in tests] or [module]
    suite = loader.loadTestsFromNames(names)
    called = {}
    for test in each(suite):
        record(test, called)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    wrong = faults(module, tests, called, result)
    if not result.wasSuccessful() or result.unexpectedSuccesses:
        for number, log in enumerate(Service.ended, 1):
            print(f"--- what daemon {number} said last\n{log}")
        wrong.insert(0, f"{len(result.failures) + len(result.errors)} failures, see above")
    for fault in wrong:
        print(f"FAULT: {fault}")
    exports = set().union(*called.values())
    print(f"{module}: {result.testsRun} tests, which called {len(exports)} exports")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
