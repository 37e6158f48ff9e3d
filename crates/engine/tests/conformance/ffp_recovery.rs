//! Error recovery levels 1 and 2, and what the same looks like at level 0.
//!
//! The engine offers level 2 ([`offer_recovery`]); the target agrees on the one that the test is about.

use hawser_testkit::scripted::Pdu;
use std::time::Duration;

use hawser_engine::SessionOptions;
use hawser_testkit::scripted::wire::{
    ABORT_TASK, DATA_OUT, GOOD, LOGIN_REQUEST, LOGOUT_REQUEST, NO_TAG, NOP_OUT, REJECT_SNACK,
    SCSI_COMMAND, SNACK, SNACK_DATA, SNACK_DATA_ACK, TASK_MANAGEMENT_REQUEST, TASK_REASSIGN,
};

use super::ffp_tasks::impatient;
use super::support::{
    LEVEL_1, LEVEL_2, R2T_ONLY, Rig, answered, assert_good, ended, failed, offer_recovery, pattern,
};

#[tokio::test]
async fn ffp_4_1() {
    let lively = |options: &mut SessionOptions| {
        offer_recovery(options);
        options.timeouts.ping_interval = Duration::from_millis(200);
        options.timeouts.ping_timeout = Duration::from_secs(2);
    };
    let mut rig = Rig::with(lively, LEVEL_1).await;
    let asked = rig.read(512);
    let first = rig.peer.expect(SCSI_COMMAND).await;
    // The target never saw it: it goes on to answer pings, but ExpCmdSN stays.
    rig.peer.forget(&first);
    let retry = loop {
        let pdu = rig.peer.next().await;
        if pdu.opcode() != NOP_OUT {
            break pdu;
        }
        rig.peer.send(Pdu::pong(&pdu)).await;
    };
    assert_eq!(
        (retry.opcode(), retry.cmd_sn()),
        (SCSI_COMMAND, first.cmd_sn())
    );
    assert_eq!((retry.itt(), retry.byte(1)), (first.itt(), first.byte(1)));
    assert_eq!((retry.lun(), retry.cdb()), (first.lun(), first.cdb()));
    rig.peer.send_data(&retry, &[9; 512]).await;
    assert_good(&answered(asked).await);
}

/// At level 0 a command without an answer is aborted, not sent again.
#[tokio::test]
async fn ffp_4_1_at_level_0() {
    let mut rig = Rig::with(impatient, R2T_ONLY).await;
    let asked = rig.read(512);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let abort = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert_eq!((abort.code(), abort.ttt()), (ABORT_TASK, command.itt()));
    rig.peer
        .send(Pdu::task_management_response(&abort, 0))
        .await;
    assert!(ended(asked).await.is_err());
    rig.works().await;
}

#[tokio::test]
async fn ffp_7_1() {
    let mut rig = Rig::with(offer_recovery, LEVEL_2).await;
    let asked = rig.read(512);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let (tsih, cid) = (rig.peer.agreed().tsih, rig.peer.agreed().requests[0].cid());
    let target = &rig.target;
    drop(rig.peer);
    let mut peer = target.accept().await;
    peer.log_in(&[]).await;
    let login = &peer.agreed().requests[0];
    assert_eq!(login.tsih(), tsih, "the session goes on");
    if login.cid() != cid {
        // Not the implicit logout of a reinstated connection: then an explicit one (§7.1.4.3).
        let logout = peer.expect(LOGOUT_REQUEST).await;
        assert_eq!((logout.code(), logout.cid()), (2, cid));
        peer.send(Pdu::logout_response(&logout, 0, 0, 20)).await;
    }
    let reassign = peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert_eq!(reassign.code(), TASK_REASSIGN);
    assert!(reassign.is_immediate());
    assert_eq!(reassign.ttt(), command.itt());
    peer.send(Pdu::task_management_response(&reassign, 0)).await;
    peer.send_data(&command, &[9; 512]).await;
    assert_good(&answered(asked).await);
}

