//! A target of our own on a port of its own, and a session to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hawser_block::{Operation, submit};
use hawser_engine::{
    IscsiName, Isid, LoginOptions, Lun, LunNumber, Portal, Session, SessionEvent, SessionEvents,
    SessionOptions, SessionState,
};
use hawser_target::disk::{Backend, LogicalUnit, RamBackend, UnitIdentity};
use hawser_target::{TargetConfig, TargetHandle, TargetServer};

pub(crate) const TARGET: &str = "iqn.2026-11.test.hawser:embedded";
pub(crate) const MIB: u64 = 1 << 20;

/// How long anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A port that was free a moment ago, for targets that are to come back at the same place.
pub(crate) fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn unit(backend: Arc<dyn Backend>, key: &str) -> Arc<LogicalUnit> {
    Arc::new(LogicalUnit::new(backend, 512, UnitIdentity::from_key(key)).unwrap())
}

pub(crate) fn ram() -> Arc<dyn Backend> {
    Arc::new(RamBackend::new(16 * MIB).unwrap())
}

pub(crate) fn target() -> TargetConfig {
    TargetConfig::new(TARGET).unwrap()
}

pub(crate) async fn serve_at(address: SocketAddr, target: TargetConfig) -> TargetHandle {
    let server = TargetServer::builder().portal(address).target(target);
    server.start().await.expect("the target starts")
}

/// One RAM disk at LUN 0.
pub(crate) async fn serve() -> TargetHandle {
    serve_at(anywhere(), target().lun(0, unit(ram(), "disk"))).await
}

pub(crate) fn options(portal: SocketAddr) -> SessionOptions {
    let name = |text| IscsiName::parse(text).unwrap();
    let login = LoginOptions::new(name("iqn.2026-11.test.hawser:initiator"));
    let isid = Isid::from_random([9, 8, 7, 6, 5]);
    let mut options = SessionOptions::new(login, name(TARGET), Portal::from(portal), isid);
    options.timeouts.backoff_first = Duration::from_millis(50);
    options.timeouts.backoff_longest = Duration::from_millis(200);
    options
}

/// The same for a session that is made again when its connection is lost, and asks every disk who it is.
pub(crate) fn at_level_0(portal: SocketAddr) -> SessionOptions {
    let mut options = options(portal);
    options.login.error_recovery_level = Some(0);
    options
}

pub(crate) async fn established(options: SessionOptions) -> Session {
    let session = Session::open(options);
    in_time(session.established()).await.expect("logged in");
    session
}

pub(crate) async fn up(server: &TargetHandle) -> Session {
    established(options(server.local_addrs()[0])).await
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

pub(crate) async fn disk(session: &Session) -> Lun {
    in_time(session.lun(LunNumber::ZERO)).await.unwrap()
}

pub(crate) async fn logged_in_again(session: &Session, reconnects: u64) {
    let mut states = session.watch();
    let again = states
        .wait_for(|state| matches!(state, SessionState::Up(view) if view.reconnects >= reconnects));
    in_time(again).await.expect("the driver lives");
}

/// Waits for the event that `wanted` picks.
pub(crate) async fn event<T>(
    events: &mut SessionEvents,
    mut wanted: impl FnMut(SessionEvent) -> Option<T>,
) -> T {
    loop {
        if let Some(found) = wanted(in_time(events.recv()).await.expect("events go on")) {
            return found;
        }
    }
}

pub(crate) fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let step = 2_654_435_761_u64.wrapping_mul(seed * 2 + 1);
    (0..length as u64)
        .map(|i| ((i / 8 + seed).wrapping_mul(step) >> 24) as u8)
        .collect()
}

pub(crate) async fn write(disk: &Lun, offset: u64, data: Vec<u8>) {
    in_time(submit(disk, Operation::Write { fua: false }, offset, data))
        .await
        .1
        .unwrap();
}

pub(crate) async fn read(disk: &Lun, offset: u64, length: usize) -> Vec<u8> {
    let (data, result) = in_time(submit(disk, Operation::Read, offset, vec![0; length])).await;
    result.unwrap();
    data
}

/// 64 writes are under way while `fault` strikes: all end well, and all are there.
pub(crate) async fn survive(disk: &Lun, seed: u64, fault: impl FnOnce()) {
    const SIZE: usize = 64 * 1024;
    let at = |i: u64| i * SIZE as u64;
    let writes: Vec<_> = (0..64)
        .map(|i| {
            submit(
                disk,
                Operation::Write { fua: false },
                at(i),
                pattern(SIZE, seed + i),
            )
        })
        .collect();
    tokio::task::yield_now().await;
    fault();
    for write in writes {
        in_time(write).await.1.unwrap();
    }
    for i in 0..64 {
        assert!(
            read(disk, at(i), SIZE).await == pattern(SIZE, seed + i),
            "block {i}"
        );
    }
}
