"""§2.3: GetIScsiSessionList and GetIScsiSessionListEx, and sessions whose connection is lost."""

import peers
from case import both_widths
from discovery_library import *
from logged_in import Discovered
from service import until

HEADER, DATA = ISCSI_LOGIN_OPTIONS_HEADER_DIGEST, ISCSI_LOGIN_OPTIONS_DATA_DIGEST
#: What the keys of tgt's `OTHER` and our offers come to (RFC 7143 section 13).
OTHER_AGREES = {
    "InitialR2t": 1,
    "ImmediateData": 0,
    "DataSequenceInOrder": 1,
    "DataPduInOrder": 1,
    "ErrorRecoveryLevel": 0,
    "MaxOutstandingR2t": 1,
    "FirstBurstLength": 16384,
    "MaxBurstLength": 131072,
    "MaximumConnections": 1,
}
#: The same of the others, which answer with the defaults of tgt.
DISKS_AGREES = {
    **OTHER_AGREES,
    "ImmediateData": 1,
    "FirstBurstLength": 65536,
    "MaxBurstLength": 262144,
}
#: §3.3: states and protocol of a connection.
FULL_FEATURE, TCP = 1, 6


class SessionList(Discovered):
    """GetIScsiSessionList."""

    @both_widths
    def test_each_session_is_listed_with_its_connection(self, api):
        done = self.log_in(api, peers.DISKS)
        (session,) = api.sessions()
        self.assertEqual(session.SessionId, done.session)
        self.assertEqual(session.InitiatorName, api.node_name(), "the node name, not the adapter")
        self.assertIsNone(session.TargetNodeName)
        self.assertEqual(session.TargetName, peers.DISKS)
        # RFC 7143 section 11.12.5: of our own making, from random bytes; tgt gives each session a TSIH.
        self.assertEqual((len(session.ISID), session.ISID[0] >> 6), (6, 2))
        self.assertNotEqual(session.TSID, b"\0\0")
        (connection,) = session.Connections
        self.assertEqual(connection.ConnectionId, done.connection)
        self.assertEqual((connection.TargetAddress, connection.TargetSocket), peers.OPEN)
        self.assertEqual(connection.InitiatorAddress, "127.0.0.1")
        self.assertNotIn(connection.InitiatorSocket, (0, peers.OPEN.port))
        self.assertEqual(connection.CID, b"\0\0", "the first of its session")

    @both_widths
    def test_sessions_of_all_kinds_are_listed_in_the_order_of_their_login(self, api):
        multipath = login_options(LoginFlags=ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED)
        logins = [
            self.log_in(api, peers.OTHER),
            self.log_in(api, peers.DISKS, informational=True),
            self.log_in(api, peers.DISKS, api.portal(*peers.OPEN_SECOND), options=multipath),
        ]
        listed = api.sessions()
        self.assertEqual([session.SessionId for session in listed], [login.session for login in logins])
        self.assertEqual([session.TargetName for session in listed], [peers.OTHER, peers.DISKS, peers.DISKS])
        connections = [session.Connections[0] for session in listed]
        self.assertEqual([c.ConnectionId for c in connections], [login.connection for login in logins])
        self.assertEqual(connections[2].TargetAddress, peers.OPEN_SECOND.address)
        self.assertEqual(len({session.ISID for session in listed[1:]}), 2, "two ISIDs with one target")
        self.assertEqual(len({c.InitiatorSocket for c in connections}), 3)

    @both_widths
    def test_no_session_is_no_session(self, api):
        size, count = ULONG(77), ULONG(77)
        self.assertStatus(api.GetIScsiSessionList(size, count, None), ERROR_SUCCESS)
        self.assertEqual((size.value, count.value), (0, 0))

    @both_widths
    def test_the_size_is_in_bytes_and_the_count_is_not_looked_at(self, api):
        self.log_in(api, peers.DISKS)
        size, count = ULONG(0), ULONG(0)
        self.assertStatus(api.GetIScsiSessionList(size, count, None), ERROR_INSUFFICIENT_BUFFER)
        needed = size.value
        for room, told, status in ((needed - 1, 9, ERROR_INSUFFICIENT_BUFFER), (needed, 0, 0), (needed + 64, 0, 0)):
            buffer, size, count = Buffer(room), ULONG(room), ULONG(told)
            pointer = buffer.at(api.ISCSI_SESSION_INFO)
            self.assertStatus(api.GetIScsiSessionList(size, count, pointer), status)
            self.assertEqual((size.value, count.value), (needed, 1))
            buffer.check_guard()
            if status:
                buffer.check_untouched()

    @both_widths
    def test_places_that_are_missing_are_refused(self, api):
        self.log_in(api, peers.DISKS)
        buffer, number = Buffer(4096), ULONG(4096)
        pointer = buffer.at(api.ISCSI_SESSION_INFO)
        for size, count in ((None, number), (number, None), (None, None)):
            self.assertStatus(api.GetIScsiSessionList(size, count, pointer), ERROR_INVALID_PARAMETER)
        self.assertEqual(number.value, 4096)
        buffer.check_untouched()

    def test_both_widths_and_the_other_list_say_the_same(self):
        for target in (peers.DISKS, peers.OTHER):
            self.log_in(self.library.W, target)
        narrow, wide_ones = self.library.A.sessions(), self.library.W.sessions()
        self.assertEqual(narrow, wide_ones)
        extended = self.library.sessions_ex()
        self.assertEqual([s.SessionId for s in narrow], [s.SessionId for s in extended])
        ids = [[c.ConnectionId for c in s.Connections] for s in narrow]
        self.assertEqual(ids, [[c.ConnectionId for c in s.Connections] for s in extended])

    @both_widths
    def test_without_a_service_nothing_is_told(self, api):
        self.service.stop()
        self.addCleanup(self.service.start)
        size, count = ULONG(77), ULONG(77)
        for export in (api.GetIScsiSessionList, api.GetIScsiSessionListEx):
            self.assertStatus(export(size, count, None), ISDSC_SERVICE_NOT_RUNNING)
        self.assertEqual((size.value, count.value), (77, 77))


