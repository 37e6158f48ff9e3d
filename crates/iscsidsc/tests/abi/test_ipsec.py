"""§2.7: IKE information, the group key and the outer addresses of tunnels.

They are kept and told and not used (§6 row 34): `daemon_status` shows what the library has no report for.
"""

from case import Case, both_widths
from discovery_library import *
from logged_in import TOO_LONG, daemon_status
from service import Service

ALL = ISCSI_ALL_INITIATOR_PORTS
IPV4, IPV6 = bytes((192, 0, 2, 1)), bytes.fromhex("20010db8000000000000000000000001")
FQDN, USER_FQDN = b"target.example", b"me@target.example"
#: One identity of each type.
IDENTITIES = ((ID_IPV4_ADDR, IPV4), (ID_FQDN, FQDN), (ID_USER_FQDN, USER_FQDN), (ID_IPV6_ADDR, IPV6))
KEY = b"a key that nobody may see"
VALID = ISCSI_SECURITY_FLAG_VALID | ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED
TUNNEL = VALID | ISCSI_SECURITY_FLAG_TUNNEL_MODE_PREFERRED


def flags_of(api, identity, instance=None, port=ALL):
    """`GetIScsiIKEInfo`: (status, flags); the struct holds nothing else that it did not hold before."""
    asked = ike_information(*identity, flags=0x5A5A)
    # What is not part of the question: the client need not fill it.
    asked.PsKey.KeyLengthInBytes = 4
    rubbish = asked.PsKey.Key = ansi(b"junk")
    before = value_of(asked)
    status = api.GetIScsiIKEInfo(instance, port, None, asked)
    if status == ERROR_SUCCESS:
        assert (asked.PsKey.KeyLengthInBytes, bool(asked.PsKey.Key)) == (0, False), "a key was told"
        before.PsKey = Value(**{**vars(before.PsKey), "KeyLengthInBytes": 0, "Key": b""})
        before.PsKey.SecurityFlags = asked.PsKey.SecurityFlags
    assert value_of(asked) == before, "more was written than the flags"
    assert bytes(rubbish) == b"junk\0", "the caller's key was written to"
    return status, asked.PsKey.SecurityFlags


