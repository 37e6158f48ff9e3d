"""§1.9, §2.3, §2.7: CHAP in logins, and SetIScsiInitiatorCHAPSharedSecret."""

import peers
from case import Case, both_widths
from discovery_library import *
from logged_in import Discovered, daemon_status
from service import Service

USER, SECRET = peers.CHAP_USER, peers.CHAP_SECRET
#: The other lengths that the initiator's secret may have.
SHORTEST, LONGEST = b"twelve bytes", b"sixteen bytes 16"
#: What tgt proves itself with when it is asked to.
MUTUAL_SECRET = peers.MUTUAL_SECRET


def chap(auth_type=ISCSI_CHAP_AUTH_TYPE, user=USER, secret=SECRET, **more):
    """Login options for CHAP."""
    return login_options(AuthType=auth_type, Username=user, Password=secret, **more)


def mutual(**more):
    """Login options for mutual CHAP."""
    return chap(ISCSI_MUTUAL_CHAP_AUTH_TYPE, **more)


class Chap(Discovered):
    """Targets that ask who we are."""

    portals = (peers.GUARDED,)

    def refused(self, api, status, options, target=peers.CHAP):
        """A login with these options fails so, and there is no session."""
        self.assertStatus(api.login(target, options=options).status, status)
        self.assertEqual(api.sessions(), [])

    @both_widths
    def test_name_and_secret_of_the_target_log_in(self, api):
        session = self.log_in(api, peers.CHAP, options=chap()).session
        (listed,) = self.library.sessions_ex()
        self.assertEqual((listed.SessionId, listed.Connections[0].AuthType), (session, ISCSI_CHAP_AUTH_TYPE))

    @both_widths
    def test_lengths_count_and_not_a_nul(self, api):
        options = login_options(AuthType=ISCSI_CHAP_AUTH_TYPE, Username=USER + b"more", Password=SECRET + b"more")
        options.UsernameLength, options.PasswordLength = len(USER), len(SECRET)
        self.log_in(api, peers.CHAP, options=options)

    @both_widths
    def test_wrong_names_and_secrets_are_told_as_such(self, api):
        for wrong in (chap(secret=b"no secret of it."), chap(user=b"nobody"), chap(user=USER.upper())):
            self.refused(api, ISDSC_AUTHENTICATION_FAILURE, wrong)

    @both_widths
    def test_without_chap_the_target_refuses(self, api):
        no_type = chap(ISCSI_NO_AUTH_TYPE)
        for options in (None, no_type, login_options(), login_options(AuthType=ISCSI_NO_AUTH_TYPE)):
            self.refused(api, ISDSC_AUTHENTICATION_FAILURE, options)

    @both_widths
    def test_a_secret_that_no_login_may_use_is_refused_here(self, api):
        status = ISDSC_INVALID_TARGET_CHAP_SECRET
        for secret in (b"", b"x", b"eleven byte", b"seventeen letters", b"x" * 300):
            self.refused(api, status, chap(secret=secret))
        self.refused(api, status, login_options(AuthType=ISCSI_CHAP_AUTH_TYPE, Username=USER))
        null = chap()
        null.Password, null.PasswordLength = None, 0
        self.refused(api, status, null)

    @both_widths
    def test_a_name_that_can_be_none_is_refused_here(self, api):
        for name in (b"a\0b", b"n" * 256):
            self.refused(api, ISDSC_INVALID_CHAP_USER_NAME, chap(user=name))
        # Any other bytes are sent, and are no name of the target's.
        for name in (b"\xff\xfe", b"n" * 255):
            self.refused(api, ISDSC_AUTHENTICATION_FAILURE, chap(user=name))

    @both_widths
    def test_the_name_is_that_of_the_initiator_unless_one_is_given(self, api):
        by_default = login_options(AuthType=ISCSI_CHAP_AUTH_TYPE, Password=SECRET)
        empty, null = chap(user=b""), chap()
        null.Username, null.UsernameLength = None, 0
        for options in (by_default, empty, null):
            self.refused(api, ISDSC_AUTHENTICATION_FAILURE, options)
        # With the target's account for a node name it is the right one.
        self.addCleanup(api.SetIScsiInitiatorNodeName, None)
        check(api.SetIScsiInitiatorNodeName(peers.NODE_CHAP_INITIATOR))
        for options in (by_default, empty, null):
            session = self.log_in(api, peers.NODE_CHAP, options=options).session
            check(self.library.LogoutIScsiTarget(session))

    @both_widths
    def test_defaults_of_a_static_target_log_in_without_options(self, api):
        group = api.portal_group(api.portal(*peers.GUARDED))
        check(api.AddIScsiStaticTarget(peers.CHAP, None, 0, False, None, chap(), group))
        self.addCleanup(api.RemoveIScsiStaticTarget, peers.CHAP)
        self.log_in(api, peers.CHAP)
        check(api.RemoveIScsiStaticTarget(peers.CHAP))
        multipath = login_options(LoginFlags=ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED)
        refused = api.login(peers.CHAP, options=multipath)
        self.assertStatus(refused.status, ISDSC_AUTHENTICATION_FAILURE)

    @both_widths
    def test_what_a_login_leaves_open_is_that_of_the_target(self, api):
        group = api.portal_group(api.portal(*peers.GUARDED))
        check(api.AddIScsiStaticTarget(peers.CHAP, None, 0, False, None, chap(), group))
        self.addCleanup(api.RemoveIScsiStaticTarget, peers.CHAP)
        self.log_in(api, peers.CHAP, options=login_options(DefaultTime2Wait=1))
        (listed,) = self.library.sessions_ex()
        self.assertEqual(listed.Connections[0].AuthType, ISCSI_CHAP_AUTH_TYPE)
        # Name and secret go together.
        for half in ({"Username": USER}, {"Username": b""}, {"Password": b""}):
            options = login_options(LoginFlags=ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED, **half)
            refused = api.login(peers.CHAP, options=options)
            self.assertStatus(refused.status, ISDSC_INVALID_TARGET_CHAP_SECRET)

    @both_widths
    def test_an_empty_name_is_that_of_the_initiator_whatever_the_target_has(self, api):
        group = api.portal_group(api.portal(*peers.GUARDED))
        check(api.AddIScsiStaticTarget(peers.NODE_CHAP, None, 0, False, None, chap(user=b"nobody"), group))
        self.addCleanup(api.RemoveIScsiStaticTarget, peers.NODE_CHAP)
        self.addCleanup(api.SetIScsiInitiatorNodeName, None)
        check(api.SetIScsiInitiatorNodeName(peers.NODE_CHAP_INITIATOR))
        self.refused(api, ISDSC_AUTHENTICATION_FAILURE, None, peers.NODE_CHAP)
        self.log_in(api, peers.NODE_CHAP, options=login_options(Username=b"", Password=SECRET))

    @both_widths
    def test_chap_that_is_asked_for_is_not_gone_without(self, api):
        self.discover(peers.OPEN)
        refused = api.login(peers.DISKS, options=chap())
        self.assertStatus(refused.status, ISDSC_AUTHENTICATION_FAILURE)
        session = self.log_in(api, peers.DISKS).session
        (listed,) = self.library.sessions_ex()
        self.assertEqual((listed.SessionId, listed.Connections[0].AuthType), (session, ISCSI_NO_AUTH_TYPE))


