//! What lies about on the machine: mounts, loop devices and processes that have to do with a directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Mount points and loop devices below a directory, in words.
pub(crate) fn left_below(directory: &Path) -> Vec<String> {
    let mounts = mounts_below(directory)
        .into_iter()
        .map(|path| format!("mount {}", path.display()));
    let loops = loops_below(directory)
        .into_iter()
        .map(|name| format!("loop device {name}"));
    mounts.chain(loops).collect()
}

/// Processes with the directory in their command line, this one aside.
pub(crate) fn processes_naming(directory: &Path) -> Vec<String> {
    let name = directory.display().to_string();
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
    let lines = processes
        .filter(|entry| entry.file_name().to_str() != Some(&own))
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&name)).collect()
}

/// Takes away what a failed test left. The loop devices are looked for first: once the filesystem of
/// its file is detached, a loop device no longer says where that file was.
pub(crate) fn take_away_below(directory: &Path) {
    let loops = loops_below(directory);
    for mount in mounts_below(directory).iter().rev() {
        drop(Command::new("umount").arg("-l").arg(mount).output());
    }
    for name in loops {
        drop(
            Command::new("losetup")
                .arg("-d")
                .arg(Path::new("/dev").join(name))
                .output(),
        );
    }
}

fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("it can be read");
    let points = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from);
    points
        .filter(|point| point.starts_with(directory))
        .collect()
}

fn loops_below(directory: &Path) -> Vec<String> {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let on_file = devices.filter_map(|entry| {
        let file = fs::read_to_string(entry.path().join("loop/backing_file")).ok()?;
        let ours = Path::new(file.trim_end()).starts_with(directory);
        ours.then(|| entry.file_name().to_string_lossy().into_owned())
    });
    on_file.collect()
}
