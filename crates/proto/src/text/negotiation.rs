//! How two values become one (RFC 7143 §6.2): the accepting side's answer, and the proposing side's
//! verdict on the answer it got.

use thiserror::Error;

use super::keys::{KeyForm, KeySpec};
use super::values::{ValueError, format_boolean, list_items, parse_boolean, parse_number};
use super::{IRRELEVANT, NOT_UNDERSTOOD, REJECT};

/// What one side wants of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer<'a> {
    /// A number, for a number key.
    Number(u64),
    /// A boolean, for a boolean key.
    Boolean(bool),
    /// What is acceptable, most wanted first, for a list key.
    List(&'a [&'a str]),
}

impl Offer<'_> {
    /// The offer as the value of a proposal.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Offer::Number(number) => number.to_string(),
            Offer::Boolean(value) => format_boolean(*value).to_owned(),
            Offer::List(items) => items.join(","),
        }
    }
}

/// A value that both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a number key.
    Number(u64),
    /// Of a boolean key.
    Boolean(bool),
    /// Of a list key.
    Item(String),
}

impl Value {
    /// The value as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Boolean(value) => format_boolean(*value).to_owned(),
            Self::Item(item) => item.clone(),
        }
    }
}

/// Why a negotiation ended without a value of its own. The default is in force then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsettled {
    /// The answer was `Reject`.
    Rejected,
    /// The answer was `Irrelevant`.
    Irrelevant,
    /// The answer was `NotUnderstood`.
    NotUnderstood,
    /// No answer came.
    Unanswered,
}

/// How the negotiation of a key ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With this value.
    Settled(Value),
    /// Without one.
    Unsettled(Unsettled),
}

/// The accepting side's answer to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The value to send back under the same key.
    pub text: String,
    /// What is in force from now on.
    pub outcome: Outcome,
}