class MutualChap(Discovered):
    """Targets that prove who they are too."""

    portals = (peers.GUARDED,)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.library.SetIScsiInitiatorCHAPSharedSecret, 0, None)

    def set_secret(self, secret):
        """The secret that targets must prove."""
        check(self.library.SetIScsiInitiatorCHAPSharedSecret(len(secret), secret))

    @both_widths
    def test_the_target_proves_the_secret_of_the_initiator(self, api):
        self.set_secret(MUTUAL_SECRET)
        session = self.log_in(api, peers.MUTUAL, options=mutual()).session
        (listed,) = self.library.sessions_ex()
        self.assertEqual(
            (listed.SessionId, listed.Connections[0].AuthType), (session, ISCSI_MUTUAL_CHAP_AUTH_TYPE)
        )

    @both_widths
    def test_without_that_secret_nothing_is_sent(self, api):
        for target in (peers.MUTUAL, peers.CHAP):
            refused = api.login(target, options=mutual())
            self.assertStatus(refused.status, ISDSC_INVALID_INITIATOR_CHAP_SECRET)
        self.set_secret(MUTUAL_SECRET)
        check(self.library.SetIScsiInitiatorCHAPSharedSecret(0, None))
        refused = api.login(peers.MUTUAL, options=mutual())
        self.assertStatus(refused.status, ISDSC_INVALID_INITIATOR_CHAP_SECRET)

    @both_widths
    def test_a_target_that_proves_another_is_not_believed(self, api):
        self.set_secret(b"another secret.")
        refused = api.login(peers.MUTUAL, options=mutual())
        self.assertStatus(refused.status, ISDSC_AUTHENTICATION_FAILURE)
        self.assertEqual(api.sessions(), [])

    @both_widths
    def test_a_target_that_proves_nothing_is_not_believed(self, api):
        self.set_secret(MUTUAL_SECRET)
        refused = api.login(peers.CHAP, options=mutual())
        self.assertStatus(refused.status, ISDSC_AUTHENTICATION_FAILURE)
        self.assertEqual(api.sessions(), [])

    @both_widths
    def test_the_two_secrets_must_differ(self, api):
        self.set_secret(SECRET)
        refused = api.login(peers.MUTUAL, options=mutual())
        self.assertStatus(refused.status, ISDSC_INVALID_CHAP_SECRET)

    @both_widths
    def test_one_way_chap_does_not_ask_for_the_proof(self, api):
        self.set_secret(b"another secret.")
        self.log_in(api, peers.MUTUAL, options=chap())

    @both_widths
    def test_a_short_secret_is_stored_with_a_warning_and_not_used(self, api):
        for secret in (b"x", b"eleven byte"):
            status = self.library.SetIScsiInitiatorCHAPSharedSecret(len(secret), secret)
            self.assertStatus(status, ISDSC_SHORT_CHAP_SECRET)
            refused = api.login(peers.MUTUAL, options=mutual())
            self.assertStatus(refused.status, ISDSC_INVALID_INITIATOR_CHAP_SECRET)

    @both_widths
    def test_a_secret_that_is_set_counts_for_logins_from_then_on(self, api):
        self.set_secret(MUTUAL_SECRET)
        session = self.log_in(api, peers.MUTUAL, options=mutual()).session
        check(self.library.SetIScsiInitiatorCHAPSharedSecret(0, None))
        self.assertEqual(self.session(api, session).ConnectionCount, 1)


