//! The example does what it says, with the daemon that the environment names.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use iscsidsc::api::InitiatorPort;

use super::support::{Daemon, TARGET, portal_of, program, tgtd};

#[test]
fn the_example_binds_the_disk_of_a_target_of_tgt() {
    let tgt = tgtd(TARGET);
    let daemon = Daemon::start("fuse");
    let portal = portal_of(tgt.portal());
    let output = Command::new(program("examples/bind"))
        .args([&portal.address, &portal.socket.to_string(), TARGET])
        .env("HAWSER_SOCKET", daemon.socket())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    let library = daemon.library();
    let bound = library.persistent_devices().expect("listed");
    assert_eq!(bound.len(), 1);
    assert!(said.contains(&format!("bound: {}", bound[0])), "{said}");
    let logins = library.persistent_logins().expect("listed");
    assert_eq!(logins[0].target_name, TARGET);
    let any = InitiatorPort::any();
    let removed = library.remove_persistent_target(&any, TARGET, None);
    assert_eq!(removed, Ok(()));
    assert_eq!(library.clear_persistent_devices(), Ok(()));
}

#[test]
fn the_example_says_when_there_is_no_daemon() {
    let output = Command::new(program("examples/bind"))
        .args(["192.0.2.1", "3260", TARGET])
        .env("HAWSER_SOCKET", "/no/such/socket")
        .output()
        .expect("it runs");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        complained.contains("ISDSC_SERVICE_NOT_RUNNING"),
        "{complained}"
    );
}

/// The example as a user who is neither root nor the daemon's; gives its complaint.
fn as_nobody(daemon: &Daemon) -> String {
    // Where that user can start it.
    let place = tempfile::tempdir().expect("a directory");
    let copy = place.path().join("bind");
    // In a process of its own: a child that another test starts meanwhile would hold the copy open for writing.
    let copied = Command::new("cp")
        .arg(program("examples/bind"))
        .arg(&copy)
        .status();
    assert!(copied.expect("cp runs").success());
    let open = Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path(), open).expect("opened");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&copy)
        .args(["192.0.2.1", "3260", TARGET])
        .env("HAWSER_SOCKET", daemon.socket())
        .output()
        .expect("setpriv runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn who_may_not_change_anything_is_told_so() {
    let daemon = Daemon::start("none");
    let complained = as_nobody(&daemon);
    assert!(
        complained.contains("ERROR_ACCESS_DENIED (5)"),
        "the socket is out of reach: {complained}"
    );
    let open = Permissions::from_mode(0o755);
    let directory = daemon.socket().parent().expect("has one").to_owned();
    std::fs::set_permissions(directory, open).expect("opened");
    let complained = as_nobody(&daemon);
    assert!(
        complained.contains("ERROR_ACCESS_DENIED (5)"),
        "the daemon refuses: {complained}"
    );
    let portals = daemon.library().send_target_portals();
    assert_eq!(portals, Ok(Vec::new()), "and nothing is stored");
}
