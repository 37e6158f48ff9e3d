//! Our side of the negotiation of operational keys (RFC 7143 §6.2, §13).

use std::collections::{BTreeMap, BTreeSet};

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::LoginStatus;
use hawser_proto::text::{
    IRRELEVANT, Key, KeyForm, NONE, NOT_UNDERSTOOD, Offer, Outcome, PairWriter, REJECT, Sender,
    Value, accept, judge, parse_number, spec,
};

use crate::policy::{DigestPolicy, KeyPolicy, SEGMENT_RANGE};

/// The digest of RFC 7143 §13.1.
const CRC32C: &str = "CRC32C";

/// What we take of `TaskReporting` (RFC 7143 §13.23).
const TASK_REPORTING: [&str; 2] = ["RFC3720", "ResponseFence"];

/// The same with [`FAST_ABORT`].
const FAST_TASK_REPORTING: [&str; 3] = ["RFC3720", "ResponseFence", FAST_ABORT];

const FAST_ABORT: &str = "FastAbort";

/// The negotiation of one login.
#[derive(Debug)]
pub(crate) struct Negotiation {
    policy: KeyPolicy,
    discovery: bool,
    /// Whether the login begins a session: only then session-wide keys may be said.
    leading: bool,
    parameters: Parameters,
    settled: BTreeSet<Key>,
    /// What we proposed ourselves and have no answer to yet.
    proposed: BTreeSet<Key>,
    declared: bool,
}

impl Negotiation {
    /// A negotiation that wants what `policy` says; of a discovery session or a normal one, in the
    /// login that begins it or in that of a further connection.
    pub(crate) fn new(policy: KeyPolicy, discovery: bool, leading: bool) -> Self {
        Self {
            policy,
            discovery,
            leading,
            parameters: Parameters::default(),
            settled: BTreeSet::new(),
            proposed: BTreeSet::new(),
            declared: false,
        }
    }

    /// Takes in all operational keys of one text, and writes the answers they ask for.
    ///
    /// # Errors
    /// The status to refuse the login with.
    pub(crate) fn answer(
        &mut self,
        mut keys: Vec<(Key, &str)>,
        out: &mut PairWriter,
    ) -> Result<(), LoginStatus> {
        // FirstBurstLength may not exceed MaxBurstLength, and MaxOutstandingR2T depends on recovery
        // and order: they come last.
        keys.sort_by_key(|(key, _)| matches!(key, Key::FirstBurstLength | Key::MaxOutstandingR2T));
        keys.into_iter()
            .try_for_each(|(key, value)| self.answer_one(key, value, out))
    }

    fn answer_one(
        &mut self,
        key: Key,
        value: &str,
        out: &mut PairWriter,
    ) -> Result<(), LoginStatus> {
        let spec = spec(key);
        if spec.sender == Sender::Target {
            return Err(LoginStatus::INITIATOR_ERROR);
        }
        if self.proposed.remove(&key) {
            return self.take_answer(key, value);
        }
        if let KeyForm::Number { .. } = spec.form {
            return self.take_declaration(key, value);
        }
        if !spec.is_negotiated() {
            return Ok(());
        }
        if self.discovery && spec.irrelevant_in_discovery {
            out.push(spec.name, IRRELEVANT);
            return Ok(());
        }
        let list = self.list(key);
        let Some(ours) = self.ours(key, list) else {
            out.push(spec.name, REJECT);
            return Ok(());
        };
        let answer = accept(spec, value, &ours);
        out.push(spec.name, &answer.text);
        self.settled.insert(key);
        if let Outcome::Settled(value) = answer.outcome {
            self.apply(key, &value);
        }
        Ok(())
    }

