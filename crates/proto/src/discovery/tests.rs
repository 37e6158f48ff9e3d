//! SUP-D01 to SUP-D06 against a target that is scripted byte by byte; its constants are typed from
//! RFC 7143 §11.10, §11.11, §11.14, §11.15 and §11.17.

use proptest::prelude::*;

use super::*;
use crate::login::LoggedIn;
use crate::names::{Isid, Portal};
use crate::parameters::Parameters;

const NIL_TAG: u32 = 0xffff_ffff;

fn logged_in() -> LoggedIn {
    LoggedIn {
        tsih: 1,
        isid: Isid([0x80, 0, 0, 0, 0, 1]),
        cid: 0,
        tpgt: None,
        parameters: Parameters::default(),
        cmd_sn: Serial(0xffff_ffff),
        exp_cmd_sn: Serial(0xffff_ffff),
        max_cmd_sn: Serial(7),
        exp_stat_sn: 0x40,
        target_alias: None,
        chap: None,
        unusual: Vec::new(),
    }
}

/// A request as the peer reads it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    opcode: u8,
    flags: u8,
    lun: [u8; 8],
    itt: u32,
    tag: u32,
    cmd_sn: u32,
    exp_stat_sn: u32,
    data: Vec<u8>,
}

fn word(pdu: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(pdu[at..at + 4].try_into().unwrap())
}

fn see(pdu: &[u8]) -> Seen {
    let length = (word(pdu, 4) & 0x00ff_ffff) as usize;
    assert_eq!(pdu.len(), 48 + length.next_multiple_of(4), "one PDU");
    assert_eq!(pdu[4], 0, "no additional headers");
    Seen {
        opcode: pdu[0],
        flags: pdu[1],
        lun: pdu[8..16].try_into().unwrap(),
        itt: word(pdu, 16),
        tag: word(pdu, 20),
        cmd_sn: word(pdu, 24),
        exp_stat_sn: word(pdu, 28),
        data: pdu[48..48 + length].to_vec(),
    }
}

/// A response of the peer. `flags`: F is 0x80, C is 0x40.
#[derive(Clone)]
struct Say<'a> {
    opcode: u8,
    flags: u8,
    lun: [u8; 8],
    itt: u32,
    tag: u32,
    stat_sn: u32,
    cmd_sns: [u32; 2],
    data: &'a [u8],
}

impl<'a> Say<'a> {
    fn text(flags: u8, itt: u32, tag: u32, data: &'a [u8]) -> Self {
        let (lun, cmd_sns) = ([0, 1, 2, 3, 4, 5, 6, 7], [0, 8]);
        Self {
            opcode: 0x24,
            flags,
            lun,
            itt,
            tag,
            stat_sn: 0x40,
            cmd_sns,
            data,
        }
    }

    fn logout(itt: u32) -> Self {
        Self {
            opcode: 0x26,
            lun: [0; 8],
            tag: 0,
            ..Self::text(0x80, itt, 0, &[])
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut pdu = vec![0; 48];
        (pdu[0], pdu[1]) = (self.opcode, self.flags);
        pdu[4..8].copy_from_slice(&(self.data.len() as u32).to_be_bytes());
        pdu[8..16].copy_from_slice(&self.lun);
        pdu[16..20].copy_from_slice(&self.itt.to_be_bytes());
        pdu[20..24].copy_from_slice(&self.tag.to_be_bytes());
        pdu[24..28].copy_from_slice(&self.stat_sn.to_be_bytes());
        pdu[28..32].copy_from_slice(&self.cmd_sns[0].to_be_bytes());
        pdu[32..36].copy_from_slice(&self.cmd_sns[1].to_be_bytes());
        pdu.extend_from_slice(self.data);
        pdu.resize(pdu.len().next_multiple_of(4), 0);
        pdu
    }
}

struct Peer(SendTargets);

impl Peer {
    fn new(ask: &Ask) -> Self {
        Self(SendTargets::new(&logged_in(), ask))
    }

    fn request(&mut self) -> Seen {
        let mut out = Vec::new();
        assert!(self.0.poll_transmit(&mut out));
        assert!(
            !self.0.poll_transmit(&mut Vec::new()),
            "one outstanding request"
        );
        see(&out)
    }

