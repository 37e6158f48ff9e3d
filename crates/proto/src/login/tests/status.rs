//! SUP-L18 to SUP-L23: refusals, redirections, portal groups.

use super::chap::chap_config;
use super::peer::{Peer, Reply, config};
use crate::login::{LoginErrorKind, LoginOutcome, PeerMisbehaved, RetryAdvice, Unusual};
use crate::names::AddressError;
use crate::pdu::{LoginStatus, Malformed};

#[test]
fn sup_l18_every_refusal() {
    use RetryAdvice::{Later, NewSession, No, Rediscover};
    for (class, detail, advice, is_final) in [
        (2, 0x00, No, true),
        (2, 0x01, No, true),
        (2, 0x02, No, true),
        (2, 0x03, Rediscover, true),
        (2, 0x04, Rediscover, true),
        (2, 0x05, No, true),
        (2, 0x06, No, true),
        (2, 0x07, No, true),
        (2, 0x08, No, true),
        (2, 0x09, No, true),
        (2, 0x0a, NewSession, false),
        (2, 0x0b, No, true),
        (2, 0x77, No, true),
        (3, 0x00, Later, false),
        (3, 0x01, Later, false),
        (3, 0x02, Later, false),
        (3, 0x99, Later, false),
    ] {
        let mut peer = Peer::new(config());
        peer.request();
        let error = peer.try_reply(&Reply::status(class, detail)).unwrap_err();
        let status = LoginStatus { class, detail };
        assert_eq!(
            error.kind,
            LoginErrorKind::Refused {
                status,
                retry: advice
            }
        );
        assert_eq!(error.is_final(), is_final, "{error}");
    }
    let mut peer = Peer::new(config());
    peer.request();
    let error = peer.try_reply(&Reply::status(2, 3)).unwrap_err();
    assert!(error.to_string().contains("Not found (0x0203)"), "{error}");

    let mut peer = Peer::new(config());
    peer.request();
    let offence = peer.offence(&Reply::status(4, 0));
    assert_eq!(
        offence,
        PeerMisbehaved::Malformed(Malformed::UnassignedStatusClass(4))
    );
}

/// RFC 7143 §11.13.5: the numbers of a refusal mean nothing, nor do its stages.
#[test]
fn sup_l18_a_refusal_is_read_whatever_else_it_says() {
    let (mut peer, _) = Peer::operational(config());
    let mut reply = Reply::status(2, 2);
    (reply.flags, reply.version_active, reply.isid) = (0xcf, 9, [9; 6]);
    (reply.tsih, reply.stat_sn) = (3, Some(0));
    let status = LoginStatus::AUTHORIZATION_FAILURE;
    let refused = LoginErrorKind::Refused {
        status,
        retry: RetryAdvice::No,
    };
    assert_eq!(peer.failure(&reply), refused);
}

