use super::rules::{MAX_IKE_KEY_LEN, MAX_PATH_LEN, MAX_PORTALS};
use super::*;
use crate::v1::{
    AuthType, Digest, IkeIdentity, InitiatorPort, LunMapping, Nexus, Portal, Secret, SessionId,
    TargetMapping, nexus,
};

const INVALID: Status = Status::ERROR_INVALID_PARAMETER;

/// The status that a check comes to.
fn status(checked: Result<(), Failure>) -> Status {
    checked.map_or_else(|failure| failure.status, |()| Status::ERROR_SUCCESS)
}

fn of(request: &impl Check) -> Status {
    status(request.check())
}

const GOOD: Status = Status::ERROR_SUCCESS;

fn portal(address: &str) -> Portal {
    Portal {
        address: address.into(),
        port: 3260,
        symbolic_name: String::new(),
    }
}

fn port(instance: &str, number: Option<u32>) -> InitiatorPort {
    InitiatorPort {
        instance: instance.into(),
        port_number: number,
        source_address: None,
    }
}

fn secret(length: usize) -> Secret {
    Secret::new(vec![b'x'; length])
}

#[test]
fn target_names_are_bounded_and_plain() {
    let named = |name: &str| rules::target_name(name);
    for name in [
        "iqn.2026-11.test:a_b",
        "eui.02004567A425678D",
        "odd",
        "iqn.x:ö",
    ] {
        assert_eq!(status(named(name)), GOOD, "{name}");
    }
    assert_eq!(status(named(&"x".repeat(223))), GOOD);
    assert_eq!(status(named("")), INVALID);
    let refused = Status::INVALID_ISCSI_NAME;
    assert_eq!(status(named(&"x".repeat(224))), refused);
    for name in [
        " ", "a b", "a\nb", "a\u{7f}", "a/b", "a\\b", "a,b", "a\u{a0}b",
    ] {
        assert_eq!(status(named(name)), refused, "{name:?}");
    }
}

/// Each request that names a target judges the name.
#[test]
fn no_request_goes_out_with_a_name_that_can_be_none() {
    let target_name = "a b".to_owned();
    let login = LoginRequest {
        target_name: target_name.clone(),
        ..LoginRequest::default()
    };
    let add = AddStaticTargetRequest {
        target_name: target_name.clone(),
        ..AddStaticTargetRequest::default()
    };
    let forget = RemovePersistentLoginRequest {
        target_name: target_name.clone(),
        ..RemovePersistentLoginRequest::default()
    };
    let remove = RemoveStaticTargetRequest {
        target_name: target_name.clone(),
    };
    let get = GetTargetRequest { target_name };
    let all = [of(&login), of(&add), of(&forget), of(&remove), of(&get)];
    assert_eq!(all, [Status::INVALID_ISCSI_NAME; 5]);
}

#[test]
fn a_node_name_may_be_odd_but_not_long() {
    let named = |node_name: String| of(&SetNodeNameRequest { node_name });
    assert_eq!(named("what ever / it is".into()), GOOD);
    assert_eq!(named("x".repeat(223)), GOOD);
    assert_eq!(named("x".repeat(224)), Status::INVALID_ISCSI_NAME);
}

#[test]
fn an_instance_is_bounded_and_a_port_of_a_login_needs_one() {
    let any = |port: InitiatorPort| status(rules::initiator(Some(&port)));
    let login = |port: InitiatorPort| status(rules::login_initiator(Some(&port)));
    assert_eq!(any(port("", Some(0))), GOOD, "all ports number 0");
    assert_eq!(any(port(&"x".repeat(255), Some(0))), GOOD);
    assert_eq!(any(port(&"x".repeat(256), Some(0))), INVALID);
    assert_eq!(any(port("a\tb", Some(0))), INVALID);
    assert_eq!(login(port("", None)), GOOD);
    assert_eq!(login(port("", Some(0))), INVALID);
    assert_eq!(login(port("x", Some(0))), GOOD);
    assert_eq!(status(rules::login_initiator(None)), GOOD);
}

