"""§2.3: LoginIScsiTarget and LogoutIScsiTarget, as far as they need neither CHAP nor disks."""

import contextlib

import peers
from case import both_widths
from discovery_library import *
from logged_in import OLD_ID, TOO_LONG, Discovered, nobody
from login_peer import LoginPeer

#: Knows no portal of its own: static, without a portal group.
STATIC = "iqn.2026-11.test.abi:static"
MULTIPATH = ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED


def multipath(**fields):
    """Login options with the flag that permits further sessions."""
    return login_options(LoginFlags=MULTIPATH, **fields)


class Sessions(Discovered):
    """What a login and a logout do."""

    @both_widths
    def test_a_login_makes_the_session_whose_ids_it_gives(self, api):
        done = self.log_in(api, peers.DISKS)
        (session,) = api.sessions()
        self.assertEqual((session.SessionId, session.TargetName), (done.session, peers.DISKS))
        (connection,) = session.Connections
        self.assertEqual(connection.ConnectionId, done.connection)
        for identifier in (done.session, done.connection):
            self.assertNotIn(0, (identifier.AdapterUnique, identifier.AdapterSpecific), "all-zero is none")
        self.assertEqual(done.session.AdapterUnique, done.connection.AdapterUnique, "the same adapter")
        self.assertStatus(self.library.LogoutIScsiTarget(done.session), ERROR_SUCCESS)
        self.assertEqual(api.sessions(), [])

    @both_widths
    def test_each_login_has_ids_of_its_own(self, api):
        seen = set()
        for _ in range(3):
            done = self.log_in(api, peers.DISKS)
            seen |= {id_text(done.session), "connection " + id_text(done.connection)}
            check(self.library.LogoutIScsiTarget(done.session))
        self.assertEqual(len(seen), 6, "a fresh login gets a fresh id")

    @both_widths
    def test_an_informational_session_shows_no_devices_and_takes_commands(self, api):
        session = self.log_in(api, peers.DISKS, informational=True).session
        self.assertStatus(self.library.inquiry(session, lun_value(1)).status, ERROR_SUCCESS)
        # A data session beside it has its devices: those of the first one would be there too by now.
        other = self.log_in(api, peers.OTHER).session
        self.ready_devices(api, other, 2)
        self.assertEqual(api.devices(session), [])
        self.assertEqual([mapping.SessionId for mapping in api.mappings()], [other])
        types = {id_text(listed.SessionId): listed.Type for listed in self.library.sessions_ex()}
        self.assertEqual(types, {id_text(session): 1, id_text(other): 2})

    @both_widths
    def test_any_byte_but_zero_is_true(self, api):
        for byte, kind in ((0, 2), (1, 1), (0x80, 1)):
            session = self.log_in(api, peers.DISKS, informational=byte).session
            (listed,) = self.library.sessions_ex()
            self.assertEqual(listed.Type, kind)
            check(self.library.LogoutIScsiTarget(session))

    @both_widths
    def test_only_the_multipath_flag_lets_a_target_be_logged_in_to_again(self, api):
        for informational in (True, False):
            first = self.log_in(api, peers.DISKS, informational=informational)
            refused = api.login(peers.DISKS)
            self.assertStatus(refused.status, ISDSC_TARGET_ALREADY_LOGGED_IN)
            other_flags = login_options(LoginFlags=ISCSI_LOGIN_FLAG_ALLOW_PORTAL_HOPPING | ISCSI_LOGIN_FLAG_RESERVED1)
            self.assertStatus(
                api.login(peers.DISKS, options=other_flags).status, ISDSC_TARGET_ALREADY_LOGGED_IN
            )
            self.assertEqual([session.SessionId for session in api.sessions()], [first.session])
            second = self.log_in(api, peers.DISKS, options=multipath())
            one, other = api.sessions()
            self.assertEqual([one.SessionId, other.SessionId], [first.session, second.session])
            self.assertNotEqual(one.ISID, other.ISID, "another session for the target too")
            for session in (first, second):
                check(self.library.LogoutIScsiTarget(session.session))

    @both_widths
    def test_a_logout_ends_one_session_and_no_other(self, api):
        first = self.log_in(api, peers.DISKS, informational=True).session
        second = self.log_in(api, peers.DISKS, informational=True, options=multipath()).session
        self.assertStatus(self.library.LogoutIScsiTarget(first), ERROR_SUCCESS)
        self.assertEqual([session.SessionId for session in api.sessions()], [second])
        self.assertStatus(self.library.LogoutIScsiTarget(first), ISDSC_INVALID_SESSION_ID)
        self.assertStatus(self.library.inquiry(first).status, ISDSC_INVALID_SESSION_ID)
        self.assertStatus(self.library.inquiry(second).status, ERROR_SUCCESS)

    def test_a_logout_of_nobody_is_refused(self):
        session = self.log_in(self.library.W, peers.DISKS).session
        connection = self.library.W.sessions()[0].Connections[0].ConnectionId
        halves = ISCSI_UNIQUE_SESSION_ID(session.AdapterUnique + 1, session.AdapterSpecific)
        for wrong in (nobody(), ISCSI_UNIQUE_SESSION_ID(0, 0), connection, halves):
            self.assertStatus(self.library.LogoutIScsiTarget(wrong), ISDSC_INVALID_SESSION_ID)
        self.assertStatus(self.library.LogoutIScsiTarget(None), ERROR_INVALID_PARAMETER)
        self.assertEqual(len(self.library.W.sessions()), 1)

    @both_widths
    def test_a_logout_leaves_the_persistent_login(self, api):
        self.store(api, peers.DISKS)
        session = self.log_in(api, peers.DISKS).session
        self.assertStatus(self.library.LogoutIScsiTarget(session), ERROR_SUCCESS)
        self.assertEqual([login.TargetName for login in api.persistent_logins()], [peers.DISKS])

    def test_without_a_service_nobody_is_logged_in_or_out(self):
        self.service.stop()
        self.addCleanup(self.service.start)
        for api in self.library.widths:
            self.assertStatus(api.login(peers.DISKS).status, ISDSC_SERVICE_NOT_RUNNING)
        self.assertStatus(self.library.LogoutIScsiTarget(nobody()), ISDSC_SERVICE_NOT_RUNNING)


