//! A container's `/dev`, which has `loop-control` but no node for a loop device. Root only.

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hawser_export::{ExportMode, ExportRequest, Exporter, capabilities};
use support::{Queued, RuntimeDir, need_root, run, text};
use tokio::runtime::Handle;

/// Set for the process in the container: its runtime directory.
const BARE: &str = "HAWSER_TEST_BARE_DEV";

/// Not a test by itself: what the test below starts with a bare `/dev`.
#[tokio::test(flavor = "multi_thread")]
async fn inside() {
    let Some(directory) = std::env::var_os(BARE) else {
        return;
    };
    let names = || std::fs::read_dir("/dev").unwrap().count();
    let before = names();
    assert_eq!(capabilities().loop_device, Ok(()));
    assert_eq!(names(), before, "a probe changes nothing");
    let exporter =
        Exporter::new(Path::new(&directory), ExportMode::Loop, Handle::current()).unwrap();
    let request = ExportRequest::new(Queued::new(1024 * 1024, 512), "iqn.2024-01.test:bare", 0);
    let export = exporter.export(request).await.unwrap();
    let node = export.device_node.clone().unwrap();
    let metadata = std::fs::metadata(&node).unwrap();
    assert_eq!(
        (metadata.mode(), metadata.uid()),
        (0o060_600, 0),
        "a block device of root's"
    );
    let size = tokio::task::spawn_blocking({
        let node = node.clone();
        move || run("blockdev", &["--getsize64", text(&node)])
    });
    assert_eq!(size.await.unwrap().trim(), "1048576");
    assert!(export.remove().await.left_behind.is_empty());
    assert!(!node.exists(), "the node that was made is removed");
    println!("all is well");
}

#[test]
fn a_missing_node_is_made_and_removed() {
    need_root();
    let runtime = RuntimeDir::new();
    let directory = text(&runtime.path()).to_owned();
    let program = std::env::current_exe().unwrap();
    let script = format!(
        "mkdir {directory}/dev {directory}/run; mount -t tmpfs none {directory}/dev
         mknod {directory}/dev/null c 1 3; mknod {directory}/dev/fuse c 10 229
         mknod {directory}/dev/loop-control c 10 237; mount --bind {directory}/dev /dev
         {BARE}={directory}/run exec {program} --exact inside --nocapture",
        program = program.display(),
    );
    let printed = run("unshare", &["--mount", "sh", "-ec", &script]);
    assert!(printed.contains("all is well"), "{printed}");
}
