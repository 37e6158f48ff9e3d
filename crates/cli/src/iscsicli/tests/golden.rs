//! What is printed, against texts that were typed by hand.

use hawser_api::v1::{
    ActiveMapping, AuthType, BoundVolume, Connection, ConnectionId, Device, Digest, Disk,
    Initiator, InitiatorPort, IsnsServer, LoginOptions, LoginRequest, LunMapping, PersistentLogin,
    Portal, PortalGroup, ScsiAddress, ScsiResponse, Session, SessionId, StorageDeviceNumber,
    StoredPortal, Target, TargetInstance, TargetMapping,
};
use hawser_api::{Failure, Status};
use serde_json::json;

use super::super::program::{Done, banner};
use super::super::stop::{Answer, Stop};
use super::super::{
    commands, devices, discovery, initiator, isns, persistent, scsi, security, sessions, targets,
};

const INSTANCE: &str = r"Root\HAWSER\0000_0";
const ONE: &str = "iqn.2026-01.example:one";
/// As the daemon has it; a blank is printed behind it.
const SENDTARGETS: &str = r"SendTargets:*192.0.2.10 0003260 Root\HAWSER\0000_0";

const SESSION: SessionId = SessionId {
    adapter_unique: 0xffff_9d8b_2a3c_4010,
    adapter_specific: 0x4000_0137_0000_0002,
};
const CONNECTION: ConnectionId = ConnectionId {
    adapter_unique: 0xffff_9d8b_2a3c_4010,
    adapter_specific: 3,
};

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("golden/", $name, ".txt"))
    };
}

/// All that the program prints for an answer.
fn answered(answer: Answer) -> String {
    printed(&Done::answered("test", answer, Vec::new()))
}

/// All that the program prints for a command that stopped.
fn stopped(command: &str, stop: Stop) -> String {
    printed(&Done::stopped(command, stop, Vec::new()))
}

fn printed(done: &Done) -> String {
    format!("{}{}", banner("10", "0", "22621").text(), done.text())
}

/// What is printed for words that are wrong.
fn refused(line: &[&str]) -> String {
    let (name, words) = line.split_first().expect("a command");
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let command = commands::find(name).expect("is one");
    let stop = command.read(&words).expect_err("is refused");
    stopped(name, stop)
}

fn portal(address: &str, port: u32, symbolic_name: &str) -> Portal {
    Portal {
        address: address.into(),
        port,
        symbolic_name: symbolic_name.into(),
    }
}

fn port(number: Option<u32>) -> Option<InitiatorPort> {
    Some(InitiatorPort {
        instance: INSTANCE.into(),
        port_number: number,
        source_address: None,
    })
}

fn chap(user: &str, kind: AuthType) -> LoginOptions {
    LoginOptions {
        auth_type: Some(kind.into()),
        username: Some(user.into()),
        secret_set: true,
        ..LoginOptions::default()
    }
}

#[test]
fn what_says_nothing_ends_with_the_status_alone() {
    assert_eq!(answered(Answer::done()), golden!("nothing"));
    assert_eq!(answered(discovery::portals(&[])), golden!("nothing"));
    assert_eq!(answered(persistent::logins(&[])), golden!("nothing"));
    assert_eq!(answered(devices::bound(&[])), golden!("nothing"));
}

#[test]
fn list_targets() {
    let target = |name: &str| Target {
        target_name: name.into(),
        ..Target::default()
    };
    let known = [target(ONE), target("iqn.2026-01.example:two")];
    assert_eq!(answered(targets::names(&known)), golden!("listtargets"));
    assert_eq!(answered(targets::names(&[])), golden!("listtargets-none"));
}

#[test]
fn list_target_portals() {
    let stored = [
        StoredPortal {
            initiator: port(Some(2)),
            portal: Some(portal("192.0.2.10", 3260, "192.0.2.10")),
            login_options: Some(chap("tester", AuthType::Chap)),
            security_flags: 0x13,
            ..StoredPortal::default()
        },
        StoredPortal {
            portal: Some(portal("2001:db8::1", 860, "san")),
            ..StoredPortal::default()
        },
    ];
    assert_eq!(
        answered(discovery::portals(&stored)),
        golden!("listtargetportals")
    );
}

/// What was given and has no byte is specified, and has nothing to dump.
#[test]
fn a_user_and_a_password_that_are_empty_are_listed() {
    let login = PersistentLogin {
        login_options: Some(LoginOptions {
            username: Some(Vec::new()),
            secret_set: true,
            ..LoginOptions::default()
        }),
        ..PersistentLogin::default()
    };
    let told = answered(persistent::logins(&[login]));
    let options = "    Version              : 0\n    Information Specified: 0x60\n    \
                   Login Flags          : 0x0\n    Username             : \n    \
                   Password             : <is established>\n\n";
    assert!(told.contains(options), "{told}");
}

