//! Exports of a process that is not root. The test itself is run as root, because it makes a place
//! where a plain user may open `/dev/fuse`, as on any ordinary system.

mod support;

use std::path::Path;

use hawser_export::{ExportError, ExportMode, ExportRequest, Exporter, capabilities};
use support::{Queued, RuntimeDir, need_root, run, shell, text};
use tokio::runtime::Handle;

const MIB: usize = 1024 * 1024;

/// Set for the process that has no privileges: its runtime directory.
const PLAIN: &str = "HAWSER_TEST_PLAIN_USER";

/// Not a test by itself: what the test below starts as a plain user.
#[tokio::test(flavor = "multi_thread")]
async fn without_privileges() {
    let Some(directory) = std::env::var_os(PLAIN) else {
        return;
    };
    let directory = Path::new(&directory);
    let capabilities = capabilities();
    assert_eq!(capabilities.fuse, Ok(()));
    assert!(
        capabilities
            .loop_device
            .unwrap_err()
            .contains("/dev/loop-control")
    );
    let exporter = Exporter::new(directory, ExportMode::Auto, Handle::current()).unwrap();
    let request = || ExportRequest::new(Queued::new(MIB, 512), "iqn.2024-01.test:plain", 0);
    let export = exporter.export(request()).await.unwrap();
    assert_eq!(export.mode, ExportMode::Fuse, "{:?}", export.declined);
    assert_eq!(export.declined.len(), 1, "{:?}", export.declined);
    let file = export.links[0].clone();
    let work = tokio::task::spawn_blocking(move || {
        let file = text(&file);
        shell(&format!(
            "yes | dd of={file} bs=1000 count=1000 iflag=fullblock conv=notrunc,fsync"
        ));
        assert_eq!(
            shell(&format!("head -c 1000000 {file} | tr -d 'y\\n' | wc -c")).trim(),
            "0"
        );
    });
    work.await.unwrap();
    assert!(export.remove().await.left_behind.is_empty());
    let mut wish = request();
    wish.mode = Some(ExportMode::Loop);
    match exporter.export(wish).await {
        Err(ExportError::Unavailable(declined)) => assert_eq!(declined[0].mode, ExportMode::Loop),
        other => panic!("{other:?}"),
    }
    let left: Vec<_> = std::fs::read_dir(directory.join("fuse")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    println!("all is well");
}

#[test]
fn a_plain_user_gets_a_fuse_file_through_fusermount3() {
    need_root();
    let runtime = RuntimeDir::new();
    let directory = text(&runtime.path()).to_owned();
    let program = std::env::current_exe().unwrap();
    // In a mount namespace of its own, /dev/fuse is open to all, and nothing stays behind.
    let script = format!(
        "cp {program} {directory}/program; chmod 755 {directory}; mkdir -m 777 {directory}/run
         mkdir {directory}/dev; mount -t tmpfs none {directory}/dev
         mknod -m 666 {directory}/dev/fuse c 10 229; mount --bind {directory}/dev/fuse /dev/fuse
         {PLAIN}={directory}/run exec setpriv --reuid=65534 --regid=65534 --clear-groups \
         {directory}/program --exact without_privileges --nocapture",
        program = program.display(),
    );
    let printed = run("unshare", &["--mount", "sh", "-ec", &script]);
    assert!(printed.contains("all is well"), "{printed}");
}