    fn say(&mut self, say: &Say<'_>) -> Result<Option<Discovered>, DiscoveryError> {
        let bytes = say.bytes();
        let (used, discovered) = self.0.handle_input(&bytes)?;
        assert_eq!(used, bytes.len());
        Ok(discovered)
    }

    /// Answers the only request with `text`, and the logout.
    fn answer(text: &[u8]) -> Result<Discovered, DiscoveryError> {
        let mut peer = Self::new(&Ask::All);
        let itt = peer.request().itt;
        assert_eq!(peer.say(&Say::text(0x80, itt, NIL_TAG, text))?, None);
        let itt = peer.request().itt;
        Ok(peer.say(&Say::logout(itt))?.expect("the answer"))
    }

    fn offence(&mut self, say: &Say<'_>) -> PeerMisbehaved {
        let error = self.say(say).unwrap_err();
        assert_eq!(
            self.0.handle_input(&[0]),
            Err(error.clone()),
            "it stays failed"
        );
        assert_eq!(self.0.handle_close(), Err(error.clone()));
        match error {
            DiscoveryError::PeerMisbehaved(offence) => offence,
            other => panic!("{other}"),
        }
    }
}

fn shown(discovered: &Discovered) -> Vec<(String, Vec<String>)> {
    let texts = |addresses: &[crate::names::TargetAddress]| {
        addresses.iter().map(ToString::to_string).collect()
    };
    discovered
        .targets
        .iter()
        .map(|t| (t.name.to_string(), texts(&t.addresses)))
        .collect()
}

/// The second example of RFC 7143 Appendix C.
const EXAMPLE: &[u8] = b"TargetName=iqn.1993-11.com.example:diskarray.sn.8675309\0\
TargetAddress=10.1.0.45:3000,1\0TargetAddress=10.1.1.45:3000,2\0\
TargetName=iqn.1993-11.com.example:diskarray.sn.1234567\0\
TargetAddress=10.1.0.45:3000,1\0TargetAddress=10.1.1.45:3000,2\0";

fn example() -> Vec<(String, Vec<String>)> {
    let addresses = vec!["10.1.0.45:3000,1".to_owned(), "10.1.1.45:3000,2".to_owned()];
    ["8675309", "1234567"]
        .map(|n| {
            (
                format!("iqn.1993-11.com.example:diskarray.sn.{n}"),
                addresses.clone(),
            )
        })
        .to_vec()
}

impl Say<'_> {
    /// An asynchronous message with this event code (RFC 7143 §11.9).
    fn event(code: u8) -> Vec<u8> {
        let mut pdu = Self {
            opcode: 0x32,
            lun: [0; 8],
            ..Self::text(0x80, NIL_TAG, NIL_TAG, &[])
        }
        .bytes();
        pdu[36] = code;
        pdu
    }
}

#[test]
fn a_session_that_stays_is_asked_again_and_then_left() {
    let mut peer = Peer(SendTargets::staying(&logged_in()));
    assert!(!peer.0.poll_transmit(&mut Vec::new()));
    assert!(peer.0.ask(&Ask::All) && !peer.0.ask(&Ask::All) && !peer.0.log_out());
    let first = peer.request();
    let answer = Say::text(0x80, first.itt, NIL_TAG, EXAMPLE);
    let found = peer.say(&answer).unwrap().expect("no logout is waited for");
    assert_eq!(shown(&found), example());
    // News of the window and of the vendor's may come at any time.
    let news = Say::event(255);
    assert_eq!(peer.0.handle_input(&news), Ok((48, None)));

    let one = IscsiName::parse("iqn.1993-11.com.example:diskarray.sn.1234567").unwrap();
    assert!(peer.0.ask(&Ask::Named(one)));
    let second = peer.request();
    assert_eq!(second.cmd_sn, first.cmd_sn.wrapping_add(1));
    assert_eq!(
        second.data,
        b"SendTargets=iqn.1993-11.com.example:diskarray.sn.1234567\0"
    );
    let nothing = peer
        .say(&Say::text(0x80, second.itt, NIL_TAG, &[]))
        .unwrap();
    assert_eq!(nothing, Some(Discovered::default()));

    assert!(peer.0.log_out() && !peer.0.ask(&Ask::All));
    let logout = peer.request();
    assert_eq!((logout.opcode & 0x3f, logout.flags), (0x06, 0x80));
    let end = peer.say(&Say::logout(logout.itt)).unwrap();
    assert_eq!(end, Some(Discovered::default()));
}

