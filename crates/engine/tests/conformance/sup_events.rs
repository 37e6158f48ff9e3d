//! SUP-A: asynchronous messages, pings, rejects, logout, recovery.

use std::time::{Duration, Instant};

use hawser_block::{Operation, submit};
use hawser_engine::{SessionError, SessionEvent, SessionOptions};
use hawser_proto::login::TaskReporting;
use hawser_proto::session::{Direction, Outcome};
use hawser_scsi::{SenseKey, Status};
use hawser_testkit::scripted::disk::{READ_10, TEST_UNIT_READY};
use hawser_testkit::scripted::wire::{
    GOOD, LOGIN_REQUEST, LOGOUT_REQUEST, NO_TAG, NOP_OUT, REJECT_DATA_DIGEST, REJECT_IMMEDIATE,
    REJECT_INVALID_FIELD, REJECT_NOT_SUPPORTED, REJECT_PROTOCOL_ERROR, SCSI_COMMAND,
    TASK_MANAGEMENT_REQUEST, TEXT_REQUEST,
};
use hawser_testkit::scripted::{Disk, LIMIT, Pdu};

use super::core::{self, Core};
use super::ffp_commands::open;
use super::support::{
    R2T_ONLY, Rig, answer_logout, answered, assert_good, ended, failed, in_time, pattern,
};

/// Every status so far is acknowledged, and the session works.
async fn goes_on(rig: &mut Rig) {
    // What was sent has been read when this is answered.
    rig.peer.quiet().await;
    let due = rig.peer.next_stat_sn();
    rig.works().await;
    let command = rig.peer.transcript().of(SCSI_COMMAND).pop().unwrap();
    assert_eq!(command.exp_stat_sn(), due);
}

#[tokio::test]
async fn sup_a01() {
    let mut rig = Rig::up(&[]).await;
    let lun = [0, 4, 0, 0, 0, 0, 0, 0];
    rig.peer.send(Pdu::async_sense(lun, [6, 0x3f, 0x0e])).await;
    loop {
        match rig.event().await {
            SessionEvent::AsyncSense { lun: from, sense } => {
                assert_eq!(from.0, lun);
                let sense = sense.expect("sense data");
                assert_eq!(
                    (sense.key, sense.asc, sense.ascq),
                    (SenseKey::UnitAttention, 0x3f, 0x0e)
                );
                break;
            }
            // It is also told as what it means.
            SessionEvent::LunsChanged | SessionEvent::Up(_) => {}
            other => panic!("{other:?}"),
        }
    }
    goes_on(&mut rig).await;
}

#[tokio::test]
async fn sup_a02() {
    // Not agreed on: the target may not say so; the task is left to its answer.
    let mut rig = Rig::up(R2T_ONLY).await;
    let asked = rig.write(&pattern(512));
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::async_message(5, [0; 3])).await;
    rig.peer.quiet().await;
    assert!(rig.peer.solicit(&command, 0, 0, 512).await == pattern(512));
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
    // Agreed on: the data stops, an acknowledgement goes out (§4.2.3.4).
    let (done, _) = terminated().await;
    assert_eq!(done, Outcome::Aborted);
}

/// A write whose target ends all tasks of its unit, in a session with FastAbort; gives its outcome and
/// the acknowledgement.
async fn terminated() -> (Outcome, Pdu) {
    let mut config = core::config();
    config.offers.task_reporting = vec![
        TaskReporting::FastAbort,
        TaskReporting::ResponseFence,
        TaskReporting::Rfc3720,
    ];
    let answers = [R2T_ONLY, &[("TaskReporting", "FastAbort")]].concat();
    let (mut core, mut peer) = Core::up(config, &answers).await;
    core.submit(
        &[0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0],
        Direction::Write(4096),
        &pattern(4096),
    );
    let script = async {
        let command = peer.expect(SCSI_COMMAND).await;
        let current = peer.next_cmd_sn();
        peer.solicit(&command, 0, 0, 512).await;
        peer.send(Pdu::async_message(5, [0; 3])).await;
        let answer = peer.expect(NOP_OUT).await;
        assert_eq!(answer.cmd_sn(), current);
        assert_eq!(
            answer.exp_stat_sn(),
            peer.next_stat_sn(),
            "the message is acknowledged"
        );
        answer
    };
    // The core comes to rest when the task has ended; the acknowledgement is still to be sent then.
    let initiator = async {
        let done = core.run().await.unwrap();
        core.write().await;
        done.outcome
    };
    in_time(async { tokio::join!(initiator, script) }).await
}

