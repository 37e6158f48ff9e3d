use hawser_api::Status;
use hawser_api::v1::{
    DamagedRecord, DiscoveryMechanism, ErrorDetail, ExportMethod, IkeIdentity, IkeInfo,
    InitiatorPort, IsnsServer, Portal, PortalGroup, StoredPortal, Target, TargetInstance,
    TunnelAddress,
};
use serde_json::{Value, json};

use super::*;

fn status() -> GetStatusResponse {
    let method = |name: &str, available, reason: &str| ExportMethod {
        name: name.to_owned(),
        available,
        reason: reason.to_owned(),
    };
    GetStatusResponse {
        version: "0.1.0".to_owned(),
        pid: 42,
        started_at_ms: 1_767_225_600_000,
        node_name: "iqn.2026-01.example:host".to_owned(),
        state_dir: "/var/lib/hawser".to_owned(),
        runtime_dir: "/run/hawser".to_owned(),
        export_mode: "auto".to_owned(),
        export_methods: vec![
            method("loop", false, "no /dev/loop-control"),
            method("fuse", true, ""),
        ],
        sessions: 2,
        sessions_connected: 1,
        radius_secret_set: true,
        damaged_records: vec![DamagedRecord {
            kind: "portal".to_owned(),
            key: "x\x1b".to_owned(),
            reason: "checksum".to_owned(),
        }],
        ..GetStatusResponse::default()
    }
}

fn portal(address: &str) -> Portal {
    Portal {
        address: address.to_owned(),
        port: 3260,
        symbolic_name: String::new(),
    }
}

fn refused() -> Option<ErrorDetail> {
    Some(ErrorDetail {
        status: Status::CONNECTION_FAILED.code(),
        message: "cannot connect".to_owned(),
        ..ErrorDetail::default()
    })
}

fn static_target(name: &str, addresses: &[&str], target_flags: u32, persisted: bool) -> Target {
    let group = PortalGroup {
        tag: None,
        portals: addresses.iter().map(|address| portal(address)).collect(),
    };
    let made = TargetInstance {
        mechanism: DiscoveryMechanism::Static.into(),
        portal_groups: vec![group],
        target_flags,
        persisted,
        ..TargetInstance::default()
    };
    let found = TargetInstance {
        mechanism: DiscoveryMechanism::SendTargets.into(),
        ..TargetInstance::default()
    };
    Target {
        target_name: name.to_owned(),
        instances: vec![found, made],
        ..Target::default()
    }
}

fn identity(id_type: u32, id: &[u8], initiator: Option<InitiatorPort>) -> IkeInfo {
    IkeInfo {
        initiator,
        identity: Some(IkeIdentity {
            id_type,
            id: id.to_vec(),
        }),
        security_flags: 0x43,
        persisted: true,
    }
}

fn settings() -> Settings {
    let initiator = InitiatorPort {
        instance: r"Root\HAWSER\0000_0".to_owned(),
        port_number: Some(2),
        source_address: None,
    };
    Settings {
        portals: vec![
            StoredPortal {
                portal: Some(portal("192.0.2.10")),
                last_answer_ms: Some(1),
                targets: vec!["iqn.a".to_owned(), "iqn.b".to_owned()],
                ..StoredPortal::default()
            },
            StoredPortal {
                portal: Some(portal("2001:db8::1")),
                last_error: refused(),
                ..StoredPortal::default()
            },
        ],
        isns_servers: vec![
            IsnsServer {
                address: "isns.example".to_owned(),
                last_answer_ms: Some(1),
                targets: vec!["iqn.a".to_owned()],
                ..IsnsServer::default()
            },
            IsnsServer {
                address: "192.0.2.53".to_owned(),
                ..IsnsServer::default()
            },
        ],
        targets: vec![
            static_target("iqn.s", &["192.0.2.1", "192.0.2.2"], 0, true),
            static_target("iqn.t", &[], 2, false),
            Target::default(),
        ],
        radius_servers: vec!["radius.example".to_owned()],
        ike_identities: vec![
            identity(1, &[192, 0, 2, 1], None),
            identity(2, b"a.example", Some(initiator)),
        ],
        tunnels: vec![
            TunnelAddress {
                outer_address: "192.0.2.254".to_owned(),
                persisted: true,
                ..TunnelAddress::default()
            },
            TunnelAddress {
                destination_address: "192.0.2.10".to_owned(),
                outer_address: "192.0.2.253".to_owned(),
                ..TunnelAddress::default()
            },
        ],
    }
}

