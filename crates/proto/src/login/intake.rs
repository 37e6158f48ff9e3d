//! The first look at what the target sends: is each key allowed here, from it, and for the first time?
//! What every stage treats alike (alias, portal group tag, unknown keys) is settled here too.

use std::collections::BTreeSet;

use crate::parameters::Parameters;
use crate::pdu::LoginStage;
use crate::text::{
    IRRELEVANT, Key, KeyForm, KeySpec, MAX_PAIRS, NOT_UNDERSTOOD, PairWriter, REJECT, Sender,
    lookup, pairs, parse_number, spec,
};

use super::error::{LoginErrorKind, PeerMisbehaved, Unusual};
use super::exchange::note;

/// The most keys that we do not know in one login. A vendor has a handful.
const MAX_UNKNOWN_KEYS: usize = 64;

/// RFC 7143 §6.1, applied to aliases: the longest that is kept, in bytes.
const MAX_ALIAS_BYTES: usize = 255;

/// A key that means something to the state that waits, with its value.
pub(super) type Found = (Key, String);

/// What the target has said so far that no single state is waiting for.
#[derive(Debug, Default)]
pub(super) struct Intake {
    seen: BTreeSet<Key>,
    unknown: BTreeSet<String>,
    /// Answers that the next request has to carry.
    answers: PairWriter,
    /// TargetPortalGroupTag.
    pub(super) tpgt: Option<u16>,
    /// TargetAlias.
    pub(super) alias: Option<String>,
    /// For the log.
    pub(super) unusual: Vec<Unusual>,
}

impl Intake {
    /// Reads the text of one message of `stage` and gives what is for the waiting state. `ends_stage`
    /// says that no answer is possible any more; `joined` is what the session has agreed on,
    /// if this is not its first connection.
    pub(super) fn read(
        &mut self,
        text: &[u8],
        stage: LoginStage,
        ends_stage: bool,
        joined: Option<&Parameters>,
    ) -> Result<Vec<Found>, LoginErrorKind> {
        let mut found = Vec::new();
        for pair in pairs(text, MAX_PAIRS)? {
            let Some(key) = lookup(pair.key) else {
                self.unknown_key(pair.key, pair.value, ends_stage)?;
                continue;
            };
            let spec = spec(key);
            self.check_first(spec)?;
            if spec.sender == Sender::Initiator {
                self.refused_declaration(spec, pair.value)?;
                continue;
            }
            check_stage(spec, stage)?;
            if let Some(joined) = joined.filter(|_| spec.stages.leading_only) {
                self.repeated_key(spec, pair.value, joined, ends_stage);
                continue;
            }
            if !self.common(key, pair.value)? {
                found.push((key, pair.value.to_owned()));
            }
        }
        Ok(found)
    }

    /// The answers that are due, to which a message may add.
    pub(super) fn take_answers(&mut self) -> PairWriter {
        std::mem::take(&mut self.answers)
    }

    pub(super) fn note(&mut self, unusual: Unusual) {
        note(&mut self.unusual, unusual);
    }

    /// RFC 7143 §6.3: no key twice in one login, but for those that may repeat.
    fn check_first(&mut self, spec: &KeySpec) -> Result<(), PeerMisbehaved> {
        if !self.seen.insert(spec.key) && !spec.may_repeat() {
            return Err(PeerMisbehaved::DuplicateKey {
                key: spec.name.to_owned(),
            });
        }
        Ok(())
    }

    /// RFC 7143 §6.2: `NotUnderstood` is the answer to a key that we do not know.
    fn unknown_key(
        &mut self,
        key: &str,
        value: &str,
        ends_stage: bool,
    ) -> Result<(), PeerMisbehaved> {
        if self.unknown.len() >= MAX_UNKNOWN_KEYS {
            return Err(PeerMisbehaved::TooManyUnknownKeys {
                limit: MAX_UNKNOWN_KEYS,
            });
        }
        if !self.unknown.insert(key.to_owned()) {
            return Err(PeerMisbehaved::DuplicateKey {
                key: key.to_owned(),
            });
        }
        self.note(Unusual::UnknownKey {
            key: key.to_owned(),
        });
        // An answer to an answer would never end.
        if !ends_stage && !is_refusal(value) {
            self.answers.push(key, NOT_UNDERSTOOD);
        }
        Ok(())
    }

