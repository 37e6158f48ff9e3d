//! The rules of §4.2.5.2, §11.7 and §11.8 on write data, one by one.

use super::*;

const RULES: Rules = Rules {
    immediate_data: true,
    initial_r2t: false,
    first_burst: 8,
    max_burst: 16,
    max_outstanding_r2t: 2,
    data_pdu_in_order: true,
    data_sequence_in_order: true,
    recovers: false,
};

fn gather(rules: Rules, expected: u32, immediate: u32, last: bool) -> Gather {
    Gather::new(rules, expected, expected, immediate, last, Vec::new())
}

fn ask(gather: &mut Gather) -> Vec<(u32, u32)> {
    let mut tag = 100;
    gather
        .ask(R2tFault::default(), || {
            tag += 1;
            tag
        })
        .iter()
        .map(|ask| (ask.offset, ask.length))
        .collect()
}

/// Sends one Data-Out whose bytes are their offsets.
fn send(gather: &mut Gather, ttt: u32, data_sn: u32, offset: u32, length: u32, last: bool) -> Fate {
    let piece = Piece {
        ttt,
        data_sn,
        offset,
        length,
        last,
    };
    let fate = gather.judge(piece);
    if fate == Fate::Store {
        let bytes: Vec<u8> = (offset..offset + length).map(|n| n as u8).collect();
        gather.store(offset, &bytes);
    }
    if fate != Fate::Stray {
        gather.arrived(piece, true);
    }
    fate
}

fn counted(length: u8) -> Vec<u8> {
    (0..length).collect()
}

#[test]
fn immediate_data_alone_is_enough() {
    let mut gather = gather(RULES, 4, 4, true);
    gather.store(0, &counted(4));
    assert!(gather.is_finished() && gather.fault().is_none());
    assert_eq!(ask(&mut gather), []);
    assert_eq!(gather.data(), counted(4));
}

#[test]
fn unsolicited_then_solicited_data_makes_the_whole() {
    let mut gather = gather(RULES, 40, 2, false);
    gather.store(0, &counted(2));
    assert_eq!(ask(&mut gather), [], "unsolicited data is on its way");
    assert_eq!(send(&mut gather, NIL, 0, 2, 3, false), Fate::Store);
    assert_eq!(send(&mut gather, NIL, 1, 5, 3, true), Fate::Store);
    assert!(!gather.is_finished());
    assert_eq!(ask(&mut gather), [(8, 16), (24, 16)]);
    assert!(gather.has_open_r2ts());
    assert_eq!(send(&mut gather, 101, 0, 8, 16, true), Fate::Store);
    assert_eq!(send(&mut gather, 102, 0, 24, 10, false), Fate::Store);
    assert!(!gather.is_finished());
    assert_eq!(send(&mut gather, 102, 1, 34, 6, true), Fate::Store);
    assert!(gather.is_finished() && gather.fault().is_none());
    assert_eq!(gather.data(), counted(40));
}

#[test]
fn r2ts_keep_to_the_limits_that_were_agreed() {
    let mut gather = gather(RULES, 100, 0, true);
    assert_eq!(ask(&mut gather), [(0, 16), (16, 16)]);
    assert_eq!(ask(&mut gather), []);
    send(&mut gather, 101, 0, 0, 16, true);
    let bend = R2tFault {
        max_bytes: 5,
        ..R2tFault::default()
    };
    let asks = gather.ask(bend, || 200);
    assert_eq!(
        asks,
        [Ask {
            ttt: 200,
            r2t_sn: 2,
            offset: 32,
            length: 5
        }]
    );
}

#[test]
fn reversed_r2ts_need_the_right_negotiated() {
    let bend = R2tFault {
        reversed: true,
        ..R2tFault::default()
    };
    let offsets = |in_order| {
        let rules = Rules {
            data_sequence_in_order: in_order,
            ..RULES
        };
        let mut tag = 0;
        let mut next = || {
            tag += 1;
            tag
        };
        let asks = gather(rules, 32, 0, true).ask(bend, &mut next);
        asks.iter()
            .map(|ask| (ask.r2t_sn, ask.offset))
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets(true), [(0, 0), (1, 16)]);
    assert_eq!(offsets(false), [(0, 16), (1, 0)]);
}

