//! The security stage (RFC 7143 §6.3.2, §12.1): each struct is one thing the login waits for.

use crate::chap::{Algorithm, Challenge, Response};
use crate::pdu::LoginStage;
use crate::text::{Key, PairWriter, REJECT, ValueError, list_items, spec};

use super::ChapUsed;
use super::config::{ChapConfig, MAX_VALUE_BYTES, SecurityStart};
use super::error::{AuthenticationFailure, LoginErrorKind, PeerMisbehaved, Unusual};
use super::exchange::Message;
use super::intake::{Found, excerpt};
use super::operational;
use super::state::{Context, Next, State};

const CHAP: &str = "CHAP";
const NONE: &str = crate::text::NONE;

/// The target's text in one message of this stage, each key taken out when it is used.
struct Keys(Vec<Found>);

impl Keys {
    fn take(&mut self, key: Key) -> Option<String> {
        let at = self.0.iter().position(|(found, _)| *found == key)?;
        Some(self.0.swap_remove(at).1)
    }

    fn need(&mut self, key: Key) -> Result<String, PeerMisbehaved> {
        self.take(key).ok_or(PeerMisbehaved::MissingKey {
            key: spec(key).name,
        })
    }

    /// RFC 7143 §9.2: keys that do not fit the step end the login.
    fn end(self) -> Result<(), PeerMisbehaved> {
        match self.0.first() {
            Some((key, _)) => Err(PeerMisbehaved::UnexpectedKey {
                key: spec(*key).name,
            }),
            None => Ok(()),
        }
    }
}

/// A request of this stage that stays in it.
fn stay(text: PairWriter) -> Message {
    Message {
        stage: LoginStage::SecurityNegotiation,
        next: None,
        text,
    }
}

/// A request of this stage that is ready to leave it.
fn leave(text: PairWriter) -> Message {
    let next = Some(LoginStage::OperationalNegotiation);
    Message {
        stage: LoginStage::SecurityNegotiation,
        next,
        text,
    }
}

/// What we say about AuthMethod, in the order of preference.
fn methods(chap: Option<&ChapConfig>) -> &'static [&'static str] {
    match chap {
        None => &[NONE],
        Some(chap) if chap.allow_none => &[CHAP, NONE],
        Some(_) => &[CHAP],
    }
}

/// Adds the first request's AuthMethod to `text` and begins the stage.
pub(super) fn begin(ctx: &Context, mut text: PairWriter) -> (State, Message) {
    let offered = match ctx.config.security {
        SecurityStart::LetTargetPropose => None,
        SecurityStart::Propose | SecurityStart::Skip => Some(methods(ctx.config.chap.as_ref())),
    };
    let state = State::SecurityReply(ExpectSecurityReply { offered });
    let Some(offered) = offered else {
        return (state, leave(text));
    };
    text.push("AuthMethod", &offered.join(","));
    // With a method still to be chosen the stage cannot end yet.
    let message = if offered == [NONE] {
        leave(text)
    } else {
        stay(text)
    };
    (state, message)
}

/// Waits for AuthMethod: the target's choice from our list or, if we sent none, its own list.
#[derive(Debug)]
pub(super) struct ExpectSecurityReply {
    offered: Option<&'static [&'static str]>,
}

impl ExpectSecurityReply {
    pub(super) fn handle(
        self,
        ctx: &mut Context,
        found: Vec<Found>,
        moved: bool,
    ) -> Result<Next, LoginErrorKind> {
        let mut keys = Keys(found);
        let method = keys.take(Key::AuthMethod);
        keys.end()?;
        match (method, self.offered) {
            (Some(answer), Some(offered)) => choice(ctx, &answer, offered, moved),
            (Some(list), None) => proposal(ctx, &list, moved),
            (None, _) if moved => without_authentication(ctx, true),
            (None, Some([NONE]) | None) => Ok(Next::send(self.into(), leave(ctx.answers()))),
            (None, Some(_)) => Ok(Next::send(self.into(), stay(ctx.answers()))),
        }
    }
}

impl From<ExpectSecurityReply> for State {
    fn from(state: ExpectSecurityReply) -> Self {
        Self::SecurityReply(state)
    }
}

