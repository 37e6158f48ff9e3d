//! A session with LIO through a proxy that breaks things.

use std::time::Duration;

use hawser_engine::{Counters, DigestPolicy, Hold, Policy, Session, SessionEvent};
use hawser_testkit::proxy::{Direction, Fault, FaultyProxy};
use tokio::sync::broadcast::Receiver;

use super::load::{Load, agreed, connections, told, wanting};
use super::machine::lio;
use super::support::established;

/// What is agreed on and what breaks.
pub(crate) struct Plan<'a> {
    pub(crate) isid: u8,
    pub(crate) connections: u16,
    pub(crate) level: u8,
    pub(crate) digest: DigestPolicy,
    pub(crate) policy: Policy,
    /// Data-Out leaves only when it is asked for.
    pub(crate) solicited: bool,
    /// The time limit of a command.
    pub(crate) command: Option<Duration>,
    /// Silence before a ping, and after it.
    pub(crate) ping: Option<Duration>,
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
            solicited: false,
            command: None,
            ping: None,
            faults: &[],
        }
    }
}

/// The session, and what it has told.
pub(crate) struct Through {
    pub(crate) proxy: FaultyProxy,
    pub(crate) session: Session,
    pub(crate) events: Receiver<SessionEvent>,
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
        options.hold = Hold::Forever;
        options.policy = plan.policy;
        options.login.initial_r2t = plan.solicited;
        options.login.immediate_data = !plan.solicited;
        if let Some(command) = plan.command {
            options.timeouts.command = command;
        }
        if let Some(ping) = plan.ping {
            options.timeouts.ping_interval = ping;
            options.timeouts.ping_timeout = ping;
        }
        let session = established(options).await;
        connections(&session, usize::from(count)).await;
        agreed(&session, level, digest);
        let events = session.events();
        Self {
            proxy,
            session,
            events,
        }
    }

    /// Reads and writes until `is_over`, and a little longer; tells what became of it. No request may
    /// have failed.
    pub(crate) async fn loaded(
        &mut self,
        what: &str,
        is_over: impl Fn(&FaultyProxy) -> bool,
    ) -> Counters {
        let mut load = Load::start(&self.session, 3).await;
        while !is_over(&self.proxy) {
            load.rounds(1).await;
        }
        load.rounds(2).await;
        load.finish().await;
        told(what, &self.session, &mut self.events);
        self.session.counters()
    }
}
