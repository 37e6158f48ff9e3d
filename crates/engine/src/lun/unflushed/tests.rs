use super::*;

const WRITE: Operation = Operation::Write { fua: false };

fn all(kept: &Unflushed) -> Vec<(u64, Vec<u8>)> {
    let mut next = 0;
    std::iter::from_fn(|| {
        let change = kept.from(next)?;
        next = change.number + 1;
        Some((change.offset, change.data))
    })
    .collect()
}

#[test]
fn a_flush_covers_what_was_acknowledged_before_it_was_sent() {
    let mut kept = Unflushed::default();
    kept.keep(WRITE, 0, &[1; 512]);
    let mark = kept.mark();
    kept.keep(WRITE, 512, &[2; 512]);
    assert!(kept.flushed(mark, false));
    assert_eq!(all(&kept), [(512, vec![2; 512])]);
    let mark = kept.mark();
    assert!(kept.flushed(mark, false));
    assert_eq!(all(&kept), []);
}

#[test]
fn order_is_kept_over_many_chunks_and_memory_is_used_again() {
    let mut kept = Unflushed::default();
    for round in 0..3u64 {
        for i in 0..40u64 {
            kept.keep(WRITE, i, &vec![i as u8; 300_000]);
        }
        let expected: Vec<_> = (0..40).map(|i| (i, vec![i as u8; 300_000])).collect();
        assert!(all(&kept) == expected, "round {round}");
        let mark = kept.mark();
        assert!(kept.flushed(mark, false));
        assert_eq!(kept.kept, 0);
    }
    assert!(kept.spare.len() <= 14, "{} chunks", kept.spare.len());
}

/// Sends and acknowledges changes until there is no room; counts flushes of our own.
fn fill(kept: &mut Unflushed, change: Operation, data: &[u8]) -> u32 {
    let cost = Unflushed::cost(change, data.len());
    let mut flushes = 0;
    for _ in 0..10_000_000 {
        if !kept.reserve(cost) {
            return flushes;
        }
        kept.keep(change, 0, data);
        kept.release(cost);
        flushes += u32::from(kept.begin_own_flush());
    }
    panic!("no bound");
}

#[test]
fn what_is_kept_is_bounded_by_flushes_of_our_own() {
    let mut kept = Unflushed::default();
    assert_eq!(fill(&mut kept, WRITE, &[0; 65_536]), 1, "one at a time");
    let mark = kept.mark();
    assert!(kept.flushed(mark, false));
    kept.end_own_flush();
    assert!(kept.reserve(CHUNK));
}

#[test]
fn changes_without_data_are_bounded_too() {
    let zeroes = Operation::WriteZeroes {
        length: 4096,
        fua: false,
        may_unmap: false,
    };
    let mut kept = Unflushed::default();
    assert_eq!(fill(&mut kept, zeroes, &[]), 1);
    assert!(kept.next <= (LIMIT / size_of::<Entry>()) as u64);
}

#[test]
fn what_is_under_way_counts() {
    let mut kept = Unflushed::default();
    let cost = Unflushed::cost(WRITE, CHUNK);
    let under_way = (0..100).filter(|_| kept.reserve(cost)).count();
    assert_eq!(under_way, LIMIT / cost);
    // They end well or not.
    for i in 0..under_way {
        if i % 2 == 0 {
            kept.keep(WRITE, 0, &vec![0; CHUNK]);
        }
        kept.release(cost);
    }
    assert_eq!(
        (kept.reserved, kept.kept),
        (0, cost * under_way.div_ceil(2))
    );
}

#[test]
fn a_flush_that_failed_can_be_begun_again() {
    let mut kept = Unflushed::default();
    fill(&mut kept, WRITE, &[0; 65_536]);
    assert!(!kept.begin_own_flush(), "under way");
    kept.end_own_flush();
    assert!(kept.begin_own_flush());
}

/// What was given up is only lost when the unit forgets it.
#[test]
fn a_unit_that_cannot_be_flushed_stops_nothing_but_is_not_trusted() {
    let mut kept = Unflushed::default();
    fill(&mut kept, WRITE, &[0; 65_536]);
    kept.give_up();
    assert!(kept.reserve(CHUNK) && !kept.has_kept() && !kept.is_idle());
    let mut flushed_after_all = kept;
    let mark = flushed_after_all.mark();
    assert!(flushed_after_all.flushed(mark, false));
    flushed_after_all.begin_again();
    assert!(flushed_after_all.flushed(mark, false));

    let mut kept = Unflushed::default();
    fill(&mut kept, WRITE, &[0; 65_536]);
    kept.give_up();
    assert!(kept.set_forgotten());
    kept.begin_again();
    kept.end_again();
    let mark = kept.mark();
    assert!(!kept.flushed(mark, false));
    assert!(kept.is_idle());
}

#[test]
fn only_a_unit_with_something_to_forget_is_asked_to_remember() {
    let mut kept = Unflushed::default();
    assert!(!kept.set_forgotten() && !kept.is_forgotten());
    kept.keep(WRITE, 0, &[1; 512]);
    assert!(kept.set_forgotten() && kept.is_forgotten());
    kept.begin_again();
    assert!(kept.is_forgotten(), "not yet");
    kept.end_again();
    assert!(!kept.is_forgotten());
    let mark = kept.mark();
    assert!(kept.flushed(mark, false), "nothing was lost");
}

#[test]
fn a_loss_is_told_by_the_next_flush_and_only_by_that() {
    let mut kept = Unflushed::default();
    kept.keep(WRITE, 0, &[1; 512]);
    kept.set_lost();
    let mark = kept.mark();
    assert!(kept.flushed(mark, true), "nobody asked for this one");
    let mark = kept.mark();
    assert!(!kept.flushed(mark, false));
    let mark = kept.mark();
    assert!(kept.flushed(mark, false));
}

#[test]
fn zeroes_are_kept_and_discards_are_not() {
    let mut kept = Unflushed::default();
    let zeroes = Operation::WriteZeroes {
        length: 4096,
        fua: true,
        may_unmap: true,
    };
    kept.keep(zeroes, 512, &[]);
    kept.keep(Operation::Discard { length: 4096 }, 0, &[]);
    let change = kept.from(0).unwrap();
    assert_eq!(
        change.operation,
        Operation::WriteZeroes {
            length: 4096,
            fua: false,
            may_unmap: true
        }
    );
    assert!(kept.from(1).is_none());
}
