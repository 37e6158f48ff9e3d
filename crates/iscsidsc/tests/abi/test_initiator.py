"""§2.1: the version, the initiator instances, the node name."""

import os

import peers
from case import LIBRARY, Case, both_widths
from discovery_library import *
from service import Service

NAME = "iqn.2026-11.test.abi:initiator"
#: Two bytes of UTF-8 and one character of UTF-16; four bytes and two characters.
NOT_ASCII = "iqn.2026-11.test.abi:gr\u00f6\u00dfe-\U0001f600"
LONGEST = "iqn.2026-11.test.abi:" + "x" * (MAX_ISCSI_NAME_LEN - 21)


class Version(Case):
    """GetIScsiVersionInformation."""

    def test_it_is_that_of_the_product(self):
        info = ISCSI_VERSION_INFO(1 << 31, 1 << 31, 1 << 31)
        check(self.library.GetIScsiVersionInformation(info))
        told = f"{info.MajorVersion}.{info.MinorVersion}.{info.BuildNumber}"
        self.assertEqual(told, os.environ["VERSION"])

    def test_it_needs_no_service(self):
        self.service.stop()
        self.addCleanup(self.service.start)
        info = ISCSI_VERSION_INFO()
        check(self.library.GetIScsiVersionInformation(info))
        self.assertNotEqual(info, ISCSI_VERSION_INFO())

    def test_null_is_refused(self):
        status = self.library.GetIScsiVersionInformation(None)
        self.assertStatus(status, ERROR_INVALID_PARAMETER)


class Instances(Case):
    """ReportIScsiInitiatorList."""

    @both_widths
    def test_the_software_initiator_is_listed_and_taken_by_other_calls(self, api):
        (instance,) = api.initiators()
        portal = api.portal(*peers.OPEN)
        for name in (instance, instance.swapcase()):
            check(api.AddIScsiSendTargetPortal(name, ISCSI_ANY_INITIATOR_PORT, None, 0, portal))
            check(api.RemoveIScsiSendTargetPortal(name, ISCSI_ANY_INITIATOR_PORT, portal))
        other = instance + "-other"
        status = api.AddIScsiSendTargetPortal(other, ISCSI_ANY_INITIATOR_PORT, None, 0, portal)
        self.assertStatus(status, ISDSC_INITIATOR_NOT_FOUND)
        self.assertEqual(api.send_target_portals(), [])

    @both_widths
    def test_the_size_is_in_characters(self, api):
        needed = len(api.initiators()[0]) + 2
        size = ULONG(0)
        self.assertStatus(api.ReportIScsiInitiatorList(size, None), ERROR_INSUFFICIENT_BUFFER)
        self.assertEqual(size.value, needed)
        width = ctypes.sizeof(api.unit)
        for room, status in ((needed - 1, ERROR_INSUFFICIENT_BUFFER), (needed, 0), (needed + 9, 0)):
            size, buffer = ULONG(room), Buffer(room * width)
            self.assertStatus(api.ReportIScsiInitiatorList(size, buffer.at(api.unit)), status)
            self.assertEqual(size.value, needed, "what is needed or used, whatever the room")
            if status:
                buffer.check_untouched()
            buffer.check_guard()
            self.assertEqual(set(buffer.read()[needed * width :]) - {0xA5}, set(), "the rest is left alone")

    @both_widths
    def test_a_null_size_is_refused(self, api):
        buffer = Buffer(1024)
        status = api.ReportIScsiInitiatorList(None, buffer.at(api.unit))
        self.assertStatus(status, ERROR_INVALID_PARAMETER)
        buffer.check_untouched()

    def test_both_widths_say_the_same(self):
        self.assertEqual(self.library.A.initiators(), self.library.W.initiators())

    @both_widths
    def test_without_a_service_it_says_so(self, api):
        self.service.stop()
        self.addCleanup(self.service.start)
        size = ULONG(77)
        status = api.ReportIScsiInitiatorList(size, None)
        self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)
        self.assertEqual(size.value, 77)