    /// Declares our receive limit, and proposes what the initiator left at a default that does not
    /// suit us.
    pub(crate) fn declare_and_propose(&mut self, may_propose: bool, out: &mut PairWriter) {
        if !self.declared {
            self.declared = true;
            let limit = self.policy.max_recv_data_segment;
            self.parameters.max_recv_data_segment = limit;
            out.push(spec(Key::MaxRecvDataSegmentLength).name, &limit.to_string());
        }
        if may_propose {
            for key in self.wanting() {
                if let Some(ours) = self.ours(key, self.list(key)) {
                    out.push(spec(key).name, &ours.to_text());
                    self.settled.insert(key);
                    self.proposed.insert(key);
                }
            }
        }
    }

    /// Whether a proposal of ours is unanswered.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.proposed.is_empty()
    }

    /// Whether the defaults are not what we want, so that the stage may not be skipped.
    pub(crate) fn is_wanting(&self) -> bool {
        !self.wanting().is_empty()
    }

    /// What was agreed on.
    ///
    /// # Errors
    /// The status to refuse the login with, when a proposal of ours is unanswered or the values do
    /// not go together.
    pub(crate) fn finish(&self) -> Result<Parameters, LoginStatus> {
        let parameters = &self.parameters;
        let required = DigestPolicy::Required;
        let no_digest = self.policy.header_digest == required && !parameters.header_digest
            || self.policy.data_digest == required && !parameters.data_digest;
        let bursts = parameters.first_burst > parameters.max_burst && self.first_burst_matters();
        if no_digest || bursts || !self.proposed.is_empty() {
            return Err(LoginStatus::INITIATOR_ERROR);
        }
        let mut agreed = parameters.clone();
        if self.repeats_last_only() {
            // Whatever was said before: fewer than agreed are always allowed.
            agreed.max_outstanding_r2t = 1;
        }
        Ok(agreed)
    }

    /// The keys that must be proposed because their defaults are not what we want.
    fn wanting(&self) -> Vec<Key> {
        let (policy, now) = (&self.policy, &self.parameters);
        let normal = !self.discovery;
        let burst = policy.first_burst.min(now.max_burst);
        let candidates = BTreeMap::from([
            (
                Key::HeaderDigest,
                policy.header_digest == DigestPolicy::Required,
            ),
            (
                Key::DataDigest,
                policy.data_digest == DigestPolicy::Required,
            ),
            (Key::ImmediateData, normal && !policy.immediate_data),
            (
                Key::MaxBurstLength,
                normal && policy.max_burst < now.max_burst,
            ),
            (
                Key::FirstBurstLength,
                normal && burst < now.first_burst && self.first_burst_matters(),
            ),
            (Key::DefaultTime2Wait, policy.time2wait > now.time2wait),
            (
                Key::DefaultTime2Retain,
                policy.time2retain < now.time2retain,
            ),
        ]);
        // RFC 7143 §13: what holds for the session was agreed on when it began.
        let unsettled = |key: &Key| {
            let allowed = self.leading || !spec(*key).stages.leading_only;
            allowed && !self.settled.contains(key)
        };
        candidates
            .into_iter()
            .filter(|(_, wanted)| *wanted)
            .map(|(key, _)| key)
            .filter(unsettled)
            .collect()
    }

    /// RFC 7143 §13.14: FirstBurstLength is irrelevant when nothing unsolicited may be sent.
    fn first_burst_matters(&self) -> bool {
        !self.discovery && (!self.parameters.initial_r2t || self.parameters.immediate_data)
    }

    /// RFC 7143 §13.19: with recovery and sequences in order there is one R2T at a time.
    fn repeats_last_only(&self) -> bool {
        self.parameters.error_recovery_level > 0 && self.parameters.data_sequence_in_order
    }

    /// What we take of a list key.
    fn list(&self, key: Key) -> &'static [&'static str] {
        let digest = match key {
            Key::HeaderDigest => self.policy.header_digest,
            Key::DataDigest => self.policy.data_digest,
            _ if self.policy.fast_abort => return &FAST_TASK_REPORTING,
            _ => return &TASK_REPORTING,
        };
        match digest {
            DigestPolicy::Offered => &[CRC32C, NONE],
            DigestPolicy::Never => &[NONE],
            DigestPolicy::Required => &[CRC32C],
        }
    }

    /// What we want of a negotiated key.
    fn ours(&self, key: Key, list: &'static [&'static str]) -> Option<Offer<'static>> {
        let policy = &self.policy;
        let number = |value: u32| Some(Offer::Number(u64::from(value)));
        match key {
            Key::HeaderDigest | Key::DataDigest | Key::TaskReporting => Some(Offer::List(list)),
            Key::MaxConnections => number(policy.max_connections.into()),
            Key::InitialR2T => Some(Offer::Boolean(policy.initial_r2t)),
            Key::ImmediateData => Some(Offer::Boolean(policy.immediate_data)),
            Key::MaxBurstLength => number(policy.max_burst),
            Key::FirstBurstLength => number(policy.first_burst.min(self.parameters.max_burst)),
            Key::DefaultTime2Wait => number(policy.time2wait.into()),
            Key::DefaultTime2Retain => number(policy.time2retain.into()),
            Key::MaxOutstandingR2T if self.repeats_last_only() => number(1),
            Key::MaxOutstandingR2T => number(policy.max_outstanding_r2t.into()),
            Key::DataPduInOrder => Some(Offer::Boolean(policy.data_pdu_in_order)),
            Key::DataSequenceInOrder => Some(Offer::Boolean(policy.data_sequence_in_order)),
            // RFC 7143 §7.4.1.
            Key::ErrorRecoveryLevel if self.discovery => number(0),
            Key::ErrorRecoveryLevel => number(policy.error_recovery_level.into()),
            Key::IscsiProtocolLevel => number(policy.protocol_level.into()),
            _ => None,
        }
    }

    /// The initiator's answer to a proposal of ours.
    fn take_answer(&mut self, key: Key, value: &str) -> Result<(), LoginStatus> {
        let Some(ours) = self.ours(key, self.list(key)) else {
            return Ok(());
        };
        match judge(spec(key), &ours, value) {
            Ok(Outcome::Settled(value)) => self.apply(key, &value),
            Ok(Outcome::Unsettled(_)) => {}
            Err(_) => return Err(LoginStatus::INITIATOR_ERROR),
        }
        Ok(())
    }

    fn take_declaration(&mut self, key: Key, value: &str) -> Result<(), LoginStatus> {
        if key == Key::MaxRecvDataSegmentLength {
            let limit = receive_limit(value).ok_or(LoginStatus::INITIATOR_ERROR)?;
            self.parameters.max_send_data_segment = limit;
        }
        Ok(())
    }

    fn apply(&mut self, key: Key, value: &Value) {
        let now = &mut self.parameters;
        match (key, value) {
            (Key::HeaderDigest, Value::Item(item)) => now.header_digest = item == CRC32C,
            (Key::DataDigest, Value::Item(item)) => now.data_digest = item == CRC32C,
            (Key::TaskReporting, Value::Item(item)) => now.fast_abort = item == FAST_ABORT,
            (Key::InitialR2T, Value::Boolean(on)) => now.initial_r2t = *on,
            (Key::ImmediateData, Value::Boolean(on)) => now.immediate_data = *on,
            (Key::DataPduInOrder, Value::Boolean(on)) => now.data_pdu_in_order = *on,
            (Key::DataSequenceInOrder, Value::Boolean(on)) => now.data_sequence_in_order = *on,
            (_, Value::Number(number)) => self.apply_number(key, *number),
            _ => {}
        }
    }

    /// Sets a number, which `accept` or `judge` has found to be inside the range of its key.
    fn apply_number(&mut self, key: Key, number: u64) {
        let now = &mut self.parameters;
        let long = u32::try_from(number).unwrap_or(u32::MAX);
        let short = u16::try_from(number).unwrap_or(u16::MAX);
        match key {
            Key::MaxConnections => now.max_connections = short,
            Key::MaxBurstLength => now.max_burst = long,
            Key::FirstBurstLength => now.first_burst = long,
            Key::DefaultTime2Wait => now.time2wait = short,
            Key::DefaultTime2Retain => now.time2retain = short,
            Key::MaxOutstandingR2T => now.max_outstanding_r2t = short,
            Key::IscsiProtocolLevel => {
                now.protocol_level = u8::try_from(number).unwrap_or(1).max(1);
            }
            Key::ErrorRecoveryLevel => {
                now.error_recovery_level = u8::try_from(number).unwrap_or_default();
            }
            _ => {}
        }
    }
}

