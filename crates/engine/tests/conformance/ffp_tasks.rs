//! Task management.

use std::time::Duration;

use hawser_engine::Transfer;
use hawser_engine::{LunNumber, SessionError, SessionOptions, TmfFunction};
use hawser_scsi::Cdb;
use hawser_testkit::scripted::Pdu;
use hawser_testkit::scripted::wire::{
    ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, GOOD, NO_TAG, NOP_OUT, SCSI_COMMAND,
    TASK_MANAGEMENT_REQUEST,
};

use super::support::{
    LEVEL_1, R2T_ONLY, Rig, answered, assert_good, ended, failed, offer_recovery,
};

/// Commands that are not answered are aborted soon.
pub(crate) fn impatient(options: &mut SessionOptions) {
    options.timeouts.command = Duration::from_secs(1);
}

/// A command at LUN 5 that is late, and the ABORT TASK for it; the second command of the session.
async fn aborted() -> (Rig, Pdu, Pdu) {
    let mut rig = Rig::with(impatient, &[]).await;
    rig.works().await;
    let late = rig.command_at(
        LunNumber::from_number(5),
        Cdb::test_unit_ready(),
        Transfer::None,
    );
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let abort = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    rig.peer
        .send(Pdu::task_management_response(&abort, 0))
        .await;
    let error = failed(late).await;
    assert!(matches!(error, SessionError::TimedOut(_)), "{error}");
    (rig, command, abort)
}

#[tokio::test]
async fn ffp_19_2() {
    let (_rig, command, abort) = aborted().await;
    assert_eq!(abort.code(), ABORT_TASK);
    assert_eq!(command.lun(), [0, 5, 0, 0, 0, 0, 0, 0]);
    assert_eq!(abort.lun(), command.lun());
    assert_eq!(abort.ttt(), command.itt(), "the Referenced Task Tag");
    assert!(abort.itt() != command.itt());
}

#[tokio::test]
async fn ffp_19_3() {
    let (mut rig, command, abort) = aborted().await;
    assert_eq!(abort.ref_cmd_sn(), command.cmd_sn());
    rig.works().await;
}

/// A write waits for its R2Ts when its task set is aborted: pings and R2Ts are still answered, the
/// response ends the task.
#[tokio::test]
async fn ffp_19_4_1() {
    for (function, code) in [
        (TmfFunction::AbortTaskSet, ABORT_TASK_SET),
        (TmfFunction::ClearTaskSet, CLEAR_TASK_SET),
    ] {
        let mut rig = Rig::up(R2T_ONLY).await;
        let write = rig.write(&[3; 1024]);
        let command = rig.peer.expect(SCSI_COMMAND).await;
        let managed = rig.manage(function, LunNumber::ZERO);
        let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
        assert_eq!((request.code(), request.ttt()), (code, NO_TAG));
        rig.peer.send(Pdu::nop_in(0x77, [0; 8])).await;
        assert_eq!(rig.peer.expect(NOP_OUT).await.ttt(), 0x77);
        rig.peer.solicit(&command, 0, 0, 512).await;
        rig.peer
            .send(Pdu::task_management_response(&request, 0))
            .await;
        assert_eq!(answered(managed).await, 0);
        let error = failed(write).await;
        assert!(matches!(error, SessionError::Aborted(_)), "{error}");
        rig.works().await;
    }
}

/// A read has half of its data when its task set is aborted; the A bit means nothing at level 0.
#[tokio::test]
async fn ffp_19_4_2_at_level_0() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let read = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let managed = rig.manage(TmfFunction::AbortTaskSet, LunNumber::ZERO);
    let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    let data = Pdu::data_in(&command, 0, 0, &[1; 512]).with_acknowledge(5, [0; 8]);
    rig.peer.send(data).await;
    // Only the pings are answered.
    rig.peer.quiet().await;
    rig.peer
        .send(Pdu::task_management_response(&request, 0))
        .await;
    assert_eq!(answered(managed).await, 0);
    assert!(matches!(failed(read).await, SessionError::Aborted(_)));
    rig.works().await;
}

#[tokio::test]
async fn ffp_19_4_2() {
    use hawser_testkit::scripted::wire::{SNACK, SNACK_DATA_ACK};
    let mut rig = Rig::with(offer_recovery, LEVEL_1).await;
    let read = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let managed = rig.manage(TmfFunction::AbortTaskSet, LunNumber::ZERO);
    let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    let data = Pdu::data_in(&command, 0, 0, &[1; 512]).with_acknowledge(5, [0; 8]);
    rig.peer.send(data).await;
    let acknowledged = rig.peer.expect(SNACK).await;
    assert_eq!(
        (acknowledged.code(), acknowledged.ttt()),
        (SNACK_DATA_ACK, 5)
    );
    rig.peer.send(Pdu::nop_in(0x77, [0; 8])).await;
    assert_eq!(rig.peer.expect(NOP_OUT).await.ttt(), 0x77);
    rig.peer
        .send(Pdu::task_management_response(&request, 0))
        .await;
    assert_eq!(answered(managed).await, 0);
    assert!(ended(read).await.is_err());
}

#[tokio::test]
async fn ffp_19_4_3() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let (first, second) = (rig.test_unit_ready(), rig.test_unit_ready());
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.expect(SCSI_COMMAND).await;
    let managed = rig.manage(TmfFunction::AbortTaskSet, LunNumber::ZERO);
    let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(first).await);
    rig.peer
        .send(Pdu::task_management_response(&request, 0))
        .await;
    assert_eq!(answered(managed).await, 0);
    assert!(matches!(failed(second).await, SessionError::Aborted(_)));
    rig.works().await;
}
