//! Loss in every state, replay, ghosts, hold time, gate (rfc7143-initiator.md §13; design §3).

use std::time::Duration;

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::session::{
    Backoff, Command, ConnectionError, Direction, Event, Hold, Outcome, SessionConfig, TaskId,
};

/// Which commands of those that were sent are tagged how.
fn tags(sent: &[Pdu]) -> Vec<u32> {
    sent.iter().map(Pdu::get_itt).collect()
}

/// Brings a lost session back at the same portal group.
fn recover(bench: &mut Bench) {
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
}

/// Ends all commands that were sent with GOOD, and gives the tokens that ended.
fn answer_all(bench: &mut Bench) -> Vec<u64> {
    for pdu in bench.take_all() {
        match pdu.opcode() {
            COMMAND => bench.say(response(pdu.get_itt(), 0)),
            other => panic!("opcode {other:#x}"),
        }
    }
    let ended = bench.ended.drain(..);
    let good = ended.map(|e| match e.outcome {
        Outcome::Completed(_) => e.token,
        other => panic!("{other:?}"),
    });
    good.collect()
}

/// A way to bring 32 commands into some state before the loss.
type Prepare = fn(&mut Bench, &[TaskId]);

#[test]
fn sup_a14_32_tasks_survive_a_loss_in_every_state_once_each_and_in_order() {
    let states: [(&str, Prepare); 8] = [
        ("sent", |_, _| {}),
        ("data came in part", |bench, ids| {
            for id in ids {
                bench.say(data_in(id.itt(), 0, 0, &[9; 16]));
            }
        }),
        ("in the middle of a header", |bench, ids| {
            let pdu = bench.number(response(ids[0].itt(), 0));
            bench.feed(&pdu.to_wire(false, false, false)[..20]).unwrap();
        }),
        ("in the middle of data", |bench, ids| {
            let pdu = bench.number(data_in(ids[9].itt(), 0, 0, &[9; 32]));
            bench.feed(&pdu.to_wire(false, false, false)[..60]).unwrap();
        }),
        ("aborts under way", |bench, _| bench.pass(11 * SECOND)),
        ("a reset under way", |bench, _| bench.pass(26 * SECOND)),
        ("a ping under way", |bench, _| bench.pass(SECOND)),
        ("a logout under way", |bench, _| {
            bench.say(async_message(1, [0, 0, 5]));
        }),
    ];
    for (state, prepare) in states {
        let mut bench = Bench::plain();
        let ids: Vec<_> = (0..32).map(|_| bench.read(32)).collect();
        assert_eq!(bench.take_all().len(), 32);
        prepare(&mut bench, &ids);
        bench.sent.clear();
        bench.cut();
        bench.nothing_ended();
        recover(&mut bench);
        let old = ids.iter().map(|id| id.itt());
        let new = tags(&bench.sent.iter().cloned().collect::<Vec<_>>());
        assert_eq!(new.len(), 32, "{state}");
        assert!(
            old.clone().all(|itt| !new.contains(&itt)),
            "new tags: {state}"
        );
        for itt in new {
            bench.say(with_status(data_in(itt, 0, 0, &[1; 32])));
        }
        let ended: Vec<_> = bench.ended.drain(..).collect();
        let tokens: Vec<_> = ended.iter().map(|e| e.token).collect();
        assert_eq!(tokens, (1..=32).collect::<Vec<_>>(), "{state}");
        assert!(ended.iter().all(|e| e.buffer == [1; 32]), "{state}");
    }
}

#[test]
fn sup_a14_writes_go_out_again_with_their_data() {
    let mut bench = Bench::with(|p| (p.initial_r2t, p.first_burst) = (false, 512));
    let id = bench.write(4096);
    bench.say(r2t(id.itt(), 1, 0, 512, 1000));
    bench.take_all();
    bench.cut();
    recover(&mut bench);
    let again = bench.take(COMMAND);
    assert!(
        again
            .data
            .iter()
            .enumerate()
            .all(|(at, &b)| b == pattern(1, at as u32))
    );
    assert_eq!(again.data.len(), 512);
    // R2TSN begins anew.
    bench.say(r2t(again.get_itt(), 8, 0, 512, 3584));
    assert_eq!(bench.take(DATA_OUT).offset(), 512);
}

