//! Task management as asked for by the caller (rfc7143-initiator.md §10).

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::pdu::{Malformed, TmfFunction};
use crate::session::{
    ConnectionError, Direction, Full, Management, Outcome, PeerMisbehaved, TaskId,
};

const TOKEN: u64 = 900;

fn manage(bench: &mut Bench, function: TmfFunction, lun: [u8; 8], task: Option<TaskId>) {
    let token = Some(TOKEN);
    let request = Management {
        function,
        lun,
        task,
        token,
    };
    bench.session.manage(bench.now, request).unwrap();
    bench.settle();
}

fn outcomes(bench: &mut Bench) -> Vec<(u64, Outcome)> {
    bench
        .ended
        .drain(..)
        .map(|e| (e.token, e.outcome))
        .collect()
}

#[test]
fn sup_a07_the_fields_of_each_function() {
    let functions = [
        (TmfFunction::AbortTaskSet, 0x82, LUN_3),
        (TmfFunction::ClearAca, 0x83, LUN_3),
        (TmfFunction::ClearTaskSet, 0x84, LUN_3),
        (TmfFunction::LogicalUnitReset, 0x85, LUN_3),
        // The LUN is reserved.
        (TmfFunction::TargetWarmReset, 0x86, LUN_0),
        (TmfFunction::TargetColdReset, 0x87, LUN_0),
    ];
    for (function, byte_1, lun) in functions {
        let mut bench = Bench::plain();
        let task = bench.read(0);
        bench.take(COMMAND);
        // A task makes no sense for these.
        manage(&mut bench, function, LUN_3, Some(task));
        let sent = bench.take(TMF);
        assert!(sent.is_immediate());
        assert_eq!(sent.header[1], byte_1);
        assert_eq!(sent.get_lun(), lun);
        assert_eq!(sent.word20(), NONE, "Referenced Task Tag");
        assert_eq!((sent.cmd_sn(), sent.get32(32)), (0x1001, 0));
        assert!(sent.data.is_empty());
    }
}

#[test]
fn ffp_19_2_and_19_3_abort_task_names_the_lun_tag_and_cmd_sn_of_the_task() {
    let mut bench = Bench::plain();
    bench.read(0);
    let mut other = command(Direction::Read(4));
    other.lun = LUN_3;
    let id = bench.submit(other);
    bench.take_all();
    // What the caller says of the LUN does not matter.
    manage(&mut bench, TmfFunction::AbortTask, [9; 8], Some(id));
    let sent = bench.take(TMF);
    assert_eq!(sent.header[1], 0x81);
    assert_eq!(sent.get_lun(), LUN_3);
    assert_eq!(sent.word20(), id.itt());
    assert_eq!(sent.get32(32), 0x1001, "RefCmdSN");
    assert_ne!(sent.get_itt(), id.itt());
}

#[test]
fn sup_a07_each_response_code_reaches_the_caller() {
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 255] {
        let mut bench = Bench::plain();
        manage(&mut bench, TmfFunction::LogicalUnitReset, LUN_3, None);
        let itt = bench.take(TMF).get_itt();
        bench.say(tmf_response(itt, code));
        assert_eq!(bench.outcome(), Outcome::Managed { response: code });
        bench.silent();
    }
    let mut bench = Bench::plain();
    manage(&mut bench, TmfFunction::LogicalUnitReset, LUN_3, None);
    let itt = bench.take(TMF).get_itt();
    let error = bench.offend(tmf_response(itt, 8));
    assert_eq!(
        error,
        ConnectionError::Malformed(Malformed::UnassignedTmfResponse(8))
    );
}

#[test]
fn sup_a10_functions_of_level_2_and_reassignment_are_refused_here() {
    for function in [
        TmfFunction::TaskReassign,
        TmfFunction::QueryTask,
        TmfFunction::QueryTaskSet,
        TmfFunction::ItNexusReset,
        TmfFunction::QueryAsynchronousEvent,
    ] {
        let mut bench = Bench::plain();
        manage(&mut bench, function, LUN_3, None);
        assert_eq!(bench.outcome(), Outcome::Managed { response: 5 });
        bench.silent();
    }
}

#[test]
fn an_abort_of_nothing_does_not_exist() {
    let mut bench = Bench::plain();
    manage(&mut bench, TmfFunction::AbortTask, LUN_0, None);
    assert_eq!(bench.outcome(), Outcome::Managed { response: 1 });
    let id = bench.read(0);
    bench.take(COMMAND);
    bench.say(response(id.itt(), 0));
    bench.outcome();
    manage(&mut bench, TmfFunction::AbortTask, LUN_0, Some(id));
    assert_eq!(bench.outcome(), Outcome::Managed { response: 1 });
    bench.silent();
}

