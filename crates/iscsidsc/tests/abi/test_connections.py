"""§2.3: AddIScsiConnection and RemoveIScsiConnection.

A session has one connection unless its login offers more and the target agrees: `Connections` is of such a one, where what
is asked for is checked and then refused, `Several` of sessions with `OTHER`, which agrees to `OTHER_MOST`.
"""

import concurrent.futures

import peers
from case import both_widths
from discovery_library import *
from logged_in import OLD_ID, Discovered, nobody
from login_peer import LoginPeer
from service import until

#: All-zero is never an id.
ZERO = (0, 0)


class Connections(Discovered):
    """One session, with one connection."""

    def setUp(self):
        super().setUp()
        self.done = self.log_in(self.library.W, peers.DISKS, informational=True)

    def add(self, api, session=None, reserved=None, port=ISCSI_ANY_INITIATOR_PORT, portal=None, **more):
        """AddIScsiConnection, which must leave the place of the id and the session alone; gives the status."""
        connection = ISCSI_UNIQUE_CONNECTION_ID(*OLD_ID)
        session = self.done.session if session is None else session
        rest = {"security": 0, "options": None, "key": (0, None), **more}
        status = api.AddIScsiConnection(
            session, reserved, port, portal, rest["security"], rest["options"], *rest["key"], connection
        )
        self.assertEqual(connection, ISCSI_UNIQUE_CONNECTION_ID(*OLD_ID))
        (listed,) = api.sessions()
        self.assertEqual([c.ConnectionId for c in listed.Connections], [self.done.connection])
        return status

    @both_widths
    def test_a_session_has_one_connection_and_gets_no_further_one(self, api):
        for portal in (None, api.portal(""), api.portal(*peers.OPEN), api.portal(*peers.OPEN_SECOND)):
            self.assertStatus(self.add(api, portal=portal), ISDSC_TOO_MANY_CONNECTIONS)
        more = login_options(MaximumConnections=4)
        self.assertStatus(self.add(api, options=more), ISDSC_TOO_MANY_CONNECTIONS)
        self.assertEqual(self.library.sessions_ex()[0].MaximumConnections, 1, "the limit that is reached")

    @both_widths
    def test_reserved_is_ignored_and_the_id_need_not_be_taken(self, api):
        (instance,) = api.initiators()
        for reserved in (None, api.text(instance), api.text("rubbish")):
            self.assertStatus(self.add(api, reserved=reserved), ISDSC_TOO_MANY_CONNECTIONS)
        given = (self.done.session, None, ISCSI_ANY_INITIATOR_PORT, None, 0, None, 0, None, None)
        self.assertStatus(api.AddIScsiConnection(*given), ISDSC_TOO_MANY_CONNECTIONS)

    @both_widths
    def test_the_session_is_looked_at_first(self, api):
        wrong_portal = api.portal("with blank")
        for wrong in (nobody(), ISCSI_UNIQUE_SESSION_ID(*ZERO), self.done.connection):
            self.assertStatus(self.add(api, session=wrong), ISDSC_INVALID_SESSION_ID)
        self.assertStatus(self.add(api, session=nobody(), port=200), ISDSC_INVALID_SESSION_ID)
        given = (None, None, ISCSI_ANY_INITIATOR_PORT, wrong_portal, 0, None, 0, None, None)
        self.assertStatus(api.AddIScsiConnection(*given), ERROR_INVALID_PARAMETER)

    @both_widths
    def test_a_port_need_not_name_its_initiator_and_must_exist(self, api):
        self.assertStatus(self.add(api, port=0), ISDSC_TOO_MANY_CONNECTIONS)
        self.assertStatus(self.add(api, port=0xFFFFFFFE), ISDSC_INVALID_PORT_NUMBER)

    @both_widths
    def test_what_the_arguments_say_is_judged_before_the_limit(self, api):
        unending = api.portal("")
        put(unending.Address, "1" * 256)
        for portal in (unending, api.portal("with blank")):
            self.assertStatus(self.add(api, portal=portal), ERROR_INVALID_PARAMETER)
        # Of a portal that is only to be found the symbolic name may be anything.
        nameless = api.portal(*peers.OPEN)
        put(nameless.SymbolicName, "n" * 256)
        self.assertStatus(self.add(api, portal=nameless), ISDSC_TOO_MANY_CONNECTIONS)
        for key in ((4, None), (0xFFFFFFFF, ansi(b"k"))):
            self.assertStatus(self.add(api, key=key), ERROR_INVALID_PARAMETER)
        self.assertStatus(self.add(api, key=(1, ansi(b"k"))), ISDSC_TOO_MANY_CONNECTIONS)
        for flags in (0x0D, 0x61):
            self.assertStatus(self.add(api, security=flags), ERROR_INVALID_PARAMETER)
        options = (
            ({"Version": 1}, ERROR_INVALID_PARAMETER),
            ({"AuthType": 3}, ISDSC_INVALID_LOGON_AUTH_TYPE),
            ({"DataDigest": 2}, ISDSC_LOGIN_USER_INFO_BAD),
            ({"Password": b"seventeen letters"}, ISDSC_INVALID_TARGET_CHAP_SECRET),
            ({"LoginFlags": ISCSI_LOGIN_FLAG_USE_RADIUS_RESPONSE}, ISDSC_REQUEST_NOT_SUPPORTED),
        )
        for fields, status in options:
            self.assertStatus(self.add(api, options=login_options(**fields)), status)

    @both_widths
    def test_ipsec_is_not_gone_without(self, api):
        required = login_options(LoginFlags=ISCSI_LOGIN_FLAG_REQUIRE_IPSEC)
        asked = ISCSI_SECURITY_FLAG_VALID | ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED
        self.assertStatus(self.add(api, options=required), ISDSC_IPSEC_NOT_SUPPORTED_ON_OS)
        self.assertStatus(self.add(api, security=asked), ISDSC_IPSEC_NOT_SUPPORTED_ON_OS)

    def test_the_connection_cannot_be_removed_by_itself(self):
        remove = self.library.RemoveIScsiConnection
        self.assertStatus(remove(self.done.session, self.done.connection), ISDSC_CANT_REMOVE_LAST_CONNECTION)
        self.assertStatus(self.library.inquiry(self.done.session).status, ERROR_SUCCESS)

    def test_the_session_is_looked_at_before_the_connection(self):
        remove = self.library.RemoveIScsiConnection
        zero = ISCSI_UNIQUE_SESSION_ID(*ZERO)
        for session in (nobody(), zero, self.done.connection):
            for connection in (self.done.connection, nobody(), zero):
                self.assertStatus(remove(session, connection), ISDSC_INVALID_SESSION_ID)
        for connection in (nobody(), zero, self.done.session):
            self.assertStatus(remove(self.done.session, connection), ISDSC_INVALID_CONNECTION_ID)
        for missing in ((None, self.done.connection), (self.done.session, None), (None, None)):
            self.assertStatus(remove(*missing), ERROR_INVALID_PARAMETER)
        self.assertEqual(self.library.W.sessions()[0].ConnectionCount, 1)

    def test_one_of_another_session_is_not_known(self):
        other = self.log_in(self.library.W, peers.OTHER, informational=True)
        remove = self.library.RemoveIScsiConnection
        self.assertStatus(remove(self.done.session, other.connection), ISDSC_INVALID_CONNECTION_ID)
        self.assertStatus(remove(other.session, self.done.connection), ISDSC_INVALID_CONNECTION_ID)

    def test_one_of_a_session_that_has_ended_is_not_looked_for(self):
        check(self.library.LogoutIScsiTarget(self.done.session))
        for api in self.library.widths:
            given = (self.done.session, None, ISCSI_ANY_INITIATOR_PORT, None, 0, None, 0, None, None)
            self.assertStatus(api.AddIScsiConnection(*given), ISDSC_INVALID_SESSION_ID)
        removed = self.library.RemoveIScsiConnection(self.done.session, self.done.connection)
        self.assertStatus(removed, ISDSC_INVALID_SESSION_ID)

    def test_without_a_service_nothing_is_told_of_any(self):
        self.service.stop()
        self.addCleanup(self.service.start)
        for api in self.library.widths:
            given = (self.done.session, None, ISCSI_ANY_INITIATOR_PORT, None, 0, None, 0, None, None)
            self.assertStatus(api.AddIScsiConnection(*given), ISDSC_SERVICE_NOT_RUNNING)
        removed = self.library.RemoveIScsiConnection(self.done.session, self.done.connection)
        self.assertStatus(removed, ISDSC_SERVICE_NOT_RUNNING)


