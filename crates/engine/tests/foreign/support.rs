//! What the tests against all targets share.

use std::net::SocketAddr;
use std::time::Duration;

use hawser_block::{Operation, submit};
use hawser_engine::{
    ChapCredentials, ConnectionView, IscsiName, Isid, LoginFailure, LoginOptions, Lun, LunNumber,
    Portal, Secret, Session, SessionOptions, SessionState, SessionView,
};
use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

pub(crate) const TARGET: &str = "iqn.2026-11.test.hawser:target";
pub(crate) const USER: &str = "user1";
pub(crate) const SECRET: &str = "secretsecret1";
pub(crate) const MIB: u64 = 1 << 20;

/// How long anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn name(text: &str) -> IscsiName {
    IscsiName::parse(text).unwrap()
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

pub(crate) fn login_options() -> LoginOptions {
    LoginOptions::new(name("iqn.2026-11.test.hawser:initiator"))
}

pub(crate) fn chap(text: &str) -> LoginOptions {
    let mut login = login_options();
    login.chap = Some(ChapCredentials::one_way(USER, secret(text)));
    login
}

pub(crate) fn options(portal: SocketAddr, login: LoginOptions) -> SessionOptions {
    let isid = Isid::from_random([1, 2, 3, 4, 5]);
    let mut options = SessionOptions::new(login, name(TARGET), Portal::from(portal), isid);
    options.timeouts.backoff_first = Duration::from_millis(100);
    options.timeouts.backoff_longest = Duration::from_millis(500);
    options
}

/// Opens a session and waits until it is up.
pub(crate) async fn up(portal: SocketAddr, login: LoginOptions) -> Session {
    established(options(portal, login)).await
}

pub(crate) async fn established(options: SessionOptions) -> Session {
    let session = Session::open(options);
    timeout(LIMIT, session.established())
        .await
        .expect("in time")
        .expect("logged in");
    session
}

/// Opens a session that cannot be, and gives the failure of its first attempt.
pub(crate) async fn refused(options: SessionOptions) -> LoginFailure {
    let session = Session::open(options);
    let established = timeout(LIMIT, session.established());
    established.await.expect("in time").expect_err("refused")
}

pub(crate) fn view(session: &Session) -> SessionView {
    let SessionState::Up(view) = session.state() else {
        panic!("not up")
    };
    (*view).clone()
}

/// Waits until the session was made again `reconnects` times.
pub(crate) async fn logged_in_again(session: &Session, reconnects: u64) {
    let mut states = session.watch();
    let again = states
        .wait_for(|state| matches!(state, SessionState::Up(view) if view.reconnects >= reconnects));
    timeout(LIMIT, again)
        .await
        .expect("in time")
        .expect("the driver lives");
}

pub(crate) fn tgt(target: TgtTarget) -> Tgtd {
    Tgtd::start(TgtConfig::new().target(target)).expect("tgtd starts")
}

pub(crate) fn tgt_disks(count: usize) -> TgtTarget {
    TgtTarget::new(TARGET).disks(count, 64 * MIB)
}

/// Bytes that differ from block to block and from seed to seed.
pub(crate) fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    (0..length.div_ceil(4))
        .flat_map(|_| (next() as u32).to_le_bytes())
        .take(length)
        .collect()
}

/// The first disk: LUN 0 of tgt is always a controller.
pub(crate) async fn first_disk(session: &Session) -> Lun {
    for number in [0, 1] {
        let lun = session.lun(LunNumber::from_number(number)).await.unwrap();
        if lun.is_disk() {
            return lun;
        }
    }
    panic!("no disk at LUN 0 or 1");
}

pub(crate) async fn write(disk: &Lun, offset: u64, data: Vec<u8>) {
    let (_, result) = submit(disk, Operation::Write { fua: false }, offset, data).await;
    result.unwrap();
}

pub(crate) async fn read(disk: &Lun, offset: u64, length: usize) -> Vec<u8> {
    let (data, result) = submit(disk, Operation::Read, offset, vec![0xee; length]).await;
    result.unwrap();
    data
}

/// Writes and reads sizes around all limits of the negotiation.
pub(crate) async fn write_and_read(session: &Session) {
    let disk = first_disk(session).await;
    let sizes = [
        512,
        4096,
        8192,
        65_536,
        262_144,
        262_656,
        1 << 20,
        (1 << 20) + 512,
        5 << 20,
    ];
    for (seed, size) in (1..).zip(sizes) {
        let offset = seed * 7 * 512;
        let data = pattern(size, seed);
        write(&disk, offset, data.clone()).await;
        assert!(read(&disk, offset, size).await == data, "{size} bytes");
    }
    let (_, flushed) = submit(&disk, Operation::Flush, 0, Vec::new()).await;
    flushed.unwrap();
}

/// Submits `count` writes of `size` bytes, disturbs the session with `fault`, and demands that every
/// write ends well and is there.
pub(crate) async fn survive(
    session: &Session,
    count: u64,
    size: usize,
    seed: u64,
    fault: impl FnOnce(),
) {
    let disk = first_disk(session).await;
    let at = |i: u64| i * size as u64;
    let writes: Vec<_> = (0..count)
        .map(|i| {
            let data = pattern(size, seed + i);
            submit(&disk, Operation::Write { fua: false }, at(i), data)
        })
        .collect();
    // Lets some of them reach the target first.
    tokio::task::yield_now().await;
    fault();
    for write in writes {
        timeout(LIMIT, write).await.expect("in time").1.unwrap();
    }
    for i in 0..count {
        assert!(
            read(&disk, at(i), size).await == pattern(size, seed + i),
            "block {i}"
        );
    }
}

/// Offers keys of RFC 7143 and RFC 7144 to a target that does not know them.
pub(crate) async fn offer_newer_keys(portal: SocketAddr) {
    let mut login = login_options();
    login.protocol_level = 2;
    login.fast_abort = true;
    let session = up(portal, login).await;
    let agreed = view(&session).parameters;
    assert!(
        agreed.protocol_level == 1 && !agreed.fast_abort,
        "{agreed:?}"
    );
    write_and_read(&session).await;
    session.logout().await;
}

/// Waits until the session has so many connections; gives them.
pub(crate) async fn connections(session: &Session, count: usize) -> Vec<ConnectionView> {
    let mut events = session.events();
    let there = async {
        loop {
            let views = session.connections().await;
            if views.len() == count {
                return views;
            }
            // Each change is told; one that was missed among many is looked at all the same.
            let told = events.recv().await;
            assert!(!matches!(told, Err(RecvError::Closed)), "it is closed");
        }
    };
    timeout(LIMIT, there).await.expect("in time")
}
