//! The kinds of records.
//!
//! A record has every field that its version knows; a field added later has a default, so that older records
//! still read. Unknown fields are refused: they come from a newer program that did not raise the schema version.

pub(crate) mod discovery;
pub(crate) mod login;
pub(crate) mod node;
pub(crate) mod security;
pub(crate) mod volume;
