//! The table of keys (RFC 7143 §12 and §13, RFC 7144 §7.1.1): who may send each, when, for what scope,
//! in what form, with what default, and how two values become one.

/// Who may send a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The initiator only.
    Initiator,
    /// The target only.
    Target,
    /// Either of them.
    Both,
}

/// When a key may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stages {
    /// In the security stage of a login.
    pub security: bool,
    /// In the operational stage of a login.
    pub operational: bool,
    /// In the full feature phase.
    pub full_feature: bool,
    /// In a login: only on the first connection of a session ("LO" in RFC 7143 §13).
    pub leading_only: bool,
}

/// What a key's value is in force for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All connections of the session.
    Session,
    /// One connection.
    Connection,
}

/// The form of a key's value, and with it whether it is negotiated or declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// Negotiated: a list in order of preference; the first that the other side takes wins.
    FirstMatch,
    /// Negotiated: a number from `min` to `max`; the lower of two wins.
    Minimum {
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// Negotiated: a number from `min` to `max`; the higher of two wins.
    Maximum {
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// Negotiated: `Yes` only if both say `Yes`.
    And,
    /// Negotiated: `Yes` if one says `Yes`.
    Or,
    /// Declared: a number from `min` to `max`.
    Number {
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// Declared: text of at most this many bytes.
    Text(
        /// The limit, in bytes.
        usize,
    ),
    /// Part of an authentication method, which says what it means.
    Authentication,
    /// Obsolete (RFC 7143 §13.25): always answered with `Reject`.
    Obsolete,
}

/// All there is to know about one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    /// The key.
    pub key: Key,
    /// Its name on the wire.
    pub name: &'static str,
    /// Who may send it.
    pub sender: Sender,
    /// When.
    pub stages: Stages,
    /// For what it holds.
    pub scope: Scope,
    /// What its value is made of.
    pub form: KeyForm,
    /// The value in force when nothing was agreed.
    pub default: Option<&'static str>,
    /// Whether it means nothing in a discovery session.
    pub irrelevant_in_discovery: bool,
}

impl KeySpec {
    /// Whether the key may be sent more than once in one negotiation (RFC 7143 §6.3).
    #[must_use]
    pub fn may_repeat(&self) -> bool {
        self.key == Key::TargetAddress
    }

    /// Whether a proposal of the key asks for an answer.
    #[must_use]
    pub fn is_negotiated(&self) -> bool {
        !matches!(
            self.form,
            KeyForm::Number { .. } | KeyForm::Text(_) | KeyForm::Authentication
        )
    }
}

/// RFC 7143 §13.12–13.14: the highest length of a data segment or burst.
const MAX_LENGTH: u64 = (1 << 24) - 1;

/// Lengths of data segments and bursts.
const LENGTH: KeyForm = KeyForm::Minimum {
    min: 512,
    max: MAX_LENGTH,
};

const SECURITY: Stages = Stages {
    security: true,
    operational: false,
    full_feature: false,
    leading_only: false,
};
const OPERATIONAL: Stages = Stages {
    security: false,
    operational: true,
    full_feature: false,
    leading_only: false,
};
const LEADING: Stages = Stages {
    leading_only: true,
    ..OPERATIONAL
};
const LOGIN: Stages = Stages {
    security: true,
    ..OPERATIONAL
};
const OPERATIONAL_AND_FULL: Stages = Stages {
    full_feature: true,
    ..OPERATIONAL
};
const EVERYWHERE: Stages = Stages {
    full_feature: true,
    ..LOGIN
};
const FULL_FEATURE: Stages = Stages {
    operational: false,
    ..OPERATIONAL_AND_FULL
};

/// Makes the enum of keys and the table of what is known about them.
macro_rules! keys {
    ($($(#[$doc:meta])* $key:ident = $name:literal, $sender:ident, $stages:expr, $scope:ident,
       $form:expr, $default:expr, $irrelevant:expr;)*) => {
        /// The keys of RFC 7143 and `iSCSIProtocolLevel` of RFC 7144.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Key { $($(#[$doc])* $key,)* }

        impl Key {
            /// Every key.
            pub const ALL: &[Self] = &[$(Self::$key,)*];
        }

        /// All there is to know about a key.
        #[must_use]
        pub fn spec(key: Key) -> &'static KeySpec {
            match key {
                $(Key::$key => const { &KeySpec {
                    key: Key::$key,
                    name: $name,
                    sender: Sender::$sender,
                    stages: $stages,
                    scope: Scope::$scope,
                    form: $form,
                    default: $default,
                    irrelevant_in_discovery: $irrelevant,
                } },)*
            }
        }

        /// The key of that name, if it is one of RFC 7143 or RFC 7144.
        #[must_use]
        pub fn lookup(name: &str) -> Option<Key> {
            match name {
                $($name => Some(Key::$key),)*
                _ => None,
            }
        }
    };
}

const AUTH: KeyForm = KeyForm::Authentication;
const NAME: KeyForm = KeyForm::Text(crate::names::MAX_NAME_BYTES);
/// RFC 7143 §6.1: the longest simple value, used for aliases too.
const TEXT: KeyForm = KeyForm::Text(255);
const LIST: KeyForm = KeyForm::FirstMatch;

keys! {
    /// §12.1, how the sides prove who they are.
    AuthMethod = "AuthMethod", Both, SECURITY, Connection, LIST, None, false;
    /// §12.1.3, CHAP: algorithm.
    ChapA = "CHAP_A", Both, SECURITY, Connection, AUTH, None, false;
    /// §12.1.3, CHAP: identifier.
    ChapI = "CHAP_I", Both, SECURITY, Connection, AUTH, None, false;
    /// §12.1.3, CHAP: challenge.
    ChapC = "CHAP_C", Both, SECURITY, Connection, AUTH, None, false;
    /// §12.1.3, CHAP: name.
    ChapN = "CHAP_N", Both, SECURITY, Connection, AUTH, None, false;
    /// §12.1.3, CHAP: response.
    ChapR = "CHAP_R", Both, SECURITY, Connection, AUTH, None, false;
    /// §12.1.1, Kerberos: request.
    KrbApReq = "KRB_AP_REQ", Initiator, SECURITY, Connection, AUTH, None, false;
    /// §12.1.1, Kerberos: reply.
    KrbApRep = "KRB_AP_REP", Target, SECURITY, Connection, AUTH, None, false;
    /// §12.1.2, SRP: user.
    SrpU = "SRP_U", Initiator, SECURITY, Connection, AUTH, None, false;
    /// §12.1.2, SRP: whether the target is to prove itself.
    TargetAuth = "TargetAuth", Initiator, SECURITY, Connection, AUTH, None, false;
    /// §12.1.2, SRP: group.
    SrpGroup = "SRP_GROUP", Both, SECURITY, Connection, AUTH, None, false;
    /// §12.1.2, SRP: salt.
    SrpSalt = "SRP_s", Target, SECURITY, Connection, AUTH, None, false;
    /// §12.1.2, SRP: the initiator's public value.
    SrpA = "SRP_A", Initiator, SECURITY, Connection, AUTH, None, false;
    /// §12.1.2, SRP: the target's public value.
    SrpB = "SRP_B", Target, SECURITY, Connection, AUTH, None, false;
    /// §12.1.2, SRP: the initiator's proof.
    SrpM = "SRP_M", Initiator, SECURITY, Connection, AUTH, None, false;
    /// §12.1.2, SRP: the target's proof.
    SrpHm = "SRP_HM", Target, SECURITY, Connection, AUTH, None, false;
    /// §13.1.
    HeaderDigest = "HeaderDigest", Both, OPERATIONAL, Connection, LIST, Some("None"), false;
    /// §13.1.
    DataDigest = "DataDigest", Both, OPERATIONAL, Connection, LIST, Some("None"), false;
    /// §13.2.
    MaxConnections = "MaxConnections", Both, LEADING, Session,
        KeyForm::Minimum { min: 1, max: 65_535 }, Some("1"), true;
    /// §13.3 and Appendix C.
    SendTargets = "SendTargets", Initiator, FULL_FEATURE, Session, NAME, None, false;
    /// §13.4. The initiator sends it in a login, the target in answers to SendTargets.
    TargetName = "TargetName", Both, EVERYWHERE, Session, NAME, None, false;
    /// §13.5.
    InitiatorName = "InitiatorName", Initiator, LOGIN, Session, NAME, None, false;
    /// §13.6.
    TargetAlias = "TargetAlias", Target, EVERYWHERE, Session, TEXT, None, false;
    /// §13.7.
    InitiatorAlias = "InitiatorAlias", Initiator, EVERYWHERE, Session, TEXT, None, false;
    /// §13.8.
    TargetAddress = "TargetAddress", Target, EVERYWHERE, Session, KeyForm::Text(512), None, false;
    /// §13.9.
    TargetPortalGroupTag = "TargetPortalGroupTag", Target, LOGIN, Session,
        KeyForm::Number { min: 0, max: 65_535 }, None, false;
    /// §13.10.
    InitialR2T = "InitialR2T", Both, LEADING, Session, KeyForm::Or, Some("Yes"), true;
    /// §13.11.
    ImmediateData = "ImmediateData", Both, LEADING, Session, KeyForm::And, Some("Yes"), true;
    /// §13.12: each side declares its own.
    MaxRecvDataSegmentLength = "MaxRecvDataSegmentLength", Both, OPERATIONAL_AND_FULL, Connection,
        KeyForm::Number { min: 512, max: MAX_LENGTH }, Some("8192"), false;
    /// §13.13.
    MaxBurstLength = "MaxBurstLength", Both, LEADING, Session, LENGTH, Some("262144"), true;
    /// §13.14.
    FirstBurstLength = "FirstBurstLength", Both, LEADING, Session, LENGTH, Some("65536"), true;
    /// §13.15.
    DefaultTime2Wait = "DefaultTime2Wait", Both, LEADING, Session,
        KeyForm::Maximum { min: 0, max: 3600 }, Some("2"), false;
    /// §13.16.
    DefaultTime2Retain = "DefaultTime2Retain", Both, LEADING, Session,
        KeyForm::Minimum { min: 0, max: 3600 }, Some("20"), false;
    /// §13.17.
    MaxOutstandingR2T = "MaxOutstandingR2T", Both, LEADING, Session,
        KeyForm::Minimum { min: 1, max: 65_535 }, Some("1"), true;
    /// §13.18.
    DataPduInOrder = "DataPDUInOrder", Both, LEADING, Session, KeyForm::Or, Some("Yes"), true;
    /// §13.19.
    DataSequenceInOrder = "DataSequenceInOrder", Both, LEADING, Session, KeyForm::Or, Some("Yes"), true;
    /// §13.20.
    ErrorRecoveryLevel = "ErrorRecoveryLevel", Both, LEADING, Session,
        KeyForm::Minimum { min: 0, max: 2 }, Some("0"), false;
    /// §13.21.
    SessionType = "SessionType", Initiator, Stages { leading_only: true, ..LOGIN }, Session, TEXT,
        Some("Normal"), false;
    /// §13.23.
    TaskReporting = "TaskReporting", Both, LEADING, Session, LIST, Some("RFC3720"), true;
    /// RFC 7144 §7.1.1.
    IscsiProtocolLevel = "iSCSIProtocolLevel", Both, LEADING, Session,
        KeyForm::Minimum { min: 0, max: 31 }, Some("1"), true;
    /// §13.26.
    NodeArchitecture = "X#NodeArchitecture", Both, LEADING, Session, TEXT, None, false;
    /// §13.25, obsolete.
    IfMarker = "IFMarker", Both, OPERATIONAL, Connection, KeyForm::Obsolete, Some("No"), false;
    /// §13.25, obsolete.
    OfMarker = "OFMarker", Both, OPERATIONAL, Connection, KeyForm::Obsolete, Some("No"), false;
    /// §13.25, obsolete.
    IfMarkInt = "IFMarkInt", Both, OPERATIONAL, Connection, KeyForm::Obsolete, None, false;
    /// §13.25, obsolete.
    OfMarkInt = "OFMarkInt", Both, OPERATIONAL, Connection, KeyForm::Obsolete, None, false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_by_its_name() {
        for key in Key::ALL {
            assert_eq!(lookup(spec(*key).name), Some(*key));
            assert_eq!(spec(*key).key, *key);
        }
        assert_eq!(lookup("Headerdigest"), None);
    }

    /// RFC 7143 §12: the keys of the security stage, besides those of the methods.
    #[test]
    fn keys_of_the_security_stage() {
        let in_security: Vec<_> = Key::ALL
            .iter()
            .map(|key| spec(*key))
            .filter(|s| s.stages.security && s.form != KeyForm::Authentication)
            .map(|s| s.name)
            .collect();
        let of_the_rfc = [
            "AuthMethod",
            "TargetName",
            "InitiatorName",
            "TargetAlias",
            "InitiatorAlias",
            "TargetAddress",
            "TargetPortalGroupTag",
            "SessionType",
        ];
        assert_eq!(in_security, of_the_rfc);
    }

    /// RFC 7143 §13: "Irrelevant when: SessionType=Discovery" stands at these.
    #[test]
    fn keys_without_meaning_in_discovery() {
        let found: Vec<_> = Key::ALL
            .iter()
            .map(|key| spec(*key))
            .filter(|s| s.irrelevant_in_discovery)
            .map(|s| s.name)
            .collect();
        let of_the_rfc = [
            "MaxConnections",
            "InitialR2T",
            "ImmediateData",
            "MaxBurstLength",
            "FirstBurstLength",
            "MaxOutstandingR2T",
            "DataPDUInOrder",
            "DataSequenceInOrder",
            "TaskReporting",
            "iSCSIProtocolLevel",
        ];
        assert_eq!(found, of_the_rfc);
    }
}