#[tokio::test]
async fn ffp_10_2() {
    let mut rig = Rig::with(offer_recovery, LEVEL_1).await;
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let first = Pdu::data_in(&command, 0, 0, &[1; 512]).with_acknowledge(5, [0; 8]);
    rig.peer.send(first).await;
    let acknowledged = rig.peer.expect(SNACK).await;
    assert_eq!(
        (acknowledged.code(), acknowledged.ttt()),
        (SNACK_DATA_ACK, 5)
    );
    assert_eq!(
        (acknowledged.itt(), acknowledged.offset()),
        (NO_TAG, 1),
        "ITT and BegRun"
    );
    rig.peer
        .send(Pdu::data_in(&command, 1, 512, &[2; 512]).with_status(GOOD))
        .await;
    assert_good(&answered(asked).await);
}

/// The A bit means nothing at level 0: the data counts, no SNACK goes out (§11.7.2).
#[tokio::test]
async fn ffp_10_2_at_level_0() {
    let mut rig = Rig::up(&[]).await;
    let data = pattern(1024);
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let first = Pdu::data_in(&command, 0, 0, &data[..512]).with_acknowledge(5, [0; 8]);
    rig.peer.send(first).await;
    rig.peer.quiet().await;
    rig.peer
        .send(Pdu::data_in(&command, 1, 512, &data[512..]).with_status(GOOD))
        .await;
    let answer = answered(asked).await;
    assert_good(&answer);
    assert!(answer.data == data);
    rig.works().await;
    assert!(rig.peer.transcript().of(SNACK).is_empty());
}

#[tokio::test]
async fn ffp_13_1() {
    let mut rig = Rig::with(offer_recovery, LEVEL_1).await;
    let data = pattern(3072);
    let asked = rig.read(3072);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let piece = |data_sn: u32| {
        let at = data_sn * 512;
        Pdu::data_in(&command, data_sn, at, &data[at as usize..][..512])
    };
    for data_sn in [0, 1, 2, 4] {
        rig.peer.send(piece(data_sn)).await;
    }
    let unacknowledged = rig.peer.next_stat_sn();
    rig.peer.send(piece(5).with_status(GOOD)).await;
    let snack = rig.peer.expect(SNACK).await;
    assert_eq!(
        (snack.code(), snack.itt(), snack.ttt()),
        (SNACK_DATA, command.itt(), NO_TAG)
    );
    assert_eq!(
        (snack.offset(), snack.run_length()),
        (3, 1),
        "BegRun and RunLength"
    );
    assert_eq!(
        snack.exp_stat_sn(),
        unacknowledged,
        "the status is not acknowledged yet"
    );
    rig.peer.send(piece(3)).await;
    let answer = answered(asked).await;
    assert!(answer.data == data);
    assert_good(&answer);
}

/// At level 0 a gap in DataSN cannot be filled: the session is made again (§7.9, §7.1.5).
#[tokio::test]
async fn ffp_13_1_at_level_0() {
    let mut rig = Rig::up(&[]).await;
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::data_in(&command, 1, 0, &[1; 512])).await;
    assert!(ended(asked).await.is_err());
    rig.recovers("DataSN").await;
    assert!(rig.target.transcript().of(SNACK).is_empty());
}

#[tokio::test]
async fn ffp_13_2() {
    let answers = [
        LEVEL_1,
        &[("MaxBurstLength", "1024"), ("FirstBurstLength", "512")],
    ]
    .concat();
    let mut rig = Rig::with(offer_recovery, &answers).await;
    let asked = rig.read(2048);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::data_in(&command, 0, 0, &[1; 512])).await;
    let second = Pdu::data_in(&command, 1, 512, &[1; 512]).put_byte(1, 0x80);
    rig.peer
        .send(second.with_acknowledge(0x99, command.lun()))
        .await;
    let snack = rig.peer.expect(SNACK).await;
    assert_eq!(
        (snack.code(), snack.itt(), snack.ttt()),
        (SNACK_DATA_ACK, NO_TAG, 0x99)
    );
    assert_eq!(
        (snack.offset(), snack.run_length()),
        (2, 0),
        "BegRun and RunLength"
    );
    rig.peer
        .send(Pdu::data_in(&command, 2, 1024, &[1; 1024]).with_status(GOOD))
        .await;
    assert_good(&answered(asked).await);
}

