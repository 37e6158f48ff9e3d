"""§2.2, first half: send-targets portals."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import peers
from case import both_widths
from discovery_library import *
from discovery_peer import DiscoveryPeer
from known import ANY, Known, everything, without_privilege
from service import Service, until

ONE, TWO = "iqn.2026-11.test.abi:told-one", "iqn.2026-11.test.abi:told-two"
#: Two portal groups, one of two portals.
GROUPS = [("192.0.2.11", 3260, 1), ("192.0.2.12", 3261, 1), ("2001:db8::13", 3260, 7)]
SECRET = b"secret-of-peer-3"
#: No name of a domain ends like this (RFC 6761).
UNKNOWN_HOST = "host-of-nobody.invalid"
#: Names that UTF-8 does not have.
RAW_NAME = b"m\xfcller \xff\xfe\x80"
#: What none of the calls takes for an address.
BAD_ADDRESSES = ("", "a b", "a,b", "a/b", "[::1]", "192.0.2.1\n", "x" * 255 + "y")
ALL_BUT_VALID = 0xFFFF_FFFF_FFFF_FFFE


def chap(user, secret=SECRET, **more):
    """Options of CHAP."""
    return login_options(AuthType=ISCSI_CHAP_AUTH_TYPE, Username=user, Password=secret, **more)


def full(array, unit=None):
    """Fills an array of a struct, so that it has no NUL."""
    array[:] = [unit or ord("x")] * len(array)


class Added(Known):
    """AddIScsiSendTargetPortal: what it makes known."""

    @both_widths
    def test_the_targets_of_tgt_are_known_at_once(self, api):
        self.assertEqual(api.targets(), [])
        self.assertStatus(
            api.AddIScsiSendTargetPortal(*ANY, None, 0, api.portal(*peers.OPEN)), ERROR_SUCCESS
        )
        self.assertEqual(api.targets(), [peers.DISKS, peers.OTHER])
        for target in api.targets():
            (portal,) = api.target_portals(target)
            self.assertEqual((portal.Address, portal.Socket), peers.OPEN)
        self.assertStatus(
            api.AddIScsiSendTargetPortal(*ANY, None, 0, api.portal(*peers.OPEN_SECOND)), ERROR_SUCCESS
        )
        self.assertEqual(api.targets(), [peers.DISKS, peers.OTHER], "each once")
        found = {(portal.Address, portal.Socket) for portal in api.target_portals(peers.DISKS)}
        self.assertEqual(found, {peers.OPEN, peers.OPEN_SECOND})

    @both_widths
    def test_it_is_listed_as_it_was_given(self, api):
        (own,) = api.initiators()
        for instance in (None, "", own):
            check(
                api.AddIScsiSendTargetPortal(
                    instance, ISCSI_ANY_INITIATOR_PORT, None, 0, api.portal(*peers.OPEN, "The Array, \u00fc")
                )
            )
        # "" and NULL are the same instance, its name is another.
        unnamed, named = api.send_target_portals()
        for found, instance in ((unnamed, ""), (named, own)):
            self.assertEqual(found.InitiatorName, instance)
            self.assertEqual(found.InitiatorPortNumber, ISCSI_ANY_INITIATOR_PORT)
            self.assertEqual(found.SymbolicName, "The Array, \u00fc")
            self.assertEqual((found.Address, found.Socket), peers.OPEN)

    @both_widths
    def test_without_a_symbolic_name_it_is_called_by_its_address(self, api):
        self.discover(api, peers.OPEN)
        (found,) = api.send_target_portals()
        (found_ex,) = api.send_target_portals_ex()
        self.assertEqual(found.SymbolicName, peers.OPEN.address)
        self.assertEqual(found_ex.SymbolicName, peers.OPEN.address)

    @both_widths
    def test_a_port_of_the_initiator_is_the_address_that_connects(self, api):
        (instance,) = api.initiators()
        with DiscoveryPeer({ONE: []}) as peer:
            portal = api.portal(*peer.portal)
            number, statuses = 0, {}
            # Numbers are from 0 on, without a gap; a port may have no way to the peer.
            while statuses.get(number - 1) != ISDSC_INVALID_PORT_NUMBER:
                before = len(peer.sources)
                statuses[number] = api.AddIScsiSendTargetPortal(instance, number, None, 0, portal)
                if statuses[number] == ERROR_SUCCESS:
                    found = api.send_target_portals()[-1]
                    self.assertEqual((found.InitiatorName, found.InitiatorPortNumber), (instance, number))
                    source = peer.sources[before]
                    (mechanism,) = [text for text in api.mechanisms(ONE) if text.endswith(source)]
                    wanted = f"SendTargets:*{peer.portal.address} {peer.portal.port:07} {instance} {source}"
                    self.assertEqual(mechanism, wanted)
                number += 1
            self.assertIn(ERROR_SUCCESS, statuses.values())
            self.assertIn("127.0.0.1", peer.sources)

    @both_widths
    def test_again_replaces_what_was_stored_and_asks_again(self, api):
        with DiscoveryPeer({ONE: []}) as peer:
            options = login_options(MaximumConnections=3)
            options.LoginFlags = ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED
            name = api.portal("LocalHost", peer.portal.port, "first")
            check(api.AddIScsiSendTargetPortal(*ANY, options, ALL_BUT_VALID, name))
            peer.targets = {TWO: []}
            again = api.portal("localhOST", peer.portal.port, "second")
            self.assertStatus(api.AddIScsiSendTargetPortal(*ANY, None, 0, again), ERROR_SUCCESS)
            (found,) = api.send_target_portals_ex()
            self.assertEqual(found.SymbolicName, "second")
            self.assertEqual(found.SecurityFlags, 0)
            self.assertEqual(found.LoginOptions.InformationSpecified, 0)
            self.assertEqual(found.LoginOptions.LoginFlags, 0)
            self.assertEqual(api.targets(), [TWO])
            self.assertEqual(peer.asked, 2)
            # The socket is part of the identity.
            check(api.AddIScsiSendTargetPortal(*ANY, None, 0, api.portal("localhost", 1)), ISDSC_CONNECTION_FAILED)
            self.assertEqual(len(api.send_target_portals()), 2)

    @both_widths
    def test_the_socket_0_is_3260(self, api):
        # A name that leads nowhere: nobody listens there, whatever else this machine does.
        for socket in (0, 3260):
            status = api.AddIScsiSendTargetPortal(*ANY, None, 0, api.portal(UNKNOWN_HOST, socket))
            self.assertStatus(status, ISDSC_DNS_NAME_UNRESOLVED)
            (found,) = api.send_target_portals()
            self.assertEqual((found.Address, found.Socket), (UNKNOWN_HOST, 3260))
        self.assertStatus(
            api.RefreshIScsiSendTargetPortal(*ANY, api.portal(UNKNOWN_HOST, 0)), ISDSC_DNS_NAME_UNRESOLVED
        )
        self.assertStatus(api.RemoveIScsiSendTargetPortal(*ANY, api.portal(UNKNOWN_HOST, 0)), ERROR_SUCCESS)
        self.assertEqual(api.send_target_portals(), [])

    @both_widths
    def test_the_longest_texts_are_taken(self, api):
        address = ".".join(["x" * 61] * 4) + ".invalid"
        self.assertEqual(len(address), 255)
        portal = api.portal(address, 65535, "y" * 255)
        status = api.AddIScsiSendTargetPortal(*ANY, None, 0, portal)
        self.assertStatus(status, ISDSC_DNS_NAME_UNRESOLVED)
        for (found,) in (api.send_target_portals(), api.send_target_portals_ex()):
            self.assertEqual((found.Address, found.Socket, found.SymbolicName), (address, 65535, "y" * 255))


class Failing(Known):
    """AddIScsiSendTargetPortal and RefreshIScsiSendTargetPortal: a discovery that fails leaves the portal listed."""

    def assertStays(self, api, portal, status, options=None, flags=0):
        """Adding gives this status, the portal is listed, a refresh gives it again, it can be removed."""
        given = api.portal(*portal)
        self.assertStatus(api.AddIScsiSendTargetPortal(*ANY, options, flags, given), status)
        (found,) = api.send_target_portals()
        self.assertEqual((found.Address, found.Socket), tuple(portal))
        self.assertEqual(api.targets(), [])
        self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, given), status)
        self.assertEqual(api.send_target_portals(), [found])
        self.assertStatus(api.RemoveIScsiSendTargetPortal(*ANY, given), ERROR_SUCCESS)
        self.assertEqual(api.send_target_portals(), [])

    @both_widths
    def test_nobody_listens(self, api):
        self.assertStays(api, peers.nowhere(), ISDSC_CONNECTION_FAILED)

    @both_widths
    def test_the_name_is_nobodys(self, api):
        self.assertStays(api, (UNKNOWN_HOST, 3260), ISDSC_DNS_NAME_UNRESOLVED)

    @both_widths
    def test_the_peer_wants_another_secret_or_name(self, api):
        with DiscoveryPeer({ONE: []}, (b"user", SECRET)) as peer:
            for options in (None, chap(b"user", SECRET[::-1]), chap(b"other")):
                self.assertStays(api, peer.portal, ISDSC_AUTHENTICATION_FAILURE, options)
            self.assertEqual(peer.asked, 0)
            # One that is stored is mended by adding it again.
            portal = api.portal(*peer.portal)
            status = api.AddIScsiSendTargetPortal(*ANY, None, 0, portal)
            self.assertStatus(status, ISDSC_AUTHENTICATION_FAILURE)
            self.assertStatus(api.AddIScsiSendTargetPortal(*ANY, chap(b"user"), 0, portal), ERROR_SUCCESS)
            self.assertEqual(api.targets(), [ONE])

    @both_widths
    def test_the_answer_cannot_be_used(self, api):
        with DiscoveryPeer() as peer:
            for raw in (b"no pair\0", b"TargetAddress=192.0.2.1:3260,1\0", b"TargetName=\xff\0"):
                peer.raw = raw
                self.assertStays(api, peer.portal, ISDSC_INVALID_SENDTARGETS_TEXT)
            peer.closes = True
            self.assertStays(api, peer.portal, ISDSC_CONNECTION_FAILED)

    @both_widths
    def test_what_cannot_be_used_of_an_answer_is_left_out(self, api):
        with DiscoveryPeer() as peer:
            peer.raw = b"TargetName=no name\0TargetName=%s\0TargetAddress=[\0Stray=1\0" % ONE.encode()
            self.discover(api, peer.portal)
            self.assertEqual(api.targets(), [ONE])
            # A target that is told without an address is where it was told of.
            self.assertEqual([(at.Address, at.Socket) for at in api.target_portals(ONE)], [peer.portal])

    @both_widths
    def test_the_statuses_of_a_login(self, api):
        statuses = {
            (2, 0): ISDSC_INITIATOR_ERROR,
            (2, 1): ISDSC_AUTHENTICATION_FAILURE,
            (2, 2): ISDSC_AUTHORIZATION_FAILURE,
            (2, 3): ISDSC_NOT_FOUND,
            (2, 4): ISDSC_TARGET_REMOVED,
            (2, 5): ISDSC_UNSUPPORTED_VERSION,
            (2, 6): ISDSC_TOO_MANY_CONNECTIONS,
            (2, 7): ISDSC_MISSING_PARAMETER,
            (2, 8): ISDSC_CANT_INCLUDE_IN_SESSION,
            (2, 9): ISDSC_SESSION_TYPE_NOT_SUPPORTED,
            (2, 10): ISDSC_INVALID_SESSION_ID,
            (2, 11): ISDSC_LOGIN_FAILED,
            (2, 99): ISDSC_LOGIN_FAILED,
            (3, 0): ISDSC_TARGET_ERROR,
            (3, 1): ISDSC_SERVICE_UNAVAILABLE,
            (3, 2): ISDSC_OUT_OF_RESOURCES,
        }
        with DiscoveryPeer() as peer:
            for peer.status, status in statuses.items():
                with self.subTest(status=peer.status):
                    self.assertStays(api, peer.portal, status)

    @both_widths
    def test_a_peer_that_moved_is_followed(self, api):
        with DiscoveryPeer() as peer:
            peer.status = (1, 1)
            peer.login_text = b"TargetAddress=%s:%d,1\0" % (peers.OPEN.address.encode(), peers.OPEN.port)
            self.discover(api, peer.portal)
            self.assertEqual(api.targets(), [peers.DISKS, peers.OTHER])

    @both_widths
    def test_a_peer_that_moved_to_itself_is_not_followed_for_ever(self, api):
        with DiscoveryPeer() as peer:
            peer.status = (1, 1)
            peer.login_text = b"TargetAddress=127.0.0.1:%d,1\0" % peer.portal.port
            self.assertStays(api, peer.portal, ISDSC_TARGET_MOVED_TEMPORARILY)

    @both_widths
    def test_what_this_version_cannot_speak_is_refused_but_stored(self, api):
        with DiscoveryPeer({ONE: []}) as peer:
            for flag, status in (
                (ISCSI_LOGIN_FLAG_REQUIRE_IPSEC, ISDSC_IPSEC_NOT_SUPPORTED_ON_OS),
                (ISCSI_LOGIN_FLAG_USE_RADIUS_RESPONSE, ISDSC_REQUEST_NOT_SUPPORTED),
                (ISCSI_LOGIN_FLAG_USE_RADIUS_VERIFICATION, ISDSC_REQUEST_NOT_SUPPORTED),
            ):
                self.assertStays(api, peer.portal, status, login_options(LoginFlags=flag))
            flags = ISCSI_SECURITY_FLAG_VALID | ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED
            self.assertStays(api, peer.portal, ISDSC_IPSEC_NOT_SUPPORTED_ON_OS, None, flags)
            self.assertEqual(peer.sources, [], "nothing was asked in the clear")

    @both_widths
    def test_mutual_chap_needs_our_secret(self, api):
        options = chap(b"user")
        options.AuthType = ISCSI_MUTUAL_CHAP_AUTH_TYPE
        with DiscoveryPeer({ONE: []}, (b"user", SECRET)) as peer:
            self.assertStays(api, peer.portal, ISDSC_INVALID_INITIATOR_CHAP_SECRET, options)


def unchanged(body):
    """A test of an `api` whose calls change nothing that a report tells."""

    @functools.wraps(body)
    def test(self, api):
        with self.unchanged():
            body(self, api)

    return test


class Refusals(Known):
    """What is refused, and leaves nothing behind."""

    def setUp(self):
        super().setUp()
        with unrecorded():
            self.discover(self.library.W, peers.OPEN)

    def all_refuse(self, api, status, instance, port, portal):
        """The three calls that name a portal refuse it."""
        self.refused(status, api.AddIScsiSendTargetPortal, instance, port, None, 0, portal)
        self.refused(status, api.RemoveIScsiSendTargetPortal, instance, port, portal)
        self.refused(status, api.RefreshIScsiSendTargetPortal, instance, port, portal)

    @both_widths
    @unchanged
    def test_no_portal_and_no_address(self, api):
        self.all_refuse(api, ERROR_INVALID_PARAMETER, *ANY, None)
        for address in BAD_ADDRESSES:
            self.all_refuse(api, ERROR_INVALID_PARAMETER, *ANY, api.portal(address, peers.OPEN.port))

    @both_widths
    @unchanged
    def test_texts_without_their_nul(self, api):
        portal = api.portal(*peers.OPEN)
        full(portal.Address)
        self.all_refuse(api, ERROR_INVALID_PARAMETER, *ANY, portal)
        portal = api.portal(*peers.nowhere())
        full(portal.SymbolicName)
        self.refused(ERROR_INVALID_PARAMETER, api.AddIScsiSendTargetPortal, *ANY, None, 0, portal)

    @both_widths
    @unchanged
    def test_what_is_no_text(self, api):
        bad = api.bad_text()
        for unpaired in (bad, units(0xDC00, 0x61)) if api is self.library.W else (bad, ansi(b"\xc3")):
            portal = api.portal(*peers.OPEN)
            portal.Address[: len(unpaired)] = list(unpaired)
            self.all_refuse(api, ERROR_INVALID_PARAMETER, *ANY, portal)
            portal = api.portal(*peers.nowhere())
            portal.SymbolicName[: len(unpaired)] = list(unpaired)
            self.refused(ERROR_INVALID_PARAMETER, api.AddIScsiSendTargetPortal, *ANY, None, 0, portal)
        self.all_refuse(api, ERROR_INVALID_PARAMETER, bad, ISCSI_ANY_INITIATOR_PORT, api.portal(*peers.OPEN))

    @both_widths
    @unchanged
    def test_instances_and_ports_that_are_not_there(self, api):
        (instance,) = api.initiators()
        nowhere = api.portal(*peers.nowhere())
        for name in (instance + "x", "x", "x" * 255):
            self.all_refuse(api, ISDSC_INITIATOR_NOT_FOUND, name, ISCSI_ANY_INITIATOR_PORT, nowhere)
        self.all_refuse(api, ERROR_INVALID_PARAMETER, "x" * 256, ISCSI_ANY_INITIATOR_PORT, nowhere)
        for port in (4711, 0x7FFFFFFF, 0xFFFFFFFE):
            self.refused(ISDSC_INVALID_PORT_NUMBER, api.AddIScsiSendTargetPortal, instance, port, None, 0, nowhere)
        # What is stored with a port may outlive it: such a one is only not found.
        self.refused(ISDSC_PORTAL_NOT_FOUND, api.RemoveIScsiSendTargetPortal, instance, 4711, nowhere)
        self.refused(ISDSC_PORTAL_NOT_FOUND, api.RefreshIScsiSendTargetPortal, instance, 4711, nowhere)
        # Ports are those of an instance.
        self.refused(ERROR_INVALID_PARAMETER, api.AddIScsiSendTargetPortal, None, 0, None, 0, nowhere)

    @both_widths
    @unchanged
    def test_portals_that_are_not_stored(self, api):
        (instance,) = api.initiators()
        others = [
            (*ANY, api.portal(peers.OPEN.address, peers.OPEN.port + 1)),
            (*ANY, api.portal(peers.OPEN_SECOND.address, peers.OPEN.port)),
            (instance, 0, api.portal(*peers.OPEN)),
        ]
        for other in others:
            self.refused(ISDSC_PORTAL_NOT_FOUND, api.RemoveIScsiSendTargetPortal, *other)
            self.refused(ISDSC_PORTAL_NOT_FOUND, api.RefreshIScsiSendTargetPortal, *other)

    @both_widths
    @unchanged
    def test_options_that_cannot_be(self, api):
        wrong = [
            (ERROR_INVALID_PARAMETER, login_options(Version=1)),
            (ERROR_INVALID_PARAMETER, login_options(Version=0xFFFFFFFF)),
            (ERROR_INVALID_PARAMETER, login_options(InformationSpecified=0x100)),
            (ISDSC_INVALID_LOGON_AUTH_TYPE, login_options(AuthType=3)),
            (ISDSC_INVALID_LOGON_AUTH_TYPE, login_options(AuthType=-1)),
            (ISDSC_LOGIN_USER_INFO_BAD, login_options(HeaderDigest=2)),
            (ISDSC_LOGIN_USER_INFO_BAD, login_options(DataDigest=-1)),
            (ISDSC_LOGIN_USER_INFO_BAD, login_options(MaximumConnections=65536)),
            (ISDSC_LOGIN_USER_INFO_BAD, login_options(DefaultTime2Wait=3601)),
            (ISDSC_LOGIN_USER_INFO_BAD, login_options(DefaultTime2Retain=3601)),
            (ISDSC_INVALID_CHAP_USER_NAME, chap(b"x" * 256)),
            (ISDSC_INVALID_CHAP_USER_NAME, chap(b"a\0b")),
            (ISDSC_INVALID_TARGET_CHAP_SECRET, chap(b"user", b"x" * 17)),
            (ISDSC_INVALID_TARGET_CHAP_SECRET, chap(b"user", b"")),
        ]
        missing = chap(b"user")
        missing.Username = None
        wrong.append((ERROR_INVALID_PARAMETER, missing))
        portal = api.portal(*peers.OPEN)
        for status, options in wrong:
            self.refused(status, api.AddIScsiSendTargetPortal, *ANY, options, 0, portal)

    @both_widths
    @unchanged
    def test_security_flags_that_exclude_each_other(self, api):
        for pair in (
            ISCSI_SECURITY_FLAG_MAIN_MODE_ENABLED | ISCSI_SECURITY_FLAG_AGGRESSIVE_MODE_ENABLED,
            ISCSI_SECURITY_FLAG_TRANSPORT_MODE_PREFERRED | ISCSI_SECURITY_FLAG_TUNNEL_MODE_PREFERRED,
        ):
            flags = pair | ISCSI_SECURITY_FLAG_VALID
            portal = api.portal(*peers.OPEN)
            self.refused(ERROR_INVALID_PARAMETER, api.AddIScsiSendTargetPortal, *ANY, None, flags, portal)

    @both_widths
    def test_those_who_may_change_nothing_may_look(self, api):
        def call():
            portal = api.portal(*peers.OPEN)
            return [
                api.AddIScsiSendTargetPortal(*ANY, None, 0, portal),
                api.RemoveIScsiSendTargetPortal(*ANY, portal),
                api.RefreshIScsiSendTargetPortal(*ANY, portal),
                [found.Address for found in api.send_target_portals()],
                [found.Address for found in api.send_target_portals_ex()],
            ]

        os.chmod(self.service.directory, 0o755)
        before = everything()
        told = without_privilege(call)
        self.assertEqual(told, [ERROR_ACCESS_DENIED] * 3 + [[peers.OPEN.address]] * 2)
        self.assertUnchanged(before)

    @both_widths
    def test_without_a_service(self, api):
        portal, count, size = api.portal(*peers.OPEN), ULONG(77), ULONG(78)
        self.service.stop()
        try:
            for status in (
                api.AddIScsiSendTargetPortal(*ANY, None, 0, portal),
                api.RemoveIScsiSendTargetPortal(*ANY, portal),
                api.RefreshIScsiSendTargetPortal(*ANY, portal),
                api.ReportIScsiSendTargetPortals(count, None),
                api.ReportIScsiSendTargetPortalsEx(count, size, None),
            ):
                self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)
        finally:
            self.service.start()
        self.assertEqual((count.value, size.value), (77, 78))
        self.assertEqual([found.Address for found in api.send_target_portals()], [peers.OPEN.address])


class Identity(Known):
    """RemoveIScsiSendTargetPortal and RefreshIScsiSendTargetPortal: which portal is meant, and what becomes of it."""

    @both_widths
    def test_the_symbolic_name_is_not_read(self, api):
        with DiscoveryPeer({ONE: []}) as peer:
            self.discover(api, peer.portal)
            portal = api.portal(*peer.portal)
            for unit in (ord("x"), 0xFF if api is self.library.A else 0xD800):
                full(portal.SymbolicName, unit)
                self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, portal), ERROR_SUCCESS)
            self.assertEqual(peer.asked, 3)
            self.assertStatus(api.RemoveIScsiSendTargetPortal(*ANY, portal), ERROR_SUCCESS)
            self.assertEqual(api.send_target_portals(), [])

    @both_widths
    def test_addresses_are_compared_without_regard_to_case(self, api):
        with DiscoveryPeer({ONE: []}) as peer:
            check(api.AddIScsiSendTargetPortal(*ANY, None, 0, api.portal("LOCALhost", peer.portal.port)))
            portal = api.portal("localHOST", peer.portal.port)
            self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, portal), ERROR_SUCCESS)
            self.assertEqual(peer.asked, 2)
            self.assertStatus(api.RemoveIScsiSendTargetPortal(*ANY, portal), ERROR_SUCCESS)
            self.assertEqual(api.send_target_portals(), [])

    def add_with_ports(self, api, peer):
        """Adds the peer from every port that reaches it; gives their numbers."""
        (instance,) = api.initiators()
        numbers = []
        for number in range(64):
            status = api.AddIScsiSendTargetPortal(instance, number, None, 0, api.portal(*peer.portal))
            if status == ISDSC_INVALID_PORT_NUMBER:
                return numbers
            numbers.append(number)
        raise AssertionError("no end of ports")

    def listed(self, api):
        return [(found.InitiatorName, found.InitiatorPortNumber) for found in api.send_target_portals()]

    @both_widths
    def test_an_exact_entry_is_removed_alone(self, api):
        (instance,) = api.initiators()
        with DiscoveryPeer({ONE: []}) as peer:
            portal = api.portal(*peer.portal)
            numbers = self.add_with_ports(api, peer)
            check(api.AddIScsiSendTargetPortal(*ANY, None, 0, portal))
            check(api.AddIScsiSendTargetPortal(instance, ISCSI_ANY_INITIATOR_PORT, None, 0, portal))
            rest = [(instance, number) for number in numbers]
            self.assertCountEqual(
                self.listed(api), [*rest, ("", ISCSI_ANY_INITIATOR_PORT), (instance, ISCSI_ANY_INITIATOR_PORT)]
            )
            for own in (None, instance.swapcase()):
                status = api.RemoveIScsiSendTargetPortal(own, ISCSI_ANY_INITIATOR_PORT, portal)
                self.assertStatus(status, ERROR_SUCCESS)
            self.assertCountEqual(self.listed(api), rest)
            self.assertStatus(api.RemoveIScsiSendTargetPortal(instance, numbers[-1], portal), ERROR_SUCCESS)
            self.assertCountEqual(self.listed(api), rest[:-1])

    @both_widths
    def test_null_and_all_remove_every_match_if_none_is_exact(self, api):
        with DiscoveryPeer({ONE: []}) as peer, DiscoveryPeer({TWO: []}) as other:
            self.add_with_ports(api, peer)
            self.discover(api, other.portal)
            self.assertStatus(api.RemoveIScsiSendTargetPortal(*ANY, api.portal(*peer.portal)), ERROR_SUCCESS)
            (left,) = api.send_target_portals()
            self.assertEqual((left.Address, left.Socket), other.portal)
            self.assertEqual(api.targets(), [TWO])

    @both_widths
    def test_null_and_all_refresh_every_match_if_none_is_exact(self, api):
        with DiscoveryPeer({ONE: []}) as peer:
            self.add_with_ports(api, peer)
            before = peer.asked
            peer.targets = {TWO: []}
            status = api.RefreshIScsiSendTargetPortal(*ANY, api.portal(*peer.portal))
            # From an address that has no way to the peer it cannot be asked.
            check(status, ISDSC_CONNECTION_FAILED)
            self.assertGreater(peer.asked, before)

    @both_widths
    def test_removing_forgets_what_it_told_and_nothing_else(self, api):
        self.discover(api, peers.OPEN)
        self.discover(api, peers.OPEN_SECOND)
        check(api.AddIScsiStaticTarget(peers.OTHER, None, 0, False, None, None, None))
        session = api.login(peers.DISKS, informational=True)
        check(session.status)
        check(api.login(peers.DISKS, persistent=True).status)
        self.assertStatus(api.RemoveIScsiSendTargetPortal(*ANY, api.portal(*peers.OPEN)), ERROR_SUCCESS)
        self.assertEqual(api.targets(), [peers.DISKS, peers.OTHER])
        (portal,) = api.target_portals(peers.DISKS)
        self.assertEqual((portal.Address, portal.Socket), peers.OPEN_SECOND)
        self.assertStatus(api.RemoveIScsiSendTargetPortal(*ANY, api.portal(*peers.OPEN_SECOND)), ERROR_SUCCESS)
        self.assertEqual(api.targets(), [peers.OTHER], "it is static too")
        self.assertEqual(api.mechanisms(peers.OTHER), ["Static:"])
        self.assertEqual([one.SessionId for one in api.sessions()], [session.session])
        self.assertEqual([one.TargetName for one in api.persistent_logins()], [peers.DISKS])


class Asked(Known):
    """RefreshIScsiSendTargetPortal: what is asked, and what the answer changes."""

    @both_widths
    def test_an_answer_replaces_the_earlier_one(self, api):
        with DiscoveryPeer({ONE: GROUPS, TWO: []}) as peer, DiscoveryPeer({TWO: GROUPS}) as other:
            self.discover(api, peer.portal)
            self.discover(api, other.portal)
            self.assertEqual(api.targets(), [ONE, TWO])
            peer.targets = {ONE: GROUPS[:1]}
            self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, api.portal(*peer.portal)), ERROR_SUCCESS)
            self.assertEqual(api.targets(), [ONE, TWO], "the other portal still tells of it")
            (mechanism,) = api.mechanisms(ONE)
            ((portal,),) = api.portal_groups(ONE, mechanism)
            self.assertEqual((portal.Address, portal.Socket), GROUPS[0][:2])
            self.assertEqual(len(api.mechanisms(TWO)), 1)
            other.targets = {}
            self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, api.portal(*other.portal)), ERROR_SUCCESS)
            self.assertEqual(api.targets(), [ONE])

    @both_widths
    def test_a_failure_leaves_the_earlier_answer(self, api):
        with DiscoveryPeer({ONE: GROUPS}) as peer:
            self.discover(api, peer.portal)
            portal = api.portal(*peer.portal)
            before = everything()
            peer.raw = b"no pair\0"
            self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, portal), ISDSC_INVALID_SENDTARGETS_TEXT)
            self.assertUnchanged(before)
            peer.status = (2, 1)
            self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, portal), ISDSC_AUTHENTICATION_FAILURE)
            self.assertUnchanged(before)
        self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, portal), ISDSC_CONNECTION_FAILED)
        self.assertUnchanged(before)

    @both_widths
    def test_the_stored_options_are_used_after_every_end_of_the_service(self, api):
        for user in (b"plain", "gr\u00fc\u00dfe".encode(), RAW_NAME, b"x" * 255):
            with DiscoveryPeer({ONE: []}, (user, SECRET)) as peer:
                portal = api.portal(*peer.portal)
                self.assertStatus(api.AddIScsiSendTargetPortal(*ANY, chap(user), 0, portal), ERROR_SUCCESS)
                self.assertStatus(api.RefreshIScsiSendTargetPortal(*ANY, portal), ERROR_SUCCESS)
                for end in self.ends():
                    status = api.RefreshIScsiSendTargetPortal(*ANY, portal)
                    self.assertStatus(status, ERROR_SUCCESS)
                    self.assertGreaterEqual(peer.asked, 3, end)
                self.assertEqual(set(peer.users), {user})
                check(api.RemoveIScsiSendTargetPortal(*ANY, portal))

    @both_widths
    def test_without_a_user_name_it_is_that_of_the_initiator(self, api):
        name = api.node_name()
        unspecified = login_options(AuthType=ISCSI_CHAP_AUTH_TYPE, Password=SECRET)
        empty = chap(b"")
        null = chap(b"")
        null.Username = None
        with DiscoveryPeer({ONE: []}, (name.encode(), SECRET)) as peer:
            for options in (unspecified, empty, null):
                status = api.AddIScsiSendTargetPortal(*ANY, options, 0, api.portal(*peer.portal))
                self.assertStatus(status, ERROR_SUCCESS)
            self.assertEqual(peer.users, [name.encode()] * 3)

    @both_widths
    def test_a_late_answer_does_not_bring_back_what_is_removed(self, api):
        with DiscoveryPeer({ONE: []}) as peer, ThreadPoolExecutor() as threads:
            portal = api.portal(*peer.portal)
            self.discover(api, peer.portal)
            peer.may_tell.clear()
            refresh = threads.submit(api.RefreshIScsiSendTargetPortal, *ANY, portal)
            update = threads.submit(api.targets, True)
            until("both to ask", lambda: peer.asked == 3)
            # It does not wait for the peer.
            self.assertStatus(api.RemoveIScsiSendTargetPortal(*ANY, portal), ERROR_SUCCESS)
            peer.may_tell.set()
            self.assertStatus(refresh.result(), ISDSC_PORTAL_NOT_FOUND)
            self.assertEqual(update.result(), [])
            self.assertEqual((api.targets(), api.send_target_portals()), ([], []))

    @both_widths
    def test_a_start_of_the_service_asks_all(self, api):
        with DiscoveryPeer({ONE: []}, (b"user", SECRET)) as peer, DiscoveryPeer({TWO: []}) as other:
            self.discover(api, peer.portal, chap(b"user"))
            self.discover(api, other.portal)
            for end in (self.service.stop, self.service.kill):
                before = peer.asked, other.asked
                end()
                self.service.start()
                until("both to be asked", lambda: peer.asked > before[0] and other.asked > before[1])
            self.assertEqual(api.targets(), [ONE, TWO])


class Reported(Known):
    """ReportIScsiSendTargetPortals and ReportIScsiSendTargetPortalsEx."""

    def fill(self, api):
        """Three portals, that cannot be asked, with 0, 5 and 3 bytes of user name."""
        given = [None, chap(b"abcde"), chap(b"\xff\xfe\xfd")]
        for number, options in enumerate(given, 1):
            portal = api.portal(UNKNOWN_HOST, number)
            check(api.AddIScsiSendTargetPortal(*ANY, options, number << 8, portal), ISDSC_DNS_NAME_UNRESOLVED)

    @both_widths
    def test_the_size_is_in_elements(self, api):
        self.fill(api)
        size = ctypes.sizeof(api.ISCSI_TARGET_PORTAL_INFO)
        for room, status in ((0, 122), (2, 122), (3, 0), (5, 0)):
            count, buffer = ULONG(room), Buffer(room * size)
            told = api.ReportIScsiSendTargetPortals(count, buffer.at(api.ISCSI_TARGET_PORTAL_INFO))
            self.assertStatus(told, status)
            self.assertEqual(count.value, 3)
            buffer.check_guard()
            if status:
                buffer.check_untouched()
            else:
                self.assertEqual(set(buffer.read()[3 * size :]) - {FILLER}, set(), "the rest is left alone")
        self.assertEqual([one.Socket for one in api.send_target_portals()], [1, 2, 3], "in the order of adding")

    @both_widths
    def test_the_size_with_options_is_in_bytes_and_exact(self, api):
        self.fill(api)
        struct = api.ISCSI_TARGET_PORTAL_INFO_EX
        exact = 3 * ctypes.sizeof(struct) + 5 + 3
        count, size = ULONG(WILD), ULONG(WILD)
        self.assertStatus(api.ReportIScsiSendTargetPortalsEx(count, size, None), ERROR_INSUFFICIENT_BUFFER)
        self.assertEqual((count.value, size.value), (3, exact))
        for room, status in ((exact - 1, 122), (exact, 0), (exact + 9, 0)):
            # The count is not the capacity, whatever it is.
            count, size, buffer = ULONG(0), ULONG(room), Buffer(room)
            told = api.ReportIScsiSendTargetPortalsEx(count, size, buffer.at(struct))
            self.assertStatus(told, status)
            self.assertEqual((count.value, size.value), (3, exact))
            buffer.check_guard()
            if status:
                buffer.check_untouched()

    @both_widths
    def test_an_empty_list_is_success(self, api):
        for buffer in (None, Buffer(4096)):
            at = buffer and buffer.at(api.ISCSI_TARGET_PORTAL_INFO)
            count = ULONG(2)
            self.assertStatus(api.ReportIScsiSendTargetPortals(count, at), ERROR_SUCCESS)
            self.assertEqual(count.value, 0)
            at = buffer and buffer.at(api.ISCSI_TARGET_PORTAL_INFO_EX)
            count, size = ULONG(2), ULONG(4096)
            self.assertStatus(api.ReportIScsiSendTargetPortalsEx(count, size, at), ERROR_SUCCESS)
            self.assertEqual((count.value, size.value), (0, 0))

    @both_widths
    def test_null_for_counts_and_sizes_is_refused(self, api):
        self.fill(api)
        buffer = Buffer(8192)
        at, at_ex = buffer.at(api.ISCSI_TARGET_PORTAL_INFO), buffer.at(api.ISCSI_TARGET_PORTAL_INFO_EX)
        count, size = ULONG(8192), ULONG(8192)
        for status in (
            api.ReportIScsiSendTargetPortals(None, at),
            api.ReportIScsiSendTargetPortals(None, None),
            api.ReportIScsiSendTargetPortalsEx(None, size, at_ex),
            api.ReportIScsiSendTargetPortalsEx(count, None, at_ex),
            api.ReportIScsiSendTargetPortalsEx(None, None, None),
        ):
            self.assertStatus(status, ERROR_INVALID_PARAMETER)
        self.assertEqual((count.value, size.value), (8192, 8192))
        buffer.check_untouched()

    @both_widths
    def test_options_are_told_as_given_and_the_secret_never(self, api):
        given = {
            "AuthType": ISCSI_CHAP_AUTH_TYPE,
            "HeaderDigest": ISCSI_DIGEST_TYPE_CRC32C,
            "DataDigest": ISCSI_DIGEST_TYPE_NONE,
            "MaximumConnections": 65535,
            "DefaultTime2Wait": 0,
            "DefaultTime2Retain": 3600,
        }
        for user in (b"user", RAW_NAME, b"x" * 255):
            options = login_options(Username=user, Password=SECRET, LoginFlags=0xFFFFFFCE, **given)
            with DiscoveryPeer({ONE: []}, (user, SECRET)) as peer:
                self.discover(api, peer.portal, options, ALL_BUT_VALID)
            for reader in self.library.widths:
                (found,) = reader.send_target_portals_ex()
                self.assertEqual(found.SecurityFlags, ALL_BUT_VALID)
                told = found.LoginOptions
                self.assertEqual({name: getattr(told, name) for name in given}, given)
                self.assertEqual((told.Version, told.InformationSpecified), (0, 0xFF))
                self.assertEqual(told.LoginFlags, 0xFFFFFFCE)
                self.assertEqual((told.Username, told.UsernameLength), (user, len(user)))
                self.assertEqual((told.Password, told.PasswordLength), (b"", 0))
            self.assertSecretIsNotIn(api)
            check(api.RemoveIScsiSendTargetPortal(*ANY, api.portal(*peer.portal)))

    def assertSecretIsNotIn(self, api):
        buffer, count, size = Buffer(1 << 16), ULONG(0), ULONG(1 << 16)
        check(api.ReportIScsiSendTargetPortalsEx(count, size, buffer.at(api.ISCSI_TARGET_PORTAL_INFO_EX)))
        self.assertNotIn(SECRET, buffer.read())

    @both_widths
    def test_no_limit_of_connections_is_the_most_that_there_are(self, api):
        with DiscoveryPeer({ONE: []}) as peer:
            self.discover(api, peer.portal, login_options(MaximumConnections=0))
        (found,) = api.send_target_portals_ex()
        told = found.LoginOptions
        self.assertEqual(told.InformationSpecified, ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS)
        self.assertEqual(told.MaximumConnections, 65535)

    @both_widths
    def test_fields_without_their_bit_are_neither_read_nor_told(self, api):
        options = login_options()
        for name, _ in ISCSI_LOGIN_OPTIONS._fields_[3:11]:
            setattr(options, name, 0x7FFFFFFF)
        wild = ctypes.cast(1, ctypes.POINTER(UCHAR))
        options.Username = options.Password = wild
        with DiscoveryPeer({ONE: []}) as peer:
            self.discover(api, peer.portal, options)
        (found,) = api.send_target_portals_ex()
        nothing = value_of(ISCSI_LOGIN_OPTIONS())
        self.assertEqual(found.LoginOptions, nothing)

    @both_widths
    def test_security_flags_are_told_verbatim(self, api):
        # Of those that count none asks for IPsec.
        for flags in (0, 1, 0x10, 0x1C, ALL_BUT_VALID, 0x8000000000000001):
            with DiscoveryPeer({ONE: []}) as peer:
                self.discover(api, peer.portal, None, flags)
            (found,) = api.send_target_portals_ex()
            self.assertEqual(found.SecurityFlags, flags)
            check(api.RemoveIScsiSendTargetPortal(*ANY, api.portal(*peer.portal)))

    def test_both_widths_say_the_same(self):
        self.fill(self.library.A)
        of_a, of_w = (api.send_target_portals_ex() for api in self.library.widths)
        self.assertEqual(of_a, of_w)
        of_a, of_w = (api.send_target_portals() for api in self.library.widths)
        self.assertEqual(of_a, of_w)

    @both_widths
    def test_every_end_of_the_service_keeps_them(self, api):
        (instance,) = api.initiators()
        self.fill(api)
        with DiscoveryPeer({ONE: GROUPS}, (RAW_NAME, SECRET)) as peer:
            portal = api.portal(*peer.portal, "Peer \u00fc")
            options = chap(RAW_NAME, MaximumConnections=2)
            check(api.AddIScsiSendTargetPortal(instance, ISCSI_ANY_INITIATOR_PORT, options, 0x6E, portal))
            before = everything()
            for _ in self.ends():
                self.assertUnchanged(before)
            check(api.RemoveIScsiSendTargetPortal(instance, ISCSI_ANY_INITIATOR_PORT, portal))
            before = everything()
            for _ in self.ends():
                self.assertUnchanged(before)

    @both_widths
    def test_a_fresh_service_has_none(self, api):
        with Service():
            self.assertEqual(api.send_target_portals(), [])
            self.assertEqual(api.send_target_portals_ex(), [])
