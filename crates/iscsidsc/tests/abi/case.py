"""What the tests of a module build on: `Case`, with the library and one daemon for all tests of a class.

    class Servers(Case):
        export = "fuse"                     # how its daemon shows disks; "none" unless told

        @both_widths
        def test_a_server_is_listed(self, api):
            self.assertStatus(api.AddRadiusServer("192.0.2.1"), ERROR_SUCCESS)
            self.addCleanup(api.RemoveRadiusServer, "192.0.2.1")
            self.assertEqual(api.radius_servers(), ["192.0.2.1"])
"""

import functools
import os
import unittest

from discovery_library import Library, unrecorded
from service import Service
from statuses import name_of

#: The library under test, one for the process.
LIBRARY = Library(os.environ["LIBRARY"])


def both_widths(body):
    """A test of an `api`, run with that of the A and that of the W functions, each with its setUp and cleanups."""

    @functools.wraps(body)
    def test(self):
        with self.subTest(width="A"):
            body(self, self.library.A)
        with unrecorded():
            self.doCleanups()
            self.setUp()
        with self.subTest(width="W"):
            body(self, self.library.W)

    return test


class Case(unittest.TestCase):
    """Tests of one daemon, which runs from the first to the last of them.

    Each test leaves the daemon as it found it (`addCleanup`), as the order of tests is nobody's business. One that
    wants a fresh daemon makes a `Service` of its own.
    """

    #: How the daemon shows disks.
    export = "none"
    #: Its hawser.toml.
    config = ""
    library = LIBRARY
    service = None

    @classmethod
    def setUpClass(cls):
        cls.service = cls.enterClassContext(Service(cls.export, cls.config))

    def assertStatus(self, status, expected):
        """A status is this one; both are shown by name if not."""
        self.assertEqual(name_of(status), name_of(expected))