#[test]
fn a_session_that_stays_leaves_when_it_is_asked_to() {
    // Nothing is under way.
    let mut peer = Peer(SendTargets::staying(&logged_in()));
    peer.0.handle_input(&Say::event(1)).unwrap();
    assert_eq!(peer.request().opcode & 0x3f, 0x06);
    // An answer is due: it comes first.
    let mut peer = Peer(SendTargets::staying(&logged_in()));
    peer.0.ask(&Ask::All);
    let itt = peer.request().itt;
    peer.0.handle_input(&Say::event(1)).unwrap();
    assert_eq!(peer.say(&Say::text(0x80, itt, NIL_TAG, EXAMPLE)), Ok(None));
    let logout = peer.request();
    let found = peer.say(&Say::logout(logout.itt)).unwrap().unwrap();
    assert_eq!(shown(&found), example());
    // The target drops the connection, or the session.
    for event in [2, 3] {
        let mut peer = Peer(SendTargets::staying(&logged_in()));
        let ended = peer.0.handle_input(&Say::event(event));
        assert_eq!(ended, Err(DiscoveryError::Closed));
    }
    // There are no logical units in a discovery session.
    let mut peer = Peer(SendTargets::staying(&logged_in()));
    let ended = peer.0.handle_input(&Say::event(0));
    let opcode = 0x32;
    assert_eq!(ended, Err(PeerMisbehaved::UnexpectedPdu { opcode }.into()));
}

#[test]
fn sup_d04_the_exchange_on_the_wire() {
    let mut peer = Peer::new(&Ask::All);
    let first = peer.request();
    assert_eq!(
        (first.opcode, first.flags),
        (0x04, 0x80),
        "Text Request, F, not immediate"
    );
    assert_eq!((first.lun, first.tag), ([0; 8], NIL_TAG));
    assert_eq!((first.cmd_sn, first.exp_stat_sn), (0xffff_ffff, 0x40));
    assert_ne!(first.itt, NIL_TAG);
    assert_eq!(first.data, b"SendTargets=All\0");

    assert_eq!(
        peer.say(&Say::text(0x80, first.itt, NIL_TAG, EXAMPLE)),
        Ok(None)
    );
    let logout = peer.request();
    assert_eq!(
        (logout.opcode, logout.flags),
        (0x06, 0x80),
        "Logout, close the session"
    );
    assert_eq!(
        (logout.cmd_sn, logout.exp_stat_sn, logout.tag),
        (0, 0x41, 0)
    );
    assert!(logout.data.is_empty() && logout.itt != first.itt);
    let discovered = peer.say(&Say::logout(logout.itt)).unwrap().unwrap();
    assert_eq!(shown(&discovered), example());
    assert_eq!(discovered.unusual, []);
    assert!(!peer.0.poll_transmit(&mut Vec::new()));
}

#[test]
fn sup_d01_none_and_many() {
    assert_eq!(Peer::answer(b"").unwrap(), Discovered::default());
    let many: String = (0..100)
        .map(|n| format!("TargetName=iqn.2024-01.com.example:{n}\0"))
        .collect();
    let discovered = Peer::answer(many.as_bytes()).unwrap();
    assert_eq!(discovered.targets.len(), 100);
    let asked: Portal = "192.0.2.1:3261".parse().unwrap();
    let filled = discovered.targets[99].addresses_or(&asked);
    assert_eq!((&filled[0].portal, filled[0].tag), (&asked, None));
}

