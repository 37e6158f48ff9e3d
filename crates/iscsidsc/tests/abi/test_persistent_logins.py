"""§2.3, §2.4, §5.6: logins that are stored and made again at every start."""

import contextlib
import os
import shutil
import subprocess

import peers
from case import both_widths
from discovery_library import *
from logged_in import TOO_LONG, Discovered, daemon_status
from service import Service, until

ALL = ISCSI_ALL_INITIATOR_PORTS
#: A login that asks for everything there is.
FLAGS = ISCSI_SECURITY_FLAG_VALID | ISCSI_SECURITY_FLAG_PFS_ENABLED
MULTIPATH = ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED


def chap_options():
    """What the target `CHAP` wants."""
    return login_options(AuthType=ISCSI_CHAP_AUTH_TYPE, Username=peers.CHAP_USER, Password=peers.CHAP_SECRET)


class Stored(Discovered):
    """LoginIScsiTarget with IsPersistent, and ReportIScsiPersistentLogins."""

    @both_widths
    def test_it_is_stored_and_nobody_is_asked(self, api):
        nowhere = peers.nowhere()
        session, connection = ISCSI_UNIQUE_SESSION_ID(7, 7), ISCSI_UNIQUE_SESSION_ID(7, 7)
        self.addCleanup(self.forget, peers.DISKS)
        status = api.LoginIScsiTarget(
            peers.DISKS, False, None, ALL, api.portal(*nowhere), 0, None, None, 0, None, True, session, connection
        )
        self.assertStatus(status, ERROR_SUCCESS)
        zero = ISCSI_UNIQUE_SESSION_ID(0, 0)
        self.assertEqual((session, connection), (zero, zero), "there is no session")
        self.assertEqual(api.sessions(), [])
        (login,) = api.persistent_logins()
        self.assertEqual((login.TargetPortal.Address, login.TargetPortal.Socket), nowhere)

    @both_widths
    def test_it_is_no_matter_whether_the_target_is_logged_in_to(self, api):
        session = self.log_in(api, peers.DISKS).session
        self.store(api, peers.DISKS)
        self.assertEqual([listed.SessionId for listed in api.sessions()], [session])
        self.assertEqual([login.TargetName for login in api.persistent_logins()], [peers.DISKS])

    @both_widths
    def test_a_bare_one_is_reported_as_any(self, api):
        self.store(api, peers.DISKS)
        (login,) = api.persistent_logins()
        self.assertEqual((login.TargetName, login.IsInformationalSession), (peers.DISKS, 0))
        self.assertEqual((login.InitiatorInstance, login.InitiatorPortNumber), ("", ALL))
        self.assertEqual(login.TargetPortal.Address, "")
        self.assertEqual(login.SecurityFlags, 0)
        self.assertIsNone(login.Mappings)
        options = login.LoginOptions
        self.assertEqual((options.Version, options.InformationSpecified, options.LoginFlags), (0, 0, 0))

    @both_widths
    def test_all_of_a_full_one_is_reported_but_its_secrets(self, api):
        (instance,) = api.initiators()
        options = login_options(
            LoginFlags=MULTIPATH | ISCSI_LOGIN_FLAG_RESERVED1 | ISCSI_LOGIN_FLAG_REQUIRE_IPSEC,
            AuthType=ISCSI_MUTUAL_CHAP_AUTH_TYPE, HeaderDigest=ISCSI_DIGEST_TYPE_CRC32C,
            DataDigest=ISCSI_DIGEST_TYPE_NONE, MaximumConnections=3, DefaultTime2Wait=0, DefaultTime2Retain=3600,
            Username=b"user \xc3\xbc", Password=peers.CHAP_SECRET,
        )  # fmt: skip
        luns = [(7, lun_value(1)), (0, lun_value(3))]
        self.store(
            api, peers.DISKS, api.portal(*peers.OPEN, "a name"), informational=True, instance=instance, port=0,
            security=FLAGS, mapping=api.mapping(3, 9, luns), options=options, key=b"a key",
        )  # fmt: skip
        (login,) = api.persistent_logins()
        self.assertEqual((login.TargetName, login.IsInformationalSession), (peers.DISKS, 1))
        self.assertEqual((login.InitiatorInstance, login.InitiatorPortNumber), (instance, 0))
        portal = login.TargetPortal
        self.assertEqual((portal.Address, portal.Socket, portal.SymbolicName), (*peers.OPEN, "a name"))
        self.assertEqual(login.SecurityFlags, FLAGS)
        mapping = login.Mappings
        self.assertEqual((mapping.OSBusNumber, mapping.OSTargetNumber), (3, 9))
        self.assertEqual([(lun.OSLUN, lun.TargetLUN) for lun in mapping.LUNList], luns)
        told, given = login.LoginOptions, value_of(options)
        self.assertEqual((told.PasswordLength, told.Password), (0, b""), "no secret comes back")
        for value in (told, given):
            value.PasswordLength, value.Password = None, None
        self.assertEqual(told, given)

    @both_widths
    def test_what_is_specified_but_empty_is_reported_as_such(self, api):
        name = login_options(AuthType=ISCSI_CHAP_AUTH_TYPE, MaximumConnections=2, Username=b"")
        for options, bits in ((name, 0xA4), (login_options(Username=b"", Password=b""), 0x60)):
            self.store(api, peers.DISKS, options=options)
            (login,) = api.persistent_logins()
            told = login.LoginOptions
            self.assertEqual(told.InformationSpecified, bits)
            self.assertEqual((told.UsernameLength, told.PasswordLength), (0, 0))

    @both_widths
    def test_security_flags_are_reported_as_they_are(self, api):
        for flags in (0x7E, 1 << 40, ISCSI_SECURITY_FLAG_VALID | ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED):
            self.store(api, peers.DISKS, security=flags)
            self.assertEqual([login.SecurityFlags for login in api.persistent_logins()], [flags])

    @both_widths
    def test_the_same_again_replaces_it_and_another_portal_or_port_is_another(self, api):
        (instance,) = api.initiators()
        self.store(api, peers.DISKS, informational=True)
        self.store(api, peers.DISKS, informational=False)
        self.store(api, peers.DISKS, api.portal(*peers.OPEN), security=1)
        self.store(api, peers.DISKS, api.portal(*peers.OPEN, "another name"), security=2)
        self.store(api, peers.DISKS, api.portal(*peers.OPEN_SECOND))
        self.store(api, peers.DISKS, instance=instance, port=0)
        self.store(api, peers.OTHER)
        told = [
            (login.TargetName, login.TargetPortal.Address, login.InitiatorPortNumber)
            for login in api.persistent_logins()
        ]
        expected = [
            (peers.DISKS, "", ALL),
            (peers.DISKS, peers.OPEN.address, ALL),
            (peers.DISKS, peers.OPEN_SECOND.address, ALL),
            (peers.DISKS, "", 0),
            (peers.OTHER, "", ALL),
        ]
        self.assertEqual(told, expected)
        first, second = api.persistent_logins()[:2]
        self.assertEqual((first.IsInformationalSession, second.SecurityFlags), (0, 2))
        self.forget(peers.OTHER)

    @both_widths
    def test_no_login_is_no_login(self, api):
        count, size = ULONG(77), ULONG(77)
        self.assertStatus(api.ReportIScsiPersistentLogins(count, None, size), ERROR_SUCCESS)
        self.assertEqual((count.value, size.value), (0, 0))

    @both_widths
    def test_the_size_is_in_bytes_and_places_must_be_there(self, api):
        self.store(api, peers.DISKS, options=login_options(Username=b"seven.."))
        struct = api.PERSISTENT_ISCSI_LOGIN_INFO
        needed = ctypes.sizeof(struct) + 7
        for room, status in ((0, 122), (needed - 1, 122), (needed, 0), (needed + 100, 0)):
            buffer, size, count = Buffer(room), ULONG(room), ULONG(0)
            self.assertStatus(api.ReportIScsiPersistentLogins(count, buffer.at(struct), size), status)
            self.assertEqual((size.value, count.value), (needed, 1))
            if status:
                buffer.check_untouched()
            buffer.check_guard()
        buffer = Buffer(needed)
        for count, size in ((None, ULONG(needed)), (ULONG(1), None)):
            status = api.ReportIScsiPersistentLogins(count, buffer.at(struct), size)
            self.assertStatus(status, ERROR_INVALID_PARAMETER)
        buffer.check_untouched()

    @both_widths
    def test_without_a_service_nothing_is_stored_told_or_removed(self, api):
        self.service.stop()
        try:
            self.assertStatus(api.login(peers.DISKS, persistent=True).status, ISDSC_SERVICE_NOT_RUNNING)
            count, size = ULONG(77), ULONG(77)
            self.assertStatus(api.ReportIScsiPersistentLogins(count, None, size), ISDSC_SERVICE_NOT_RUNNING)
            self.assertEqual((count.value, size.value), (77, 77))
            status = api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None)
            self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)
        finally:
            self.service.start()
        self.assertEqual(api.persistent_logins(), [])


