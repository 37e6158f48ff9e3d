//! §2.3 and §2.4: logins, sessions, connections, devices, mappings, persistent logins.

use iscsidsc::api::{
    ANY_PORT, ConnectionId, InitiatorPort, InterfaceType, Library, Login, LoginOptions,
    NewConnection, Portal, Secret, SessionId, Status,
};

use super::support::{
    Daemon, TARGET, Target, discover, log_in, login_to, portal_of, ready_device, store, tgtd,
    with_chap,
};

const NOBODY: SessionId = SessionId {
    adapter_unique: 1,
    adapter_specific: 2,
};

fn status<T>(result: Result<T, Status>) -> Status {
    result.map_or_else(|status| status, |_| Status::ERROR_SUCCESS)
}

/// What holds with any target that has a disk at LUN 1.
fn a_session_lives(library: &Library, portal: &Portal) {
    assert_eq!(library.sessions(), Ok(Vec::new()));
    let refused = status(library.login(login_to(TARGET)));
    assert_eq!(refused, Status::TARGET_NOT_FOUND, "not known yet");
    discover(library, portal);
    let done = library.login(login_to(TARGET)).expect("logs in").value;
    let again = status(library.login(login_to(TARGET)));
    assert_eq!(again, Status::TARGET_ALREADY_LOGGED_IN);

    let sessions = library.sessions().expect("listed");
    let [session] = &sessions[..] else {
        panic!("{sessions:?}");
    };
    assert_eq!(session.id, done.session_id);
    assert_eq!(session.target_name, TARGET);
    assert_eq!(Ok(session.initiator_name.clone()), library.node_name());
    assert_ne!(session.tsid, [0, 0]);
    let [connection] = &session.connections[..] else {
        panic!("{session:?}");
    };
    assert_eq!(connection.id, done.connection_id);
    assert_eq!(connection.target_address, portal.address);
    assert_eq!(connection.target_socket, portal.socket);
    assert_eq!(connection.initiator_address, "127.0.0.1");

    let all = library.sessions_ex().expect("listed");
    let [more] = &all[..] else { panic!("{all:?}") };
    assert_eq!((more.id, more.session_type), (done.session_id, 2));
    assert_eq!(more.maximum_connections, 1);
    assert_eq!(more.connections[0].state, 1, "full feature phase");
    assert_eq!(more.connections[0].protocol, 6);

    let device = ready_device(library, done.session_id);
    assert_eq!(device.target_name, TARGET);
    assert_eq!(device.interface_type, InterfaceType::Disk);
    assert_eq!(device.storage_device_number.device_type, 7);
    let mappings = library.target_mappings().expect("listed");
    assert_eq!(mappings[0].session_id, done.session_id);
    let mapped = mappings[0].luns.iter().any(|lun| lun.target_lun == 0x100);
    assert!(mapped, "{mappings:?}");

    assert_eq!(library.logout(done.session_id), Ok(()));
    assert_eq!(library.sessions(), Ok(Vec::new()));
    for gone in [
        status(library.logout(done.session_id)),
        status(library.devices(done.session_id)),
    ] {
        assert_eq!(gone, Status::INVALID_SESSION_ID);
    }
}

#[test]
fn a_session_lives_with_our_own_target() {
    let target = Target::start();
    let daemon = Daemon::start("none");
    a_session_lives(&daemon.library(), &target.portal());
}

#[test]
fn a_session_lives_with_tgt() {
    let tgt = tgtd(TARGET);
    let daemon = Daemon::start("none");
    a_session_lives(&daemon.library(), &portal_of(tgt.portal()));
}

#[test]
fn a_further_session_needs_the_multipath_flag_and_an_informational_one_has_no_devices() {
    let target = Target::start();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    let informational = Login {
        informational: true,
        ..login_to(TARGET)
    };
    let first = library.login(informational).expect("logs in").value;
    assert_eq!(library.devices(first.session_id), Ok(Vec::new()));
    let more = || Login {
        login_options: Some(LoginOptions {
            login_flags: 0x2,
            ..LoginOptions::default()
        }),
        ..login_to(TARGET)
    };
    let second = library.login(more()).expect("logs in").value;
    assert_ne!(first.session_id, second.session_id);
    let types: Vec<u8> = library
        .sessions_ex()
        .expect("listed")
        .iter()
        .map(|session| session.session_type)
        .collect();
    assert_eq!(types, [1, 2]);
    let of_informational =
        |mapping: &iscsidsc::api::TargetMapping| mapping.session_id == first.session_id;
    ready_device(&library, second.session_id);
    let mappings = library.target_mappings().expect("listed");
    assert!(!mappings.iter().any(of_informational), "{mappings:?}");
}

