//! What `disk list` prints.

use hawser_api::v1::{DiskIdentity, ErrorDetail};

use super::*;

/// A disk of a target that sends a terminal escape as its serial number.
fn disk() -> Disk {
    let mut disk = Disk {
        target_name: "iqn.2026-01.example:a".to_owned(),
        lun: 0x0001_0000_0000_0000,
        lun_number: Some(1),
        bytes: 64 << 20,
        block_size: 512,
        identity: Some(DiskIdentity {
            text: "naa.6001405000000001".to_owned(),
            ..DiskIdentity::default()
        }),
        serial: "\x1b]0;owned\x07".to_owned(),
        device: "/dev/loop3".to_owned(),
        holders: vec!["/srv/data".to_owned()],
        persistent: true,
        ..Disk::default()
    };
    disk.set_state(DiskState::Ready);
    disk.set_export_kind(ExportKind::Loop);
    disk
}

#[test]
fn the_table_tells_what_and_where() {
    let expected = "\
TARGET                 LUN      SIZE  IDENTITY              STATE  DEVICE      NBD  USED BY    BOUND
iqn.2026-01.example:a    1  64.0 MiB  naa.6001405000000001  ready  /dev/loop3  -    /srv/data  -
";
    assert_eq!(table(&[disk()]), expected);
    assert_eq!(table(&[]), "no disks: log in with `hawser login IQN`\n");
}

#[test]
fn a_disk_that_is_not_ready_says_why() {
    let mut disk = disk();
    disk.set_state(DiskState::Held);
    disk.reason = Some(ErrorDetail {
        status: 0xefff_0003,
        message: "the target does not answer".to_owned(),
        advice: "look at the network".to_owned(),
        ..ErrorDetail::default()
    });
    let text = table(&[disk.clone()]);
    let line = "\n\niqn.2026-01.example:a LUN 1: the target does not answer; \
                what to do: look at the network [ISDSC_CONNECTION_FAILED (0xefff0003)]\n";
    assert!(text.ends_with(line), "{text}");
    assert_eq!(
        brief(&disk),
        "LUN 1 held /dev/loop3: the target does not answer"
    );
}

#[test]
fn the_json_has_the_promised_keys() {
    let text = json(&[disk()]);
    assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let disk = &json.as_array().expect("is an array")[0];
    assert_eq!(disk["target"], "iqn.2026-01.example:a");
    assert_eq!(disk["lun"], 1);
    assert_eq!(disk["device"], "/dev/loop3");
    assert_eq!(disk["bytes"], 64 << 20);
    assert_eq!(disk["identity"], "naa.6001405000000001");
    assert_eq!(disk["state"], "ready");
    assert_eq!(disk["nbd"], serde_json::Value::Null);
    assert_eq!(disk["serial"], "\x1b]0;owned\x07");
    assert_eq!(super::json(&[]), "[]\n");
}

#[test]
fn nbd_over_tcp_is_shown() {
    let mut disk = disk();
    disk.nbd_address = "nbd+unix:///?socket=/r/s".to_owned();
    disk.nbd_tcp_address = "nbd://192.0.2.1:40123".to_owned();
    let text = table(&[disk.clone()]);
    assert!(
        text.contains("  nbd+unix:///?socket=/r/s nbd://192.0.2.1:40123  "),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&json(&[disk])).expect("is JSON");
    assert_eq!(json[0]["nbd_tcp"], "nbd://192.0.2.1:40123");
}

#[test]
fn a_lun_without_a_number_is_not_shown_as_lun_0() {
    let disk = Disk {
        lun: 0x0203_0000_0000_0000,
        lun_number: None,
        ..disk()
    };
    let json: serde_json::Value =
        serde_json::from_str(&json(std::slice::from_ref(&disk))).expect("is JSON");
    assert_eq!(json[0]["lun"], "0x0203000000000000");
    assert!(table(std::slice::from_ref(&disk)).contains("  0x0203000000000000  "));
    assert!(brief(&disk).starts_with("LUN 0x0203000000000000 "));
}
