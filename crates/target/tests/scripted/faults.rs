//! Every fault switch does what it says.

use std::time::{Duration, Instant};

use hawser_target::KeyPolicy;
use hawser_target::faults::{Answer, AsyncEvent, LoginText, R2tFault, Redirect};

use crate::raw::*;

fn ready() -> (Server, Initiator) {
    let server = Server::new();
    let mut initiator = server.log_in(&[("InitialR2T", "No"), ("DataSequenceInOrder", "No")]);
    initiator.hear_news();
    (server, initiator)
}

#[test]
fn connections_drop_now_or_after_a_while() {
    let (server, mut initiator) = ready();
    server.handle.faults().drop_connections();
    initiator.expect_closed();

    let mut initiator = server.log_in(&[]);
    server.handle.faults().drop_after_pdus(2);
    initiator.hear_news();
    initiator.expect_silence();
    initiator.expect_closed();

    let mut initiator = server.log_in(&[]);
    initiator.hear_news();
    server.handle.faults().drop_after_bytes(100);
    initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    let mut bytes = [0; 100];
    assert!(initiator.read(&mut bytes));
    initiator.expect_closed();
    // One-shot: the next connection lives.
    server.log_in(&[]).hear_news();
}

#[test]
fn stalls_end() {
    let (server, mut initiator) = ready();
    server.handle.faults().set_answers_stalled(true);
    initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[3; 512]);
    server.until("the command was carried out", |handle| {
        handle.counters().commands == 2
    });
    assert!(initiator.is_silent_for(Duration::from_millis(50)));
    server.handle.faults().set_answers_stalled(false);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);

    server.handle.faults().set_reads_stalled(true);
    initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[4; 512]);
    assert!(initiator.is_silent_for(Duration::from_millis(50)));
    assert_eq!(server.handle.counters().commands, 2);
    server.handle.faults().set_reads_stalled(false);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
}

#[test]
fn answers_come_late() {
    let (server, mut initiator) = ready();
    server
        .handle
        .faults()
        .set_answer_delay(Duration::from_millis(80));
    let start = Instant::now();
    initiator.read_blocks(0, 1);
    assert!(start.elapsed() >= Duration::from_millis(80));
    server.handle.faults().set_answer_delay(Duration::ZERO);
    initiator.read_blocks(0, 1);
}

#[test]
fn digests_are_spoilt_once() {
    let server = Server::new();
    let keys = [("HeaderDigest", "CRC32C"), ("DataDigest", "CRC32C")];
    let mut initiator = server.log_in(&keys);
    initiator.hear_news();
    for (header_fault, length) in [(true, 48), (false, 512)] {
        if header_fault {
            server.handle.faults().corrupt_next_header_digest();
        } else {
            server.handle.faults().corrupt_next_data_digest();
        }
        initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
        let mut bytes = [0; 48 + 4 + 512 + 4];
        assert!(initiator.read(&mut bytes));
        initiator.exp_stat_sn += 1;
        let (covered, digest) = match length {
            48 => (&bytes[..48], &bytes[48..52]),
            _ => (&bytes[52..564], &bytes[564..]),
        };
        assert_ne!(crc32c(covered), digest);
        let (covered, digest) = match length {
            48 => (&bytes[52..564], &bytes[564..]),
            _ => (&bytes[..48], &bytes[48..52]),
        };
        assert_eq!(crc32c(covered), digest);
        initiator.read_blocks(0, 1);
    }
}

#[test]
fn logins_get_any_status() {
    let server = Server::new();
    server.handle.faults().refuse_next_login(3, 1);
    server.handle.faults().refuse_next_login(2, 4);
    for status in [0x0301, 0x0204] {
        let mut initiator = server.connect();
        assert_eq!(
            initiator
                .login_step(0x87, &Initiator::names())
                .login_status(),
            status
        );
        initiator.expect_closed();
    }
    server.log_in(&[]).hear_news();
}

