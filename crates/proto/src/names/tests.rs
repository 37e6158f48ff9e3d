//! Tests of names and addresses; the good ones are the examples of RFC 7143 §4.2.7, §13.8 and
//! Appendix C.

use super::*;

fn name(text: &str) -> Result<String, NameError> {
    IscsiName::parse(text).map(|n| n.as_str().to_owned())
}

#[test]
fn names_of_the_rfc() {
    for text in [
        "iqn.2001-04.com.example:storage.tape1.sys1.xyz",
        "iqn.2001-04.com.example",
        "iqn.2001-04.com.example.storage:tape.sys1.xyz",
        "iqn.1993-11.com.example:diskarray.sn.8675309",
        "iqn.1999-07.com.os:hostid.77",
        "eui.02004567a425678d",
        "naa.52004567ba64678d",
        "naa.62004567ba64678d0123456789abcdef",
    ] {
        assert_eq!(name(text).as_deref(), Ok(text));
    }
}

#[test]
fn sup_l25_case_is_folded_and_kept() {
    let upper = IscsiName::parse("IQN.2024-01.com.Example:Disk_1").unwrap();
    assert_eq!(upper.as_str(), "iqn.2024-01.com.example:disk_1");
    assert_eq!(upper.as_written(), "IQN.2024-01.com.Example:Disk_1");
    assert_eq!(
        upper,
        IscsiName::parse("iqn.2024-01.com.example:disk_1").unwrap()
    );
    assert_eq!(
        name("eui.02004567A425678D").unwrap(),
        "eui.02004567a425678d"
    );
}

#[test]
fn sup_l25_malformed_names_are_refused_by_name() {
    let space = name("iqn.2024-01.com.example:a b").unwrap_err();
    assert!(matches!(
        space,
        NameError::ForbiddenCharacter { character: ' ', .. }
    ));
    let nul = name("iqn.2024-01.com.example:a\0b").unwrap_err();
    assert!(matches!(
        nul,
        NameError::ForbiddenCharacter {
            character: '\0',
            ..
        }
    ));

    let prefix = "iqn.2024-01.com.example:";
    let longest = format!("{prefix}{}", "x".repeat(223 - prefix.len()));
    assert_eq!(name(&longest).as_deref(), Ok(longest.as_str()));
    assert_eq!(
        name(&format!("{longest}x")),
        Err(NameError::TooLong { bytes: 224 })
    );

    for text in ["", "iqn", "disk1", "foo.2024-01.com.example"] {
        assert!(
            matches!(name(text), Err(NameError::UnknownType { .. })),
            "{text}"
        );
    }
    for text in [
        "iqn.",
        "iqn.2024.com",
        "iqn.2024-13.com.example",
        "iqn.24-01.com",
        "iqn.2024-01",
        "iqn.2024-01.:x",
    ] {
        assert!(
            matches!(name(text), Err(NameError::MalformedIqn { .. })),
            "{text}"
        );
    }
    for text in [
        "eui.0200",
        "eui.02004567a425678g",
        "naa.52004567ba64678",
        "naa.",
    ] {
        assert!(
            matches!(name(text), Err(NameError::MalformedHex { .. })),
            "{text}"
        );
    }
}

#[test]
fn isid_text_and_random_form() {
    let isid = Isid::from_random([0x11, 0x22, 0x33, 0x44, 0x55]);
    assert_eq!(isid.0, [0x80, 0x11, 0x22, 0x33, 0x44, 0x55]);
    assert_eq!(isid.to_string(), "801122334455");
    assert_eq!("0x801122334455".parse(), Ok(isid));
    assert_eq!("80112233445".parse::<Isid>(), Err(IsidError));
    assert_eq!("80112233445g".parse::<Isid>(), Err(IsidError));
    assert_eq!("+80112233445".parse::<Isid>(), Err(IsidError));
}

#[test]
fn sup_d02_addresses() {
    for (text, host, port, tag) in [
        ("10.1.0.45:3000,1", "10.1.0.45", 3000, Some(1)),
        ("10.1.0.45,65535", "10.1.0.45", 3260, Some(65535)),
        ("10.1.0.45", "10.1.0.45", 3260, None),
        (
            "[2001:DB8:0:0:8:800:200C:417A]:860,0",
            "2001:db8::8:800:200c:417a",
            860,
            Some(0),
        ),
        ("[1080::8]", "1080::8", 3260, None),
        ("fe80::1,3", "fe80::1", 3260, Some(3)),
        ("[fe80::1%eth0]:3260,1", "fe80::1%eth0", 3260, Some(1)),
        (
            "Storage.Example.com:3260,0x10",
            "storage.example.com",
            3260,
            Some(16),
        ),
    ] {
        let address: TargetAddress = text.parse().unwrap();
        assert_eq!(
            (address.portal.host(), address.portal.port(), address.tag),
            (host, port, tag),
            "{text}"
        );
    }
}

#[test]
fn sup_d02_malformed_addresses() {
    for text in [
        "",
        ":3260",
        "[10.0.0.1]:3260",
        "[2001:db8::1",
        "[::1%]:1",
        "ho st",
        "a/b",
        "1:2:3",
    ] {
        assert!(
            matches!(
                text.parse::<TargetAddress>(),
                Err(AddressError::Host { .. })
            ),
            "{text}"
        );
    }
    for text in ["h:", "h:0", "h:65536", "h:+1", "[::1]3260", "h:x"] {
        assert!(
            matches!(
                text.parse::<TargetAddress>(),
                Err(AddressError::Port { .. })
            ),
            "{text}"
        );
    }
    for text in ["h,", "h,65536", "h,x", "h,1,2"] {
        assert!(
            matches!(text.parse::<TargetAddress>(), Err(AddressError::Tag { .. })),
            "{text}"
        );
    }
}

#[test]
fn addresses_print_as_they_are_read() {
    for text in [
        "[2001:db8::1]:3260,2",
        "10.0.0.1:860",
        "host.example:3260,0",
    ] {
        assert_eq!(text.parse::<TargetAddress>().unwrap().to_string(), text);
    }
    let socket: std::net::SocketAddr = "[::1]:3261".parse().unwrap();
    assert_eq!(Portal::from(socket).to_string(), "[::1]:3261");
}