class Several(Discovered):
    """A session with a target that agrees to several connections."""

    #: What tgt's `OTHER` agrees to.
    OTHER_MOST = 4

    def setUp(self):
        super().setUp()
        self.discover(peers.OPEN_SECOND)
        options = login_options(MaximumConnections=8)
        self.done = self.log_in(self.library.W, peers.OTHER, options=options, informational=True)

    def add(self, api, portal=None, options=None):
        """AddIScsiConnection that must succeed; gives the id."""
        connection = ISCSI_UNIQUE_CONNECTION_ID(*OLD_ID)
        given = (self.done.session, None, ISCSI_ANY_INITIATOR_PORT, portal, 0, options, 0, None, connection)
        self.assertStatus(api.AddIScsiConnection(*given), ERROR_SUCCESS)
        return connection

    def listed(self, api):
        return self.session(api, self.done.session).Connections

    def ids(self, api):
        return [connection.ConnectionId for connection in self.listed(api)]

    @both_widths
    def test_connections_are_added_up_to_the_agreed_number(self, api):
        (extended,) = self.library.sessions_ex()
        self.assertEqual(extended.MaximumConnections, self.OTHER_MOST)
        ids = [self.done.connection, self.add(api)]
        ids.append(self.add(api, api.portal(*peers.OPEN_SECOND)))
        digests = login_options(HeaderDigest=ISCSI_DIGEST_TYPE_CRC32C, DataDigest=ISCSI_DIGEST_TYPE_CRC32C)
        ids.append(self.add(api, api.portal(*peers.OPEN), digests))
        self.assertEqual(self.ids(api), ids)
        self.assertEqual(len({id_text(each) for each in ids}), 4, "each its own")
        listed = self.listed(api)
        self.assertEqual([connection.CID for connection in listed], [b"\0\0", b"\1\0", b"\2\0", b"\3\0"])
        self.assertEqual((listed[2].TargetAddress, listed[2].TargetSocket), peers.OPEN_SECOND)
        (extended,) = self.library.sessions_ex()
        self.assertEqual([each.ConnectionId for each in extended.Connections], ids)
        self.assertEqual([each.HeaderDigest for each in extended.Connections], [0, 0, 0, 1])
        given = (self.done.session, None, ISCSI_ANY_INITIATOR_PORT, None, 0, None, 0, None, None)
        self.assertStatus(api.AddIScsiConnection(*given), ISDSC_TOO_MANY_CONNECTIONS)
        self.assertStatus(self.library.inquiry(self.done.session).status, ERROR_SUCCESS)

    @both_widths
    def test_where_nobody_listens_none_is_added(self, api):
        nowhere = api.portal(*peers.nowhere())
        connection = ISCSI_UNIQUE_CONNECTION_ID(*OLD_ID)
        given = (self.done.session, None, ISCSI_ANY_INITIATOR_PORT, nowhere, 0, None, 0, None, connection)
        self.assertStatus(api.AddIScsiConnection(*given), ISDSC_CONNECTION_FAILED)
        self.assertEqual(connection, ISCSI_UNIQUE_CONNECTION_ID(*OLD_ID))
        self.assertEqual(self.ids(api), [self.done.connection])

    @both_widths
    def test_one_that_the_target_refuses_leaves_the_session_as_it_is(self, api):
        # RFC 7143 section 11.13.5: too many connections; cannot include in session; session does not exist.
        for number, expected in (
            (6, ISDSC_TOO_MANY_CONNECTIONS),
            (8, ISDSC_CANT_INCLUDE_IN_SESSION),
            (10, ISDSC_INVALID_SESSION_ID),
        ):
            with self.subTest(status=(2, number)), LoginPeer(status=(2, number)) as peer:
                connection = ISCSI_UNIQUE_CONNECTION_ID(*OLD_ID)
                portal = api.portal(*peer.portal)
                given = (self.done.session, None, ISCSI_ANY_INITIATOR_PORT, portal, 0, None, 0, None, connection)
                self.assertStatus(api.AddIScsiConnection(*given), expected)
                self.assertEqual(peer.logins, 1, "it is not asked again and again")
                self.assertEqual(connection, ISCSI_UNIQUE_CONNECTION_ID(*OLD_ID))
                self.assertEqual(self.ids(api), [self.done.connection])
        self.add(api)
        self.assertStatus(self.library.inquiry(self.done.session).status, ERROR_SUCCESS)

    def test_all_but_the_leading_one_are_removed(self):
        api, remove = self.library.W, self.library.RemoveIScsiConnection
        more = [self.add(api), self.add(api)]
        leading = self.done.connection
        self.assertStatus(remove(self.done.session, leading), ISDSC_CANNOT_REMOVE_LEADING_CONNECTION)
        for connection in more:
            self.assertStatus(remove(self.done.session, connection), ERROR_SUCCESS)
            self.assertStatus(remove(self.done.session, connection), ISDSC_INVALID_CONNECTION_ID)
        self.assertStatus(remove(self.done.session, leading), ISDSC_CANT_REMOVE_LAST_CONNECTION)
        self.assertEqual(self.ids(api), [leading])
        self.assertStatus(self.library.inquiry(self.done.session).status, ERROR_SUCCESS)


