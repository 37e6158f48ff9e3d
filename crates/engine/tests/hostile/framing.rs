//! Broken PDUs, ends and silence in the full feature phase.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use hawser_engine::SessionError;

use super::peer::{
    DATA_IN, NONE, NOP_IN, NOP_OUT, Pdu, SCSI_COMMAND, SCSI_RESPONSE, in_time, lost, read, up,
};

#[tokio::test]
async fn what_cannot_be_read_ends_the_connection_by_name() {
    let huge_ahs = {
        let mut pdu = Pdu::new(SCSI_RESPONSE, 0);
        pdu.header[4] = 0xff;
        pdu
    };
    for (pdu, words) in [
        (Pdu::new(0x1f, 0), "opcode"),
        (Pdu::new(0x3e, 0), "opcode"),
        (Pdu::new(SCSI_RESPONSE, 0).length(0x00ff_ffff), "16777215"),
        (huge_ahs, "header"),
        (Pdu::new(SCSI_RESPONSE, 0x1234_5678), "0x12345678"),
        (Pdu::new(0x23, 0), "login"),
    ] {
        let (session, mut events) = up(
            |_| {},
            move |peer| {
                peer.await_request(SCSI_COMMAND);
                drop(peer.say(pdu.clone()));
                peer.flood(&[0; 4096]);
            },
        )
        .await;
        let error = read(&session, 1).await.unwrap_err();
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
        let why = lost(&mut events).await;
        assert!(why.contains(words), "{why}");
        session.logout().await;
    }
}

/// In a header, behind one, in a payload that is read straight to its place and in one that is not.
#[tokio::test]
async fn an_end_anywhere_is_a_lost_connection() {
    for (length, sent) in [(0, 0), (0, 20), (4096, 48), (4096, 2000), (65_536, 60_000)] {
        let (session, mut events) = up(
            |_| {},
            move |peer| {
                let Some(request) = peer.await_request(SCSI_COMMAND) else {
                    return;
                };
                let pdu = Pdu::new(DATA_IN, request.itt()).put(20, NONE);
                let pdu = peer.number(pdu.data(&vec![7; length]));
                drop(peer.stream.write_all(&pdu.bytes()[..sent]));
            },
        )
        .await;
        let error = read(&session, 128).await.unwrap_err();
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
        let why = lost(&mut events).await;
        assert!(why.contains("closed") || why.contains("reset"), "{why}");
        session.logout().await;
    }
}

#[tokio::test]
async fn silence_anywhere_is_noticed_by_the_ping() {
    for sent in [0, 20, 48, 2000] {
        let (session, mut events) = up(
            |options| {
                options.timeouts.ping_interval = Duration::from_millis(200);
                options.timeouts.ping_timeout = Duration::from_millis(200);
                options.timeouts.command = Duration::from_secs(60);
            },
            move |peer| {
                let Some(request) = peer.await_request(SCSI_COMMAND) else {
                    return;
                };
                let pdu = Pdu::new(DATA_IN, request.itt()).put(20, NONE);
                let pdu = peer.number(pdu.data(&[7; 4096]));
                drop(peer.stream.write_all(&pdu.bytes()[..sent]));
                peer.sit();
            },
        )
        .await;
        let error = read(&session, 8).await.unwrap_err();
        assert!(matches!(error, SessionError::Interrupted(_)), "{error}");
        let why = lost(&mut events).await;
        assert!(why.contains("nothing heard"), "{why}");
        session.logout().await;
    }
}

/// A read that fills the whole buffer leaves open whether there is more: the answer is to ask again,
/// not to sleep. The runtime's only thread is held up until all has arrived, so that the session finds
/// just as much; and nothing but the target's ping can wake it then.
#[tokio::test]
async fn a_read_that_empties_the_socket_to_the_byte_is_not_the_last() {
    const SCRATCH: usize = 64 * 1024;
    let (told, written) = mpsc::channel();
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let (tell, go_on) = mpsc::channel();
    let (session, _events) = up(
        |_| {},
        move |peer| {
            let quiet = Pdu::new(NOP_IN, NONE).put(20, NONE);
            let (plain, rest) = (SCRATCH / 48 - 1, SCRATCH % 48);
            let mut bytes = peer.number(quiet.clone()).bytes().repeat(plain);
            bytes.extend(peer.number(quiet.clone().data(&vec![0; rest])).bytes());
            assert_eq!(bytes.len(), SCRATCH);
            while go_on.recv().is_ok() {
                peer.stream.write_all(&bytes).unwrap();
                told.send(()).unwrap();
                let Ok(()) = go_on.recv() else { return };
                drop(peer.say(quiet.clone().put(20, 7)));
                let answer = peer.take().map(|pdu| (pdu.opcode(), pdu.word(20)));
                answered.send(answer).unwrap();
            }
        },
    )
    .await;
    for _ in 0..8 {
        tell.send(()).unwrap();
        written.recv().unwrap();
        // The session reads all of it, and goes to sleep.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        tell.send(()).unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(5), answers.recv());
        let answer = answer.await.expect("the session hears");
        assert_eq!(answer, Some(Some((NOP_OUT, 7))));
    }
    drop(tell);
    in_time(session.logout()).await;
}
