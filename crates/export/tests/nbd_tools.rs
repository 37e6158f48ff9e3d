//! The NBD server under tools that others wrote: qemu-img, nbdinfo, fio.

mod support;

use std::path::Path;
use std::sync::Arc;

use hawser_block::BlockDevice;
use hawser_export::nbd::{ExportInfo, NbdServer};
use hawser_export::{ExportMode, ExportRequest, Exporter};
use support::{Odd, Queued, run, shell, text};
use tempfile::TempDir;
use tokio::runtime::Handle;

const MIB: usize = 1024 * 1024;

fn server(directory: &TempDir, device: Arc<dyn BlockDevice>) -> (NbdServer, String) {
    let info = ExportInfo {
        name: "disk".into(),
        description: "a test disk".into(),
    };
    let mut server = NbdServer::new(Handle::current(), info, device);
    let socket = directory.path().join("s");
    server.listen_unix(&socket).unwrap();
    (server, format!("nbd+unix:///?socket={}", text(&socket)))
}

async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_img_writes_and_compares() {
    let directory = tempfile::tempdir().unwrap();
    let (server, uri) = server(&directory, Queued::new(32 * MIB, 512));
    let image = directory.path().join("image");
    off_runtime(move || {
        let image = text(&image);
        shell(&format!(
            "dd if=/dev/urandom of={image} bs=1M count=32 status=none"
        ));
        // A hole, so that the conversion also writes zeroes.
        shell(&format!(
            "dd if=/dev/zero of={image} bs=1M seek=8 count=8 conv=notrunc status=none"
        ));
        let info = run("qemu-img", &["info", "--output=json", &uri]);
        assert!(info.contains("\"virtual-size\": 33554432"), "{info}");
        run(
            "qemu-img",
            &[
                "convert", "-n", "-f", "raw", "-O", "raw", "-W", "-m", "8", image, &uri,
            ],
        );
        run(
            "qemu-img",
            &["compare", "-f", "raw", "-F", "raw", image, &uri],
        );
        let back = format!("{image}.back");
        run(
            "qemu-img",
            &["convert", "-f", "raw", "-O", "raw", &uri, &back],
        );
        run("cmp", &[image, &back]);
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nbdinfo_sees_what_the_disk_can_do() {
    let directory = tempfile::tempdir().unwrap();
    let (server, uri) = server(&directory, Queued::new(MIB, 4096));
    let json = off_runtime(move || run("nbdinfo", &["--json", &uri])).await;
    for expected in [
        "\"protocol\": \"newstyle-fixed\"",
        "\"structured\": true",
        "\"export-size\": 1048576",
        "\"can_flush\": true",
        "\"can_fua\": true",
        "\"can_trim\": true",
        "\"can_zero\": true",
        "\"can_fast_zero\": true",
        "\"can_df\": true",
        "\"can_multi_conn\": true",
        "\"is_read_only\": false",
        "\"block_size_minimum\": 4096",
        "\"block_size_maximum\": 33554432",
        "\"description\": \"a test disk\"",
    ] {
        assert!(json.contains(expected), "{expected} is not in\n{json}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nbdinfo_lists_and_reads_a_read_only_disk() {
    let directory = tempfile::tempdir().unwrap();
    let (server, uri) = server(&directory, Odd::with(|geometry| geometry.read_only = true));
    let image = directory.path().join("image");
    off_runtime(move || {
        let json = run("nbdinfo", &["--list", "--json", &uri]);
        assert!(json.contains("\"is_read_only\": true"), "{json}");
        assert!(json.contains("\"can_trim\": false"), "{json}");
        run(
            "qemu-img",
            &["convert", "-f", "raw", "-O", "raw", &uri, text(&image)],
        );
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fio_verifies_deep_queues_and_odd_sizes() {
    let directory = tempfile::tempdir().unwrap();
    let (server, uri) = server(&directory, Queued::new(32 * MIB, 512));
    let place = directory.path().to_owned();
    off_runtime(move || fio(&place, &uri)).await;
    server.stop().await;
}

fn fio(place: &Path, uri: &str) {
    for (name, rw, sizes, depth) in [
        ("small", "randwrite", "4k", "32"),
        ("mixed", "randrw", "4k-256k", "16"),
    ] {
        let arguments = [
            format!("--name={name}"),
            "--ioengine=nbd".into(),
            format!("--uri={uri}"),
            format!("--rw={rw}"),
            if sizes.contains('-') {
                format!("--bsrange={sizes}")
            } else {
                format!("--bs={sizes}")
            },
            format!("--iodepth={depth}"),
            "--size=24m".into(),
            "--verify=crc32c".into(),
            "--verify_fatal=1".into(),
            "--do_verify=1".into(),
            format!("--directory={}", place.display()),
            format!("--aux-path={}", place.display()),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        run("fio", &arguments);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exporter_serves_nbd_at_a_stable_private_place_and_takes_it_away() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::new(directory.path(), ExportMode::Nbd, Handle::current()).unwrap();
    let mut request = ExportRequest::new(Queued::new(MIB, 512), "iqn.2024-01.test:a/b", 7);
    request.identity = Some("naa.6001405 x".into());
    request.nbd_tcp = Some("127.0.0.1:0".parse().unwrap());
    let export = exporter.export(request).await.unwrap();
    assert_eq!(export.mode, ExportMode::Nbd);
    let socket = export.nbd_socket.clone().unwrap();
    let metadata = std::fs::metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let private = std::fs::metadata(socket.parent().unwrap()).unwrap();
    assert_eq!(private.permissions().mode() & 0o777, 0o700);
    let links = directory.path().canonicalize().unwrap().join("disk");
    let expected = [
        links.join(r"by-target/iqn.2024-01.test:a\x2fb-lun-7"),
        links.join(r"by-id/naa.6001405\x20x"),
    ];
    assert_eq!(export.links, expected);
    for link in &expected {
        assert_eq!(std::fs::read_link(link).unwrap(), socket);
    }
    let (uri, tcp) = (export.nbd_uri.clone().unwrap(), export.nbd_tcp.unwrap());
    off_runtime(move || {
        assert_eq!(run("nbdinfo", &["--size", &uri]).trim(), "1048576");
        assert_eq!(
            run("nbdinfo", &["--size", &format!("nbd://{tcp}/")]).trim(),
            "1048576"
        );
    })
    .await;
    let again = ExportRequest::new(Queued::new(MIB, 512), "iqn.2024-01.test:a/b", 7);
    let error = exporter.export(again).await.unwrap_err();
    assert!(error.to_string().contains("exported already"), "{error}");
    assert!(export.remove().await.left_behind.is_empty());
    assert!(!socket.exists());
    assert!(
        expected
            .iter()
            .all(|link| std::fs::symlink_metadata(link).is_err())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_claims_anothers_identity_does_not_get_its_link() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::new(directory.path(), ExportMode::Nbd, Handle::current()).unwrap();
    let request = |target: &str| {
        let mut request = ExportRequest::new(Queued::new(MIB, 512), target, 0);
        request.identity = Some("naa.1".into());
        request
    };
    let first = exporter.export(request("iqn.first")).await.unwrap();
    let second = exporter.export(request("iqn.second")).await.unwrap();
    assert_eq!((first.links.len(), second.links.len()), (2, 1));
    assert!(
        second
            .declined
            .iter()
            .any(|declined| declined.reason.contains("another export"))
    );
    assert_eq!(
        std::fs::read_link(&first.links[1]).unwrap(),
        first.nbd_socket.clone().unwrap()
    );
    first.remove().await;
    second.remove().await;
    let third = exporter.export(request("iqn.third")).await.unwrap();
    assert_eq!(third.links.len(), 2);
    third.remove().await;
}

#[tokio::test]
async fn the_link_of_an_identity_can_be_taken_over_and_stays_with_who_took_it() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = Exporter::new(directory.path(), ExportMode::Nbd, Handle::current()).unwrap();
    let request = |target: &str| {
        let mut request = ExportRequest::new(Queued::new(MIB, 512), target, 0);
        request.identity = Some("naa.1".into());
        request
    };
    let first = exporter.export(request("iqn.first")).await.unwrap();
    let mut second = exporter.export(request("iqn.second")).await.unwrap();
    let link = second.take_over_by_id("naa.1").unwrap().unwrap();
    assert_eq!(link, first.links[1]);
    assert_eq!(second.links.last(), Some(&link));
    let leads_to = || std::fs::read_link(&link).unwrap();
    assert_eq!(leads_to(), second.nbd_socket.clone().unwrap());
    first.remove().await;
    assert_eq!(leads_to(), second.nbd_socket.clone().unwrap());
    second.remove().await;
    assert!(std::fs::symlink_metadata(&link).is_err());
    let mut none = request("iqn.third");
    none.mode = Some(ExportMode::None);
    let mut none = exporter.export(none).await.unwrap();
    assert_eq!(none.take_over_by_id("naa.1").unwrap(), None);
    none.remove().await;
}
