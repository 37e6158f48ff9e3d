//! What the states share, and how one leads to the next.

use crate::chap::{CHALLENGE_BYTES, Challenge, ChallengeLedger};
use crate::parameters::Parameters;
use crate::pdu::LoginStage;
use crate::text::PairWriter;

use super::config::LoginConfig;
use super::error::{LoginErrorKind, Waiting};
use super::exchange::Message;
use super::intake::Intake;
use super::operational::ExpectOperationalReply;
use super::security::{
    ExpectChapChallenge, ExpectChapVerdict, ExpectSecurityEnd, ExpectSecurityReply,
};
use super::{ChapUsed, LOGIN_RANDOM_BYTES};

/// What a login knows beside its state.
pub(super) struct Context {
    pub(super) config: LoginConfig,
    /// What holds where nothing was agreed on.
    defaults: Parameters,
    pub(super) intake: Intake,
    /// Challenges that the target may not send us.
    pub(super) ledger: ChallengeLedger,
    challenge: [u8; CHALLENGE_BYTES],
    identifier: u8,
    /// CHAP, once it has succeeded.
    pub(super) chap: Option<ChapUsed>,
    /// Whether a list of algorithms is out on which an old target may fail.
    pub(super) list_in_doubt: bool,
}

impl Context {
    pub(super) fn new(config: LoginConfig, random: &[u8; LOGIN_RANDOM_BYTES]) -> Self {
        let [challenge @ .., identifier] = *random;
        let mut ledger = ChallengeLedger::new();
        ledger.insert(&challenge);
        Self {
            config,
            defaults: Parameters::default(),
            intake: Intake::default(),
            ledger,
            challenge,
            identifier,
            chap: None,
            list_in_doubt: false,
        }
    }

    /// The octets of our own challenge.
    pub(super) fn challenge_octets(&self) -> &[u8] {
        &self.challenge
    }

    /// Our own challenge, with another identifier than the target's, so that not even an answer with
    /// the same secret could be passed on.
    pub(super) fn own_challenge(&self, theirs: &Challenge) -> Challenge {
        let taken = self.identifier == theirs.identifier();
        let identifier = if taken {
            self.identifier.wrapping_add(1)
        } else {
            self.identifier
        };
        Challenge::from_random(theirs.algorithm(), identifier, self.challenge)
    }

    /// The beginning of the next request: the answers that are due.
    pub(super) fn answers(&mut self) -> PairWriter {
        self.intake.take_answers()
    }

    /// The text with which every login begins (RFC 7143 §6.3): who logs in, where to, and what for.
    pub(super) fn introduction(&self) -> PairWriter {
        let config = &self.config;
        let mut text = PairWriter::new();
        text.push("InitiatorName", config.initiator_name.as_str());
        // Both are for a session's first connection; istgt wants SessionType even when it is Normal.
        if config.is_leading() {
            if let Some(alias) = &config.initiator_alias {
                text.push("InitiatorAlias", alias);
            }
            text.push("SessionType", config.session_type.name());
        }
        if let Some(name) = &config.target_name {
            text.push("TargetName", name.as_written());
        }
        text
    }
}

/// What a login waits for.
#[derive(Debug)]
pub(super) enum State {
    SecurityReply(ExpectSecurityReply),
    ChapChallenge(ExpectChapChallenge),
    ChapVerdict(ExpectChapVerdict),
    SecurityEnd(ExpectSecurityEnd),
    OperationalReply(ExpectOperationalReply),
}

/// What a state makes of a reply.
pub(super) enum Next {
    /// Say this and wait again.
    Send(Box<State>, Message),
    /// The login is complete with these parameters.
    Done(Parameters),
}

impl Next {
    pub(super) fn send(state: State, message: Message) -> Self {
        Self::Send(Box::new(state), message)
    }
}

impl State {
    pub(super) fn waiting(&self) -> Waiting {
        match self {
            Self::SecurityReply(_) => Waiting::SecurityReply,
            Self::ChapChallenge(_) => Waiting::ChapChallenge,
            Self::ChapVerdict(_) => Waiting::ChapVerdict,
            Self::SecurityEnd(_) => Waiting::SecurityEnd,
            Self::OperationalReply(_) => Waiting::OperationalReply,
        }
    }

    fn stage(&self) -> LoginStage {
        match self {
            Self::OperationalReply(_) => LoginStage::OperationalNegotiation,
            _ => LoginStage::SecurityNegotiation,
        }
    }

    /// Consumes the target's text; `moved` says that the target leaves the stage with it.
    pub(super) fn handle(
        self,
        ctx: &mut Context,
        text: &[u8],
        moved: bool,
    ) -> Result<Next, LoginErrorKind> {
        let known = ctx.config.joined.as_ref().unwrap_or(&ctx.defaults);
        let joined = Some(known).filter(|_| !ctx.config.is_leading());
        let found = ctx.intake.read(text, self.stage(), moved, joined)?;
        match self {
            Self::SecurityReply(state) => state.handle(ctx, found, moved),
            // It asked to stay in the stage, so the target cannot have moved.
            Self::ChapChallenge(state) => state.handle(ctx, found),
            Self::ChapVerdict(state) => state.handle(ctx, found, moved),
            Self::SecurityEnd(state) => state.handle(ctx, found, moved),
            Self::OperationalReply(state) => state.handle(ctx, found, moved),
        }
    }
}
