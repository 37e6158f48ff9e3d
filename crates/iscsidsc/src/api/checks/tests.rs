use super::*;
use crate::api::LunMapping;

fn id(id_type: u8, id: &[u8]) -> IkeIdentity {
    IkeIdentity {
        id_type,
        id: id.to_vec(),
    }
}

#[test]
fn target_names_are_bounded_and_plain() {
    for name in [
        "iqn.2026-11.test:a_b",
        "eui.02004567A425678D",
        "odd",
        "iqn.x:ö",
    ] {
        assert_eq!(target_name(name), Ok(()), "{name}");
    }
    assert_eq!(target_name(&"x".repeat(223)), Ok(()));
    assert_eq!(target_name(""), Err(INVALID));
    let invalid = Err(Status::INVALID_ISCSI_NAME);
    assert_eq!(target_name(&"x".repeat(224)), invalid);
    for name in ["a b", "a\nb", "a\u{7f}", "a/b", "a\\b", "a,b", "a\u{a0}b"] {
        assert_eq!(target_name(name), invalid, "{name:?}");
    }
}

#[test]
fn a_node_name_may_be_odd_but_not_long() {
    assert_eq!(node_name("what ever / it is"), Ok(()));
    assert_eq!(node_name(&"x".repeat(223)), Ok(()));
    assert_eq!(node_name(&"x".repeat(224)), Err(Status::INVALID_ISCSI_NAME));
}

#[test]
fn an_instance_is_bounded_and_a_port_of_a_login_needs_one() {
    let port = |instance: &str, number| InitiatorPort::new(Some(instance), number);
    assert_eq!(initiator(&port("", 0)), Ok(()), "all ports number 0");
    assert_eq!(initiator(&port(&"x".repeat(255), 0)), Ok(()));
    assert_eq!(initiator(&port(&"x".repeat(256), 0)), Err(INVALID));
    assert_eq!(initiator(&port("a\tb", 0)), Err(INVALID));
    assert_eq!(login_initiator(&port("", ANY_PORT)), Ok(()));
    assert_eq!(login_initiator(&port("", 0)), Err(INVALID));
    assert_eq!(login_initiator(&port("x", 0)), Ok(()));
    assert_eq!(
        login_initiator(&InitiatorPort::new(None, 3)),
        Err(INVALID),
        "NULL is the same as empty"
    );
}

#[test]
fn portals_are_bounded_where_they_are_looked_at() {
    assert_eq!(portal(&Portal::new("192.0.2.1", 0)), Ok(()));
    assert_eq!(portal(&Portal::new("fe80::1%eth0", 1)), Ok(()));
    assert_eq!(portal(&Portal::new("", 3260)), Err(INVALID));
    assert_eq!(optional_portal(None), Ok(()));
    assert_eq!(optional_portal(Some(&Portal::default())), Ok(()));
    assert_eq!(portal(&Portal::new(&"x".repeat(255), 1)), Ok(()));
    for address in [&"x".repeat(256), "a b", "a,b", "[::1]", "a\n"] {
        assert_eq!(portal(&Portal::new(address, 1)), Err(INVALID), "{address}");
        assert_eq!(portal_identity(&Portal::new(address, 1)), Err(INVALID));
    }
    let named = |name: String| Portal {
        symbolic_name: name,
        ..Portal::new("192.0.2.1", 3260)
    };
    assert_eq!(portal(&named("x".repeat(256))), Err(INVALID));
    let rubbish = named("\u{1}".repeat(999));
    assert_eq!(named_portal(&rubbish), Ok(()), "never looked at");
    assert_eq!(named_portal(&Portal::default()), Err(INVALID));
}

#[test]
fn groups_and_aliases_are_bounded() {
    let group = |count| PortalGroup {
        portals: vec![Portal::new("192.0.2.1", 3260); count],
    };
    assert_eq!(portal_group(None), Ok(()));
    assert_eq!(portal_group(Some(&group(0))), Ok(()));
    assert_eq!(portal_group(Some(&group(MAX_PORTALS))), Ok(()));
    assert_eq!(portal_group(Some(&group(MAX_PORTALS + 1))), Err(INVALID));
    let with_hole = PortalGroup {
        portals: vec![Portal::default()],
    };
    assert_eq!(portal_group(Some(&with_hole)), Err(INVALID));
    assert_eq!(alias(None), Ok(()));
    assert_eq!(alias(Some(&"x".repeat(255))), Ok(()));
    assert_eq!(alias(Some(&"x".repeat(256))), Err(INVALID));
}

