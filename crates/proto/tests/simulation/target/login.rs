//! Logins of the model target (RFC 7143 §6, §11.12, §11.13): no authentication, one or two exchanges.

use std::collections::BTreeMap;

use super::session::Session;
use super::{Effect, Shared};
use crate::scenario::Keys;
use crate::wire::{Digests, Framer, Header, LOGIN, LOGIN_RESPONSE, Pdu, encode};

const TRANSIT: u8 = 0x80;
const CONTINUE: u8 = 0x40;
const SECURITY: u8 = 0;
const OPERATIONAL: u8 = 1;
const FULL_FEATURE: u8 = 3;

/// Login statuses (RFC 7143 §11.13.5).
const TOO_MANY_CONNECTIONS: u16 = 0x0206;
const SESSION_DOES_NOT_EXIST: u16 = 0x020a;
const SERVICE_UNAVAILABLE: u16 = 0x0301;

/// A login under way.
#[derive(Debug)]
pub(super) struct Login {
    group: u16,
    framer: Framer,
    stat_sn: u32,
    /// Commands that a new session may send.
    grant: u32,
    /// What is agreed on so far.
    agreed: Keys,
    /// The initiator's MaxRecvDataSegmentLength.
    max_send: u32,
    greeted: bool,
}

/// A login that is complete.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) group: u16,
    /// The session that the connection joins.
    pub(super) session: Option<u64>,
    pub(super) tsih: u16,
    pub(super) cid: u16,
    pub(super) exp_cmd_sn: u32,
    pub(super) max_cmd_sn: u32,
    pub(super) stat_sn: u32,
    pub(super) agreed: Keys,
    pub(super) max_send: u32,
    pub(super) response: Vec<u8>,
}

impl Joined {
    pub(super) fn digests(&self) -> Digests {
        Digests {
            header: self.agreed.header_digest,
            data: self.agreed.data_digest,
        }
    }
}

impl Login {
    pub(super) fn new(shared: &mut Shared, group: u16) -> Self {
        let agreed = Keys {
            header_digest: false,
            data_digest: false,
            ..shared.keys.clone()
        };
        Self {
            group,
            framer: Framer::default(),
            stat_sn: shared.rng.pick(&[0, 1, 0x7fff_fff0, 0xffff_fffd]),
            grant: shared.grant,
            agreed,
            max_send: 8192,
            greeted: false,
        }
    }

    pub(super) fn into_framer(self, joined: &Joined) -> Framer {
        let mut framer = self.framer;
        framer.digests = joined.digests();
        framer
    }

    /// Takes bytes; an error means that the connection is to be closed.
    pub(super) fn receive(
        &mut self,
        shared: &mut Shared,
        link: u64,
        bytes: &[u8],
        sessions: &BTreeMap<u64, Session>,
    ) -> Result<Option<Joined>, ()> {
        let pdus = self.framer.take(bytes).expect("no digests yet");
        for pdu in pdus {
            if shared.trace {
                let text = String::from_utf8_lossy(&pdu.data).replace('\0', " ");
                println!("      -> {link} {:?} {text}", pdu.header);
            }
            if let Some(joined) = self.request(shared, link, &pdu, sessions)? {
                return Ok(Some(joined));
            }
        }
        Ok(None)
    }

    fn request(
        &mut self,
        shared: &mut Shared,
        link: u64,
        pdu: &Pdu,
        sessions: &BTreeMap<u64, Session>,
    ) -> Result<Option<Joined>, ()> {
        let header = &pdu.header;
        assert_eq!(header.0[0], LOGIN | 0x40, "a login request, immediate");
        assert!(!header.has(CONTINUE), "all fits into one");
        let (current, next) = (header.0[1] >> 2 & 3, header.0[1] & 3);
        let tsih = header.u16(14);
        let found = (tsih != 0).then(|| find(sessions, self.group, tsih));
        if let Some(status) = self.refusal(shared, header, found) {
            self.answer(shared, link, header, (0, status), &[], None);
            return Err(());
        }
        let joins = found.flatten();
        let text = self.negotiate(shared, &pdu.data, joins.is_some());
        let goes_on = current == SECURITY && next == OPERATIONAL;
        let is_final = current == OPERATIONAL && next == FULL_FEATURE;
        assert!(header.has(TRANSIT) && (goes_on || is_final));
        let flags = TRANSIT | current << 2 | next;
        if !is_final {
            self.answer(shared, link, header, (flags, 0), &text, joins);
            return Ok(None);
        }
        Ok(Some(self.conclude(shared, header, flags, &text, joins)))
    }

