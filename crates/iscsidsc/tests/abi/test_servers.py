"""§2.8 and §2.9: iSNS and RADIUS servers, and the secret that proves us to the latter."""

import json
import os
import subprocess

import peers
from case import both_widths
from discovery_library import *
from known import ANY, Known, everything, without_privilege
from service import LIMIT, Service

#: The order matters: a report has that of the adding.
ADDRESSES = ["198.51.100.7", "isns.example", "2001:db8::7", "x" * 41]
BAD_ADDRESSES = (
    "", " ", "a b", "a\tb", "a\nb", "a,b", "a/b", "x" * 256, "-", "a..b", "x" * 64 + ".example", "300.1.1.1", "192.0.2",
)  # fmt: skip
SECRET = b"0123456789abcdefghijklmnopqrstuv"


def spoilt(api, library):
    """Characters that are no text."""
    if api is library.A:
        return [api.bad_text(), ansi(b"\xc3"), ansi(b"\xe2\x82"), ansi(b"\xed\xa0\x80"), ansi(b"\xc0\x80")]
    return [api.bad_text(), units(0xD800), units(0xDC00), units(0xDC00, 0xD800), units(0xD800, ord("a"))]


class Servers:
    """What holds for the servers of both kinds; those are told apart by what a subclass says of them."""

    #: Names of the exports.
    add_name = remove_name = report_name = None
    #: What adding one gives, and what removing one that is not stored.
    added = not_stored = None

    def servers(self, api):
        """The reported list."""
        raise NotImplementedError

    def add(self, api, address):
        """Adds one, which is stored."""
        self.assertStatus(getattr(api, self.add_name)(address), self.added)
        self.assertIn(address, self.servers(api))

    def remove(self, api, address):
        """The status of removing one."""
        return getattr(api, self.remove_name)(address)

    def lists_them_in_the_order_of_adding(self, api):
        for count, address in enumerate(ADDRESSES, 1):
            self.add(api, address)
            for reader in self.library.widths:
                self.assertEqual(self.servers(reader), ADDRESSES[:count])
        self.assertStatus(self.remove(api, ADDRESSES[1]), ERROR_SUCCESS)
        self.assertEqual(self.servers(api), ADDRESSES[:1] + ADDRESSES[2:])

    def takes_one_twice_without_regard_to_case(self, api):
        self.add(api, "Server.Example")
        self.assertStatus(getattr(api, self.add_name)("sERVER.eXAMPLE"), self.added)
        (address,) = self.servers(api)
        self.assertEqual(address.lower(), "server.example")
        self.assertStatus(self.remove(api, "SERVER.example"), ERROR_SUCCESS)
        self.assertEqual(self.servers(api), [])

    def tells_what_is_not_stored(self, api):
        self.add(api, ADDRESSES[0])
        with self.unchanged():
            for address in ("198.51.100.8", "unknown.example"):
                self.assertStatus(self.remove(api, address), self.not_stored)
        self.assertStatus(self.remove(api, ADDRESSES[0]), ERROR_SUCCESS)
        self.assertStatus(self.remove(api, ADDRESSES[0]), self.not_stored)

    def refuses_what_is_no_address(self, api):
        self.add(api, ADDRESSES[0])
        add, remove = getattr(api, self.add_name), getattr(api, self.remove_name)
        with self.unchanged():
            for address in (None, *BAD_ADDRESSES, *spoilt(api, self.library)):
                self.refused(ERROR_INVALID_PARAMETER, add, address)
            for address in (None, "", *spoilt(api, self.library)):
                self.refused(ERROR_INVALID_PARAMETER, remove, address)

    def counts_characters(self, api):
        report, width = getattr(api, self.report_name), ctypes.sizeof(api.unit)
        for address in ADDRESSES[:2]:
            self.add(api, address)
        needed = sum(len(address) + 1 for address in ADDRESSES[:2]) + 1
        size = ULONG(WILD)
        self.assertStatus(report(size, None), ERROR_INSUFFICIENT_BUFFER)
        self.assertEqual(size.value, needed)
        for room, status in ((0, 122), (2, 122), (needed - 1, 122), (needed, 0), (needed + 7, 0)):
            size, buffer = ULONG(room), Buffer(room * width)
            self.assertStatus(report(size, buffer.at(api.unit)), status)
            self.assertEqual(size.value, needed)
            buffer.check_guard()
            if status:
                buffer.check_untouched()
            else:
                self.assertEqual(set(buffer.read()[needed * width :]) - {FILLER}, set(), "the rest is left alone")
        self.refused(ERROR_INVALID_PARAMETER, report, None, None)
        self.refused(ERROR_INVALID_PARAMETER, report, None, Buffer(64).at(api.unit))

    def has_an_empty_list_of_size_0(self, api):
        report = getattr(api, self.report_name)
        size = ULONG(WILD)
        self.assertStatus(report(size, None), ERROR_SUCCESS)
        self.assertEqual(size.value, 0)
        size, buffer = ULONG(9), Buffer(9 * ctypes.sizeof(api.unit))
        self.assertStatus(report(size, buffer.at(api.unit)), ERROR_SUCCESS)
        self.assertEqual(size.value, 0)
        # A caller who looks at the buffer and not at the size finds an empty list too.
        self.assertEqual(list(buffer.array(api.unit, 2)), [0, 0])
        buffer.check_guard()

    def keeps_them_over_every_end_of_the_service(self, api):
        for address in ADDRESSES:
            self.add(api, address)
        before = everything()
        for _ in self.ends():
            self.assertUnchanged(before)
        for address in ADDRESSES[1:]:
            check(self.remove(api, address))
        for _ in self.ends():
            self.assertEqual(self.servers(api), ADDRESSES[:1])
        with Service():
            self.assertEqual(self.servers(api), [], "a fresh service has none")

    def lets_all_look_and_few_change(self, api):
        self.add(api, ADDRESSES[0])
        os.chmod(self.service.directory, 0o755)
        with self.unchanged():
            told = without_privilege(
                lambda: [
                    getattr(api, self.add_name)(ADDRESSES[1]),
                    getattr(api, self.remove_name)(ADDRESSES[0]),
                    self.servers(api),
                ]
            )
        self.assertEqual(told, [ERROR_ACCESS_DENIED, ERROR_ACCESS_DENIED, ADDRESSES[:1]])

    def tells_that_there_is_no_service(self, api):
        self.add(api, ADDRESSES[0])
        size = ULONG(77)
        self.service.stop()
        try:
            for status in (
                getattr(api, self.add_name)(ADDRESSES[1]),
                getattr(api, self.remove_name)(ADDRESSES[0]),
                getattr(api, self.report_name)(size, None),
            ):
                self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)
        finally:
            self.service.start()
        self.assertEqual(size.value, 77)
        self.assertEqual(self.servers(api), ADDRESSES[:1])


