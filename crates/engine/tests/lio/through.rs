//! A session with LIO through a proxy that breaks things.

use std::time::Duration;

use hawser_engine::{Counters, DigestPolicy, Hold, Policy, Session, SessionEvents};
use hawser_testkit::proxy::{Direction, Fault, FaultyProxy};
use tokio::time::timeout;

use super::load::{Load, TIME2WAIT, agreed, connections, disk, told, wanting};
use super::machine::lio;
use super::support::{LIMIT, established};

/// How the data of writes leaves (RFC 7143 §13.10, §13.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// In the command.
    Immediate,
    /// Behind it, without being asked for.
    Unsolicited,
    /// When it is asked for.
    Solicited,
}

/// What is agreed on and what breaks.
pub(crate) struct Plan<'a> {
    pub(crate) isid: u8,
    pub(crate) connections: u16,
    pub(crate) level: u8,
    pub(crate) digest: DigestPolicy,
    pub(crate) policy: Policy,
    pub(crate) written: Written,
    /// The time limit of a command.
    pub(crate) command: Option<Duration>,
    /// Silence before a ping, and after it.
    pub(crate) ping: Option<(Duration, Duration)>,
    /// How long requests wait for a session that is lost.
    pub(crate) hold: Hold,
    /// `DefaultTime2Wait` offered; LIO offers 2.
    pub(crate) time2wait: u16,
    /// Connection by number, in the order in which the proxy got them.
    pub(crate) faults: &'a [(u64, Direction, Fault)],
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            isid: 0,
            connections: 1,
            level: 0,
            digest: DigestPolicy::None,
            policy: Policy::RoundRobin,
            written: Written::Immediate,
            command: None,
            ping: None,
            hold: Hold::Forever,
            time2wait: TIME2WAIT,
            faults: &[],
        }
    }
}

/// The session, and what it has told.
pub(crate) struct Through {
    pub(crate) proxy: FaultyProxy,
    pub(crate) session: Session,
    pub(crate) events: SessionEvents,
    faults: Vec<(u64, Direction, Fault)>,
}

impl Through {
    /// Logs in with all connections.
    pub(crate) async fn new(plan: Plan<'_>) -> Self {
        let proxy = FaultyProxy::start(lio()).await.unwrap();
        for &(connection, direction, fault) in plan.faults {
            proxy.plan(connection, direction, fault);
        }
        let (count, level, digest) = (plan.connections, plan.level, plan.digest);
        let mut options = wanting(proxy.address(), plan.isid, count, level, digest);
        options.hold = plan.hold;
        options.login.time2wait = plan.time2wait;
        options.policy = plan.policy;
        options.login.initial_r2t = plan.written == Written::Solicited;
        options.login.immediate_data = plan.written == Written::Immediate;
        if let Some(command) = plan.command {
            options.timeouts.command = command;
        }
        if let Some((before, after)) = plan.ping {
            options.timeouts.ping_interval = before;
            options.timeouts.ping_timeout = after;
        }
        let session = established(options).await;
        connections(&session, usize::from(count)).await;
        agreed(&session, level, digest).await;
        let events = session.events();
        Self {
            proxy,
            session,
            events,
            faults: plan.faults.to_vec(),
        }
    }

    /// The bytes that were to be damaged have all been passed on.
    pub(crate) fn is_damaged(&self) -> bool {
        self.faults.iter().all(|&(connection, direction, fault)| {
            let passed = self.proxy.passed(connection, direction);
            matches!(fault, Fault::CorruptAt { at, .. } if at < passed)
        })
    }

    /// Waits until `is_over`, without a request.
    pub(crate) async fn idle(&self, is_over: impl Fn(&Self) -> bool) {
        let over = async {
            while !is_over(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, over).await.expect("in time");
    }

    /// Reads and writes until `is_over`, and a little longer; tells what became of it. No request may
    /// fail.
    pub(crate) async fn loaded(&mut self, what: &str, is_over: impl Fn(&Self) -> bool) -> Counters {
        let mut load = Load::start(disk(&self.session).await, 3).await;
        while !is_over(self) {
            load.rounds(1).await;
        }
        load.rounds(2).await;
        load.finish().await;
        told(what, &self.session, &mut self.events);
        self.session.counters()
    }
}