/// The target chose from our list.
fn choice(
    ctx: &mut Context,
    answer: &str,
    offered: &[&str],
    moved: bool,
) -> Result<Next, LoginErrorKind> {
    match answer {
        REJECT => Err(AuthenticationFailure::MethodRefused.into()),
        CHAP if offered.contains(&CHAP) => {
            let text = ctx.answers();
            offer_algorithms(ctx, text)
        }
        NONE if offered.contains(&NONE) => without_authentication(ctx, moved),
        NONE => Err(AuthenticationFailure::NoneChosen.into()),
        _ => Err(PeerMisbehaved::MethodNotOffered {
            answer: excerpt(answer),
        }
        .into()),
    }
}

/// The target proposed a list of methods; we choose and make the first step (RFC 7143 §12.1).
fn proposal(ctx: &mut Context, list: &str, moved: bool) -> Result<Next, LoginErrorKind> {
    let ours = methods(ctx.config.chap.as_ref());
    if super::intake::is_refusal(list) {
        let (key, value) = ("AuthMethod", excerpt(list));
        return Err(PeerMisbehaved::RefusalProposed { key, value }.into());
    }
    if moved {
        return Err(PeerMisbehaved::ProposalInFinalResponse { key: "AuthMethod" }.into());
    }
    match list_items(list).find(|method| ours.contains(method)) {
        Some(CHAP) => {
            let mut text = ctx.answers();
            text.push("AuthMethod", CHAP);
            offer_algorithms(ctx, text)
        }
        Some(_) => {
            let mut text = ctx.answers();
            text.push("AuthMethod", NONE);
            Ok(Next::send(
                State::SecurityEnd(ExpectSecurityEnd),
                leave(text),
            ))
        }
        None if ctx.config.chap.is_some() => Err(AuthenticationFailure::NoneChosen.into()),
        None => Err(AuthenticationFailure::NotConfigured {
            methods: excerpt(list),
        }
        .into()),
    }
}

/// No side proves anything; that must be allowed.
fn without_authentication(ctx: &mut Context, moved: bool) -> Result<Next, LoginErrorKind> {
    if ctx
        .config
        .chap
        .as_ref()
        .is_some_and(|chap| !chap.allow_none)
    {
        return Err(AuthenticationFailure::NoneChosen.into());
    }
    Ok(end_of_stage(ctx, moved))
}

/// Goes on to the operational stage, or asks the target again to let us.
fn end_of_stage(ctx: &mut Context, moved: bool) -> Next {
    if moved {
        let (state, message) = operational::begin(ctx, PairWriter::new());
        Next::send(state, message)
    } else {
        Next::send(State::SecurityEnd(ExpectSecurityEnd), leave(ctx.answers()))
    }
}

/// CHAP was chosen: adds CHAP_A to `text`. It comes only now because targets expect it in a PDU of its
/// own, after the method is settled.
fn offer_algorithms(ctx: &mut Context, mut text: PairWriter) -> Result<Next, LoginErrorKind> {
    let Some(chap) = ctx.config.chap.clone() else {
        return Err(AuthenticationFailure::MethodRefused.into());
    };
    let offered = ctx.config.algorithms(&chap);
    text.push("CHAP_A", &Algorithm::list(&offered));
    ctx.list_in_doubt = offered.len() > 1 && offered.contains(&Algorithm::Md5);
    let state = ExpectChapChallenge { chap, offered };
    Ok(Next::send(State::ChapChallenge(state), stay(text)))
}

/// Waits for CHAP_A, CHAP_I and CHAP_C.
#[derive(Debug)]
pub(super) struct ExpectChapChallenge {
    chap: ChapConfig,
    offered: Vec<Algorithm>,
}

