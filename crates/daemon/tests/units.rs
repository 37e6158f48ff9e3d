//! The systemd units in `packaging/`: what systemd thinks of them, and the order they promise.

use std::path::{Path, PathBuf};
use std::process::Command;

const UNITS: [&str; 3] = [
    "hawserd.service",
    "hawser-volumes.service",
    "hawser-volumes.target",
];

fn unit(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../packaging/systemd")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

fn settings(name: &str) -> Vec<(String, String)> {
    let text = unit(name);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn has(name: &str, key: &str, value: &str) -> bool {
    settings(name)
        .iter()
        .any(|(k, v)| k == key && v.split(' ').any(|word| word == value))
}

/// Needs `systemd-analyze` (Debian package systemd).
#[test]
fn systemd_takes_the_units() {
    let root = tempfile::tempdir().unwrap();
    let place = |path: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    for program in ["hawserd", "hawser"] {
        let path = place(&format!("usr/bin/{program}"));
        std::fs::copy("/bin/true", path).unwrap();
    }
    for name in UNITS {
        std::fs::write(place(&format!("etc/systemd/system/{name}")), unit(name)).unwrap();
    }
    for entry in std::fs::read_dir("/usr/lib/systemd/system")
        .unwrap()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        if Path::new(&name)
            .extension()
            .is_some_and(|kind| kind == "target" || kind == "slice")
        {
            let text = std::fs::read(entry.path()).unwrap_or_default();
            std::fs::write(place(&format!("usr/lib/systemd/system/{name}")), text).unwrap();
        }
    }
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .arg(format!("--root={}", root.path().display()))
        .arg("--man=no")
        .args(UNITS)
        .output()
        .expect("systemd-analyze runs (Debian package systemd)");
    let said = String::from_utf8_lossy(&verify.stderr);
    assert!(verify.status.success(), "{said}");
    assert!(!said.contains("hawser"), "{said}");
}

#[test]
fn services_wait_for_the_target_and_the_target_for_the_volumes() {
    assert!(has("hawserd.service", "Type", "notify"));
    for key in ["Requires", "After"] {
        assert!(
            has("hawser-volumes.service", key, "hawserd.service"),
            "{key}"
        );
        assert!(
            has("hawser-volumes.target", key, "hawser-volumes.service"),
            "{key}"
        );
    }
    assert!(has("hawser-volumes.service", "Type", "oneshot"));
    assert!(has("hawser-volumes.service", "RemainAfterExit", "yes"));
    assert!(has("hawser-volumes.service", "ExecStart", "wait"));
}

/// A mount made in a private mount namespace is not seen outside (`systemd.exec(5)`).
#[test]
fn the_daemon_shares_the_mount_namespace_of_the_system() {
    let private = [
        "BindPaths",
        "BindReadOnlyPaths",
        "DynamicUser",
        "ExecPaths",
        "ExtensionDirectories",
        "ExtensionImages",
        "InaccessiblePaths",
        "LogNamespace",
        "MountAPIVFS",
        "MountFlags",
        "MountImages",
        "NoExecPaths",
        "PrivateDevices",
        "PrivateIPC",
        "PrivateMounts",
        "PrivateTmp",
        "PrivateUsers",
        "ProcSubset",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectProc",
        "ProtectSystem",
        "ReadOnlyPaths",
        "ReadWritePaths",
        "RootDirectory",
        "RootImage",
        "TemporaryFileSystem",
        "RuntimeDirectory",
    ];
    for (key, _) in settings("hawserd.service") {
        assert!(!private.contains(&key.as_str()), "{key}");
    }
    assert!(has("hawserd.service", "KillMode", "mixed"));
}
