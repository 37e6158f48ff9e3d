//! The operational stage (RFC 7143 §6.3.3, §13): we propose every key at once, answer what the target
//! proposes, and end with the parameters in force.

use std::collections::BTreeMap;

use crate::parameters::Parameters;
use crate::pdu::LoginStage;
use crate::text::{
    IRRELEVANT, Key, KeyForm, NONE, Outcome, PairWriter, REJECT, Scope, Unsettled, Value, accept,
    judge, spec,
};

use super::config::{LoginConfig, Wanted};
use super::error::{LoginErrorKind, PeerMisbehaved, Unacceptable, Unusual};
use super::exchange::Message;
use super::intake::{Found, Intake, declared_number, excerpt, is_refusal};
use super::state::{Context, Next, State};

/// A request of this stage. We are always ready to end it: everything is said in the first request,
/// and later ones only answer.
fn request(text: PairWriter) -> Message {
    let next = Some(LoginStage::FullFeaturePhase);
    Message {
        stage: LoginStage::OperationalNegotiation,
        next,
        text,
    }
}

/// Adds our proposals to `text` and begins the stage.
pub(super) fn begin(ctx: &Context, mut text: PairWriter) -> (State, Message) {
    let negotiation = Negotiation::new(&ctx.config, &mut text);
    let state = State::OperationalReply(ExpectOperationalReply { negotiation });
    (state, request(text))
}

/// Waits for the target's answers and proposals.
#[derive(Debug)]
pub(super) struct ExpectOperationalReply {
    negotiation: Negotiation,
}

impl ExpectOperationalReply {
    pub(super) fn handle(
        mut self,
        ctx: &mut Context,
        found: Vec<Found>,
        moved: bool,
    ) -> Result<Next, LoginErrorKind> {
        let mut text = ctx.answers();
        for (key, value) in found {
            if let Some(answer) = self.negotiation.take(key, &value, &mut ctx.intake)? {
                if moved {
                    return Err(PeerMisbehaved::ProposalInFinalResponse { key: answer.0 }.into());
                }
                text.push(answer.0, &answer.1);
            }
        }
        if moved {
            return Ok(Next::Done(
                self.negotiation.conclude(&ctx.config, &mut ctx.intake)?,
            ));
        }
        Ok(Next::send(State::OperationalReply(self), request(text)))
    }
}

/// One negotiated key.
#[derive(Debug)]
struct Item {
    wanted: Wanted,
    is_proposed: bool,
    outcome: Option<Outcome>,
}

