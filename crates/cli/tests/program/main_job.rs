//! The main job, whole: discover, log in persistently, get a disk, put a filesystem on it, bind it,
//! kill the daemon, start it again, and find the volume with its data.

use std::fs;
use std::io::Write;
use std::path::Path;

use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd, Tool};

use crate::hawser::{Daemon, code};
use crate::targets::{Embedded, SECRET, USER};

/// A target to do the job on.
struct Place<'a> {
    portal: String,
    target: &'a str,
    lun: u64,
}

#[test]
fn on_our_own_target() {
    let mut daemon = Daemon::start("loop");
    let target = "iqn.2026-01.example:own";
    let own = Embedded::with_chap(target, daemon.directory());
    main_job(
        &mut daemon,
        &Place {
            portal: own.portal(),
            target,
            lun: 0,
        },
    );
}

#[test]
fn on_tgt() {
    let mut daemon = Daemon::start("loop");
    let target = "iqn.2026-01.example:tgt";
    let config = TgtTarget::new(target)
        .disks(1, 64 << 20)
        .chap(USER, SECRET)
        .digests();
    let tgtd = Tgtd::start(TgtConfig::new().target(config)).expect("tgt runs");
    main_job(
        &mut daemon,
        &Place {
            portal: tgtd.portal().to_string(),
            target,
            lun: 1,
        },
    );
}

fn main_job(daemon: &mut Daemon, place: &Place<'_>) {
    log_in(daemon, place);
    let disk = daemon.disk(place.target, place.lun);
    assert_eq!(disk["bytes"], 64 << 20, "{disk}");
    assert!(disk["identity"].is_string(), "{disk}");
    let device = disk["device"].as_str().expect("it has one").to_owned();

    let volume = daemon.path("volume");
    let mount_point = volume.to_str().expect("is UTF-8");
    run("mkfs.ext4", &["-q", "-F", &device]);
    run("mount", &[&device, mount_point]);
    // With its defaults it comes back nosuid,nodev; the note says how it does not.
    let bind = daemon.run(&["bind", mount_point]);
    assert_eq!(code(&bind), 0, "{}", bind.stderr);
    assert!(bind.stderr.contains("nosuid,nodev"), "{}", bind.stderr);
    let (_, options) = bind
        .stderr
        .trim_end()
        .rsplit_once("--options ")
        .expect("is advised");
    daemon.ok(&["unbind", mount_point]);
    let bind = daemon.run(&["bind", mount_point, "--options", options]);
    assert_eq!((code(&bind), bind.stderr.as_str()), (0, ""));
    let bound = daemon.json(&["bound"]);
    assert_eq!(bound[0]["path"], mount_point, "{bound}");
    assert_eq!(bound[0]["state"], "usable", "{bound}");
    assert!(bound[0]["reason"].is_null(), "{bound}");
    let data = payload();
    write_durably(&volume.join("data"), &data);

    daemon.kill();
    daemon.start_again();
    let said = daemon.ok(&["wait", "--timeout", "30"]);
    assert_eq!(said, "the bound volume is usable\n");
    assert!(
        fs::read(volume.join("data")).expect("it is there") == data,
        "the data differs"
    );
    assert!(
        is_mount_point(&volume),
        "the data lies on an empty directory"
    );

    let mounted = run(
        "findmnt",
        &["--noheadings", "--output", "OPTIONS", mount_point],
    );
    assert!(
        !mounted.contains("nosuid") && !mounted.contains("nodev"),
        "{mounted}"
    );

    take_down(daemon, place, mount_point);
}

fn log_in(daemon: &Daemon, place: &Place<'_>) {
    let told = daemon.json(&["portal", "add", &place.portal]);
    assert_eq!(told, serde_json::json!([place.target]));
    let known = daemon.json(&["target", "list"]);
    assert_eq!(known[0]["target"], place.target, "{known}");
    assert_eq!(known[0]["portals"][0], place.portal.as_str(), "{known}");

    let login = [
        "login",
        place.target,
        "--persist",
        "--chap-user",
        USER,
        "--json",
    ];
    let login = daemon
        .ask(&login)
        .args(["--chap-secret-file", "-"])
        .input(SECRET);
    let login = login.run_ok().expect("logged in");
    let login: serde_json::Value = serde_json::from_str(&login.stdout).expect("is JSON");
    assert_eq!(login["persistent"], true, "{login}");
    let session = login["session"].as_str().expect("there is one");
    let shown = daemon.json(&["session", "show", session]);
    assert_eq!(shown["state"], "logged-in", "{shown}");
    assert_eq!(shown["authentication"]["type"], "chap", "{shown}");
    let again = daemon
        .ask(&["login", place.target, "--persist"])
        .run()
        .expect("ended");
    assert!(
        again.status.success(),
        "asking twice is success: {}",
        again.stderr
    );
}

/// Gives everything back; the daemon must leave nothing behind.
fn take_down(daemon: &mut Daemon, place: &Place<'_>, mount_point: &str) {
    let busy = daemon.fails(9, &["logout", place.target]);
    assert!(busy.contains("ISDSC_DEVICE_BUSY_ON_SESSION"), "{busy}");
    daemon.ok(&["unbind", mount_point]);
    if is_mount_point(Path::new(mount_point)) {
        run("umount", &[mount_point]);
    }
    let said = daemon.ok(&["logout", place.target]);
    assert!(said.contains("the persistent login stays"), "{said}");
    daemon.ok(&["persistent", "remove", place.target]);
    assert_eq!(daemon.json(&["disk", "list"]), serde_json::json!([]));
    assert_eq!(daemon.json(&["bound"]), serde_json::json!([]));
    daemon.stop();
}

fn run(program: &str, words: &[&str]) -> String {
    let tool = Tool::new(program).expect("it is installed");
    tool.args(words).run_ok().expect("it works").stdout
}

/// Bytes that no two places share.
fn payload() -> Vec<u8> {
    (0..2_u32 << 20)
        .flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .collect()
}

fn write_durably(path: &Path, data: &[u8]) {
    let mut file = fs::File::create(path).expect("made");
    file.write_all(data).expect("written");
    file.sync_all().expect("durable");
}

fn is_mount_point(path: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("it can be read");
    table
        .lines()
        .any(|line| line.split(' ').nth(4).map(Path::new) == Some(path))
}