#[test]
fn sup_a14_what_may_not_be_repeated_ends_interrupted() {
    let mut bench = Bench::window(3);
    bench.submit(once(Direction::Write(4)));
    bench.submit(once(Direction::Write(4)));
    bench.read(4);
    let waiting = bench.submit(once(Direction::Write(4)));
    bench.cut();
    let ended: Vec<_> = bench.ended.drain(..).collect();
    let mut tokens: Vec<_> = ended.iter().map(|e| e.token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [1, 2]);
    assert!(ended.iter().all(|e| e.outcome == Outcome::Interrupted));
    assert!(
        ended.iter().all(|e| e.buffer.len() == 4),
        "buffers come back"
    );
    // One that had not left yet is none the worse, and comes after the repeated one.
    bench.grant = Some(9);
    recover(&mut bench);
    let sent = bench.take_all();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].get_itt(), waiting.itt());
}

#[test]
fn replays_come_before_what_waited_and_keep_their_order() {
    let mut bench = Bench::window(4);
    for _ in 0..8 {
        bench.read(0);
    }
    bench.cut();
    bench.grant = Some(64);
    recover(&mut bench);
    assert_eq!(answer_all(&mut bench), [1, 2, 3, 4, 5, 6, 7, 8]);
    // Twice in a row makes no difference.
    for _ in 0..6 {
        bench.read(0);
    }
    bench.cut();
    recover(&mut bench);
    bench.cut();
    bench.pass(5 * SECOND);
    bench.login(Some(1));
    bench.open();
    assert_eq!(answer_all(&mut bench), [9, 10, 11, 12, 13, 14]);
}

#[test]
fn the_gate_is_closed_after_each_login_until_it_is_opened() {
    let mut bench = Bench::plain();
    bench.read(0);
    bench.take(COMMAND);
    bench.cut();
    bench.pass(2 * SECOND);
    bench.take_events();
    bench.login(Some(1));
    assert_eq!(bench.take_events(), [Event::Up { again: true }]);
    bench.read(0);
    bench.pass(10 * SECOND);
    bench.silent();
    // Urgent ones pass, and go ahead.
    let urgent = bench.submit(Command {
        urgent: true,
        ..once(Direction::Read(4))
    });
    assert_eq!(bench.take(COMMAND).get_itt(), urgent.itt());
    bench.open();
    assert_eq!(bench.take_all().len(), 2);
}

#[test]
fn the_first_login_has_a_gate_too() {
    let mut bench = Bench::down(quiet(), Parameters::default());
    bench.read(0);
    bench.login(Some(1));
    assert_eq!(bench.take_events(), [Event::Up { again: false }]);
    bench.silent();
    bench.open();
    bench.take(COMMAND);
}

#[test]
fn what_waits_for_a_doubted_disk_can_be_taken_back_in_its_order() {
    let mut bench = Bench::plain();
    bench.read(0);
    let mut other = command(Direction::Read(0));
    other.lun = LUN_3;
    for _ in 0..3 {
        bench.submit(other.clone());
    }
    bench.cut();
    other.urgent = true;
    bench.submit(other);
    bench.session.withdraw(LUN_3);
    bench.settle();
    let ended: Vec<_> = bench.ended.drain(..).collect();
    let tokens: Vec<_> = ended.iter().map(|ended| ended.token).collect();
    assert_eq!(tokens, [2, 3, 4]);
    assert!(ended.iter().all(|e| e.outcome == Outcome::Withdrawn));
    bench.pass(2 * SECOND);
    bench.sent.clear();
    bench.login(Some(1));
    assert_eq!(bench.take(COMMAND).get_lun(), LUN_3, "the urgent one stays");
    bench.open();
    assert_eq!(bench.take(COMMAND).get_lun(), LUN_0);
    bench.silent();
}

#[test]
fn err_11_no_login_before_time2wait() {
    for (time2wait, millis) in [(0, 0), (2, 1999), (30, 29_999)] {
        let mut bench = Bench::with(|p| p.time2wait = time2wait);
        bench.cut();
        if millis > 0 {
            bench.pass(Duration::from_millis(millis));
            assert!(bench.connects.is_empty());
        }
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.connects, [0]);
    }
}

