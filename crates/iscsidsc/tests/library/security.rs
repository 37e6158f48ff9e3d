//! §2.7 to §2.9: secrets, IKE, iSNS and RADIUS servers.

use iscsidsc::api::{ANY_PORT, IkeIdentity, IkeInfo, InitiatorPort, Secret, Status};

use super::support::Daemon;

fn address() -> IkeIdentity {
    IkeIdentity {
        id_type: 1,
        id: vec![192, 0, 2, 1],
    }
}

fn info(key: Option<&str>) -> IkeInfo {
    IkeInfo {
        auth_method: 1,
        security_flags: 0x17,
        identity: address(),
        key: key.map(Secret::new),
    }
}

#[test]
fn the_initiators_secret_is_stored_with_a_warning_if_it_is_short() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let set = |secret: Option<&str>| {
        let set = library.set_chap_secret(secret.map(Secret::new));
        set.map(|outcome| outcome.status())
    };
    assert_eq!(set(Some("0123456789ab")), Ok(Status::ERROR_SUCCESS));
    assert_eq!(set(Some("0123456789a")), Ok(Status::SHORT_CHAP_SECRET));
    assert_eq!(
        set(Some("0123456789abcdefg")),
        Err(Status::INVALID_INITIATOR_CHAP_SECRET)
    );
    assert_eq!(set(Some("")), Ok(Status::ERROR_SUCCESS), "clears it");
    assert_eq!(set(None), Ok(Status::ERROR_SUCCESS));
}

#[test]
fn ike_keys_are_stored_and_never_told() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let any = InitiatorPort::any();
    let ask = || library.ike_info(&any, 1, address());
    assert_eq!(ask(), Err(Status::NO_AUTH_INFO_AVAILABLE));
    let set = |info| library.set_ike_info(&any, info, true);
    assert_eq!(set(info(Some("key"))), Ok(()));
    assert_eq!(ask(), Ok(0x17));
    let other = IkeIdentity {
        id_type: 2,
        id: b"a.example".to_vec(),
    };
    let unknown = library.ike_info(&any, 1, other);
    assert_eq!(unknown, Err(Status::TARGET_PRESHAREDKEY_UNAVAILABLE));
    assert_eq!(set(info(None)), Ok(()), "removes it");
    assert_eq!(ask(), Err(Status::NO_AUTH_INFO_AVAILABLE));
    let wrong = IkeInfo {
        auth_method: 2,
        ..info(Some("key"))
    };
    assert_eq!(set(wrong), Err(Status::ERROR_INVALID_PARAMETER));
    let key = Some(Secret::new("group"));
    assert_eq!(library.set_group_preshared_key(key, true), Ok(()));
    assert_eq!(library.set_group_preshared_key(None, false), Ok(()));
    let nobody = InitiatorPort::new(Some("nobody"), ANY_PORT);
    let tunnel =
        |initiator, to, outer| library.set_tunnel_outer_address(initiator, to, outer, true);
    assert_eq!(tunnel(&any, Some("a.example"), Some("192.0.2.1")), Ok(()));
    assert_eq!(tunnel(&any, Some("a.example"), None), Ok(()));
    assert_eq!(
        tunnel(&nobody, None, Some("192.0.2.1")),
        Err(Status::INITIATOR_NOT_FOUND)
    );
    assert_eq!(
        tunnel(&any, None, Some("no literal")),
        Err(Status::ERROR_INVALID_PARAMETER)
    );
}

#[test]
fn radius_servers_are_kept() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    assert_eq!(library.radius_servers(), Ok(Vec::new()));
    for _ in 0..2 {
        assert_eq!(library.add_radius_server("192.0.2.1"), Ok(()));
    }
    assert_eq!(library.radius_servers(), Ok(vec!["192.0.2.1".to_owned()]));
    let absent = library.remove_radius_server("192.0.2.2");
    assert_eq!(absent, Err(Status::ERROR_NOT_FOUND));
    assert_eq!(library.remove_radius_server("192.0.2.1"), Ok(()));
    let set = |length: usize| library.set_radius_secret(Some(Secret::new(vec![b'x'; length])));
    assert_eq!(set(22), Ok(()));
    assert_eq!(set(21), Err(Status::ERROR_INVALID_PARAMETER));
    assert_eq!(set(0), Ok(()), "clears it");
}

#[test]
fn isns_servers_stay_though_they_cannot_be_asked() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    assert_eq!(library.isns_servers(), Ok(Vec::new()));
    let odd = library.add_isns_server("no name");
    assert_eq!(odd, Err(Status::ERROR_INVALID_PARAMETER));
    let silent = "127.0.0.1";
    let added = library.add_isns_server(silent);
    assert_eq!(added, Err(Status::ISNS_SERVER_NOT_FOUND));
    assert_eq!(library.isns_servers(), Ok(vec![silent.to_owned()]));
    assert_eq!(library.refresh_isns_server(None), Ok(()));
    let one = library.refresh_isns_server(Some(silent));
    assert_eq!(one, Err(Status::ISNS_SERVER_NOT_FOUND));
    assert_eq!(library.remove_isns_server(silent), Ok(()));
    let again = library.remove_isns_server(silent);
    assert_eq!(again, Err(Status::ISNS_SERVER_NOT_FOUND));
}
