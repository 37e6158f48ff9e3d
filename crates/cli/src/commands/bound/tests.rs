//! What `bind` and `bound` print.

use hawser_api::v1::{BoundDisk, DiskIdentity, ErrorDetail};

use super::*;

fn volume() -> BoundVolume {
    let mut volume = BoundVolume {
        path: "/srv/data".to_owned(),
        disks: vec![BoundDisk {
            target_name: "iqn.2026-01.example:a".to_owned(),
            lun: 0x0001_0000_0000_0000,
            identity: Some(DiskIdentity {
                text: "naa.6001405000000001".to_owned(),
                ..DiskIdentity::default()
            }),
        }],
        fs_type: "ext4".to_owned(),
        device: "/dev/loop3".to_owned(),
        ..BoundVolume::default()
    };
    volume.set_kind(BoundKind::Volume);
    volume.set_state(BoundState::Usable);
    volume.set_mounted_by(MountedBy::Hawser);
    volume
}

#[test]
fn the_table_tells_what_is_bound() {
    let expected = "\
PATH       STATE   KIND    FILESYSTEM  MOUNTED BY  DEVICE      DISKS
/srv/data  usable  volume  ext4        hawser      /dev/loop3  iqn.2026-01.example:a:1
";
    assert_eq!(table(&[volume()]), expected);
    assert_eq!(
        table(&[]),
        "no bound volumes: bind one with `hawser bind PATH`\n"
    );
}

#[test]
fn a_volume_that_is_missing_says_why() {
    let mut volume = volume();
    volume.set_state(BoundState::Waiting);
    volume.reason = Some(ErrorDetail {
        status: 0xefff_0003,
        message: "the target does not answer".to_owned(),
        ..ErrorDetail::default()
    });
    let text = table(&[volume.clone()]);
    assert!(
        text.contains("\n\n/srv/data: the target does not answer ["),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&json(&[volume])).expect("is JSON");
    assert_eq!(json[0]["path"], "/srv/data");
    assert_eq!(json[0]["state"], "waiting");
    assert_eq!(json[0]["reason"], "the target does not answer");
    assert_eq!(json[0]["disks"][0]["lun"], 1);
}

#[test]
fn a_usable_volume_has_no_reason() {
    let json: serde_json::Value = serde_json::from_str(&json(&[volume()])).expect("is JSON");
    assert_eq!(json[0]["reason"], serde_json::Value::Null);
}

#[test]
fn what_was_bound_is_told() {
    let text = described(&volume());
    assert_eq!(
        text,
        "ext4 filesystem on iqn.2026-01.example:a LUN 1, mounted by Hawser"
    );
}

#[test]
fn paths_are_made_absolute_and_links_are_kept() {
    let here = std::env::current_dir().expect("there is one");
    assert_eq!(absolute(Path::new("a/b")).expect("works"), here.join("a/b"));
    assert_eq!(
        absolute(Path::new("/a/link/b")).expect("works"),
        Path::new("/a/link/b")
    );
    assert!(absolute(Path::new("")).is_err());
    assert!(view(Path::new("/")).is_some_and(|view| view.st_ino != 0));
    assert!(view(Path::new("/no/such/path")).is_none());
}

#[test]
fn options_that_hawser_adds_are_told() {
    let told = |who: MountedBy, options: &str| {
        let mut volume = BoundVolume {
            path: "/srv/data".to_owned(),
            mount_options: options.to_owned(),
            ..BoundVolume::default()
        };
        volume.set_mounted_by(who);
        made_safe(&volume)
    };
    let note = told(MountedBy::Hawser, "rw,relatime").expect("is told");
    assert!(note.contains("/srv/data with nosuid,nodev:"), "{note}");
    assert!(note.ends_with("--options rw,relatime,suid,dev"), "{note}");
    let note = told(MountedBy::Hawser, "").expect("is told");
    assert!(note.ends_with("--options suid,dev"), "{note}");
    let note = told(MountedBy::Hawser, "rw,suid").expect("is told");
    assert!(note.contains(" with nodev:"), "{note}");
    assert!(note.ends_with("--options rw,suid,dev"), "{note}");
    for options in ["suid,dev", "nosuid,nodev", "rw,nosuid,dev"] {
        assert_eq!(told(MountedBy::Hawser, options), None, "{options}");
    }
    assert_eq!(told(MountedBy::System, "rw"), None);
    assert_eq!(told(MountedBy::Nobody, ""), None);
}