#[test]
fn failed_logins_are_repeated_with_growing_pauses_up_to_a_limit() {
    let config = SessionConfig {
        backoff: Backoff {
            first: SECOND,
            longest: 10 * SECOND,
        },
        ..quiet()
    };
    let mut bench = Bench::down(config, Parameters::default());
    for (failures, pause) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 10), (5, 10), (6, 10)] {
        assert_eq!(bench.connects.pop_front(), Some(failures));
        bench.session.handle_login_failed(bench.now);
        bench.pass(pause * SECOND - Duration::from_millis(1));
        assert!(bench.connects.is_empty(), "after {failures}");
        bench.pass(Duration::from_millis(1));
    }
}

#[test]
fn a_target_that_drops_each_connection_at_once_is_not_stormed() {
    let config = SessionConfig {
        backoff: Backoff {
            first: SECOND,
            longest: 8 * SECOND,
        },
        ..quiet()
    };
    let parameters = Parameters {
        time2wait: 0,
        ..Parameters::default()
    };
    let mut bench = Bench::up(config, parameters);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        bench.cut();
        let since = bench.now;
        while bench.connects.is_empty() {
            bench.pass(Duration::from_millis(500));
        }
        pauses.push((bench.now - since).as_secs());
        bench.login(Some(1));
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8, 8]);
    // One that held is not counted against the target.
    bench.pass(8 * SECOND);
    bench.cut();
    bench.pass(Duration::from_millis(500));
    bench.login(Some(1));
}

/// A write under way is lost at portal group 1, and the next login is at `tpgt`.
fn moved(tpgt: Option<u16>) -> Bench {
    let mut bench = Bench::plain();
    bench.write(4);
    bench.take(COMMAND);
    bench.cut();
    bench.pass(2 * SECOND);
    bench.login(tpgt);
    bench.open();
    bench
}

#[test]
fn rei_01_the_same_portal_group_reinstates_so_replay_begins_at_once() {
    let mut bench = moved(Some(1));
    bench.take(COMMAND);
}

#[test]
fn at_another_portal_group_nothing_leaves_before_the_old_nexus_is_dead() {
    for tpgt in [Some(2), None] {
        let mut bench = moved(tpgt);
        // Neither a replay nor anything that came later; only urgent commands.
        bench.read(4);
        let urgent = bench.submit(Command {
            urgent: true,
            ..once(Direction::Read(4))
        });
        assert_eq!(bench.take(COMMAND).get_itt(), urgent.itt());
        bench.say(response(urgent.itt(), 0));
        // Time2Wait 2 and Time2Retain 20 from the loss, two of which have passed.
        bench.pass(20 * SECOND - Duration::from_millis(1));
        bench.silent();
        bench.pass(Duration::from_millis(1));
        assert_eq!(bench.take_all().len(), 2);
    }
}

#[test]
fn a_group_that_was_not_named_reinstates_nothing() {
    let mut bench = Bench::down(quiet(), Parameters::default());
    bench.login(None);
    bench.open();
    bench.write(4);
    bench.take(COMMAND);
    bench.cut();
    bench.pass(2 * SECOND);
    bench.login(None);
    bench.open();
    bench.silent();
    bench.pass(20 * SECOND);
    bench.take(COMMAND);
}

#[test]
fn a_move_without_commands_under_way_waits_for_nothing() {
    let mut bench = Bench::plain();
    bench.cut();
    bench.pass(2 * SECOND);
    bench.login(Some(2));
    bench.open();
    bench.read(4);
    bench.take(COMMAND);
}

#[test]
fn reinstating_one_group_does_not_release_the_ghosts_of_another() {
    let mut bench = moved(Some(2));
    // A command on the second nexus, which is lost and reinstated: those of the first may live on.
    bench.submit(Command {
        urgent: true,
        ..once(Direction::Read(4))
    });
    bench.take(COMMAND);
    bench.cut();
    bench.pass(2 * SECOND);
    bench.login(Some(2));
    bench.open();
    bench.silent();
    bench.pass(18 * SECOND);
    bench.take(COMMAND);
    // Back at the first group it would have been reinstated.
    let mut bench = moved(Some(2));
    bench.cut();
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    bench.open();
    bench.take(COMMAND);
}