#[test]
fn logins_are_checked_before_anybody_is_asked() {
    let target = Target::start();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    let refused = |login: Login| status(library.login(login));
    let port_without_instance = Login {
        initiator: InitiatorPort::new(None, 0),
        ..login_to(TARGET)
    };
    assert_eq!(
        refused(port_without_instance),
        Status::ERROR_INVALID_PARAMETER
    );
    let contradictory = Login {
        security_flags: 0x61,
        ..login_to(TARGET)
    };
    assert_eq!(refused(contradictory), Status::ERROR_INVALID_PARAMETER);
    let ipsec = Login {
        login_options: Some(LoginOptions {
            login_flags: 0x1,
            ..LoginOptions::default()
        }),
        ..login_to(TARGET)
    };
    assert_eq!(refused(ipsec), Status::IPSEC_NOT_SUPPORTED_ON_OS);
    let unresolved = Login {
        portal: Some(Portal::new("no-such-host.invalid", 3260)),
        ..login_to(TARGET)
    };
    assert_eq!(refused(unresolved), Status::DNS_NAME_UNRESOLVED);
    let nobody_there = Login {
        portal: Some(Portal::new("127.0.0.1", 1)),
        ..login_to(TARGET)
    };
    assert_eq!(refused(nobody_there), Status::CONNECTION_FAILED);
    assert_eq!(library.sessions(), Ok(Vec::new()));
}

#[test]
fn chap_secrets_are_judged() {
    let target = Target::start_with(with_chap("user", "secretsecret"));
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    let with = |secret: &str| {
        status(library.login(Login {
            login_options: Some(LoginOptions {
                username: Some(b"user".to_vec()),
                password: Some(Secret::new(secret)),
                auth_type: Some(iscsidsc::api::AuthType::Chap),
                ..LoginOptions::default()
            }),
            ..login_to(TARGET)
        }))
    };
    assert_eq!(with(""), Status::INVALID_TARGET_CHAP_SECRET);
    assert_eq!(with("short"), Status::INVALID_TARGET_CHAP_SECRET);
    assert_eq!(
        with("seventeen letters"),
        Status::INVALID_TARGET_CHAP_SECRET
    );
    assert_eq!(with("wrongwrongwrong"), Status::AUTHENTICATION_FAILURE);
    assert_eq!(with("secretsecret"), Status::ERROR_SUCCESS);
}

#[test]
fn a_session_has_one_connection_and_keeps_it() {
    let target = Target::start();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    let done = library.login(login_to(TARGET)).expect("logs in").value;
    let add = |session_id| {
        let new = NewConnection {
            session_id,
            port_number: ANY_PORT,
            ..NewConnection::default()
        };
        status(library.add_connection(new))
    };
    assert_eq!(add(done.session_id), Status::TOO_MANY_CONNECTIONS);
    assert_eq!(add(NOBODY), Status::INVALID_SESSION_ID);
    assert_eq!(add(SessionId::default()), Status::INVALID_SESSION_ID);
    let remove = |session, connection| status(library.remove_connection(session, connection));
    assert_eq!(
        remove(done.session_id, done.connection_id),
        Status::CANT_REMOVE_LAST_CONNECTION
    );
    assert_eq!(
        remove(done.session_id, ConnectionId::default()),
        Status::INVALID_CONNECTION_ID
    );
    assert_eq!(
        remove(NOBODY, done.connection_id),
        Status::INVALID_SESSION_ID
    );
}

#[test]
fn a_persistent_login_is_stored_listed_and_removed_without_a_session() {
    let target = Target::start();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    assert_eq!(library.persistent_logins(), Ok(Vec::new()));
    let login = Login {
        persistent: true,
        portal: Some(target.portal()),
        security_flags: 0x3e,
        ..login_to(TARGET)
    };
    let done = library.login(login).expect("stored").value;
    assert_eq!(done.session_id, SessionId::default(), "§2.3: both zero");
    assert_eq!(done.connection_id, ConnectionId::default());
    assert_eq!(library.sessions(), Ok(Vec::new()), "no login now");
    store(&library, TARGET);
    store(&library, TARGET);
    let logins = library.persistent_logins().expect("listed");
    assert_eq!(logins.len(), 2, "one a portal, the same again replaces");
    assert_eq!(logins[0].portal.socket, target.portal().socket);
    assert_eq!(logins[0].security_flags, 0x3e);
    assert_eq!(logins[1].portal.address, "", "any");
    assert_eq!(logins[1].initiator.port_number, ANY_PORT);
    let any = InitiatorPort::any();
    let remove =
        |portal: Option<&Portal>| status(library.remove_persistent_target(&any, TARGET, portal));
    assert_eq!(remove(Some(&target.portal())), Status::ERROR_SUCCESS);
    assert_eq!(library.persistent_logins().map(|all| all.len()), Ok(1));
    assert_eq!(remove(Some(&Portal::default())), Status::ERROR_SUCCESS);
    assert_eq!(remove(None), Status::TARGET_NOT_FOUND);
}

#[test]
fn a_device_in_use_keeps_its_session() {
    let target = Target::start();
    let daemon = Daemon::start("fuse");
    let library = daemon.library();
    discover(&library, &target.portal());
    let session = log_in(&library, TARGET);
    let device = ready_device(&library, session);
    assert!(!device.legacy_name.is_empty() && !device.interface_name.is_empty());
    let open = std::fs::File::open(&device.legacy_name).expect("opens");
    assert_eq!(library.logout(session), Err(Status::DEVICE_BUSY_ON_SESSION));
    assert_eq!(library.sessions().map(|all| all.len()), Ok(1));
    drop(open);
    super::support::until("the session to be let go", || library.logout(session));
}
