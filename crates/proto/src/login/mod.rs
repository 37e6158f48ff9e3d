//! The initiator's login (RFC 7143 §6.3): from a fresh TCP connection to the full feature phase.
//!
//! [`Login`] is driven with bytes only. What it waits for is one of five states, each a struct named
//! for it whose `handle` consumes it and gives the next: the target's authentication method, its CHAP
//! challenge, its verdict on our response, the end of the security stage, its operational parameters.
//! Everything the target may not do has a name in [`PeerMisbehaved`]; everything odd that does no harm
//! has one in [`Unusual`].

mod config;
mod error;
mod exchange;
mod intake;
mod operational;
mod security;
mod state;

use std::fmt;

pub use config::{
    ChapConfig, ConfigError, DigestChoice, LoginConfig, MutualChap, Offers, SecurityStart,
    SessionType, TaskReporting,
};
pub use error::{
    AuthenticationFailure, LoginError, LoginErrorKind, PeerMisbehaved, RetryAdvice, Unacceptable,
    Unusual, Waiting,
};
pub use exchange::MAX_EXCHANGES;

use crate::chap::{Algorithm, CHALLENGE_BYTES, ChallengeLedger};
use crate::names::{Isid, TargetAddress};
use crate::parameters::Parameters;
use crate::pdu::{LoginStage, LoginStatus, StatusClass};
use crate::serial::Serial;
use crate::text::{MAX_PAIRS, pairs};

use exchange::{Exchange, Message, Reply};
use state::{Context, Next, State};

/// How many random bytes a login takes: a CHAP challenge and its identifier.
pub const LOGIN_RANDOM_BYTES: usize = CHALLENGE_BYTES + 1;

/// How the two sides proved themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChapUsed {
    /// The algorithm of both directions.
    pub algorithm: Algorithm,
    /// Whether the target proved itself too.
    pub mutual: bool,
}

/// A connection in the full feature phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// The target's half of the session identifier.
    pub tsih: u16,
    /// Our half.
    pub isid: Isid,
    /// The connection.
    pub cid: u16,
    /// The portal group tag, if the target gave it.
    pub tpgt: Option<u16>,
    /// The parameters in force.
    pub parameters: Parameters,
    /// CmdSN of the first command: the one that the login carried, for login does not use it up.
    pub cmd_sn: Serial,
    /// ExpCmdSN of the responses.
    pub exp_cmd_sn: Serial,
    /// MaxCmdSN of the responses.
    pub max_cmd_sn: Serial,
    /// StatSN due next on the connection.
    pub exp_stat_sn: u32,
    /// The target's alias; up to 255 bytes of any text.
    pub target_alias: Option<String>,
    /// CHAP, if it was used.
    pub chap: Option<ChapUsed>,
    /// What was odd and was tolerated; for the log.
    pub unusual: Vec<Unusual>,
}

/// How a login ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginOutcome {
    /// The connection is in the full feature phase. Bytes that `handle_input` did not consume
    /// belong to it.
    FullFeature(Box<LoggedIn>),
    /// The target is elsewhere: close the connection and log in afresh at `address` with the same
    /// names, ISID and TSIH, CHAP included. Keep a limit on how often this may happen.
    Redirect {
        /// Where to.
        address: TargetAddress,
        /// Whether to remember the new address in place of the old.
        permanent: bool,
    },
}

/// One login on one connection.
///
/// Make it with [`new`](Self::new) when the TCP connection stands. Then, in turn: write what
/// [`poll_transmit`](Self::poll_transmit) gives, read, and show what was read to
/// [`handle_input`](Self::handle_input), until that gives an outcome or an error. After an error,
/// close the connection; after an outcome the login has nothing more to say. It keeps no time: the
/// driver sets the limit, and [`waiting`](Self::waiting) says for what it ran out.
///
/// With CHAP both ways, give [`own_challenge`](Self::own_challenge) to the ledger of all logins
/// before the first write and lend that ledger to
/// [`refuse_challenges`](Self::refuse_challenges) before input is handled.
pub struct Login {
    ctx: Context,
    exchange: Exchange,
    state: Option<State>,
    failed: Option<LoginError>,
}