#[test]
fn flags_may_not_contradict_each_other_when_they_count() {
    for flags in [0, 0x7f & !1, 0x01, 0x03, 0x07, 0x27, 0x4b, 1 << 40] {
        assert_eq!(security_flags(flags), Ok(()), "{flags:#x}");
    }
    assert_eq!(
        security_flags(0x01 | 0x0c),
        Err(INVALID),
        "both modes of IKE"
    );
    assert_eq!(
        security_flags(0x01 | 0x60),
        Err(INVALID),
        "tunnel and transport"
    );
    for flags in [0, 2, 4, 6] {
        assert_eq!(target_flags(flags), Ok(()));
    }
    for flags in [1, 8, u32::MAX] {
        assert_eq!(target_flags(flags), Err(INVALID));
    }
}

#[test]
fn a_mapping_has_each_lun_once() {
    let with = |luns: &[(u32, u64)]| TargetMapping {
        initiator_name: String::new(),
        target_name: String::new(),
        os_device_name: String::new(),
        session_id: SessionId::default(),
        os_bus_number: ANY_PORT,
        os_target_number: 1,
        luns: luns
            .iter()
            .map(|(os_lun, target_lun)| LunMapping {
                os_lun: *os_lun,
                target_lun: *target_lun,
            })
            .collect(),
    };
    assert_eq!(mapping(None), Ok(()));
    assert_eq!(mapping(Some(&with(&[]))), Ok(()));
    assert_eq!(mapping(Some(&with(&[(0, 0x100), (1, 0)]))), Ok(()));
    let invalid = Err(Status::INVALID_TARGET_MAPPING);
    assert_eq!(mapping(Some(&with(&[(0, 0x100), (0, 0)]))), invalid);
    assert_eq!(mapping(Some(&with(&[(0, 7), (1, 7)]))), invalid);
    let many: Vec<(u32, u64)> = (0..=16_384).map(|lun| (lun, lun.into())).collect();
    assert_eq!(mapping(Some(&with(&many))), invalid);
}

#[test]
fn ids_of_sessions_are_never_zero() {
    assert_eq!(
        session_id(SessionId::default()),
        Err(Status::INVALID_SESSION_ID)
    );
    let id = SessionId {
        adapter_unique: 0,
        adapter_specific: 1,
    };
    assert_eq!(session_id(id), Ok(()));
}

#[test]
fn servers_have_addresses_and_those_of_radius_are_short() {
    for address in ["192.0.2.1", "isns.example", "2001:db8::1"] {
        assert_eq!(server_address(address), Ok(()));
        assert_eq!(radius_address(address), Ok(()));
    }
    for address in ["", "a b", "a\n", "a/b", &"x".repeat(256)] {
        assert_eq!(server_address(address), Err(INVALID), "{address}");
        assert_eq!(radius_address(address), Err(INVALID), "{address}");
    }
    assert_eq!(radius_address(&"x".repeat(41)), Ok(()));
    assert_eq!(radius_address(&"x".repeat(42)), Err(INVALID));
    for address in ["", "192.0.2.1", "2001:db8::1"] {
        assert_eq!(outer_address(address), Ok(()));
    }
    assert_eq!(outer_address("a.example"), Err(INVALID));
}

#[test]
fn secrets_have_their_lengths() {
    let secret = |length| Secret::new(vec![b'x'; length]);
    for length in [22, 26] {
        assert_eq!(radius_secret(Some(&secret(length))), Ok(()));
    }
    for length in [1, 21, 27] {
        assert_eq!(radius_secret(Some(&secret(length))), Err(INVALID));
    }
    assert_eq!(radius_secret(None), Ok(()));
    for length in [1, 11, 12, 16] {
        assert_eq!(initiator_secret(&secret(length)), Ok(()));
    }
    assert_eq!(
        initiator_secret(&secret(17)),
        Err(Status::INVALID_INITIATOR_CHAP_SECRET)
    );
    assert_eq!(key(None), Ok(()));
    assert_eq!(key(Some(&secret(MAX_IKE_KEY_LEN))), Ok(()));
    assert_eq!(key(Some(&secret(MAX_IKE_KEY_LEN + 1))), Err(INVALID));
}

#[test]
fn identities_of_ike_have_the_length_of_their_type() {
    for good in [id(1, &[0; 4]), id(5, &[0; 16]), id(2, b"a"), id(3, b"a@b")] {
        assert_eq!(ike_identity(&good), Ok(()), "{good:?}");
    }
    let size = Err(Status::IKE_ID_PAYLOAD_INCORRECT_SIZE);
    for bad in [
        id(1, &[0; 5]),
        id(5, &[0; 4]),
        id(2, b""),
        id(3, &[b'x'; 256]),
    ] {
        assert_eq!(ike_identity(&bad), size, "{bad:?}");
    }
    for id_type in [0, 4, 6, 255] {
        let unknown = ike_identity(&id(id_type, &[0; 4]));
        assert_eq!(unknown, Err(Status::IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED));
    }
    assert_eq!(auth_method(1), Ok(()));
    for method in [0, 2, u32::MAX] {
        assert_eq!(auth_method(method), Err(INVALID));
    }
}