class SessionListEx(Discovered):
    """GetIScsiSessionListEx: what was negotiated."""

    def listed(self, **options):
        """A data session with `OTHER`, which takes digests, as it is listed."""
        done = self.log_in(self.library.W, peers.OTHER, options=login_options(**options))
        (session,) = self.library.sessions_ex()
        self.assertEqual(session.SessionId, done.session)
        self.assertStatus(self.library.read_capacity(done.session, lun_value(1)).status, ERROR_SUCCESS)
        check(self.library.LogoutIScsiTarget(done.session))
        return session

    def test_it_is_what_tgt_and_we_agreed_on(self):
        for target, agreed in ((peers.OTHER, OTHER_AGREES), (peers.DISKS, DISKS_AGREES)):
            done = self.log_in(self.library.W, target)
            (session,) = self.library.sessions_ex()
            self.assertEqual({name: getattr(session, name) for name in agreed}, agreed)
            self.assertEqual((session.Type, session.ConnectionCount), (2, 1))
            (connection,) = session.Connections
            self.assertEqual(connection.ConnectionId, done.connection)
            self.assertEqual((connection.State, connection.Protocol), (FULL_FEATURE, TCP))
            self.assertEqual(connection.AuthType, ISCSI_NO_AUTH_TYPE)
            self.assertEqual((connection.HeaderDigest, connection.DataDigest), (0, 0), "none by default")
            self.assertEqual(connection.MaxRecvDataSegmentLength, 262144, "what we declared")
            check(self.library.LogoutIScsiTarget(done.session))

    def test_digests_are_used_as_asked(self):
        for header in (ISCSI_DIGEST_TYPE_NONE, ISCSI_DIGEST_TYPE_CRC32C):
            for data in (ISCSI_DIGEST_TYPE_NONE, ISCSI_DIGEST_TYPE_CRC32C):
                session = self.listed(HeaderDigest=header, DataDigest=data)
                (connection,) = session.Connections
                self.assertEqual((connection.HeaderDigest, connection.DataDigest), (header, data))

    def test_a_digest_without_its_bit_does_not_count(self):
        options = login_options(HeaderDigest=ISCSI_DIGEST_TYPE_CRC32C, DataDigest=ISCSI_DIGEST_TYPE_CRC32C)
        options.InformationSpecified = DATA
        self.log_in(self.library.W, peers.OTHER, options=options)
        (connection,) = self.library.sessions_ex()[0].Connections
        self.assertEqual((connection.HeaderDigest, connection.DataDigest), (0, 1))

    def test_a_digest_that_the_target_does_not_have_fails_the_login(self):
        crc = login_options(HeaderDigest=ISCSI_DIGEST_TYPE_CRC32C)
        refused = self.library.W.login(peers.DISKS, options=crc)
        # tgt answers "None", which was not offered (RFC 7143 section 6.2.1 wants "Reject").
        self.assertStatus(refused.status, ISDSC_INVALID_TEXT_KEY)
        self.assertEqual(self.library.sessions_ex(), [])

    def test_more_connections_than_one_may_be_asked_for(self):
        for number, agreed in ((0, 4), (1, 1), (3, 3), (4, 4), (65535, 4)):
            self.assertEqual(self.listed(MaximumConnections=number).MaximumConnections, agreed)

    def test_the_size_is_in_bytes(self):
        self.log_in(self.library.W, peers.DISKS)
        one = ctypes.sizeof(ISCSI_SESSION_INFO_EX) + ctypes.sizeof(ISCSI_CONNECTION_INFO_EX)
        for room, status in ((0, ERROR_INSUFFICIENT_BUFFER), (one - 1, ERROR_INSUFFICIENT_BUFFER), (one, 0)):
            buffer, size, count = Buffer(room), ULONG(room), ULONG(0)
            told = self.library.GetIScsiSessionListEx(size, count, buffer.at(ISCSI_SESSION_INFO_EX))
            self.assertStatus(told, status)
            self.assertEqual((size.value, count.value), (one, 1))
        buffer = Buffer(one)
        for size, count in ((None, ULONG(1)), (ULONG(one), None)):
            told = self.library.GetIScsiSessionListEx(size, count, buffer.at(ISCSI_SESSION_INFO_EX))
            self.assertStatus(told, ERROR_INVALID_PARAMETER)
        buffer.check_untouched()


