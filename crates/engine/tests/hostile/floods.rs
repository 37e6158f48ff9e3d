//! Targets that say more than anybody asked.

use std::time::{Duration, Instant};

use hawser_engine::SessionError;

use super::peer::{
    DATA_IN, LIMIT, NONE, NOP_IN, Pdu, R2T, SCSI_COMMAND, SCSI_RESPONSE, lost, peak_memory, read,
    up, write,
};

/// Abort, reset, drop: three times 300 ms; the rest is for a machine with other things to do.
const END: Duration = LIMIT.checked_div(2).unwrap();

/// More than a session needs; less than what a flood of some seconds could fill.
const MEMORY: u64 = 64 << 20;

#[tokio::test]
async fn data_beyond_what_was_asked_for() {
    let (session, mut events) = up(
        |_| {},
        |peer| {
            let Some(request) = peer.await_request(SCSI_COMMAND) else {
                return;
            };
            for sn in 0_u32.. {
                let data = Pdu::new(DATA_IN, request.itt()).flags(0).put(20, NONE);
                let data = data.put(36, sn).put(40, sn * 512).data(&[1; 512]);
                if peer.say(data).is_err() {
                    return;
                }
            }
        },
    )
    .await;
    let error = read(&session, 4).await.unwrap_err();
    assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
    let why = lost(&mut events).await;
    assert!(why.contains("outside the expected 2048"), "{why}");
    session.logout().await;
}

#[tokio::test]
async fn more_r2ts_than_agreed() {
    let (session, mut events) = up(
        |_| {},
        |peer| {
            let Some(request) = peer.await_request(SCSI_COMMAND) else {
                return;
            };
            let pdus: Vec<u8> = (0..100)
                .flat_map(|sn| {
                    let r2t = Pdu::new(R2T, request.itt()).put(20, 1).put(36, sn);
                    peer.number(r2t.put(44, 512)).bytes()
                })
                .collect();
            peer.flood(&pdus);
        },
    )
    .await;
    write(&session, 128).await.unwrap_err();
    let why = lost(&mut events).await;
    assert!(why.contains("R2T"), "{why}");
    session.logout().await;
}

/// Every one of them is in order, and the command never ends.
#[tokio::test]
async fn nothings_without_end_for_one_command() {
    for r2t in [false, true] {
        let (session, _events) = up(
            |_| {},
            move |peer| {
                let Some(request) = peer.await_request(SCSI_COMMAND) else {
                    return;
                };
                for sn in 0_u32.. {
                    let pdu = if r2t {
                        let r2t = Pdu::new(R2T, request.itt()).put(20, 1).put(36, sn);
                        r2t.put(44, 4)
                    } else {
                        let data = Pdu::new(DATA_IN, request.itt()).flags(0).put(20, NONE);
                        data.put(36, sn)
                    };
                    // Each R2T is answered before the next.
                    if peer.say(pdu).is_err() || (r2t && peer.take().is_none()) {
                        return;
                    }
                }
            },
        )
        .await;
        let began = Instant::now();
        let ended = match r2t {
            true => write(&session, 4).await,
            false => read(&session, 4).await,
        };
        ended.unwrap_err();
        assert!(began.elapsed() < END, "after {:?}", began.elapsed());
        session.logout().await;
    }
}

/// It never comes to rest, its own answers find no reader, and yet its clock goes on: the command is
/// aborted, its unit reset, the connection dropped.
#[tokio::test]
async fn pings_without_end_whose_answers_nobody_reads() {
    for ttt in [NONE, 7] {
        let before = peak_memory();
        let (session, _events) = up(
            |_| {},
            move |peer| {
                peer.await_request(SCSI_COMMAND);
                let ping = Pdu::new(NOP_IN, NONE).put(20, ttt);
                let pings = peer.number(ping).bytes().repeat(1000);
                peer.flood(&pings);
            },
        )
        .await;
        let began = Instant::now();
        let error = read(&session, 4).await.unwrap_err();
        assert!(began.elapsed() < END, "after {:?}", began.elapsed());
        assert!(
            matches!(
                error,
                SessionError::TimedOut(_) | SessionError::Interrupted(_)
            ),
            "{error}"
        );
        session.logout().await;
        let grown = peak_memory() - before;
        assert!(grown < MEMORY, "{grown} bytes");
    }
}

/// It answers the command although it has not read all of it, reads no more, and goes on talking.
#[tokio::test]
async fn a_target_that_stops_reading_and_goes_on_talking() {
    let (session, mut events) = up(
        |options| options.login.initial_r2t = false,
        |peer| {
            let Some(first) = peer.await_request(SCSI_COMMAND) else {
                return;
            };
            // More data than sockets hold is on its way when the answer comes.
            let r2t = Pdu::new(R2T, first.itt()).put(20, 1).put(44, 262_144);
            drop(peer.say(r2t));
            for sn in 1..64 {
                let offset = sn * 262_144;
                let r2t = Pdu::new(R2T, first.itt()).put(20, 1).put(36, sn);
                let Some(_) = peer.await_request(0x05) else {
                    return;
                };
                if sn == 4 {
                    break;
                }
                let mut last = false;
                while !last {
                    let Some(data) = peer.take() else { return };
                    last = data.header[1] & 0x80 != 0;
                }
                drop(peer.say(r2t.put(40, offset).put(44, 262_144)));
            }
            drop(peer.say(Pdu::new(SCSI_RESPONSE, first.itt())));
            let ping = Pdu::new(NOP_IN, NONE).put(20, NONE);
            let ping = peer.number(ping).bytes();
            while std::io::Write::write_all(&mut peer.stream, &ping).is_ok() {
                // The pace of the peer, not of the test.
                std::thread::sleep(Duration::from_millis(20));
            }
        },
    )
    .await;
    let began = Instant::now();
    drop(write(&session, 16 * 2048).await);
    drop(write(&session, 16 * 2048).await);
    assert!(began.elapsed() < END, "after {:?}", began.elapsed());
    lost(&mut events).await;
    session.logout().await;
}