fn target() -> Target {
    let group = PortalGroup {
        tag: Some(1),
        portals: vec![
            portal("192.0.2.10", 3260, "192.0.2.10"),
            portal("192.0.2.11", 3260, "192.0.2.11"),
        ],
    };
    let lun = |lun, os_lun| LunMapping { os_lun, lun };
    let fixed = TargetInstance {
        mechanism_text: "Static:".into(),
        target_flags: 2,
        login_options: Some(LoginOptions {
            login_flags: 3,
            header_digest: Some(Digest::Crc32c.into()),
            data_digest: Some(Digest::None.into()),
            max_connections: Some(4),
            default_time2wait_s: Some(2),
            default_time2retain_s: Some(20),
            ..LoginOptions::default()
        }),
        mapping: Some(TargetMapping {
            os_bus_number: Some(0),
            os_target_number: Some(7),
            luns: vec![lun(1 << 48, 1), lun(2 << 48, 11)],
        }),
        ..TargetInstance::default()
    };
    let found = TargetInstance {
        mechanism_text: SENDTARGETS.into(),
        portal_groups: vec![group],
        alias: "the first".into(),
        initiator_instance: INSTANCE.into(),
        ..TargetInstance::default()
    };
    Target {
        target_name: ONE.into(),
        instances: vec![found, fixed],
        ..Target::default()
    }
}

#[test]
fn target_info() {
    let info = |mechanism, target: Target| match targets::details(ONE, mechanism, &Ok(target)) {
        Ok(answer) => answered(answer),
        Err(stop) => panic!("{stop:?}"),
    };
    assert_eq!(info(None, target()), golden!("targetinfo"));
    assert_eq!(info(None, Target::default()), golden!("targetinfo-none"));
    let mechanism = r"sendtargets:*192.0.2.10 0003260 root\hawser\0000_0";
    assert_eq!(
        info(Some(mechanism), target()),
        golden!("targetinfo-mechanism")
    );
    assert_eq!(
        info(Some("Static:"), target()),
        golden!("targetinfo-static")
    );
    assert_eq!(
        info(Some("iSNS:nobody"), target()),
        golden!("targetinfo-unknown-mechanism")
    );
}

#[test]
fn target_info_of_a_target_that_is_not_known() {
    let failure = Failure::new(Status::TARGET_NOT_FOUND, "not known");
    let stop = targets::details("iqn.2026-01.example:no", None, &Err(failure.clone()));
    let stop = stop.expect_err("it is not known");
    assert_eq!(stopped("TargetInfo", stop), golden!("targetinfo-unknown"));
    let done = targets::details("iqn.2026-01.example:no", Some("Static:"), &Err(failure));
    let text = answered(done.expect("carried out"));
    assert!(
        text.contains("    Protocol Type Failed : The target is not known, or hidden"),
        "{text}"
    );
    assert!(!text.contains("Discovery Mechanisms"), "{text}");
}

fn logged_in() -> hawser_api::v1::LoginResponse {
    hawser_api::v1::LoginResponse {
        session_id: Some(SESSION),
        connection_id: Some(CONNECTION),
        ..Default::default()
    }
}

#[test]
fn logins() {
    let full = LoginRequest {
        target_name: ONE.into(),
        initiator: port(None),
        portal: Some(portal("192.0.2.10", 3260, "")),
        ..LoginRequest::default()
    };
    let page = sessions::login_heading(&full);
    assert_eq!(
        answered(sessions::logged_in(page, logged_in())),
        golden!("logintarget")
    );
    assert_eq!(
        answered(sessions::logged_in(Default::default(), logged_in())),
        golden!("qlogintarget")
    );
    let stored = LoginRequest {
        target_name: ONE.into(),
        ..LoginRequest::default()
    };
    let page = sessions::login_heading(&stored);
    assert_eq!(
        answered(sessions::logged_in(page, Default::default())),
        golden!("persistentlogintarget")
    );
}

#[test]
fn logouts_and_connections() {
    let page = sessions::logout_heading(SESSION);
    assert_eq!(
        answered(Answer::new(page, json!(null))),
        golden!("logouttarget")
    );
    assert_eq!(
        answered(sessions::connected(sessions::Told::Yes, CONNECTION)),
        golden!("qaddconnection")
    );
    assert_eq!(
        answered(sessions::connected(sessions::Told::No, CONNECTION)),
        golden!("nothing")
    );
}