#[test]
fn functions_go_out_one_after_the_other() {
    let mut bench = Bench::plain();
    manage(&mut bench, TmfFunction::ClearAca, LUN_3, None);
    manage(&mut bench, TmfFunction::LogicalUnitReset, LUN_3, None);
    let first = bench.take(TMF);
    bench.silent();
    bench.say(tmf_response(first.get_itt(), 0));
    assert_eq!(bench.take(TMF).header[1], 0x85);
}

#[test]
fn too_many_functions_are_refused() {
    let mut bench = Bench::plain();
    let request = Management {
        function: TmfFunction::ClearAca,
        lun: LUN_3,
        task: None,
        token: Some(TOKEN),
    };
    // One under way and 64 that wait.
    for _ in 0..65 {
        bench.session.manage(bench.now, request).unwrap();
    }
    assert_eq!(bench.session.manage(bench.now, request), Err(Full));
    let id = bench.read(0);
    assert_eq!(bench.session.abort(bench.now, id), Err(Full));
    bench.cut();
    let ended = outcomes(&mut bench);
    assert_eq!(ended.len(), 65);
    assert!(ended.iter().all(|(_, o)| *o == Outcome::Interrupted));
    // The refused abort left no trace: the command is replayed.
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
    bench.take(COMMAND);
}

#[test]
fn without_a_connection_nothing_is_kept_for_later() {
    let mut bench = Bench::plain();
    bench.cut();
    manage(&mut bench, TmfFunction::LogicalUnitReset, LUN_3, None);
    assert_eq!(bench.outcome(), Outcome::Disconnected);
    bench.session.close();
    bench.drain();
    manage(&mut bench, TmfFunction::LogicalUnitReset, LUN_3, None);
    assert_eq!(bench.outcome(), Outcome::Closed);
}

#[test]
fn sup_a08_abort_then_confirmation_ends_the_task_once() {
    for code in [0, 1] {
        let mut bench = Bench::plain();
        let id = bench.read(8);
        bench.take(COMMAND);
        bench.session.abort(bench.now, id).unwrap();
        bench.settle();
        let tmf = bench.take(TMF).get_itt();
        bench.nothing_ended();
        bench.say(tmf_response(tmf, code));
        assert_eq!(bench.outcome(), Outcome::Aborted);
        // Late PDUs of the task are tolerated and have no effect.
        let next = bench.read(8);
        bench.say(data_in(id.itt(), 0, 0, &[9; 8]));
        bench.say(response(id.itt(), 0));
        bench.nothing_ended();
        bench.say(with_status(data_in(next.itt(), 0, 0, &[1; 8])));
        assert_eq!(bench.end().buffer, [1; 8]);
    }
}

#[test]
fn sup_a08_completion_that_comes_before_the_confirmation_counts() {
    for code in [0, 1, 5] {
        let mut bench = Bench::plain();
        let id = bench.read(8);
        bench.take(COMMAND);
        bench.session.abort(bench.now, id).unwrap();
        bench.settle();
        let tmf = bench.take(TMF).get_itt();
        bench.say(with_status(data_in(id.itt(), 0, 0, &[1; 8])));
        assert!(matches!(bench.outcome(), Outcome::Completed(_)));
        bench.say(tmf_response(tmf, code));
        bench.nothing_ended();
        bench.silent();
    }
}

#[test]
fn r2ts_of_a_task_under_abort_are_served() {
    let mut bench = Bench::with(|p| p.immediate_data = false);
    let id = bench.write(512);
    bench.take(COMMAND);
    bench.session.abort(bench.now, id).unwrap();
    bench.settle();
    let tmf = bench.take(TMF).get_itt();
    bench.say(r2t(id.itt(), 1, 0, 0, 512));
    assert!(bench.take(DATA_OUT).is_final());
    bench.say(tmf_response(tmf, 0));
    assert_eq!(bench.outcome(), Outcome::Aborted);
    // After the end an R2T has nothing to ask for.
    bench.say(r2t(id.itt(), 2, 1, 0, 512));
    bench.silent();
}

#[test]
fn ffp_19_4_1_and_19_4_2_pings_and_r2ts_are_answered_under_a_task_set_abort() {
    for function in [TmfFunction::AbortTaskSet, TmfFunction::ClearTaskSet] {
        let mut bench = Bench::with(|p| p.immediate_data = false);
        let id = bench.write(512);
        bench.take(COMMAND);
        manage(&mut bench, function, LUN_0, None);
        bench.take(TMF);
        bench.say(nop_in(5));
        assert_eq!(bench.take(NOP_OUT).word20(), 5);
        bench.say(r2t(id.itt(), 1, 0, 0, 512));
        bench.take(DATA_OUT);
    }
}

