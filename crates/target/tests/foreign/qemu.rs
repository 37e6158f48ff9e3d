//! qemu's iSCSI driver (package `qemu-block-extra`): a whole image in and out again.

use hawser_target::disk::FileBackend;

use super::*;

#[test]
#[ignore = "needs qemu-block-extra of the very version of qemu-utils"]
fn an_image_is_written_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let image = path("image");
    // 24 MiB that do not repeat, with a hole in the middle.
    let mut bytes: Vec<u8> = (0..3_u32 << 20)
        .flat_map(|n| (u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
        .collect();
    bytes[8 << 20..16 << 20].fill(0);
    std::fs::write(&image, &bytes).unwrap();
    let file = FileBackend::create(path("disk").as_ref(), 24 << 20).unwrap();
    for unit in [ram(24), disk(Arc::new(file))] {
        let server = Server::with_target(target().lun(0, unit));
        let url = server.url();
        run(
            "qemu-img",
            &["convert", "-n", "-f", "raw", "-O", "raw", &image, &url],
        );
        run(
            "qemu-img",
            &["compare", "-f", "raw", "-F", "raw", &image, &url],
        );
        let copy = path("copy");
        run(
            "qemu-img",
            &["convert", "-f", "raw", "-O", "raw", &url, &copy],
        );
        assert!(std::fs::read(copy).unwrap() == bytes, "the copy differs");
        // One write and read of 1 MiB + 512 bytes at an odd place, with the header digest.
        let (portal, iqn) = (server.portal(), IQN);
        let options = format!(
            "driver=raw,file.driver=iscsi,file.transport=tcp,file.portal={portal},\
             file.target={iqn},file.lun=0,file.header-digest=crc32c"
        );
        let commands = [
            "-c",
            "write -P 0x5a 512 1049088",
            "-c",
            "read -P 0x5a 512 1049088",
        ];
        let text = run(
            "qemu-io",
            &[&["--image-opts"], &commands[..], &[&options]].concat(),
        );
        assert!(!text.contains("failed"), "{text}");
    }
}