class Removed(Discovered):
    """RemoveIScsiPersistentTarget."""

    def left(self, api):
        """Address and port number of what is stored."""
        return [(login.TargetPortal.Address, login.InitiatorPortNumber) for login in api.persistent_logins()]

    @both_widths
    def test_no_portal_is_every_portal(self, api):
        for empty in (None, api.portal(""), api.ISCSI_TARGET_PORTAL()):
            for portal in (None, api.portal(*peers.OPEN), api.portal(*peers.OPEN_SECOND)):
                self.store(api, peers.DISKS, portal)
            self.store(api, peers.OTHER)
            self.assertStatus(api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, empty), ERROR_SUCCESS)
            self.assertEqual([login.TargetName for login in api.persistent_logins()], [peers.OTHER])
            self.forget(peers.OTHER)

    @both_widths
    def test_a_portal_is_that_one(self, api):
        for portal in (None, api.portal(*peers.OPEN), api.portal("LocalHost", 3260)):
            self.store(api, peers.DISKS, portal)
        remove = lambda portal: api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, portal)
        self.assertStatus(remove(api.portal(*peers.OPEN_SECOND)), ISDSC_TARGET_NOT_FOUND)
        self.assertStatus(remove(api.portal(peers.OPEN.address, 1)), ISDSC_TARGET_NOT_FOUND)
        # What stands in the symbolic name is no part of it, and need not even be a text.
        nameless = api.portal(*peers.OPEN)
        nameless.SymbolicName[:] = [0xD8FF & ((1 << 8 * ctypes.sizeof(api.unit)) - 1)] * 256
        self.assertStatus(remove(nameless), ERROR_SUCCESS)
        self.assertEqual(self.left(api), [("", ALL), ("LocalHost", ALL)])
        self.assertStatus(remove(api.portal("lOCALhOST", 0)), ERROR_SUCCESS)
        self.assertEqual(self.left(api), [("", ALL)])

    @both_widths
    def test_all_ports_are_all_and_one_is_that_one(self, api):
        (instance,) = api.initiators()
        remove = lambda of, port: api.RemoveIScsiPersistentTarget(of, port, peers.DISKS, None)
        for nobody_named in (None, "", instance, instance.swapcase()):
            self.store(api, peers.DISKS)
            self.store(api, peers.DISKS, instance=instance, port=0)
            self.assertStatus(remove(nobody_named, 1), ISDSC_TARGET_NOT_FOUND)
            self.assertStatus(remove(nobody_named, 0), ERROR_SUCCESS)
            self.assertEqual(self.left(api), [("", ALL)])
            self.store(api, peers.DISKS, instance=instance, port=0)
            self.assertStatus(remove(nobody_named, ALL), ERROR_SUCCESS)
            self.assertEqual(self.left(api), [])

    @both_widths
    def test_what_is_not_stored_is_not_found(self, api):
        self.store(api, peers.DISKS)
        wrong = (
            ((None, ALL, peers.OTHER, None), ISDSC_TARGET_NOT_FOUND),
            ((None, ALL, "iqn.2026-11.test.abi:unheard-of", None), ISDSC_TARGET_NOT_FOUND),
            (("nobody", ALL, peers.DISKS, None), ISDSC_INITIATOR_NOT_FOUND),
            ((TOO_LONG, ALL, peers.DISKS, None), ERROR_INVALID_PARAMETER),
            ((None, ALL, None, None), ERROR_INVALID_PARAMETER),
            ((None, ALL, "", None), ERROR_INVALID_PARAMETER),
            ((None, ALL, TOO_LONG, None), ISDSC_INVALID_ISCSI_NAME),
            ((None, ALL, peers.DISKS + "!", None), ISDSC_INVALID_ISCSI_NAME),
            ((None, ALL, "no-name", None), ISDSC_TARGET_NOT_FOUND),
            ((None, ALL, api.bad_text(), None), ERROR_INVALID_PARAMETER),
            ((None, ALL, peers.DISKS, api.portal("with blank")), ERROR_INVALID_PARAMETER),
        )
        for arguments, status in wrong:
            self.assertStatus(api.RemoveIScsiPersistentTarget(*arguments), status)
        self.assertEqual(self.left(api), [("", ALL)])
        check(api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None))
        again = api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None)
        self.assertStatus(again, ISDSC_TARGET_NOT_FOUND)

    @both_widths
    def test_the_session_stays(self, api):
        session = self.log_in(api, peers.DISKS).session
        self.store(api, peers.DISKS)
        self.assertStatus(api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None), ERROR_SUCCESS)
        self.assertEqual([listed.SessionId for listed in api.sessions()], [session])
        self.assertEqual(api.persistent_logins(), [])

    @both_widths
    def test_a_target_that_is_no_longer_known_can_be_removed(self, api):
        self.store(api, peers.DISKS)
        check(api.RemoveIScsiSendTargetPortal(None, ALL, api.portal(*peers.OPEN)))
        self.assertEqual(api.targets(), [])
        self.assertStatus(api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None), ERROR_SUCCESS)