fn device(lun: u64, os_lun: u32, device_type: u32) -> Device {
    Device {
        initiator_instance: INSTANCE.into(),
        target_name: ONE.into(),
        lun,
        scsi_address: Some(ScsiAddress {
            target_id: 4,
            lun: os_lun,
            ..ScsiAddress::default()
        }),
        device_type,
        ..Device::default()
    }
}

fn session(counter: u8, tsih: u32, connections: Vec<Connection>) -> Session {
    Session {
        id: Some(SessionId {
            adapter_specific: 0x4000_0137_0000_0000 | u64::from(counter),
            ..SESSION
        }),
        initiator_node_name: "iqn.2026-01.example:host".into(),
        isid: vec![0x40, 0, 1, 0x37, 0, counter],
        tsih,
        connections,
        ..Session::default()
    }
}

#[test]
fn session_list() {
    let connection = Connection {
        id: Some(CONNECTION),
        cid: 1,
        local: Some(portal("192.0.2.1", 49_160, "")),
        remote: Some(portal("192.0.2.10", 3260, "")),
        ..Connection::default()
    };
    let ready = Device {
        interface_name: "/run/hawser/disk/by-id/naa.6001405".into(),
        legacy_name: "/dev/loop7".into(),
        storage_device_number: Some(StorageDeviceNumber {
            device_type: 7,
            device_number: 7,
            partition_number: 0,
        }),
        ..device(1 << 48, 1, 0)
    };
    let disk = Disk {
        lun: 1 << 48,
        vendor: "IET     ".into(),
        product: "VIRTUAL-DISK    ".into(),
        holders: vec!["mounted at /srv/data".into(), "part of dm-1".into()],
        ..Disk::default()
    };
    let first = sessions::Listed {
        session: Session {
            target_name: ONE.into(),
            ..session(2, 0x0102, vec![connection])
        },
        devices: vec![ready, device(2 << 48, 2, 1)],
        disks: vec![disk],
    };
    let second = sessions::Listed {
        session: Session {
            target_name: "iqn.2026-01.example:two".into(),
            ..session(3, 0, Vec::new())
        },
        ..sessions::Listed::default()
    };
    assert_eq!(
        answered(sessions::listed_sessions(&[first, second])),
        golden!("sessionlist")
    );
    assert_eq!(
        answered(sessions::listed_sessions(&[])),
        golden!("sessionlist-none")
    );
}

#[test]
fn list_persistent_targets() {
    let lun = LunMapping { os_lun: 0, lun: 0 };
    let logins = [
        PersistentLogin {
            target_name: ONE.into(),
            initiator: port(Some(0)),
            portal: Some(portal("192.0.2.10", 3260, "")),
            security_flags: 0x6d,
            mapping: Some(TargetMapping {
                luns: vec![lun],
                ..TargetMapping::default()
            }),
            login_options: Some(LoginOptions {
                login_flags: 2,
                header_digest: Some(Digest::None.into()),
                ..chap("iqn.2026-01.example:host A", AuthType::MutualChap)
            }),
            ..PersistentLogin::default()
        },
        PersistentLogin {
            target_name: "iqn.2026-01.example:two".into(),
            informational: true,
            login_options: Some(LoginOptions {
                auth_type: Some(AuthType::None.into()),
                ..LoginOptions::default()
            }),
            ..PersistentLogin::default()
        },
    ];
    assert_eq!(
        answered(persistent::logins(&logins)),
        golden!("listpersistenttargets")
    );
}

