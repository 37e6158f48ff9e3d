//! The scripted target. Its PDUs are raw bytes; every constant is typed from RFC 7143 §11.12 and
//! §11.13 and none comes from our codec, so that a mistake there cannot agree with itself here.

use crate::login::{
    LOGIN_RANDOM_BYTES, LoggedIn, Login, LoginConfig, LoginError, LoginErrorKind, LoginOutcome,
    PeerMisbehaved,
};
use crate::names::Isid;

pub(super) const INITIATOR: &str = "iqn.1999-07.com.os:hostid.77";
pub(super) const TARGET: &str = "iqn.1999-07.com.example:diskarray.sn.88";
pub(super) const ISID: [u8; 6] = [0x80, 0x12, 0x34, 0x56, 0x00, 0x01];
pub(super) const ITT: u32 = 0x0a0b_0c0d;
pub(super) const RANDOM: [u8; LOGIN_RANDOM_BYTES] = [0x6b; LOGIN_RANDOM_BYTES];

/// A login as the peer reads it from the wire.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) byte0: u8,
    pub(super) t: bool,
    pub(super) c: bool,
    pub(super) csg: u8,
    pub(super) nsg: u8,
    pub(super) versions: [u8; 2],
    pub(super) isid: Vec<u8>,
    pub(super) tsih: u16,
    pub(super) itt: u32,
    pub(super) cid: u16,
    pub(super) cmd_sn: u32,
    pub(super) exp_stat_sn: u32,
    pub(super) data: Vec<u8>,
}

impl Request {
    fn parse(pdu: &[u8]) -> Self {
        let word = |at: usize| u32::from_be_bytes(pdu[at..at + 4].try_into().unwrap());
        let half = |at: usize| u16::from_be_bytes(pdu[at..at + 2].try_into().unwrap());
        assert_eq!(pdu[4], 0, "TotalAHSLength");
        assert_eq!(pdu[1] & 0x30, 0, "reserved bits of byte 1");
        let length = (word(4) & 0x00ff_ffff) as usize;
        assert_eq!(
            pdu.len(),
            48 + length.next_multiple_of(4),
            "one PDU at a time"
        );
        assert!(
            pdu[48 + length..].iter().all(|b| *b == 0),
            "padding is zero"
        );
        assert!(pdu[32..48].iter().all(|b| *b == 0), "reserved bytes");
        assert_eq!(&pdu[22..24], [0, 0], "reserved bytes");
        Self {
            byte0: pdu[0],
            t: pdu[1] & 0x80 != 0,
            c: pdu[1] & 0x40 != 0,
            csg: pdu[1] >> 2 & 3,
            nsg: pdu[1] & 3,
            versions: [pdu[2], pdu[3]],
            isid: pdu[8..14].to_vec(),
            tsih: half(14),
            itt: word(16),
            cid: half(20),
            cmd_sn: word(24),
            exp_stat_sn: word(28),
            data: pdu[48..48 + length].to_vec(),
        }
    }

    /// The value of a key, which must not stand there twice.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        let values: Vec<_> = self.pairs().into_iter().filter(|(k, _)| k == key).collect();
        assert!(values.len() < 2, "{key} twice");
        values.into_iter().next().map(|(_, value)| value)
    }

    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let text = String::from_utf8(self.data.clone()).unwrap();
        assert!(text.is_empty() || text.ends_with('\0'));
        text.split_terminator('\0')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

/// A Login Response to be built.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) opcode: u8,
    pub(super) flags: u8,
    pub(super) version_active: u8,
    pub(super) isid: [u8; 6],
    pub(super) tsih: u16,
    pub(super) itt: u32,
    pub(super) stat_sn: Option<u32>,
    pub(super) exp_cmd_sn: u32,
    pub(super) max_cmd_sn: u32,
    pub(super) status: [u8; 2],
    pub(super) data: Vec<u8>,
}

impl Reply {
    /// Class 0, in stage `csg`, without moving on.
    pub(super) fn stay(csg: u8) -> Self {
        Self {
            opcode: 0x23,
            flags: csg << 2,
            version_active: 0,
            isid: ISID,
            tsih: 0,
            itt: ITT,
            stat_sn: None,
            exp_cmd_sn: 0x100,
            max_cmd_sn: 0x13f,
            status: [0, 0],
            data: Vec::new(),
        }
    }

    /// Class 0, from stage `csg` to `nsg`; the final response brings a TSIH.
    pub(super) fn go(csg: u8, nsg: u8) -> Self {
        let mut reply = Self::stay(csg);
        reply.flags |= 0x80 | nsg;
        if nsg == 3 {
            reply.tsih = 0x7777;
        }
        reply
    }

    pub(super) fn status(class: u8, detail: u8) -> Self {
        Self {
            flags: 0,
            status: [class, detail],
            ..Self::stay(0)
        }
    }