class Targets(Discovered):
    """Which targets can be logged in to."""

    @both_widths
    def test_only_a_known_target_is_logged_in_to(self, api):
        for persistent in (False, True):
            refused = api.login("iqn.2026-11.test.abi:unheard-of", persistent=persistent)
            self.assertStatus(refused.status, ISDSC_TARGET_NOT_FOUND)
        self.assertEqual((api.sessions(), api.persistent_logins()), ([], []))

    @both_widths
    def test_a_target_that_is_only_hidden_is_not_found(self, api):
        hide = ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET
        group = api.portal_group(api.portal(*peers.OPEN))
        for name, status in ((STATIC, ISDSC_TARGET_NOT_FOUND), (peers.DISKS, ERROR_SUCCESS)):
            check(api.AddIScsiStaticTarget(name, None, hide, False, None, None, group))
            self.addCleanup(api.RemoveIScsiStaticTarget, name)
            done = api.login(name, informational=True)
            self.assertStatus(done.status, status)
        self.log_out(done.session)

    @both_widths
    def test_a_static_target_without_portals_needs_one_in_the_login(self, api):
        check(api.RemoveIScsiSendTargetPortal(None, ISCSI_ANY_INITIATOR_PORT, api.portal(*peers.OPEN)))
        self.add_static(api, peers.DISKS)
        for nowhere in (None, api.portal("", 0), api.portal("", 3260, "a name")):
            self.assertStatus(api.login(peers.DISKS, nowhere).status, ISDSC_NO_PORTAL_SPECIFIED)
        self.log_in(api, peers.DISKS, api.portal(*peers.OPEN))

    @both_widths
    def test_stored_defaults_of_a_target_count_if_the_login_has_no_options(self, api):
        group = api.portal_group(api.portal(*peers.OPEN))
        check(api.AddIScsiStaticTarget(peers.DISKS, None, 0, False, None, multipath(), group))
        self.addCleanup(api.RemoveIScsiStaticTarget, peers.DISKS)
        self.log_in(api, peers.DISKS, informational=True)
        self.log_in(api, peers.DISKS, informational=True)
        self.assertEqual(len(api.sessions()), 2)
        # With options of its own a login has their flags, and no others.
        for flags in (0, ISCSI_LOGIN_FLAG_ALLOW_PORTAL_HOPPING):
            refused = api.login(peers.DISKS, options=login_options(LoginFlags=flags), informational=True)
            self.assertStatus(refused.status, ISDSC_TARGET_ALREADY_LOGGED_IN)
        self.log_in(api, peers.DISKS, informational=True)

    @both_widths
    def test_names_that_cannot_be_are_told_apart(self, api):
        named = (
            (None, ERROR_INVALID_PARAMETER),
            ("", ERROR_INVALID_PARAMETER),
            (api.bad_text(), ERROR_INVALID_PARAMETER),
            ("iqn.2026-11.test.abi:" + "x" * 203, ISDSC_INVALID_ISCSI_NAME),
            (TOO_LONG, ISDSC_INVALID_ISCSI_NAME),
            ("iqn.2026-11.test.abi:with blank", ISDSC_INVALID_ISCSI_NAME),
            ("iqn.2026-11.test.abi:new\nline", ISDSC_INVALID_ISCSI_NAME),
            ("iqn.2026-11.test.abi:odd!", ISDSC_INVALID_ISCSI_NAME),
            ("iqn.2026-11.test.abi:" + "\u00fc" * 102, ISDSC_INVALID_ISCSI_NAME),
            ("no-name", ISDSC_TARGET_NOT_FOUND),
            ("iqn.2026-11.test.abi:" + "x" * 202, ISDSC_TARGET_NOT_FOUND),
        )
        for name, status in named:
            for persistent in (False, True):
                self.assertStatus(api.login(name, persistent=persistent).status, status)
        self.assertEqual((api.sessions(), api.persistent_logins()), ([], []))


