//! SUP-X: data, status, residuals, tags.

use std::collections::HashSet;

use hawser_block::{ErrorKind, Operation, submit};
use hawser_engine::{Residual, ScsiAnswer, SessionError};
use hawser_proto::session::{Direction, Outcome};
use hawser_scsi::{Cdb, SenseKey, Status};
use hawser_testkit::scripted::disk::{READ_10, TEST_UNIT_READY};
use hawser_testkit::scripted::wire::{
    ACA_ACTIVE, BUSY, CHECK_CONDITION, FINAL, GOOD, NO_TAG, OVERFLOW, RESERVATION_CONFLICT,
    SCSI_COMMAND, STATUS, TASK_ABORTED, TASK_SET_FULL, UNDERFLOW,
};
use hawser_testkit::scripted::{Disk, Pdu, Peer, fixed_sense};

use super::core::{self, Core};
use super::ffp_commands::open;
use super::support::{R2T_ONLY, Rig, answered, assert_good, ended, failed, in_time, pattern};

const FIRST_BURST: usize = 4096;
const MAX_BURST: usize = 16_384;
const SIZES: [usize; 10] = [
    0,
    1,
    511,
    512,
    FIRST_BURST - 1,
    FIRST_BURST,
    FIRST_BURST + 1,
    MAX_BURST,
    MAX_BURST + 1,
    (1 << 20) + 3,
];

/// Writes `length` bytes and reads them back.
async fn there_and_back(rig: &mut Rig, length: usize, initial_r2t: bool, immediate_data: bool) {
    let data = pattern(length);
    let asked = rig.write(&data);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    assert!(immediate_data || command.data.is_empty(), "{length}");
    assert!(!initial_r2t || command.is_final(), "{length}");
    if !command.is_final() {
        // Unsolicited Data-Out make the whole of what may come unasked (§11.3.4).
        assert!(command.data.len() < length.min(FIRST_BURST), "{length}");
    }
    assert!(command.data.len() <= FIRST_BURST);
    assert!(
        rig.peer.take_write(&command).await == data,
        "{length} bytes written"
    );
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
    let asked = rig.read(length as u32);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send_data(&command, &data).await;
    let answer = answered(asked).await;
    assert_good(&answer);
    assert!(answer.data == data, "{length} bytes read");
}

#[tokio::test]
async fn sup_x01() {
    for segment in ["512", "8192", "65536"] {
        for (initial_r2t, immediate_data) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let word = |value| if value { "Yes" } else { "No" };
            let answers = [
                ("InitialR2T", word(initial_r2t)),
                ("ImmediateData", word(immediate_data)),
                ("MaxRecvDataSegmentLength", segment),
                ("FirstBurstLength", "4096"),
                ("MaxBurstLength", "16384"),
            ];
            let same = |options: &mut hawser_engine::SessionOptions| {
                options.login.max_recv_data_segment = segment.parse().unwrap();
            };
            let mut rig = Rig::with(same, &answers).await;
            for length in SIZES {
                there_and_back(&mut rig, length, initial_r2t, immediate_data).await;
            }
        }
    }
}

/// A write of 4096 bytes whose target answers so; the connection is given up for the reason named.
async fn write_is_given_up(
    answers: &[(&str, &str)],
    answer: impl Fn(&Pdu) -> Vec<Pdu>,
    words: &str,
) {
    let answers = [R2T_ONLY, answers].concat();
    let mut rig = Rig::up(&answers).await;
    let asked = rig.write(&pattern(4096));
    let command = rig.peer.expect(SCSI_COMMAND).await;
    for pdu in answer(&command) {
        rig.peer.send(pdu).await;
    }
    assert!(
        matches!(failed(asked).await, SessionError::Interrupted(_)),
        "{words}"
    );
    rig.recovers(words).await;
}

