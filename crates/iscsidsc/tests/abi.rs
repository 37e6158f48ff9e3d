//! The shared library through its C ABI: Python programs that call each of the 79 exports of `libiscsidsc.so`, a real
//! daemon, and targets of tgt behind it. `docs/discovery-library.md` says how it is used and
//! which test is which export's.
//!
//! One test a module of `tests/abi`, so that they run side by side and are seen by name. The first argument of a name
//! filter selects modules; `ABI_TESTS="Class.test …"` selects tests in them.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

#[path = "abi/coverage.rs"]
mod coverage;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd, Tool};

/// How long a module may take; it takes a few seconds.
const LIMIT: Duration = Duration::from_secs(300);
/// Bytes of each disk.
const DISK: u64 = 64 << 20;
/// The second portal of the open server: every address of 127.0.0.0/8 is this machine's.
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

// The names by which `peers.py` has them.
const DISKS: &str = "iqn.2026-11.test.abi:disks";
const OTHER: &str = "iqn.2026-11.test.abi:other";
const NAMED: &str = "iqn.2026-11.test.abi:named";
const NAMED_INITIATOR: &str = "iqn.2026-11.test.abi:known-initiator";
const CHAP: &str = "iqn.2026-11.test.abi:chap";
const NODE_CHAP: &str = "iqn.2026-11.test.abi:node-chap";
const NODE_CHAP_INITIATOR: &str = "iqn.2026-11.test.abi:chap-initiator";
const MUTUAL: &str = "iqn.2026-11.test.abi:mutual";
const CHAP_USER: &str = "abi-user";
const CHAP_SECRET: &str = "secret-of-chap-1";
const MUTUAL_USER: &str = "abi-target";
const MUTUAL_SECRET: &str = "secret-of-peer-2";

/// What `OTHER` says in a login; `test_session_list.py` has what comes of it.
const OTHER_KEYS: [(&str, &str); 6] = [
    ("InitialR2T", "Yes"),
    ("ImmediateData", "No"),
    ("FirstBurstLength", "16384"),
    ("MaxBurstLength", "131072"),
    ("MaxRecvDataSegmentLength", "32768"),
    ("MaxConnections", "4"),
];

macro_rules! modules {
    ($($module:ident)*) => {
        $(
            #[test]
            fn $module() {
                run(stringify!($module));
            }
        )*

        #[test]
        fn every_module_is_run() {
            let mut found: Vec<String> = std::fs::read_dir(folder())
                .expect("listed")
                .map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8"))
                .filter_map(|name| name.strip_suffix(".py").map(str::to_owned))
                .filter(|name| name.starts_with("test_"))
                .collect();
            found.sort();
            let mut run = [$(stringify!($module)),*];
            run.sort_unstable();
            assert_eq!(found, run, "name each module of tests/abi in `modules!`");
        }
    };
}

modules! {
    test_access
    test_chap
    test_connections
    test_devices
    test_discovery
    test_initiator
    test_ipsec
    test_login
    test_persistent_devices
    test_persistent_logins
    test_scsi
    test_servers
    test_session_list
    test_targets
}

/// Where the modules are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/abi")
}

/// A file that cargo made, in the folder of this program or the one above.
fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("has a path");
    let places = own.ancestors().skip(1).take(2);
    let found = places
        .map(|place| place.join(name))
        .find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: cargo build -p hawser-cli --bins"))
}

/// The server whose targets everybody may use, and one only by its name.
fn open_server() -> Tgtd {
    let mut named = TgtTarget::new(NAMED).disks(1, DISK);
    named.allowed = vec![NAMED_INITIATOR.to_owned()];
    let config = TgtConfig::new()
        .address(SECOND)
        .target(TgtTarget::new(DISKS).disks(3, DISK))
        .target(other())
        .target(named);
    Tgtd::start(config).expect("tgtd serves")
}

/// A target whose answers in a login differ from the defaults and from what we offer.
fn other() -> TgtTarget {
    let mut other = TgtTarget::new(OTHER).disks(2, DISK).digests();
    for (key, value) in OTHER_KEYS {
        other = other.parameter(key, value);
    }
    other
}

/// The server whose targets demand CHAP.
fn guarded_server() -> Tgtd {
    let guarded = |name| {
        TgtTarget::new(name)
            .disks(1, DISK)
            .chap(CHAP_USER, CHAP_SECRET)
    };
    let mutual = guarded(MUTUAL).mutual(MUTUAL_USER, MUTUAL_SECRET);
    let by_node_name = TgtTarget::new(NODE_CHAP)
        .disks(1, DISK)
        .chap(NODE_CHAP_INITIATOR, CHAP_SECRET);
    let config = TgtConfig::new()
        .target(guarded(CHAP))
        .target(mutual)
        .target(by_node_name);
    Tgtd::start(config).expect("tgtd serves")
}

/// What a module finds in its environment.
fn environment(open: &Tgtd, guarded: &Tgtd) -> Vec<(&'static str, OsString)> {
    let second = SocketAddr::new(SECOND, open.port());
    vec![
        ("LIBRARY", built("libiscsidsc.so").into()),
        ("HAWSERD", built("hawserd").into()),
        ("HAWSER", built("hawser").into()),
        ("VERSION", env!("CARGO_PKG_VERSION").into()),
        ("OPEN_PORTAL", open.portal().to_string().into()),
        ("OPEN_SECOND_PORTAL", second.to_string().into()),
        ("GUARDED_PORTAL", guarded.portal().to_string().into()),
        ("DISKS", DISKS.into()),
        ("OTHER", OTHER.into()),
        ("NAMED", NAMED.into()),
        ("NAMED_INITIATOR", NAMED_INITIATOR.into()),
        ("CHAP", CHAP.into()),
        ("NODE_CHAP", NODE_CHAP.into()),
        ("NODE_CHAP_INITIATOR", NODE_CHAP_INITIATOR.into()),
        ("MUTUAL", MUTUAL.into()),
        ("CHAP_USER", CHAP_USER.into()),
        ("CHAP_SECRET", CHAP_SECRET.into()),
        ("MUTUAL_USER", MUTUAL_USER.into()),
        ("MUTUAL_SECRET", MUTUAL_SECRET.into()),
    ]
}

/// Runs a module with servers of its own; shows what it said if it fails.
fn run(module: &str) {
    let (open, guarded) = (open_server(), guarded_server());
    let tests = std::env::var("ABI_TESTS").unwrap_or_default();
    // No cache of compiled modules beside the sources.
    let mut python = Tool::new("python3")
        .expect("python3 is installed")
        .arg("-B")
        .arg(folder().join("run.py"))
        .arg(module)
        .args(tests.split_whitespace())
        .limit(LIMIT);
    for (name, value) in environment(&open, &guarded) {
        python = python.env(name, value);
    }
    let said = python.run().unwrap_or_else(|error| panic!("{error}"));
    let shown = format!("{}{}", said.stdout, said.stderr);
    assert!(said.status.success(), "{module} failed:\n{shown}");
    println!("{shown}");
}
