//! A disk that answers nothing: its neighbour goes on, and it can be taken away. Root only.

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hawser_export::{Declined, ExportMode, ExportRequest, Exporter};
use support::{Hung, Queued, RuntimeDir, need_root, run, text, wait_until};
use tokio::runtime::Handle;

const MIB: usize = 1024 * 1024;

async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn fio(file: &Path) {
    let filename = format!("--filename={}", file.display());
    run(
        "fio",
        &[
            "--name=n",
            // Else it leaves a file of its state in the working directory.
            "--verify_state_save=0",
            &filename,
            "--ioengine=libaio",
            "--direct=1",
            "--rw=randwrite",
            "--bs=4k",
            "--iodepth=32",
            "--size=8m",
            "--verify=crc32c",
        ],
    );
}

/// Starts a reader with more requests than the connection's whole background queue.
fn stuck_user(node: &Path) -> Child {
    let filename = format!("--filename={}", node.display());
    Command::new("fio")
        .args([
            "--name=stuck",
            &filename,
            "--ioengine=libaio",
            "--direct=1",
            "--rw=randread",
        ])
        .args(["--bs=4k", "--iodepth=256", "--size=16m"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_disk_holds_up_no_neighbour_and_can_be_removed() {
    need_root();
    let directory = RuntimeDir::new();
    let exporter = Exporter::new(&directory.path(), ExportMode::Loop, Handle::current()).unwrap();
    let hung = Hung::new(16 * MIB);
    hung.set_hanging(false);
    let request = ExportRequest::new(Arc::clone(&hung) as _, "iqn.2024-01.test:hung", 0);
    let stuck = exporter.export(request).await.unwrap();
    let request = ExportRequest::new(Queued::new(16 * MIB, 512), "iqn.2024-01.test:well", 0);
    let healthy = exporter.export(request).await.unwrap();
    hung.set_hanging(true);
    let mut user = stuck_user(stuck.device_node.as_ref().unwrap());
    let waiting = Arc::clone(&hung);
    off_runtime(move || waiting.wait_for(100)).await;
    let (node, file) = (
        healthy.device_node.clone().unwrap(),
        healthy.fuse_file.clone().unwrap(),
    );
    off_runtime(move || {
        fio(&node);
        fio(&file);
    })
    .await;
    let begun = Instant::now();
    let removal = stuck.remove().await;
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "took {:?}",
        begun.elapsed()
    );
    assert_eq!(
        removal.left_behind.len(),
        2,
        "its user waits still: {removal:?}"
    );
    assert!(healthy.remove().await.left_behind.is_empty());
    // The end of the session ends the requests; then the user ends, and the device goes.
    hung.set_hanging(false);
    hung.release();
    wait_until("the stuck user's end", || {
        user.try_wait().unwrap().is_some()
    });
    let place = text(&directory.path()).to_owned();
    wait_until("the stuck device to go", || {
        !run(
            "losetup",
            &["--list", "--noheadings", "--output", "BACK-FILE"],
        )
        .contains(&place)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_is_attached_all_the_same_and_can_be_removed() {
    need_root();
    let directory = RuntimeDir::new();
    let exporter = Exporter::new(&directory.path(), ExportMode::Auto, Handle::current()).unwrap();
    let hung = Hung::new(16 * MIB);
    let request = ExportRequest::new(Arc::clone(&hung) as _, "iqn.2024-01.test:hung", 0);
    let export = exporter.export(request).await.unwrap();
    assert_eq!(export.mode, ExportMode::Loop, "{:?}", export.declined);
    // A kernel that knows partitions wants to read their table; this is said and holds up nobody.
    let pending = |declined: &Declined| declined.reason.contains("does not answer yet");
    assert!(export.declined.iter().all(pending), "{:?}", export.declined);
    let begun = Instant::now();
    let removal = export.remove().await;
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "took {:?}",
        begun.elapsed()
    );
    assert_eq!(removal.left_behind, Vec::<String>::new());
    let place = text(&directory.path()).to_owned();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&place), "{mounts}");
    let devices = run(
        "losetup",
        &["--list", "--noheadings", "--output", "BACK-FILE"],
    );
    assert!(!devices.contains(&place), "{devices}");
    hung.release();
}
