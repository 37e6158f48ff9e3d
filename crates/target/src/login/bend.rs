//! Where fault switches bend a login.

use std::sync::Arc;

use hawser_proto::pdu::{LoginStage, LoginStatus};
use hawser_proto::text::{MAX_PAIRS, PairWriter, pairs};

use crate::faults::{Faults, Redirect};

/// The faults of one login.
#[derive(Debug)]
pub(crate) struct Bend {
    faults: Arc<Faults>,
    /// How many requests for a stage change were answered with T=0.
    held_back: u32,
    /// The stage whose first response has had its extra pairs.
    fed: Option<LoginStage>,
}

impl Bend {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        Self {
            faults,
            held_back: 0,
            fed: None,
        }
    }

    /// A status to refuse this login with.
    pub(crate) fn refusal(&self) -> Option<LoginStatus> {
        let (class, detail) = self.faults.take_login_answer()?;
        Some(LoginStatus { class, detail })
    }

    /// Where to send the initiator instead.
    pub(crate) fn redirect(&self) -> Option<Redirect> {
        self.faults.redirect()
    }

    /// Whether to answer T=0 although we could move on.
    pub(crate) fn holds_back(&mut self) -> bool {
        let wanted = self.faults.login_text().hold_back;
        let holds = self.held_back < wanted;
        self.held_back = self.held_back.saturating_add(u32::from(holds));
        holds
    }

    /// How long a piece of text may be.
    pub(crate) fn split(&self, limit: usize) -> usize {
        self.faults
            .login_text()
            .split
            .map_or(limit, |split| split.clamp(1, limit))
    }

    /// The text with what is to be left out or added.
    pub(crate) fn text(&mut self, stage: LoginStage, text: Vec<u8>) -> Vec<u8> {
        if !self.faults.armed() {
            return text;
        }
        let wanted = self.faults.login_text();
        let mut bent = PairWriter::new();
        for pair in pairs(&text, MAX_PAIRS).unwrap_or_default() {
            if !wanted.omit.iter().any(|key| key == pair.key) {
                bent.push(pair.key, pair.value);
            }
        }
        if self.fed != Some(stage) {
            self.fed = Some(stage);
            wanted
                .extra
                .iter()
                .for_each(|(key, value)| bent.push(key, value));
        }
        bent.into_bytes()
    }
}
