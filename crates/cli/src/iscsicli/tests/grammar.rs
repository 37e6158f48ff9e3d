//! How the words of every command are read.

use hawser_api::Status;
use hawser_api::v1::{
    AddConnectionRequest, AddPortalRequest, AddStaticTargetRequest, AuthType, Digest,
    InitiatorPort, LoginMode, LoginOptions, LoginRequest, Portal, Secret,
};

use super::super::commands::{self, ALL, Command, Extra, Request};
use super::super::stop::Stop;
use super::super::values::Kind;
use super::super::{discovery, persistent, scsi, security, sessions, usage};

/// The commands of the program of Windows.
const NAMES: &str = "
    AddTarget RemoveTarget AddTargetPortal RemoveTargetPortal RefreshTargetPortal ListTargets
    ListTargetPortals TargetInfo LoginTarget PersistentLoginTarget ListPersistentTargets
    RemovePersistentTarget LogoutTarget AddConnection RemoveConnection ScsiInquiry ReadCapacity
    ReportLUNs ReportTargetMappings ListInitiators AddiSNSServer RemoveiSNSServer RefreshiSNSServer
    ListiSNSServers FirewallExemptiSNSServer NodeName SessionList CHAPSecret TunnelAddr GroupKey PSKey
    GetPSKey BindPersistentVolumes BindPersistentDevices ReportPersistentDevices AddPersistentDevice
    RemovePersistentDevice ClearPersistentDevices Ping QLoginTarget QAddTarget QAddTargetPortal
    QAddConnection";

type Read = Result<(Request, Vec<String>), Stop>;

fn read(line: &str) -> Read {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let (name, words) = words.split_first().expect("a command");
    commands::find(name).expect(name).read(words)
}

/// What is asked, of words that are right and leave nothing to be said.
fn asked(line: &str) -> Request {
    let (request, notes) = read(line).unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
    assert_eq!(notes, Vec::<String>::new(), "{line}");
    request
}

/// The status with which words are refused.
fn status(line: &str) -> Status {
    match read(line) {
        Err(Stop::Failed { failure, .. }) => failure.status,
        other => panic!("{line}: {other:?}"),
    }
}

fn shows_usage(line: &str) {
    assert!(matches!(read(line), Err(Stop::Usage(_))), "{line}");
}

/// A word of each kind that is right.
fn sample(kind: Kind) -> Vec<&'static str> {
    match kind {
        Kind::SessionId | Kind::SessionIdOrUsage | Kind::ConnectionId => vec!["0x1-0x2"],
        // As target flags, security flags and id types alike.
        Kind::Number => vec!["2"],
        Kind::Byte | Kind::Socket | Kind::Lun => vec!["0"],
        Kind::Port | Kind::SocketOrAny | Kind::AddressOrAny | Kind::Flag(_) => vec!["*"],
        Kind::LoginOptions => vec!["*"; 9],
        Kind::Mappings => vec!["0"],
        _ => vec!["192.0.2.1"],
    }
}

