//! Reads and writes that go on while something is done to their session, all held against a model.

use hawser_block::{Operation, submit};
use hawser_engine::{
    DigestPolicy, LoginOptions, Lun, LunNumber, Session, SessionError, SessionEvent, SessionEvents,
    SessionOptions,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::machine::{RECOVERY, at};
use super::support::{LIMIT, login_options, pattern, view};

/// Bytes of one request.
pub(crate) const BLOCK: usize = 64 << 10;
/// Requests at once.
const BLOCKS: usize = 24;

/// It takes LIO more than the two seconds that it offers to look at a connection that its peer has closed. A session of
/// several that is made again before may break its kernel (see `alone`), and a lost connection still counts as one.
pub(crate) const TIME2WAIT: u16 = 4;

/// Options for the target that recovers: so many connections, this level, and digests or none.
pub(crate) fn wanting(
    address: std::net::SocketAddr,
    isid: u8,
    connections: u16,
    level: u8,
    digest: DigestPolicy,
) -> SessionOptions {
    let mut login = login_options();
    login.max_connections = 4;
    login.time2wait = TIME2WAIT;
    at_level(&mut login, level);
    login.header_digest = digest;
    login.data_digest = digest;
    let mut options = at(address, RECOVERY, isid, login);
    options.connections = connections;
    options
}

/// Asks for an error recovery level, and no other.
pub(crate) fn at_level(login: &mut LoginOptions, level: u8) {
    login.error_recovery_level = Some(level);
}

/// The digests that a test asks for.
pub(crate) fn digests(wanted: bool) -> DigestPolicy {
    if wanted {
        DigestPolicy::Crc32c
    } else {
        DigestPolicy::None
    }
}

/// Prints what was agreed on, and demands that it is what was asked for, on each connection.
pub(crate) async fn agreed(session: &Session, level: u8, digest: DigestPolicy) {
    let agreed = view(session).parameters;
    let connections = session.connections().await;
    println!(
        "LIO agreed: {} connections of MaxConnections={} ErrorRecoveryLevel={} HeaderDigest={} \
         DataDigest={} MaxOutstandingR2T={} DefaultTime2Wait={} DefaultTime2Retain={}",
        connections.len(),
        agreed.max_connections,
        agreed.error_recovery_level,
        agreed.header_digest,
        agreed.data_digest,
        agreed.max_outstanding_r2t,
        agreed.time2wait,
        agreed.time2retain,
    );
    let has_digests = digest == DigestPolicy::Crc32c;
    assert_eq!(agreed.max_connections, 4);
    for connection in connections {
        let own = &connection.login.parameters;
        assert_eq!(own.error_recovery_level, level);
        let digests = (own.header_digest, own.data_digest);
        assert_eq!(digests, (has_digests, has_digests));
    }
}

/// Waits until the session has so many connections.
pub(crate) async fn connections(session: &Session, count: usize) {
    let mut events = session.events();
    let there = async {
        while session.connections().await.len() != count {
            // Each change is told; one that was missed among many is looked at all the same.
            let told = events.recv().await;
            assert!(!matches!(told, Err(RecvError::Closed)), "it is closed");
        }
    };
    timeout(LIMIT, there).await.expect("in time");
}

/// The events so far, in words, without those that say nothing of a connection.
pub(crate) fn heard(events: &mut SessionEvents) -> Vec<String> {
    let mut heard = Vec::new();
    while let Ok(event) = events.try_recv() {
        match event {
            SessionEvent::Up(_) => heard.push("session up".to_owned()),
            SessionEvent::ConnectionUp(view) => heard.push(format!("CID {} up", view.cid)),
            SessionEvent::DiskChecked(_) => {}
            SessionEvent::Lost(why) => heard.push(format!("connection lost, session too: {why}")),
            SessionEvent::ConnectionLost { cid, why, .. } => {
                heard.push(format!("CID {cid} lost: {why}"));
            }
            SessionEvent::LoginFailed(failure) => heard.push(failure.to_string()),
            other => heard.push(format!("{other:?}")),
        }
    }
    heard
}

/// Prints what became of a fault: which means of recovery were used.
pub(crate) fn told(what: &str, session: &Session, events: &mut SessionEvents) {
    let counters = session.counters();
    println!(
        "{what}: {} digest errors seen, {} SNACKs, {} commands reassigned, {} sent again under a new tag, \
         {} ended without a status, {} timed out, {} task management functions, {} logins after the first",
        counters.digest_errors,
        counters.snacks,
        counters.reassigned_commands,
        counters.replayed_commands,
        counters.failed_commands,
        counters.timeouts,
        counters.management_functions,
        counters.reconnects,
    );
    for same in heard(events).chunk_by(|one, next| one == next) {
        let times = match same.len() {
            1 => String::new(),
            more => format!(" ({more} times)"),
        };
        println!("    {}{times}", same[0]);
    }
}

/// The disk of the target that recovers. What it is asked is never sent twice, and a fault may come then.
pub(crate) async fn disk(session: &Session) -> Lun {
    let opened = async {
        loop {
            match session.lun(LunNumber::from_number(0)).await {
                Err(SessionError::Interrupted(_)) => {}
                opened => return opened.unwrap(),
            }
        }
    };
    timeout(LIMIT, opened).await.expect("in time")
}

/// What the disk must hold, by the seeds of its blocks.
struct Model {
    disk: Lun,
    seeds: Vec<u64>,
    state: u64,
}

impl Model {
    /// Fills the blocks.
    async fn new(disk: Lun, seed: u64) -> Self {
        let mut model = Self {
            disk,
            seeds: vec![0; BLOCKS],
            state: seed,
        };
        model.round(|_| true).await;
        model
    }

    fn next_seed(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.state >> 20
    }

    /// One request to each block, all at once: a write where `writes` says so, else a read that is held
    /// against the model.
    async fn round(&mut self, writes: impl Fn(u64) -> bool) {
        let mut pending = Vec::new();
        for block in 0..BLOCKS {
            let seed = self.next_seed();
            let write = writes(seed);
            let (operation, data) = if write {
                self.seeds[block] = seed;
                (Operation::Write { fua: false }, pattern(BLOCK, seed))
            } else {
                (Operation::Read, vec![0xee; BLOCK])
            };
            let offset = (block * BLOCK) as u64;
            pending.push((block, write, submit(&self.disk, operation, offset, data)));
        }
        for (block, write, request) in pending {
            let (data, result) = timeout(LIMIT, request).await.expect("in time");
            result.unwrap();
            let expected = pattern(BLOCK, self.seeds[block]);
            assert!(write || data == expected, "block {block}");
        }
    }
}

/// Requests that go on behind the test.
pub(crate) struct Load {
    rounds: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Load {
    /// Fills a part of the disk, then reads and writes there until [`finish`](Self::finish).
    pub(crate) async fn start(disk: Lun, seed: u64) -> Self {
        let mut model = Model::new(disk, seed).await;
        let (done, rounds) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            while !*stopped.borrow() {
                model.round(|seed| seed % 2 == 0).await;
                done.send_modify(|rounds| *rounds += 1);
            }
            model.round(|_| false).await;
        });
        Self { rounds, stop, task }
    }

    /// Waits until the load has done so many rounds more.
    pub(crate) async fn rounds(&mut self, count: u64) {
        let until = *self.rounds.borrow() + count;
        let done = self.rounds.wait_for(|rounds| *rounds >= until);
        // Its failure tells `finish`, with its message.
        drop(timeout(LIMIT, done).await.expect("in time"));
    }

    /// Stops, and demands that all requests ended well and that the disk holds what was written.
    pub(crate) async fn finish(self) {
        self.stop.send_replace(true);
        timeout(LIMIT, self.task).await.expect("in time").unwrap();
    }
}