#[test]
fn sup_d01_an_answer_in_many_pdus() {
    // By F=0 alone, by C=1, and by both in turn; cut anywhere, in keys too.
    for flags in [&[0x00][..], &[0x40], &[0x00, 0x40]] {
        for size in [7, 64, 255] {
            let mut peer = Peer::new(&Ask::All);
            let mut request = peer.request();
            let itt = request.itt;
            let pieces: Vec<_> = EXAMPLE.chunks(size).collect();
            for (n, piece) in pieces.iter().enumerate() {
                let is_last = n + 1 == pieces.len();
                let flags = if is_last {
                    0x80
                } else {
                    flags[n % flags.len()]
                };
                let tag = if is_last { NIL_TAG } else { n as u32 };
                let say = Say {
                    stat_sn: n as u32,
                    ..Say::text(flags, itt, tag, piece)
                };
                assert_eq!(peer.say(&say), Ok(None));
                request = peer.request();
                assert_eq!(request.exp_stat_sn, n as u32 + 1);
                assert_eq!(request.cmd_sn, n as u32, "each request is numbered");
                if !is_last {
                    assert_eq!((request.opcode, request.flags), (0x04, 0x80));
                    assert_eq!((request.itt, request.tag), (itt, tag));
                    assert_eq!(request.lun, [0, 1, 2, 3, 4, 5, 6, 7]);
                    assert!(request.data.is_empty());
                }
                // The window moves on with each request.
                let news = Say {
                    opcode: 0x20,
                    lun: [0; 8],
                    cmd_sns: [n as u32 + 1, n as u32 + 9],
                    ..Say::text(0x80, NIL_TAG, NIL_TAG, &[])
                };
                assert_eq!(peer.say(&news), Ok(None));
            }
            let discovered = peer.say(&Say::logout(request.itt)).unwrap().unwrap();
            assert_eq!(shown(&discovered), example());
        }
    }
}

#[test]
fn sup_d02_forms_of_addresses() {
    let answer = b"TargetName=iqn.2024-01.com.example:a\0TargetAddress=192.0.2.1:3260,1\0\
TargetAddress=[2001:db8::1]:3260,1\0TargetAddress=Array.Example,2\0TargetAddress=192.0.2.1:3260,1\0\
TargetName=iqn.2024-01.com.example:b\0\
TargetName=iqn.2024-01.com.example:c\0TargetAddress=192.0.2.3\0TargetAddress=:0,1\0";
    let discovered = Peer::answer(answer).unwrap();
    let addresses = |n: usize| shown(&discovered)[n].1.clone();
    assert_eq!(
        addresses(0),
        [
            "192.0.2.1:3260,1",
            "[2001:db8::1]:3260,1",
            "array.example:3260,2"
        ]
    );
    assert!(addresses(1).is_empty());
    assert_eq!(addresses(2), ["192.0.2.3:3260"]);
    assert!(matches!(
        discovered.unusual[..],
        [
            UnusualRecord::MissingTag { .. },
            UnusualRecord::MalformedAddress { .. }
        ]
    ));
}

#[test]
fn sup_d02_odd_records() {
    let answer = b"TargetName=iqn.2024-01.com.example:A\0TargetAddress=192.0.2.1,1\0\
TargetName=no name\0TargetAddress=192.0.2.9,1\0TargetAlias=x\0\
TargetName=iqn.2024-01.com.example:a\0TargetAddress=192.0.2.2,2\0";
    let discovered = Peer::answer(answer).unwrap();
    assert_eq!(discovered.targets.len(), 1, "named twice, in two cases");
    assert_eq!(
        discovered.targets[0].name.as_written(),
        "iqn.2024-01.com.example:A"
    );
    assert_eq!(
        shown(&discovered)[0].1,
        ["192.0.2.1:3260,1", "192.0.2.2:3260,2"]
    );
    assert!(matches!(
        discovered.unusual[..],
        [
            UnusualRecord::MalformedName(_),
            UnusualRecord::StrayKey { .. }
        ]
    ));
}

#[test]
fn sup_d03_an_address_before_any_name() {
    let error = Peer::answer(b"TargetAddress=192.0.2.1:3260,1\0").unwrap_err();
    let offence = PeerMisbehaved::Records(RecordError::AddressBeforeName);
    assert_eq!(error, offence.into());
    let error = Peer::answer(b"TargetName=iqn.2024-01.com.example:a").unwrap_err();
    let offence = PeerMisbehaved::Records(RecordError::Text(TextError::Unterminated));
    assert_eq!(error, offence.into());
}

