//! FUSE files and loop devices under fio, coreutils and ext4. Root only.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hawser_block::{BlockDevice, ErrorKind};
use hawser_export::{Export, ExportMode, ExportRequest, Exporter};
use support::{InFile, Odd, Queued, RuntimeDir, need_root, run, shell, text, try_run};
use tokio::runtime::Handle;

const MIB: usize = 1024 * 1024;

/// A runtime directory with one export; must be removed at the end.
struct Shown {
    directory: RuntimeDir,
    export: Export,
}

impl Shown {
    async fn new(device: Arc<dyn BlockDevice>, mode: ExportMode) -> Self {
        need_root();
        let directory = RuntimeDir::new();
        let exporter = Exporter::new(&directory.path(), mode, Handle::current()).unwrap();
        let request = ExportRequest::new(device, "iqn.2024-01.test:t", 0);
        let export = exporter.export(request).await.unwrap();
        assert_eq!(export.mode, mode);
        Self { directory, export }
    }

    fn file(&self) -> PathBuf {
        self.export.fuse_file.clone().unwrap()
    }

    fn node(&self) -> PathBuf {
        self.export.device_node.clone().unwrap()
    }

    /// Removes the export, and checks that nothing of it is left.
    async fn remove(self) {
        let (file, node) = (
            self.export.fuse_file.clone(),
            self.export.device_node.clone(),
        );
        let removal = self.export.remove().await;
        assert_eq!(removal.left_behind, Vec::<String>::new());
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = self.directory.path();
        assert!(!table.contains(text(&place)), "still mounted");
        assert!(file.is_none_or(|file| !file.exists()));
        let below = node.and_then(|node| support::backing_file(text(&node)));
        assert!(
            below.is_none_or(|file| !file.contains(text(&place))),
            "still attached"
        );
    }
}

async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn fio(file: &Path, arguments: &[&str]) {
    let filename = format!("--filename={}", file.display());
    let mut all = vec![
        "--name=v",
        &filename,
        "--size=24m",
        "--verify=crc32c",
        "--verify_fatal=1",
        // Else it leaves a file of its state in the working directory.
        "--verify_state_save=0",
    ];
    all.extend_from_slice(arguments);
    run("fio", &all);
}

