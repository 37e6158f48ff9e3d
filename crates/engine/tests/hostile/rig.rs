//! A session of the engine with a hostile peer, and what all tests ask of it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hawser_engine::{
    Hold, IscsiName, Isid, LoginErrorKind, LoginFailure, LoginFailureKind, LoginOptions, LunNumber,
    Portal, ScsiAnswer, ScsiRequest, Session, SessionError, SessionEvent, SessionEvents,
    SessionOptions, SessionView, Transfer,
};
use hawser_proto::login::PeerMisbehaved;
use hawser_scsi::{Cdb, IoFlags, Status};
use tokio::sync::broadcast::error::RecvError;

use super::peer::{Answers, LIMIT, LOGIN_REQUEST, Pdu, Peer, Target};

pub(crate) const TARGET: &str = "iqn.2026-11.test.hawser:hostile";

/// The limits of commands and functions for those who do not wait.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

pub(crate) fn login_options() -> LoginOptions {
    LoginOptions::new(IscsiName::parse("iqn.2026-11.test.hawser:victim").unwrap())
}

/// Limits that no test reaches, and no pings. Logins are repeated at once.
pub(crate) fn options(address: SocketAddr) -> SessionOptions {
    let target = IscsiName::parse(TARGET).unwrap();
    let isid = Isid::from_random([1, 2, 3, 4, 5]);
    let mut options = SessionOptions::new(login_options(), target, Portal::from(address), isid);
    options.hold = Hold::For(LIMIT);
    options.timeouts.login = LIMIT;
    options.timeouts.command = LIMIT;
    options.timeouts.management = LIMIT;
    options.timeouts.ping_interval = Duration::ZERO;
    options.timeouts.backoff_first = Duration::from_millis(50);
    options.timeouts.backoff_longest = Duration::from_millis(200);
    options
}

/// Commands and functions have little time.
pub(crate) fn impatient(options: &mut SessionOptions) {
    options.timeouts.command = SHORT;
    options.timeouts.management = SHORT;
}

/// Offers all that there is of error recovery, and two connections.
pub(crate) fn recovering(options: &mut SessionOptions) {
    options.login.error_recovery_level = Some(2);
    options.login.max_outstanding_r2t = 1;
}

