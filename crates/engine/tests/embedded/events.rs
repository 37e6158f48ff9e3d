//! Asynchronous messages and the target's own pings.

use hawser_engine::SessionEvent;
use hawser_target::TargetHandle;
use hawser_target::faults::AsyncEvent;

use super::support::{
    at_level_0, disk, established, event, logged_in_again, pattern, read, serve, survive, up, write,
};

fn send(server: &TargetHandle, code: u8, parameter2: u16, parameter3: u16) {
    let event = AsyncEvent {
        event: code,
        parameter2,
        parameter3,
        ..AsyncEvent::default()
    };
    server.faults().send_async(event);
}

#[tokio::test]
async fn a_logout_request_is_obeyed_and_the_session_comes_back() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    survive(&disk, 1, || send(&server, 1, 0, 3)).await;
    logged_in_again(&session, 1).await;
    session.logout().await;
}

#[tokio::test]
async fn announced_drops_are_lost_connections() {
    let server = serve().await;
    let session = established(at_level_0(server.local_addrs()[0])).await;
    let disk = disk(&session).await;
    for (round, code) in (1..).zip([2, 3]) {
        survive(&disk, round * 100, || send(&server, code, 0, 5)).await;
        logged_in_again(&session, round).await;
    }
    session.logout().await;
}

#[tokio::test]
async fn a_request_for_negotiation_and_vendor_events_leave_the_session_up() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    let mut events = session.events();
    for code in [4, 255] {
        send(&server, code, 0, 3);
        event(&mut events, |event| match event {
            SessionEvent::AsyncNotice { event } if event == code => Some(()),
            SessionEvent::Lost(why) => panic!("{why}"),
            _ => None,
        })
        .await;
        write(&disk, 0, pattern(4096, u64::from(code))).await;
    }
    session.logout().await;
}

#[tokio::test]
async fn sense_without_a_command_is_told() {
    let server = serve().await;
    let session = up(&server).await;
    let mut events = session.events();
    // REPORTED LUNS DATA HAS CHANGED, fixed format.
    let mut sense = vec![0; 18];
    (sense[0], sense[2], sense[7], sense[12], sense[13]) = (0x70, 0x06, 10, 0x3f, 0x0e);
    server.faults().send_async(AsyncEvent {
        event: 0,
        sense,
        ..AsyncEvent::default()
    });
    event(&mut events, |event| {
        matches!(event, SessionEvent::LunsChanged).then_some(())
    })
    .await;
    session.logout().await;
}

#[tokio::test]
async fn the_targets_pings_are_answered_whatever_their_tag() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    for tag in [0, 7, 0xffff_fffe, 0xffff_ffff] {
        server.faults().send_nop_in(tag);
        write(&disk, 0, pattern(512, u64::from(tag))).await;
        assert!(read(&disk, 0, 512).await == pattern(512, u64::from(tag)));
    }
    session.logout().await;
}