impl ExpectChapChallenge {
    pub(super) fn handle(
        self,
        ctx: &mut Context,
        found: Vec<Found>,
    ) -> Result<Next, LoginErrorKind> {
        let mut keys = Keys(found);
        let algorithm = self.algorithm(&keys.need(Key::ChapA)?)?;
        let (chap_i, chap_c) = (keys.need(Key::ChapI)?, keys.need(Key::ChapC)?);
        keys.end()?;
        if algorithm == Algorithm::Md5 {
            ctx.list_in_doubt = false;
        }
        let theirs =
            Challenge::parse(algorithm, &chap_i, &chap_c).map_err(PeerMisbehaved::MalformedChap)?;
        theirs
            .check_fresh(&ctx.ledger)
            .map_err(AuthenticationFailure::Chap)?;

        if self.chap.user.starts_with(b"0x") || self.chap.user.starts_with(b"0b") {
            ctx.intake.note(Unusual::ChapNameLooksEncoded);
        }
        let mut text = ctx.answers();
        text.push_bytes("CHAP_N", &self.chap.user);
        text.push("CHAP_R", &theirs.respond(&self.chap.secret).to_text());
        let ours = self
            .chap
            .mutual
            .is_some()
            .then(|| ctx.own_challenge(&theirs));
        if let Some(ours) = &ours {
            text.push("CHAP_I", &ours.identifier_text());
            text.push("CHAP_C", &ours.value_text());
        }
        let state = ExpectChapVerdict {
            chap: self.chap,
            algorithm,
            ours,
        };
        Ok(Next::send(State::ChapVerdict(state), leave(text)))
    }

    /// RFC 7143 §12.1.3: the answer is one of the algorithms that we offered.
    fn algorithm(&self, answer: &str) -> Result<Algorithm, LoginErrorKind> {
        if answer == REJECT {
            return Err(AuthenticationFailure::AlgorithmRefused.into());
        }
        match Algorithm::parse_choice(answer) {
            Ok(Some(algorithm)) if self.offered.contains(&algorithm) => Ok(algorithm),
            _ => Err(PeerMisbehaved::AlgorithmNotOffered {
                answer: excerpt(answer),
            }
            .into()),
        }
    }
}

/// Waits for the target's verdict on our response, and with mutual CHAP for CHAP_N and CHAP_R.
#[derive(Debug)]
pub(super) struct ExpectChapVerdict {
    chap: ChapConfig,
    algorithm: Algorithm,
    /// Our challenge, if the target must answer one.
    ours: Option<Challenge>,
}

impl ExpectChapVerdict {
    pub(super) fn handle(
        self,
        ctx: &mut Context,
        found: Vec<Found>,
        moved: bool,
    ) -> Result<Next, LoginErrorKind> {
        let is_silent = found.is_empty();
        if let Some(ours) = &self.ours {
            if is_silent && moved {
                return Err(AuthenticationFailure::TargetDidNotAuthenticate.into());
            }
            if is_silent {
                return Ok(Next::send(State::ChapVerdict(self), leave(ctx.answers())));
            }
            self.check_target(ours, Keys(found))?;
        } else {
            Keys(found).end()?;
            if !moved {
                return Ok(Next::send(State::ChapVerdict(self), leave(ctx.answers())));
            }
        }
        ctx.list_in_doubt = false;
        ctx.chap = Some(ChapUsed {
            algorithm: self.algorithm,
            mutual: self.ours.is_some(),
        });
        Ok(end_of_stage(ctx, moved))
    }

    fn check_target(&self, ours: &Challenge, mut keys: Keys) -> Result<(), LoginErrorKind> {
        let (name, response) = (keys.need(Key::ChapN)?, keys.need(Key::ChapR)?);
        keys.end()?;
        if name.len() > MAX_VALUE_BYTES {
            let limit = MAX_VALUE_BYTES;
            let (key, source) = ("CHAP_N", ValueError::TooLong { limit });
            return Err(PeerMisbehaved::MalformedValue { key, source }.into());
        }
        let Some(mutual) = &self.chap.mutual else {
            return Err(AuthenticationFailure::TargetDidNotAuthenticate.into());
        };
        let response = Response::parse(&response).map_err(PeerMisbehaved::MalformedChap)?;
        ours.verify(&response, &mutual.secret, Some(&self.chap.secret))
            .map_err(AuthenticationFailure::Chap)?;
        match &mutual.expected_name {
            Some(expected) if *expected != name => Err(AuthenticationFailure::WrongName {
                expected: expected.clone(),
                got: excerpt(&name),
            }
            .into()),
            _ => Ok(()),
        }
    }
}

/// Waits for the target to leave the stage; nothing is left to be said.
#[derive(Debug)]
pub(super) struct ExpectSecurityEnd;

impl ExpectSecurityEnd {
    pub(super) fn handle(
        self,
        ctx: &mut Context,
        found: Vec<Found>,
        moved: bool,
    ) -> Result<Next, LoginErrorKind> {
        Keys(found).end()?;
        Ok(end_of_stage(ctx, moved))
    }
}