#[test]
fn portals_are_bounded_where_they_are_looked_at() {
    let given = |portal: &Portal| status(rules::portal(Some(portal)));
    let named = |portal: &Portal| status(rules::named_portal(Some(portal)));
    assert_eq!(given(&portal("192.0.2.1")), GOOD);
    assert_eq!(given(&portal("fe80::1%eth0")), GOOD);
    assert_eq!(given(&portal("")), INVALID);
    assert_eq!(status(rules::portal(None)), INVALID);
    assert_eq!(status(rules::optional_portal(None)), GOOD);
    assert_eq!(status(rules::optional_portal(Some(&portal("")))), GOOD);
    assert_eq!(given(&portal(&"x".repeat(255))), GOOD);
    for address in [&"x".repeat(256), "a b", "a,b", "[::1]", "a\n"] {
        assert_eq!(given(&portal(address)), INVALID, "{address}");
        assert_eq!(named(&portal(address)), INVALID, "{address}");
    }
    let called = |symbolic_name: String| Portal {
        symbolic_name,
        ..portal("192.0.2.1")
    };
    assert_eq!(given(&called("x".repeat(256))), INVALID);
    let rubbish = called("\u{1}".repeat(999));
    assert_eq!(named(&rubbish), GOOD, "never looked at");
    assert_eq!(named(&portal("")), INVALID);
    let beyond = Portal {
        port: 65_536,
        ..portal("192.0.2.1")
    };
    assert_eq!((given(&beyond), named(&beyond)), (INVALID, INVALID));
}

#[test]
fn portals_and_aliases_are_bounded() {
    let target = |portals: Vec<Portal>, alias: usize| {
        of(&AddStaticTargetRequest {
            target_name: "iqn.a".into(),
            alias: "x".repeat(alias),
            portals,
            ..AddStaticTargetRequest::default()
        })
    };
    let many = |count| vec![portal("192.0.2.1"); count];
    assert_eq!(target(many(0), 0), GOOD);
    assert_eq!(target(many(MAX_PORTALS), 255), GOOD);
    assert_eq!(target(many(MAX_PORTALS + 1), 0), INVALID);
    assert_eq!(target(vec![portal("")], 0), INVALID, "a hole");
    assert_eq!(target(many(0), 256), INVALID);
}

#[test]
fn flags_may_not_contradict_each_other_when_they_count() {
    let security = |flags| status(rules::security_flags(flags));
    for flags in [0, 0x7f & !1, 0x01, 0x03, 0x07, 0x27, 0x4b, 1 << 40] {
        assert_eq!(security(flags), GOOD, "{flags:#x}");
    }
    assert_eq!(security(0x01 | 0x0c), INVALID, "both modes of IKE");
    assert_eq!(security(0x01 | 0x60), INVALID, "tunnel and transport");
    for flags in [0, 2, 4, 6] {
        assert_eq!(status(rules::target_flags(flags)), GOOD);
    }
    for flags in [1, 8, u32::MAX] {
        assert_eq!(status(rules::target_flags(flags)), INVALID);
    }
}

#[test]
fn a_mapping_has_each_lun_once() {
    let with = |luns: &[(u32, u64)]| {
        let luns = luns.iter();
        let mapping = TargetMapping {
            os_bus_number: None,
            os_target_number: Some(1),
            luns: luns
                .map(|&(os_lun, lun)| LunMapping { os_lun, lun })
                .collect(),
        };
        status(rules::mapping(Some(&mapping)))
    };
    assert_eq!(status(rules::mapping(None)), GOOD);
    assert_eq!(with(&[]), GOOD);
    assert_eq!(with(&[(0, 0x100), (1, 0)]), GOOD);
    let refused = Status::INVALID_TARGET_MAPPING;
    assert_eq!(with(&[(0, 0x100), (0, 0)]), refused);
    assert_eq!(with(&[(0, 7), (1, 7)]), refused);
    let many: Vec<(u32, u64)> = (0..=16_384).map(|lun| (lun, lun.into())).collect();
    assert_eq!(with(&many), refused);
    assert_eq!(with(&many[1..]), GOOD);
}

#[test]
fn ids_of_sessions_are_never_zero() {
    let zero = Some(SessionId::default());
    let some = Some(SessionId {
        adapter_unique: 0,
        adapter_specific: 1,
    });
    let to = |session_id: Option<SessionId>| Nexus {
        which: session_id.map(nexus::Which::SessionId),
        lun: 0,
    };
    let all = |session_id: Option<SessionId>| {
        let logout = LogoutRequest {
            which: session_id.map(logout_request::Which::SessionId),
            force: false,
        };
        let add = AddConnectionRequest {
            session_id,
            ..AddConnectionRequest::default()
        };
        let remove = RemoveConnectionRequest {
            session_id,
            connection_id: None,
        };
        let luns = ReportLunsRequest {
            nexus: Some(to(session_id)),
        };
        let devices = ListDevicesRequest { session_id };
        [of(&logout), of(&add), of(&remove), of(&luns), of(&devices)]
    };
    assert_eq!(all(zero), [Status::INVALID_SESSION_ID; 5]);
    assert_eq!(all(some), [GOOD; 5]);
}