fn redirect(peer: &mut Peer, reply: &Reply) -> (String, u16, bool) {
    match peer.try_reply(reply).unwrap() {
        Some(LoginOutcome::Redirect { address, permanent }) => {
            assert!(!peer.login.poll_transmit(&mut Vec::new()));
            (
                address.portal.host().to_owned(),
                address.portal.port(),
                permanent,
            )
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sup_l19_redirection() {
    for (detail, address, host, port, permanent) in [
        (1, "192.0.2.7:3261", "192.0.2.7", 3261, false),
        (2, "192.0.2.7", "192.0.2.7", 3260, true),
        (1, "[2001:db8::7]:860", "2001:db8::7", 860, false),
        (1, "[2001:db8::7]", "2001:db8::7", 3260, false),
        (
            1,
            "array.example.com:3260",
            "array.example.com",
            3260,
            false,
        ),
        (1, "192.0.2.7:3260,5", "192.0.2.7", 3260, false),
        (0, "192.0.2.7:3260", "192.0.2.7", 3260, false),
        (9, "192.0.2.7:3260", "192.0.2.7", 3260, false),
    ] {
        let mut peer = Peer::new(config());
        peer.request();
        let reply = Reply::status(1, detail).with(&[("TargetAddress", address)]);
        assert_eq!(
            redirect(&mut peer, &reply),
            (host.to_owned(), port, permanent),
            "{address}"
        );
    }
}

#[test]
fn sup_l19_the_first_usable_address_counts() {
    let mut peer = Peer::new(config());
    peer.request();
    let keys = [
        ("TargetPortalGroupTag", "1"),
        ("TargetAddress", ":1"),
        ("TargetAddress", "b.example"),
    ];
    let reply = Reply::status(1, 1).with(&keys);
    assert_eq!(
        redirect(&mut peer, &reply),
        ("b.example".into(), 3260, false)
    );
}

#[test]
fn sup_l19_a_redirection_to_nowhere() {
    let mut peer = Peer::new(config());
    peer.request();
    let offence = peer.offence(&Reply::status(1, 1));
    assert_eq!(
        offence,
        PeerMisbehaved::RedirectWithoutAddress { source: None }
    );

    let mut peer = Peer::new(config());
    peer.request();
    let offence = peer.offence(&Reply::status(1, 1).with(&[("TargetAddress", "[x")]));
    let source = Some(AddressError::Host {
        address: "[x".into(),
    });
    assert_eq!(offence, PeerMisbehaved::RedirectWithoutAddress { source });
}

#[test]
fn sup_l20_redirection_before_within_and_after_security() {
    let away = Reply::status(1, 1).with(&[("TargetAddress", "192.0.2.7")]);
    let mut peer = Peer::new(chap_config());
    peer.request();
    redirect(&mut peer, &away);

    let mut peer = Peer::new(chap_config());
    peer.request();
    peer.reply(&Reply::stay(0).with(&[("AuthMethod", "CHAP")]));
    redirect(&mut peer, &away);

    let (mut peer, _) = Peer::operational(config());
    redirect(&mut peer, &away);
}

#[test]
fn sup_l20_an_address_in_two_pieces() {
    let mut peer = Peer::new(config());
    peer.request();
    let mut part = Reply::stay(0);
    part.flags |= 0x40;
    part.data = b"TargetAddress=192.0.".to_vec();
    peer.reply(&part);
    let mut rest = Reply::status(1, 2);
    rest.data = b"2.7:99\0".to_vec();
    assert_eq!(redirect(&mut peer, &rest), ("192.0.2.7".into(), 99, true));
}

#[test]
fn sup_l23_portal_group_tags() {
    let log_in = |tags: &[(&str, &str)], expected| {
        let mut config = config();
        config.expected_tpgt = expected;
        let mut peer = Peer::new(config);
        peer.request();
        peer.reply(&Reply::go(0, 1).with(tags));
        let logged_in = peer.last_reply(&Reply::go(1, 3));
        let oddities = logged_in.unusual.into_iter().filter(|unusual| {
            matches!(
                unusual,
                Unusual::PortalGroupTagMissing | Unusual::PortalGroupTagChanged { .. }
            )
        });
        (logged_in.tpgt, oddities.collect::<Vec<_>>())
    };
    let tag = |value| [("TargetPortalGroupTag", value)];
    assert_eq!(log_in(&tag("0"), Some(0)), (Some(0), vec![]));
    assert_eq!(log_in(&tag("0xffff"), None), (Some(65535), vec![]));
    let changed = Unusual::PortalGroupTagChanged {
        expected: 2,
        got: 3,
    };
    assert_eq!(log_in(&tag("3"), Some(2)), (Some(3), vec![changed]));
    assert_eq!(
        log_in(&[], Some(2)),
        (None, vec![Unusual::PortalGroupTagMissing])
    );

    let mut peer = Peer::new(config());
    peer.request();
    let key = "TargetPortalGroupTag";
    let offence = peer.offence(&Reply::go(0, 1).with(&tag("65536")));
    assert_eq!(
        offence,
        PeerMisbehaved::OutOfRange {
            key,
            value: 65536,
            min: 0,
            max: 65535
        }
    );
}
