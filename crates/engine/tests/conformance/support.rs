//! A session of the engine with a scripted peer, and what all tests ask of it.

use std::sync::Arc;
use std::time::Duration;

use hawser_engine::{
    Hold, IscsiName, Isid, LoginErrorKind, LoginFailure, LoginFailureKind, LoginOptions, LunNumber,
    ManagementRequest, Portal, ScsiAnswer, ScsiRequest, Session, SessionError, SessionEvent,
    SessionEvents, SessionOptions, SessionView, TmfFunction, Transfer,
};
use hawser_proto::login::PeerMisbehaved;
use hawser_scsi::{Cdb, IoFlags};
use hawser_testkit::scripted::{LIMIT, Pdu, Peer, Target, wire};
use tokio::task::JoinHandle;

pub(crate) const INITIATOR: &str = "iqn.2026-11.test.hawser:initiator";
pub(crate) const TARGET: &str = "iqn.2026-11.test.hawser:scripted";

/// Answers for a session without unsolicited data.
pub(crate) const R2T_ONLY: &[(&str, &str)] = &[("InitialR2T", "Yes"), ("ImmediateData", "No")];

/// Answers of a target that has error recovery level 1; the same for 2.
pub(crate) const LEVEL_1: &[(&str, &str)] = &[
    ("ErrorRecoveryLevel", "1"),
    ("InitialR2T", "Yes"),
    ("ImmediateData", "No"),
    ("MaxOutstandingR2T", "1"),
    ("DefaultTime2Retain", "20"),
];
pub(crate) const LEVEL_2: &[(&str, &str)] = &[
    ("ErrorRecoveryLevel", "2"),
    ("InitialR2T", "Yes"),
    ("ImmediateData", "No"),
    ("MaxOutstandingR2T", "1"),
    ("DefaultTime2Retain", "20"),
];
/// Answers of a target that takes two connections.
pub(crate) const TWO_CONNECTIONS: &[(&str, &str)] = &[("MaxConnections", "2")];

pub(crate) type Asked<T> = JoinHandle<Result<T, SessionError>>;

pub(crate) fn name(text: &str) -> IscsiName {
    IscsiName::parse(text).unwrap()
}

pub(crate) fn login_options() -> LoginOptions {
    LoginOptions::new(name(INITIATOR))
}

pub(crate) fn portal(target: &Target) -> Portal {
    Portal::from(target.address())
}

/// A session that reconnects at once, never pings and is patient otherwise.
pub(crate) fn options(target: &Target) -> SessionOptions {
    let isid = Isid::from_random([1, 2, 3, 4, 5]);
    let mut options = SessionOptions::new(login_options(), name(TARGET), portal(target), isid);
    options.hold = Hold::For(LIMIT);
    options.timeouts.login = LIMIT;
    options.timeouts.ping_interval = Duration::ZERO;
    options.timeouts.backoff_first = Duration::from_millis(20);
    options.timeouts.backoff_longest = Duration::from_millis(100);
    options
}

