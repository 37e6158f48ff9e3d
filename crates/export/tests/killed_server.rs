//! A server that is killed with SIGKILL, what it leaves, and how the next one goes on. Root only.

mod support;

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use hawser_export::{ExportMode, ExportRequest, Exporter, clean_up};
use support::{Hung, InFile, RuntimeDir, need_root, run, shell, text, try_run};
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
    let mut request = request(directory);
    let hung = std::env::var_os(HANGS).map(|_| Hung::new(SIZE as usize));
    if let Some(hung) = &hung {
        request.device = Arc::clone(hung) as _;
        request.mode = Some(ExportMode::Fuse);
    }
    let export = exporter.export(request).await.unwrap();
    println!("node={}", export.best_path().unwrap().display());
    if let Some(hung) = hung {
        tokio::task::spawn_blocking(move || hung.wait_for(1))
            .await
            .unwrap();
        println!("a request waits");
    }
    std::future::pending::<()>().await;
}

/// Set when its disk answers nothing; then it shows a FUSE file only.
const HANGS: &str = "HAWSER_TEST_HANGS";

fn request(directory: &Path) -> ExportRequest {
    let device = InFile::open(&directory.join("backing"), SIZE);
    let mut request = ExportRequest::new(device, "iqn.2024-01.test:killed", 0);
    request.identity = Some("naa.600".into());
    request.also_nbd = true;
    request
}

/// A server in a process of its own.
struct Server {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The device node or file it shows.
    shown: String,
}

impl Server {
    fn start(directory: &Path, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "serve_until_killed", "--nocapture"])
            .env(SERVE, directory)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut server = Self {
            process,
            lines,
            shown: String::new(),
        };
        server.shown = server.line("node=");
        server
    }

    /// What follows `start` on the line that has it; the server's end fails the test.
    fn line(&mut self, start: &str) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines
            .find_map(|line| Some(line.split_once(start)?.1.to_owned()))
            .expect("the server lives")
    }

    /// Kills it and waits for its end, which must come.
    fn kill(mut self) {
        self.process.kill().unwrap();
        let ended = || self.process.try_wait().unwrap().is_some();
        support::wait_until("the killed server's end", ended);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_cleans_up_and_goes_on_at_the_same_places() {
    need_root();
    let runtime = RuntimeDir::new();
    let directory = runtime.path();
    let place = directory.join("m");
    std::fs::create_dir(&place).unwrap();
    let place = text(&place).to_owned();
    let server = Server::start(&directory, &[]);
    let node = server.shown.clone();
    run("mkfs.ext4", &["-q", "-F", &node]);
    run("mount", &[&node, &place]);
    shell(&format!(
        "dd if=/dev/urandom of={place}/kept bs=1M count=8 conv=fsync status=none"
    ));
    let sum = shell(&format!("md5sum < {place}/kept"));
    // Not synced: it may be lost, but nothing else may be.
    shell(&format!("echo lost > {place}/lost"));
    server.kill();

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
    let server = Server::start(&directory, &[]);
    let node = server.shown.clone();
    run("mkfs.ext4", &["-q", "-F", &node]);
    run("mount", &[&node, &place]);
    // A program that stays in the file system with a file open.
    let mut user = Command::new("sleep")
        .arg("300")
        .current_dir(&place)
        .spawn()
        .unwrap();
    server.kill();

    let report = clean_up(&directory).unwrap();
    assert!(!report.left_behind.is_empty());
    let exporter = Exporter::new(&directory, ExportMode::Loop, Handle::current()).unwrap();
    let export = exporter.export(request(&directory)).await.unwrap();
    let new = text(export.device_node.as_ref().unwrap()).to_owned();
    assert_ne!(new, node, "the old device is in use still");
    let old_file = support::backing_file(&node);
    user.kill().unwrap();
    user.wait().unwrap();
    support::wait_until("the old device to go", || {
        support::backing_file(&node) != old_file
    });
    // The killed file system's journal is replayed: 0 or 1 says that it is sound afterwards.
    let check = tokio::task::spawn_blocking(move || try_run("e2fsck", &["-fy", &new]));
    assert!(matches!(check.await.unwrap().status.code(), Some(0 | 1)));
    assert!(export.remove().await.left_behind.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_hung_disk_can_be_killed_while_the_disk_is_read() {
    need_root();
    let runtime = RuntimeDir::new();
    let directory = runtime.path();
    let mut server = Server::start(&directory, &[(HANGS, "1")]);
    let mut reader = Command::new("dd")
        .args([&format!("if={}", server.shown), "of=/dev/null", "bs=4k"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It waits in the kernel, where only the connection's end reaches it.
    server.line("a request waits");
    server.kill();
    support::wait_until("the reader's end", || reader.try_wait().unwrap().is_some());
    let report = clean_up(&directory).unwrap();
    assert!(report.left_behind.is_empty(), "{report:?}");
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
    Server::start(&directory, &[]).kill();
    let report = clean_up(&directory).unwrap();
    assert!(report.left_behind.is_empty(), "{report:?}");
    let files = run(
        "losetup",
        &["--noheadings", "--list", "--output", "BACK-FILE"],
    );
    assert!(files.contains(text(&image)), "{files}");
    assert!(!files.contains(text(&directory.join("fuse"))), "{files}");
    run("mountpoint", &["-q", text(&foreign)]);
    run("umount", &[text(&foreign)]);
    run("losetup", &["--detach", &node]);
}
