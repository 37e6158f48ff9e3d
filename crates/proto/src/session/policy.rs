//! Which connection takes the next command.
//!
//! Commands wait in one queue and are numbered as they leave, on whichever connection takes them, so
//! their order is that of the queue. A connection whose socket is full takes none and holds up none.

use super::Session;
use super::task::State;

/// How commands are shared out among the connections of a session. It can be changed at any time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Each connection in turn.
    #[default]
    RoundRobin,
    /// The connection that has the fewest commands under way.
    LeastQueueDepth,
    /// The first connection alone; the others stand by for its loss.
    FailOver,
    /// Each in turn, as many commands as its weight: pairs of CID and weight. A connection that is
    /// not named has weight 1; one of weight 0 takes commands only when no other can.
    Weighted(Vec<(u16, u16)>),
}

/// Commands that a connection takes in one turn at most: enough to fill a write, few enough that the
/// others do not wait.
const MAX_TURN: u32 = 16;

impl Session {
    /// Changes how commands are shared out.
    pub fn set_policy(&mut self, policy: Policy) {
        self.config.policy = policy;
        for connection in &mut self.connections {
            connection.credit = 0;
        }
    }

    /// Looks at what the policy goes by, before a batch is filled: so no command pays for it.
    pub(super) fn weigh(&mut self) {
        if self.config.policy != Policy::LeastQueueDepth {
            return;
        }
        for connection in &mut self.connections {
            connection.depth = 0;
        }
        for (_, task) in self.tasks.iter() {
            let State::Sent { link, .. } = task.state else {
                continue;
            };
            let on = |c: &&mut super::Connection| c.link == link;
            if let Some(connection) = self.connections.iter_mut().find(on) {
                connection.depth += 1;
            }
        }
    }

    /// This connection, one of several, may take the next command.
    pub(super) fn takes(&mut self, index: usize) -> bool {
        match self.config.policy {
            Policy::FailOver => self.connections.iter().position(|c| c.is_usable()) == Some(index),
            Policy::LeastQueueDepth => self.is_least_busy(index),
            Policy::RoundRobin | Policy::Weighted(_) => self.has_turn(index),
        }
    }

    /// How many commands a turn is: what waits, shared out evenly.
    fn turn(&self) -> u32 {
        let waiting = self.ready.len() + self.urgent.len();
        let available = self.connections.iter().filter(|c| c.is_available()).count();
        let share = waiting.div_ceil(available.max(1));
        u32::try_from(share).unwrap_or(u32::MAX).clamp(1, MAX_TURN)
    }

    fn is_least_busy(&mut self, index: usize) -> bool {
        let turn = self.turn();
        let available = |(at, c): &(usize, &super::Connection)| *at != index && c.is_available();
        let others = self.connections.iter().enumerate().filter(available);
        let least = others.map(|(_, c)| c.depth).min();
        let Some(connection) = self.connections.get_mut(index) else {
            return false;
        };
        let takes = least.is_none_or(|least| connection.depth < least.saturating_add(turn));
        connection.depth += u32::from(takes);
        takes
    }

    fn has_turn(&mut self, index: usize) -> bool {
        if self.take_credit(index) {
            return true;
        }
        // Another may still have its turn; it is polled next.
        if self
            .connections
            .iter()
            .any(|c| c.is_available() && c.credit > 0)
        {
            return false;
        }
        let turn = self.turn();
        let policy = &self.config.policy;
        for connection in &mut self.connections {
            connection.credit = turn * policy.weight(connection.cid);
        }
        // With weight 0 it may go only where no other can.
        let alone = !self
            .connections
            .iter()
            .any(|c| c.is_available() && c.credit > 0);
        self.take_credit(index) || alone
    }

    fn take_credit(&mut self, index: usize) -> bool {
        let connection = self.connections.get_mut(index).filter(|c| c.credit > 0);
        connection.map(|c| c.credit -= 1).is_some()
    }
}

impl Policy {
    fn weight(&self, cid: u16) -> u32 {
        let Self::Weighted(weights) = self else {
            return 1;
        };
        let named = weights.iter().find(|(named, _)| *named == cid);
        named.map_or(1, |(_, weight)| u32::from(*weight))
    }
}
