//! The text in Login and Text PDUs (RFC 7143 §6): `key=value` pairs, the forms of values, the table of
//! keys, and the rules by which two values become one. Both roles use it.
//!
//! [`pairs`] splits what a peer sent and [`PairWriter`] writes what we send; [`Assembly`] joins text
//! that came in several PDUs and [`Pieces`] cuts text that needs several. [`spec`] says all about a
//! key, [`accept`] makes the accepting side's answer, [`judge`] is the proposing side's verdict on one.

mod keys;
mod negotiation;
mod pairs;
mod values;

pub use keys::{Key, KeyForm, KeySpec, Scope, Sender, Stages, lookup, spec};
pub use negotiation::{Answer, AnswerError, Offer, Outcome, Unsettled, Value, accept, judge};
pub use pairs::{
    Assembly, MAX_KEY_BYTES, MAX_PAIRS, MAX_TEXT_BYTES, Pair, PairWriter, Pieces, TextError, pairs,
};
pub use values::{
    MAX_BINARY_BYTES, ValueError, format_base64, format_boolean, format_hex, list_items,
    parse_binary, parse_boolean, parse_number,
};

/// RFC 7143 §6.2: the answer to a key that its receiver does not know.
pub const NOT_UNDERSTOOD: &str = "NotUnderstood";
/// RFC 7143 §6.2: the answer to a key that other choices have made pointless.
pub const IRRELEVANT: &str = "Irrelevant";
/// RFC 7143 §6.2: the answer to a proposal of which nothing is acceptable.
pub const REJECT: &str = "Reject";
/// RFC 7143 §6.2: the list item that means "without".
pub const NONE: &str = "None";