#[test]
fn sup_d05_a_target_that_just_hangs_up() {
    let mut peer = Peer::new(&Ask::All);
    let itt = peer.request().itt;
    peer.say(&Say::text(0x80, itt, NIL_TAG, EXAMPLE)).unwrap();
    assert_eq!(
        shown(&peer.0.handle_close().unwrap()),
        example(),
        "before our logout"
    );

    let mut peer = Peer::new(&Ask::All);
    let itt = peer.request().itt;
    peer.say(&Say::text(0x80, itt, NIL_TAG, EXAMPLE)).unwrap();
    peer.request();
    assert_eq!(
        shown(&peer.0.handle_close().unwrap()),
        example(),
        "after it"
    );

    let mut peer = Peer::new(&Ask::All);
    let itt = peer.request().itt;
    peer.say(&Say::text(0x00, itt, 5, EXAMPLE)).unwrap();
    assert_eq!(
        peer.0.handle_close(),
        Err(DiscoveryError::Closed),
        "within the answer"
    );
}

#[test]
fn sup_d06_one_target() {
    let named = Ask::Named("iqn.2024-01.com.example:Disk".parse().unwrap());
    let request = Peer::new(&named).request();
    assert_eq!(request.data, b"SendTargets=iqn.2024-01.com.example:Disk\0");
    assert_eq!(Peer::new(&Ask::Own).request().data, b"SendTargets=\0");
}

#[test]
fn sup_d06_digests_of_a_normal_session() {
    let mut login = logged_in();
    (login.parameters.header_digest, login.parameters.data_digest) = (true, true);
    let mut exchange = SendTargets::new(&login, &Ask::Own);
    let mut out = Vec::new();
    assert!(exchange.poll_transmit(&mut out));
    // 13 bytes of text, padded to 16; a digest after header and data.
    assert_eq!(out.len(), 48 + 4 + 16 + 4);
    let plain = Say::text(0x80, word(&out, 16), NIL_TAG, b"").bytes();
    let mut answer = plain.clone();
    answer.extend_from_slice(&wire_digest(&plain));
    assert_eq!(exchange.handle_input(&answer), Ok((52, None)));
    assert_eq!(exchange.handle_close(), Ok(Discovered::default()));
}

#[test]
fn a_rejected_request() {
    let mut peer = Peer::new(&Ask::All);
    peer.request();
    let mut reject = Say::text(0x80, NIL_TAG, 0, &[0; 48]).bytes();
    (reject[0], reject[2]) = (0x3f, 0x04);
    let error = peer.0.handle_input(&reject).unwrap_err();
    assert_eq!(
        error,
        DiscoveryError::Rejected {
            reason: RejectReason::ProtocolError
        }
    );
}

#[test]
fn offences_have_names() {
    let itt = TEXT_ITT;
    let start = || {
        let mut peer = Peer::new(&Ask::All);
        peer.request();
        peer
    };
    let final_text = Say::text(0x80, itt, NIL_TAG, EXAMPLE);
    let other_tag = Say {
        itt: 77,
        ..final_text.clone()
    };
    assert_eq!(
        start().offence(&other_tag),
        PeerMisbehaved::WrongTaskTag { got: 77 }
    );
    for opcode in [0x21, 0x23, 0x25, 0x32] {
        let other = Say {
            opcode,
            lun: [0; 8],
            data: &[],
            ..final_text.clone()
        };
        assert_eq!(
            start().offence(&other),
            PeerMisbehaved::UnexpectedPdu { opcode }
        );
    }
    let mut unasked = Peer::new(&Ask::All);
    assert_eq!(
        unasked.offence(&final_text),
        PeerMisbehaved::UnaskedResponse
    );

    let tagless = Say::text(0x00, itt, NIL_TAG, EXAMPLE);
    let offence = start().offence(&tagless);
    assert_eq!(
        offence,
        PeerMisbehaved::Malformed(Malformed::TextResponseWithoutTag)
    );

    let mut peer = start();
    peer.say(&final_text).unwrap();
    let itt = peer.request().itt;
    let got = itt + 1;
    assert_eq!(
        peer.offence(&Say::logout(got)),
        PeerMisbehaved::WrongTaskTag { got }
    );
}