#[tokio::test]
async fn sup_x02() {
    for (offset, length) in [
        (4096, 1),
        (4095, 2),
        (0, 4097),
        (0, 0),
        (u32::MAX, 2),
        (u32::MAX - 511, 512),
        (0, 2048),
    ] {
        let answers = [("MaxBurstLength", "1024"), ("FirstBurstLength", "512")];
        let answers = if length == 2048 { &answers[..] } else { &[] };
        let r2t = |command: &Pdu| vec![Pdu::r2t(command, 5, 0, offset, length)];
        write_is_given_up(answers, r2t, "R2T").await;
    }
    let unknown = |command: &Pdu| vec![Pdu::r2t(command, 5, 0, 0, 512).put_word(16, 0x7654_3210)];
    write_is_given_up(&[], unknown, "0x76543210").await;
    let reserved = |command: &Pdu| vec![Pdu::r2t(command, NO_TAG, 0, 0, 512)];
    write_is_given_up(&[], reserved, "malformed").await;
    let other_unit =
        |command: &Pdu| vec![Pdu::r2t(command, 5, 0, 0, 512).put_lun([0, 1, 0, 0, 0, 0, 0, 0])];
    write_is_given_up(&[], other_unit, "LUN").await;
}

#[tokio::test]
async fn sup_x03() {
    let two = |command: &Pdu| {
        vec![
            Pdu::r2t(command, 5, 0, 0, 512),
            Pdu::r2t(command, 6, 1, 512, 512),
        ]
    };
    write_is_given_up(&[("MaxOutstandingR2T", "1")], two, "more R2Ts").await;
    let gap = |command: &Pdu| vec![Pdu::r2t(command, 5, 1, 0, 512)];
    write_is_given_up(&[], gap, "R2TSN").await;
    let again = |command: &Pdu| {
        vec![
            Pdu::r2t(command, 5, 0, 0, 512),
            Pdu::r2t(command, 6, 0, 512, 512),
        ]
    };
    write_is_given_up(&[], again, "R2TSN").await;
    // As many as were agreed on are served.
    let mut rig = Rig::up(&[R2T_ONLY, &[("MaxOutstandingR2T", "2")]].concat()).await;
    let asked = rig.write(&pattern(1024));
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::r2t(&command, 5, 0, 0, 512)).await;
    rig.peer.send(Pdu::r2t(&command, 6, 1, 512, 512)).await;
    rig.peer.solicited(&command, 5, 0, 512).await;
    rig.peer.solicited(&command, 6, 512, 512).await;
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

/// A read of 1024 bytes that the target answers so; the connection is given up.
async fn read_is_given_up(answer: impl Fn(&Pdu) -> Vec<Pdu>, words: &str) {
    let mut rig = Rig::up(&[]).await;
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    for pdu in answer(&command) {
        rig.peer.send(pdu).await;
    }
    assert!(
        matches!(failed(asked).await, SessionError::Interrupted(_)),
        "{words}"
    );
    rig.recovers(words).await;
}

