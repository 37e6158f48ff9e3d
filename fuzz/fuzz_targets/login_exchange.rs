//! A hostile target in a login: whatever it sends, the login ends with a named error, an outcome, or a wait
//! for more bytes, and never sends or keeps more than a bound.
//!
//! Input: one byte chooses what the initiator wants, then either raw bytes, or messages that become
//! well-formed Login Responses, so that the fuzzer reaches what lies behind the header checks. A message is
//! one byte of flags, status class, status detail, one byte of text length, and the text.
#![no_main]

use hawser_proto::chap::ChapSecret;
use hawser_proto::login::{
    ChapConfig, LOGIN_RANDOM_BYTES, Login, LoginConfig, MutualChap, SecurityStart,
};
use hawser_proto::names::{IscsiName, Isid};
use libfuzzer_sys::fuzz_target;

const ISID: [u8; 6] = [0x80, 0x12, 0x34, 0x56, 0x78, 0x9a];
const ITT: u32 = 7;
const DISCOVERY: u8 = 1;
const CHAP: u8 = 2;
const MUTUAL: u8 = 4;
const LET_TARGET_PROPOSE: u8 = 8;
const SKIP_SECURITY: u8 = 16;
const RAW: u8 = 0x80;
/// More than all requests of one login may hold: the text of one is bounded by 64 KiB.
const SENT_MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((wants, input)) = data.split_first() else {
        return;
    };
    let Ok(mut login) = Login::new(config(*wants), &[0x5a; LOGIN_RANDOM_BYTES]) else {
        return;
    };
    let mut sent = Vec::new();
    if wants & RAW != 0 {
        // One byte at a time is the hardest split.
        for byte in input {
            if !step(&mut login, std::slice::from_ref(byte), &mut sent) {
                return;
            }
        }
    } else {
        let mut rest = input;
        let mut stat_sn = 0;
        while let Some(message) = next_message(&mut rest, &mut stat_sn) {
            if !step(&mut login, &message, &mut sent) {
                return;
            }
        }
    }
    let _ = login.handle_close();
});

fn config(wants: u8) -> LoginConfig {
    let name = |text| IscsiName::parse(text).expect("a good name");
    let initiator = name("iqn.2024-01.test:initiator");
    let mut config = if wants & DISCOVERY != 0 {
        LoginConfig::discovery(initiator, Isid(ISID))
    } else {
        LoginConfig::normal(initiator, name("iqn.2024-01.test:target"), Isid(ISID))
    };
    config.itt = ITT;
    if wants & CHAP != 0 {
        let mut chap = ChapConfig::one_way("user", ChapSecret::new(b"secretsecret1".to_vec()));
        chap.mutual = (wants & MUTUAL != 0).then(|| MutualChap {
            expected_name: None,
            secret: ChapSecret::new(b"targetsecret1".to_vec()),
        });
        config.chap = Some(chap);
    }
    if wants & LET_TARGET_PROPOSE != 0 {
        config.security = SecurityStart::LetTargetPropose;
    } else if wants & SKIP_SECURITY != 0 {
        config.security = SecurityStart::Skip;
    }
    config
}

/// Sends what is to be sent and gives the login the bytes; false when it has ended.
fn step(login: &mut Login, bytes: &[u8], sent: &mut Vec<u8>) -> bool {
    while login.poll_transmit(sent) {
        assert!(sent.len() < SENT_MAX);
    }
    match login.handle_input(bytes) {
        Ok((used, outcome)) => {
            assert!(used <= bytes.len());
            assert!(outcome.is_some() || used == bytes.len());
            outcome.is_none()
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(login.handle_input(bytes).unwrap_err(), error);
            assert!(!login.poll_transmit(sent));
            false
        }
    }
}

/// Makes a Login Response (RFC 7143 section 11.13) of the next message.
fn next_message(rest: &mut &[u8], stat_sn: &mut u32) -> Option<Vec<u8>> {
    let [flags, class, detail, length, after @ ..] = *rest else {
        return None;
    };
    let (text, after) = after.split_at(usize::from(*length).min(after.len()));
    *rest = after;
    let mut pdu = vec![0; 48];
    pdu[0] = 0x23;
    pdu[1] = flags & 0xcf;
    pdu[7] = u8::try_from(text.len()).expect("one byte of length");
    pdu[8..14].copy_from_slice(&ISID);
    // A target gives the session its handle in the last response.
    pdu[15] = u8::from(flags & 0x83 == 0x83);
    pdu[16..20].copy_from_slice(&ITT.to_be_bytes());
    pdu[24..28].copy_from_slice(&stat_sn.to_be_bytes());
    pdu[28..32].copy_from_slice(&1_u32.to_be_bytes());
    pdu[32..36].copy_from_slice(&8_u32.to_be_bytes());
    // Mostly success, or nothing else would be reached.
    if flags & 0x10 != 0 {
        pdu[36] = *class;
        pdu[37] = *detail;
    }
    *stat_sn = stat_sn.wrapping_add(1);
    pdu.extend_from_slice(text);
    pdu.resize(pdu.len().next_multiple_of(4), 0);
    Some(pdu)
}