class IkeInfo(Case):
    """SetIScsiIKEInfo and GetIScsiIKEInfo."""

    def setUp(self):
        # Removal leaves nothing behind, in memory or store, for whatever a test set.
        self.addCleanup(self.clear)

    def clear(self):
        """Removes each identity for each port that tests use."""
        api = self.library.W
        for identity in IDENTITIES:
            for instance, port in ((None, ALL), (api.initiators()[0], 0)):
                check(api.SetIScsiIKEInfo(instance, port, ike_information(*identity), True))
        self.assertEqual(self.kept(), [])

    def kept(self):
        """The identities that the daemon has, as (type, flags, persisted)."""
        found = daemon_status()["settings"]["ike_identities"]
        return [(one["id_type"], one["security_flags"], one["persisted"]) for one in found]

    def assertFlags(self, found, status, flags=0x5A5A):
        self.assertStatus(found[0], status)
        self.assertEqual(found[1], flags)

    @both_widths
    def test_flags_of_each_type_are_kept_and_told_and_keys_are_not(self, api):
        for number, identity in enumerate(IDENTITIES):
            flags = VALID | number << 4
            info = ike_information(*identity, KEY, flags)
            self.assertStatus(api.SetIScsiIKEInfo(None, ALL, info, True), ERROR_SUCCESS)
            self.assertFlags(flags_of(api, identity), ERROR_SUCCESS, flags)
        self.assertEqual(self.kept(), [(of, VALID | n << 4, True) for n, (of, _) in enumerate(IDENTITIES)])

    @both_widths
    def test_a_second_one_replaces_the_first(self, api):
        for flags in (VALID, TUNNEL, 0, 0xFFFF0000000000FE):
            check(api.SetIScsiIKEInfo(None, ALL, ike_information(ID_FQDN, FQDN, KEY, flags), True))
            self.assertFlags(flags_of(api, (ID_FQDN, FQDN)), ERROR_SUCCESS, flags)
        self.assertEqual(len(self.kept()), 1)

    @both_widths
    def test_nothing_there_and_another_one_there_are_told_apart(self, api):
        self.assertFlags(flags_of(api, (ID_FQDN, FQDN)), ISDSC_NO_AUTH_INFO_AVAILABLE)
        check(api.SetIScsiIKEInfo(None, ALL, ike_information(ID_FQDN, FQDN, KEY, VALID), True))
        for other in ((ID_FQDN, b"other.example"), (ID_USER_FQDN, FQDN), (ID_IPV4_ADDR, IPV4)):
            self.assertFlags(flags_of(api, other), ISDSC_TARGET_PRESHAREDKEY_UNAVAILABLE)

    @both_widths
    def test_no_key_removes_it(self, api):
        for persist in (True, False):
            for none in (ike_information(ID_FQDN, FQDN), ike_information(ID_FQDN, FQDN, flags=VALID)):
                check(api.SetIScsiIKEInfo(None, ALL, ike_information(ID_FQDN, FQDN, KEY, VALID), persist))
                for _ in range(2):
                    self.assertStatus(api.SetIScsiIKEInfo(None, ALL, none, persist), ERROR_SUCCESS)
                self.assertFlags(flags_of(api, (ID_FQDN, FQDN)), ISDSC_NO_AUTH_INFO_AVAILABLE)

    @both_widths
    def test_a_port_has_its_own_and_else_that_of_all(self, api):
        (instance,) = api.initiators()
        identity = (ID_FQDN, FQDN)
        check(api.SetIScsiIKEInfo(None, ALL, ike_information(*identity, KEY, VALID), True))
        self.assertFlags(flags_of(api, identity, instance, 0), ERROR_SUCCESS, VALID)
        check(api.SetIScsiIKEInfo(instance, 0, ike_information(*identity, KEY, TUNNEL), True))
        self.assertFlags(flags_of(api, identity, instance, 0), ERROR_SUCCESS, TUNNEL)
        for everywhere in (None, "", instance, instance.swapcase()):
            self.assertFlags(flags_of(api, identity, everywhere), ERROR_SUCCESS, VALID)

    @both_widths
    def test_initiators_and_ports_that_are_not_are_refused(self, api):
        (instance,) = api.initiators()
        info = ike_information(ID_FQDN, FQDN, KEY, VALID)
        wrong = (
            ((instance + "1", ALL), ISDSC_INITIATOR_NOT_FOUND),
            ((instance, 0xFFFFFFFE), ISDSC_INVALID_PORT_NUMBER),
            ((TOO_LONG, ALL), ERROR_INVALID_PARAMETER),
            ((api.bad_text(), ALL), ERROR_INVALID_PARAMETER),
        )
        for where, status in wrong:
            for persist in (True, False):
                self.assertStatus(api.SetIScsiIKEInfo(*where, info, persist), status)
            self.assertFlags(flags_of(api, (ID_FQDN, FQDN), *where), status)
        self.assertEqual(self.kept(), [])

    @both_widths
    def test_types_methods_and_lengths_that_are_not_are_refused(self, api):
        wrong = [((of, FQDN), ISDSC_IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED) for of in (0, 4, 6, 255)]
        lengths = [(ID_IPV4_ADDR, IPV4[:3]), (ID_IPV4_ADDR, IPV6), (ID_IPV6_ADDR, IPV4), (ID_IPV6_ADDR, IPV6 + b"x")]
        lengths += [(ID_FQDN, b""), (ID_USER_FQDN, b""), (ID_FQDN, b"x" * 256), (ID_USER_FQDN, b"x" * 4096)]
        # The length is that of the text without its NUL.
        lengths += [(ID_FQDN, FQDN + b"\0")]
        wrong += [(identity, ISDSC_IKE_ID_PAYLOAD_INCORRECT_SIZE) for identity in lengths]
        for identity, status in wrong:
            self.assertStatus(api.SetIScsiIKEInfo(None, ALL, ike_information(*identity, KEY, VALID), True), status)
            self.assertFlags(flags_of(api, identity), status)
        for method in (0, 2, -1):
            info = ike_information(ID_FQDN, FQDN, KEY, VALID, method)
            self.assertStatus(api.SetIScsiIKEInfo(None, ALL, info, True), ERROR_INVALID_PARAMETER)
            self.assertStatus(api.GetIScsiIKEInfo(None, ALL, None, info), ERROR_INVALID_PARAMETER)
        self.assertEqual(self.kept(), [])

    @both_widths
    def test_wild_lengths_missing_bytes_and_structs_are_refused(self, api):
        wild = ike_information(ID_FQDN, FQDN, KEY, VALID)
        wild.PsKey.IdLengthInBytes = 0xFFFFFFFF
        self.assertStatus(api.SetIScsiIKEInfo(None, ALL, wild, True), ISDSC_IKE_ID_PAYLOAD_INCORRECT_SIZE)
        self.assertStatus(api.GetIScsiIKEInfo(None, ALL, None, wild), ISDSC_IKE_ID_PAYLOAD_INCORRECT_SIZE)
        for length, key in ((0xFFFFFFFF, KEY), (1025, b"k" * 1025), (4, None)):
            info = ike_information(ID_FQDN, FQDN, KEY, VALID)
            info.PsKey.KeyLengthInBytes, info.PsKey.Key = length, ansi(key) if key else None
            self.assertStatus(api.SetIScsiIKEInfo(None, ALL, info, True), ERROR_INVALID_PARAMETER)
        nobody = ike_information(ID_FQDN, FQDN, KEY, VALID)
        nobody.PsKey.Id = None
        self.assertStatus(api.SetIScsiIKEInfo(None, ALL, nobody, True), ERROR_INVALID_PARAMETER)
        self.assertStatus(api.SetIScsiIKEInfo(None, ALL, None, True), ERROR_INVALID_PARAMETER)
        self.assertStatus(api.GetIScsiIKEInfo(None, ALL, None, None), ERROR_INVALID_PARAMETER)
        self.assertEqual(self.kept(), [])

    @both_widths
    def test_flags_that_exclude_each_other_are_refused(self, api):
        for both in (0x0C, 0x60):
            info = ike_information(ID_FQDN, FQDN, KEY, VALID | both)
            self.assertStatus(api.SetIScsiIKEInfo(None, ALL, info, True), ERROR_INVALID_PARAMETER)
        self.assertEqual(self.kept(), [])

    @both_widths
    def test_the_longest_key_is_taken_and_reserved_is_not_looked_at(self, api):
        check(api.SetIScsiIKEInfo(None, ALL, ike_information(ID_FQDN, FQDN, b"\0" * 1024, VALID), True))
        reserved, asked = ULONG(77), ike_information(ID_FQDN, FQDN)
        self.assertStatus(api.GetIScsiIKEInfo(None, ALL, reserved, asked), ERROR_SUCCESS)
        self.assertEqual((reserved.value, asked.PsKey.SecurityFlags), (77, VALID))

    @both_widths
    def test_only_what_is_persistent_outlives_the_service(self, api):
        with Service() as service:
            kept, passing, over = IDENTITIES[:3]
            check(api.SetIScsiIKEInfo(None, ALL, ike_information(*kept, KEY, VALID), True))
            check(api.SetIScsiIKEInfo(None, ALL, ike_information(*passing, KEY, VALID), False))
            check(api.SetIScsiIKEInfo(None, ALL, ike_information(*over, KEY, VALID), True))
            check(api.SetIScsiIKEInfo(None, ALL, ike_information(*over, KEY, TUNNEL), False))
            for identity, flags in ((kept, VALID), (passing, VALID), (over, TUNNEL)):
                self.assertFlags(flags_of(api, identity), ERROR_SUCCESS, flags)
            for end in (service.stop, service.kill):
                end()
                service.start()
                self.assertFlags(flags_of(api, kept), ERROR_SUCCESS, VALID)
                self.assertFlags(flags_of(api, passing), ISDSC_TARGET_PRESHAREDKEY_UNAVAILABLE)
                self.assertFlags(flags_of(api, over), ERROR_SUCCESS, VALID)
            for identity in (kept, over):
                check(api.SetIScsiIKEInfo(None, ALL, ike_information(*identity), True))

    @both_widths
    def test_without_a_service_nothing_is_set_or_told(self, api):
        self.service.stop()
        try:
            info = ike_information(ID_FQDN, FQDN, KEY, VALID)
            self.assertStatus(api.SetIScsiIKEInfo(None, ALL, info, True), ISDSC_SERVICE_NOT_RUNNING)
            self.assertFlags(flags_of(api, (ID_FQDN, FQDN)), ISDSC_SERVICE_NOT_RUNNING)
        finally:
            self.service.start()