class Secret(Case):
    """SetIScsiInitiatorCHAPSharedSecret by itself."""

    def setUp(self):
        self.addCleanup(self.library.SetIScsiInitiatorCHAPSharedSecret, 0, None)

    def set(self, length, secret, status, kept):
        """The call gives this status, and there is a secret then or not."""
        self.assertStatus(self.library.SetIScsiInitiatorCHAPSharedSecret(length, secret), status)
        self.assertEqual(daemon_status()["chap_secret_set"], kept)

    def test_twelve_to_sixteen_bytes_are_taken(self):
        for secret in (SHORTEST, LONGEST, b"\0\xff" * 7):
            self.set(len(secret), secret, ERROR_SUCCESS, True)
            self.set(0, None, ERROR_SUCCESS, False)

    def test_one_to_eleven_are_taken_with_a_warning(self):
        for length in (1, 2, 7, 10, 11):
            self.set(length, b"x" * 11, ISDSC_SHORT_CHAP_SECRET, True)
            self.set(0, None, ERROR_SUCCESS, False)

    def test_more_are_refused(self):
        for length in (17, 255, 256, 4096, 0xFFFFFFFF):
            self.set(length, b"x" * 4096, ISDSC_INVALID_INITIATOR_CHAP_SECRET, False)

    def test_nothing_clears_it_once_and_again(self):
        for secret in (None, b"x"):
            self.set(len(LONGEST), LONGEST, ERROR_SUCCESS, True)
            for _ in range(2):
                self.set(0, secret, ERROR_SUCCESS, False)

    def test_null_with_a_length_is_refused(self):
        for length in (1, 16, 0xFFFFFFFF):
            self.set(length, None, ERROR_INVALID_PARAMETER, False)

    def test_without_a_service_it_is_not_set(self):
        self.service.stop()
        self.addCleanup(self.service.start)
        for length in (0, 12):
            status = self.library.SetIScsiInitiatorCHAPSharedSecret(length, SHORTEST)
            self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)


class Kept(Discovered):
    """The secret outlives the service, and what is refused changes nothing: a target tells."""

    portals = ()

    @both_widths
    def test_it_survives_the_service(self, api):
        with Service() as service:
            check(self.library.SetIScsiInitiatorCHAPSharedSecret(len(MUTUAL_SECRET), MUTUAL_SECRET))
            for end in (service.stop, service.kill):
                end()
                service.start()
                self.discover(peers.GUARDED)
                # Over-long ones and a length without bytes leave it as it is.
                set_secret = self.library.SetIScsiInitiatorCHAPSharedSecret
                self.assertStatus(set_secret(17, b"x" * 17), ISDSC_INVALID_INITIATOR_CHAP_SECRET)
                self.assertStatus(set_secret(5, None), ERROR_INVALID_PARAMETER)
                done = self.log_in(api, peers.MUTUAL, options=mutual())
                check(self.library.LogoutIScsiTarget(done.session))
            check(self.library.SetIScsiInitiatorCHAPSharedSecret(0, None))
            service.restart()
            refused = api.login(peers.MUTUAL, options=mutual())
            self.assertStatus(refused.status, ISDSC_INVALID_INITIATOR_CHAP_SECRET)
            self.doCleanups()
            self.assertNotIn(MUTUAL_SECRET.decode(), service.log())
