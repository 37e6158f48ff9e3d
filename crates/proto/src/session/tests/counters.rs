//! What a session counts.

use super::bench::*;
use super::wire::*;
use crate::session::{ConnectionError, Counters, Direction, Outcome};

impl Bench {
    fn counted(&self) -> Counters {
        self.session.counters()
    }
}

#[test]
fn commands_data_and_pdus_are_counted_both_ways() {
    let mut bench = Bench::plain();
    assert_eq!(bench.counted(), Counters::default());
    let read = bench.read(8);
    assert_eq!(
        (bench.counted().commands, bench.counted().in_flight),
        (1, 1)
    );
    // A Command of 48 bytes.
    assert_eq!(
        (bench.counted().pdus_sent, bench.counted().wire_bytes_sent),
        (1, 48)
    );
    bench.say(data_in(read.itt(), 0, 0, &[1; 5]));
    let counted = bench.counted();
    assert_eq!((counted.in_flight, counted.bytes_read), (1, 0), "not ended");
    bench.say(with_status(data_in(read.itt(), 1, 5, &[2; 3])));
    bench.outcome();
    let counted = bench.counted();
    assert_eq!((counted.in_flight, counted.bytes_read), (0, 8));
    // Two Data-Ins: headers of 48 bytes, data padded to 8 and 4.
    assert_eq!(
        (counted.pdus_received, counted.wire_bytes_received),
        (2, 48 + 8 + 48 + 4)
    );

    // 512 bytes of immediate data go out with the command.
    let write = bench.write(512);
    bench.say(response(write.itt(), 0));
    bench.outcome();
    let counted = bench.counted();
    assert_eq!((counted.bytes_written, counted.bytes_read), (512, 8));
    assert_eq!(
        (counted.pdus_sent, counted.wire_bytes_sent),
        (2, 48 + 48 + 512)
    );
    assert_eq!((counted.commands, counted.check_conditions), (2, 0));

    // CHECK CONDITION with two bytes of sense.
    let failed = bench.read(8);
    bench.say(response(failed.itt(), 2).data(&[0, 2, 0x70, 0]));
    bench.outcome();
    let counted = bench.counted();
    assert_eq!((counted.check_conditions, counted.failed_commands), (1, 0));
    assert_eq!(counted.bytes_read, 8, "nothing came with it");
}

#[test]
fn a_loss_counts_what_is_sent_again_what_fails_and_why() {
    let mut bench = Bench::with(|p| p.data_digest = true);
    bench.read(4);
    bench.submit(once(Direction::Read(4)));
    bench.lose(ConnectionError::DataDigest);
    assert_eq!(bench.outcome(), Outcome::Interrupted);
    let counted = bench.counted();
    assert_eq!((counted.digest_errors, counted.protocol_errors), (1, 0));
    assert_eq!((counted.replayed_commands, counted.failed_commands), (1, 1));
    assert_eq!(
        (counted.commands, counted.in_flight, counted.reconnects),
        (2, 1, 0)
    );
    bench.pass(2 * SECOND);
    bench.connects.pop_front().expect("it wants to connect");
    bench.session.handle_login_failed(bench.now);
    bench.pass(SECOND);
    bench.login(Some(1));
    bench.open();
    let counted = bench.counted();
    assert_eq!((counted.reconnects, counted.failed_reconnects), (1, 1));
    assert_eq!(counted.commands, 3, "sent again");

    bench.misbehave(response(0x7fff_0001, 0));
    let counted = bench.counted();
    assert_eq!((counted.digest_errors, counted.protocol_errors), (1, 1));
    // A second word of the same loss says nothing new.
    bench.lose(ConnectionError::DataDigest);
    bench.cut();
    assert_eq!(bench.counted(), counted);
}

#[test]
fn timeouts_and_what_is_done_about_them_are_counted() {
    let mut bench = Bench::plain();
    bench.submit(once(Direction::Read(0)));
    let itt = bench.take(COMMAND).get_itt();
    bench.pass(11 * SECOND);
    let abort = bench.take(TMF);
    assert_eq!(abort.word20(), itt);
    let counted = bench.counted();
    assert_eq!((counted.timeouts, counted.management_functions), (1, 1));
    bench.say(tmf_response(abort.get_itt(), 0));
    assert_eq!(bench.outcome(), Outcome::TimedOut);
    let counted = bench.counted();
    assert_eq!((counted.timeouts, counted.failed_commands), (1, 1));
    assert_eq!(counted.in_flight, 0);
}

#[test]
fn the_numbers_keep_their_order() {
    let mut numbers = [0; Counters::COUNT];
    (1..).zip(&mut numbers).for_each(|(n, place)| *place = n);
    let counters = Counters::from_array(numbers);
    assert_eq!((counters.commands, counters.in_flight), (1, 2));
    assert_eq!(counters.wire_bytes_received, Counters::COUNT as u64);
    assert_eq!(counters.to_array(), numbers);
}