#[tokio::test(flavor = "multi_thread")]
async fn fio_verifies_a_fuse_file() {
    let shown = Shown::new(Queued::new(32 * MIB, 512), ExportMode::Fuse).await;
    let file = shown.file();
    off_runtime(move || {
        fio(
            &file,
            &[
                "--ioengine=libaio",
                "--direct=1",
                "--rw=randwrite",
                "--bs=4k",
                "--iodepth=32",
            ],
        );
        fio(
            &file,
            &[
                "--ioengine=psync",
                "--rw=randrw",
                "--bs=4k-1m",
                "--numjobs=1",
            ],
        );
        // Sizes that fit no block: every write reads, patches and writes.
        fio(
            &file,
            &["--ioengine=psync", "--rw=write", "--bs=3001", "--size=3m"],
        );
        fio(
            &file,
            &[
                "--ioengine=libaio",
                "--rw=write",
                "--bs=777",
                "--iodepth=16",
                "--size=1m",
            ],
        );
    })
    .await;
    shown.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn byte_writes_of_many_processes_at_once_all_stay() {
    let shown = Shown::new(Queued::new(MIB, 4096), ExportMode::Fuse).await;
    let file = shown.file();
    off_runtime(move || {
        let file = text(&file);
        // Eight writers, each with every eighth byte of the same two blocks.
        let writer = |n: u32| {
            format!(
                "(i={n}; while [ $i -lt 512 ]; do printf {n} | \
                 dd of={file} bs=1 seek=$i conv=notrunc status=none; i=$((i+8)); done) &"
            )
        };
        let writers: Vec<_> = (0..8).map(writer).collect();
        shell(&format!("{} wait", writers.join(" ")));
        let bytes = run("head", &["-c", "512", file]);
        assert_eq!(bytes, "01234567".repeat(64));
    })
    .await;
    shown.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_force_unit_access_and_zeroing_reach_the_disk() {
    let disk = Queued::new(MIB, 512);
    let shown = Shown::new(Arc::clone(&disk) as _, ExportMode::Fuse).await;
    let file = shown.file();
    off_runtime(move || {
        let file = text(&file);
        shell(&format!(
            "yes | dd of={file} bs=64k count=16 iflag=fullblock conv=notrunc,fsync status=none"
        ));
        assert!(disk.flushes.load(Ordering::SeqCst) >= 1);
        assert_eq!(disk.fua_writes.load(Ordering::SeqCst), 0);
        shell(&format!(
            "yes | dd of={file} bs=4k count=4 iflag=fullblock conv=notrunc oflag=dsync status=none"
        ));
        assert_eq!(disk.fua_writes.load(Ordering::SeqCst), 4);
        run(
            "fallocate",
            &["--punch-hole", "--offset", "1000", "--length", "5000", file],
        );
        run(
            "fallocate",
            &[
                "--zero-range",
                "--keep-size",
                "-o",
                "512k",
                "-l",
                "64k",
                file,
            ],
        );
        assert_eq!(disk.zeroed.load(Ordering::SeqCst), 4608 + 65536);
        let nonzero = shell(&format!("tr -d '\\0' < {file} | wc -c"));
        assert_eq!(nonzero.trim(), (MIB - 5000 - 65536).to_string());
        // Past the end a disk is full, and it never becomes shorter.
        let full = try_run(
            "sh",
            &["-c", &format!("head -c 2m /dev/zero | dd of={file} bs=4k")],
        );
        assert!(String::from_utf8_lossy(&full.stderr).contains("No space left"));
        assert_eq!(run("stat", &["-c", "%s", file]).trim(), MIB.to_string());
        assert!(
            !try_run("fallocate", &["-o", "1m", "-l", "4k", file])
                .status
                .success()
        );
        assert!(!try_run("chmod", &["777", file]).status.success());
    })
    .await;
    shown.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_a_read_only_and_a_plain_disk_say_so() {
    let failing = Shown::new(Odd::failing(ErrorKind::Io), ExportMode::Fuse).await;
    let read_only = Shown::new(Odd::with(|g| g.read_only = true), ExportMode::Fuse).await;
    let plain = Shown::new(Odd::with(|g| g.can_write_zeroes = false), ExportMode::Fuse).await;
    let files = [failing.file(), read_only.file(), plain.file()];
    off_runtime(move || {
        let [failing, read_only, plain] = files;
        let read = try_run(
            "dd",
            &[&format!("if={}", failing.display()), "of=/dev/null"],
        );
        assert!(String::from_utf8_lossy(&read.stderr).contains("Input/output error"));
        let target = format!("of={}", read_only.display());
        let write = try_run("dd", &["if=/dev/zero", &target, "count=1", "conv=notrunc"]);
        assert!(String::from_utf8_lossy(&write.stderr).contains("Read-only"));
        let punch = try_run("fallocate", &["--punch-hole", "-l", "4096", text(&plain)]);
        assert!(String::from_utf8_lossy(&punch.stderr).contains("unsupported"));
    })
    .await;
    failing.remove().await;
    read_only.remove().await;
    plain.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ext4_lives_on_a_loop_device() {
    let shown = Shown::new(Queued::new(64 * MIB, 512), ExportMode::Loop).await;
    let node = shown.node();
    let name = node.file_name().unwrap().to_str().unwrap().to_owned();
    let attribute = |path: &str| {
        std::fs::read_to_string(format!("/sys/block/{name}/{path}"))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(attribute("loop/dio"), "1");
    assert_eq!(attribute("loop/partscan"), "1");
    assert_eq!(attribute("loop/autoclear"), "0");
    assert_eq!(attribute("queue/logical_block_size"), "512");
    let place = shown.directory.path().join("m");
    std::fs::create_dir(&place).unwrap();
    let mounted = (text(&node).to_owned(), text(&place).to_owned());
    off_runtime(move || {
        let (node, place) = mounted;
        run("mkfs.ext4", &["-q", "-F", &node]);
        run("mount", &[&node, &place]);
        shell(&format!(
            "dd if=/dev/urandom of={place}/a bs=1M count=24 conv=fsync status=none"
        ));
        shell(&format!(
            "cp {place}/a {place}/b; rm {place}/a; sync; fstrim {place}"
        ));
        let sum = shell(&format!("md5sum < {place}/b"));
        run("umount", &[&place]);
        run("e2fsck", &["-fn", &node]);
        run("mount", &[&node, &place]);
        assert_eq!(shell(&format!("md5sum < {place}/b")), sum);
        run("umount", &[&place]);
        fio(
            Path::new(&node),
            &[
                "--ioengine=libaio",
                "--direct=1",
                "--rw=randwrite",
                "--bs=4k-64k",
                "--iodepth=32",
            ],
        );
    })
    .await;
    shown.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_device_has_the_disks_sector_size_and_protection() {
    let shown = Shown::new(Queued::new(8 * MIB, 4096), ExportMode::Loop).await;
    let node = shown.node();
    off_runtime(move || {
        assert_eq!(run("blockdev", &["--getss", text(&node)]).trim(), "4096");
        assert_eq!(
            run("blockdev", &["--getsize64", text(&node)]).trim(),
            "8388608"
        );
    })
    .await;
    shown.remove().await;
    let shown = Shown::new(Odd::with(|g| g.read_only = true), ExportMode::Loop).await;
    let node = shown.node();
    off_runtime(move || assert_eq!(run("blockdev", &["--getro", text(&node)]).trim(), "1")).await;
    shown.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_grows_grows_on_the_loop_device_too() {
    let backing = tempfile::NamedTempFile::new().unwrap();
    let disk = InFile::open(backing.path(), 8 * MIB as u64);
    let shown = Shown::new(Arc::clone(&disk) as _, ExportMode::Loop).await;
    disk.grow(16 * MIB as u64);
    shown.export.set_geometry_changed().await.unwrap();
    let node = shown.node();
    off_runtime(move || {
        assert_eq!(
            run("blockdev", &["--getsize64", text(&node)]).trim(),
            "16777216"
        );
    })
    .await;
    shown.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_export_says_its_holder_and_is_removed_as_far_as_it_can_be() {
    let shown = Shown::new(Queued::new(32 * MIB, 512), ExportMode::Loop).await;
    assert_eq!(shown.export.holders(), Vec::<String>::new());
    let place = shown.directory.path().join("m");
    std::fs::create_dir(&place).unwrap();
    let (node, mounted) = (shown.node(), text(&place).to_owned());
    let device = text(&node).to_owned();
    off_runtime(move || {
        run("mkfs.ext4", &["-q", "-F", text(&node)]);
        run("mount", &[text(&node), &mounted]);
    })
    .await;
    assert_eq!(
        shown.export.holders(),
        [format!("mounted on {}", place.display())]
    );
    let removal = shown.export.remove().await;
    assert_eq!(removal.left_behind.len(), 2, "{removal:?}");
    // The file system still works, until it is unmounted; then everything goes.
    let below = support::backing_file(&device);
    assert!(below.is_some());
    let mounted = text(&place).to_owned();
    off_runtime(move || {
        shell(&format!("echo still here > {mounted}/f; sync {mounted}/f"));
        run("umount", &[&mounted]);
    })
    .await;
    support::wait_until("the device to go", || {
        support::backing_file(&device) != below
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_takes_the_best_way_and_links_to_it() {
    need_root();
    let directory = RuntimeDir::new();
    let exporter = Exporter::new(&directory.path(), ExportMode::Auto, Handle::current()).unwrap();
    let mut request = ExportRequest::new(Queued::new(MIB, 512), "iqn.2024-01.test:t", 1);
    request.also_nbd = true;
    let export = exporter.export(request).await.unwrap();
    let (loops, fuse) = {
        let capabilities = hawser_export::capabilities();
        (capabilities.loop_device, capabilities.fuse)
    };
    assert_eq!((loops, fuse), (Ok(()), Ok(())));
    assert_eq!(export.mode, ExportMode::Loop);
    assert!(export.declined.is_empty(), "{:?}", export.declined);
    assert_eq!(
        std::fs::read_link(&export.links[0]).unwrap(),
        export.device_node.clone().unwrap()
    );
    let uri = export.nbd_uri.clone().unwrap();
    off_runtime(move || run("nbdinfo", &["--size", &uri])).await;
    assert!(export.remove().await.left_behind.is_empty());
}