class Lost(Discovered):
    """Sessions that reconnect (§1.6, §1.11)."""

    portals = ()

    def logged_in_through(self, api, relay):
        """A session with `DISKS` through a relay, with its three devices."""
        self.add_static(api, peers.DISKS, relay.portal)
        done = self.log_in(api, peers.DISKS)
        self.ready_devices(api, done.session, 3)
        return done

    @both_widths
    def test_the_session_id_outlives_its_connection(self, api):
        with peers.Relay(peers.OPEN) as relay:
            done = self.logged_in_through(api, relay)
            before = self.session(api, done.session)
            relay.cut()

            def back():
                (session,) = api.sessions()
                self.assertEqual(session.SessionId, done.session)
                return [c for c in session.Connections if c.InitiatorSocket != before.Connections[0].InitiatorSocket]

            (connection,) = until("the session to be back", back)
            self.assertEqual((connection.TargetAddress, connection.TargetSocket), relay.portal)
            after = self.session(api, done.session)
            self.assertEqual(after.ISID, before.ISID)
            self.assertStatus(self.library.read_capacity(done.session, lun_value(1)).status, ERROR_SUCCESS)
            self.assertEqual(len(self.ready_devices(api, done.session, 3)), 3)

    @both_widths
    def test_meanwhile_it_has_no_connection_and_no_devices(self, api):
        with peers.Relay(peers.OPEN) as relay:
            done = self.logged_in_through(api, relay)
            relay.refuse()
            until("the loss to be seen", lambda: api.sessions()[0].ConnectionCount == 0)
            (session,) = api.sessions()
            self.assertEqual((session.SessionId, session.Connections), (done.session, []))
            self.assertEqual((session.TargetName, session.InitiatorName), (peers.DISKS, api.node_name()))
            (extended,) = self.library.sessions_ex()
            self.assertEqual((extended.SessionId, extended.ConnectionCount), (done.session, 0))
            self.assertEqual(api.devices(done.session), [])
            self.assertStatus(self.library.inquiry(done.session).status, ISDSC_NO_CONNECTION_AVAILABLE)
            self.assertStatus(self.library.read_capacity(done.session).status, ISDSC_NO_CONNECTION_AVAILABLE)
            self.assertStatus(self.library.report_luns(done.session).status, ISDSC_NO_CONNECTION_AVAILABLE)
            refused = api.login(peers.DISKS)
            self.assertStatus(refused.status, ISDSC_TARGET_ALREADY_LOGGED_IN)
            relay.accept()
            until("the session to be back", lambda: api.sessions()[0].ConnectionCount == 1)
            self.assertEqual(len(self.ready_devices(api, done.session, 3)), 3)

    @both_widths
    def test_it_can_be_logged_out_meanwhile(self, api):
        with peers.Relay(peers.OPEN) as relay:
            done = self.logged_in_through(api, relay)
            relay.refuse()
            until("the loss to be seen", lambda: api.sessions()[0].ConnectionCount == 0)
            self.assertStatus(self.library.LogoutIScsiTarget(done.session), ERROR_SUCCESS)
            self.assertEqual(api.sessions(), [])