class Portals(Discovered):
    """Which portal a login goes to."""

    def reached(self, api, session):
        """The portal of a session's connection."""
        (connection,) = self.session(api, session).Connections
        return peers.Portal(connection.TargetAddress, connection.TargetSocket)

    @both_widths
    def test_a_portal_that_is_given_is_the_one_that_is_used(self, api):
        # It is not known for the target, which nobody checks.
        for where in (peers.OPEN_SECOND, peers.OPEN):
            session = self.log_in(api, peers.DISKS, api.portal(*where)).session
            self.assertEqual(self.reached(api, session), where)
            check(self.library.LogoutIScsiTarget(session))

    @both_widths
    def test_null_and_an_empty_address_are_any_portal(self, api):
        for portal in (None, api.portal(""), api.portal("", 1, "a name")):
            session = self.log_in(api, peers.DISKS, portal).session
            self.assertEqual(self.reached(api, session), peers.OPEN)
            check(self.library.LogoutIScsiTarget(session))

    @both_widths
    def test_one_that_refuses_fails_the_login_unless_hopping_is_allowed(self, api):
        nowhere = api.portal(*peers.nowhere())
        for flags in (0, MULTIPATH):
            refused = api.login(peers.DISKS, nowhere, options=login_options(LoginFlags=flags))
            self.assertStatus(refused.status, ISDSC_CONNECTION_FAILED)
        self.assertEqual(api.sessions(), [])
        hopping = login_options(LoginFlags=ISCSI_LOGIN_FLAG_ALLOW_PORTAL_HOPPING)
        session = self.log_in(api, peers.DISKS, nowhere, options=hopping).session
        self.assertEqual(self.reached(api, session), peers.OPEN)

    @both_widths
    def test_without_one_all_are_tried_in_order(self, api):
        self.add_static(api, STATIC, peers.nowhere(), peers.nowhere())
        self.assertStatus(api.login(STATIC).status, ISDSC_CONNECTION_FAILED)
        with LoginPeer(status=(3, 1)) as first, LoginPeer(status=(2, 3)) as second:
            self.add_static(api, STATIC, first.portal, peers.nowhere(), second.portal)
            self.assertStatus(api.login(STATIC).status, ISDSC_NOT_FOUND)
            self.assertEqual((first.logins, second.logins), (1, 1), "each once, the last one's answer is told")

    @both_widths
    def test_the_port_zero_is_that_of_iscsi(self, api):
        with LoginPeer(status=(3, 1), portal=("127.53.0.9", 3260)) as peer:
            refused = api.login(peers.DISKS, api.portal("127.53.0.9", 0))
            self.assertStatus(refused.status, ISDSC_SERVICE_UNAVAILABLE)
            self.assertEqual(peer.logins, 1)

    @both_widths
    def test_a_name_is_looked_up(self, api):
        session = self.log_in(api, peers.DISKS, api.portal("localhost", peers.OPEN.port)).session
        self.assertEqual(self.reached(api, session), peers.OPEN, "the address as an IP text")
        refused = api.login(peers.OTHER, api.portal("no-such-host.invalid"))
        self.assertStatus(refused.status, ISDSC_DNS_NAME_UNRESOLVED)

    @both_widths
    def test_a_portal_that_can_be_none_is_refused(self, api):
        unending = api.portal("")
        put(unending.Address, "1" * 256)
        nameless = api.portal(*peers.OPEN)
        put(nameless.SymbolicName, "n" * 256)
        spoilt = [api.portal(address) for address in ("with blank", "a,b", "[::1", "new\nline")]
        for portal in (unending, nameless, *spoilt):
            for persistent in (False, True):
                refused = api.login(peers.DISKS, portal, persistent=persistent)
                self.assertStatus(refused.status, ERROR_INVALID_PARAMETER)
        self.assertEqual((api.sessions(), api.persistent_logins()), ([], []))


