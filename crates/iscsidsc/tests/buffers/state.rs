//! Daemons in the two states in which the buffer protocol is looked at: everything has something to report, or nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;

use hawser_target::{ChapConfig, TargetHandle, TargetServer};
use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd};
use iscsidsc::api::{
    AuthType, Device, InitiatorPort, Library, Login, LoginOptions, LunMapping, Portal, PortalGroup,
    Secret, SessionId, SessionInfo, StaticTarget, Status, TargetMapping,
};

use super::support::{Daemon, MIB, config, discover, log_in, login_to, portal_of, store, until};

/// A target of tgt with two disks, known from two portals.
pub(crate) const PAIR: &str = "iqn.2026-11.test.buffers:pair";
/// Another one with one disk.
const SINGLE: &str = "iqn.2026-11.test.buffers:single";
/// A target of ours with two portal groups: two portals, then one.
pub(crate) const GROUPED: &str = "iqn.2026-11.test.buffers:grouped";
/// A target that was added by hand with all that can be said of one.
pub(crate) const FIXED: &str = "iqn.2026-11.test.buffers:fixed";
/// A target that was added by hand with nothing but its name, and is hidden.
pub(crate) const HIDDEN: &str = "iqn.2026-11.test.buffers:hidden";

/// An address of this machine.
fn local(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// A daemon that knows no target but one that is hidden.
pub(crate) fn nothing() -> Daemon {
    let daemon = Daemon::start("none");
    let hidden = StaticTarget {
        name: HIDDEN.into(),
        flags: 0x2,
        ..StaticTarget::default()
    };
    daemon.library().add_static_target(hidden).expect("added");
    daemon
}

/// A daemon with one RADIUS server and one persistent login, to which others may come.
pub(crate) fn something() -> Daemon {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    library.add_static_target(fixed()).expect("added");
    store(&library, FIXED);
    assert_eq!(library.add_radius_server("192.0.2.9"), Ok(()));
    daemon
}

/// A daemon that has something to report in every call, and its targets.
pub(crate) struct Everything {
    pub(crate) daemon: Daemon,
    /// The sessions in the order in which they were made: two with disks, one without, one that has lost its target.
    pub(crate) sessions: [SessionId; 4],
    _tgt: Tgtd,
}

impl Everything {
    pub(crate) fn prepare() -> Self {
        let tgt = tgtd();
        let daemon = Daemon::start("fuse");
        let library = daemon.library();
        let first = portal_of(tgt.portal());
        let second = Portal::new(&local(2).to_string(), tgt.port());
        discover(&library, &first);
        let named = Portal {
            symbolic_name: "the second".into(),
            ..second.clone()
        };
        discover(&library, &named);
        library.add_static_target(fixed()).expect("added");
        let sessions = [
            log_in(&library, PAIR),
            session(&library, another_path(&second)),
            session(&library, informational(SINGLE)),
            lost_session(&library),
        ];
        store_logins(&library, &first);
        two_disks(&library, sessions[1]);
        bind(&daemon, &two_disks(&library, sessions[0]));
        add_servers(&library);
        Self {
            daemon,
            sessions,
            _tgt: tgt,
        }
    }
}

fn tgtd() -> Tgtd {
    let config = TgtConfig::new()
        .address(IpAddr::V4(local(2)))
        .target(TgtTarget::new(PAIR).disks(2, 64 * MIB))
        .target(TgtTarget::new(SINGLE).disks(1, 64 * MIB));
    Tgtd::start(config).expect("tgtd serves")
}

/// A CHAP name with letters of another tongue, and a secret.
fn chap(name: &str) -> LoginOptions {
    LoginOptions {
        auth_type: Some(AuthType::Chap),
        username: Some(name.into()),
        password: Some(Secret::new("secretsecret")),
        ..LoginOptions::default()
    }
}

/// LUNs of a target that shall be others of the system's.
fn mapping(luns: u32) -> TargetMapping {
    let lun = |number: u32| LunMapping {
        os_lun: number,
        target_lun: u64::from(number) << 8,
    };
    TargetMapping {
        initiator_name: String::new(),
        target_name: String::new(),
        os_device_name: String::new(),
        session_id: SessionId::default(),
        os_bus_number: 1,
        os_target_number: 2,
        luns: (1..=luns).map(lun).collect(),
    }
}

fn fixed() -> StaticTarget {
    StaticTarget {
        name: FIXED.into(),
        alias: Some("ein Name für Menschen ☂".into()),
        persist: true,
        mapping: Some(mapping(3)),
        login_options: Some(chap("jemand")),
        portal_group: Some(PortalGroup {
            portals: vec![Portal::new("192.0.2.1", 3260)],
        }),
        ..StaticTarget::default()
    }
}

fn session(library: &Library, login: Login) -> SessionId {
    library.login(login).expect("logs in").value.session_id
}

/// A second session with the target of two disks, through its other portal.
fn another_path(portal: &Portal) -> Login {
    Login {
        portal: Some(portal.clone()),
        login_options: Some(LoginOptions {
            login_flags: 0x2,
            ..LoginOptions::default()
        }),
        ..login_to(PAIR)
    }
}

fn informational(name: &str) -> Login {
    Login {
        informational: true,
        ..login_to(name)
    }
}

/// A session with the target of two portal groups, which is gone since: it has no connection. Its portal is stored with
/// a CHAP name.
fn lost_session(library: &Library) -> SessionId {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let handle = runtime.block_on(grouped());
    let any = InitiatorPort::any();
    let portal = portal_of(handle.local_addrs()[0]);
    let added = library.add_send_target_portal(&any, Some(chap("entdecker")), 0x1e, &portal);
    assert_eq!(added, Ok(()));
    let lost = session(library, informational(GROUPED));
    runtime.block_on(handle.kill());
    until("the loss of the session", || {
        let listed = library.sessions()?;
        let alone = |one: &SessionInfo| one.id == lost && one.connections.is_empty();
        if listed.iter().any(alone) {
            Ok(())
        } else {
            Err(Status::ERROR_TIMEOUT)
        }
    });
    lost
}

async fn grouped() -> TargetHandle {
    let discoverer = ChapConfig::one_way("entdecker", "secretsecret".into());
    let at = |last: u8| SocketAddr::from((local(last), 0));
    TargetServer::builder()
        .portal_in_group(1, at(3))
        .portal_in_group(1, at(4))
        .portal_in_group(2, at(5))
        .target(config(GROUPED).groups(&[1, 2]))
        .discovery_chap(discoverer)
        .start()
        .await
        .expect("it starts")
}

/// Two persistent logins with user names: one with nothing else, by which the disks come back, and one with all that
/// there can be.
fn store_logins(library: &Library, portal: &Portal) {
    let stored = |login: Login| {
        let login = Login {
            persistent: true,
            ..login
        };
        library.login(login).expect("stored");
    };
    stored(Login {
        login_options: Some(chap("wer")),
        ..login_to(PAIR)
    });
    stored(Login {
        portal: Some(portal.clone()),
        mapping: Some(mapping(2)),
        login_options: Some(chap("jemand mit einem längeren Namen")),
        security_flags: 0x1e,
        ..informational(SINGLE)
    });
}

/// Waits until both disks of a session have a number; nothing of them changes after that.
fn two_disks(library: &Library, session: SessionId) -> Vec<Device> {
    until("two disks", || {
        let devices = library.devices(session)?;
        let ready = |one: &&Device| one.storage_device_number.device_number != u32::MAX;
        if devices.iter().filter(ready).count() == 2 {
            Ok(devices)
        } else {
            Err(Status::ERROR_TIMEOUT)
        }
    })
}

/// Binds disks: one by a long path, one by a path in letters of other tongues.
fn bind(daemon: &Daemon, devices: &[Device]) {
    let deep = daemon.path(&"long/".repeat(50));
    std::fs::create_dir_all(&deep).expect("made");
    let paths = [deep.join("path"), daemon.path("Bände mit Räumen ☂ 🖴")];
    for (device, path) in devices.iter().zip(paths) {
        symlink(&device.interface_name, &path).expect("linked");
        let path = path.to_str().expect("is text");
        assert_eq!(daemon.library().add_persistent_device(path), Ok(()));
    }
}

/// Servers that nobody runs: they stay on their lists.
fn add_servers(library: &Library) {
    for last in [6, 7] {
        let asked = library.add_isns_server(&local(last).to_string());
        assert_eq!(asked, Err(Status::ISNS_SERVER_NOT_FOUND));
    }
    for server in ["192.0.2.9", "radius.test"] {
        assert_eq!(library.add_radius_server(server), Ok(()));
    }
}
