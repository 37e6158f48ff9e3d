//! SUP-A07 to A11: task management.

use std::time::Duration;

use hawser_engine::{LunNumber, SessionError, SessionEvent, SessionOptions, TmfFunction, Transfer};
use hawser_proto::session::{Direction, Management, Outcome};
use hawser_scsi::Cdb;
use hawser_testkit::scripted::Pdu;
use hawser_testkit::scripted::disk::TEST_UNIT_READY;
use hawser_testkit::scripted::wire::{
    ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET, GOOD, LOGICAL_UNIT_RESET, NO_TAG,
    SCSI_COMMAND, TARGET_COLD_RESET, TARGET_WARM_RESET, TASK_MANAGEMENT_REQUEST,
};

use super::core::{self, Core};
use super::ffp_tasks::impatient;
use super::support::{R2T_ONLY, Rig, answered, assert_good, failed};

#[tokio::test]
async fn sup_a07() {
    let lun = LunNumber::from_number(3);
    for (function, code, has_lun) in [
        (TmfFunction::AbortTaskSet, ABORT_TASK_SET, true),
        (TmfFunction::ClearAca, CLEAR_ACA, true),
        (TmfFunction::ClearTaskSet, CLEAR_TASK_SET, true),
        (TmfFunction::LogicalUnitReset, LOGICAL_UNIT_RESET, true),
        (TmfFunction::TargetWarmReset, TARGET_WARM_RESET, false),
        (TmfFunction::TargetColdReset, TARGET_COLD_RESET, false),
    ] {
        for response in [0, 1, 2, 3, 4, 5, 6, 255] {
            let mut rig = Rig::up(&[]).await;
            let managed = rig.manage(function, lun);
            let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
            assert_eq!(request.code(), code);
            assert_eq!(request.lun(), if has_lun { lun.0 } else { [0; 8] });
            assert_eq!((request.ttt(), request.ref_cmd_sn()), (NO_TAG, 0));
            rig.peer
                .send(Pdu::task_management_response(&request, response))
                .await;
            assert_eq!(answered(managed).await, response);
            rig.works().await;
        }
    }
    // ABORT TASK: see `ffp_19_2`, `ffp_19_3`. TASK REASSIGN is the session's own business.
    let rig = Rig::up(&[]).await;
    assert_eq!(
        answered(rig.manage(TmfFunction::TaskReassign, lun)).await,
        5
    );
}

/// A response code that nobody has defined is no answer (§11.6.1).
#[tokio::test]
async fn sup_a07_reserved_response() {
    let mut rig = Rig::up(&[]).await;
    let managed = rig.manage(TmfFunction::LogicalUnitReset, LunNumber::ZERO);
    let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    rig.peer
        .send(Pdu::task_management_response(&request, 9))
        .await;
    assert!(failed(managed).await.to_string().contains("lost"));
    rig.recovers("malformed").await;
}

/// The answer overtakes the abort: it counts, and the abort finds no task.
#[tokio::test]
async fn sup_a08() {
    let mut rig = Rig::with(impatient, &[]).await;
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let abort = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert_eq!((abort.code(), abort.ttt()), (ABORT_TASK, command.itt()));
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
    rig.peer
        .send(Pdu::task_management_response(&abort, 1))
        .await;
    rig.works().await;
    // The abort overtakes the answer, which comes late and is left.
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let abort = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    rig.peer
        .send(Pdu::task_management_response(&abort, 0))
        .await;
    assert!(matches!(failed(asked).await, SessionError::TimedOut(_)));
    rig.peer.respond(&command, GOOD).await;
    rig.works().await;
}