class NodeName(Case):
    """GetIScsiInitiatorNodeName and SetIScsiInitiatorNodeName."""

    def setUp(self):
        self.addCleanup(self.library.SetIScsiInitiatorNodeNameA, None)

    @both_widths
    def test_a_name_that_is_set_is_told_in_both_widths(self, api):
        for name in (NAME, NOT_ASCII, LONGEST, "x"):
            self.assertStatus(api.SetIScsiInitiatorNodeName(name), ERROR_SUCCESS)
            self.assertEqual([api.node_name() for api in self.library.widths], [name, name])

    @both_widths
    def test_the_format_is_not_checked(self, api):
        for name in ("a name with blanks", "IQN.2026-11.TEST.ABI:UPPER", "eui.0", "iqn."):
            self.assertStatus(api.SetIScsiInitiatorNodeName(name), ERROR_SUCCESS)
            self.assertEqual(api.node_name(), name)

    @both_widths
    def test_null_and_the_empty_text_go_back_to_the_default(self, api):
        check(api.SetIScsiInitiatorNodeName(None))
        default = api.node_name()
        self.assertRegex(default, r"^iqn\.\d{4}-\d{2}\.[a-z0-9.-]+:[a-z0-9.:-]+$")
        for nothing in (None, ""):
            check(api.SetIScsiInitiatorNodeName(NAME))
            self.assertStatus(api.SetIScsiInitiatorNodeName(nothing), ERROR_SUCCESS)
            self.assertEqual(api.node_name(), default)

    @both_widths
    def test_an_over_long_name_is_refused_and_not_stored(self, api):
        check(api.SetIScsiInitiatorNodeName(NAME))
        for name in (LONGEST + "x", "y" * 5000):
            status = api.SetIScsiInitiatorNodeName(name)
            self.assertStatus(status, ISDSC_INVALID_ISCSI_NAME)
            self.assertEqual(api.node_name(), NAME)

    def test_a_name_is_measured_in_bytes_of_utf_8_in_both_widths(self):
        # 223 characters of UTF-16, but 244 bytes on the wire.
        name = LONGEST[: MAX_ISCSI_NAME_LEN - 21] + "\u00fc" * 21
        check(self.library.SetIScsiInitiatorNodeNameW(NAME))
        for api in self.library.widths:
            status = api.SetIScsiInitiatorNodeName(name)
            self.assertStatus(status, ISDSC_INVALID_ISCSI_NAME)
            self.assertEqual(api.node_name(), NAME)

    @both_widths
    def test_what_is_no_text_is_refused_and_not_stored(self, api):
        check(api.SetIScsiInitiatorNodeName(NAME))
        status = api.SetIScsiInitiatorNodeName(api.bad_text())
        self.assertStatus(status, ERROR_INVALID_PARAMETER)
        self.assertEqual(api.node_name(), NAME)

    @both_widths
    def test_control_characters_are_refused_and_not_stored(self, api):
        # Beyond what is documented: docs/porting.md says why.
        check(api.SetIScsiInitiatorNodeName(NAME))
        for character in ("\n", "\r", "\t", "\x1b", "\x7f", "\u0085"):
            status = api.SetIScsiInitiatorNodeName(NAME + character + "x")
            self.assertStatus(status, ISDSC_INVALID_ISCSI_NAME)
            self.assertEqual(api.node_name(), NAME)

    @both_widths
    def test_no_place_for_the_name_is_refused(self, api):
        self.assertStatus(api.GetIScsiInitiatorNodeName(None), ERROR_INVALID_PARAMETER)

    @both_widths
    def test_without_a_service_nothing_is_told_or_set(self, api):
        check(api.SetIScsiInitiatorNodeName(NAME))
        self.service.stop()
        try:
            with self.assertRaises(Refused) as refused:
                api.node_name()
            self.assertStatus(refused.exception.status, ISDSC_SERVICE_NOT_RUNNING)
            status = api.SetIScsiInitiatorNodeName(NAME + "-2")
            self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)
        finally:
            self.service.start()
        self.assertEqual(api.node_name(), NAME)

    @both_widths
    def test_it_survives_the_service(self, api):
        with Service() as service:
            for name, end in ((NOT_ASCII, service.stop), (NAME, service.kill)):
                check(api.SetIScsiInitiatorNodeName(name))
                end()
                service.start()
                self.assertEqual(api.node_name(), name)
            check(api.SetIScsiInitiatorNodeName(None))
            default = api.node_name()
            service.restart()
            self.assertEqual(api.node_name(), default)

    @both_widths
    def test_targets_know_us_by_it_from_then_on(self, api):
        portal = api.portal(*peers.OPEN)
        check(api.SetIScsiInitiatorNodeName(NAME))
        check(api.AddIScsiSendTargetPortal(None, ISCSI_ANY_INITIATOR_PORT, None, 0, portal))
        self.addCleanup(api.RemoveIScsiSendTargetPortal, None, ISCSI_ANY_INITIATOR_PORT, portal)
        self.assertNotIn(peers.NAMED, api.targets(force=True))
        self.assertIn(peers.DISKS, api.targets())
        old = api.login(peers.DISKS, portal, informational=True)
        check(old.status)
        self.addCleanup(self.library.LogoutIScsiTarget, old.session)
        check(api.SetIScsiInitiatorNodeName(peers.NAMED_INITIATOR))
        self.assertIn(peers.NAMED, api.targets(force=True))
        new = api.login(peers.NAMED, portal, informational=True)
        check(new.status)
        self.addCleanup(self.library.LogoutIScsiTarget, new.session)
        names = {session.TargetName: session.InitiatorName for session in api.sessions()}
        self.assertEqual(names, {peers.DISKS: NAME, peers.NAMED: peers.NAMED_INITIATOR})


class Harness(Case):
    """What the other modules rely on."""

    def test_two_services_are_told_apart(self):
        check(self.library.SetIScsiInitiatorNodeNameW(NAME))
        with Service() as other:
            self.assertNotEqual(LIBRARY.W.node_name(), NAME)
            self.assertTrue(other.is_running())
        self.assertEqual(LIBRARY.W.node_name(), NAME)