/// A NOP-Out that only confirms ExpStatSN. Ours goes out where FastAbort asks for it.
#[tokio::test]
async fn ffp_15_3() {
    let (_, confirmation) = terminated().await;
    assert_eq!((confirmation.itt(), confirmation.ttt()), (NO_TAG, NO_TAG));
    assert!(confirmation.is_immediate());
    assert_eq!(
        (confirmation.lun(), confirmation.data_length()),
        ([0; 8], 0)
    );
}

#[tokio::test]
async fn sup_a03() {
    let mut rig = Rig::up(&[]).await;
    for event in [248, 255, 6, 100, 247] {
        rig.peer.send(Pdu::async_message(event, [1, 2, 3])).await;
        loop {
            match rig.event().await {
                SessionEvent::AsyncNotice { event: told } => {
                    assert_eq!(told, event);
                    break;
                }
                SessionEvent::Up(_) => {}
                other => panic!("{other:?}"),
            }
        }
        goes_on(&mut rig).await;
    }
}

#[tokio::test]
async fn sup_a04() {
    let mut rig = Rig::up(&[]).await;
    rig.peer.send(Pdu::async_message(1, [0, 0, 5])).await;
    let logout = rig.peer.expect(LOGOUT_REQUEST).await;
    assert!([0, 1].contains(&logout.code()));
    rig.peer.send(Pdu::logout_response(&logout, 0, 1, 0)).await;
    let answered = Instant::now();
    rig.peer.finish().await;
    rig.peer.expect_close().await;
    rig.peer = rig.next_login(&[]).await;
    assert!(
        answered.elapsed() >= Duration::from_secs(1),
        "Time2Wait of the response"
    );
    rig.works().await;
}

#[tokio::test]
async fn sup_a05() {
    let mut rig = Rig::up(&[]).await;
    let lun = [0x40, 9, 0, 0, 0, 0, 0, 0];
    rig.peer.send(Pdu::nop_in(0, lun)).await;
    let answer = rig.peer.expect(NOP_OUT).await;
    assert_eq!((answer.ttt(), answer.lun(), answer.itt()), (0, lun, NO_TAG));
    rig.peer.send(Pdu::nop_in(NO_TAG, [0; 8])).await;
    rig.peer.quiet().await;
    assert_eq!(
        rig.peer.transcript().of(NOP_OUT).len(),
        3,
        "one, and the two of the last check"
    );
}

#[tokio::test]
async fn sup_a06() {
    let lively = |options: &mut SessionOptions| {
        options.timeouts.ping_interval = Duration::from_millis(100);
        options.timeouts.ping_timeout = Duration::from_millis(1500);
    };
    let mut rig = Rig::with(lively, &[]).await;
    // An answer with data that nobody sent is taken up to the limit, and is an answer.
    let ping = rig.peer.expect(NOP_OUT).await;
    assert!(ping.data.is_empty());
    rig.peer.send(Pdu::pong(&ping).with_data(&[7; 100])).await;
    rig.peer.expect(NOP_OUT).await;
    rig.peer.expect_close().await;
    let why = rig.lost().await;
    assert!(why.contains("nothing heard"), "{why}");
    rig.peer = rig.next_login(&[]).await;
    let login = rig.peer.transcript().of(LOGIN_REQUEST);
    assert_eq!(login[0].tsih(), 0);
}

#[tokio::test]
async fn sup_a12() {
    // No new requests, FIN awaited, then closed: `ffp_17_1`. Here: what else may come of it.
    for response in [1, 2, 3] {
        let mut rig = Rig::up(&[]).await;
        let session = rig.session.clone();
        let leaving = tokio::spawn(async move { session.logout().await });
        let logout = rig.peer.expect(LOGOUT_REQUEST).await;
        rig.peer
            .send(Pdu::logout_response(&logout, response, 0, 0))
            .await;
        in_time(leaving).await.unwrap();
        rig.peer.finish().await;
        rig.peer.expect_close().await;
        assert!(!rig.target.has_connection().await, "it is over");
    }
}