#[test]
fn announced_times_lengthen_the_life_of_ghosts() {
    let mut bench = Bench::plain();
    bench.write(4);
    bench.take(COMMAND);
    bench.offend(async_message(3, [0, 5, 100]));
    bench.pass(5 * SECOND);
    bench.login(Some(2));
    bench.open();
    bench.pass(99 * SECOND);
    bench.silent();
    bench.pass(SECOND);
    bench.take(COMMAND);
}

#[test]
fn hold_time_counts_from_the_loss_and_then_fails_what_waits_and_what_comes() {
    let config = SessionConfig {
        hold: Hold::For(30 * SECOND),
        ..quiet()
    };
    let mut bench = Bench::up(config, Parameters::default());
    bench.pass(100 * SECOND);
    bench.read(4);
    bench.take(COMMAND);
    bench.cut();
    bench.pass(10 * SECOND);
    bench.read(4);
    bench.submit(Command {
        urgent: true,
        ..once(Direction::None)
    });
    bench.pass(20 * SECOND - Duration::from_millis(1));
    bench.nothing_ended();
    bench.pass(Duration::from_millis(1));
    let ended: Vec<_> = bench.ended.drain(..).collect();
    assert_eq!(ended.len(), 3);
    assert!(ended.iter().all(|e| e.outcome == Outcome::Disconnected));
    // At once from now on, until the gate is open again.
    bench.read(4);
    assert_eq!(bench.outcome(), Outcome::Disconnected);
    bench.login(Some(1));
    bench.read(4);
    assert_eq!(bench.outcome(), Outcome::Disconnected);
    // But the check of the disks may run.
    bench.submit(Command {
        urgent: true,
        ..once(Direction::None)
    });
    bench.take(COMMAND);
    bench.open();
    bench.read(4);
    bench.take(COMMAND);
}

#[test]
fn the_first_login_is_waited_for_no_longer_than_the_hold_time() {
    let mut bench = Bench::down(quiet(), Parameters::default());
    bench.read(4);
    bench.pass(120 * SECOND);
    assert_eq!(bench.outcome(), Outcome::Disconnected);
}

#[test]
fn a_login_with_a_closed_gate_is_still_an_outage() {
    let mut bench = Bench::plain();
    bench.read(4);
    bench.cut();
    recover_without_gate(&mut bench);
    bench.pass(118 * SECOND);
    assert_eq!(bench.outcome(), Outcome::Disconnected);
    assert!(bench.session.is_up());
}

fn recover_without_gate(bench: &mut Bench) {
    bench.pass(2 * SECOND);
    bench.login(Some(1));
}

#[test]
fn bound_volumes_wait_for_ever() {
    let mut bench = Bench::plain();
    bench.session.set_hold(Hold::Forever);
    bench.read(4);
    bench.cut();
    bench.pass(SECOND * 3600 * 24 * 30);
    bench.nothing_ended();
    bench.login(Some(1));
    bench.open();
    bench.take(COMMAND);
}

#[test]
fn a_session_that_fails_commands_takes_them_again_when_it_is_to_hold_for_ever() {
    let mut bench = Bench::plain();
    bench.cut();
    bench.read(4);
    bench.pass(121 * SECOND);
    assert_eq!(bench.outcome(), Outcome::Disconnected);
    bench.session.set_hold(Hold::Forever);
    bench.read(4);
    bench.nothing_ended();
}

#[test]
fn sup_a15_a_restarted_target_is_a_new_session() {
    // TSIH is the login's business; the numbers are all new.
    let mut bench = Bench::plain();
    bench.read(4);
    bench.take(COMMAND);
    bench.cut();
    bench.pass(2 * SECOND);
    (bench.stat_sn, bench.exp_cmd_sn) = (0, 1);
    bench.login(Some(1));
    bench.open();
    let again = bench.take(COMMAND);
    assert_eq!((again.cmd_sn(), again.exp_stat_sn()), (1, 0));
}

#[test]
fn sup_a14_a_unit_attention_after_reinstatement_reaches_the_caller() {
    let mut bench = Bench::plain();
    bench.read(4);
    bench.cut();
    recover(&mut bench);
    let itt = bench.take(COMMAND).get_itt();
    let sense = [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x07];
    bench.say(response(itt, 2).data(&[&[0, 14], &sense[..]].concat()));
    let Outcome::Completed(answer) = bench.outcome() else {
        panic!("no status");
    };
    assert_eq!(&*answer.sense, &sense);
}