class Initiators(Discovered):
    """InitiatorInstance and InitiatorPortNumber (§1.6)."""

    @both_widths
    def test_any_instance_goes_with_any_port_only(self, api):
        for nobody_named in (None, ""):
            for port in (0, 1, 0xFFFFFFFE):
                refused = api.login(peers.DISKS, instance=nobody_named, port=port)
                self.assertStatus(refused.status, ERROR_INVALID_PARAMETER)
            session = self.log_in(api, peers.DISKS, instance=nobody_named).session
            check(self.library.LogoutIScsiTarget(session))

    @both_widths
    def test_the_instance_is_known_by_its_name_in_any_case(self, api):
        (instance,) = api.initiators()
        for name in (instance, instance.upper(), instance.lower()):
            session = self.log_in(api, peers.DISKS, instance=name).session
            check(self.library.LogoutIScsiTarget(session))
        wrong = (
            (instance + "1", ISDSC_INITIATOR_NOT_FOUND),
            ("i" * 255, ISDSC_INITIATOR_NOT_FOUND),
            ("i" * 256, ERROR_INVALID_PARAMETER),
            (TOO_LONG, ERROR_INVALID_PARAMETER),
            (api.bad_text(), ERROR_INVALID_PARAMETER),
        )
        for name, status in wrong:
            for persistent in (False, True):
                refused = api.login(peers.DISKS, instance=name, persistent=persistent)
                self.assertStatus(refused.status, status)
        self.assertEqual((api.sessions(), api.persistent_logins()), ([], []))

    @both_widths
    def test_a_port_is_the_address_that_the_connection_comes_from(self, api):
        (instance,) = api.initiators()
        sources = []
        for port in range(256):
            done = api.login(peers.DISKS, instance=instance, port=port, informational=True)
            if done.status == ISDSC_INVALID_PORT_NUMBER:
                break
            # An address of IPv6 does not reach a portal of IPv4.
            if done.status != ISDSC_CONNECTION_FAILED:
                self.assertStatus(done.status, ERROR_SUCCESS)
                sources.append(self.session(api, done.session).Connections[0].InitiatorAddress)
                self.log_out(done.session)
        self.assertStatus(done.status, ISDSC_INVALID_PORT_NUMBER)
        self.assertIn("127.0.0.1", sources)
        self.assertEqual(len(set(sources)), len(sources), "each port is an address of its own")