class Isns(Servers, Known):
    """AddISNSServer, RemoveISNSServer, RefreshISNSServer, ReportISNSServerList.

    There is no client that asks servers yet (docs/porting.md), so every query fails; the server stays listed then.
    """

    add_name, remove_name, report_name = "AddISNSServer", "RemoveISNSServer", "ReportISNSServerList"
    added = not_stored = ISDSC_ISNS_SERVER_NOT_FOUND

    def servers(self, api):
        return api.isns_servers()

    @both_widths
    def test_a_server_that_cannot_be_asked_stays_listed(self, api):
        self.lists_them_in_the_order_of_adding(api)

    @both_widths
    def test_one_is_listed_once(self, api):
        self.takes_one_twice_without_regard_to_case(api)

    @both_widths
    def test_one_that_is_not_stored(self, api):
        self.tells_what_is_not_stored(api)
        with self.unchanged():
            self.refused(ISDSC_ISNS_SERVER_NOT_FOUND, api.RefreshISNSServer, "unknown.example")

    @both_widths
    def test_what_is_no_address(self, api):
        self.refuses_what_is_no_address(api)
        with self.unchanged():
            for address in ("a b", "x" * 256, *spoilt(api, self.library)):
                self.refused(ERROR_INVALID_PARAMETER, api.RefreshISNSServer, address)

    @both_widths
    def test_the_longest_address_is_taken(self, api):
        self.add(api, ".".join(["x" * 63] * 4))

    @both_widths
    def test_the_size_is_in_characters(self, api):
        self.counts_characters(api)

    @both_widths
    def test_an_empty_list(self, api):
        self.has_an_empty_list_of_size_0(api)

    @both_widths
    def test_every_end_of_the_service_keeps_them(self, api):
        self.keeps_them_over_every_end_of_the_service(api)

    @both_widths
    def test_those_who_may_change_nothing_may_look(self, api):
        self.lets_all_look_and_few_change(api)
        self.assertEqual(
            without_privilege(lambda: [api.RefreshISNSServer(None), api.RefreshISNSServer(ADDRESSES[0])]),
            [ERROR_ACCESS_DENIED] * 2,
        )

    @both_widths
    def test_without_a_service(self, api):
        self.tells_that_there_is_no_service(api)

    @both_widths
    def test_a_refresh_of_all_does_not_fail_and_one_of_a_server_tells_why(self, api):
        # NULL is all, and so is an empty text; all may be none.
        for servers in ([], ADDRESSES[:2]):
            for address in servers:
                self.add(api, address)
            for every in (None, ""):
                self.assertStatus(api.RefreshISNSServer(every), ERROR_SUCCESS)
        self.assertStatus(api.RefreshISNSServer(ADDRESSES[0]), ISDSC_ISNS_SERVER_NOT_FOUND)
        self.assertStatus(api.RefreshISNSServer(ADDRESSES[1].upper()), ISDSC_ISNS_SERVER_NOT_FOUND)
        self.assertEqual(self.servers(api), ADDRESSES[:2])

    @both_widths
    def test_a_server_that_fails_does_not_fail_the_list_of_targets(self, api):
        self.add(api, ADDRESSES[0])
        check(api.AddIScsiSendTargetPortal(*ANY, None, 0, api.portal(*peers.OPEN)))
        self.assertEqual(api.targets(force=True), [peers.DISKS, peers.OTHER])
        self.assertStatus(api.RemoveISNSServer(ADDRESSES[0]), ERROR_SUCCESS)
        self.assertEqual(api.targets(), [peers.DISKS, peers.OTHER], "the targets stay")