class SmallDisk:
    """A filesystem with little room as the state directory of a service that does not run yet; a context manager."""

    def __init__(self, service):
        self._place = service.path("state")
        self._directory = service.directory

    def __enter__(self):
        os.mkdir(self._place)
        options = ["-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs"]
        subprocess.run(["mount", *options, self._place], check=True, timeout=60)
        return self

    def fill(self):
        """Leaves no room."""
        with open(os.path.join(self._place, "filler"), "ab", buffering=0) as filler:
            # The last bytes one by one: a partial page would be room.
            for piece in (bytes(4096), b"x"):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(piece)

    def make_room(self):
        """Takes away what fills it."""
        os.remove(os.path.join(self._place, "filler"))

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self._place], check=True, timeout=60)
        # The service, which ended before, could not remove what this was mounted on.
        shutil.rmtree(self._directory)


class Full(Discovered):
    """A store that takes nothing more."""

    portals = ()

    def fill_up(self, api, disk):
        """Stores logins on a full disk until one is refused, by the name for that; gives how many were stored."""
        disk.fill()
        for number in range(1000):
            status = api.login(peers.DISKS, api.portal("127.0.0.1", number + 1), persistent=True).status
            if status != ERROR_SUCCESS:
                self.assertStatus(status, ISDSC_COULD_NOT_SAVE_PERSISTENT_LOGIN_DATA)
                return number
        raise AssertionError("the disk is never full")

    @both_widths
    def test_it_is_told_and_loses_nothing(self, api):
        service = Service()
        with SmallDisk(service) as disk, service:
            self.add_static(api, peers.DISKS, peers.OPEN)
            check(api.login(peers.DISKS, persistent=True).status)
            stored = 1 + self.fill_up(api, disk)
            self.assertEqual(len(api.persistent_logins()), stored)
            # A removal needs room too.
            status = api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None)
            self.assertStatus(status, ISDSC_COULD_NOT_REMOVE_PERSISTENT_LOGIN_DATA)
            self.assertEqual(len(api.persistent_logins()), stored)
            # With room again everything is there and can be changed.
            disk.make_room()
            service.restart()
            self.assertEqual(len(api.persistent_logins()), stored)
            self.assertStatus(api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None), ERROR_SUCCESS)
            self.assertEqual(api.persistent_logins(), [])
            self.doCleanups()