impl fmt::Debug for Login {
    /// Secrets, challenges and responses stay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl Login {
    /// A login that has not begun. `random` must be unpredictable and never used before.
    ///
    /// # Errors
    /// [`LoginErrorKind::Config`] when `config` asks for the impossible.
    pub fn new(config: LoginConfig, random: &[u8; LOGIN_RANDOM_BYTES]) -> Result<Self, LoginError> {
        config.check().map_err(|error| LoginError {
            kind: error.into(),
            waiting: Waiting::Start,
            list_in_doubt: false,
        })?;
        let mut exchange = Exchange::new(&config);
        let ctx = Context::new(config, random);
        let (state, message) = begin(&ctx);
        exchange.send(message);
        Ok(Self {
            ctx,
            exchange,
            state: Some(state),
            failed: None,
        })
    }

    /// What the login waits for.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.state.as_ref().map_or(Waiting::End, State::waiting)
    }

    /// Our own CHAP challenge, for the ledger of outstanding ones. Sent only with mutual CHAP.
    #[must_use]
    pub fn own_challenge(&self) -> &[u8] {
        self.ctx.challenge_octets()
    }

    /// Has the login refuse a target that sends it one of these challenges
    /// (RFC 7143 §9.2.1). They are copied; call it again when the ledger has changed.
    pub fn refuse_challenges(&mut self, outstanding: &ChallengeLedger) {
        let own = self.ctx.challenge_octets().to_vec();
        self.ctx.ledger = outstanding.clone();
        self.ctx.ledger.insert(&own);
    }

    /// Appends the login PDU that is to be sent now, if there is one, and says whether it did.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.state.is_some() && self.exchange.poll_transmit(out)
    }

    /// Takes bytes that were read, split in any way. Gives how many it used, which is all of them
    /// unless the login ended before the last, and the outcome if it ended.
    ///
    /// # Errors
    /// Why the login failed. Every later call gives the same error.
    pub fn handle_input(
        &mut self,
        input: &[u8],
    ) -> Result<(usize, Option<LoginOutcome>), LoginError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut rest = input;
        while self.state.is_some() && !rest.is_empty() {
            let waiting = self.waiting();
            let outcome = self
                .advance(&mut rest)
                .map_err(|kind| self.fail(kind, waiting))?;
            if outcome.is_some() {
                return Ok((input.len() - rest.len(), outcome));
            }
        }
        Ok((input.len() - rest.len(), None))
    }

    /// The target closed the connection. Gives the error with which the login ends.
    pub fn handle_close(&mut self) -> LoginError {
        match &self.failed {
            Some(error) => error.clone(),
            None => self.fail(LoginErrorKind::Closed, self.waiting()),
        }
    }

    fn fail(&mut self, kind: LoginErrorKind, waiting: Waiting) -> LoginError {
        let error = LoginError {
            kind,
            waiting,
            list_in_doubt: self.ctx.list_in_doubt,
        };
        self.state = None;
        self.failed = Some(error.clone());
        error
    }

    /// Handles at most one PDU.
    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<LoginOutcome>, LoginErrorKind> {
        match self.exchange.handle_input(input)? {
            None => Ok(None),
            Some(Reply::Ended { status, text }) => self.end(status, &text).map(Some),
            Some(Reply::Success { moved, tsih, text }) => self.proceed(moved, tsih, &text),
        }
    }

    fn proceed(
        &mut self,
        moved: Option<LoginStage>,
        tsih: u16,
        text: &[u8],
    ) -> Result<Option<LoginOutcome>, LoginErrorKind> {
        let is_final = moved == Some(LoginStage::FullFeaturePhase);
        self.check_tsih(tsih, is_final)?;
        let Some(state) = self.state.take() else {
            return Ok(None);
        };
        match state.handle(&mut self.ctx, text, moved.is_some())? {
            Next::Send(state, message) => {
                self.state = Some(*state);
                self.exchange.send(message);
                Ok(None)
            }
            Next::Done(parameters) => {
                let logged_in = self.conclude(tsih, parameters);
                Ok(Some(LoginOutcome::FullFeature(Box::new(logged_in))))
            }
        }
    }

    /// RFC 7143 §11.13.3: the final response of a new session brings its TSIH; all others echo the
    /// request's.
    fn check_tsih(&mut self, got: u16, is_final: bool) -> Result<(), PeerMisbehaved> {
        let expected = self.ctx.config.tsih;
        match (expected, got) {
            (0, 0) if is_final && self.ctx.config.is_discovery() => {
                self.ctx.intake.note(Unusual::DiscoveryTsihZero);
            }
            (0, 0) if is_final => return Err(PeerMisbehaved::TsihZero),
            (0, 0) => {}
            (0, _) if is_final => {}
            (0, _) => self.ctx.intake.note(Unusual::EarlyTsih),
            _ if expected == got => {}
            _ => return Err(PeerMisbehaved::TsihChanged { expected, got }),
        }
        Ok(())
    }

    /// Status-Class is not 0 (RFC 7143 §11.13.5).
    fn end(&mut self, status: LoginStatus, text: &[u8]) -> Result<LoginOutcome, LoginErrorKind> {
        if status.class()? != StatusClass::Redirection {
            return Err(LoginErrorKind::Refused {
                status,
                retry: RetryAdvice::of(status),
            });
        }
        let address = redirection(text)?;
        self.state = None;
        let permanent = status == LoginStatus::TARGET_MOVED_PERMANENTLY;
        Ok(LoginOutcome::Redirect { address, permanent })
    }

    fn conclude(&mut self, tsih: u16, parameters: Parameters) -> LoggedIn {
        let config = &self.ctx.config;
        let (isid, cid, cmd_sn) = (config.isid, config.cid, config.cmd_sn);
        let (intake, numbers) = (&mut self.ctx.intake, self.exchange.numbers());
        match (config.expected_tpgt, intake.tpgt) {
            (Some(expected), Some(got)) if expected != got => {
                intake.note(Unusual::PortalGroupTagChanged { expected, got });
            }
            (_, None) if !config.is_discovery() => intake.note(Unusual::PortalGroupTagMissing),
            _ => {}
        }
        if !numbers.window_seen {
            intake.note(Unusual::NoCommandWindow);
        }
        let mut unusual = std::mem::take(&mut intake.unusual);
        unusual.append(&mut self.exchange.unusual);
        LoggedIn {
            tsih,
            isid,
            cid,
            tpgt: intake.tpgt,
            parameters,
            cmd_sn,
            exp_cmd_sn: numbers.exp_cmd_sn,
            max_cmd_sn: numbers.max_cmd_sn,
            exp_stat_sn: numbers.exp_stat_sn,
            target_alias: intake.alias.take(),
            chap: self.ctx.chap,
            unusual,
        }
    }
}

/// The first state and the first request.
fn begin(ctx: &Context) -> (State, Message) {
    let text = ctx.introduction();
    if ctx.config.security != SecurityStart::Skip {
        return security::begin(ctx, text);
    }
    operational::begin(ctx, text)
}

/// The first usable TargetAddress of a redirection. Some targets add other keys or a portal group
/// tag; neither matters here.
fn redirection(text: &[u8]) -> Result<TargetAddress, LoginErrorKind> {
    let mut source = None;
    for pair in pairs(text, MAX_PAIRS)? {
        if pair.key == "TargetAddress" {
            match pair.value.parse() {
                Ok(address) => return Ok(address),
                Err(error) => source = Some(error),
            }
        }
    }
    Err(PeerMisbehaved::RedirectWithoutAddress { source }.into())
}

#[cfg(test)]
mod tests;