class LostConnection(Discovered):
    """A session that reconnects has no connection, as its listing says."""

    portals = ()

    def test_the_connection_that_was_lost_is_not_known(self):
        api = self.library.W
        with peers.Relay(peers.OPEN) as relay:
            self.add_static(api, peers.DISKS, relay.portal)
            done = self.log_in(api, peers.DISKS, informational=True)
            relay.refuse()
            until("the loss to be seen", lambda: api.sessions()[0].ConnectionCount == 0)
            removed = self.library.RemoveIScsiConnection(done.session, done.connection)
            self.assertStatus(removed, ISDSC_INVALID_CONNECTION_ID)
            relay.accept()
            until("the session to be back", lambda: api.sessions()[0].ConnectionCount == 1)
            (connection,) = self.session(api, done.session).Connections
            removed = self.library.RemoveIScsiConnection(done.session, connection.ConnectionId)
            self.assertStatus(removed, ISDSC_CANT_REMOVE_LAST_CONNECTION)

    def test_while_the_session_is_logged_out_it_is_busy(self):
        api = self.library.W
        with peers.Relay(peers.OPEN) as relay:
            self.add_static(api, peers.DISKS, relay.portal)
            done = self.log_in(api, peers.DISKS, informational=True)
            # The target's answer to the logout is kept back.
            relay.hold()
            with concurrent.futures.ThreadPoolExecutor(1) as aside:
                logout = aside.submit(self.library.LogoutIScsiTarget, done.session)
                remove = lambda: self.library.RemoveIScsiConnection(done.session, done.connection)
                until("the removal to be in progress", lambda: remove() == ISDSC_REMOVE_CONNECTION_IN_PROGRESS)
                for each in self.library.widths:
                    given = (done.session, None, ISCSI_ANY_INITIATOR_PORT, None, 0, None, 0, None, None)
                    self.assertStatus(each.AddIScsiConnection(*given), ISDSC_SESSION_BUSY)
                unknown = self.library.RemoveIScsiConnection(done.session, nobody())
                self.assertStatus(unknown, ISDSC_INVALID_CONNECTION_ID)
                relay.release()
                self.assertStatus(logout.result(60), ERROR_SUCCESS)
            self.assertStatus(remove(), ISDSC_INVALID_SESSION_ID)