class GroupKey(Case):
    """SetIScsiGroupPresharedKey."""

    def setUp(self):
        self.addCleanup(self.library.SetIScsiGroupPresharedKey, 0, None, True)

    def set(self, length, key, persist, status=ERROR_SUCCESS, kept=None):
        """The call gives this status; then there is a key or not."""
        self.assertStatus(self.library.SetIScsiGroupPresharedKey(length, key, persist), status)
        self.assertEqual(daemon_status()["group_preshared_key_set"], kept)

    def test_it_is_set_and_cleared(self):
        for persist in (True, False):
            for key in (b"k", KEY + b"\0", b"\0\xff" * 512):
                self.set(len(key), key, persist, kept=True)
                for cleared in (None, KEY):
                    self.set(0, cleared, persist, kept=False)

    def test_what_can_be_none_is_refused_and_changes_nothing(self):
        for length, key in ((4, None), (1025, b"k" * 1025), (0xFFFFFFFF, KEY)):
            for persist in (True, False):
                self.set(length, key, persist, ERROR_INVALID_PARAMETER, False)
        self.set(len(KEY), KEY, True, kept=True)
        self.set(4, None, True, ERROR_INVALID_PARAMETER, True)

    def test_only_what_is_persistent_outlives_the_service(self):
        with Service() as service:
            for persist in (True, False):
                self.set(len(KEY), KEY, persist, kept=True)
                for end in (service.stop, service.kill):
                    end()
                    service.start()
                    self.assertEqual(daemon_status()["group_preshared_key_set"], persist)
                self.set(0, None, True, kept=False)

    def test_without_a_service_it_is_not_set(self):
        self.service.stop()
        self.addCleanup(self.service.start)
        status = self.library.SetIScsiGroupPresharedKey(len(KEY), KEY, True)
        self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)