class Radius(Servers, Known):
    """AddRadiusServer, RemoveRadiusServer, ReportRadiusServerList."""

    add_name, remove_name, report_name = "AddRadiusServer", "RemoveRadiusServer", "ReportRadiusServerList"
    added, not_stored = ERROR_SUCCESS, ERROR_NOT_FOUND

    def servers(self, api):
        return api.radius_servers()

    @both_widths
    def test_servers_are_listed(self, api):
        self.lists_them_in_the_order_of_adding(api)

    @both_widths
    def test_one_is_listed_once(self, api):
        self.takes_one_twice_without_regard_to_case(api)

    @both_widths
    def test_one_that_is_not_stored(self, api):
        self.tells_what_is_not_stored(api)

    @both_widths
    def test_what_is_no_address(self, api):
        self.refuses_what_is_no_address(api)

    @both_widths
    def test_an_address_has_41_characters_at_most(self, api):
        self.add(api, "x" * MAX_RADIUS_ADDRESS_LEN)
        with self.unchanged():
            for length in (MAX_RADIUS_ADDRESS_LEN + 1, 255, 4096):
                self.refused(ERROR_INVALID_PARAMETER, api.AddRadiusServer, "x" * length)
                self.refused(ERROR_INVALID_PARAMETER, api.RemoveRadiusServer, "x" * length)

    @both_widths
    def test_the_size_is_in_characters(self, api):
        self.counts_characters(api)

    @both_widths
    def test_an_empty_list(self, api):
        self.has_an_empty_list_of_size_0(api)

    @both_widths
    def test_every_end_of_the_service_keeps_them(self, api):
        self.keeps_them_over_every_end_of_the_service(api)

    @both_widths
    def test_those_who_may_change_nothing_may_look(self, api):
        self.lets_all_look_and_few_change(api)

    @both_widths
    def test_without_a_service(self, api):
        self.tells_that_there_is_no_service(api)


