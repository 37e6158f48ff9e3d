//! Many sessions in one daemon: they come up together, and an idle one takes little. The bars themselves are held
//! by `cargo xtask bench-scale`, with a release build; these bounds are for any build on any machine.

use std::time::{Duration, Instant};

use hawser_api::v1;
use hawser_daemon::ExportMode;
use hawser_target::{TargetHandle, TargetServer};

use super::support::{Asks, MIB, Place, Spawned, anywhere, in_time, now, ram, unit};
use hawser_target::TargetConfig;

const SESSIONS: u32 = 200;
/// Most memory of an idle session; with buffers of its own it took three times as much.
const MEMORY_LIMIT: u64 = 64 * 1024;
/// Longest that the daemon may take to say how it is.
const STATUS_LIMIT: Duration = Duration::from_millis(500);

fn name(number: u32) -> String {
    format!("iqn.2026-11.test.hawser:many.{number}")
}

async fn serve() -> TargetHandle {
    let mut server = TargetServer::builder().portal(anywhere());
    for number in 0..SESSIONS {
        let target = TargetConfig::new(&name(number)).unwrap();
        let disk = unit(ram(MIB), &name(number));
        server = server.target(target.lun(0, disk));
    }
    server.start().await.expect("it starts")
}

/// Resident memory of no file, in bytes.
fn memory(daemon: &Spawned) -> u64 {
    let pid = daemon.child.id().expect("it runs");
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    1024 * number.unwrap().parse::<u64>().unwrap()
}

async fn status(daemon: &Spawned) -> v1::GetStatusResponse {
    let request = v1::GetStatusRequest {};
    let answer = in_time(daemon.client.system().get_status(request)).await;
    answer.unwrap().into_inner()
}

/// Asks after each event, for events older than the last thousand are forgotten; a disk that is shown is told of.
async fn all_up(daemon: &Spawned) -> v1::GetStatusResponse {
    let request = v1::WatchEventsRequest {
        follow: true,
        ..v1::WatchEventsRequest::default()
    };
    let events = daemon.client.system().watch_events(request).await;
    let mut events = events.unwrap().into_inner();
    loop {
        let status = status(daemon).await;
        if status.sessions_connected == SESSIONS && status.disks == SESSIONS {
            return status;
        }
        let event = events.message().await.unwrap();
        event.expect("the daemon goes on telling");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_persistent_logins_come_up_and_idle_sessions_take_little() {
    let target = serve().await;
    let place = Place::new(ExportMode::Nbd);
    let daemon = place.spawn().await;
    let alone = memory(&daemon);
    daemon.add_portal(target.local_addrs()[0]).await.unwrap();
    for number in 0..SESSIONS {
        let stored = v1::LoginRequest {
            target_name: name(number),
            mode: v1::LoginMode::Store.into(),
            ..now()
        };
        daemon.login(stored).await.unwrap();
    }
    daemon.terminate().await;

    let daemon = place.spawn().await;
    let up = in_time(all_up(&daemon)).await;
    assert_eq!(
        (
            up.sessions,
            up.targets,
            up.persistent_logins,
            up.persistent_logins_waiting
        ),
        (SESSIONS, SESSIONS, SESSIONS, 0)
    );
    let begun = Instant::now();
    status(&daemon).await;
    let took = begun.elapsed();
    assert!(took < STATUS_LIMIT, "{took:?}");
    let each = memory(&daemon).saturating_sub(alone) / u64::from(SESSIONS);
    assert!(each < MEMORY_LIMIT, "{each} bytes a session");
    daemon.terminate().await;
}