#[test]
fn servers_have_addresses_and_those_of_radius_are_short() {
    let isns = |address: &str| {
        of(&AddIsnsServerRequest {
            address: address.into(),
        })
    };
    let radius = |address: &str| {
        of(&AddRadiusServerRequest {
            address: address.into(),
        })
    };
    let refresh = |address: &str| {
        of(&RefreshIsnsServersRequest {
            address: address.into(),
        })
    };
    for address in ["192.0.2.1", "isns.example", "2001:db8::1"] {
        assert_eq!((isns(address), radius(address)), (GOOD, GOOD));
    }
    for address in ["a b", "a\n", "a/b", &"x".repeat(256)] {
        assert_eq!(isns(address), INVALID, "{address}");
        assert_eq!(radius(address), INVALID, "{address}");
        assert_eq!(refresh(address), INVALID, "{address}");
    }
    assert_eq!(
        (isns(""), radius(""), refresh("")),
        (INVALID, INVALID, GOOD)
    );
    assert_eq!(radius(&"x".repeat(41)), GOOD);
    assert_eq!(radius(&"x".repeat(42)), INVALID);
    let tunnel = |outer: &str| {
        of(&SetTunnelAddressRequest {
            outer_address: outer.into(),
            ..SetTunnelAddressRequest::default()
        })
    };
    for address in ["", "192.0.2.1", "2001:db8::1"] {
        assert_eq!(tunnel(address), GOOD);
    }
    assert_eq!(tunnel("a.example"), INVALID);
}

#[test]
fn secrets_have_their_lengths() {
    let radius = |secret| of(&SetRadiusSecretRequest { secret });
    for length in [22, 26] {
        assert_eq!(radius(Some(secret(length))), GOOD);
    }
    for length in [1, 21, 27] {
        assert_eq!(radius(Some(secret(length))), INVALID);
    }
    assert_eq!(radius(None), GOOD);
    let own = |length| {
        of(&SetChapSecretRequest {
            secret: Some(secret(length)),
            ..SetChapSecretRequest::default()
        })
    };
    for length in [1, 11, 12, 16] {
        assert_eq!(own(length), GOOD);
    }
    assert_eq!(own(17), Status::INVALID_INITIATOR_CHAP_SECRET);
    let key = |key| of(&SetGroupPresharedKeyRequest { key, persist: true });
    assert_eq!(key(None), GOOD);
    assert_eq!(key(Some(secret(MAX_IKE_KEY_LEN))), GOOD);
    assert_eq!(key(Some(secret(MAX_IKE_KEY_LEN + 1))), INVALID);
}

#[test]
fn identities_of_ike_have_the_length_of_their_type() {
    let asked = |auth_method, id_type, id: &[u8]| {
        of(&GetIkeInfoRequest {
            initiator: None,
            auth_method,
            identity: Some(IkeIdentity {
                id_type,
                id: id.to_vec(),
            }),
        })
    };
    let of_type = |id_type, id: &[u8]| asked(1, id_type, id);
    assert_eq!(of_type(1, &[0; 4]), GOOD);
    assert_eq!(of_type(5, &[0; 16]), GOOD);
    assert_eq!((of_type(2, b"a"), of_type(3, b"a@b")), (GOOD, GOOD));
    let size = Status::IKE_ID_PAYLOAD_INCORRECT_SIZE;
    assert_eq!((of_type(1, &[0; 5]), of_type(5, &[0; 4])), (size, size));
    assert_eq!((of_type(2, b""), of_type(3, &[b'x'; 256])), (size, size));
    for id_type in [0, 4, 6, 255] {
        let unknown = Status::IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED;
        assert_eq!(of_type(id_type, &[0; 4]), unknown);
    }
    for method in [0, 2, u32::MAX] {
        assert_eq!(asked(method, 2, b"a"), INVALID);
    }
}