/// The same, and two connections.
pub(crate) fn with_two(options: &mut SessionOptions) {
    options.login.max_connections = 2;
    options.connections = 2;
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

/// A session that is logged in.
pub(crate) struct Rig {
    pub(crate) session: Session,
    pub(crate) events: SessionEvents,
}

impl Rig {
    /// With a target that goes on by `script` from its first connection on.
    pub(crate) async fn with(
        change: impl FnOnce(&mut SessionOptions),
        answers: Answers,
        script: impl FnOnce(&Target) -> Option<()> + Send + 'static,
    ) -> Self {
        let rig = Self::open(change, answers, script);
        in_time(rig.session.established()).await.expect("logged in");
        rig
    }

    /// The same, not logged in yet.
    pub(crate) fn open(
        change: impl FnOnce(&mut SessionOptions),
        answers: Answers,
        script: impl FnOnce(&Target) -> Option<()> + Send + 'static,
    ) -> Self {
        let mut options = options(Target::listen(answers, script));
        change(&mut options);
        let session = Session::open(options);
        let events = session.events();
        Self { session, events }
    }

    /// With a target that goes on by `script` after its first login.
    pub(crate) async fn single(
        change: impl FnOnce(&mut SessionOptions),
        answers: Answers,
        script: impl FnOnce(&mut Peer) -> Option<()> + Send + 'static,
    ) -> Self {
        let script = |target: &Target| script(&mut target.log_in()?);
        Self::with(change, answers, script).await
    }

    /// The same, at error recovery level 0 and with limits that no test reaches.
    pub(crate) async fn patient(
        script: impl FnOnce(&mut Peer) -> Option<()> + Send + 'static,
    ) -> Self {
        Self::single(|_| {}, &[], script).await
    }

    /// READ (10) of so many bytes, raw.
    pub(crate) async fn read(&self, bytes: u32) -> Result<ScsiAnswer, SessionError> {
        let cdb = Cdb::read(0, bytes.div_ceil(512), IoFlags::default());
        self.command(cdb, Transfer::Read(bytes)).await
    }

    /// WRITE (10) of so many bytes, raw.
    pub(crate) async fn write(&self, bytes: u32) -> Result<ScsiAnswer, SessionError> {
        let cdb = Cdb::write(0, bytes.div_ceil(512), IoFlags::default());
        let data = vec![1; bytes as usize];
        self.command(cdb, Transfer::Write(data)).await
    }

    /// TEST UNIT READY.
    pub(crate) async fn ask(&self) -> Result<ScsiAnswer, SessionError> {
        self.command(Cdb::test_unit_ready(), Transfer::None).await
    }

    async fn command(&self, cdb: Cdb, transfer: Transfer) -> Result<ScsiAnswer, SessionError> {
        let lun = LunNumber::ZERO;
        in_time(self.session.scsi(ScsiRequest { lun, cdb, transfer })).await
    }

    pub(crate) async fn event(&mut self) -> SessionEvent {
        loop {
            match in_time(self.events.recv()).await {
                Ok(event) => return event,
                // A flood of news: the oldest are gone.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => panic!("the driver is gone"),
            }
        }
    }

    /// Why the session was lost.
    pub(crate) async fn lost(&mut self) -> String {
        loop {
            if let SessionEvent::Lost(why) = self.event().await {
                return why;
            }
        }
    }

    /// The CID of a connection that was lost while the session lived on, and why.
    pub(crate) async fn lost_one(&mut self) -> (u16, String) {
        loop {
            match self.event().await {
                SessionEvent::ConnectionLost { cid, why, .. } => return (cid, why),
                SessionEvent::Lost(why) => panic!("all of it was lost: {why}"),
                _ => {}
            }
        }
    }

    /// Why an attempt to log in, or to join the session, failed.
    pub(crate) async fn login_failed(&mut self) -> LoginFailure {
        loop {
            if let SessionEvent::LoginFailed(failure) = self.event().await {
                return failure;
            }
        }
    }

    /// Waits for a second connection.
    pub(crate) async fn joined(&mut self) -> Arc<SessionView> {
        loop {
            if let SessionEvent::ConnectionUp(view) = self.event().await {
                return view;
            }
        }
    }

    /// The command that was under way is over, the session was lost for a reason in these words, and is
    /// there again: one offence costs no more.
    pub(crate) async fn breaks(mut self, ended: Result<ScsiAnswer, SessionError>, words: &str) {
        let error = ended.expect_err("the command was under way");
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
        assert!(error.to_string().contains(TARGET), "{error}");
        self.was_lost(words).await;
        self.goes_on().await;
    }

    /// The same, and the target is trusted with level 1 from then on.
    pub(crate) async fn breaks_trust(
        mut self,
        ended: Result<ScsiAnswer, SessionError>,
        words: &str,
    ) {
        let error = ended.expect_err("the command was under way");
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
        self.was_lost(words).await;
        self.ask().await.expect("it works");
        let view = in_time(self.session.established()).await.unwrap();
        assert_eq!(view.parameters.error_recovery_level, 1);
        self.goes_on().await;
    }

    pub(crate) async fn was_lost(&mut self, words: &str) {
        let why = self.lost().await;
        assert!(why.contains(words), "{why}");
    }

    /// The session works, and can be logged out of.
    pub(crate) async fn goes_on(self) {
        let answer = self.ask().await.expect("it works");
        assert_eq!(answer.status, Status::Good, "{answer:?}");
        self.log_out().await;
    }

    /// The session ends, and all that was asked of it has.
    pub(crate) async fn log_out(self) {
        in_time(self.session.logout()).await;
        assert_eq!(self.session.counters().in_flight, 0);
    }
}

/// The command ended for want of an answer, in one of the ways in which one may.
pub(crate) fn assert_given_up(ended: Result<ScsiAnswer, SessionError>) {
    let error = ended.expect_err("no answer was to come");
    let is_given_up = matches!(
        error,
        SessionError::TimedOut(_) | SessionError::Interrupted(_)
    );
    assert!(is_given_up && error.to_string().contains(TARGET), "{error}");
}

/// What the first login with a target came to whose first connection goes by `script`.
pub(crate) async fn login_fails(
    change: impl FnOnce(&mut SessionOptions),
    script: impl FnOnce(&mut Peer) -> Option<()> + Send + 'static,
) -> LoginFailure {
    let address = Target::listen(&[], |target| script(&mut target.accept()?));
    let mut options = options(address);
    change(&mut options);
    // Only one attempt is looked at.
    (
        options.timeouts.backoff_first,
        options.timeouts.backoff_longest,
    ) = (LIMIT, LIMIT);
    let session = Session::open(options);
    let failure = in_time(session.established()).await;
    let failure = failure.expect_err("the login was to fail");
    in_time(session.logout()).await;
    let words = failure.to_string();
    let names = [TARGET.to_owned(), address.to_string()];
    assert!(names.iter().all(|name| words.contains(name)), "{words}");
    failure
}

/// What the target did wrong in its login, which answers the first request by `response`.
pub(crate) async fn first_response(
    response: impl FnOnce(&Pdu) -> Pdu + Send + 'static,
) -> PeerMisbehaved {
    let failure = login_fails(
        |_| {},
        move |peer| {
            let request = peer.await_request(LOGIN_REQUEST)?;
            peer.say(response(&request)).ok()?;
            peer.sit();
            None
        },
    )
    .await;
    offence_of(&failure)
}

/// What the target did wrong in its login, which answers the operational keys by `response`.
pub(crate) async fn operational_response(
    response: impl FnOnce(&Pdu) -> Pdu + Send + 'static,
) -> PeerMisbehaved {
    let failure = login_fails(
        |_| {},
        move |peer| {
            let request = to_operational(peer)?;
            peer.say(response(&request)).ok()?;
            peer.sit();
            None
        },
    )
    .await;
    offence_of(&failure)
}

/// Agrees to no authentication; gives the request with the operational keys.
pub(crate) fn to_operational(peer: &mut Peer) -> Option<Pdu> {
    let first = peer.await_request(LOGIN_REQUEST)?;
    let text = b"AuthMethod=None\0TargetPortalGroupTag=1\0";
    peer.say(Peer::agreement(&first, text)).ok()?;
    peer.await_request(LOGIN_REQUEST)
}

/// Why the login itself failed.
pub(crate) fn kind(failure: &LoginFailure) -> &LoginErrorKind {
    match &failure.kind {
        LoginFailureKind::Login(error) => &error.kind,
        other => panic!("{other}"),
    }
}

/// What the target did wrong in its login.
pub(crate) fn offence_of(failure: &LoginFailure) -> PeerMisbehaved {
    match kind(failure) {
        LoginErrorKind::PeerMisbehaved(offence) => offence.clone(),
        other => panic!("{other}"),
    }
}