#[tokio::test]
async fn sup_a12_without_an_answer() {
    let impatient = |options: &mut SessionOptions| {
        options.timeouts.management = Duration::from_millis(200);
    };
    let mut rig = Rig::with(impatient, &[]).await;
    let session = rig.session.clone();
    let leaving = tokio::spawn(async move { session.logout().await });
    rig.peer.expect(LOGOUT_REQUEST).await;
    rig.peer.expect_close().await;
    in_time(leaving).await.unwrap();
    // The target closes before it answers.
    let mut rig = Rig::up(&[]).await;
    let session = rig.session.clone();
    let leaving = tokio::spawn(async move { session.logout().await });
    rig.peer.expect(LOGOUT_REQUEST).await;
    rig.peer.finish().await;
    in_time(leaving).await.unwrap();
    rig.peer.expect_close().await;
    assert!(!rig.target.has_connection().await);
}

/// A command ends with its Reject, and its CmdSN is filled in.
#[tokio::test]
async fn sup_a13() {
    for reason in [
        REJECT_DATA_DIGEST,
        REJECT_PROTOCOL_ERROR,
        REJECT_NOT_SUPPORTED,
        REJECT_IMMEDIATE,
        REJECT_INVALID_FIELD,
    ] {
        let mut rig = Rig::up(&[]).await;
        let asked = rig.test_unit_ready();
        let command = rig.peer.expect(SCSI_COMMAND).await;
        rig.peer.forget(&command);
        rig.peer.send(Pdu::reject(&command, reason)).await;
        let plug = rig.peer.next().await;
        assert_eq!(plug.cmd_sn(), command.cmd_sn(), "the gap is filled");
        assert!(!plug.is_immediate());
        if plug.opcode() == NOP_OUT {
            let error = failed(asked).await;
            assert!(matches!(error, SessionError::Refused { .. }), "{error}");
            rig.peer.send(Pdu::pong(&plug)).await;
        } else {
            // Or it is sent again, which a Reject for its data allows.
            rig.peer.respond(&plug, GOOD).await;
            assert_good(&answered(asked).await);
        }
        rig.works().await;
    }
}

/// A TMF that was rejected has its answer, or comes once more where there was no room for it.
#[tokio::test]
async fn sup_a13_management() {
    let lun = hawser_engine::LunNumber::ZERO;
    let reset = hawser_engine::TmfFunction::LogicalUnitReset;
    for reason in [
        REJECT_PROTOCOL_ERROR,
        REJECT_NOT_SUPPORTED,
        REJECT_INVALID_FIELD,
    ] {
        let mut rig = Rig::up(&[]).await;
        let managed = rig.manage(reset, lun);
        let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
        rig.peer.send(Pdu::reject(&request, reason)).await;
        assert_eq!(answered(managed).await, 255, "function rejected");
        rig.works().await;
    }
    let mut rig = Rig::up(&[]).await;
    let managed = rig.manage(reset, lun);
    let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    rig.peer.send(Pdu::reject(&request, REJECT_IMMEDIATE)).await;
    let again = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert_eq!((again.code(), again.lun()), (request.code(), request.lun()));
    rig.peer
        .send(Pdu::task_management_response(&again, 0))
        .await;
    assert_eq!(answered(managed).await, 0);
}

/// A ping or a text request that was rejected: the session goes on.
async fn goes_on_after_a_reject(reason: u8) {
    let ping = |options: &mut SessionOptions| {
        options.timeouts.ping_interval = Duration::from_millis(100);
        // The next ping comes when the last one's time is over.
        options.timeouts.ping_timeout = Duration::from_secs(3);
    };
    let mut rig = Rig::with(ping, &[]).await;
    let ping = rig.peer.expect(NOP_OUT).await;
    rig.peer.send(Pdu::reject(&ping, reason)).await;
    // A Reject is as good a sign of life as an answer.
    let next = rig.peer.expect(NOP_OUT).await;
    rig.peer.send(Pdu::pong(&next)).await;
    let mut rig = Rig::up(&[]).await;
    rig.peer.send(Pdu::async_message(4, [0, 0, 3])).await;
    let text = rig.peer.expect(TEXT_REQUEST).await;
    rig.peer.send(Pdu::reject(&text, reason)).await;
    goes_on(&mut rig).await;
}