#[test]
fn numbers_of_options_mean_what_the_sheet_says() {
    assert_eq!(digest(0).ok(), Some(Digest::None));
    assert_eq!(digest(1).ok(), Some(Digest::Crc32c));
    for number in [2, 3, u32::MAX] {
        let refused = digest(number).map(drop);
        assert_eq!(status(refused), Status::LOGIN_USER_INFO_BAD, "{number}");
    }
    let types = [0, 1, 2].map(|number| auth_type(number).ok());
    let known = [AuthType::None, AuthType::Chap, AuthType::MutualChap];
    assert_eq!(types, known.map(Some));
    let refused = auth_type(3).map(drop);
    assert_eq!(status(refused), Status::INVALID_LOGON_AUTH_TYPE);
    assert_eq!((max_connections(0), max_connections(1)), (65_535, 1));
}

#[test]
fn options_are_bounded() {
    let bad = Status::LOGIN_USER_INFO_BAD;
    let numbers = |max_connections, wait, retain| {
        of(&LoginOptions {
            max_connections: Some(max_connections),
            default_time2wait_s: Some(wait),
            default_time2retain_s: Some(retain),
            ..LoginOptions::default()
        })
    };
    assert_eq!(numbers(65_535, 3600, 3600), GOOD);
    assert_eq!(numbers(65_536, 0, 0), bad);
    assert_eq!(numbers(1, 3601, 0), bad);
    assert_eq!(numbers(1, 0, 3601), bad);
    let user = |name: &[u8]| {
        of(&LoginOptions {
            username: Some(name.to_vec()),
            ..LoginOptions::default()
        })
    };
    assert_eq!((user(b""), user(&[b'x'; 255])), (GOOD, GOOD));
    let refused = Status::INVALID_CHAP_USER_NAME;
    assert_eq!((user(&[b'x'; 256]), user(b"a\0b")), (refused, refused));
}

#[test]
fn a_target_secret_has_16_bytes_at_most_and_chap_needs_one() {
    let with = |auth_type: Option<AuthType>, length| {
        of(&LoginOptions {
            auth_type: auth_type.map(i32::from),
            secret: Some(secret(length)),
            ..LoginOptions::default()
        })
    };
    let refused = Status::INVALID_TARGET_CHAP_SECRET;
    assert_eq!((with(None, 16), with(None, 17)), (GOOD, refused));
    assert_eq!(with(None, 0), GOOD, "nothing that needs it");
    assert_eq!(with(Some(AuthType::None), 0), GOOD);
    assert_eq!(with(Some(AuthType::Chap), 0), refused);
    assert_eq!(with(Some(AuthType::MutualChap), 0), refused);
    assert_eq!(with(Some(AuthType::Chap), 1), GOOD, "the daemon's to judge");
}

/// Each request with options judges them.
#[test]
fn no_request_goes_out_with_options_that_can_be_none() {
    let login_options = Some(LoginOptions {
        default_time2wait_s: Some(3601),
        ..LoginOptions::default()
    });
    let session_id = Some(SessionId {
        adapter_unique: 1,
        adapter_specific: 1,
    });
    let login = LoginRequest {
        target_name: "iqn.a".into(),
        login_options: login_options.clone(),
        ..LoginRequest::default()
    };
    let target = AddStaticTargetRequest {
        target_name: "iqn.a".into(),
        login_options: login_options.clone(),
        ..AddStaticTargetRequest::default()
    };
    let connection = AddConnectionRequest {
        session_id,
        login_options: login_options.clone(),
        ..AddConnectionRequest::default()
    };
    let portal = AddPortalRequest {
        portal: Some(portal("192.0.2.1")),
        login_options,
        ..AddPortalRequest::default()
    };
    let all = [of(&login), of(&target), of(&connection), of(&portal)];
    assert_eq!(all, [Status::LOGIN_USER_INFO_BAD; 4]);
}

#[test]
fn a_path_is_made_absolute_and_bounded() {
    let here = std::env::current_dir().expect("there is one");
    let path = absolute_path("Cargo.toml").expect("is a path");
    assert_eq!(std::path::Path::new(&path), here.join("Cargo.toml"));
    assert_eq!(
        absolute_path("/no such/pläce").ok().as_deref(),
        Some("/no such/pläce")
    );
    for wrong in ["", "/a\0b"] {
        assert_eq!(status(absolute_path(wrong).map(drop)), INVALID, "{wrong:?}");
    }
    let unbind = |path: String| of(&UnbindRequest { path, seen: None });
    let long = |length: usize| format!("/{}", "x".repeat(length - 1));
    assert_eq!(unbind(long(MAX_PATH_LEN)), GOOD);
    assert_eq!(unbind(long(MAX_PATH_LEN + 1)), Status::DEVICE_NOT_FOUND);
    assert_eq!(unbind(String::new()), INVALID);
}
