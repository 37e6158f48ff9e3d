//! Raw commands in an order of the caller's, with task attributes, aborts, long CDBs, data both ways, and
//! sessions that do not come back.

use hawser_engine::{
    Cdb, LongCdb, LunNumber, ManagementRequest, RawCommand, ScsiRequest, Session, SessionError,
    SessionState, TaskAttribute, TmfFunction, Transfer,
};

use super::support::{
    anywhere, at_level_0, established, in_time, options, pattern, ram, serve, serve_at, target,
    unit, up,
};

/// Response codes of RFC 7143 §11.6.1.
const COMPLETE: u8 = 0;
const TASK_DOES_NOT_EXIST: u8 = 1;
const NOT_SUPPORTED: u8 = 5;
/// RFC 7144 §6.2: the task, or one of the set, is there.
const SUCCEEDED: u8 = 7;

fn start(session: &Session, tag: u64) -> RawCommand {
    let request = ScsiRequest {
        lun: LunNumber::ZERO,
        cdb: Cdb::test_unit_ready(),
        transfer: Transfer::None,
    };
    session.start_scsi(request, TaskAttribute::Ordered, tag)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_aborted_by_its_tag() {
    let server = serve().await;
    let session = up(&server).await;
    // The unit attention of the new nexus.
    in_time(start(&session, 1).answer()).await.unwrap();
    assert_eq!(
        in_time(session.abort(1)).await.unwrap(),
        TASK_DOES_NOT_EXIST
    );
    server.faults().set_black_hole(0, true);
    let hanging = start(&session, 2);
    let other = start(&session, 3);
    // The command has left before the function: the target finds it.
    assert_eq!(in_time(session.abort(2)).await.unwrap(), COMPLETE);
    let ended = in_time(hanging.answer()).await;
    assert!(matches!(ended, Err(SessionError::Aborted(_))), "{ended:?}");
    assert_eq!(server.counters().commands, 3);
    let request = ManagementRequest {
        function: TmfFunction::AbortTaskSet,
        lun: LunNumber::ZERO,
    };
    assert_eq!(in_time(session.manage(request)).await.unwrap(), COMPLETE);
    let ended = in_time(other.answer()).await;
    assert!(matches!(ended, Err(SessionError::Aborted(_))), "{ended:?}");
    in_time(session.logout()).await;
}

/// The window is closed: what has not left is not sent behind the function that ends it.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_left_ends_with_the_function_that_concerns_it() {
    let server = serve().await;
    let session = up(&server).await;
    in_time(start(&session, 1).answer()).await.unwrap();
    server.faults().set_black_hole(0, true);
    server.faults().set_window(Some(1));
    let commands: Vec<RawCommand> = (2..400).map(|tag| start(&session, tag)).collect();
    assert_eq!(in_time(session.abort(399)).await.unwrap(), COMPLETE);
    let request = ManagementRequest {
        function: TmfFunction::LogicalUnitReset,
        lun: LunNumber::ZERO,
    };
    assert_eq!(in_time(session.manage(request)).await.unwrap(), COMPLETE);
    for command in commands {
        let ended = in_time(command.answer()).await;
        assert!(matches!(ended, Err(SessionError::Aborted(_))), "{ended:?}");
    }
    assert!(server.counters().commands < 398, "{:?}", server.counters());
    in_time(session.logout()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_to_come_back_is_closed_by_a_loss() {
    let server = serve_at(anywhere(), target().lun(0, unit(ram(), "disk"))).await;
    let mut options = at_level_0(server.local_addrs()[0]);
    options.reconnect = false;
    let session = established(options).await;
    in_time(start(&session, 1).answer()).await.unwrap();
    server.faults().set_black_hole(0, true);
    let hanging = start(&session, 2);
    session.reconnect();
    let ended = in_time(hanging.answer()).await;
    let is_lost = matches!(
        ended,
        Err(SessionError::Interrupted(_) | SessionError::Closed(_))
    );
    assert!(is_lost, "{ended:?}");
    let mut states = session.watch();
    let closed = states.wait_for(|state| matches!(state, SessionState::Closed));
    in_time(closed).await.expect("the state is kept");
    let late = in_time(start(&session, 3).answer()).await;
    assert!(matches!(late, Err(SessionError::Closed(_))), "{late:?}");
    assert_eq!(server.counters().connections, 1);
}

/// ECHO of the embedded target: its data in are its CDB, and behind it its data out.
const ECHO: u8 = 0xd0;

fn echo(length: usize) -> Vec<u8> {
    let mut cdb: Vec<u8> = (0..=255).cycle().take(length).collect();
    cdb[0] = ECHO;
    cdb
}

#[tokio::test]
async fn long_cdbs_and_data_both_ways_arrive_whole() {
    let server = serve().await;
    server.faults().set_echo(true);
    for level in [0, 2] {
        let mut options = options(server.local_addrs()[0]);
        options.login.error_recovery_level = Some(level);
        let session = established(options).await;
        for length in [17, 32, 260] {
            let cdb = LongCdb::from_bytes(&echo(length)).unwrap();
            let answer = session.scsi_long(LunNumber::ZERO, cdb, Transfer::Read(512));
            assert_eq!(in_time(answer).await.unwrap().data, echo(length));

            let cdb = LongCdb::from_bytes(&echo(length)).unwrap();
            let write = pattern(300_000, 5);
            let both = Transfer::Both {
                write: write.clone(),
                read: 400_000,
            };
            let answer = in_time(session.scsi_long(LunNumber::ZERO, cdb, both))
                .await
                .unwrap();
            assert!(answer.data == [echo(length), write].concat(), "{length}");
        }
        let both = ScsiRequest {
            lun: LunNumber::ZERO,
            cdb: Cdb::from_bytes(&echo(16)).unwrap(),
            transfer: Transfer::Both {
                write: vec![7; 100],
                read: 50,
            },
        };
        let answer = in_time(session.scsi(both)).await.unwrap();
        assert_eq!(answer.data, [&echo(16)[..], &[7; 34]].concat(), "cut");
        session.logout().await;
    }
}

/// RFC 7144 §6.2: functions that a session has where both sides are at protocol level 2.
#[tokio::test]
async fn functions_of_protocol_level_2_are_carried_out_where_it_was_agreed() {
    let server = serve().await;
    for (level, fast_abort) in [(1, false), (2, true)] {
        let mut options = options(server.local_addrs()[0]);
        options.login.protocol_level = level;
        options.login.fast_abort = fast_abort;
        let session = established(options).await;
        let agreed = in_time(session.established()).await.unwrap();
        assert_eq!(agreed.parameters.protocol_level, level);
        assert_eq!(agreed.parameters.fast_abort, fast_abort);
        server.faults().set_black_hole(0, true);
        let before = server.counters().commands;
        let pending = start(&session, 1);
        let received = async {
            while server.counters().commands == before {
                tokio::task::yield_now().await;
            }
        };
        in_time(received).await;
        let ask = |function| {
            let lun = LunNumber::ZERO;
            session.manage(ManagementRequest { function, lun })
        };
        let there = if level == 2 { SUCCEEDED } else { NOT_SUPPORTED };
        assert_eq!(
            in_time(ask(TmfFunction::QueryTaskSet)).await.unwrap(),
            there
        );
        let ended = in_time(ask(TmfFunction::AbortTaskSet)).await.unwrap();
        assert_eq!(ended, COMPLETE);
        let error = in_time(pending.answer()).await.unwrap_err();
        assert!(matches!(error, SessionError::Aborted(_)), "{error}");
        // There is no task left.
        let none = if level == 2 { COMPLETE } else { NOT_SUPPORTED };
        assert_eq!(in_time(ask(TmfFunction::QueryTaskSet)).await.unwrap(), none);
        server.faults().set_black_hole(0, false);
        session.logout().await;
    }
}