#[test]
fn unsolicited_data_where_none_is_allowed() {
    let no_immediate = Rules {
        immediate_data: false,
        ..RULES
    };
    let unexpected = gather(no_immediate, 4, 4, true);
    assert!(unexpected.is_finished());
    assert_eq!(unexpected.fault(), Some(DataFault::Unexpected));
    assert_eq!(unexpected.fault().unwrap().asc(), (0x0c, 0x0c));

    let r2t_mode = Rules {
        initial_r2t: true,
        ..RULES
    };
    let mut unexpected = gather(r2t_mode, 8, 0, false);
    assert!(!unexpected.is_finished(), "the F bit is still to come");
    assert_eq!(send(&mut unexpected, NIL, 0, 0, 8, true), Fate::Discard);
    assert!(unexpected.is_finished());
    assert_eq!(unexpected.fault(), Some(DataFault::Unexpected));
}

#[test]
fn a_wrong_amount_of_unsolicited_data() {
    let mut too_little = gather(RULES, 40, 0, false);
    send(&mut too_little, NIL, 0, 0, 7, true);
    assert_eq!(too_little.fault(), Some(DataFault::Amount));
    assert_eq!(too_little.fault().unwrap().asc(), (0x0c, 0x0d));
    assert!(too_little.is_finished());

    let mut too_much = gather(RULES, 40, 0, false);
    assert_eq!(send(&mut too_much, NIL, 0, 0, 9, true), Fate::Discard);
    assert_eq!(too_much.fault(), Some(DataFault::Amount));

    assert_eq!(gather(RULES, 40, 9, true).fault(), Some(DataFault::Amount));
    assert_eq!(gather(RULES, 2, 3, true).fault(), Some(DataFault::Amount));
}

#[test]
fn solicited_data_must_fit_its_r2t() {
    let started = || {
        let mut gather = gather(RULES, 16, 0, true);
        ask(&mut gather);
        gather
    };
    let mut stray = started();
    assert_eq!(send(&mut stray, 7, 0, 0, 16, true), Fate::Stray);
    assert_eq!(send(&mut stray, NIL, 0, 0, 16, true), Fate::Stray);
    assert_eq!(stray.fault(), None);
    for (data_sn, offset, length, fault) in [
        (0, 0, 17, DataFault::Amount),
        (0, u32::MAX, 16, DataFault::Amount),
        (0, 4, 4, DataFault::Amount),
        (0, 0, 15, DataFault::Amount),
        (1, 0, 16, DataFault::Lost),
    ] {
        let mut gather = started();
        send(&mut gather, 101, data_sn, offset, length, true);
        assert_eq!(gather.fault(), Some(fault), "{data_sn} {offset} {length}");
        assert!(gather.is_finished());
    }
}

#[test]
fn pdus_out_of_order_need_the_right_negotiated() {
    let rules = Rules {
        data_pdu_in_order: false,
        ..RULES
    };
    let mut gather = gather(rules, 16, 0, true);
    ask(&mut gather);
    send(&mut gather, 101, 0, 8, 8, false);
    send(&mut gather, 101, 1, 0, 8, true);
    assert!(gather.is_finished() && gather.fault().is_none());
    assert_eq!(gather.data(), counted(16));
}

#[test]
fn a_spoilt_digest_waits_for_what_is_on_its_way() {
    let mut gather = gather(RULES, 32, 0, true);
    ask(&mut gather);
    let piece = Piece {
        ttt: 101,
        data_sn: 0,
        offset: 0,
        length: 16,
        last: true,
    };
    gather.judge(piece);
    gather.arrived(piece, false);
    assert!(!gather.is_finished(), "the second R2T is open");
    send(&mut gather, 102, 0, 16, 16, true);
    assert!(gather.is_finished());
    assert_eq!(gather.fault(), Some(DataFault::Lost));
}

