//! §2.5 and §5: bound devices and volumes, first of all.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use iscsidsc::api::{Device, InitiatorPort, Library, Status};

use super::support::{
    Daemon, TARGET, Target, discover, log_in, portal_of, ready_device, store, tgtd,
};

mod paths;

/// A device of a persistent login.
fn persistent_device(library: &Library, portal: &iscsidsc::api::Portal) -> Device {
    discover(library, portal);
    store(library, TARGET);
    let session = log_in(library, TARGET);
    ready_device(library, session)
}

#[test]
fn an_empty_list_is_reported_cleared_and_set_up() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    assert_eq!(library.persistent_devices(), Ok(Vec::new()));
    assert_eq!(library.clear_persistent_devices(), Ok(()));
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(Vec::new()));
}

#[test]
fn a_device_is_bound_once_and_unbound_once() {
    let tgt = tgtd(TARGET);
    let daemon = Daemon::start("fuse");
    let library = daemon.library();
    let device = persistent_device(&library, &portal_of(tgt.portal()));
    let link = device.interface_name;
    assert_eq!(library.add_persistent_device(&link), Ok(()));
    for name in [&link, &device.legacy_name] {
        assert_eq!(
            library.add_persistent_device(name),
            Err(Status::VOLUME_ALREADY_PERSISTENTLY_BOUND),
            "{name}"
        );
    }
    assert_eq!(library.persistent_devices(), Ok(vec![link.clone()]));
    assert_eq!(library.remove_persistent_device(&link), Ok(()));
    let again = library.remove_persistent_device(&link);
    assert_eq!(again, Err(Status::DEVICE_NOT_FOUND));
    // By another name of the same thing.
    assert_eq!(library.add_persistent_device(&link), Ok(()));
    let other = library.remove_persistent_device(&device.legacy_name);
    assert_eq!(other, Ok(()));
    assert_eq!(library.persistent_devices(), Ok(Vec::new()));
}

#[test]
fn what_cannot_be_bound_is_told_apart() {
    let target = Target::start();
    let daemon = Daemon::start("fuse");
    let library = daemon.library();
    discover(&library, &target.portal());
    let session = log_in(&library, TARGET);
    let device = ready_device(&library, session);
    let not_persistent = library.add_persistent_device(&device.interface_name);
    assert_eq!(not_persistent, Err(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT));
    for not_ours in ["/", "/proc", "/dev/null", "."] {
        let refused = library.add_persistent_device(not_ours);
        assert_eq!(
            refused,
            Err(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT),
            "{not_ours}"
        );
    }
    for nothing in ["/no/such path", "nor/here", "X:", "/näch/ste"] {
        let refused = library.add_persistent_device(nothing);
        assert_eq!(refused, Err(Status::DEVICE_NOT_FOUND), "{nothing}");
        let refused = library.remove_persistent_device(nothing);
        assert_eq!(refused, Err(Status::DEVICE_NOT_FOUND), "{nothing}");
    }
    let empty = library.add_persistent_device("");
    assert_eq!(empty, Err(Status::ERROR_INVALID_PARAMETER));
    store(&library, TARGET);
    assert_eq!(
        library.add_persistent_device(&device.interface_name),
        Ok(())
    );
}

#[test]
fn setting_up_binds_what_is_there_and_drops_what_is_not() {
    let mut target = Target::start();
    let mut daemon = Daemon::start("fuse");
    let library = daemon.library();
    persistent_device(&library, &target.portal());
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    let bound = library.persistent_devices().expect("listed");
    assert_eq!(bound.len(), 1, "{bound:?}");
    // An absent device stays on the list over a restart, and can be taken off it.
    daemon.stop();
    target.kill();
    daemon.start_again();
    assert_eq!(library.persistent_devices(), Ok(bound.clone()));
    assert_eq!(library.remove_persistent_device(&bound[0]), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(Vec::new()));
}

#[test]
fn the_list_is_replaced_when_nothing_is_there_any_more() {
    let target = Target::start();
    let daemon = Daemon::start("fuse");
    let library = daemon.library();
    let device = persistent_device(&library, &target.portal());
    let link = device.interface_name;
    assert_eq!(library.add_persistent_device(&link), Ok(()));
    let any = InitiatorPort::any();
    let removed = library.remove_persistent_target(&any, TARGET, None);
    assert_eq!(removed, Ok(()));
    let listed = library.persistent_devices();
    assert_eq!(listed, Ok(vec![link]), "§5.4: the list is left as it is");
    for session in library.sessions().expect("listed") {
        library.logout(session.id).expect("logged out");
    }
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(Vec::new()));
}

fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
}

/// A mount that is taken down whatever becomes of its test.
struct Mounted(PathBuf);

impl Mounted {
    fn is_mounted(&self) -> bool {
        let found = Command::new("mountpoint").arg("-q").arg(&self.0).status();
        found.expect("it runs").success()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_mount_point_with_blanks_and_letters_of_other_tongues_is_bound_also_by_a_link() {
    let target = Target::start();
    let daemon = Daemon::start("loop");
    let library = daemon.library();
    let device = persistent_device(&library, &target.portal());
    run("mkfs.ext4", &["-q", "-F", &device.legacy_name]);
    let place = daemon.path("Bände mit Räumen ☂");
    std::fs::create_dir(&place).expect("made");
    let path = place.to_str().expect("is text").to_owned();
    run("mount", &[&device.legacy_name, &path]);
    let mounted = Mounted(place.clone());
    let link = daemon.path("a link");
    std::os::unix::fs::symlink(&place, &link).expect("made");
    assert_eq!(library.add_persistent_device(&path), Ok(()));
    let by_link = library.add_persistent_device(link.to_str().expect("is text"));
    assert_eq!(by_link, Err(Status::VOLUME_ALREADY_PERSISTENTLY_BOUND));
    assert_eq!(library.persistent_devices(), Ok(vec![path.clone()]));
    let busy = library.sessions().expect("listed").remove(0).id;
    assert_eq!(library.logout(busy), Err(Status::DEVICE_BUSY_ON_SESSION));
    assert_eq!(library.remove_persistent_device(&path), Ok(()));
    drop(mounted);
}