/// An answer to a proposal of the target: key and value.
type Answer = (&'static str, String);

#[derive(Debug)]
struct Negotiation {
    items: BTreeMap<Key, Item>,
    is_discovery: bool,
    /// The target's MaxRecvDataSegmentLength.
    max_send: Option<u32>,
}

impl Negotiation {
    /// Decides what to propose, and writes it.
    fn new(config: &LoginConfig, text: &mut PairWriter) -> Self {
        let is_discovery = config.is_discovery();
        let mut items = BTreeMap::new();
        for (key, wanted) in config.offers.wanted() {
            let spec = spec(key);
            if spec.scope == Scope::Session && !config.is_leading() {
                continue;
            }
            let wanted = if is_discovery {
                in_discovery(key, wanted)
            } else {
                wanted
            };
            let irrelevant = is_discovery && spec.irrelevant_in_discovery;
            let is_proposed = config.offers.is_proposed(key) && !irrelevant;
            if is_proposed {
                text.push(spec.name, &wanted.as_offer().to_text());
            }
            items.insert(
                key,
                Item {
                    wanted,
                    is_proposed,
                    outcome: None,
                },
            );
        }
        let max_recv = config.offers.max_recv_data_segment;
        text.push(
            spec(Key::MaxRecvDataSegmentLength).name,
            &max_recv.to_string(),
        );
        Self {
            items,
            is_discovery,
            max_send: None,
        }
    }

    /// Takes one key of the target: an answer, a proposal or a declaration. Gives our answer, if one
    /// is due.
    fn take(
        &mut self,
        key: Key,
        value: &str,
        intake: &mut Intake,
    ) -> Result<Option<Answer>, PeerMisbehaved> {
        let spec = spec(key);
        if key == Key::MaxRecvDataSegmentLength {
            self.max_send = Some(max_send(value, intake)?);
            return Ok(None);
        }
        if spec.form == KeyForm::Obsolete && !is_refusal(value) {
            intake.note(Unusual::ObsoleteKey { key: spec.name });
            // RFC 7143 §13.25 lets us choose: `No` for the markers themselves, because LIO ends the
            // login when it is told `Reject` for them; the intervals can only be rejected.
            return Ok(Some((spec.name, spec.default.unwrap_or(REJECT).to_owned())));
        }
        let Some(item) = self.items.get_mut(&key) else {
            // X#NodeArchitecture is a declaration that we have no use for.
            return match spec.is_negotiated() {
                true => Err(PeerMisbehaved::UnexpectedKey { key: spec.name }),
                false => Ok(None),
            };
        };
        let ours = item.wanted.as_offer();
        if item.is_proposed {
            let outcome = judge(spec, &ours, value).map_err(|source| {
                let (proposal, answer) = (ours.to_text(), excerpt(value));
                PeerMisbehaved::InadmissibleAnswer {
                    key: spec.name,
                    proposal,
                    answer,
                    source,
                }
            })?;
            item.outcome = Some(outcome);
            return Ok(None);
        }
        if is_refusal(value) {
            let value = value.to_owned();
            return Err(PeerMisbehaved::RefusalProposed {
                key: spec.name,
                value,
            });
        }
        if self.is_discovery && spec.irrelevant_in_discovery {
            item.outcome = Some(Outcome::Unsettled(Unsettled::Irrelevant));
            return Ok(Some((spec.name, IRRELEVANT.to_owned())));
        }
        let answer = accept(spec, value, &ours);
        item.outcome = Some(answer.outcome);
        Ok(Some((spec.name, answer.text)))
    }

    /// The parameters in force.
    fn conclude(
        self,
        config: &LoginConfig,
        intake: &mut Intake,
    ) -> Result<Parameters, LoginErrorKind> {
        let mut parameters = config.joined.clone().unwrap_or_default();
        let defaults = Parameters::default();
        parameters.max_send_data_segment = self.max_send.unwrap_or(defaults.max_send_data_segment);
        parameters.max_recv_data_segment = config.offers.max_recv_data_segment;
        let mut first_burst_agreed = false;
        for (key, item) in &self.items {
            if let Some(value) = settle(*key, item, intake)? {
                first_burst_agreed |= *key == Key::FirstBurstLength;
                set(&mut parameters, *key, &value);
            }
        }
        if config.is_leading() && !config.is_discovery() {
            check_bursts(&mut parameters, first_burst_agreed)?;
        }
        Ok(parameters)
    }
}

/// What we want in a discovery session: no digests, since some targets agree on them and then drop
/// the connection, and no recovery (RFC 7143 §7.4.1).
fn in_discovery(key: Key, wanted: Wanted) -> Wanted {
    match key {
        Key::HeaderDigest | Key::DataDigest => Wanted::List(vec![NONE]),
        Key::ErrorRecoveryLevel => Wanted::Number(0),
        _ => wanted,
    }
}

/// The target's MaxRecvDataSegmentLength. It is never "unlimited": 0 is taken as the default.
fn max_send(value: &str, intake: &mut Intake) -> Result<u32, PeerMisbehaved> {
    let key = Key::MaxRecvDataSegmentLength;
    match declared_number(key, value) {
        Err(PeerMisbehaved::OutOfRange { value: 0, .. }) => {
            intake.note(Unusual::ZeroMaxRecvDataSegmentLength);
            Ok(Parameters::default().max_send_data_segment)
        }
        Ok(length) => Ok(u32::try_from(length).unwrap_or(u32::MAX)),
        Err(offence) => Err(offence),
    }
}

/// The value agreed on for one key, or nothing when its default holds.
fn settle(key: Key, item: &Item, intake: &mut Intake) -> Result<Option<Value>, LoginErrorKind> {
    let spec = spec(key);
    let outcome = match (&item.outcome, item.is_proposed) {
        (Some(outcome), _) => outcome.clone(),
        (None, true) => Outcome::Unsettled(Unsettled::Unanswered),
        (None, false) => return Ok(None),
    };
    let reason = match outcome {
        Outcome::Settled(value) => return Ok(Some(value)),
        Outcome::Unsettled(reason) => reason,
    };
    // RFC 7143 §6.2.2: these two need no answer, for there is only one.
    match (spec.form, &item.wanted) {
        (KeyForm::And, Wanted::Boolean(false)) => return Ok(Some(Value::Boolean(false))),
        (KeyForm::Or, Wanted::Boolean(true)) => return Ok(Some(Value::Boolean(true))),
        (_, Wanted::List(offered)) if is_digest(key) && !offered.contains(&NONE) => {
            let offered = offered.join(",");
            return Err(Unacceptable::NoCommonDigest {
                key: spec.name,
                offered,
            }
            .into());
        }
        _ => {}
    }
    let may_be_unknown = matches!(key, Key::TaskReporting | Key::IscsiProtocolLevel);
    match reason {
        Unsettled::Unanswered => intake.note(Unusual::Unanswered { key: spec.name }),
        Unsettled::Rejected => intake.note(Unusual::Rejected { key: spec.name }),
        Unsettled::NotUnderstood if !may_be_unknown => {
            intake.note(Unusual::StandardKeyNotUnderstood { key: spec.name });
        }
        Unsettled::NotUnderstood | Unsettled::Irrelevant => {}
    }
    Ok(None)
}

fn is_digest(key: Key) -> bool {
    matches!(key, Key::HeaderDigest | Key::DataDigest)
}

/// Puts an agreed value into its place. Ranges were checked, so no number is cut.
fn set(parameters: &mut Parameters, key: Key, value: &Value) {
    match value {
        Value::Number(number) => set_number(parameters, key, *number),
        Value::Boolean(value) => match key {
            Key::InitialR2T => parameters.initial_r2t = *value,
            Key::ImmediateData => parameters.immediate_data = *value,
            Key::DataPduInOrder => parameters.data_pdu_in_order = *value,
            Key::DataSequenceInOrder => parameters.data_sequence_in_order = *value,
            _ => {}
        },
        Value::Item(item) => match key {
            Key::HeaderDigest => parameters.header_digest = item == "CRC32C",
            Key::DataDigest => parameters.data_digest = item == "CRC32C",
            Key::TaskReporting => parameters.fast_abort = item == "FastAbort",
            _ => {}
        },
    }
}

fn set_number(parameters: &mut Parameters, key: Key, number: u64) {
    let long = u32::try_from(number).unwrap_or(u32::MAX);
    let short = u16::try_from(number).unwrap_or(u16::MAX);
    let byte = u8::try_from(number).unwrap_or(u8::MAX);
    match key {
        Key::MaxConnections => parameters.max_connections = short,
        Key::MaxBurstLength => parameters.max_burst = long,
        Key::FirstBurstLength => parameters.first_burst = long,
        Key::DefaultTime2Wait => parameters.time2wait = short,
        Key::DefaultTime2Retain => parameters.time2retain = short,
        Key::MaxOutstandingR2T => parameters.max_outstanding_r2t = short,
        Key::ErrorRecoveryLevel => parameters.error_recovery_level = byte,
        // Level 0 names no document; it means that nothing beyond RFC 7143 is used.
        Key::IscsiProtocolLevel => parameters.protocol_level = byte.max(1),
        _ => {}
    }
}

/// RFC 7143 §13.14: FirstBurstLength must not be above MaxBurstLength. A value that the target agreed
/// on and will act on is its offence; a default that does not fit is only cut.
fn check_bursts(parameters: &mut Parameters, agreed: bool) -> Result<(), PeerMisbehaved> {
    let (first, max) = (parameters.first_burst, parameters.max_burst);
    let is_used = parameters.immediate_data || !parameters.initial_r2t;
    if first > max {
        if agreed && is_used {
            return Err(PeerMisbehaved::FirstBurstAboveMaxBurst { first, max });
        }
        parameters.first_burst = max;
    }
    Ok(())
}