#[test]
fn logins_are_sent_elsewhere() {
    let server = Server::new();
    let address = "192.0.2.1:3261".parse().unwrap();
    for (redirect, status, text) in [
        (
            Redirect::temporary(address),
            0x0101,
            "TargetAddress=192.0.2.1:3261\n",
        ),
        (
            Redirect::permanent(address),
            0x0102,
            "TargetAddress=192.0.2.1:3261\n",
        ),
        (
            Redirect {
                permanent: false,
                address: None,
            },
            0x0101,
            "",
        ),
    ] {
        server.handle.faults().set_redirect(Some(redirect));
        let mut initiator = server.connect();
        let response = initiator.login_step(0x87, &Initiator::names());
        assert_eq!(
            (response.login_status(), &response.text()[..]),
            (status, text)
        );
        initiator.expect_closed();
        // After the security stage too.
        let mut initiator = server.connect();
        assert_eq!(
            initiator
                .login_step(0x81, &Initiator::names())
                .login_status(),
            status
        );
    }
    server.handle.faults().set_redirect(None);
    server.log_in(&[]).hear_news();
}

#[test]
fn login_text_comes_in_pieces_late_and_bent() {
    let server = Server::new();
    server.handle.faults().set_login_text(LoginText {
        split: Some(7),
        hold_back: 2,
        extra: vec![
            ("X-test.extra".to_owned(), "1".to_owned()),
            ("TargetPortalGroupTag".to_owned(), "1".to_owned()),
        ],
        omit: vec!["MaxRecvDataSegmentLength".to_owned()],
    });
    let mut initiator = server.connect();
    let mut response = initiator.login_step(0x87, &Initiator::names());
    let (mut whole, mut held_back) = (Vec::new(), 0);
    while response.header[1] != 0x87 {
        assert_eq!(response.login_status(), 0);
        assert!(response.data.len() <= 7);
        whole.extend_from_slice(&response.data);
        // Not C=1, though T=1 was asked for.
        held_back += u32::from(response.header[1] == 0x04);
        response = initiator.login_step(0x87, &[]);
    }
    whole.extend_from_slice(&response.data);
    assert_eq!(
        whole,
        b"TargetPortalGroupTag=1\0X-test.extra=1\0TargetPortalGroupTag=1\0"
    );
    assert_eq!(held_back, 2);
    initiator.hear_news();
}

#[test]
fn r2ts_are_split_reversed_and_late() {
    let policy = KeyPolicy {
        data_sequence_in_order: false,
        ..KeyPolicy::default()
    };
    let server = Server::with_policy(policy);
    let keys = [("DataSequenceInOrder", "No"), ("MaxOutstandingR2T", "4")];
    let mut initiator = server.log_in(&keys);
    initiator.hear_news();
    let delay = Duration::from_millis(50);
    server.handle.faults().set_r2t(R2tFault {
        max_bytes: 512,
        reversed: true,
        delay,
    });
    let start = Instant::now();
    let itt = initiator.command(FINAL | WRITE | SIMPLE, 2048, write10(0, 4), &[]);
    let data = pattern(6, 2048);
    for (r2t_sn, offset) in [1536, 1024, 512, 0].into_iter().enumerate() {
        let r2t = initiator.expect_unnumbered(R2T);
        assert_eq!(
            (r2t.word(36), r2t.word(40), r2t.word(44)),
            (r2t_sn as u32, offset, 512)
        );
        let range = offset as usize..offset as usize + 512;
        initiator.data_out(itt, r2t.word(20), 0, offset, true, &data[range]);
    }
    assert!(start.elapsed() >= delay);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
    server.handle.faults().clear();
    assert_eq!(initiator.read_blocks(0, 4), data);
}

#[test]
fn commands_get_any_status_once() {
    let (server, mut initiator) = ready();
    let faults = server.handle.faults();
    faults.answer_next(Answer::status(0x08));
    faults.answer_next(Answer::status(0x28));
    faults.answer_next(Answer::check_condition(0x03, 0x11, 0x00));
    for status in [0x08, 0x28] {
        initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
        let pdu = initiator.expect(SCSI_RESPONSE);
        assert_eq!((pdu.header[3], pdu.data.len()), (status, 0));
    }
    initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x03, 0x11, 0x00));
    initiator.read_blocks(0, 1);
}