    /// A key that was settled when the session began: what was agreed on then stays.
    fn repeated_key(&mut self, spec: &KeySpec, value: &str, joined: &Parameters, ends_stage: bool) {
        self.note(Unusual::LeadingKeyOnLaterConnection { key: spec.name });
        if !ends_stage && !is_refusal(value) {
            self.answers.push(spec.name, &settled(spec.key, joined));
        }
    }

    /// A key of ours that comes back must say that the target does not want it.
    fn refused_declaration(&mut self, spec: &KeySpec, value: &str) -> Result<(), PeerMisbehaved> {
        if !is_refusal(value) {
            return Err(PeerMisbehaved::KeyOfInitiator { key: spec.name });
        }
        self.note(Unusual::StandardKeyNotUnderstood { key: spec.name });
        Ok(())
    }

    /// Takes the keys that mean the same in every stage. Says whether it took this one.
    fn common(&mut self, key: Key, value: &str) -> Result<bool, PeerMisbehaved> {
        match key {
            Key::TargetPortalGroupTag => {
                let tag = declared_number(key, value)?;
                self.tpgt = u16::try_from(tag).ok();
            }
            Key::TargetAlias => {
                if value.len() > MAX_ALIAS_BYTES {
                    self.note(Unusual::LongAlias);
                }
                self.alias = Some(cut(value, MAX_ALIAS_BYTES));
            }
            Key::TargetAddress => self.note(Unusual::StrayTargetAddress),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// What a session has agreed on for a key, as text.
fn settled(key: Key, parameters: &Parameters) -> String {
    let yes = |value: bool| if value { "Yes" } else { "No" }.to_owned();
    match key {
        Key::MaxConnections => parameters.max_connections.to_string(),
        Key::InitialR2T => yes(parameters.initial_r2t),
        Key::ImmediateData => yes(parameters.immediate_data),
        Key::MaxBurstLength => parameters.max_burst.to_string(),
        Key::FirstBurstLength => parameters.first_burst.to_string(),
        Key::DefaultTime2Wait => parameters.time2wait.to_string(),
        Key::DefaultTime2Retain => parameters.time2retain.to_string(),
        Key::MaxOutstandingR2T => parameters.max_outstanding_r2t.to_string(),
        Key::DataPduInOrder => yes(parameters.data_pdu_in_order),
        Key::DataSequenceInOrder => yes(parameters.data_sequence_in_order),
        Key::ErrorRecoveryLevel => parameters.error_recovery_level.to_string(),
        _ => IRRELEVANT.to_owned(),
    }
}

fn check_stage(spec: &KeySpec, stage: LoginStage) -> Result<(), PeerMisbehaved> {
    let allowed = match stage {
        LoginStage::SecurityNegotiation => spec.stages.security,
        LoginStage::OperationalNegotiation => spec.stages.operational,
        LoginStage::FullFeaturePhase => false,
    };
    // A target sends TargetName in answers to SendTargets only (RFC 7143 §13.4).
    if allowed && spec.key != Key::TargetName {
        Ok(())
    } else {
        Err(PeerMisbehaved::KeyInWrongStage { key: spec.name })
    }
}

/// Reads a declared number and holds it to the range of its key.
pub(super) fn declared_number(key: Key, text: &str) -> Result<u64, PeerMisbehaved> {
    let spec = spec(key);
    let value = parse_number(text).map_err(|source| PeerMisbehaved::MalformedValue {
        key: spec.name,
        source,
    })?;
    match spec.form {
        KeyForm::Number { min, max } if !(min..=max).contains(&value) => {
            Err(PeerMisbehaved::OutOfRange {
                key: spec.name,
                value,
                min,
                max,
            })
        }
        _ => Ok(value),
    }
}

/// Whether a value is one of the three that can only be answers.
pub(super) fn is_refusal(value: &str) -> bool {
    matches!(value, REJECT | IRRELEVANT | NOT_UNDERSTOOD)
}

/// What a target said, short enough for an error message.
pub(super) fn excerpt(text: &str) -> String {
    cut(text, 64)
}

/// The longest beginning of `text` that has at most `limit` bytes.
fn cut(text: &str, limit: usize) -> String {
    let end = text.floor_char_boundary(limit);
    text.get(..end).unwrap_or(text).to_owned()
}