#[test]
fn an_endless_answer_has_a_limit() {
    let mut peer = Peer::new(&Ask::All);
    peer.request();
    let mut offence = None;
    for n in 0..=MAX_ANSWER_PDUS {
        let window = [n, n.wrapping_add(8)];
        let say = Say {
            cmd_sns: window,
            ..Say::text(0x00, TEXT_ITT, 1, b"")
        };
        match peer.say(&say) {
            Ok(_) => drop(peer.request()),
            Err(error) => offence = Some(error),
        }
    }
    let limit = MAX_ANSWER_PDUS;
    assert_eq!(offence, Some(PeerMisbehaved::TooManyPdus { limit }.into()));

    let segment = [b'A'; 8192];
    let mut peer = Peer::new(&Ask::All);
    peer.request();
    let offence = (0..3000u32).find_map(|n| {
        let say = Say {
            cmd_sns: [n, n + 8],
            ..Say::text(0x00, TEXT_ITT, 1, &segment)
        };
        let error = peer.say(&say).err();
        if error.is_none() {
            peer.request();
        }
        error.map(|error| (n, error))
    });
    let error = PeerMisbehaved::Text(TextError::TooLong {
        limit: MAX_ANSWER_BYTES,
    });
    assert_eq!(offence, Some((2048, error.into())));
}

#[test]
fn too_many_records() {
    let names: String = (0..=MAX_TARGETS)
        .map(|n| format!("TargetName=iqn.2024-01.a:{n}\0"))
        .collect();
    assert_eq!(
        parse_records(names.as_bytes()),
        Err(RecordError::TooManyTargets)
    );
    let mut addresses = "TargetName=iqn.2024-01.a:1\0".to_owned();
    addresses.extend((0..=MAX_ADDRESSES).map(|n| format!("TargetAddress=h{n},1\0")));
    assert_eq!(
        parse_records(addresses.as_bytes()),
        Err(RecordError::TooManyAddresses)
    );
}

#[test]
fn a_closed_window() {
    // From the start: the whole exchange is immediate and uses up no CmdSN.
    let mut login = logged_in();
    login.max_cmd_sn = login.cmd_sn.previous();
    let mut peer = Peer(SendTargets::new(&login, &Ask::All));
    let first = peer.request();
    assert_eq!((first.opcode, first.cmd_sn), (0x44, 0xffff_ffff));
    let closed = [0xffff_ffff, 0xffff_fffe];
    let part = Say {
        cmd_sns: closed,
        ..Say::text(0x00, first.itt, 1, b"")
    };
    peer.say(&part).unwrap();
    let second = peer.request();
    assert_eq!((second.opcode, second.cmd_sn), (0x44, 0xffff_ffff));

    // Within the exchange: it waits until a NOP-In opens the window.
    let mut login = logged_in();
    login.max_cmd_sn = login.cmd_sn;
    let mut peer = Peer(SendTargets::new(&login, &Ask::All));
    let first = peer.request();
    assert_eq!((first.opcode, first.cmd_sn), (0x04, 0xffff_ffff));
    peer.say(&Say {
        cmd_sns: [0, 0xffff_ffff],
        ..Say::text(0x00, first.itt, 1, b"")
    })
    .unwrap();
    assert!(!peer.0.poll_transmit(&mut Vec::new()));
    let open = Say {
        opcode: 0x20,
        lun: [0; 8],
        ..Say::text(0x80, NIL_TAG, NIL_TAG, &[])
    };
    peer.say(&Say {
        cmd_sns: [0, 0],
        ..open
    })
    .unwrap();
    assert_eq!(peer.request().cmd_sn, 0);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_answer(lengths in proptest::collection::vec(1usize..90, 1..20)) {
        let mut peer = Peer::new(&Ask::All);
        let itt = peer.request().itt;
        let mut bytes = Say::text(0x80, itt, NIL_TAG, EXAMPLE).bytes();
        let news = Say { opcode: 0x20, lun: [0; 8], ..Say::text(0x80, NIL_TAG, NIL_TAG, &[]) };
        bytes.extend(news.bytes());
        let mut rest = bytes.as_slice();
        for length in lengths.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (used, _) = peer.0.handle_input(&rest[..length.min(rest.len())]).unwrap();
            rest = &rest[used..];
        }
        prop_assert_eq!(shown(&peer.0.handle_close().unwrap()), example());
    }

    #[test]
    fn any_records_end(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_records(&text);
    }

    #[test]
    fn records_of_random_shape_end(
        keys in proptest::collection::vec("(TargetName|TargetAddress|X)=[a-z0-9:.,\\[\\]-]{0,30}", 0..30),
    ) {
        let text: String = keys.iter().map(|key| format!("{key}\0")).collect();
        if let Ok(found) = parse_records(text.as_bytes()) {
            prop_assert!(found.targets.len() <= keys.len());
        }
    }
}
