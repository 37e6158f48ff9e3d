//! What the runs came upon: a simulation that has ceased to meet what it is for must not pass.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, u64>);

/// What many runs must come upon.
const EXPECTED: &[&str] = &[
    "ended well",
    "ended with an error",
    "PDU NOP_OUT",
    "PDU COMMAND",
    "PDU DATA_OUT",
    "PDU TEXT",
    "PDU SNACK type 0",
    "PDU SNACK type 1",
    "PDU SNACK type 2",
    "PDU MANAGEMENT function 1",
    "PDU MANAGEMENT function 5",
    "PDU MANAGEMENT function 8",
    "PDU LOGOUT reason 0",
    "PDU LOGOUT reason 1",
    "PDU LOGOUT reason 2",
    "login Leading",
    "login Additional",
    "login Reinstating",
    "outcome Completed",
    "outcome Aborted",
    "outcome TimedOut",
    "outcome Interrupted",
    "outcome Disconnected",
    "outcome Rejected",
    "outcome TargetFailure",
    "outcome Managed",
    "outcome Withdrawn",
    "a number used again by its command",
    "a number filled in",
    "a reassigned read",
    "a reassigned write",
    "a wrong data digest heard of",
    "a wrong header digest heard of",
];

impl Tally {
    pub(crate) fn count(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(what.to_owned(), 1);
            }
        }
    }

    /// Counts a value of an enumeration by the name of its variant.
    pub(crate) fn count_variant(&mut self, kind: &str, value: &impl Debug) {
        let text = format!("{value:?}");
        let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
        self.count(&format!("{kind} {name}"));
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    pub(crate) fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// What was expected and never came.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        EXPECTED
            .iter()
            .copied()
            .filter(|what| self.get(what) == 0)
            .collect()
    }
}