#[test]
fn ffp_19_4_3_responses_before_the_tmf_response_are_taken() {
    let mut bench = Bench::plain();
    let (a, b) = (
        bench.submit(once(Direction::Read(0))),
        bench.submit(once(Direction::Read(0))),
    );
    bench.take_all();
    manage(&mut bench, TmfFunction::AbortTaskSet, LUN_0, None);
    let tmf = bench.take(TMF).get_itt();
    bench.say(response(a.itt(), 0));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    bench.say(tmf_response(tmf, 0));
    let ended = outcomes(&mut bench);
    assert_eq!(
        ended,
        [
            (TOKEN, Outcome::Managed { response: 0 }),
            (2, Outcome::Aborted)
        ]
    );
    // "MUST discard any response received after".
    bench.say(response(b.itt(), 0));
    bench.nothing_ended();
}

#[test]
fn sup_a09_a_reset_ends_each_task_of_its_unit_once_and_no_other() {
    let mut bench = Bench::plain();
    let mut on = |lun, replay| {
        let mut one = command(Direction::Read(4));
        (one.lun, one.replay) = (lun, replay);
        bench.submit(one)
    };
    let (kept, ended, repeated) = (on(LUN_0, false), on(LUN_3, false), on(LUN_3, true));
    bench.take_all();
    manage(&mut bench, TmfFunction::LogicalUnitReset, LUN_3, None);
    let tmf = bench.take(TMF).get_itt();
    bench.say(tmf_response(tmf, 0));
    assert_eq!(
        outcomes(&mut bench),
        [
            (TOKEN, Outcome::Managed { response: 0 }),
            (2, Outcome::Aborted)
        ]
    );
    // What may be sent again is, as a new task.
    let again = bench.take(COMMAND);
    assert_ne!(again.get_itt(), repeated.itt());
    assert_ne!(again.get_itt(), ended.itt());
    for (itt, token) in [(kept.itt(), 1), (again.get_itt(), 3)] {
        bench.say(with_status(data_in(itt, 0, 0, &[1; 4])));
        assert_eq!(bench.end().token, token);
    }
}

#[test]
fn sup_a09_commands_behind_a_group_function_are_not_affected() {
    for (function, lun) in [
        (TmfFunction::AbortTaskSet, LUN_0),
        (TmfFunction::LogicalUnitReset, LUN_0),
        (TmfFunction::TargetWarmReset, LUN_0),
    ] {
        let mut bench = Bench::plain();
        let before = bench.submit(once(Direction::Write(4)));
        manage(&mut bench, function, lun, None);
        let behind = bench.submit(command(Direction::Write(4)));
        let sent = bench.take_all();
        assert_eq!(sent[1].cmd_sn(), sent[2].cmd_sn());
        bench.say(tmf_response(sent[1].get_itt(), 0));
        let ended = outcomes(&mut bench);
        assert_eq!(ended[1], (1, Outcome::Aborted), "{before:?}");
        // It may still be carried out: sending it again would do it twice.
        bench.silent();
        bench.say(response(behind.itt(), 0));
        assert!(matches!(bench.outcome(), Outcome::Completed(_)));
    }
}

#[test]
fn a_warm_reset_ends_the_tasks_of_all_units() {
    let mut bench = Bench::plain();
    for lun in [LUN_0, LUN_3] {
        let mut one = once(Direction::Read(4));
        one.lun = lun;
        bench.submit(one);
    }
    bench.take_all();
    manage(&mut bench, TmfFunction::TargetWarmReset, LUN_3, None);
    let tmf = bench.take(TMF).get_itt();
    bench.say(tmf_response(tmf, 0));
    assert_eq!(outcomes(&mut bench).len(), 3);
}

#[test]
fn a_refused_function_ends_no_task() {
    let mut bench = Bench::plain();
    let id = bench.read(4);
    bench.take_all();
    for (function, code) in [
        (TmfFunction::LogicalUnitReset, 5),
        (TmfFunction::ClearAca, 0),
    ] {
        manage(&mut bench, function, LUN_0, None);
        let tmf = bench.take(TMF).get_itt();
        bench.say(tmf_response(tmf, code));
        assert_eq!(bench.outcome(), Outcome::Managed { response: code });
    }
    bench.say(with_status(data_in(id.itt(), 0, 0, &[1; 4])));
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
}