class Options(Discovered):
    """LoginOptions, SecurityFlags and Key (§1.9), and what else is judged before anything is sent."""

    def refused(self, api, status, **more):
        """Neither logs in nor stores, whatever the arguments; the ids stay as they were."""
        for persistent in (False, True):
            session, connection = ISCSI_UNIQUE_SESSION_ID(*OLD_ID), ISCSI_UNIQUE_SESSION_ID(*OLD_ID)
            given = {"security": 0, "mapping": None, "options": None, "key": (0, None), **more}
            told = api.LoginIScsiTarget(
                peers.DISKS, False, None, ISCSI_ANY_INITIATOR_PORT, None, given["security"], given["mapping"],
                given["options"], *given["key"], persistent, session, connection,
            )  # fmt: skip
            self.assertStatus(told, status)
            untouched = ISCSI_UNIQUE_SESSION_ID(*OLD_ID)
            self.assertEqual((session, connection), (untouched, untouched))
        self.assertEqual((api.sessions(), api.persistent_logins()), ([], []))

    @both_widths
    def test_a_version_or_bit_that_is_not_known_is_refused(self, api):
        for version in (1, 0xFFFFFFFF):
            self.refused(api, ERROR_INVALID_PARAMETER, options=login_options(Version=version))
        for bit in (0x100, 0x80000000):
            self.refused(api, ERROR_INVALID_PARAMETER, options=login_options(InformationSpecified=bit))

    @both_widths
    def test_values_out_of_their_range_are_refused(self, api):
        for auth_type in (3, -1):
            self.refused(api, ISDSC_INVALID_LOGON_AUTH_TYPE, options=login_options(AuthType=auth_type))
        wrong = (
            {"HeaderDigest": 2},
            {"DataDigest": -1},
            {"MaximumConnections": 65536},
            {"DefaultTime2Wait": 3601},
            {"DefaultTime2Retain": 0xFFFFFFFF},
        )
        for field in wrong:
            self.refused(api, ISDSC_LOGIN_USER_INFO_BAD, options=login_options(**field))

    @both_widths
    def test_a_field_without_its_bit_does_not_count(self, api):
        rubbish = ISCSI_LOGIN_OPTIONS(
            AuthType=77, HeaderDigest=77, DataDigest=77, MaximumConnections=1 << 31, DefaultTime2Wait=1 << 31,
            DefaultTime2Retain=1 << 31, UsernameLength=1 << 31, PasswordLength=1 << 31,
        )  # fmt: skip
        self.log_in(api, peers.DISKS, options=rubbish)

    @both_widths
    def test_names_and_secrets_of_a_wild_length_are_refused(self, api):
        name = login_options(Username=b"user")
        name.UsernameLength = 0xFFFFFFFF
        self.refused(api, ISDSC_INVALID_CHAP_USER_NAME, options=name)
        secret = login_options(Password=b"secret")
        secret.PasswordLength = 0xFFFFFFFF
        self.refused(api, ISDSC_INVALID_TARGET_CHAP_SECRET, options=secret)
        for field in ("Username", "Password"):
            missing = login_options(**{field: b"x"})
            setattr(missing, field, None)
            self.refused(api, ERROR_INVALID_PARAMETER, options=missing)

    @both_widths
    def test_ipsec_that_is_asked_for_is_refused_and_not_gone_without(self, api):
        valid = ISCSI_SECURITY_FLAG_VALID
        ipsec = ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED
        required = login_options(LoginFlags=ISCSI_LOGIN_FLAG_REQUIRE_IPSEC)
        for more in ({"options": required}, {"security": valid | ipsec}):
            self.assertStatus(api.login(peers.DISKS, **more).status, ISDSC_IPSEC_NOT_SUPPORTED_ON_OS)
        self.assertEqual(api.sessions(), [])
        # Without VALID the others are ignored; VALID alone asks for no IPsec.
        for flags in (0x7E, valid, valid | ISCSI_SECURITY_FLAG_PFS_ENABLED):
            session = self.log_in(api, peers.DISKS, security=flags).session
            check(self.library.LogoutIScsiTarget(session))

    @both_widths
    def test_security_flags_that_exclude_each_other_are_refused(self, api):
        for both in (0x0C, 0x60):
            self.refused(api, ERROR_INVALID_PARAMETER, security=ISCSI_SECURITY_FLAG_VALID | both)

    @both_widths
    def test_radius_is_not_gone_without_either(self, api):
        for flag in (ISCSI_LOGIN_FLAG_USE_RADIUS_RESPONSE, ISCSI_LOGIN_FLAG_USE_RADIUS_VERIFICATION):
            refused = api.login(peers.DISKS, options=login_options(LoginFlags=flag))
            self.assertStatus(refused.status, ISDSC_REQUEST_NOT_SUPPORTED)
        self.assertEqual(api.sessions(), [])

    @both_widths
    def test_a_key_is_taken_and_without_ipsec_not_used(self, api):
        for key in (b"k", b"\0\xff" * 512):
            session = self.log_in(api, peers.DISKS, key=key).session
            check(self.library.LogoutIScsiTarget(session))
        for key in ((1025, ansi(b"k" * 1025)), (0xFFFFFFFF, ansi(b"k")), (4, None)):
            self.refused(api, ERROR_INVALID_PARAMETER, key=key)

    @both_widths
    def test_both_places_for_ids_must_be_there(self, api):
        given = (peers.DISKS, False, None, ISCSI_ANY_INITIATOR_PORT, None, 0, None, None, 0, None)
        identifier = ISCSI_UNIQUE_SESSION_ID(*OLD_ID)
        for persistent in (False, True):
            for places in ((None, identifier), (identifier, None), (None, None)):
                status = api.LoginIScsiTarget(*given, persistent, *places)
                self.assertStatus(status, ERROR_INVALID_PARAMETER)
        self.assertEqual(identifier, ISCSI_UNIQUE_SESSION_ID(*OLD_ID))
        self.assertEqual((api.sessions(), api.persistent_logins()), ([], []))

    @both_widths
    def test_a_mapping_that_cannot_be_is_refused(self, api):
        twice = ([(0, lun_value(1)), (0, lun_value(2))], [(0, lun_value(1)), (1, lun_value(1))])
        for luns in twice:
            self.refused(api, ISDSC_INVALID_TARGET_MAPPING, mapping=api.mapping(0, 0, luns))
        wild = api.mapping(0, 0, [(0, lun_value(1))])
        wild.LUNCount = 0xFFFFFFFF
        self.refused(api, ISDSC_INVALID_TARGET_MAPPING, mapping=wild)
        missing = api.mapping(0, 0, [])
        missing.LUNCount, missing.LUNList = 1, None
        self.refused(api, ISDSC_INVALID_TARGET_MAPPING, mapping=missing)