/// As [`ffp_10_2_at_level_0`], after a whole burst.
#[tokio::test]
async fn ffp_13_2_at_level_0() {
    let answers = [("MaxBurstLength", "1024"), ("FirstBurstLength", "512")];
    let mut rig = Rig::up(&answers).await;
    let asked = rig.read(2048);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let burst = Pdu::data_in(&command, 0, 0, &[1; 1024]).put_byte(1, 0x80);
    rig.peer
        .send(burst.with_acknowledge(0x99, command.lun()))
        .await;
    rig.peer.quiet().await;
    rig.peer
        .send(Pdu::data_in(&command, 1, 1024, &[1; 1024]).with_status(GOOD))
        .await;
    assert_good(&answered(asked).await);
}

#[tokio::test]
async fn ffp_16_4_2() {
    let mut rig = Rig::with(offer_recovery, LEVEL_1).await;
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer
        .send(Pdu::data_in(&command, 1, 512, &[1; 512]).with_status(GOOD))
        .await;
    let snack = rig.peer.expect(SNACK).await;
    rig.peer.send(Pdu::reject(&snack, REJECT_SNACK)).await;
    let answer = ended(asked).await;
    let good = answer.is_ok_and(|answer| answer.status == hawser_scsi::Status::Good);
    assert!(!good, "half of the data is no success");
    let again = rig.read(1024);
    let second = rig.peer.expect(SCSI_COMMAND).await;
    assert_eq!(second.cmd_sn(), command.cmd_sn().wrapping_add(1));
    rig.peer.send_data(&second, &[1; 1024]).await;
    assert_good(&answered(again).await);
}

/// At level 0 a read whose data is missing is no success either: the count of its Data-In is wrong
/// (§11.4.8), and what is asked next is a new command of a new session.
#[tokio::test]
async fn ffp_16_4_2_at_level_0() {
    let mut rig = Rig::up(&[]).await;
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::data_in(&command, 0, 0, &[1; 512])).await;
    rig.peer
        .send(Pdu::scsi_response(&command, GOOD).put_word(36, 2))
        .await;
    assert!(ended(asked).await.is_err());
    rig.recovers("data PDUs").await;
    assert!(rig.target.transcript().of(SNACK).is_empty());
}

#[tokio::test]
async fn ffp_19_5() {
    let answers = [LEVEL_2, &[("MaxConnections", "2")]].concat();
    let mut rig = Rig::with(offer_recovery, &answers).await;
    let mut second = rig.target.accept().await;
    second.log_in(&[]).await;
    // It has joined when it answers.
    second.quiet().await;
    let asked: Vec<_> = (0..4).map(|_| rig.test_unit_ready()).collect();
    let (mut stranded, mut others) = (Vec::new(), Vec::new());
    for _ in &asked {
        tokio::select! {
            command = rig.peer.expect(SCSI_COMMAND) => stranded.push(command),
            command = second.expect(SCSI_COMMAND) => others.push(command),
        }
    }
    assert!(
        !stranded.is_empty() && !others.is_empty(),
        "both connections are used"
    );
    let cid = rig.peer.agreed().requests[0].cid();
    drop(rig.peer);
    let logout = second.expect(LOGOUT_REQUEST).await;
    assert_eq!((logout.code(), logout.cid()), (2, cid));
    second.send(Pdu::logout_response(&logout, 0, 0, 20)).await;
    for command in &stranded {
        let reassign = second.expect(TASK_MANAGEMENT_REQUEST).await;
        assert_eq!(
            (reassign.code(), reassign.ttt()),
            (TASK_REASSIGN, command.itt())
        );
        second
            .send(Pdu::task_management_response(&reassign, 0))
            .await;
        second.respond(command, GOOD).await;
    }
    for command in &others {
        second.respond(command, GOOD).await;
    }
    for asked in asked {
        assert_good(&answered(asked).await);
    }
}

/// At level 0 the tasks of a lost connection end with it (§7.1.4.4): none is moved to the next.
#[tokio::test]
async fn ffp_7_1_at_level_0() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let asked = rig.write(&[1; 512]);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.solicit(&command, 0, 0, 512).await;
    rig.peer.finish().await;
    let error = failed(asked).await;
    assert!(error.to_string().contains("lost"), "{error}");
    rig.recovers("closed").await;
    let transcript = rig.peer.transcript();
    assert!(transcript.of(TASK_MANAGEMENT_REQUEST).is_empty());
    assert!(transcript.of(DATA_OUT).is_empty());
    assert_eq!(transcript.of(LOGIN_REQUEST)[0].tsih(), 0);
}