#[tokio::test]
async fn sup_a13_pings_and_text() {
    tokio::join!(
        goes_on_after_a_reject(REJECT_PROTOCOL_ERROR),
        goes_on_after_a_reject(REJECT_NOT_SUPPORTED),
        goes_on_after_a_reject(REJECT_INVALID_FIELD),
    );
}

/// 32 reads of a disk and 8 raw commands are under way when the connection ends: the reads are sent again
/// in the next session, under new tags, after the disk was asked who it is; the raw ones end.
#[tokio::test]
async fn sup_a14() {
    let mut rig = Rig::prepared(|_| {}, |peer| peer.grant(64), R2T_ONLY).await;
    let mut disk = Disk::new(64);
    disk.content = pattern(64 * 512);
    let lun = open(&mut rig, &mut disk).await;
    let reads: Vec<_> = (0..32_u64)
        .map(|block| tokio::spawn(submit(&lun, Operation::Read, block * 512, vec![0; 512])))
        .collect();
    let raw: Vec<_> = (0..8).map(|_| rig.test_unit_ready()).collect();
    let mut tags = Vec::new();
    for _ in 0..40 {
        tags.push(rig.peer.expect(SCSI_COMMAND).await.itt());
    }
    rig.peer.finish().await;
    let lost = Instant::now();
    for raw in raw {
        assert!(matches!(failed(raw).await, SessionError::Interrupted(_)));
    }
    rig.peer = rig.next_login(R2T_ONLY).await;
    // A unit attention of the reinstatement comes first, to the check of the disk.
    disk.attention = Some([6, 0x29, 0x07]);
    let served = async {
        for (block, read) in reads.into_iter().enumerate() {
            let (data, result) = read.await.unwrap();
            result.unwrap();
            assert!(data == disk_content(block));
        }
    };
    in_time(disk.serve(&mut rig.peer, served)).await;
    assert!(lost.elapsed() < LIMIT);
    let again = rig.peer.transcript().of(SCSI_COMMAND);
    let reads: Vec<&Pdu> = again.iter().filter(|pdu| pdu.cdb()[0] == READ_10).collect();
    assert_eq!(reads.len(), 32, "each once");
    assert!(
        reads.iter().all(|pdu| !tags.contains(&pdu.itt())),
        "under new tags"
    );
    assert!(
        again[0].cdb()[0] != READ_10,
        "the disk is asked who it is first"
    );
    // A unit attention of a raw command is its caller's.
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect_command(TEST_UNIT_READY).await;
    rig.peer
        .send(Pdu::check_condition(&command, [6, 0x29, 0x07]))
        .await;
    let answer = answered(asked).await;
    assert_eq!(answer.status, Status::CheckCondition);
    assert_eq!(answer.sense.unwrap().key, SenseKey::UnitAttention);
}

/// Where a connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// After so many bytes of the answer to the first command.
    Answer(usize),
    /// While the data of a write is asked for.
    Write,
    /// Then, and once more in the login after it.
    Login,
    /// Then, and once more while the disk is asked who it is.
    Check,
}

