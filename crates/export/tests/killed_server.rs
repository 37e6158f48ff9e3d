//! A server that is killed with SIGKILL, what it leaves, and how the next one goes on. Root only.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hawser_export::{ExportMode, ExportRequest, Exporter, clean_up};
use support::{InFile, RuntimeDir, need_root, run, shell, text, try_run};
use tokio::runtime::Handle;

const SIZE: u64 = 64 * 1024 * 1024;

/// Set for the process that serves: its runtime directory.
const SERVE: &str = "HAWSER_TEST_SERVE";

/// Not a test by itself: what the other tests start in a process of its own, to kill it.
#[tokio::test(flavor = "multi_thread")]
async fn serve_until_killed() {
    let Some(directory) = std::env::var_os(SERVE) else {
        return;
    };
    let directory = Path::new(&directory);
    let exporter = Exporter::new(directory, ExportMode::Loop, Handle::current()).unwrap();
    let export = exporter.export(request(directory)).await.unwrap();
    println!("node={}", export.device_node.as_ref().unwrap().display());
    std::future::pending::<()>().await;
}

fn request(directory: &Path) -> ExportRequest {
    let device = InFile::open(&directory.join("backing"), SIZE);
    let mut request = ExportRequest::new(device, "iqn.2024-01.test:killed", 0);
    request.identity = Some("naa.600".into());
    request.also_nbd = true;
    request
}

/// Starts a server and gives it with its device node.
fn start(directory: &Path) -> (Child, String) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "serve_until_killed", "--nocapture"])
        .env(SERVE, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let node = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("node=").map(|(_, node)| node.to_owned()));
    (server, node.expect("the server says its node"))
}

/// Kills a server and waits for its end, which must come.
fn kill(mut server: Child) {
    server.kill().unwrap();
    support::wait_until("the killed server's end", || {
        server.try_wait().unwrap().is_some()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_cleans_up_and_goes_on_at_the_same_places() {
    need_root();
    let runtime = RuntimeDir::new();
    let directory = runtime.path();
    let place = directory.join("m");
    std::fs::create_dir(&place).unwrap();
    let place = text(&place).to_owned();
    let (server, node) = start(&directory);
    run("mkfs.ext4", &["-q", "-F", &node]);
    run("mount", &[&node, &place]);
    shell(&format!(
        "dd if=/dev/urandom of={place}/kept bs=1M count=8 conv=fsync status=none"
    ));
    let sum = shell(&format!("md5sum < {place}/kept"));
    // Not synced: it may be lost, but nothing else may be.
    shell(&format!("echo lost > {place}/lost"));
    kill(server);

    let report = clean_up(&directory).unwrap();
    assert_eq!(
        report.left_behind,
        Vec::<String>::new(),
        "removed: {:?}",
        report.removed
    );
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains(text(&directory)), "{table}");
    assert_eq!(
        clean_up(&directory).unwrap(),
        hawser_export::CleanUp::default()
    );

    let exporter = Exporter::new(&directory, ExportMode::Loop, Handle::current()).unwrap();
    let export = exporter.export(request(&directory)).await.unwrap();
    let node = text(export.device_node.as_ref().unwrap()).to_owned();
    assert_eq!(export.links.len(), 2);
    let checked = place.clone();
    tokio::task::spawn_blocking(move || {
        run("mount", &[&node, &checked]);
        assert_eq!(shell(&format!("md5sum < {checked}/kept")), sum);
        run("umount", &[&checked]);
        run("e2fsck", &["-fn", &node]);
    })
    .await
    .unwrap();
    assert!(export.remove().await.left_behind.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_use_is_taken_off_its_place() {
    need_root();
    let runtime = RuntimeDir::new();
    let directory = runtime.path();
    let place = directory.join("m");
    std::fs::create_dir(&place).unwrap();
    let place = text(&place).to_owned();
    let (server, node) = start(&directory);
    run("mkfs.ext4", &["-q", "-F", &node]);
    run("mount", &[&node, &place]);
    // A program that stays in the file system with a file open.
    let mut user = Command::new("sleep")
        .arg("300")
        .current_dir(&place)
        .spawn()
        .unwrap();
    kill(server);

    let report = clean_up(&directory).unwrap();
    assert!(!report.left_behind.is_empty());
    let exporter = Exporter::new(&directory, ExportMode::Loop, Handle::current()).unwrap();
    let export = exporter.export(request(&directory)).await.unwrap();
    let new = text(export.device_node.as_ref().unwrap()).to_owned();
    assert_ne!(new, node, "the old device is in use still");
    user.kill().unwrap();
    user.wait().unwrap();
    let name = node.rsplit('/').next().unwrap().to_owned();
    let backing = format!("/sys/block/{name}/loop/backing_file");
    support::wait_until("the old device to go", || !Path::new(&backing).exists());
    // The killed file system's journal is replayed: 0 or 1 says that it is sound afterwards.
    let check = tokio::task::spawn_blocking(move || try_run("e2fsck", &["-fy", &new]));
    assert!(matches!(check.await.unwrap().status.code(), Some(0 | 1)));
    assert!(export.remove().await.left_behind.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_mounts_of_others_are_let_be() {
    need_root();
    let runtime = RuntimeDir::new();
    let directory = runtime.path();
    let image = directory.join("image");
    shell(&format!("truncate -s 16M {}", image.display()));
    let node = run("losetup", &["--find", "--show", text(&image)])
        .trim()
        .to_owned();
    let foreign = directory.join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    run("mount", &["-t", "tmpfs", "none", text(&foreign)]);
    let (server, ours) = start(&directory);
    kill(server);
    let report = clean_up(&directory).unwrap();
    assert!(report.left_behind.is_empty(), "{report:?}");
    let still = run("losetup", &["--noheadings", "--list", "--output", "NAME"]);
    assert!(still.contains(&node), "{still}");
    assert!(!still.lines().any(|line| line.trim() == ours), "{still}");
    run("mountpoint", &["-q", text(&foreign)]);
    run("umount", &[text(&foreign)]);
    run("losetup", &["--detach", &node]);
    assert!(
        try_run("mountpoint", &["-q", text(&directory.join("fuse"))])
            .status
            .code()
            != Some(0)
    );
}
