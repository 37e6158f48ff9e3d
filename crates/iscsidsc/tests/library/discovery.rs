//! §2.1 and §2.2: the initiator, portals, static targets, what is known of targets.

use iscsidsc::api::{
    ANY_PORT, InformationClass, InitiatorPort, Library, LoginOptions, Portal, PortalGroup,
    RawLoginOptions, Secret, StaticTarget, Status, TargetInformation, specified,
};

use super::support::{Daemon, TARGET, Target, discover, log_in, login_to, tgtd, with_chap};

fn fixed(name: &str) -> StaticTarget {
    StaticTarget {
        name: name.into(),
        ..StaticTarget::default()
    }
}

#[test]
fn the_initiator_tells_who_it_is_and_takes_a_name() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let instances = library.initiators().expect("listed");
    assert_eq!(instances.len(), 1, "{instances:?}");
    let default = library.node_name().expect("told");
    assert!(default.starts_with("iqn."), "{default}");
    let set = library.set_node_name(Some("odd name")).expect("set");
    assert!(!set.status().is_error());
    assert_eq!(library.node_name().as_deref(), Ok("odd name"));
    for back in [None, Some("")] {
        library.set_node_name(back).expect("set");
        assert_eq!(library.node_name(), Ok(default.clone()));
    }
    let long = library.set_node_name(Some(&"x".repeat(224)));
    assert_eq!(long, Err(Status::INVALID_ISCSI_NAME));
    assert_eq!(Library::version().major, 0);
}

#[test]
fn a_portal_is_asked_listed_refreshed_and_removed() {
    let mut target = Target::start();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    assert_eq!(library.send_target_portals(), Ok(Vec::new()));
    let portal = target.portal();
    let any = InitiatorPort::any();
    discover(&library, &portal);
    assert_eq!(library.targets(false), Ok(vec![TARGET.to_owned()]));
    let listed = library.send_target_portals().expect("listed");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].portal.address, portal.address);
    assert_eq!(listed[0].portal.socket, portal.socket);
    assert_eq!(listed[0].portal.symbolic_name, portal.address, "§1.7");
    assert_eq!(listed[0].initiator.port_number, ANY_PORT);
    assert_eq!(library.refresh_send_target_portal(&any, &portal), Ok(()));
    target.kill();
    let gone = library.refresh_send_target_portal(&any, &portal);
    assert_eq!(gone, Err(Status::CONNECTION_FAILED));
    let all = library.targets(true);
    assert_eq!(all, Ok(vec![TARGET.to_owned()]), "one portal fails no call");
    assert_eq!(library.remove_send_target_portal(&any, &portal), Ok(()));
    assert_eq!(library.targets(false), Ok(Vec::new()));
    for again in [
        library.remove_send_target_portal(&any, &portal),
        library.refresh_send_target_portal(&any, &portal),
    ] {
        assert_eq!(again, Err(Status::PORTAL_NOT_FOUND));
    }
}

#[test]
fn a_portal_that_cannot_be_asked_stays_with_its_options() {
    let mut target = Target::start();
    let portal = target.portal();
    target.kill();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let options = LoginOptions::try_from(RawLoginOptions {
        information_specified: specified::USERNAME | specified::PASSWORD | specified::AUTH_TYPE,
        auth_type: 1,
        username: b"user".to_vec(),
        password: Some(Secret::new("secretsecret")),
        ..RawLoginOptions::default()
    })
    .expect("are good");
    let any = InitiatorPort::any();
    let added = library.add_send_target_portal(&any, Some(options.clone()), 0x1e, &portal);
    assert_eq!(added, Err(Status::CONNECTION_FAILED));
    let listed = library.send_target_portals().expect("listed");
    assert_eq!(listed[0].security_flags, 0x1e, "verbatim without VALID");
    assert_eq!(listed[0].login_options, options);
    assert!(
        listed[0].login_options.password.is_none(),
        "never comes back"
    );
}

#[test]
fn initiators_and_ports_that_are_not_there_are_refused() {
    let target = Target::start();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let instance = library.initiators().expect("listed").remove(0);
    let add =
        |port: InitiatorPort| library.add_send_target_portal(&port, None, 0, &target.portal());
    let other = InitiatorPort::new(Some("other"), ANY_PORT);
    assert_eq!(add(other), Err(Status::INITIATOR_NOT_FOUND));
    let far = InitiatorPort::new(Some(&instance), 9999);
    assert_eq!(add(far), Err(Status::INVALID_PORT_NUMBER));
    assert_eq!(library.send_target_portals(), Ok(Vec::new()));
    let lower = InitiatorPort::new(Some(&instance.to_lowercase()), ANY_PORT);
    assert_eq!(add(lower), Ok(()), "without regard to case");
}