/// Why an answer does not fit its proposal. All are protocol errors of the accepting side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is not of the form of its key.
    #[error(transparent)]
    Malformed(#[from] ValueError),
    /// It is outside the range of its key.
    #[error("outside the range from {min} to {max}")]
    OutOfRange {
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// The result function cannot give it from our proposal.
    #[error("not a possible result of our proposal")]
    Inadmissible,
    /// It was not in the list we offered.
    #[error("not in the list that was offered")]
    NotOffered,
}

/// The answer to a peer's `proposal` for a key of which `ours` is what we want. What cannot be
/// agreed on is answered with `Reject`, and so is an obsolete key.
#[must_use]
pub fn accept(spec: &KeySpec, proposal: &str, ours: &Offer<'_>) -> Answer {
    match combine(spec, proposal, ours) {
        Some(value) => Answer {
            text: value.to_text(),
            outcome: Outcome::Settled(value),
        },
        None => Answer {
            text: REJECT.to_owned(),
            outcome: Outcome::Unsettled(Unsettled::Rejected),
        },
    }
}

fn combine(spec: &KeySpec, proposal: &str, ours: &Offer<'_>) -> Option<Value> {
    match (spec.form, ours) {
        (KeyForm::Minimum { min, max }, Offer::Number(ours)) => {
            let theirs = number_in(proposal, min, max).ok()?;
            Some(Value::Number(theirs.min(*ours)))
        }
        (KeyForm::Maximum { min, max }, Offer::Number(ours)) => {
            let theirs = number_in(proposal, min, max).ok()?;
            Some(Value::Number(theirs.max(*ours)))
        }
        (KeyForm::And, Offer::Boolean(ours)) => parse_boolean(proposal)
            .ok()
            .map(|theirs| Value::Boolean(theirs && *ours)),
        (KeyForm::Or, Offer::Boolean(ours)) => parse_boolean(proposal)
            .ok()
            .map(|theirs| Value::Boolean(theirs || *ours)),
        (KeyForm::FirstMatch, Offer::List(ours)) => list_items(proposal)
            .find(|item| ours.contains(item))
            .map(|item| Value::Item(item.to_owned())),
        _ => None,
    }
}

/// The verdict on the peer's `answer` to our own proposal `ours`.
///
/// # Errors
/// An [`AnswerError`] when no honest acceptor can give this answer.
pub fn judge(spec: &KeySpec, ours: &Offer<'_>, answer: &str) -> Result<Outcome, AnswerError> {
    if let Some(reason) = refusal(answer) {
        return Ok(Outcome::Unsettled(reason));
    }
    let value = match (spec.form, ours) {
        (KeyForm::Minimum { min, max }, Offer::Number(ours)) => {
            let theirs = number_in(answer, min, max)?;
            admissible(theirs <= *ours, Value::Number(theirs))?
        }
        (KeyForm::Maximum { min, max }, Offer::Number(ours)) => {
            let theirs = number_in(answer, min, max)?;
            admissible(theirs >= *ours, Value::Number(theirs))?
        }
        (KeyForm::And, Offer::Boolean(ours)) => {
            let theirs = parse_boolean(answer)?;
            admissible(*ours || !theirs, Value::Boolean(theirs))?
        }
        (KeyForm::Or, Offer::Boolean(ours)) => {
            let theirs = parse_boolean(answer)?;
            admissible(!*ours || theirs, Value::Boolean(theirs))?
        }
        (KeyForm::FirstMatch, Offer::List(ours)) if ours.contains(&answer) => {
            Value::Item(answer.to_owned())
        }
        (KeyForm::FirstMatch, _) => return Err(AnswerError::NotOffered),
        _ => return Err(AnswerError::Inadmissible),
    };
    Ok(Outcome::Settled(value))
}

/// The three constants of RFC 7143 §6.2 that end a negotiation without a value.
fn refusal(answer: &str) -> Option<Unsettled> {
    match answer {
        REJECT => Some(Unsettled::Rejected),
        IRRELEVANT => Some(Unsettled::Irrelevant),
        NOT_UNDERSTOOD => Some(Unsettled::NotUnderstood),
        _ => None,
    }
}

fn admissible(possible: bool, value: Value) -> Result<Value, AnswerError> {
    if possible {
        Ok(value)
    } else {
        Err(AnswerError::Inadmissible)
    }
}

fn number_in(text: &str, min: u64, max: u64) -> Result<u64, AnswerError> {
    let number = parse_number(text)?;
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(AnswerError::OutOfRange { min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Key, spec};
    use super::*;

    fn settled(value: Value) -> Result<Outcome, AnswerError> {
        Ok(Outcome::Settled(value))
    }

    /// RFC 7143 §13: the result function of each negotiated number, with its range.
    #[test]
    fn sup_l13_numbers() {
        for (key, min, max, lower_wins) in [
            (Key::MaxConnections, 1, 65_535, true),
            (Key::MaxBurstLength, 512, 16_777_215, true),
            (Key::FirstBurstLength, 512, 16_777_215, true),
            (Key::DefaultTime2Wait, 0, 3600, false),
            (Key::DefaultTime2Retain, 0, 3600, true),
            (Key::MaxOutstandingR2T, 1, 65_535, true),
            (Key::ErrorRecoveryLevel, 0, 2, true),
            (Key::IscsiProtocolLevel, 0, 31, true),
        ] {
            let (spec, middle) = (spec(key), (min + max) / 2);
            let ours = Offer::Number(middle);
            for (theirs, is_low) in [(min, true), (max, false)] {
                let result = if lower_wins == is_low { theirs } else { middle };
                for text in [theirs.to_string(), format!("{theirs:#x}")] {
                    assert_eq!(
                        accept(spec, &text, &ours).text,
                        result.to_string(),
                        "{key:?}"
                    );
                    let verdict = judge(spec, &ours, &text);
                    if lower_wins == is_low {
                        assert_eq!(verdict, settled(Value::Number(theirs)), "{key:?}");
                    } else {
                        assert_eq!(verdict, Err(AnswerError::Inadmissible), "{key:?}");
                    }
                }
            }
            let beyond = (max + 1).to_string();
            assert_eq!(accept(spec, &beyond, &ours).text, "Reject", "{key:?}");
            assert_eq!(
                judge(spec, &ours, &beyond),
                Err(AnswerError::OutOfRange { min, max })
            );
            assert_eq!(accept(spec, "many", &ours).text, "Reject");
            assert_eq!(
                judge(spec, &ours, "many"),
                Err(ValueError::NotANumber.into())
            );
        }
    }

    #[test]
    fn sup_l13_booleans() {
        for (key, both_needed) in [
            (Key::InitialR2T, false),
            (Key::ImmediateData, true),
            (Key::DataPduInOrder, false),
            (Key::DataSequenceInOrder, false),
        ] {
            for (ours, theirs) in [(false, false), (false, true), (true, false), (true, true)] {
                let result = if both_needed {
                    ours && theirs
                } else {
                    ours || theirs
                };
                let (spec, text) = (spec(key), format_boolean(theirs));
                let ours = Offer::Boolean(ours);
                assert_eq!(
                    accept(spec, text, &ours).text,
                    format_boolean(result),
                    "{key:?}"
                );
                let verdict = judge(spec, &ours, text);
                if result == theirs {
                    assert_eq!(verdict, settled(Value::Boolean(theirs)), "{key:?}");
                } else {
                    assert_eq!(verdict, Err(AnswerError::Inadmissible), "{key:?}");
                }
            }
            assert_eq!(
                accept(spec(key), "yes", &Offer::Boolean(true)).text,
                "Reject"
            );
        }
    }

    #[test]
    fn lists_take_the_proposers_first_match() {
        let digest = spec(Key::HeaderDigest);
        let ours = Offer::List(&["None", "CRC32C"]);
        assert_eq!(
            accept(digest, "Y-com.example.x,CRC32C,None", &ours).text,
            "CRC32C"
        );
        assert_eq!(accept(digest, "Y-com.example.x", &ours).text, "Reject");
        assert_eq!(
            judge(digest, &ours, "CRC32C"),
            settled(Value::Item("CRC32C".into()))
        );
        assert_eq!(
            judge(digest, &Offer::List(&["None"]), "CRC32C"),
            Err(AnswerError::NotOffered)
        );
        assert_eq!(
            judge(digest, &ours, "None,CRC32C"),
            Err(AnswerError::NotOffered)
        );
        assert_eq!(ours.to_text(), "None,CRC32C");
    }

    #[test]
    fn refusals_and_obsolete_keys() {
        let ours = Offer::Number(1);
        for (text, reason) in [
            ("Reject", Unsettled::Rejected),
            ("Irrelevant", Unsettled::Irrelevant),
            ("NotUnderstood", Unsettled::NotUnderstood),
        ] {
            let verdict = judge(spec(Key::MaxConnections), &ours, text);
            assert_eq!(verdict, Ok(Outcome::Unsettled(reason)));
        }
        for key in [Key::IfMarker, Key::OfMarker, Key::IfMarkInt, Key::OfMarkInt] {
            assert_eq!(
                accept(spec(key), "No", &Offer::Boolean(false)).text,
                "Reject"
            );
        }
    }
}