#[test]
fn people_see_all_of_it() {
    let expected = r"Daemon             0.1.0 (pid 42, uid 0)
Running since      2026-01-01 00:00:00Z
Node name          iqn.2026-01.example:host
State              /var/lib/hawser
Runtime            /run/hawser
Export mode        auto
Exports            loop: no: no /dev/loop-control
                   fuse: works
Portals            192.0.2.10:3260: 2 targets
                   [2001:db8::1]:3260: cannot connect
iSNS servers       isns.example: 1 target
                   192.0.2.53: not asked yet
Static targets     iqn.s: 192.0.2.1:3260, 192.0.2.2:3260
                   iqn.t: no portal, hidden until it is discovered, until the daemon ends
Targets            0
Sessions           2, 1 connected
Persistent logins  0, 0 waiting for their target
Disks              0
Bound volumes      0, 0 usable
Own CHAP secret    not set
RADIUS servers     radius.example
RADIUS secret      set
IKE default key    not set
IKE identities     IPv4 address 192.0.2.1, flags 0x43
                   domain name a.example, for port 2, flags 0x43
Tunnels            to all others by 192.0.2.254
                   to 192.0.2.10 by 192.0.2.253, until the daemon ends
Damaged records    portal x\u{1b}: checksum
";
    assert_eq!(details(&status(), &settings()), expected);
}

#[test]
fn what_there_is_none_of_is_said() {
    let text = details(&GetStatusResponse::default(), &Settings::default());
    for name in [
        "Portals",
        "iSNS servers",
        "Static targets",
        "RADIUS servers",
        "IKE identities",
        "Tunnels",
    ] {
        let line = text.lines().find(|line| line.starts_with(name));
        assert!(
            line.is_some_and(|line| line.ends_with(" none")),
            "{name}: {text}"
        );
    }
    assert!(!text.contains("Damaged"), "{text}");
}

#[test]
fn of_very_many_the_first_are_shown() {
    let many = Settings {
        radius_servers: (1..=20).map(|number| format!("radius{number}")).collect(),
        ..Settings::default()
    };
    let text = details(&status(), &many);
    assert!(text.contains(" radius16\n"), "{text}");
    assert!(!text.contains(" radius17\n"), "{text}");
    assert!(text.contains(" and 4 more: "), "{text}");
}

#[test]
fn programs_see_the_same() {
    let json: Value = serde_json::from_str(&json(&status(), &settings())).expect("is JSON");
    assert_eq!(json["pid"], 42);
    assert_eq!(json["export_methods"][0]["reason"], "no /dev/loop-control");
    assert_eq!(json["export_methods"][1]["reason"], Value::Null);
    assert_eq!(json["damaged_records"][0]["key"], "x\x1b");
    assert_eq!(json["radius_secret_set"], true);
    assert_eq!(json["group_preshared_key_set"], false);
    let mut settings = json["settings"].clone();
    let error = settings["portals"][1]["last_error"]["status"].take();
    assert_eq!(error, "ISDSC_CONNECTION_FAILED");
    settings["portals"][1]["last_error"] = Value::Null;
    let source = |address: &str, targets: u32, last_answer_ms: Option<i64>| {
        json!({ "address": address, "targets": targets, "last_answer_ms": last_answer_ms,
                "last_error": null })
    };
    let expected = json!({
        "portals": [source("192.0.2.10:3260", 2, Some(1)), source("[2001:db8::1]:3260", 0, None)],
        "isns_servers": [source("isns.example", 1, Some(1)), source("192.0.2.53", 0, None)],
        "static_targets": [
            { "target": "iqn.s", "portals": ["192.0.2.1:3260", "192.0.2.2:3260"],
              "hidden": false, "persisted": true },
            { "target": "iqn.t", "portals": [], "hidden": true, "persisted": false },
        ],
        "radius_servers": ["radius.example"],
        "ike_identities": [
            { "id_type": 1, "id": "192.0.2.1", "initiator": null, "port_number": null,
              "security_flags": 0x43, "persisted": true },
            { "id_type": 2, "id": "a.example", "initiator": r"Root\HAWSER\0000_0",
              "port_number": 2, "security_flags": 0x43, "persisted": true },
        ],
        "tunnels": [
            { "destination": null, "outer": "192.0.2.254", "initiator": null,
              "port_number": null, "persisted": true },
            { "destination": "192.0.2.10", "outer": "192.0.2.253", "initiator": null,
              "port_number": null, "persisted": false },
        ],
    });
    assert_eq!(settings, expected);
}
