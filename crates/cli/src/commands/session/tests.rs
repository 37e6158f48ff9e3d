//! What `session list` and `session show` print.

use hawser_api::v1::{AuthType, Authentication, ErrorDetail, SessionCounters, SessionId};

use super::*;

fn session() -> Session {
    let mut connection = Connection {
        cid: 1,
        local: Some("192.0.2.2:40000".parse().expect("is one")),
        remote: Some("192.0.2.10".parse().expect("is one")),
        max_recv_data_segment_length: 262_144,
        ..Connection::default()
    };
    connection.set_state(ConnectionState::FullFeature);
    let mut proof = Authentication {
        algorithm: "SHA-256".to_owned(),
        ..Authentication::default()
    };
    proof.set_type(AuthType::Chap);
    let mut session = Session {
        id: Some(SessionId {
            adapter_unique: 1,
            adapter_specific: 2,
        }),
        target_name: "iqn.2026-01.example:a".to_owned(),
        isid: vec![0x80, 1, 2, 3, 4, 5],
        tsih: 9,
        connections: vec![connection],
        authentication: Some(proof),
        counters: Some(SessionCounters {
            commands: 7,
            bytes_read: 4096,
            pdus_received: 9,
            wire_bytes_received: 4528,
            reconnects: 3,
            ..SessionCounters::default()
        }),
        persistent: true,
        logged_in_at_ms: 1_767_225_600_000,
        notes: vec!["redirected\x1b".to_owned()],
        luns: vec![0, 0x0001_0000_0000_0000],
        ..Session::default()
    };
    session.set_state(SessionState::LoggedIn);
    session.set_type(SessionType::Data);
    session
}

#[test]
fn sessions_are_listed() {
    let expected = "\
SESSION                            TARGET                 PORTAL           STATE      SINCE                 LUNS  PERSISTENT  LAST ERROR
0000000000000001-0000000000000002  iqn.2026-01.example:a  192.0.2.10:3260  logged-in  2026-01-01 00:00:00Z     2  yes         -
";
    assert_eq!(table(&[session()]), expected);
}

#[test]
fn a_lost_session_says_since_when_and_why() {
    let mut session = session();
    session.set_state(SessionState::Reconnecting);
    session.connections.clear();
    session.lost_at_ms = Some(1_767_225_660_000);
    session.last_error = Some(ErrorDetail {
        message: "no answer".to_owned(),
        ..ErrorDetail::default()
    });
    let text = table(&[session]);
    assert!(
        text.contains("-                reconnecting  2026-01-01 00:01:00Z")
            || text.contains("reconnecting  2026-01-01 00:01:00Z"),
        "{text}"
    );
    assert!(text.trim_end().ends_with("no answer"), "{text}");
}

#[test]
fn one_session_is_told_in_full() {
    let text = details(&session()).into_text();
    for line in [
        "Authentication     chap with SHA-256\n",
        "ISID, TSIH, group  800102030405 9 \n",
        "Connection 1       192.0.2.2:40000 to 192.0.2.10:3260, full-feature\n",
        "Commands           7 sent, 0 under way, 0 failed, 0 sent again\n",
        "Data               4.0 KiB read, 0 B written\n",
        "On the wire        0 PDUs of 0 B sent, 9 PDUs of 4.4 KiB received\n",
        "Reconnects         3, and 0 failed\n",
        "Notes              redirected\\u{1b}\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn the_json_has_names_for_states() {
    let json: serde_json::Value = serde_json::from_str(&json(&[session()])).expect("is JSON");
    assert_eq!(json[0]["state"], "logged-in");
    assert_eq!(json[0]["type"], "data");
    assert_eq!(json[0]["luns"][1], 1);
    assert_eq!(json[0]["counters"]["reconnects"], 3);
    assert_eq!(json[0]["counters"]["wire_bytes_received"], 4528);
    assert_eq!(json[0]["connections"][0]["state"], "full-feature");
}