/// The words that a command must have, and with each group that may follow.
fn forms(command: &Command) -> Vec<Vec<String>> {
    let of = |parameters: &[commands::Parameter]| {
        let words = parameters.iter().flat_map(|p| sample(p.kind));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut words = of(command.required);
    let mut forms = vec![words.clone()];
    for group in command.optional {
        words.extend(of(group));
        forms.push(words.clone());
    }
    forms
}

/// Commands that are read and never carried out.
fn is_supported(command: &Command) -> bool {
    !["Ping", "FirewallExemptiSNSServer"].contains(&command.name)
}

#[test]
fn every_command_is_there_once_whatever_its_case() {
    let names = NAMES.split_whitespace();
    assert_eq!(names.clone().count(), 43);
    assert_eq!(ALL.len(), 43);
    for name in names {
        assert_eq!(commands::find(name).map(|command| command.name), Some(name));
    }
    for command in ALL {
        for name in [
            command.name.to_owned(),
            command.name.to_lowercase(),
            command.name.to_uppercase(),
        ] {
            let found = commands::find(&name).expect(&name);
            assert!(std::ptr::eq(found, command), "{name}");
        }
    }
    assert!(commands::find("List").is_none());
    assert!(commands::find("").is_none());
}

#[test]
fn every_command_takes_each_of_its_forms() {
    for command in ALL.iter().filter(|command| is_supported(command)) {
        for words in forms(command) {
            let read = command.read(&words);
            let (_, notes) = read.unwrap_or_else(|stop| panic!("{words:?}: {stop:?}"));
            assert_eq!(notes, Vec::<String>::new(), "{} {words:?}", command.name);
        }
    }
}

/// For every number of words up to one more than the longest form: each that is no form shows the usage.
#[test]
fn every_other_number_of_words_shows_the_usage() {
    for command in ALL.iter().filter(|command| is_supported(command)) {
        let forms = forms(command);
        let longest = forms.last().expect("one at least");
        for count in 0..=longest.len() + 1 {
            let mut words = longest.clone();
            words.resize(count, "extra".to_owned());
            let is_form = forms.iter().any(|form| form.len() == count);
            let is_extra = count > longest.len() && command.extra == Extra::Ignored;
            let read = command.read(&words);
            if is_form || is_extra {
                assert!(read.is_ok(), "{} with {count}: {read:?}", command.name);
            } else {
                assert!(
                    matches!(read, Err(Stop::Usage(_))),
                    "{} with {count}: {read:?}",
                    command.name
                );
            }
        }
    }
}

#[test]
fn only_commands_without_words_and_add_target_portal_ignore_more() {
    let ignoring = ALL.iter().filter(|command| command.extra == Extra::Ignored);
    for command in ignoring {
        let bare = command.required.is_empty() && command.optional.is_empty();
        assert!(
            bare || command.name == "AddTargetPortal",
            "{}",
            command.name
        );
    }
    shows_usage("ListInitiators more");
}

#[test]
fn the_usage_names_every_command_and_keeps_to_a_terminal() {
    let whole = usage::whole();
    for command in ALL {
        let line = format!("iscsicli {}", command.name);
        let found = whole
            .text()
            .lines()
            .any(|l| l.split(" <").next() == Some(&line) || l.starts_with(&format!("{line} ")));
        assert!(found, "{line}");
    }
    let widest = whole.text().lines().map(str::len).max();
    assert!(widest <= Some(100), "{widest:?}");
}

fn portal(address: &str, port: u32) -> Portal {
    Portal {
        address: address.into(),
        port,
        symbolic_name: String::new(),
    }
}

#[test]
fn add_target_reads_all_of_its_words() {
    let line = "AddTarget iqn.a alias 192.0.2.1 0 0x6 F 0x2 1 0 4 2 20 user 0x414243 1 2 \
                0x0000000000000100 0 7 1 0X00000000000002fF 0 7 0xb";
    let Request::Discovery(discovery::Ask::AddTarget(request)) = asked(line) else {
        panic!("another request");
    };
    let options = LoginOptions {
        login_flags: 2,
        header_digest: Some(Digest::Crc32c.into()),
        data_digest: Some(Digest::None.into()),
        max_connections: Some(4),
        default_time2wait_s: Some(2),
        default_time2retain_s: Some(20),
        username: Some(b"user".into()),
        secret: Some(Secret::new("ABC")),
        auth_type: Some(AuthType::Chap.into()),
        ..LoginOptions::default()
    };
    let mapping = request.mapping.clone().expect("is given");
    assert_eq!(
        (mapping.os_bus_number, mapping.os_target_number),
        (Some(0), Some(7))
    );
    let luns: Vec<_> = mapping
        .luns
        .iter()
        .map(|lun| (lun.lun, lun.os_lun))
        .collect();
    assert_eq!(
        luns,
        [(0x0001_0000_0000_0000, 1), (0xff02_0000_0000_0000, 11)]
    );
    assert_eq!(
        request,
        AddStaticTargetRequest {
            target_name: "iqn.a".into(),
            alias: "alias".into(),
            target_flags: 6,
            persist: false,
            mapping: Some(mapping),
            login_options: Some(options),
            portals: vec![portal("192.0.2.1", 3260)],
        }
    );
}

#[test]
fn defaults_leave_out_what_is_not_given() {
    let line = "AddTarget iqn.a * 192.0.2.1 * * * * * * * * * * * * 0";
    let Request::Discovery(discovery::Ask::AddTarget(request)) = asked(line) else {
        panic!("another request");
    };
    let expected = AddStaticTargetRequest {
        target_name: "iqn.a".into(),
        persist: true,
        login_options: Some(LoginOptions::default()),
        ..AddStaticTargetRequest::default()
    };
    assert_eq!(request, expected, "no socket, no portal");
    let line = "AddTarget iqn.a * * * 0x4 * * * * * * * * * * 0";
    let Request::Discovery(discovery::Ask::AddTarget(request)) = asked(line) else {
        panic!("another request");
    };
    assert_eq!(request.login_options, None, "merging takes nothing away");

    // The line that everybody types.
    let line = "PersistentLoginTarget iqn.a T * * * * * * * * * * * * * * * 0";
    let Request::Sessions(sessions::Ask::Login(request, heading)) = asked(line) else {
        panic!("another request");
    };
    assert_eq!(heading, sessions::Heading::Printed);
    let expected = LoginRequest {
        target_name: "iqn.a".into(),
        mode: LoginMode::Store.into(),
        ..LoginRequest::default()
    };
    assert_eq!(request, expected);
}

#[test]
fn login_target_reads_all_of_its_words() {
    let line =
        r"logintarget iqn.a F 192.0.2.1 3261 Root\HAWSER\0000_0 3 0x13 8 * * * * * - - 0 key 0";
    let Request::Sessions(sessions::Ask::Login(request, _)) = asked(line) else {
        panic!("another request");
    };
    let expected = LoginRequest {
        target_name: "iqn.a".into(),
        informational: true,
        initiator: Some(InitiatorPort {
            instance: r"Root\HAWSER\0000_0".into(),
            port_number: Some(3),
            source_address: None,
        }),
        portal: Some(portal("192.0.2.1", 3261)),
        security_flags: 0x13,
        mapping: None,
        login_options: Some(LoginOptions {
            login_flags: 8,
            username: Some(Vec::new()),
            secret: Some(Secret::new([])),
            auth_type: Some(AuthType::None.into()),
            ..LoginOptions::default()
        }),
        // With the NUL that ends it on Windows.
        preshared_key: Some(Secret::new("key\0")),
        mode: LoginMode::Now.into(),
    };
    assert_eq!(request, expected);
}

#[test]
fn quick_forms_are_one_way_chap_at_the_default_port() {
    let Request::Discovery(discovery::Ask::AddPortal(request)) =
        asked("QAddTargetPortal 192.0.2.1 * 0x0102")
    else {
        panic!("another request");
    };
    let expected = AddPortalRequest {
        portal: Some(portal("192.0.2.1", 3260)),
        login_options: Some(LoginOptions {
            auth_type: Some(AuthType::Chap.into()),
            username: Some(Vec::new()),
            secret: Some(Secret::new([1, 2])),
            ..LoginOptions::default()
        }),
        ..AddPortalRequest::default()
    };
    assert_eq!(request, expected);
    let Request::Sessions(sessions::Ask::Login(request, heading)) = asked("QLoginTarget iqn.a")
    else {
        panic!("another request");
    };
    assert_eq!(heading, sessions::Heading::Absent);
    assert_eq!((request.login_options, request.portal), (None, None));
    // The instance of this one is not looked at, not even a star.
    asked("QAddConnection 1-2 * * user secret");
}

#[test]
fn add_connection_reads_all_of_its_words_but_the_instance() {
    let line = r"AddConnection 1-2 Root\ISCSIPRT\0000_0 3 192.0.2.1 3261 0x1 0 1 * * * * u s 1 key";
    let Request::Sessions(sessions::Ask::AddConnection(request, told)) = asked(line) else {
        panic!("another request");
    };
    assert_eq!(told, sessions::Told::No);
    let expected = AddConnectionRequest {
        session_id: "1-2".parse().ok(),
        initiator: Some(InitiatorPort {
            port_number: Some(3),
            ..InitiatorPort::default()
        }),
        portal: Some(portal("192.0.2.1", 3261)),
        security_flags: 1,
        login_options: Some(LoginOptions {
            header_digest: Some(Digest::Crc32c.into()),
            username: Some(b"u".into()),
            secret: Some(Secret::new("s")),
            auth_type: Some(AuthType::Chap.into()),
            ..LoginOptions::default()
        }),
        preshared_key: Some(Secret::new("key\0")),
    };
    assert_eq!(request, expected);
    let line = r"AddConnection 1-2 Root\ISCSIPRT\0000_0 * * * 0 * * * * * * * * * *";
    let Request::Sessions(sessions::Ask::AddConnection(request, _)) = asked(line) else {
        panic!("another request");
    };
    assert_eq!(
        (request.initiator, request.portal, request.login_options),
        (None, None, None)
    );
}

#[test]
fn keys_and_secrets_have_their_own_rules() {
    let key = |line: &str| match asked(line) {
        Request::Security(security::Ask::ChapSecret(request)) => {
            request.and_then(|request| request.secret)
        }
        Request::Security(security::Ask::GroupKey(request)) => request.key,
        Request::Security(security::Ask::SetIke(request)) => request.key,
        other => panic!("{other:?}"),
    };
    let bytes = |line: &str| key(line).map(|secret| secret.expose().to_vec());
    assert_eq!(bytes("CHAPSecret 0x4142"), Some(b"AB".to_vec()));
    assert_eq!(bytes("CHAPSecret *"), None);
    assert_eq!(bytes("CHAPSecret 0x"), None, "no byte clears it");
    assert_eq!(bytes("GroupKey 0x4142 *"), Some(b"0x4142\0".to_vec()));
    assert_eq!(bytes("GroupKey * T"), None);
    assert_eq!(
        bytes("PSKey * * 0 2 a.example 0x41 T"),
        Some(b"0x41".to_vec())
    );
    assert_eq!(bytes("PSKey * * 0 2 a.example * T"), None);
    assert_eq!(status("CHAPSecret 0x414"), Status::ERROR_INVALID_PARAMETER);
    let quick = "QLoginTarget iqn.a user 0x414";
    assert_eq!(status(quick), Status::ERROR_INVALID_PARAMETER);
    let (_, notes) = read("LoginTarget iqn.a T * * * * * * * * * * * u 0x414 * * 0").expect("read");
    assert!(
        notes
            .iter()
            .any(|note| note.contains("the password is empty")),
        "{notes:?}"
    );
}

#[test]
fn ike_identities_are_addresses_or_text() {
    let id = |line: &str| match asked(line) {
        Request::Security(security::Ask::GetIke(request)) => request.identity.expect("is given"),
        other => panic!("{other:?}"),
    };
    assert_eq!(id("GetPSKey * * 1 192.0.2.1").id, [192, 0, 2, 1]);
    assert_eq!(id("GetPSKey * * 5 ::1").id.len(), 16);
    assert_eq!(id("GetPSKey * * 2 a.example").id, b"a.example");
    assert_eq!(id("GetPSKey * * 3 me@a.example").id_type, 3);
    for wrong in ["GetPSKey * * 1 ::1", "GetPSKey * * 5 192.0.2.1"] {
        assert_eq!(status(wrong), Status::ERROR_INVALID_PARAMETER, "{wrong}");
    }
    for wrong in [
        "GetPSKey * * 0 x",
        "GetPSKey * * * x",
        "PSKey * * 0 4 x k T",
    ] {
        assert!(matches!(read(wrong), Err(Stop::Said(_))), "{wrong}");
    }
}

#[test]
fn scsi_commands_have_bare_luns() {
    let Request::Scsi(scsi::Ask::Inquiry(request)) = asked("ScsiInquiry 0x1-2 100 0x3 0x83") else {
        panic!("another request");
    };
    let nexus = request.nexus.expect("is given");
    assert_eq!(nexus.lun, 0x0001_0000_0000_0000);
    assert!(request.evpd && request.cmd_dt);
    assert_eq!(request.page_code, 0x83);
}

#[test]
fn wrong_values_are_refused_with_their_status() {
    let long = "a".repeat(256);
    let cases = [
        (
            format!("QAddTargetPortal {long}"),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            format!("QAddTarget iqn.a {long}"),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            "AddTargetPortal 192.0.2.1 65536".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            "AddTargetPortal 192.0.2.1 0x100000000".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            "ScsiInquiry 1-2 0 0 256".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            "ScsiInquiry 1-2 0x0 0 0".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
        ("LogoutTarget 0-0".into(), Status::ERROR_INVALID_PARAMETER),
        ("ReportLUNs 1".into(), Status::ERROR_INVALID_PARAMETER),
        (
            "AddTargetPortal a 0 * * 0 * 2 * * * * * * *".into(),
            Status::LOGIN_USER_INFO_BAD,
        ),
        (
            "AddTargetPortal a 0 * * 0 * * * * * * * * 3".into(),
            Status::INVALID_LOGON_AUTH_TYPE,
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(status(&line), expected, "{line}");
    }
    asked(&format!("QAddTargetPortal {}", "a".repeat(255)));
    for line in [
        "AddConnection nothing * * * * 0 * * * * * * * * * *",
        "QAddConnection nothing x *",
        "RemoveConnection 1-2 nothing",
        "RemoveConnection nothing 1-2",
        "AddTarget iqn.a * * * 0 T * * * * * * * * * 1",
        "AddTarget iqn.a * * * 0 T * * * * * * * * * 0 more",
        "AddTarget iqn.a * * * 0 T * * * * * * * * * 99999999 a b c d",
    ] {
        shows_usage(line);
    }
}

/// What the sheet says is ignored may be anything.
#[test]
fn a_socket_counts_only_beside_an_address() {
    for socket in ["*", "99999", "0x1ffffffff", "nonsense", ""] {
        let remove = format!("RemovePersistentTarget * iqn.a * * {socket}");
        let Request::Persistent(persistent::Ask::Remove(request)) = asked(&remove) else {
            panic!("another request");
        };
        assert_eq!(request.portal, None, "{socket}");
        let add = format!("AddTarget iqn.a * * {socket} 0 * * * * * * * * * * 0");
        let Request::Discovery(discovery::Ask::AddTarget(request)) = asked(&add) else {
            panic!("another request");
        };
        assert_eq!(request.portals, [], "{socket}");
        let connect = format!("AddConnection 1-2 * * * {socket} 0 * * * * * * * * * *");
        let Request::Sessions(sessions::Ask::AddConnection(request, _)) = asked(&connect) else {
            panic!("another request");
        };
        assert_eq!(request.portal, None, "{socket}");
    }
    for line in [
        "RemovePersistentTarget * iqn.a * 192.0.2.1 99999",
        "AddTarget iqn.a * 192.0.2.1 99999 0 * * * * * * * * * * 0",
        "AddConnection 1-2 * * 192.0.2.1 99999 0 * * * * * * * * * *",
        "LoginTarget iqn.a T 192.0.2.1 0x1ffffffff * * 0 * * * * * * * * * * 0",
    ] {
        assert_eq!(status(line), Status::ERROR_INVALID_PARAMETER, "{line}");
    }
    // A login says that it wants both or neither.
    for (address, socket) in [("*", "99999"), ("192.0.2.1", "*")] {
        let line = format!("LoginTarget iqn.a T {address} {socket} * * 0 * * * * * * * * * * 0");
        let Err(Stop::Failed { page, .. }) = read(&line) else {
            panic!("{line}");
        };
        let told = "Portal address and socket must be specified\n";
        assert_eq!(page.text(), told, "{line}");
    }
    let Request::Persistent(persistent::Ask::Remove(request)) =
        asked("RemovePersistentTarget * iqn.a * 192.0.2.1 *")
    else {
        panic!("another request");
    };
    assert_eq!(request.portal, Some(portal("192.0.2.1", 3260)));
}

fn options_of(words: &str) -> LoginOptions {
    let line = format!("LoginTarget iqn.a T * * * * 0 {words} * 0");
    match asked(&line) {
        Request::Sessions(sessions::Ask::Login(request, _)) => {
            request.login_options.expect("some are given")
        }
        other => panic!("{other:?}"),
    }
}

/// `*` is the only word that leaves an option out.
#[test]
fn options_that_are_given_are_specified_whatever_they_say() {
    let connections = |count: &str| options_of(&format!("* * * {count} * * * * *"));
    assert_eq!(connections("0").max_connections, Some(65_535), "no limit");
    assert_eq!(connections("1").max_connections, Some(1));
    let empty = options_of("* * * * * * - - *");
    assert_eq!(empty.username, Some(Vec::new()));
    assert_eq!(empty.secret, Some(Secret::new([])));
    assert_eq!(empty.auth_type, None);
}

/// As by `libiscsidsc`: both are one library on Windows.
#[test]
fn what_the_discovery_library_refuses_has_its_status() {
    let name = "a".repeat(224);
    let options = |words: &str| format!("LoginTarget iqn.a T * * * * 0 {words} * 0");
    let cases = [
        (
            options("* * * 65536 * * * * *"),
            Status::LOGIN_USER_INFO_BAD,
        ),
        (options("* * * * 3601 * * * *"), Status::LOGIN_USER_INFO_BAD),
        (options("* * * * * 3601 * * *"), Status::LOGIN_USER_INFO_BAD),
        (
            options("* * * * * * u seventeen-letters 1"),
            Status::INVALID_TARGET_CHAP_SECRET,
        ),
        (
            options("* * * * * * - - 1"),
            Status::INVALID_TARGET_CHAP_SECRET,
        ),
        (format!("QLoginTarget {name}"), Status::INVALID_ISCSI_NAME),
        (format!("QAddTarget {name} *"), Status::INVALID_ISCSI_NAME),
        (format!("RemoveTarget {name}"), Status::INVALID_ISCSI_NAME),
        (
            format!("RemovePersistentTarget * {name} * * *"),
            Status::INVALID_ISCSI_NAME,
        ),
        ("RemoveTarget ".into(), Status::ERROR_INVALID_PARAMETER),
        (
            "LoginTarget iqn.a T * * * 0 0 * * * * * * * * * * 0".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            "AddTarget iqn.a * * * 1 * * * * * * * * * * 0".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            "CHAPSecret seventeen-letters".into(),
            Status::INVALID_INITIATOR_CHAP_SECRET,
        ),
        ("AddiSNSServer a/b".into(), Status::ERROR_INVALID_PARAMETER),
        (
            "AddPersistentDevice ".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            format!("AddPersistentDevice /{}", "x".repeat(4096)),
            Status::DEVICE_NOT_FOUND,
        ),
        (
            "PSKey * * 0xd 2 a.example k T".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
        (
            "TunnelAddr * * * a.example T".into(),
            Status::ERROR_INVALID_PARAMETER,
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(status(&line), expected, "{line}");
    }
}

#[test]
fn a_refused_login_says_first_what_it_is() {
    let line = "LoginTarget a,b T * * * * 0 * * * * * * * * * * 0";
    let Err(Stop::Failed { page, .. }) = read(line) else {
        panic!("it is refused");
    };
    let heading = "LoginTarget to a,b on <no init instance> to <no portal>/0\n";
    assert_eq!(page.text(), heading);
}

#[test]
fn what_windows_reads_in_silence_is_told() {
    for (line, told) in [
        ("ListTargets 1", "counts as false"),
        ("SessionList yes", "counts as false"),
        (
            "AddTargetPortal 192.0.2.1 iscsi",
            "is not a number and counts as 0",
        ),
        (
            "AddTargetPortal 192.0.2.1 12abc",
            "is not a number and counts as 12",
        ),
    ] {
        let (_, notes) = read(line).expect(line);
        assert!(
            notes.len() == 1 && notes[0].contains(told),
            "{line}: {notes:?}"
        );
    }
}

/// No words whatever make the program stumble.
#[test]
fn any_words_are_read_or_refused() {
    let words = [
        "",
        "*",
        "-",
        "0x",
        "0",
        "T",
        "\u{1f600}",
        "1-2",
        "-",
        "99999999999",
        "é*",
        "\0",
    ];
    for command in ALL {
        for start in 0..words.len() {
            for count in 0..=24 {
                let chosen = words.iter().cycle().skip(start).take(count);
                let chosen: Vec<String> = chosen.map(ToString::to_string).collect();
                drop(command.read(&chosen));
            }
        }
    }
}
