//! Logins from the first request to the last, without a socket.

use proptest::prelude::*;

use hawser_proto::chap::{Algorithm, Challenge};

use super::*;
use crate::config::{ChapConfig, PortalConfig};

const IQN: &str = "iqn.2024-01.test:disk";

fn realm(target: TargetConfig) -> Arc<Realm> {
    let address = "127.0.0.1:3260".parse().unwrap();
    Arc::new(Realm {
        targets: vec![Arc::new(target)],
        portals: vec![PortalConfig { group: 7, address }],
        discovery_chap: None,
    })
}

fn login(target: TargetConfig) -> Login {
    Login::new(
        realm(target),
        7,
        [5; RANDOM_BYTES],
        Arc::new(Faults::default()),
    )
}

fn target() -> TargetConfig {
    TargetConfig::new(IQN).unwrap()
}

fn request(stage: LoginStage, next: Option<LoginStage>) -> LoginRequest {
    let mut request = LoginRequest::new(1, [0x80, 1, 2, 3, 4, 5], 1);
    request.set_stages(stage, next);
    request
}

fn text(keys: &[(&str, &str)]) -> Vec<u8> {
    let mut text = PairWriter::new();
    keys.iter().for_each(|(key, value)| text.push(key, value));
    text.into_bytes()
}

fn replied(step: Step) -> String {
    match step {
        Step::Reply(_, text) => String::from_utf8(text).unwrap().replace('\0', "\n"),
        other => panic!("{other:?}"),
    }
}

fn refused(step: Step) -> LoginStatus {
    match step {
        Step::Refuse(response, _) => response.status(),
        other => panic!("{other:?}"),
    }
}

const NAMES: [(&str, &str); 2] = [("InitiatorName", "iqn.2024-01.test:i"), ("TargetName", IQN)];

#[test]
fn chap_both_ways_and_then_the_rest() {
    use LoginStage::{FullFeaturePhase, OperationalNegotiation, SecurityNegotiation};
    let chap = ChapConfig::one_way("user", "secretsecret1".into())
        .mutual("target", "targetsecret1".into());
    let mut login = login(target().chap(chap).alias("a disk"));
    let mut keys = NAMES.to_vec();
    keys.push(("AuthMethod", "KRB5,CHAP"));
    let security = request(SecurityNegotiation, None);
    let answer = replied(login.handle(&security, &text(&keys)));
    assert_eq!(
        answer,
        "TargetPortalGroupTag=7\nTargetAlias=a disk\nAuthMethod=CHAP\n"
    );
    let answer = replied(login.handle(&security, &text(&[("CHAP_A", "7,5")])));
    let challenge = format!("0x{}", "05".repeat(32));
    assert_eq!(answer, format!("CHAP_A=7\nCHAP_I=5\nCHAP_C={challenge}\n"));
    let challenge = Challenge::parse(Algorithm::Sha256, "5", &challenge).unwrap();
    let proof = challenge.respond(&"secretsecret1".into()).to_text();
    let onward = request(SecurityNegotiation, Some(OperationalNegotiation));
    let keys = [
        ("CHAP_N", "user"),
        ("CHAP_R", &proof),
        ("CHAP_I", "9"),
        ("CHAP_C", "0x0a0b"),
    ];
    let answer = replied(login.handle(&onward, &text(&keys)));
    let theirs = Challenge::parse(Algorithm::Sha256, "9", "0x0a0b").unwrap();
    let proof = theirs.respond(&"targetsecret1".into()).to_text();
    assert_eq!(answer, format!("CHAP_N=target\nCHAP_R={proof}\n"));
    let last = request(OperationalNegotiation, Some(FullFeaturePhase));
    match login.handle(&last, &text(&[("InitialR2T", "No")])) {
        Step::Complete(response, _, parameters) => {
            assert_eq!(response.next_stage(), Ok(FullFeaturePhase));
            assert!(!parameters.initial_r2t);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stage_is_not_left_before_its_time() {
    use LoginStage::{OperationalNegotiation, SecurityNegotiation};
    let chap = ChapConfig::one_way("user", "secretsecret1".into());
    let mut login = login(target().chap(chap));
    let mut keys = NAMES.to_vec();
    keys.push(("AuthMethod", "CHAP"));
    let onward = request(SecurityNegotiation, Some(OperationalNegotiation));
    match login.handle(&onward, &text(&keys)) {
        Step::Reply(response, _) => assert!(!response.is_transit()),
        other => panic!("{other:?}"),
    }
    // As if it had been left.
    let early = request(OperationalNegotiation, None);
    assert_eq!(
        refused(login.handle(&early, &[])),
        LoginStatus::INITIATOR_ERROR
    );
}

#[test]
fn a_target_may_be_elsewhere() {
    use LoginStage::{FullFeaturePhase, OperationalNegotiation};
    let address = "192.0.2.1:3260".parse().unwrap();
    let mut login = login(target().redirect(Redirect::permanent(address)));
    let last = request(OperationalNegotiation, Some(FullFeaturePhase));
    match login.handle(&last, &text(&NAMES)) {
        Step::Refuse(response, text) => {
            assert_eq!(response.status(), LoginStatus::TARGET_MOVED_PERMANENTLY);
            assert_eq!(text, b"TargetAddress=192.0.2.1:3260\0");
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn whatever_comes_gets_an_answer(
        flags in proptest::collection::vec(any::<u8>(), 1..8),
        data in proptest::collection::vec(any::<u8>(), 0..300),
        key in "(InitiatorName|TargetName|AuthMethod|CHAP_[ACINR]|HeaderDigest|MaxBurstLength|X-a[.]b)",
        value in "[A-Za-z0-9,.:~-]{0,20}",
    ) {
        let mut login = login(target());
        for (n, flags) in flags.into_iter().enumerate() {
            let mut header = *request(LoginStage::SecurityNegotiation, None).as_bhs();
            header[1] = flags;
            let mut bytes = if n == 0 { text(&NAMES) } else { text(&[(&key, &value)]) };
            bytes.extend_from_slice(if n > 1 { &data } else { &[] });
            let step = login.handle(LoginRequest::from_bhs(&header), &bytes);
            if matches!(step, Step::Refuse(..) | Step::Complete(..)) {
                return Ok(());
            }
        }
    }
}