#[test]
fn scsi_commands() {
    let good = |data: &[u8]| {
        let response = ScsiResponse {
            data: data.into(),
            ..ScsiResponse::default()
        };
        answered(scsi::response(&response).expect("it is good"))
    };
    let inquiry = b"\x00\x00\x05\x02\x1f\x00\x00\x02IET     VIRTUAL-DISK    0001";
    assert_eq!(good(inquiry), golden!("scsiinquiry"));
    assert_eq!(
        good(&[0, 1, 0xff, 0xff, 0, 0, 2, 0]),
        golden!("readcapacity")
    );
    let luns = [0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    assert_eq!(good(&luns), golden!("reportluns"));

    let mut sense = vec![0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0, 0, 0];
    // What is beyond 18 bytes is not shown.
    sense.extend([0xee; 8]);
    let response = ScsiResponse {
        scsi_status: 2,
        sense,
        ..ScsiResponse::default()
    };
    let stop = scsi::response(&response).expect_err("it is refused");
    assert_eq!(stopped("ScsiInquiry", stop), golden!("scsiinquiry-refused"));
}

#[test]
fn report_target_mappings() {
    let lun = |lun, os_lun| LunMapping { os_lun, lun };
    let mapping = ActiveMapping {
        session_id: Some(SESSION),
        initiator_instance: INSTANCE.into(),
        target_name: ONE.into(),
        os_device_name: r"\\.\Scsi0:".into(),
        os_bus_number: 0,
        os_target_number: 4,
        luns: vec![lun(0, 0), lun(1 << 48, 1)],
    };
    assert_eq!(
        answered(sessions::listed_mappings(&[mapping])),
        golden!("reporttargetmappings")
    );
    assert_eq!(
        answered(sessions::listed_mappings(&[])),
        golden!("reporttargetmappings-none")
    );
}

#[test]
fn other_lists() {
    let initiator = Initiator {
        instance: INSTANCE.into(),
        ..Initiator::default()
    };
    assert_eq!(
        answered(initiator::initiators(&[initiator])),
        golden!("listinitiators")
    );
    let server = |address: &str| IsnsServer {
        address: address.into(),
        ..IsnsServer::default()
    };
    let servers = [server("192.0.2.53"), server("isns.example")];
    assert_eq!(
        answered(isns::servers(&servers)),
        golden!("listisnsservers")
    );
    assert_eq!(
        answered(isns::servers(&[])),
        golden!("listisnsservers-none")
    );
    assert_eq!(answered(security::flags(0x7f)), golden!("getpskey"));
    let volume = |path: &str| BoundVolume {
        path: path.into(),
        ..BoundVolume::default()
    };
    assert_eq!(
        answered(devices::bound(&[
            volume("/srv/data"),
            volume("/srv/with blank")
        ])),
        golden!("reportpersistentdevices")
    );
}

#[test]
fn other_statuses() {
    let short = Answer::done().warning(Status::SHORT_CHAP_SECRET.code());
    assert_eq!(answered(short), golden!("chapsecret-short"));
    let unknown = Failure::new(Status::from_code(0xefff_9999), "something new");
    assert_eq!(
        stopped("ListTargets", unknown.into()),
        golden!("unknown-status")
    );
    assert_eq!(refused(&["Ping", "*", "192.0.2.1"]), golden!("ping"));
    assert_eq!(refused(&["FirewallExemptiSNSServer"]), golden!("ping"));
}

#[test]
fn words_that_are_wrong() {
    assert_eq!(
        refused(&["LogoutTarget", "0xnothing"]),
        golden!("logouttarget-invalid")
    );
    assert_eq!(
        refused(&["ReadCapacity", "1-2", "0x100"]),
        golden!("readcapacity-invalid-lun")
    );
    let half = "LoginTarget iqn.a * 192.0.2.1 * * * 0 * * * * * * * * * * 0";
    let words: Vec<&str> = half.split(' ').collect();
    assert_eq!(refused(&words), golden!("logintarget-half-portal"));
    assert_eq!(
        refused(&["PSKey", "*", "*", "0", "4", "x", "key", "T"]),
        golden!("pskey-id-type")
    );
    let mapped = |mappings: &str| {
        let line = format!("AddTarget iqn.a * * * 0 T * * * * * * * * * {mappings}");
        let words: Vec<&str> = line.split(' ').collect();
        refused(&words)
    };
    let lun = "0x0000000000000100";
    assert_eq!(mapped("1 0x100 0 0 1"), golden!("addtarget-mapped-lun"));
    assert_eq!(
        mapped(&format!("2 {lun} 0 0 1 {lun} 1 0 2")),
        golden!("addtarget-bus")
    );
    assert_eq!(
        mapped(&format!("2 {lun} 0 0 1 {lun} 0 1 2")),
        golden!("addtarget-target")
    );
}

#[test]
fn usages() {
    let help = Stop::Usage(String::new());
    assert_eq!(stopped("help", help), golden!("usage"));
    assert_eq!(
        refused(&["AddConnection", "1-2"]),
        golden!("addconnection-usage")
    );
    assert_eq!(
        refused(&["qlogintarget", "iqn.a", "user"]),
        golden!("qlogintarget-usage")
    );
}

/// What a target says does not reach the terminal as it is, and a backslash stays one.
#[test]
fn hostile_text_is_escaped() {
    let hostile = Target {
        target_name: "iqn.a\x1b[2J\n\\".into(),
        ..Target::default()
    };
    let text = answered(targets::names(&[hostile]));
    assert!(text.contains("    iqn.a\\u{1b}[2J\\u{a}\\\n"), "{text:?}");
}