#[test]
fn a_loss_in_the_middle_of_a_write_gives_the_buffers_back_when_the_socket_is_gone() {
    let mut bench = Bench::plain();
    bench.writing = Some(crate::session::Transmit::default());
    bench.submit(once(Direction::Write(512)));
    let batch = bench.begin_write().unwrap();
    bench.cut();
    drop(batch);
    assert_eq!(bench.outcome(), Outcome::Interrupted);
}

#[test]
fn a_task_that_ended_while_its_batch_is_lost_keeps_its_end() {
    let mut bench = Bench::plain();
    bench.writing = Some(crate::session::Transmit::default());
    let id = bench.submit(once(Direction::Write(512)));
    let _batch = bench.begin_write().unwrap();
    bench.say(response(id.itt(), 0));
    bench.nothing_ended();
    // Late PDUs for it are no offence.
    bench.say(response(id.itt(), 0));
    bench.cut();
    assert!(matches!(bench.outcome(), Outcome::Completed(_)));
}

#[test]
fn a_second_word_of_a_loss_is_ignored() {
    let mut bench = Bench::plain();
    bench.read(4);
    bench.cut();
    bench.take_events();
    bench
        .session
        .handle_connection_lost(bench.now, 0, ConnectionError::Requested);
    bench
        .session
        .handle_connection_lost(bench.now, 9, ConnectionError::Requested);
    bench.settle();
    assert!(bench.take_events().is_empty());
    assert_eq!(bench.disconnects, 1);
}

#[test]
fn a_table_full_of_held_commands_does_not_lock_out_the_check_of_the_disks() {
    let config = SessionConfig {
        max_tasks: 2,
        ..quiet()
    };
    let mut bench = Bench::up(config, Parameters::default());
    bench.read(0);
    bench.read(0);
    bench.take_all();
    bench.cut();
    bench.pass(2 * SECOND);
    bench.login(Some(1));
    assert!(!bench.session.has_room() && bench.session.has_urgent_room());
    let urgent = bench.submit(Command {
        urgent: true,
        ..once(Direction::None)
    });
    assert_eq!(bench.take(COMMAND).get_itt(), urgent.itt());
    bench.say(response(urgent.itt(), 0));
    bench.open();
    assert_eq!(bench.take_all().len(), 2);
}

#[test]
fn a_replayed_task_can_be_aborted_by_its_name() {
    let mut bench = Bench::plain();
    let id = bench.read(4);
    bench.cut();
    recover(&mut bench);
    let again = bench.take(COMMAND);
    bench.session.abort(bench.now, id).unwrap();
    bench.settle();
    let tmf = bench.take(TMF);
    assert_eq!(tmf.word20(), again.get_itt());
    bench.say(tmf_response(tmf.get_itt(), 0));
    assert_eq!(bench.outcome(), Outcome::Aborted);
}

#[test]
fn an_urgent_command_that_never_left_is_not_kept_beyond_the_hold_time() {
    let mut bench = Bench::plain();
    bench.grant = None;
    bench.cut();
    bench.pass(2 * SECOND);
    bench.max_cmd_sn = bench.exp_cmd_sn.wrapping_sub(1);
    bench.login(Some(1));
    bench.pass(115 * SECOND);
    bench.submit(Command {
        urgent: true,
        ..once(Direction::None)
    });
    bench.pass(6 * SECOND);
    bench.nothing_ended();
    bench.cut();
    assert_eq!(bench.outcome(), Outcome::Disconnected);
}

/// A check may write too. On a nexus that is not known dead an earlier one may still be under way, and
/// the two could be carried out in any order.
#[test]
fn urgent_writes_wait_for_ghosts_and_urgent_reads_pass_them() {
    let mut bench = moved(Some(2));
    let urgent = |direction| Command {
        urgent: true,
        ..once(direction)
    };
    let write = bench.submit(urgent(Direction::Write(4)));
    let read = bench.submit(urgent(Direction::Read(4)));
    assert_eq!(bench.take(COMMAND).get_itt(), read.itt());
    bench.say(with_status(data_in(read.itt(), 0, 0, &[1; 4])));
    bench.silent();
    bench.pass(20 * SECOND);
    assert_eq!(bench.take(COMMAND).get_itt(), write.itt());
}