    pub(super) fn with(mut self, pairs: &[(&str, &str)]) -> Self {
        for (key, value) in pairs {
            self.data
                .extend_from_slice(format!("{key}={value}\0").as_bytes());
        }
        self
    }

    pub(super) fn bytes(&self, stat_sn: u32) -> Vec<u8> {
        let mut pdu = vec![0; 48];
        pdu[0] = self.opcode;
        pdu[1] = self.flags;
        pdu[3] = self.version_active;
        pdu[4..8].copy_from_slice(&(self.data.len() as u32).to_be_bytes());
        pdu[8..14].copy_from_slice(&self.isid);
        pdu[14..16].copy_from_slice(&self.tsih.to_be_bytes());
        pdu[16..20].copy_from_slice(&self.itt.to_be_bytes());
        pdu[24..28].copy_from_slice(&stat_sn.to_be_bytes());
        pdu[28..32].copy_from_slice(&self.exp_cmd_sn.to_be_bytes());
        pdu[32..36].copy_from_slice(&self.max_cmd_sn.to_be_bytes());
        pdu[36..38].copy_from_slice(&self.status);
        pdu.extend_from_slice(&self.data);
        pdu.resize(pdu.len().next_multiple_of(4), 0xee);
        pdu
    }
}

/// A login and the target that is scripted for it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) login: Login,
    pub(super) stat_sn: u32,
}

pub(super) fn config() -> LoginConfig {
    let mut config = LoginConfig::normal(
        INITIATOR.parse().unwrap(),
        TARGET.parse().unwrap(),
        Isid(ISID),
    );
    config.itt = ITT;
    config.cmd_sn = crate::serial::Serial(0x100);
    config
}

impl Peer {
    pub(super) fn new(config: LoginConfig) -> Self {
        Self {
            login: Login::new(config, &RANDOM).unwrap(),
            stat_sn: 0x55,
        }
    }

    /// The request that must be due, and no other after it.
    pub(super) fn request(&mut self) -> Request {
        let mut out = Vec::new();
        assert!(self.login.poll_transmit(&mut out), "a request is due");
        let request = Request::parse(&out);
        assert!(
            !self.login.poll_transmit(&mut out),
            "only one request is outstanding"
        );
        request
    }

    pub(super) fn try_reply(&mut self, reply: &Reply) -> Result<Option<LoginOutcome>, LoginError> {
        let bytes = reply.bytes(reply.stat_sn.unwrap_or(self.stat_sn));
        self.stat_sn = self.stat_sn.wrapping_add(1);
        let (used, outcome) = self.login.handle_input(&bytes)?;
        assert_eq!(used, bytes.len());
        Ok(outcome)
    }

    /// A reply after which the login goes on.
    pub(super) fn reply(&mut self, reply: &Reply) -> Request {
        assert_eq!(self.try_reply(reply).unwrap(), None);
        self.request()
    }

    /// A reply that completes the login.
    pub(super) fn last_reply(&mut self, reply: &Reply) -> LoggedIn {
        match self.try_reply(reply).unwrap() {
            Some(LoginOutcome::FullFeature(logged_in)) => *logged_in,
            other => panic!("{other:?}"),
        }
    }

    /// A reply that is an offence.
    pub(super) fn offence(&mut self, reply: &Reply) -> PeerMisbehaved {
        match self.failure(reply) {
            LoginErrorKind::PeerMisbehaved(offence) => offence,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn failure(&mut self, reply: &Reply) -> LoginErrorKind {
        let error = self.try_reply(reply).unwrap_err();
        assert!(
            !self.login.poll_transmit(&mut Vec::new()),
            "nothing is sent after a failure"
        );
        assert_eq!(
            self.login.handle_input(&[0; 48]),
            Err(error.clone()),
            "it stays failed"
        );
        error.kind
    }

    /// A login without authentication that has sent its operational keys, with that request.
    pub(super) fn operational(config: LoginConfig) -> (Self, Request) {
        let mut peer = Self::new(config);
        peer.request();
        let tag = [("AuthMethod", "None"), ("TargetPortalGroupTag", "1")];
        let request = peer.reply(&Reply::go(0, 1).with(&tag));
        (peer, request)
    }

    /// The answers of a target that agrees to all proposals in `request`.
    pub(super) fn agreement(request: &Request) -> Vec<(String, String)> {
        let negotiated = |key: &str| {
            !matches!(
                key,
                "InitiatorName" | "InitiatorAlias" | "SessionType" | "TargetName"
            )
        };
        request
            .pairs()
            .into_iter()
            .filter(|(key, _)| negotiated(key))
            .map(|(key, value)| (key, value.split(',').next().unwrap().to_owned()))
            .collect()
    }
}

pub(super) fn borrow(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}