/// The same for an abort that was asked for, which only the core has a way to.
#[tokio::test]
async fn sup_a08_asked_for() {
    for answer_first in [true, false] {
        let (mut core, mut peer) = Core::up(core::config(), R2T_ONLY).await;
        let id = core.submit(&[TEST_UNIT_READY], Direction::None, &[]);
        core.write().await;
        let command = peer.expect(SCSI_COMMAND).await;
        core.abort(id);
        let script = async {
            let abort = peer.expect(TASK_MANAGEMENT_REQUEST).await;
            assert_eq!(
                (abort.ttt(), abort.ref_cmd_sn()),
                (command.itt(), command.cmd_sn())
            );
            if answer_first {
                peer.respond(&command, GOOD).await;
            }
            peer.send(Pdu::task_management_response(
                &abort,
                u8::from(answer_first),
            ))
            .await;
        };
        let (done, ()) = tokio::join!(core.run(), script);
        match done.unwrap().outcome {
            Outcome::Completed(answer) => assert!(answer_first && answer.status == GOOD),
            outcome => assert!(!answer_first && outcome == Outcome::Aborted, "{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn sup_a09() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let (reset, other) = (LunNumber::from_number(1), LunNumber::from_number(2));
    let ask = |lun| rig.command_at(lun, Cdb::test_unit_ready(), Transfer::None);
    let doomed: Vec<_> = (0..4).map(|_| ask(reset)).collect();
    let spared = ask(other);
    let mut commands = Vec::new();
    for _ in 0..5 {
        commands.push(rig.peer.expect(SCSI_COMMAND).await);
    }
    let managed = rig.manage(TmfFunction::LogicalUnitReset, reset);
    let request = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert_eq!(request.lun(), reset.0);
    rig.peer
        .send(Pdu::task_management_response(&request, 0))
        .await;
    assert_eq!(answered(managed).await, 0);
    for doomed in doomed {
        assert!(matches!(failed(doomed).await, SessionError::Aborted(_)));
    }
    assert!(!spared.is_finished());
    // Answers that come late for the dead end nothing twice.
    for command in &commands {
        rig.peer.respond(command, GOOD).await;
    }
    assert_good(&answered(spared).await);
    rig.works().await;
}

#[tokio::test]
async fn sup_a10() {
    let mut rig = Rig::up(&[]).await;
    for function in [
        TmfFunction::QueryTask,
        TmfFunction::QueryTaskSet,
        TmfFunction::ItNexusReset,
        TmfFunction::QueryAsynchronousEvent,
    ] {
        let managed = rig.manage(function, LunNumber::ZERO);
        assert_eq!(answered(managed).await, 5, "not supported");
    }
    rig.peer.quiet().await;
}

/// Nobody answers: abort, reset, a new session; the task ends, and never before the target can no
/// longer be working on it.
#[tokio::test]
async fn sup_a11() {
    let hasty = |options: &mut SessionOptions| {
        options.timeouts.command = Duration::from_millis(100);
        options.timeouts.management = Duration::from_millis(100);
    };
    let mut rig = Rig::with(hasty, &[]).await;
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let abort = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert_eq!((abort.code(), abort.ttt()), (ABORT_TASK, command.itt()));
    let reset = rig.peer.expect(TASK_MANAGEMENT_REQUEST).await;
    assert_eq!(
        (reset.code(), reset.lun()),
        (LOGICAL_UNIT_RESET, command.lun())
    );
    rig.peer.expect_close().await;
    assert!(matches!(failed(asked).await, SessionError::TimedOut(_)));
    let mut steps = 0;
    loop {
        match rig.event().await {
            SessionEvent::Escalated(_) => steps += 1,
            SessionEvent::Lost(_) => break,
            _ => {}
        }
    }
    assert_eq!(steps, 3);
    rig.peer = rig.next_login(&[]).await;
    assert_eq!(
        rig.peer.agreed().requests[0].tsih(),
        0,
        "reinstated, which ends it at the target"
    );
}

/// A function of the core without a task to abort is answered where it is.
#[tokio::test]
async fn sup_a07_no_task() {
    let (mut core, _peer) = Core::up(core::config(), R2T_ONLY).await;
    core.manage(Management {
        function: TmfFunction::AbortTask,
        lun: [0; 8],
        task: None,
        token: Some(9),
    });
    let done = core.run().await.unwrap();
    assert_eq!(
        (done.token, done.outcome),
        (9, Outcome::Managed { response: 1 })
    );
}