#[test]
fn static_targets_are_hidden_merged_and_removed() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let name = "iqn.2026-11.test:fixed";
    let hidden = StaticTarget {
        flags: 2,
        ..fixed(name)
    };
    library.add_static_target(hidden).expect("added");
    assert_eq!(library.targets(false), Ok(Vec::new()));
    let refused = library.login(login_to(name)).map(drop);
    assert_eq!(refused, Err(Status::TARGET_NOT_FOUND), "hidden from login");
    library.add_static_target(fixed(name)).expect("replaced");
    let refused = library.login(login_to(name)).map(drop);
    assert_eq!(refused, Err(Status::NO_PORTAL_SPECIFIED));
    for address in ["192.0.2.1", "192.0.2.2"] {
        let group = PortalGroup {
            portals: vec![Portal::new(address, 0)],
        };
        let merged = StaticTarget {
            flags: 4,
            alias: Some("alias".into()),
            portal_group: Some(group),
            ..fixed(name)
        };
        library.add_static_target(merged).expect("merged");
    }
    assert_eq!(library.targets(false), Ok(vec![name.to_owned()]));
    let portals = library.target_portals(None, name, None).expect("told");
    let shown: Vec<_> = portals.iter().map(|p| (&*p.address, p.socket)).collect();
    assert_eq!(shown, [("192.0.2.1", 3260), ("192.0.2.2", 3260)]);
    assert_eq!(library.target_portals(None, name, Some(1)), Ok(Vec::new()));
    assert_eq!(library.remove_static_target(name), Ok(()));
    let again = library.remove_static_target(name);
    assert_eq!(again, Err(Status::TARGET_NOT_FOUND));
    let odd = library.add_static_target(fixed("not a name"));
    assert_eq!(odd, Err(Status::INVALID_ISCSI_NAME));
}

#[test]
fn every_class_of_information_is_told_of_a_target_of_tgt() {
    let tgt = tgtd(TARGET);
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let portal = super::support::portal_of(tgt.portal());
    discover(&library, &portal);
    let ask = |mechanism: Option<&str>, class| library.target_information(TARGET, mechanism, class);
    let Ok(TargetInformation::DiscoveryMechanisms(mechanisms)) =
        ask(None, InformationClass::DiscoveryMechanisms)
    else {
        panic!("no mechanisms");
    };
    let [mechanism] = &mechanisms[..] else {
        panic!("{mechanisms:?}");
    };
    let begins = format!("SendTargets:*{} {:07} ", portal.address, portal.socket);
    assert!(mechanism.starts_with(&begins), "{mechanism}");
    for number in 0..8 {
        let class = InformationClass::try_from(number).expect("is one");
        let told = ask(Some(mechanism), class).expect("told");
        if let TargetInformation::PortalGroups(groups) = &told {
            assert_eq!(groups[0].portals[0].socket, portal.socket);
        }
        if let TargetInformation::InitiatorName(name) = told {
            let instances = library.initiators().expect("listed");
            assert_eq!(name.as_ref(), Some(&instances[0]));
        }
    }
    let unknown = ask(Some("HBA:none"), InformationClass::TargetFlags);
    assert_eq!(unknown, Err(Status::DISCOVERY_MECHANISM_NOT_FOUND));
    let class = InformationClass::TargetFlags;
    let unknown = library.target_information("iqn.none", None, class);
    assert_eq!(unknown, Err(Status::TARGET_NOT_FOUND));
    let portals = library.target_portals(Some("nobody"), TARGET, None);
    assert_eq!(portals, Err(Status::INITIATOR_NOT_FOUND));
    let node = library.node_name().expect("told");
    let portals = library.target_portals(Some(&node), TARGET, Some(1));
    assert_eq!(portals.map(|all| all.len()), Ok(1));
}

#[test]
fn defaults_of_a_static_target_log_in_with_chap() {
    let target = Target::start_with(with_chap("user", "secretsecret"));
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    let refused = library.login(login_to(TARGET)).map(drop);
    assert_eq!(refused, Err(Status::AUTHENTICATION_FAILURE));
    let with_secret = StaticTarget {
        login_options: Some(LoginOptions {
            username: Some(b"user".to_vec()),
            password: Some(Secret::new("secretsecret")),
            ..LoginOptions::default()
        }),
        ..fixed(TARGET)
    };
    library.add_static_target(with_secret).expect("added");
    log_in(&library, TARGET);
}