    /// Why the login is refused, if it is.
    fn refusal(
        &self,
        shared: &mut Shared,
        header: &Header,
        found: Option<Option<&Session>>,
    ) -> Option<u16> {
        let chance = shared.faults.login / 2;
        if shared.rng.chance(chance) {
            return Some(SERVICE_UNAVAILABLE);
        }
        match found {
            None => None,
            Some(None) => Some(SESSION_DOES_NOT_EXIST),
            Some(Some(session)) => {
                let is_full = !session.takes(header.u16(20));
                is_full.then_some(TOO_MANY_CONNECTIONS)
            }
        }
    }

    fn header(&self, request: &Header, flags: u8, status: u16, joins: Option<&Session>) -> Header {
        let mut header = Header::new(LOGIN_RESPONSE, flags, request.itt());
        header.0[8..16].copy_from_slice(&request.0[8..16]);
        header.set32(24, self.stat_sn);
        let (exp_cmd_sn, max_cmd_sn) = match joins {
            Some(session) => (session.exp_cmd_sn(), session.max_cmd_sn()),
            None => (
                request.sn(),
                request.sn().wrapping_add(self.grant).wrapping_sub(1),
            ),
        };
        header.set32(28, exp_cmd_sn);
        header.set32(32, max_cmd_sn);
        header.set16(36, status);
        header
    }

    fn answer(
        &mut self,
        shared: &mut Shared,
        link: u64,
        request: &Header,
        (flags, status): (u8, u16),
        text: &[u8],
        joins: Option<&Session>,
    ) {
        let header = self.header(request, flags, status, joins);
        self.stat_sn = self.stat_sn.wrapping_add(1);
        let bytes = encode(header, text, Digests::default(), 0);
        shared.effects.push(Effect::Send { link, bytes });
    }

    fn conclude(
        &mut self,
        shared: &mut Shared,
        request: &Header,
        flags: u8,
        text: &[u8],
        joins: Option<&Session>,
    ) -> Joined {
        let mut header = self.header(request, flags, 0, joins);
        let mut tsih = request.u16(14);
        if joins.is_none() {
            shared.next_tsih = shared.next_tsih % 0xfffe + 1;
            tsih = shared.next_tsih;
            header.set16(14, tsih);
        }
        let agreed = match joins {
            Some(session) => Keys {
                header_digest: self.agreed.header_digest,
                data_digest: self.agreed.data_digest,
                ..session.keys.clone()
            },
            None => self.agreed.clone(),
        };
        Joined {
            group: self.group,
            session: joins.map(|session| session.id),
            tsih,
            cid: request.u16(20),
            exp_cmd_sn: header.u32(28),
            max_cmd_sn: header.u32(32),
            stat_sn: self.stat_sn.wrapping_add(1),
            agreed,
            max_send: self.max_send,
            response: encode(header, text, Digests::default(), 0),
        }
    }

    fn negotiate(&mut self, shared: &Shared, text: &[u8], joins: bool) -> Vec<u8> {
        let mut answers = Vec::new();
        if !std::mem::replace(&mut self.greeted, true) {
            push(
                &mut answers,
                "TargetPortalGroupTag",
                &self.group.to_string(),
            );
        }
        for pair in text
            .split(|&byte| byte == 0)
            .filter(|pair| !pair.is_empty())
        {
            let pair = std::str::from_utf8(pair).expect("text");
            let (key, value) = pair.split_once('=').expect("a pair");
            if let Some(answer) = self.settle(shared, key, value, joins) {
                push(&mut answers, key, &answer);
            }
        }
        answers
    }