#[test]
fn data_beyond_what_the_command_takes_is_dropped() {
    let mut gather = Gather::new(RULES, 40, 6, 4, false, Vec::new());
    gather.store(0, &counted(4));
    send(&mut gather, NIL, 0, 4, 4, true);
    assert_eq!(ask(&mut gather), []);
    assert!(gather.is_finished() && gather.fault().is_none());
    assert_eq!(gather.data(), counted(6));
}

const RECOVERING: Rules = Rules {
    recovers: true,
    max_outstanding_r2t: 1,
    ..RULES
};

#[test]
fn what_is_lost_of_a_sequence_is_asked_for_again_behind_it() {
    let mut gather = gather(RECOVERING, 32, 0, true);
    assert_eq!(ask(&mut gather), [(0, 16)]);
    send(&mut gather, 101, 0, 0, 4, false);
    // The second and the third are missing.
    send(&mut gather, 101, 3, 12, 4, true);
    assert!(!gather.is_finished() && gather.fault().is_none());
    assert_eq!(ask(&mut gather), [(4, 8)]);
    send(&mut gather, 101, 0, 4, 8, true);
    assert_eq!(ask(&mut gather), [(16, 16)]);
    assert_eq!(gather.next_r2t(), 3);
    send(&mut gather, 101, 0, 16, 16, true);
    assert!(gather.is_finished() && gather.fault().is_none());
    assert_eq!(gather.data(), counted(32));
}

#[test]
fn a_wrong_digest_loses_its_own_data_only() {
    let mut gather = gather(RECOVERING, 16, 0, true);
    ask(&mut gather);
    let piece = Piece {
        ttt: 101,
        data_sn: 0,
        offset: 0,
        length: 10,
        last: false,
    };
    assert_eq!(gather.judge(piece), Fate::Store);
    gather.arrived(piece, false);
    send(&mut gather, 101, 1, 10, 6, true);
    assert_eq!(ask(&mut gather), [(0, 10)]);
}

#[test]
fn data_that_stays_away_is_lost_and_comes_too_late() {
    let mut gather = gather(RECOVERING, 16, 0, true);
    ask(&mut gather);
    send(&mut gather, 101, 0, 0, 4, false);
    gather.time_out();
    assert!(gather.is_stale(101));
    let late = send(&mut gather, 101, 1, 4, 12, true);
    assert_eq!(late, Fate::Stray);
    assert_eq!(ask(&mut gather), [(4, 12)]);
}

#[test]
fn too_little_data_is_no_loss() {
    let mut gather = gather(RECOVERING, 16, 0, true);
    ask(&mut gather);
    send(&mut gather, 101, 0, 0, 4, true);
    assert!(gather.is_finished());
    assert_eq!(gather.fault(), Some(DataFault::Amount));
}

#[test]
fn who_loses_everything_is_not_asked_for_ever() {
    let mut gather = gather(RECOVERING, 16, 0, true);
    let mut rounds = 0;
    while !ask(&mut gather).is_empty() {
        gather.time_out();
        rounds += 1;
    }
    assert_eq!(rounds, LOSSES_LIMIT + 1);
    assert_eq!(gather.fault(), Some(DataFault::Lost));
}

#[test]
fn open_r2ts_can_be_shown_again() {
    let rules = Rules {
        max_outstanding_r2t: 2,
        data_sequence_in_order: false,
        ..RECOVERING
    };
    let mut gather = gather(rules, 48, 0, true);
    assert_eq!(ask(&mut gather).len(), 2);
    let shown = |gather: &Gather, numbers| -> Vec<(u32, u32)> {
        let open = gather.open_r2ts(numbers);
        open.map(|ask| (ask.r2t_sn, ask.offset)).collect()
    };
    assert_eq!(shown(&gather, 0..2), [(0, 0), (1, 16)]);
    send(&mut gather, 101, 0, 0, 16, true);
    assert_eq!(shown(&gather, 0..2), [(1, 16)]);
    assert_eq!(shown(&gather, 2..5), []);
}
