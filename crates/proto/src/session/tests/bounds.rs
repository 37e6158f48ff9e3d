//! What a target can make the session keep is bounded.

use super::bench::*;
use super::wire::*;
use crate::parameters::Parameters;
use crate::session::{ConnectionError, Direction, Full, SessionConfig};

#[test]
fn the_table_is_full_at_its_size() {
    let config = SessionConfig {
        max_tasks: 3,
        ..quiet()
    };
    let mut bench = Bench::up(config, Parameters::default());
    let ids = [(); 3].map(|()| bench.read(0));
    let more = bench.session.submit(bench.now, command(Direction::None), 9);
    assert_eq!(more, Err(Full));
    assert!(!bench.session.has_room());
    bench.say(response(ids[1].itt(), 0));
    assert!(bench.session.has_room());
    bench.read(0);
}

#[test]
fn pings_of_the_target_are_answered_up_to_a_limit() {
    let mut bench = Bench::plain();
    bench.writing = Some(crate::session::Transmit::default());
    for ttt in 0..10_000 {
        bench.say(nop_in(ttt));
    }
    assert!(bench.session.connections[0].replies.len() <= 64);
    bench.writing = None;
    bench.settle();
    assert_eq!(bench.take_all().len(), 64);
}

#[test]
fn logout_and_negotiation_requests_are_not_piled_up() {
    for event in [1, 4] {
        let mut bench = Bench::plain();
        bench.writing = Some(crate::session::Transmit::default());
        for _ in 0..10_000 {
            bench.say(async_message(event, [0, 0, 5]));
        }
        assert_eq!(bench.session.connections[0].immediate.len(), 1);
    }
}

#[test]
fn fill_ins_are_not_piled_up() {
    let mut bench = Bench::plain();
    bench.check_cmd_sn = false;
    bench.writing = None;
    let mut error = None;
    for n in 0..10_000 {
        bench.max_cmd_sn = u32::MAX >> 1;
        bench.grant = None;
        bench.read(0);
        bench.exp_cmd_sn = 0x1000;
        let victims: Vec<_> = bench.take_all();
        let Some(victim) = victims.iter().find(|pdu| pdu.opcode() == COMMAND) else {
            panic!("command {n} was not sent");
        };
        let pdu = bench.number(reject(0x05, victim));
        if let Err(refused) = bench.say_raw(&pdu) {
            error = Some(refused);
            break;
        }
        assert!(bench.session.plugs.len() <= 4096);
        bench.ended.clear();
    }
    assert_eq!(error, Some(ConnectionError::WindowJammed));
}

#[test]
fn data_to_send_is_bounded_by_the_agreed_number_of_r2ts() {
    let mut bench = Bench::with(|p| {
        (p.immediate_data, p.max_outstanding_r2t) = (false, 8);
    });
    let ids = [(); 64].map(|()| bench.write(1 << 20));
    bench.take_all();
    bench.writing = Some(crate::session::Transmit::default());
    for id in ids {
        for n in 0..8 {
            bench.say(r2t(id.itt(), n, n, n * 512, 512));
        }
    }
    assert_eq!(bench.session.connections[0].bursts.len(), 64 * 8);
    let error = bench.offend(r2t(ids[0].itt(), 8, 8, 4096, 512));
    assert!(matches!(error, ConnectionError::PeerMisbehaved(_)));
    assert!(bench.session.connections.is_empty());
}

#[test]
fn what_is_collected_is_forgotten_with_the_next_pdu() {
    let mut bench = Bench::with(|p| p.max_recv_data_segment = 1 << 20);
    for _ in 0..50 {
        bench.say(async_message(255, [0; 3]).data(&[1; 65_536]));
        bench.events.clear();
    }
    bench.say(nop_in(NONE));
    let collected = &bench.session.connections[0].collected;
    assert!(collected.is_empty() && collected.capacity() <= 128 * 1024);
}

#[test]
fn ghosts_of_many_portal_groups_share_their_entries() {
    let mut bench = Bench::plain();
    for tpgt in 2..100 {
        bench.submit(crate::session::Command {
            urgent: true,
            ..once(Direction::None)
        });
        bench.take(COMMAND);
        bench.offend(async_message(2, [0, 0, 3600]));
        bench.pass(100 * SECOND);
        bench.login(Some(tpgt));
        assert!(bench.session.ghosts.len() <= 16);
    }
    bench.open();
    bench.read(0);
    bench.silent();
    bench.pass(3700 * SECOND);
    bench.take(COMMAND);
}