/// 32 writes of a disk are under way when the connection ends so; all are done in the next session.
async fn outlives(end: End) {
    let mut rig = Rig::prepared(|_| {}, |peer| peer.grant(64), R2T_ONLY).await;
    let mut disk = Disk::new(64);
    let lun = open(&mut rig, &mut disk).await;
    let write = |block: u64| {
        let data = pattern(64 * 512)[block as usize * 512..][..512].to_vec();
        tokio::spawn(submit(
            &lun,
            Operation::Write { fua: false },
            block * 512,
            data,
        ))
    };
    let writes: Vec<_> = (0..32).map(write).collect();
    let mut commands = Vec::new();
    for _ in &writes {
        commands.push(rig.peer.expect(SCSI_COMMAND).await);
    }
    match end {
        End::Answer(sent) => {
            let sense = Pdu::check_condition(&commands[0], [6, 0x29, 0]);
            let sense = rig.peer.number(sense);
            let bytes = rig.peer.bytes(&sense);
            rig.peer.send_bytes(&bytes[..sent]).await;
        }
        End::Write => drop(rig.peer.solicit(&commands[0], 0, 0, 256).await),
        End::Login | End::Check => {}
    }
    rig.peer.finish().await;
    rig.peer.await_close().await;
    if matches!(end, End::Login) {
        let mut peer = rig.target.accept().await;
        peer.login_request().await;
        peer.finish().await;
        peer.await_close().await;
    }
    if matches!(end, End::Check) {
        let mut peer = rig.next_login(R2T_ONLY).await;
        peer.expect(SCSI_COMMAND).await;
        peer.finish().await;
        peer.await_close().await;
    }
    rig.peer = rig.next_login(R2T_ONLY).await;
    let done = async {
        for write in writes {
            write.await.unwrap().1.unwrap();
        }
    };
    in_time(disk.serve(&mut rig.peer, done)).await;
    assert!(
        disk.content[..32 * 512] == pattern(64 * 512)[..32 * 512],
        "{end:?}"
    );
}

#[tokio::test]
async fn sup_a14_in_every_state() {
    for end in [
        End::Answer(0),
        End::Answer(20),
        End::Answer(48),
        End::Answer(60),
        End::Write,
        End::Login,
        End::Check,
    ] {
        outlives(end).await;
    }
}

fn disk_content(block: usize) -> Vec<u8> {
    pattern(64 * 512)[block * 512..][..512].to_vec()
}

/// The target knows the session no more: the initiator never insists on it.
#[tokio::test]
async fn sup_a15() {
    let mut rig = Rig::up(&[]).await;
    let first = rig.peer.agreed().tsih;
    rig.peer.finish().await;
    rig.peer.await_close().await;
    let mut peer = rig.target.accept().await;
    let (request, _) = peer.login_request().await;
    assert_eq!(request.tsih(), 0, "not {first:#x}");
    peer.refuse(&request, 2, 0x0a, &[]).await;
    peer.expect_close().await;
    rig.peer = rig.next_login(&[]).await;
    assert_eq!(rig.peer.agreed().requests[0].tsih(), 0);
    assert!(rig.peer.agreed().tsih != first);
    rig.works().await;
}

#[tokio::test]
async fn sup_a16() {
    let mut rig = Rig::up(&[]).await;
    let asked = [rig.test_unit_ready(), rig.test_unit_ready()];
    let first = rig.peer.expect(SCSI_COMMAND).await;
    let second = rig.peer.expect(SCSI_COMMAND).await;
    // The first response is lost.
    drop(rig.peer.number(Pdu::scsi_response(&first, GOOD)));
    rig.peer.respond(&second, GOOD).await;
    for asked in asked {
        assert!(matches!(failed(asked).await, SessionError::Interrupted(_)));
    }
    rig.recovers("StatSN").await;
}

#[tokio::test]
async fn sup_a17() {
    let mut rig = Rig::up(&[]).await;
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    drop(rig.peer.number(Pdu::scsi_response(&command, GOOD)));
    rig.peer.send(Pdu::nop_in(NO_TAG, [0; 8])).await;
    assert!(ended(asked).await.is_err());
    rig.recovers("StatSN").await;
}

/// A session whose peer answers the logout ends in order, whatever came before.
#[tokio::test]
async fn sup_a12_in_order() {
    let mut rig = Rig::up(&[]).await;
    rig.works().await;
    let session = rig.session.clone();
    let leaving = tokio::spawn(async move { session.logout().await });
    answer_logout(&mut rig.peer).await;
    in_time(leaving).await.unwrap();
    assert!(matches!(
        rig.session.luns().await,
        Err(SessionError::Closed(_))
    ));
}