#[test]
fn a_tmf_response_must_fit_a_function_that_was_sent() {
    let mut bench = Bench::plain();
    let itt = bench.read(0).itt();
    assert_eq!(
        bench.misbehave(tmf_response(itt, 0)),
        PeerMisbehaved::WrongTask(itt)
    );
    // A function whose PDU did not leave yet.
    let mut bench = Bench::plain();
    bench.writing = Some(crate::session::Transmit::default());
    manage(&mut bench, TmfFunction::ClearAca, LUN_3, None);
    let itt = 0x0001_0000;
    assert_eq!(
        bench.misbehave(tmf_response(itt, 0)),
        PeerMisbehaved::WrongTask(itt)
    );
    assert_eq!(bench.outcome(), Outcome::Interrupted);
}

#[test]
fn aborts_that_became_pointless_do_not_hold_up_those_behind() {
    let mut bench = Bench::plain();
    let ids = [(); 3].map(|()| bench.read(0));
    bench.take_all();
    bench.writing = Some(crate::session::Transmit::default());
    for id in ids {
        bench.session.abort(bench.now, id).unwrap();
    }
    // The first two end while their aborts wait to be written.
    bench.say(response(ids[0].itt(), 0));
    bench.say(response(ids[1].itt(), 0));
    bench.writing = None;
    bench.settle();
    assert_eq!(bench.ended.len(), 2);
    assert_eq!(bench.take(TMF).word20(), ids[2].itt());
}

/// Its disk may be another now: it is the driver that sends it again.
#[test]
fn a_command_that_was_taken_back_is_not_sent_again_after_a_reset_or_a_loss() {
    for lost in [false, true] {
        let mut bench = Bench::plain();
        bench.write(0);
        bench.take(COMMAND);
        bench.write_to_3(0);
        bench.take(COMMAND);
        bench.session.withdraw(LUN_0);
        bench.nothing_ended();
        if lost {
            bench.cut();
        } else {
            manage(&mut bench, TmfFunction::TargetWarmReset, LUN_0, None);
            bench.take(TMF);
            bench.say(tmf_response(0x0001_0002, 0));
        }
        let ends = outcomes(&mut bench);
        assert_eq!(ends.last(), Some(&(1, Outcome::Withdrawn)));
        assert_eq!(ends.len(), if lost { 1 } else { 2 });
        if lost {
            bench.pass(2 * SECOND);
            bench.login(Some(1));
            bench.open();
        }
        assert_eq!(bench.take(COMMAND).get_lun(), LUN_3);
        bench.silent();
    }
}

#[test]
fn a_buffer_is_kept_while_a_batch_refers_to_it() {
    let mut bench = Bench::with(|p| p.max_send_data_segment = 65_536);
    bench.writing = Some(crate::session::Transmit::default());
    let id = bench.submit(command(Direction::Write(4096)));
    let mut batch = bench.begin_write().unwrap();
    // The socket has taken nothing yet as the target already aborts it (a reset by another).
    manage(&mut bench, TmfFunction::LogicalUnitReset, LUN_0, None);
    let mut second = crate::session::Transmit::default();
    assert!(
        bench
            .session
            .poll_transmit(bench.now, 0, &bench.buffers, &mut second)
    );
    bench.say(tmf_response(0x0001_0001, 0));
    assert_eq!(bench.outcome(), Outcome::Managed { response: 0 });
    // It waits to be sent again; the caller gives up on all that waits.
    bench.session.withdraw(LUN_0);
    bench.drain();
    bench.nothing_ended();
    assert!(bench.buffers.0.contains_key(&id.slot()));
    bench.session.transmit_done(&mut batch);
    bench.drain();
    assert_eq!(bench.outcome(), Outcome::Withdrawn);
}

#[test]
fn sup_a02_event_5_stops_the_data_of_its_unit_where_fast_abort_was_agreed() {
    let parameters = Parameters {
        fast_abort: true,
        immediate_data: false,
        ..Parameters::default()
    };
    let mut bench = Bench::up(quiet(), parameters);
    let (here, there) = (bench.submit(once(Direction::Write(512))), {
        let mut one = once(Direction::Write(512));
        one.lun = LUN_3;
        bench.submit(one)
    });
    bench.take_all();
    bench.say(async_message(5, [0; 3]).lun(LUN_3));
    let sent = bench.take(NOP_OUT);
    assert!(sent.is_immediate());
    assert_eq!(
        (sent.get_itt(), sent.word20(), sent.get_lun()),
        (NONE, NONE, LUN_3)
    );
    assert_eq!(bench.end().token, 2);
    bench.say(r2t(there.itt(), 1, 0, 0, 512));
    bench.silent();
    bench.say(r2t(here.itt(), 2, 0, 0, 512));
    bench.take(DATA_OUT);
}