class MadeAgain(Discovered):
    """At every start each is logged in to."""

    portals = ()

    def returned(self, api, targets):
        """Waits until there are sessions with these targets, and no others; gives them."""

        def there():
            sessions = api.sessions()
            names = sorted(session.TargetName for session in sessions)
            return sessions if names == sorted(targets) and all(s.ConnectionCount for s in sessions) else None

        return until("the sessions", there)

    @both_widths
    def test_it_is_logged_in_to_after_a_stop_and_a_kill(self, api):
        with Service() as service:
            for where in (peers.OPEN, peers.GUARDED):
                self.discover(where)
            self.store(api, peers.DISKS, mapping=api.mapping(4, 2, [(9, lun_value(1))]))
            self.store(api, peers.OTHER, informational=True)
            self.store(api, peers.CHAP, options=chap_options())
            for end in (service.stop, service.kill):
                end()
                service.start()
                sessions = self.returned(api, [peers.DISKS, peers.OTHER, peers.CHAP])
                kinds = {id_text(listed.SessionId): listed.Type for listed in self.library.sessions_ex()}
                for session in sessions:
                    self.assertEqual(kinds[id_text(session.SessionId)], 1 if session.TargetName == peers.OTHER else 2)
                (session,) = [session for session in sessions if session.TargetName == peers.DISKS]
                devices = self.ready_devices(api, session.SessionId, 3)
                places = {(d.ScsiAddress.PathId, d.ScsiAddress.TargetId, d.ScsiAddress.Lun) for d in devices}
                self.assertEqual(places, {(4, 2, 9), (4, 2, 2), (4, 2, 3)})
                self.assertEqual(len(api.persistent_logins()), 3)
            self.assertNotIn(peers.CHAP_SECRET.decode(), service.log())
            self.doCleanups()

    @both_widths
    def test_each_way_to_a_target_is_a_session(self, api):
        with Service() as service:
            self.discover(peers.OPEN)
            multipath = login_options(LoginFlags=MULTIPATH)
            ways = (peers.OPEN, peers.OPEN_SECOND)
            for where in ways:
                self.store(api, peers.DISKS, api.portal(*where), options=multipath)
            service.restart()
            sessions = self.returned(api, [peers.DISKS] * 2)
            reached = {(c.TargetAddress, c.TargetSocket) for session in sessions for c in session.Connections}
            self.assertEqual(reached, set(ways))
            self.assertEqual(len({session.ISID for session in sessions}), 2)
            self.doCleanups()

    @both_widths
    def test_one_that_was_logged_out_or_never_in_comes_with_the_next_start_only(self, api):
        with Service() as service:
            self.discover(peers.OPEN)
            self.store(api, peers.DISKS)
            service.restart()
            (session,) = self.returned(api, [peers.DISKS])
            # It is a session like any other.
            self.assertStatus(api.login(peers.DISKS).status, ISDSC_TARGET_ALREADY_LOGGED_IN)
            check(self.library.LogoutIScsiTarget(session.SessionId))
            self.assertEqual(api.sessions(), [])
            service.restart()
            (again,) = self.returned(api, [peers.DISKS])
            # One that is not persistent goes with the service, and one that was removed too.
            check(api.login(peers.OTHER).status)
            check(api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None))
            service.restart()
            self.assertEqual((api.persistent_logins(), api.sessions()), ([], []))
            self.assertEqual(daemon_status()["persistent_logins_waiting"], 0)
            self.doCleanups()

    @both_widths
    def test_a_target_that_is_away_is_waited_for(self, api):
        with peers.Relay(peers.OPEN) as relay, Service() as service:
            self.add_static(api, peers.DISKS, relay.portal)
            self.store(api, peers.DISKS, api.portal(*relay.portal))
            relay.refuse()
            service.restart()
            until("the login to be tried", lambda: daemon_status()["persistent_logins_waiting"] == 1)
            relay.accept()
            (session,) = self.returned(api, [peers.DISKS])
            self.assertStatus(self.library.inquiry(session.SessionId, lun_value(1)).status, ERROR_SUCCESS)
            self.forget(peers.DISKS)

    @both_widths
    def test_one_without_options_is_made_with_those_that_the_target_has_then(self, api):
        def static(target, options):
            group = api.portal_group(api.portal(*peers.OPEN))
            check(api.AddIScsiStaticTarget(target, None, 0, True, None, options, group))
            self.addCleanup(api.RemoveIScsiStaticTarget, target)

        ipsec = login_options(LoginFlags=ISCSI_LOGIN_FLAG_REQUIRE_IPSEC)
        with Service() as service:
            for target, options in ((peers.DISKS, None), (peers.OTHER, login_options())):
                static(target, ipsec)
                self.store(api, target, options=options)
            service.restart()
            # Options that ask for nothing are options, and theirs are the flags that count.
            self.returned(api, [peers.OTHER])
            self.assertEqual(daemon_status()["persistent_logins_waiting"], 1)
            static(peers.DISKS, None)
            service.restart()
            self.returned(api, [peers.DISKS, peers.OTHER])
            for login in api.persistent_logins():
                told = login.LoginOptions
                self.assertEqual((told.Version, told.InformationSpecified, told.LoginFlags), (0, 0, 0))
            self.doCleanups()

    @both_widths
    def test_one_that_wants_ipsec_is_stored_and_not_made_without(self, api):
        with Service() as service:
            self.discover(peers.OPEN)
            self.store(api, peers.DISKS, options=login_options(LoginFlags=ISCSI_LOGIN_FLAG_REQUIRE_IPSEC))
            self.store(api, peers.OTHER)
            service.restart()
            self.returned(api, [peers.OTHER])
            self.assertEqual(len(api.persistent_logins()), 2)
            self.doCleanups()