#[test]
fn messages_are_sent_on_command() {
    let (server, mut initiator) = ready();
    let faults = server.handle.faults();
    faults.send_async(AsyncEvent {
        event: 2,
        parameter1: 1,
        parameter2: 3,
        parameter3: 4,
        ..AsyncEvent::default()
    });
    let event = initiator.expect(ASYNC);
    assert_eq!(event.header[36], 2);
    assert_eq!((event.half(38), event.half(40), event.half(42)), (1, 3, 4));
    faults.send_async(AsyncEvent {
        lun: 3,
        sense: vec![0x70; 18],
        ..AsyncEvent::default()
    });
    let event = initiator.expect(ASYNC);
    assert_eq!((event.header[9], event.header[36]), (3, 0));
    assert_eq!(
        (&event.data[..2], &event.data[2..]),
        (&[0, 18][..], &[0x70; 18][..])
    );
    for ttt in [0, NIL] {
        faults.send_nop_in(ttt);
        let ping = initiator.expect_unnumbered(NOP_IN);
        assert_eq!((ping.itt(), ping.word(20)), (NIL, ttt));
        assert_eq!(ping.header[8..16], [0; 8]);
    }
}

#[test]
fn any_request_is_rejected_once() {
    let (server, mut initiator) = ready();
    server.handle.faults().reject_next(0x06);
    let pdu = initiator.command_header(FINAL | READ | SIMPLE, 512, read10(0, 1));
    initiator.send(pdu, &[]);
    let reject = initiator.expect(REJECT);
    assert_eq!((reject.header[2], &reject.data[..]), (0x06, &pdu[..]));
    // It was not received: the same again is carried out.
    initiator.send(pdu, &[]);
    assert_eq!(initiator.expect(DATA_IN).data.len(), 512);
}

#[test]
fn a_black_hole_swallows_until_task_management_ends_it() {
    let (server, mut initiator) = ready();
    server.handle.faults().set_black_hole(0, true);
    let itt = initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    initiator.expect_silence();
    assert_eq!(initiator.manage(1, 0, itt, initiator.cmd_sn - 1), 0);
    initiator.command(FINAL | READ | SIMPLE, 512, read10(0, 1), &[]);
    assert_eq!(initiator.manage(5, 0, NIL, 0), 0);
    server.handle.faults().set_black_hole(0, false);
    initiator.hear_news();
    initiator.read_blocks(0, 1);
}

#[test]
fn a_silent_initiator_is_pinged_and_given_up() {
    let ping_after = Some(Duration::from_millis(60));
    let server = Server::with_policy(KeyPolicy {
        ping_after,
        ..KeyPolicy::default()
    });
    let mut initiator = server.log_in(&[]);
    let ping = initiator.expect_unnumbered(NOP_IN);
    assert_eq!(ping.itt(), NIL);
    assert_ne!(ping.word(20), NIL);
    initiator.expect_closed();
}

#[test]
fn a_disk_may_become_another_or_change_its_size() {
    let (server, mut initiator) = ready();
    let inquire = |initiator: &mut Initiator| {
        // INQUIRY, VPD page 0x80.
        let mut cdb = [0; 16];
        (cdb[0], cdb[1], cdb[2], cdb[4]) = (0x12, 1, 0x80, 64);
        initiator.command(FINAL | READ | SIMPLE, 64, cdb, &[]);
        initiator.expect(DATA_IN).data
    };
    let serial = inquire(&mut initiator);
    let backend = hawser_target::disk::RamBackend::new(1 << 20).unwrap();
    let identity = hawser_target::disk::UnitIdentity::from_key("another");
    let other = hawser_target::disk::LogicalUnit::new(std::sync::Arc::new(backend), 512, identity);
    let device = server.handle.target(IQN).unwrap().device();
    device.insert(0, std::sync::Arc::new(other.unwrap()));
    assert_ne!(inquire(&mut initiator), serial);
}

impl Initiator {
    /// Nothing comes for a while.
    fn is_silent_for(&mut self, time: Duration) -> bool {
        self.peek(time).is_none()
    }
}