class RadiusSecret(Known):
    """SetIScsiInitiatorRADIUSSharedSecret.

    No call of the library tells whether one is stored; `hawser status` does.
    """

    def set(self, secret, length=None):
        """The status of setting one."""
        length = len(secret or b"") if length is None else length
        return self.library.SetIScsiInitiatorRADIUSSharedSecret(length, secret and ansi(secret))

    def is_set(self):
        """Whether the service has one, which only its status tells."""
        command = [os.environ["HAWSER"], "--socket", self.service.socket, "status", "--json"]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=LIMIT).stdout
        return json.loads(told)["radius_secret_set"]

    def assertSealed(self, secret):
        """No file of the service has it as it is."""
        for folder, _, names in os.walk(self.service.path("state")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(secret, file.read(), name)

    def test_it_has_22_to_26_bytes(self):
        for length in (1, 12, 16, 21, 27, 32):
            self.assertStatus(self.set(SECRET[:length]), ERROR_INVALID_PARAMETER)
        self.assertFalse(self.is_set())
        for length in range(22, 27):
            self.assertStatus(self.set(SECRET[:length]), ERROR_SUCCESS)
            self.assertTrue(self.is_set())
            check(self.set(None))
        for length in (255, 4096, 0x7FFFFFFF, 0xFFFFFFFF):
            self.assertStatus(self.set(SECRET, length), ERROR_INVALID_PARAMETER)

    def test_it_is_any_bytes(self):
        for secret in (bytes(range(22)), b"\xff" * 26, b"\0" * 24):
            self.assertStatus(self.set(secret), ERROR_SUCCESS)
            self.assertTrue(self.is_set())

    def test_every_end_of_the_service_keeps_it_sealed(self):
        check(self.set(SECRET[:22]))
        self.assertSealed(SECRET[:22])
        for _ in self.ends():
            self.assertTrue(self.is_set())
            self.assertSealed(SECRET[:22])
        check(self.set(None))
        for _ in self.ends():
            self.assertFalse(self.is_set())

    def test_null_clears_it_without_a_length_only(self):
        check(self.set(SECRET[:22]))
        self.assertStatus(self.set(None, 22), ERROR_INVALID_PARAMETER)
        self.assertTrue(self.is_set())
        # Cleared once more it is as clear.
        for _ in range(2):
            self.assertStatus(self.set(None, 0), ERROR_SUCCESS)
            self.assertFalse(self.is_set())
        check(self.set(SECRET[:22]))
        self.assertStatus(self.set(SECRET, 0), ERROR_SUCCESS)
        self.assertFalse(self.is_set())

    def test_those_who_may_change_nothing_may_not_set_it(self):
        os.chmod(self.service.directory, 0o755)
        told = without_privilege(lambda: [self.set(SECRET[:22]), self.set(None)])
        self.assertEqual(told, [ERROR_ACCESS_DENIED] * 2)
        self.assertFalse(self.is_set())

    def test_without_a_service(self):
        self.service.stop()
        self.addCleanup(self.service.start)
        self.assertStatus(self.set(SECRET[:22]), ISDSC_SERVICE_NOT_RUNNING)
        self.assertStatus(self.set(SECRET[:21]), ERROR_INVALID_PARAMETER)
