//! ext4, fio and qemu-img on disks of tgt and istgt, with the target killed in the middle of writes.

use std::path::Path;

use hawser_testkit::peers::{
    FioJob, Istgt, IstgtConfig, IstgtTarget, TgtConfig, TgtTarget, Tgtd, qemu_img_compare,
    qemu_img_convert, qemu_img_info, wait_until,
};

use super::rig::{LIMIT, Rig, tool};

const TARGET: &str = "iqn.2026-11.test.hawser:exports";
const MIB: u64 = 1 << 20;

fn tgt() -> Tgtd {
    let target = TgtTarget::new(TARGET).disks(1, 64 * MIB);
    Tgtd::start(TgtConfig::new().target(target)).expect("tgtd starts")
}

fn istgt() -> Istgt {
    let target = IstgtTarget::new(TARGET).disks(1, 64 * MIB);
    Istgt::start(IstgtConfig::new().target(target)).expect("istgt starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// 8 MiB that do not repeat.
fn content(seed: u32) -> Vec<u8> {
    (0..2 * MIB as u32)
        .flat_map(|n| {
            n.wrapping_mul(2_654_435_761)
                .wrapping_add(seed)
                .to_le_bytes()
        })
        .collect()
}

/// The main job, whole: discover, log in for good, mkfs, mount, bind, kill the daemon, restart: the
/// volume is back with what was written, and the filesystem is clean.
fn a_bound_volume_comes_back(portal: std::net::SocketAddr) {
    let mut rig = Rig::start("loop");
    let disk = rig.log_in(portal, TARGET);
    let device = disk["device"].as_str().expect("a loop device").to_owned();
    let volume = rig.path("volume");
    std::fs::create_dir(&volume).unwrap();
    tool("mkfs.ext4", &["-q", "-F", &device]);
    tool("mount", &[&device, text(&volume)]);
    rig.run(&["bind", text(&volume)]);
    std::fs::write(volume.join("file"), content(1)).unwrap();
    tool("sync", &["-f", text(&volume)]);
    rig.kill_and_restart();
    rig.run(&["wait", "--timeout", "60"]);
    let bound = rig.json(&["bound"]);
    assert_eq!(bound[0]["state"], "usable", "{bound:#}");
    assert!(
        std::fs::read(volume.join("file")).unwrap() == content(1),
        "the file is back"
    );
    rig.run(&["unbind", "--all"]);
    tool("umount", &[text(&volume)]);
    let device = rig.first_disk()["device"]
        .as_str()
        .expect("a loop device")
        .to_owned();
    tool("fsck.ext4", &["-fn", &device]);
    tool("mount", &[&device, text(&volume)]);
    assert!(
        std::fs::read(volume.join("file")).unwrap() == content(1),
        "after fsck"
    );
    tool("umount", &[text(&volume)]);
    rig.run(&["logout", TARGET]);
}

#[test]
fn a_bound_volume_on_tgt_comes_back() {
    let server = tgt();
    a_bound_volume_comes_back(server.portal());
}

#[test]
fn a_bound_volume_on_istgt_comes_back() {
    let server = istgt();
    a_bound_volume_comes_back(server.portal());
}

/// Waits until `bytes` more were written to a loop device.
fn wait_for_writes(device: &str, bytes: u64) {
    let name = device.rsplit('/').next().unwrap_or_default();
    let written = || {
        let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat")).expect("statistics");
        // The seventh field counts sectors of 512 bytes.
        stat.split_whitespace()
            .nth(6)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or(0)
            * 512
    };
    let goal = written() + bytes;
    let reached = || match written() {
        now if now >= goal => Ok(()),
        now => Err(format!("{now} of {goal} bytes")),
    };
    wait_until("writes to the loop device", LIMIT, reached).expect("fio writes");
}

/// The target dies and comes back while ext4 on the loop device is written to: nothing is lost, and
/// nothing even fails.
#[test]
fn ext4_survives_a_killed_target() {
    let mut server = tgt();
    let rig = Rig::start("loop");
    let disk = rig.log_in(server.portal(), TARGET);
    let device = disk["device"].as_str().expect("a loop device").to_owned();
    let volume = rig.path("volume");
    std::fs::create_dir(&volume).unwrap();
    tool("mkfs.ext4", &["-q", "-F", &device]);
    tool("mount", &[&device, text(&volume)]);
    let file = volume.join("fio");
    let writer = std::thread::spawn(move || {
        FioJob::file(&file, 16 * MIB)
            .verify()
            .direct()
            .seconds(6)
            .run(2 * LIMIT)
    });
    for _ in 0..2 {
        wait_for_writes(&device, 4 * MIB);
        server.kill();
        server.restart().expect("tgtd comes back");
    }
    let report = writer.join().unwrap().expect("fio finds every byte");
    assert_eq!(report.errors, 0);
    tool("umount", &[text(&volume)]);
    tool("fsck.ext4", &["-fn", &device]);
    rig.run(&["logout", TARGET]);
}

#[test]
fn fio_verifies_the_fuse_file_on_tgt() {
    let server = tgt();
    let rig = Rig::start("fuse");
    let disk = rig.log_in(server.portal(), TARGET);
    let file = disk["fuse_path"].as_str().expect("a FUSE file").to_owned();
    let job = FioJob::file(Path::new(&file), 32 * MIB)
        .block_size("4k")
        .queue_depth(32)
        .verify();
    let report = job.direct().run(LIMIT).expect("fio finds every byte");
    assert!(
        report.writes >= 32 * MIB / 4096 && report.errors == 0,
        "{report:?}"
    );
    rig.run(&["logout", TARGET]);
}

#[test]
fn fio_and_qemu_img_work_on_the_nbd_export_of_tgt() {
    let server = tgt();
    let rig = Rig::start("nbd");
    let disk = rig.log_in(server.portal(), TARGET);
    let uri = disk["nbd"].as_str().expect("an NBD address").to_owned();
    let report = FioJob::nbd(&uri, 32 * MIB)
        .verify()
        .run(LIMIT)
        .expect("fio finds every byte");
    assert_eq!(report.errors, 0);

    let info = qemu_img_info(&uri, LIMIT).expect("qemu-img info");
    assert_eq!(info["virtual-size"], 64 * MIB, "{info:#}");
    let image = rig.path("image");
    let data: Vec<u8> = (0..8).flat_map(content).collect();
    std::fs::write(&image, &data).unwrap();
    qemu_img_convert(text(&image), &uri, true, LIMIT).expect("qemu-img convert");
    qemu_img_compare(&uri, &image, LIMIT).expect("qemu-img compare");
    rig.run(&["logout", TARGET]);
    assert!(
        std::fs::read(server.image(0, 1).expect("a file")).unwrap() == data,
        "on the target"
    );
}