/// Offers all that the engine has of error recovery and connections. Above level 0 and with ordered
/// sequences only one R2T may be outstanding (RFC 7143 §13.19).
pub(crate) fn offer_recovery(options: &mut SessionOptions) {
    options.login.max_outstanding_r2t = 1;
    options.login.error_recovery_level = Some(2);
    options.login.max_connections = 2;
    options.connections = 2;
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

/// A target, the connection that logged in to it, and the session.
pub(crate) struct Rig {
    pub(crate) target: Target,
    pub(crate) peer: Peer,
    pub(crate) session: Session,
    pub(crate) events: SessionEvents,
}

impl Rig {
    /// A session that is logged in with these answers.
    pub(crate) async fn up(answers: &[(&str, &str)]) -> Self {
        Self::with(|_| {}, answers).await
    }

    /// The same, with other options.
    pub(crate) async fn with(
        change: impl FnOnce(&mut SessionOptions),
        answers: &[(&str, &str)],
    ) -> Self {
        Self::prepared(change, |_| {}, answers).await
    }

    /// The same, with a peer that is changed before the login.
    pub(crate) async fn prepared(
        change: impl FnOnce(&mut SessionOptions),
        prepare: impl FnOnce(&mut Peer),
        answers: &[(&str, &str)],
    ) -> Self {
        let target = Target::listen().await;
        let mut options = options(&target);
        change(&mut options);
        let session = Session::open(options);
        let events = session.events();
        let mut peer = target.accept().await;
        prepare(&mut peer);
        peer.log_in(answers).await;
        in_time(session.established()).await.expect("logged in");
        Self {
            target,
            peer,
            session,
            events,
        }
    }

    pub(crate) async fn view(&self) -> Arc<SessionView> {
        in_time(self.session.established())
            .await
            .expect("logged in")
    }

    /// Asks for a command at LUN 0.
    pub(crate) fn command(&self, cdb: Cdb, transfer: Transfer) -> Asked<ScsiAnswer> {
        self.command_at(LunNumber::ZERO, cdb, transfer)
    }

    pub(crate) fn command_at(
        &self,
        lun: LunNumber,
        cdb: Cdb,
        transfer: Transfer,
    ) -> Asked<ScsiAnswer> {
        let session = self.session.clone();
        tokio::spawn(async move { session.scsi(ScsiRequest { lun, cdb, transfer }).await })
    }

    /// TEST UNIT READY.
    pub(crate) fn test_unit_ready(&self) -> Asked<ScsiAnswer> {
        self.command(Cdb::test_unit_ready(), Transfer::None)
    }

    /// READ of so many bytes.
    pub(crate) fn read(&self, bytes: u32) -> Asked<ScsiAnswer> {
        let cdb = Cdb::read(0, bytes.div_ceil(512), IoFlags::default());
        self.command(cdb, Transfer::Read(bytes))
    }

    /// WRITE of these bytes.
    pub(crate) fn write(&self, data: &[u8]) -> Asked<ScsiAnswer> {
        let blocks = u32::try_from(data.len().div_ceil(512)).unwrap();
        let cdb = Cdb::write(0, blocks, IoFlags::default());
        self.command(cdb, Transfer::Write(data.to_vec()))
    }

    /// Asks for a task management function.
    pub(crate) fn manage(&self, function: TmfFunction, lun: LunNumber) -> Asked<u8> {
        let session = self.session.clone();
        tokio::spawn(async move { session.manage(ManagementRequest { function, lun }).await })
    }

    /// The next connection of the session, logged in.
    pub(crate) async fn next_login(&self, answers: &[(&str, &str)]) -> Peer {
        let mut peer = self.target.accept().await;
        peer.log_in(answers).await;
        peer
    }

    /// A TEST UNIT READY is answered: the session works.
    pub(crate) async fn works(&mut self) {
        let asked = self.test_unit_ready();
        let command = self.peer.expect_command(0).await;
        self.peer.respond(&command, wire::GOOD).await;
        assert_good(&answered(asked).await);
    }

    /// The session logs out in order.
    pub(crate) async fn log_out(mut self) {
        let session = self.session.clone();
        let logout = tokio::spawn(async move { session.logout().await });
        answer_logout(&mut self.peer).await;
        in_time(logout).await.unwrap();
    }

    /// Why the connection was lost, in words.
    pub(crate) async fn lost(&mut self) -> String {
        loop {
            if let SessionEvent::Lost(why) = self.event().await {
                return why;
            }
        }
    }

    pub(crate) async fn event(&mut self) -> SessionEvent {
        in_time(self.events.recv()).await.expect("events go on")
    }

    /// The connection is given up with these words in the reason, and the session is made again: same
    /// ISID, TSIH 0, and it works.
    pub(crate) async fn recovers(&mut self, words: &str) {
        self.peer.await_close().await;
        let why = self.lost().await;
        assert!(why.contains(words), "{why}");
        let isid = self.peer.agreed().requests[0].isid();
        self.peer = self.next_login(&[]).await;
        let request = &self.peer.agreed().requests[0];
        assert_eq!((request.isid(), request.tsih()), (isid, 0));
        let mut states = self.session.watch();
        let again = states.wait_for(
            |state| matches!(state, hawser_engine::SessionState::Up(view) if view.reconnects > 0),
        );
        in_time(again).await.expect("the driver lives");
        self.works().await;
    }
}

/// Takes a Logout Request that closes the session, answers it, and sees the connection closed.
pub(crate) async fn answer_logout(peer: &mut Peer) {
    let logout = peer.expect(wire::LOGOUT_REQUEST).await;
    assert_eq!(logout.code(), 0, "close the session");
    peer.send(Pdu::logout_response(&logout, 0, 0, 0)).await;
    peer.finish().await;
    peer.expect_close().await;
}

/// What a request came to.
pub(crate) async fn ended<T>(asked: Asked<T>) -> Result<T, SessionError> {
    in_time(asked).await.expect("no panic")
}

pub(crate) async fn answered<T>(asked: Asked<T>) -> T {
    ended(asked).await.expect("an answer")
}

pub(crate) async fn failed<T>(asked: Asked<T>) -> SessionError {
    ended(asked).await.err().expect("an error")
}

pub(crate) fn assert_good(answer: &ScsiAnswer) {
    assert_eq!(answer.status, hawser_scsi::Status::Good, "{answer:?}");
}

pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// What the first login of a session came to, whose target answers by `script`; the connection is
/// closed by it.
pub(crate) async fn login_failure(
    change: impl FnOnce(&mut SessionOptions),
    script: impl AsyncFnOnce(&mut Peer),
) -> LoginFailure {
    let target = Target::listen().await;
    let mut options = options(&target);
    // One attempt is looked at; the next is far away.
    options.timeouts.backoff_first = LIMIT;
    options.timeouts.backoff_longest = LIMIT;
    change(&mut options);
    let session = Session::open(options);
    let mut peer = target.accept().await;
    script(&mut peer).await;
    peer.await_close().await;
    let failure = in_time(session.established()).await;
    session.logout().await;
    failure.expect_err("the login was to fail")
}

/// Why the login itself failed.
pub(crate) fn kind(failure: &LoginFailure) -> &LoginErrorKind {
    match &failure.kind {
        LoginFailureKind::Login(error) => &error.kind,
        other => panic!("{other}"),
    }
}

/// What the target did wrong in its login.
pub(crate) fn offence(failure: &LoginFailure) -> &PeerMisbehaved {
    match kind(failure) {
        LoginErrorKind::PeerMisbehaved(offence) => offence,
        other => panic!("{other}"),
    }
}

/// The offers of a first operational request, and the peer that is to answer it.
pub(crate) async fn operational(peer: &mut Peer) -> Pdu {
    let (first, _) = peer.login_request().await;
    let keys = [("AuthMethod", "None"), ("TargetPortalGroupTag", "1")];
    peer.agree(&first, &keys).await;
    let (second, _) = peer.login_request().await;
    assert_eq!(second.current_stage(), wire::OPERATIONAL);
    second
}