/// The value of a MaxRecvDataSegmentLength that the initiator declared, if it is a legal one.
pub(crate) fn receive_limit(value: &str) -> Option<u32> {
    let limit = parse_number(value)
        .ok()
        .and_then(|limit| u32::try_from(limit).ok())?;
    SEGMENT_RANGE.contains(&limit).then_some(limit)
}

/// The answer to a key of no RFC.
pub(crate) fn answer_unknown(key: &str, value: &str, out: &mut PairWriter) {
    // An answer is not answered.
    if ![NOT_UNDERSTOOD, REJECT, IRRELEVANT].contains(&value) {
        out.push(key, NOT_UNDERSTOOD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(negotiation: &mut Negotiation, keys: &[(Key, &str)]) -> Result<String, LoginStatus> {
        let mut out = PairWriter::new();
        negotiation.answer(keys.to_vec(), &mut out)?;
        Ok(readable(out))
    }

    fn readable(out: PairWriter) -> String {
        String::from_utf8(out.into_bytes())
            .unwrap()
            .replace('\0', " ")
    }

    #[test]
    fn results_follow_the_functions_of_section_13() {
        let policy = KeyPolicy {
            initial_r2t: false,
            max_outstanding_r2t: 8,
            ..Default::default()
        };
        let mut negotiation = Negotiation::new(policy, false, true);
        let answers = say(
            &mut negotiation,
            &[
                (Key::HeaderDigest, "CRC32C,None"),
                (Key::DataDigest, "None,CRC32C"),
                (Key::InitialR2T, "No"),
                (Key::ImmediateData, "Yes"),
                (Key::FirstBurstLength, "1048576"),
                (Key::MaxBurstLength, "0x10000"),
                (Key::DefaultTime2Wait, "5"),
                (Key::DefaultTime2Retain, "7"),
                (Key::MaxOutstandingR2T, "65535"),
                (Key::MaxConnections, "8"),
                (Key::ErrorRecoveryLevel, "2"),
                (Key::MaxRecvDataSegmentLength, "65536"),
                (Key::IfMarker, "No"),
            ],
        );
        assert_eq!(
            answers.unwrap(),
            "HeaderDigest=CRC32C DataDigest=None InitialR2T=No ImmediateData=Yes \
             MaxBurstLength=65536 DefaultTime2Wait=5 DefaultTime2Retain=7 MaxConnections=8 \
             ErrorRecoveryLevel=2 IFMarker=Reject FirstBurstLength=65536 MaxOutstandingR2T=1 "
        );
        let mut out = PairWriter::new();
        negotiation.declare_and_propose(true, &mut out);
        assert!(!negotiation.is_waiting());
        assert_eq!(readable(out), "MaxRecvDataSegmentLength=262144 ");
        let agreed = negotiation.finish().unwrap();
        assert!(agreed.header_digest && !agreed.data_digest && !agreed.initial_r2t);
        assert_eq!((agreed.max_burst, agreed.first_burst), (65536, 65536));
        assert_eq!((agreed.time2wait, agreed.time2retain), (5, 7));
        assert_eq!(
            (agreed.max_outstanding_r2t, agreed.max_send_data_segment),
            (1, 65536)
        );
        assert_eq!(
            (agreed.max_connections, agreed.max_recv_data_segment),
            (8, 262_144)
        );
    }

    #[test]
    fn a_further_connection_says_only_what_is_its_own() {
        let policy = KeyPolicy {
            data_digest: DigestPolicy::Required,
            immediate_data: false,
            max_burst: 4096,
            time2wait: 9,
            ..Default::default()
        };
        let mut negotiation = Negotiation::new(policy, false, false);
        let mut out = PairWriter::new();
        negotiation.declare_and_propose(true, &mut out);
        assert_eq!(
            readable(out),
            "MaxRecvDataSegmentLength=262144 DataDigest=CRC32C "
        );
    }

    #[test]
    fn what_the_defaults_do_not_give_is_proposed() {
        let policy = KeyPolicy {
            header_digest: DigestPolicy::Required,
            immediate_data: false,
            max_burst: 4096,
            first_burst: 2048,
            ..Default::default()
        };
        let mut negotiation = Negotiation::new(policy, false, true);
        let mut out = PairWriter::new();
        assert!(negotiation.is_wanting());
        negotiation.declare_and_propose(true, &mut out);
        assert!(negotiation.is_waiting());
        assert_eq!(
            readable(out),
            "MaxRecvDataSegmentLength=262144 HeaderDigest=CRC32C ImmediateData=No \
             MaxBurstLength=4096 FirstBurstLength=2048 "
        );
        assert_eq!(negotiation.finish(), Err(LoginStatus::INITIATOR_ERROR));
        let answers = [
            (Key::HeaderDigest, "CRC32C"),
            (Key::ImmediateData, "No"),
            (Key::MaxBurstLength, "1024"),
            (Key::FirstBurstLength, "1024"),
        ];
        assert_eq!(say(&mut negotiation, &answers).unwrap(), "");
        let agreed = negotiation.finish().unwrap();
        assert!(agreed.header_digest && !agreed.immediate_data);
        assert_eq!((agreed.max_burst, agreed.first_burst), (1024, 1024));
    }

    #[test]
    fn a_missing_required_digest_ends_the_login() {
        let policy = KeyPolicy {
            data_digest: DigestPolicy::Required,
            ..Default::default()
        };
        let mut negotiation = Negotiation::new(policy, false, true);
        let answer = say(&mut negotiation, &[(Key::DataDigest, "None")]).unwrap();
        assert_eq!(answer, "DataDigest=Reject ");
        assert_eq!(negotiation.finish(), Err(LoginStatus::INITIATOR_ERROR));
    }

    #[test]
    fn discovery_makes_most_keys_irrelevant() {
        let mut negotiation = Negotiation::new(KeyPolicy::default(), true, true);
        let keys = [(Key::ImmediateData, "Yes"), (Key::ErrorRecoveryLevel, "2")];
        let answer = say(&mut negotiation, &keys).unwrap();
        assert_eq!(answer, "ImmediateData=Irrelevant ErrorRecoveryLevel=0 ");
    }

    #[test]
    fn illegal_values_are_refused() {
        for (key, value) in [
            (Key::MaxRecvDataSegmentLength, "511"),
            (Key::MaxRecvDataSegmentLength, "16777216"),
            (Key::MaxRecvDataSegmentLength, "many"),
            (Key::TargetPortalGroupTag, "1"),
        ] {
            let mut negotiation = Negotiation::new(KeyPolicy::default(), false, true);
            let result = say(&mut negotiation, &[(key, value)]);
            assert_eq!(result, Err(LoginStatus::INITIATOR_ERROR), "{key:?}={value}");
        }
        let mut negotiation = Negotiation::new(KeyPolicy::default(), false, true);
        let answer = say(&mut negotiation, &[(Key::ImmediateData, "Maybe")]).unwrap();
        assert_eq!(answer, "ImmediateData=Reject ");
    }

    #[test]
    fn unknown_keys_are_not_understood() {
        let mut out = PairWriter::new();
        answer_unknown("X-test.key", "1", &mut out);
        answer_unknown("X-test.other", "Reject", &mut out);
        assert_eq!(readable(out), "X-test.key=NotUnderstood ");
    }
}