    /// Takes one key and gives the answer to it, if it wants one (RFC 7143 §13).
    fn settle(&mut self, shared: &Shared, key: &str, value: &str, joins: bool) -> Option<String> {
        let (mine, agreed) = (&shared.keys, &mut self.agreed);
        let truth = |yes: bool| Some(if yes { "Yes" } else { "No" }.to_owned());
        let is_yes = value == "Yes";
        let session_wide = !matches!(
            key,
            "HeaderDigest"
                | "DataDigest"
                | "MaxRecvDataSegmentLength"
                | "InitiatorName"
                | "InitiatorAlias"
                | "TargetName"
                | "SessionType"
                | "AuthMethod"
        );
        assert!(
            !(joins && session_wide),
            "{key} belongs to the leading login"
        );
        match key {
            "AuthMethod" => Some("None".to_owned()),
            "HeaderDigest" => Some(digest(&mut agreed.header_digest, mine.header_digest, value)),
            "DataDigest" => Some(digest(&mut agreed.data_digest, mine.data_digest, value)),
            "InitialR2T" => truth(either(&mut agreed.initial_r2t, is_yes)),
            "DataPDUInOrder" => truth(either(&mut agreed.data_pdu_in_order, is_yes)),
            "DataSequenceInOrder" => truth(either(&mut agreed.data_sequence_in_order, is_yes)),
            "ImmediateData" => {
                agreed.immediate_data &= is_yes;
                truth(agreed.immediate_data)
            }
            "MaxRecvDataSegmentLength" => {
                self.max_send = value.parse().expect("a length");
                Some(mine.max_recv_data_segment.to_string())
            }
            "MaxBurstLength" => {
                let answer = least(&mut agreed.max_burst, value);
                agreed.first_burst = agreed.first_burst.min(agreed.max_burst);
                Some(answer)
            }
            "FirstBurstLength" => Some(least(&mut agreed.first_burst, value)),
            "MaxOutstandingR2T" => Some(least(&mut agreed.max_outstanding_r2t, value)),
            "MaxConnections" => Some(least(&mut agreed.max_connections, value)),
            "ErrorRecoveryLevel" => Some(least(&mut agreed.error_recovery_level, value)),
            "DefaultTime2Retain" => Some(least(&mut agreed.time2retain, value)),
            "DefaultTime2Wait" => {
                agreed.time2wait = agreed.time2wait.max(value.parse().expect("a time"));
                Some(agreed.time2wait.to_string())
            }
            "InitiatorName" | "InitiatorAlias" | "TargetName" | "SessionType" => None,
            _ => Some("NotUnderstood".to_owned()),
        }
    }
}

fn find(sessions: &BTreeMap<u64, Session>, group: u16, tsih: u16) -> Option<&Session> {
    sessions
        .values()
        .find(|session| session.tsih == tsih && session.group == group)
}

fn push(text: &mut Vec<u8>, key: &str, value: &str) {
    text.extend_from_slice(format!("{key}={value}\0").as_bytes());
}

fn digest(agreed: &mut bool, wanted: bool, offered: &str) -> String {
    *agreed = wanted && offered.split(',').any(|choice| choice == "CRC32C");
    if *agreed { "CRC32C" } else { "None" }.to_owned()
}

fn either(agreed: &mut bool, offered: bool) -> bool {
    *agreed |= offered;
    *agreed
}

fn least<T>(agreed: &mut T, offered: &str) -> String
where
    T: std::str::FromStr + Ord + Copy + ToString,
    T::Err: std::fmt::Debug,
{
    let offered = offered.parse::<T>().expect("a number");
    *agreed = offered.min(*agreed);
    agreed.to_string()
}
