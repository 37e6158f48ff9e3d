//! What `target list` and `target info` print.

use hawser_api::v1::{Portal, PortalGroup};

use super::*;

fn target() -> Target {
    let portals: [Portal; 2] =
        ["192.0.2.10", "192.0.2.11"].map(|text| text.parse().expect("is one"));
    let mut instance = TargetInstance {
        mechanism_text: "SendTargets:*192.0.2.10 0003260 hawser".to_owned(),
        source: Some(portals[0].clone()),
        portal_groups: vec![PortalGroup {
            tag: Some(1),
            portals: portals.to_vec(),
        }],
        ..TargetInstance::default()
    };
    instance.set_mechanism(DiscoveryMechanism::SendTargets);
    Target {
        target_name: "iqn.2026-01.example:a".to_owned(),
        alias: "data\x1b".to_owned(),
        instances: vec![instance.clone(), instance],
        persistent: true,
        ..Target::default()
    }
}

#[test]
fn targets_are_listed_with_each_portal_once() {
    let expected = "\
TARGET                 PORTALS                          FOUND BY      SESSIONS  PERSISTENT  ALIAS
iqn.2026-01.example:a  192.0.2.10:3260 192.0.2.11:3260  send-targets         0  yes         data\\u{1b}
";
    assert_eq!(table(&[target()]), expected);
}

#[test]
fn one_target_is_told_in_full() {
    let text = details(&target());
    assert!(
        text.contains("Found by          send-targets at 192.0.2.10:3260\n"),
        "{text}"
    );
    assert!(
        text.contains("  Portal group 1  192.0.2.10:3260 192.0.2.11:3260\n"),
        "{text}"
    );
}

#[test]
fn the_json_has_the_portals() {
    let json: serde_json::Value = serde_json::from_str(&json(&[target()])).expect("is JSON");
    assert_eq!(json[0]["target"], "iqn.2026-01.example:a");
    assert_eq!(json[0]["portals"][1], "192.0.2.11:3260");
    assert_eq!(json[0]["discovered_by"][0]["portal_groups"][0]["tag"], 1);
}
