use super::*;

fn judged(raw: RawLoginOptions) -> Result<LoginOptions, Status> {
    LoginOptions::try_from(raw)
}

fn raw(information_specified: u32) -> RawLoginOptions {
    RawLoginOptions {
        information_specified,
        ..RawLoginOptions::default()
    }
}

/// All fields full of rubbish that would be refused.
fn rubbish(information_specified: u32) -> RawLoginOptions {
    RawLoginOptions {
        version: 0,
        information_specified,
        login_flags: 0,
        auth_type: 99,
        header_digest: 99,
        data_digest: 99,
        maximum_connections: u32::MAX,
        default_time2wait: u32::MAX,
        default_time2retain: u32::MAX,
        username: vec![0xff; 300],
        password: Some(Secret::new(vec![b'x'; 99])),
    }
}

#[test]
fn only_fields_whose_bits_are_set_count() {
    let options = judged(RawLoginOptions {
        login_flags: 0x2,
        ..rubbish(0)
    });
    let expected = LoginOptions {
        login_flags: 0x2,
        ..LoginOptions::default()
    };
    assert_eq!(options, Ok(expected));
    for (bit, status) in [
        (specified::AUTH_TYPE, Status::INVALID_LOGON_AUTH_TYPE),
        (specified::HEADER_DIGEST, Status::LOGIN_USER_INFO_BAD),
        (specified::DATA_DIGEST, Status::LOGIN_USER_INFO_BAD),
        (specified::MAXIMUM_CONNECTIONS, Status::LOGIN_USER_INFO_BAD),
        (specified::DEFAULT_TIME_2_WAIT, Status::LOGIN_USER_INFO_BAD),
        (
            specified::DEFAULT_TIME_2_RETAIN,
            Status::LOGIN_USER_INFO_BAD,
        ),
        (specified::USERNAME, Status::INVALID_CHAP_USER_NAME),
        (specified::PASSWORD, Status::INVALID_TARGET_CHAP_SECRET),
    ] {
        assert_eq!(judged(rubbish(bit)), Err(status), "{bit:#x}");
    }
}

#[test]
fn another_version_and_unknown_bits_are_refused() {
    for version in [1, u32::MAX] {
        let refused = judged(RawLoginOptions { version, ..raw(0) });
        assert_eq!(refused, Err(Status::ERROR_INVALID_PARAMETER));
    }
    for bits in [0x100, 1 << 31] {
        assert_eq!(judged(raw(bits)), Err(Status::ERROR_INVALID_PARAMETER));
    }
}

#[test]
fn the_bits_of_a_report_are_those_of_its_fields() {
    for bit in (0..8).map(|shift| 1 << shift) {
        let options = judged(RawLoginOptions {
            maximum_connections: 1,
            username: b"user".to_vec(),
            password: Some(Secret::new("secretsecret")),
            ..raw(bit)
        });
        assert_eq!(options.map(|o| o.information_specified()), Ok(bit));
    }
    let reported = LoginOptions::from(v1::LoginOptions {
        secret_set: true,
        header_digest: Some(v1::Digest::PreferCrc32c.into()),
        auth_type: Some(v1::AuthType::MutualChap.into()),
        ..v1::LoginOptions::default()
    });
    assert!(reported.password.is_none());
    assert_eq!(reported.information_specified(), 0x40 | 0x01 | 0x80);
    assert_eq!(reported.header_digest, Some(DigestType::Crc32c));
    assert_eq!(reported.auth_type, Some(AuthType::MutualChap));
}

#[test]
fn passwords_have_a_length() {
    let with = |bits: u32, length: usize| {
        judged(RawLoginOptions {
            auth_type: 1,
            password: Some(Secret::new(vec![b'x'; length])),
            ..raw(bits | specified::PASSWORD)
        })
        .map(drop)
    };
    let refused = Err(Status::INVALID_TARGET_CHAP_SECRET);
    assert_eq!(with(0, 16), Ok(()));
    assert_eq!(with(0, 17), refused);
    assert_eq!(with(0, 0), Ok(()), "nothing that needs it");
    assert_eq!(with(specified::AUTH_TYPE, 0), refused);
    assert_eq!(
        with(specified::AUTH_TYPE, 1),
        Ok(()),
        "the daemon's to judge"
    );
}

#[test]
fn a_name_of_no_bytes_is_our_own() {
    let options = judged(raw(specified::USERNAME)).expect("is taken");
    assert_eq!(options.username.as_deref(), Some(&[][..]));
    let longest = judged(RawLoginOptions {
        username: vec![b'x'; 255],
        ..raw(specified::USERNAME)
    });
    assert!(longest.is_ok());
}

#[test]
fn what_is_given_travels() {
    let wire = judged(RawLoginOptions {
        login_flags: 0x0a,
        auth_type: 2,
        header_digest: 1,
        data_digest: 0,
        maximum_connections: 0,
        default_time2wait: 3600,
        default_time2retain: 0,
        username: b"user".to_vec(),
        password: Some(Secret::new("secretsecret")),
        ..raw(0xff)
    })
    .expect("is good")
    .into_wire();
    assert_eq!(wire.login_flags, 0x0a);
    assert_eq!(wire.auth_type(), v1::AuthType::MutualChap);
    assert_eq!(wire.header_digest(), v1::Digest::Crc32c);
    assert_eq!(wire.data_digest, Some(v1::Digest::None.into()));
    assert_eq!(wire.max_connections, Some(65_535), "0 is no limit");
    assert_eq!(wire.default_time2wait_s, Some(3600));
    assert_eq!(wire.default_time2retain_s, Some(0));
    assert_eq!(wire.username.as_deref(), Some(&b"user"[..]));
    assert_eq!(wire.secret.expect("is there").expose(), b"secretsecret");
    assert_eq!(
        LoginOptions::default().into_wire(),
        v1::LoginOptions::default()
    );
}

#[test]
fn a_password_is_never_printed() {
    let options = LoginOptions {
        password: Some(Secret::new("tell-nobody")),
        ..LoginOptions::default()
    };
    assert!(!format!("{options:?}").contains("tell"));
}
