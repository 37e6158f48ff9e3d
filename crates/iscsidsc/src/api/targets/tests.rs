use super::*;

fn portal(address: &str, port: u32) -> v1::Portal {
    v1::Portal {
        address: address.into(),
        port,
        symbolic_name: address.into(),
    }
}

fn told() -> v1::TargetInstance {
    v1::TargetInstance {
        mechanism_text: r"SendTargets:*192.0.2.1 0003260 Root\HAWSER\0000_0".into(),
        portal_groups: vec![
            v1::PortalGroup {
                tag: Some(1),
                portals: vec![portal("192.0.2.1", 3260), portal("a.example", 3260)],
            },
            v1::PortalGroup {
                tag: Some(2),
                portals: vec![portal("192.0.2.2", 3260)],
            },
        ],
        initiator_instance: r"Root\HAWSER\0000_0".into(),
        ..v1::TargetInstance::default()
    }
}

fn fixed() -> v1::TargetInstance {
    v1::TargetInstance {
        mechanism_text: "Static:".into(),
        portal_groups: vec![v1::PortalGroup {
            tag: None,
            portals: vec![portal("A.EXAMPLE", 3260), portal("a.example", 3261)],
        }],
        alias: "by hand".into(),
        target_flags: 2,
        login_options: Some(v1::LoginOptions {
            secret_set: true,
            ..v1::LoginOptions::default()
        }),
        mapping: Some(v1::TargetMapping {
            os_bus_number: None,
            os_target_number: Some(4),
            luns: Vec::new(),
        }),
        ..v1::TargetInstance::default()
    }
}

fn target() -> v1::Target {
    v1::Target {
        target_name: "iqn.t".into(),
        alias: "of the target".into(),
        instances: vec![told(), fixed()],
        ..v1::Target::default()
    }
}

fn of_static(class: InformationClass) -> TargetInformation {
    information(target(), Some("static: "), class).expect("is known")
}

fn of_first(class: InformationClass) -> TargetInformation {
    information(target(), None, class).expect("is known")
}

#[test]
fn every_number_of_a_class_is_its_own_and_others_are_none() {
    for number in 0..8 {
        let class = InformationClass::try_from(number);
        assert_eq!(class.map(|class| class as u32), Ok(number));
    }
    let none = InformationClass::try_from(8);
    assert_eq!(none, Err(Status::ERROR_INVALID_PARAMETER));
}

#[test]
fn all_classes_of_a_static_instance() {
    use InformationClass as Class;
    use TargetInformation as Info;
    assert_eq!(of_static(Class::ProtocolType), Info::ProtocolType(0));
    assert_eq!(
        of_static(Class::TargetAlias),
        Info::TargetAlias("by hand".into())
    );
    assert_eq!(
        of_static(Class::DiscoveryMechanisms),
        Info::DiscoveryMechanisms(vec!["Static:".into()])
    );
    let Info::PortalGroups(groups) = of_static(Class::PortalGroups) else {
        panic!("another class");
    };
    assert_eq!((groups.len(), groups[0].portals.len()), (1, 2));
    let Info::PersistentTargetMappings(Some(mapping)) = of_static(Class::PersistentTargetMappings)
    else {
        panic!("another class, or none");
    };
    assert_eq!(mapping.target_name, "iqn.t");
    assert_eq!(
        (mapping.os_bus_number, mapping.os_target_number),
        (0xffff_ffff, 4)
    );
    assert_eq!(of_static(Class::InitiatorName), Info::InitiatorName(None));
    assert_eq!(of_static(Class::TargetFlags), Info::TargetFlags(2));
    let Info::LoginOptions(Some(options)) = of_static(Class::LoginOptions) else {
        panic!("another class, or none");
    };
    assert_eq!(options.information_specified(), 0x40);
}

#[test]
fn without_a_mechanism_the_first_instance_answers() {
    use InformationClass as Class;
    use TargetInformation as Info;
    let Info::DiscoveryMechanisms(all) = of_first(Class::DiscoveryMechanisms) else {
        panic!("another class");
    };
    assert_eq!(all.len(), 2, "and all are listed");
    assert_eq!(
        of_first(Class::TargetAlias),
        Info::TargetAlias("of the target".into())
    );
    assert_eq!(of_first(Class::TargetFlags), Info::TargetFlags(0));
    assert_eq!(of_first(Class::LoginOptions), Info::LoginOptions(None));
    assert_eq!(
        of_first(Class::PersistentTargetMappings),
        Info::PersistentTargetMappings(None)
    );
    let Info::InitiatorName(Some(name)) = of_first(Class::InitiatorName) else {
        panic!("another class, or none");
    };
    assert_eq!(name, r"Root\HAWSER\0000_0");
    assert_eq!(
        information(target(), Some(""), Class::TargetFlags),
        Ok(Info::TargetFlags(0)),
        "empty is NULL"
    );
}

#[test]
fn an_alias_given_by_hand_is_not_that_of_other_mechanisms() {
    let by_hand = v1::Target {
        alias: fixed().alias,
        ..target()
    };
    let alias = |mechanism| information(by_hand.clone(), mechanism, InformationClass::TargetAlias);
    assert_eq!(
        alias(None),
        Ok(TargetInformation::TargetAlias(String::new()))
    );
    assert_eq!(
        alias(Some("static:")),
        Ok(TargetInformation::TargetAlias("by hand".into()))
    );
}

#[test]
fn a_mechanism_with_two_instances_is_told_once() {
    let twice = v1::Target {
        instances: vec![told(), fixed(), told()],
        ..target()
    };
    let all = information(twice, None, InformationClass::DiscoveryMechanisms);
    let texts = vec![told().mechanism_text, fixed().mechanism_text];
    assert_eq!(all, Ok(TargetInformation::DiscoveryMechanisms(texts)));
}

#[test]
fn mechanisms_are_found_by_their_text_and_unknown_ones_are_refused() {
    let text = r"SENDTARGETS:*192.0.2.1 0003260 root\hawser\0000_0 ";
    let found = information(target(), Some(text), InformationClass::TargetFlags);
    assert_eq!(found, Ok(TargetInformation::TargetFlags(0)));
    let unknown = information(target(), Some("iSNS:x"), InformationClass::ProtocolType);
    assert_eq!(unknown, Err(Status::DISCOVERY_MECHANISM_NOT_FOUND));
}

#[test]
fn portals_are_told_once_and_by_tag() {
    let all = portals(target(), None);
    let texts: Vec<(&str, u16)> = all
        .iter()
        .map(|portal| (portal.address.as_str(), portal.socket))
        .collect();
    let expected = [
        ("192.0.2.1", 3260),
        ("a.example", 3260),
        ("192.0.2.2", 3260),
        ("a.example", 3261),
    ];
    assert_eq!(texts, expected);
    let of_group = portals(target(), Some(2));
    assert_eq!(of_group.len(), 1);
    assert_eq!(portals(target(), Some(9)), []);
}