#[tokio::test]
async fn sup_x04() {
    let piece = |command: &Pdu, data_sn, at| Pdu::data_in(command, data_sn, at, &[7; 512]);
    read_is_given_up(|command| vec![piece(command, 0, 1024)], "outside").await;
    read_is_given_up(|command| vec![piece(command, 0, 513)], "outside").await;
    read_is_given_up(|command| vec![piece(command, 0, u32::MAX - 100)], "outside").await;
    read_is_given_up(
        |command| vec![piece(command, 0, 0), piece(command, 1, 256)],
        "offset",
    )
    .await;
    read_is_given_up(|command| vec![piece(command, 0, 512)], "offset").await;
    // Where order was not agreed on, data goes where it says, and bounds hold all the same.
    let mut config = core::config();
    (
        config.offers.data_pdu_in_order,
        config.offers.data_sequence_in_order,
    ) = (false, false);
    let answers = [("DataPDUInOrder", "No"), ("DataSequenceInOrder", "No")];
    let read = [READ_10, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    let (mut core, mut peer) = Core::up(config.clone(), &answers).await;
    let id = core.submit(&read, Direction::Read(1024), &[0; 1024]);
    let script = async {
        let command = peer.expect(SCSI_COMMAND).await;
        peer.send(Pdu::data_in(&command, 0, 512, &[2; 512])).await;
        peer.send(Pdu::data_in(&command, 1, 0, &[1; 512]).with_status(GOOD))
            .await;
    };
    let (done, ()) = tokio::join!(core.run(), script);
    assert!(
        matches!(done.unwrap().outcome, Outcome::Completed(answer) if answer.transferred == 1024)
    );
    assert!(core.data(id) == [[1; 512], [2; 512]].concat());
    let (mut core, mut peer) = Core::up(config, &answers).await;
    core.submit(&read, Direction::Read(1024), &[0; 1024]);
    let script = async {
        let command = peer.expect(SCSI_COMMAND).await;
        peer.send(piece(&command, 0, 513)).await;
    };
    let (done, ()) = tokio::join!(core.run(), script);
    assert!(done.unwrap_err().contains("outside"));
}

#[tokio::test]
async fn sup_x05() {
    let whole = |command: &Pdu| Pdu::data_in(command, 0, 0, &[7; 1024]);
    // S without F is a contradiction (§11.7.3).
    let unfinished = |command: &Pdu| vec![whole(command).put_byte(1, STATUS)];
    read_is_given_up(unfinished, "malformed").await;
    let sense = |command: &Pdu| vec![whole(command).with_status(CHECK_CONDITION)];
    read_is_given_up(sense, "CHECK CONDITION").await;
    // A task that has ended: what comes late for it is left, and harms nobody.
    let mut rig = Rig::up(&[]).await;
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(whole(&command).with_status(GOOD)).await;
    let answer = answered(asked).await;
    assert!(answer.data == [7; 1024]);
    rig.peer.send(Pdu::data_in(&command, 1, 0, &[9; 512])).await;
    rig.works().await;
}

/// The answer to a read of 1024 bytes of which the target sends `data` and ends it with `last`.
async fn read_answer(last: impl Fn(&Pdu) -> Pdu, data: &[u8]) -> ScsiAnswer {
    let mut rig = Rig::up(&[]).await;
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    if !data.is_empty() {
        rig.peer
            .send(Pdu::data_in(&command, 0, 0, data).put_byte(1, FINAL))
            .await;
    }
    rig.peer.send(last(&command)).await;
    let answer = answered(asked).await;
    rig.works().await;
    answer
}

#[tokio::test]
async fn sup_x06() {
    let response = |flag, count| {
        move |command: &Pdu| {
            Pdu::scsi_response(command, GOOD)
                .put_word(36, 1)
                .with_residual(flag, count)
        }
    };
    let answer = read_answer(response(UNDERFLOW, 512), &[7; 512]).await;
    assert_eq!(
        (answer.residual, answer.data.len()),
        (Residual::Underflow(512), 512)
    );
    let answer = read_answer(response(OVERFLOW, 100), &[7; 1024]).await;
    assert_eq!(
        (answer.residual, answer.data.len()),
        (Residual::Overflow(100), 1024)
    );
    // Without a flag the count says nothing.
    let answer = read_answer(response(0, 100), &[7; 1024]).await;
    assert_eq!((answer.residual, answer.data.len()), (Residual::None, 1024));
    let in_data = |command: &Pdu| {
        let last = Pdu::data_in(command, 0, 0, &[7; 512]).with_status(GOOD);
        last.with_residual(UNDERFLOW, 512)
    };
    let answer = read_answer(in_data, &[]).await;
    assert_eq!(
        (answer.residual, answer.data.len()),
        (Residual::Underflow(512), 512)
    );
    let over_in_data = |command: &Pdu| {
        let last = Pdu::data_in(command, 0, 0, &[7; 1024]).with_status(GOOD);
        last.with_residual(OVERFLOW, 1)
    };
    let answer = read_answer(over_in_data, &[]).await;
    assert_eq!(
        (answer.residual, answer.data.len()),
        (Residual::Overflow(1), 1024)
    );
    // Counts come with an error too.
    let check = |command: &Pdu| {
        let error = Pdu::check_condition(command, [3, 0x11, 0]).put_word(36, 1);
        error.with_residual(UNDERFLOW, 512)
    };
    let answer = read_answer(check, &[7; 512]).await;
    assert_eq!(answer.status, Status::CheckCondition);
    assert_eq!(
        (answer.residual, answer.data.len()),
        (Residual::Underflow(512), 512)
    );
    // Both flags exclude each other (§11.4.1).
    let both = |command: &Pdu| {
        vec![Pdu::scsi_response(command, GOOD).put_byte(1, FINAL | OVERFLOW | UNDERFLOW)]
    };
    read_is_given_up(both, "malformed").await;
    let both = |command: &Pdu| {
        let last = Pdu::data_in(command, 0, 0, &[7; 1024]).with_status(GOOD);
        vec![last.put_byte(1, FINAL | STATUS | OVERFLOW | UNDERFLOW)]
    };
    read_is_given_up(both, "malformed").await;
}

#[tokio::test]
async fn sup_x07() {
    let with = |segment: Vec<u8>| {
        move |command: &Pdu| Pdu::scsi_response(command, CHECK_CONDITION).with_data(&segment)
    };
    let said = |length: u16, sense: &[u8]| [&length.to_be_bytes()[..], sense].concat();
    let sense = fixed_sense([5, 0x20, 0]);
    let key = |answer: &ScsiAnswer| answer.sense.map(|sense| (sense.key, sense.asc));
    // SenseLength is right; less than the segment holds; more than it holds.
    let exact = read_answer(with(said(18, &sense)), &[]).await;
    assert_eq!(key(&exact), Some((SenseKey::IllegalRequest, 0x20)));
    assert_eq!(exact.raw_sense, sense);
    let longer = [&sense[..], b"response data"].concat();
    let less = read_answer(with(said(18, &longer)), &[]).await;
    assert_eq!(less.raw_sense, sense);
    let more = read_answer(with(said(252, &sense)), &[]).await;
    assert_eq!(key(&more), Some((SenseKey::IllegalRequest, 0x20)));
    let none = read_answer(with(said(0, &[])), &[]).await;
    assert_eq!((none.status, none.sense), (Status::CheckCondition, None));
    let descriptor = [0x72, 6, 0x29, 0, 0, 0, 0, 0];
    let descriptor = read_answer(with(said(8, &descriptor)), &[]).await;
    assert_eq!(key(&descriptor), Some((SenseKey::UnitAttention, 0x29)));
    // No data segment at all is a format error (§11.4.7).
    let empty = |command: &Pdu| vec![Pdu::scsi_response(command, CHECK_CONDITION)];
    read_is_given_up(empty, "sense").await;
}

#[tokio::test]
async fn sup_x08() {
    for response in [1, 0x80, 0xff] {
        let mut rig = Rig::up(&[]).await;
        let asked = rig.read(512);
        let command = rig.peer.expect(SCSI_COMMAND).await;
        // The status that comes with it means nothing.
        rig.peer
            .send(Pdu::scsi_response(&command, GOOD).put_byte(2, response))
            .await;
        let error = failed(asked).await;
        assert!(matches!(&error, SessionError::Refused { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("{response:#04x}")),
            "{error}"
        );
        rig.works().await;
    }
    // A reserved code is no answer at all.
    let reserved = |command: &Pdu| vec![Pdu::scsi_response(command, GOOD).put_byte(2, 2)];
    read_is_given_up(reserved, "malformed").await;
}

#[tokio::test]
async fn sup_x09() {
    let mut rig = Rig::up(&[]).await;
    for (code, status) in [
        (BUSY, Status::Busy),
        (TASK_SET_FULL, Status::TaskSetFull),
        (RESERVATION_CONFLICT, Status::ReservationConflict),
        (ACA_ACTIVE, Status::AcaActive),
        (TASK_ABORTED, Status::TaskAborted),
    ] {
        let asked = rig.test_unit_ready();
        let command = rig.peer.expect(SCSI_COMMAND).await;
        rig.peer.respond(&command, code).await;
        assert_eq!(answered(asked).await.status, status);
        rig.peer.quiet().await;
    }
}

/// A CDB over 16 bytes cannot even be named, nor can a command that moves data both ways.
#[tokio::test]
async fn sup_x10() {
    assert!(Cdb::from_bytes(&[0x7f; 16]).is_some());
    assert!(Cdb::from_bytes(&[0x7f; 17]).is_none());
    assert!(Cdb::from_bytes(&[0x7f; 32]).is_none());
}

/// A raw read gives no more than came; a block read that came short is an error, not zeroes.
#[tokio::test]
async fn sup_x11() {
    let short = |command: &Pdu| {
        let last = Pdu::data_in(command, 0, 0, &[7; 100]).with_status(GOOD);
        last.with_residual(UNDERFLOW, 924)
    };
    assert_eq!(read_answer(short, &[]).await.data, [7; 100]);
    let mut rig = Rig::up(R2T_ONLY).await;
    let mut disk = Disk::new(64);
    let lun = open(&mut rig, &mut disk).await;
    let read = tokio::spawn(submit(&lun, Operation::Read, 0, vec![0; 1024]));
    let command = disk.serve_until(&mut rig.peer, READ_10).await;
    rig.peer.send(short(&command)).await;
    let (buffer, result) = in_time(read).await.unwrap();
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Io);
    assert!(buffer[100..].iter().all(|&byte| byte == 0), "untouched");
}

async fn answer_in_order(peer: &mut Peer, commands: &mut Vec<Pdu>) {
    for command in commands.drain(..) {
        peer.respond(&command, GOOD).await;
    }
}

#[tokio::test]
async fn sup_x12() {
    let deep = |options: &mut hawser_engine::SessionOptions| options.queue_depth = 128;
    let mut rig = Rig::prepared(deep, |peer| peer.grant(128), &[]).await;
    let session = rig.session.clone();
    let load = tokio::spawn(async move {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..128 {
            let session = session.clone();
            tasks.spawn(async move {
                for _ in 0..40 {
                    let request = hawser_engine::ScsiRequest {
                        lun: hawser_engine::LunNumber::ZERO,
                        cdb: Cdb::test_unit_ready(),
                        transfer: hawser_engine::Transfer::None,
                    };
                    session.scsi(request).await.expect("an answer");
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    });
    let (mut live, mut seen, mut pending) = (HashSet::new(), HashSet::new(), Vec::new());
    for count in 1..=128 * 40 {
        let command = rig.peer.expect(SCSI_COMMAND).await;
        assert!(live.insert(command.itt()), "a live tag is used again");
        assert!(seen.insert(command.itt()), "a tag comes again too soon");
        pending.push(command);
        if count % 128 == 0 {
            live.clear();
            answer_in_order(&mut rig.peer, &mut pending).await;
        }
    }
    in_time(load).await.unwrap();
}

/// One command at a time, for longer than it takes the tags of a slot to come round.
#[tokio::test]
async fn sup_x12_wrap() {
    const COMMANDS: u32 = 66_000;
    let (mut core, mut peer) = Core::up(core::config(), R2T_ONLY).await;
    let script = async {
        let mut last_use = std::collections::HashMap::new();
        for count in 0..COMMANDS {
            let command = peer.expect(SCSI_COMMAND).await;
            let before = last_use.insert(command.itt(), count);
            assert!(
                before.is_none_or(|before| count - before > 1000),
                "{before:?} {count}"
            );
            peer.respond(&command, GOOD).await;
        }
        last_use.len()
    };
    let initiator = async {
        for _ in 0..COMMANDS {
            core.submit(&[TEST_UNIT_READY], Direction::None, &[]);
            core.run().await.unwrap();
        }
    };
    let (tags, ()) = tokio::join!(script, initiator);
    assert!(tags < COMMANDS as usize, "the tags have come round");
}

#[tokio::test]
async fn sup_x13() {
    let mut config = core::config();
    config.cmd_sn = hawser_proto::serial::Serial(0xffff_ff00);
    let (mut core, mut peer) = Core::up(config, R2T_ONLY).await;
    let data = pattern(512);
    for place in 0..512_u32 {
        let is_write = place % 3 == 0;
        if is_write {
            core.submit(
                &[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0],
                Direction::Write(512),
                &data,
            );
        } else {
            core.submit(&[TEST_UNIT_READY], Direction::None, &[]);
        }
        let script = async {
            let command = peer.expect(SCSI_COMMAND).await;
            assert_eq!(command.cmd_sn(), 0xffff_ff00_u32.wrapping_add(place));
            if is_write {
                assert!(peer.solicit(&command, 0, 0, 512).await == data);
            }
            peer.respond(&command, GOOD).await;
        };
        let (done, ()) = tokio::join!(core.run(), script);
        assert!(
            matches!(done.unwrap().outcome, Outcome::Completed(answer) if answer.status == GOOD)
        );
    }
}

/// Tags that the target makes up are answered by a new session, whatever PDU brings them.
#[tokio::test]
async fn sup_x02_unknown_tags() {
    for pdu in [
        Pdu::new(hawser_testkit::scripted::wire::SCSI_RESPONSE, 0x7654_3210),
        Pdu::new(hawser_testkit::scripted::wire::DATA_IN, 0x7654_3210).put_word(20, NO_TAG),
    ] {
        let mut rig = Rig::up(&[]).await;
        let asked = rig.read(512);
        rig.peer.expect(SCSI_COMMAND).await;
        rig.peer.send(pdu).await;
        assert!(ended(asked).await.is_err());
        rig.recovers("0x76543210").await;
    }
}