class Refusals(Discovered):
    """What the target answers is told by the code of its name (§2.3)."""

    portals = ()
    #: Class, detail, and what they become.
    STATUSES = (
        (2, 0, ISDSC_INITIATOR_ERROR),
        (2, 1, ISDSC_AUTHENTICATION_FAILURE),
        (2, 2, ISDSC_AUTHORIZATION_FAILURE),
        (2, 3, ISDSC_NOT_FOUND),
        (2, 4, ISDSC_TARGET_REMOVED),
        (2, 5, ISDSC_UNSUPPORTED_VERSION),
        (2, 6, ISDSC_TOO_MANY_CONNECTIONS),
        (2, 7, ISDSC_MISSING_PARAMETER),
        (2, 8, ISDSC_CANT_INCLUDE_IN_SESSION),
        (2, 9, ISDSC_SESSION_TYPE_NOT_SUPPORTED),
        (2, 10, ISDSC_INVALID_SESSION_ID),
        (2, 11, ISDSC_LOGIN_FAILED),
        (2, 99, ISDSC_LOGIN_FAILED),
        (3, 0, ISDSC_TARGET_ERROR),
        (3, 1, ISDSC_SERVICE_UNAVAILABLE),
        (3, 2, ISDSC_OUT_OF_RESOURCES),
    )

    @both_widths
    def test_each_status_of_a_login_response_has_its_code(self, api):
        with LoginPeer() as peer:
            self.add_static(api, STATIC, peer.portal)
            for number, (status_class, detail, expected) in enumerate(self.STATUSES, 1):
                peer.tell((status_class, detail))
                with self.subTest(status=(status_class, detail)):
                    self.assertStatus(api.login(STATIC, informational=True).status, expected)
                    self.assertEqual(peer.logins, number, "it is not asked again and again")
        self.assertEqual(api.sessions(), [])

    @both_widths
    def test_text_that_is_none_and_a_connection_that_is_closed(self, api):
        with LoginPeer() as peer:
            self.add_static(api, STATIC, peer.portal)
            peer.tell((0, 0), b"no pair of key and value\0")
            self.assertStatus(api.login(STATIC).status, ISDSC_INVALID_TEXT_KEY)
            peer.tell(None)
            self.assertStatus(api.login(STATIC).status, ISDSC_CONNECTION_FAILED)

    @both_widths
    def test_a_redirection_is_followed(self, api):
        to = f"TargetAddress={peers.OPEN.address}:{peers.OPEN.port},1\0".encode()
        for detail in (1, 2):
            with LoginPeer((1, detail), to) as peer:
                self.add_static(api, peers.DISKS, peer.portal)
                session = self.log_in(api, peers.DISKS).session
                (connection,) = self.session(api, session).Connections
                self.assertEqual((connection.TargetAddress, connection.TargetSocket), peers.OPEN)
                self.assertEqual(peer.logins, 1)
                check(self.library.LogoutIScsiTarget(session))

    @both_widths
    def test_one_that_leads_to_a_portal_that_refuses_fails_as_that_portal_does(self, api):
        # "Moved" would hide that it was followed, and why that failed.
        nowhere = peers.nowhere()
        to = f"TargetAddress={nowhere.address}:{nowhere.port},1\0".encode()
        with LoginPeer((1, 2), to) as peer:
            self.add_static(api, STATIC, peer.portal)
            self.assertStatus(api.login(STATIC).status, ISDSC_CONNECTION_FAILED)

    @both_widths
    def test_one_that_leads_in_circles_is_told(self, api):
        moved = ((1, ISDSC_TARGET_MOVED_TEMPORARILY), (2, ISDSC_TARGET_MOVED_PERMANENTLY))
        for detail, expected in moved:
            with LoginPeer() as peer:
                back = f"TargetAddress={peer.portal.address}:{peer.portal.port},1\0".encode()
                self.add_static(api, STATIC, peer.portal)
                peer.tell((1, detail), back)
                with self.subTest(detail=detail):
                    self.assertStatus(api.login(STATIC).status, expected)

    @both_widths
    def test_tgt_hides_a_target_from_an_initiator_that_it_does_not_admit(self, api):
        self.add_static(api, peers.NAMED, peers.OPEN)
        refused = api.login(peers.NAMED, informational=True)
        self.assertIn(refused.status, (ISDSC_NOT_FOUND, ISDSC_AUTHORIZATION_FAILURE))
        old = api.node_name()
        with contextlib.ExitStack() as back:
            check(api.SetIScsiInitiatorNodeName(peers.NAMED_INITIATOR))
            back.callback(api.SetIScsiInitiatorNodeName, None)
            session = self.log_in(api, peers.NAMED, informational=True).session
            self.assertEqual(self.session(api, session).InitiatorName, peers.NAMED_INITIATOR)
        self.assertEqual(api.node_name(), old)
