//! Logins as a target answers them (RFC 7143 §6.3, §11.13).

use super::pdu::Pdu;
use super::peer::Peer;
use super::text::{Keys, write};
use super::wire::{FINAL, FULL_FEATURE, LOGIN_REQUEST};

/// The default MaxRecvDataSegmentLength of the scripted peer.
const SEGMENT: &str = "65536";

/// What a login came to.
#[derive(Debug, Clone, Default)]
pub struct Agreed {
    /// All that the initiator said.
    pub offered: Keys,
    /// All that the target said.
    pub answered: Keys,
    /// The requests.
    pub requests: Vec<Pdu>,
    /// TSIH of the last response.
    pub tsih: u16,
}

impl Agreed {
    /// The number agreed on for a key.
    ///
    /// # Panics
    /// When there is none that fits 32 bits.
    #[must_use]
    pub fn number(&self, key: &str) -> u32 {
        u32::try_from(self.answered.number(key)).expect("a number of 32 bits")
    }
}

impl Peer {
    /// Takes a Login Request with whole text: what comes in pieces (C bit) is joined, each piece
    /// answered with an empty response.
    ///
    /// # Panics
    /// When another PDU comes.
    pub async fn login_request(&mut self) -> (Pdu, Keys) {
        let mut text = Vec::new();
        loop {
            let request = self.expect(LOGIN_REQUEST).await;
            if self.agreed.requests.is_empty() {
                self.begin_or_join(&request);
            }
            self.agreed.requests.push(request.clone());
            text.extend_from_slice(&request.data);
            if !request.is_continued() {
                let keys = Keys::parse(&text);
                self.agreed.offered.merge(&keys);
                return (request, keys);
            }
            self.send(Pdu::login_response(&request)).await;
        }
    }

    /// Answers `request` with these keys, moving on as it asks for.
    pub async fn agree(&mut self, request: &Pdu, keys: &[(&str, &str)]) {
        let pdu = self.agreement(request, keys);
        self.send(pdu).await;
    }

    /// The response with which [`agree`](Self::agree) would answer.
    #[must_use]
    pub fn agreement(&mut self, request: &Pdu, keys: &[(&str, &str)]) -> Pdu {
        self.agreed.answered.merge(&Keys::parse(&write(keys)));
        let mut pdu = Pdu::login_response(request).with_data(&write(keys));
        if request.is_final() {
            pdu = pdu.moving_to(request.next_stage());
            if request.next_stage() == FULL_FEATURE && request.tsih() == 0 {
                pdu = pdu.put_half(14, self.shared().new_tsih());
            }
        }
        self.agreed.tsih = pdu.tsih();
        pdu
    }

    /// Answers `request` with these keys, staying in its stage.
    pub async fn stay(&mut self, request: &Pdu, keys: &[(&str, &str)]) {
        self.agreed.answered.merge(&Keys::parse(&write(keys)));
        self.send(Pdu::login_response(request).with_data(&write(keys)))
            .await;
    }

    /// Ends the login with a status (§11.13.5).
    pub async fn refuse(&mut self, request: &Pdu, class: u8, detail: u8, keys: &[(&str, &str)]) {
        let pdu = Pdu::login_response(request).with_data(&write(keys));
        self.send(pdu.with_login_status(class, detail)).await;
    }

    /// Logs the initiator in: no authentication, and to each key the answer in `answers` or, where
    /// there is none, what the initiator offers. Keys in `answers` that were not offered are sent as
    /// well.
    ///
    /// # Panics
    /// When the initiator does not log in as it should.
    pub async fn log_in(&mut self, answers: &[(&str, &str)]) {
        loop {
            let (request, keys) = self.login_request().await;
            let replies = self.replies(&request, &keys, answers);
            let replies: Vec<_> = replies
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            self.agree(&request, &replies).await;
            if request.is_final() && request.next_stage() == FULL_FEATURE {
                break;
            }
        }
        self.begin_full_feature();
    }

    /// Puts into force what the login agreed on.
    pub fn begin_full_feature(&mut self) {
        let is_on = |key| self.agreed.answered.get(key) == Some("CRC32C");
        let (header, data) = (is_on("HeaderDigest"), is_on("DataDigest"));
        self.set_digests(header, data);
        if let Some(limit) = self.agreed.answered.get("MaxRecvDataSegmentLength") {
            self.segment_limit = limit.parse().expect("a number");
        }
        // What was acknowledged so far was so by the login.
        let next = self.status.next;
        self.set_next_stat_sn(next);
    }

    /// The answers to one request.
    fn replies(
        &self,
        request: &Pdu,
        keys: &Keys,
        answers: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let chosen = |key: &str| {
            answers
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, v)| *v)
        };
        let mut replies = Vec::new();
        for (key, offer) in keys.iter() {
            if let Some(reply) = reply(key, offer, chosen(key)) {
                replies.push((key.to_owned(), reply));
            }
        }
        let is_normal = self.agreed.offered.get("SessionType") != Some("Discovery");
        let is_first = self.agreed.answered.get("TargetPortalGroupTag").is_none();
        if is_first && is_normal && chosen("TargetPortalGroupTag").is_none() {
            replies.push(("TargetPortalGroupTag".to_owned(), "1".to_owned()));
        }
        // What nobody offered goes into the response that belongs to its stage.
        let last = request.byte(1) & (FINAL | 3) == FINAL | FULL_FEATURE;
        for (key, value) in answers.iter().filter(|_| last) {
            let said = |keys: &Keys| keys.get(key).is_some();
            let due = !said(keys) && !said(&self.agreed.answered);
            if due && !replies.iter().any(|(name, _)| name == key) {
                replies.push(((*key).to_owned(), (*value).to_owned()));
            }
        }
        replies
    }
}

/// The answer to one key, if it is one that is answered.
fn reply(key: &str, offer: &str, chosen: Option<&str>) -> Option<String> {
    let first = offer.split(',').next().unwrap_or(offer);
    let usual = match key {
        "InitiatorName" | "InitiatorAlias" | "TargetName" | "SessionType" => return None,
        "AuthMethod" | "HeaderDigest" | "DataDigest" | "TaskReporting" => first,
        "MaxRecvDataSegmentLength" => SEGMENT,
        // The old session's tasks are dead at once, so that tests need not wait for it.
        "DefaultTime2Retain" | "ErrorRecoveryLevel" => "0",
        "MaxConnections" => "1",
        // What most targets say, and what checks the most.
        "DataPDUInOrder" | "DataSequenceInOrder" => "Yes",
        "InitialR2T" | "ImmediateData" | "MaxBurstLength" | "FirstBurstLength"
        | "DefaultTime2Wait" | "MaxOutstandingR2T" | "iSCSIProtocolLevel" => offer,
        _ => "NotUnderstood",
    };
    Some(chosen.unwrap_or(usual).to_owned())
}