class Tunnels(Case):
    """SetIScsiTunnelModeOuterAddress."""

    def setUp(self):
        for destination in (None, "peer.example", "192.0.2.9"):
            self.addCleanup(self.library.W.SetIScsiTunnelModeOuterAddress, None, ALL, destination, None, True)

    def kept(self):
        """The tunnels that the daemon has, as (destination, outer address, port, persisted)."""
        found = daemon_status()["settings"]["tunnels"]
        return [(one["destination"], one["outer"], one["port_number"], one["persisted"]) for one in found]

    @both_widths
    def test_each_destination_has_an_address_and_all_others_have_one(self, api):
        set_address = api.SetIScsiTunnelModeOuterAddress
        self.assertStatus(set_address(None, ALL, None, "192.0.2.1", True), ERROR_SUCCESS)
        self.assertStatus(set_address("", ALL, "peer.example", "2001:db8::1", True), ERROR_SUCCESS)
        self.assertStatus(set_address(api.initiators()[0], ALL, "192.0.2.9", "192.0.2.2", False), ERROR_SUCCESS)
        expected = [
            (None, "192.0.2.1", None, True),
            ("peer.example", "2001:db8::1", None, True),
            ("192.0.2.9", "192.0.2.2", None, False),
        ]
        self.assertEqual(self.kept(), expected)
        # Again: another address in place of the first one, or none.
        check(set_address(None, ALL, "peer.example", "192.0.2.3", True))
        self.assertIn(("peer.example", "192.0.2.3", None, True), self.kept())
        for nothing in (None, ""):
            self.assertStatus(set_address(None, ALL, "peer.example", nothing, True), ERROR_SUCCESS)
            self.assertEqual(len(self.kept()), 2)
        for destination in (None, "192.0.2.9"):
            check(set_address(None, ALL, destination, None, True))
        self.assertEqual(self.kept(), [])

    @both_widths
    def test_a_port_has_its_own(self, api):
        (instance,) = api.initiators()
        check(api.SetIScsiTunnelModeOuterAddress(None, ALL, None, "192.0.2.1", True))
        check(api.SetIScsiTunnelModeOuterAddress(instance, 0, None, "192.0.2.2", True))
        self.assertEqual(self.kept(), [(None, "192.0.2.1", None, True), (None, "192.0.2.2", 0, True)])
        check(api.SetIScsiTunnelModeOuterAddress(instance, 0, None, None, True))
        self.assertEqual(self.kept(), [(None, "192.0.2.1", None, True)])

    @both_widths
    def test_what_can_be_no_address_is_refused_and_not_kept(self, api):
        (instance,) = api.initiators()
        good = (None, ALL, "peer.example", "192.0.2.1")
        wrong = (
            ((instance + "1", *good[1:]), ISDSC_INITIATOR_NOT_FOUND),
            ((instance, 0xFFFFFFFE, *good[2:]), ISDSC_INVALID_PORT_NUMBER),
            ((api.bad_text(), *good[1:]), ERROR_INVALID_PARAMETER),
            ((*good[:2], "with blank", good[3]), ERROR_INVALID_PARAMETER),
            ((*good[:2], TOO_LONG, good[3]), ERROR_INVALID_PARAMETER),
            ((*good[:2], api.bad_text(), good[3]), ERROR_INVALID_PARAMETER),
            ((*good[:3], "outer.example"), ERROR_INVALID_PARAMETER),
            ((*good[:3], "192.0.2.256"), ERROR_INVALID_PARAMETER),
            ((*good[:3], TOO_LONG), ERROR_INVALID_PARAMETER),
            ((*good[:3], api.bad_text()), ERROR_INVALID_PARAMETER),
        )
        for arguments, status in wrong:
            for persist in (True, False):
                self.assertStatus(api.SetIScsiTunnelModeOuterAddress(*arguments, persist), status)
        self.assertEqual(self.kept(), [])

    @both_widths
    def test_only_what_is_persistent_outlives_the_service(self, api):
        with Service() as service:
            check(api.SetIScsiTunnelModeOuterAddress(None, ALL, None, "192.0.2.1", True))
            check(api.SetIScsiTunnelModeOuterAddress(None, ALL, "peer.example", "192.0.2.2", False))
            self.assertEqual(len(self.kept()), 2)
            for end in (service.stop, service.kill):
                end()
                service.start()
                self.assertEqual(self.kept(), [(None, "192.0.2.1", None, True)])

    @both_widths
    def test_without_a_service_none_is_set(self, api):
        self.service.stop()
        try:
            status = api.SetIScsiTunnelModeOuterAddress(None, ALL, None, "192.0.2.1", True)
            self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)
        finally:
            self.service.start()
