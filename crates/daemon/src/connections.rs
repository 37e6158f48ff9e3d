//! The connections of a session: how many a login asks for, which ids they have, how they are added, removed and
//! given their share of the commands.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hawser_api::v1::ConnectionPolicy;
use hawser_api::{Failure, Status, v1};
use hawser_engine::{
    ConnectionOptions, DigestPolicy, IscsiName, JoinError, MAX_CONNECTIONS, MembershipError,
    Policy, SessionView,
};
use hawser_store as store;
use tokio::sync::broadcast::error::RecvError;

use crate::daemon::Daemon;
use crate::events::News;
use crate::initiators::{self, INSTANCE};
use crate::sessions::Entry;
use crate::{convert, failures, ipsec, logins, radius};

/// Longest time that a removal is waited for: the engine's own limits end it earlier.
const REMOVAL_LIMIT: Duration = Duration::from_secs(60);

/// `MaxConnections` that a login offers.
pub(crate) fn offered(options: &store::LoginOptions) -> u16 {
    let most = options.max_connections.or(options.connections);
    most.map_or(1, |most| u16::try_from(most).unwrap_or(u16::MAX))
}

/// Connections that a login makes.
pub(crate) fn wanted(options: &store::LoginOptions) -> u16 {
    let wanted = options.connections.unwrap_or(1);
    let wanted = u16::try_from(wanted).unwrap_or(u16::MAX);
    wanted.clamp(1, offered(options).max(1))
}

/// `ErrorRecoveryLevel` that a login offers; `None`: the highest that is safe with the target.
pub(crate) fn level(options: &store::LoginOptions, default: Option<u8>) -> Option<u8> {
    let given = options.error_recovery_level;
    given.and_then(|level| u8::try_from(level).ok()).or(default)
}

/// A connection that is, with its number.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// What its login brought.
    pub(crate) view: Arc<SessionView>,
    /// The half of its id that names it: no other connection has had it.
    pub(crate) number: u64,
}

/// What is kept of a session's connections.
#[derive(Debug, Default)]
pub(crate) struct Members {
    known: Vec<Member>,
    /// CIDs of those that are being removed by request.
    parting: BTreeSet<u16>,
    /// How the commands are shared out.
    policy: Policy,
}

impl Members {
    /// The connections that are now; those that were not seen before get a number from `fresh`.
    pub(crate) fn now(
        &mut self,
        present: Vec<Arc<SessionView>>,
        mut fresh: impl FnMut() -> u64,
    ) -> Vec<Member> {
        let member = |view: Arc<SessionView>| {
            let mut known = self.known.iter();
            let number = known.find(|known| Arc::ptr_eq(&known.view, &view));
            let number = number.map_or_else(&mut fresh, |known| known.number);
            Member { view, number }
        };
        self.known = present.into_iter().map(member).collect();
        self.known.clone()
    }

    /// The connection is being removed by request.
    pub(crate) fn is_parting(&self, cid: u16) -> bool {
        self.parting.contains(&cid)
    }

    /// The connection has gone, or stays after all; whether it was being removed by request.
    pub(crate) fn parted(&mut self, cid: u16) -> bool {
        self.parting.remove(&cid)
    }

    /// Begins the removal of a connection, if it may be removed: its CID, else the status that says why not.
    fn part(&mut self, number: u64, is_ending: bool) -> Result<u16, Status> {
        let at = self.known.iter().position(|known| known.number == number);
        let at = at.ok_or(Status::INVALID_CONNECTION_ID)?;
        let cid = self.known.get(at).map_or(0, |known| known.view.cid);
        if is_ending || self.is_parting(cid) {
            return Err(Status::REMOVE_CONNECTION_IN_PROGRESS);
        }
        let stay = |known: &&Member| !self.is_parting(known.view.cid);
        if self.known.iter().filter(stay).count() <= 1 {
            return Err(Status::CANT_REMOVE_LAST_CONNECTION);
        }
        if at == 0 {
            return Err(Status::CANNOT_REMOVE_LEADING_CONNECTION);
        }
        self.parting.insert(cid);
        Ok(cid)
    }

    /// The policy as the RPC shows it.
    pub(crate) fn show_policy(&self) -> (ConnectionPolicy, Vec<v1::ConnectionWeight>) {
        match &self.policy {
            Policy::RoundRobin => (ConnectionPolicy::RoundRobin, Vec::new()),
            Policy::LeastQueueDepth => (ConnectionPolicy::LeastQueueDepth, Vec::new()),
            Policy::FailOver => (ConnectionPolicy::FailOver, Vec::new()),
            Policy::Weighted(weights) => {
                let weight = |&(cid, weight): &(u16, u16)| v1::ConnectionWeight {
                    cid: cid.into(),
                    weight: weight.into(),
                };
                let weights = weights.iter().map(weight).collect();
                (ConnectionPolicy::Weighted, weights)
            }
            _ => (ConnectionPolicy::Unspecified, Vec::new()),
        }
    }
}

/// Adds a connection and waits for it.
pub(crate) async fn add(
    daemon: &Daemon,
    request: v1::AddConnectionRequest,
) -> Result<v1::ConnectionId, Failure> {
    let entry = daemon
        .sessions
        .get(request.session_id.unwrap_or_default())?;
    if entry.is_ending() {
        return Err(busy(&entry));
    }
    let options = options_in(daemon, &entry, request)?;
    let limit = entry.view().map_or_else(
        || offered(&entry.origin.options),
        |view| view.parameters.max_connections,
    );
    let limit = limit.min(MAX_CONNECTIONS);
    // The leading connection of a session that is lost comes back.
    if entry.members().len().max(1) >= usize::from(limit) {
        return Err(full(&entry, limit));
    }
    let joined = entry.engine.join(options).await;
    let view = joined.map_err(|error| refused(&entry, &error))?;
    Ok(entry.connection_id(&view))
}

/// What a request says of the connection, checked.
fn options_in(
    daemon: &Daemon,
    entry: &Entry,
    request: v1::AddConnectionRequest,
) -> Result<ConnectionOptions, Failure> {
    let mut initiator = convert::initiator_in(request.initiator);
    if initiator.port_number.is_some() && initiator.instance.is_empty() {
        INSTANCE.clone_into(&mut initiator.instance);
    }
    let initiator = initiators::resolve(initiator)?;
    let portal = convert::portal_in(request.portal)?;
    convert::key_in(request.preshared_key)?;
    let options = convert::options_in(request.login_options.unwrap_or_default())?;
    ipsec::check_flags(request.security_flags)?;
    ipsec::refuse(request.security_flags, options.login_flags)?;
    radius::refuse(options.login_flags)?;
    let digest = |digest: Option<store::Digest>| {
        digest.map(|digest| match digest {
            store::Digest::None => DigestPolicy::None,
            store::Digest::Crc32c => DigestPolicy::Crc32c,
            store::Digest::PreferCrc32c => DigestPolicy::PreferCrc32c,
        })
    };
    let says_chap = options.auth_type.is_some()
        || options.username.is_some()
        || options.secret.is_some()
        || options.mutual_username.is_some()
        || options.mutual_secret.is_some();
    let chap = || {
        let name = &entry.origin.initiator_name;
        let name = IscsiName::parse(name)
            .map_err(|error| Failure::new(Status::NON_SPECIFIC_ERROR, error.to_string()))?;
        logins::login_options(daemon, name, &options).map(|login| login.chap)
    };
    Ok(ConnectionOptions {
        portal: portal.as_ref().map(convert::engine_portal).transpose()?,
        source: initiators::source(&initiator)?,
        header_digest: digest(options.header_digest),
        data_digest: digest(options.data_digest),
        chap: says_chap.then(chap).transpose()?,
    })
}

fn busy(entry: &Entry) -> Failure {
    let target = &entry.origin.target;
    let message = format!("the session with {target} is being logged out");
    Failure::new(Status::SESSION_BUSY, message).with_target(target)
}

fn full(entry: &Entry, limit: u16) -> Failure {
    let target = &entry.origin.target;
    let agreed = match limit {
        1 => "one connection, which it has".to_owned(),
        limit => format!("{limit} connections, which it has"),
    };
    let message = format!("the session with {target} allows {agreed}");
    Failure::new(Status::TOO_MANY_CONNECTIONS, message)
        .with_target(target)
        .with_advice(
            "log in with --max-connections, if the target agrees to more; a further session, with login flag 0x2 \
             (multi-path), is a second path too",
        )
}

fn refused(entry: &Entry, error: &JoinError) -> Failure {
    let target = &entry.origin.target;
    match error {
        JoinError::Login(failure) => failures::of_login(failure),
        JoinError::Membership(MembershipError::TooMany(limit)) => full(entry, *limit),
        JoinError::Membership(_) => busy(entry),
        _ => {
            let message = format!("the session with {target} is lost: there is nothing to join");
            Failure::new(Status::NO_CONNECTION_AVAILABLE, message)
                .with_target(target)
                .with_advice("it is being made again: try again when it is back")
        }
    }
}

/// Removes a connection and waits until it is gone.
pub(crate) async fn remove(
    daemon: &Daemon,
    request: &v1::RemoveConnectionRequest,
) -> Result<(), Failure> {
    let entry = daemon
        .sessions
        .get(request.session_id.unwrap_or_default())?;
    let id = request.connection_id.unwrap_or_default();
    let not_removed = |status| not_removed(&entry, id, status);
    let members = entry.members();
    let is_meant = |member: &&Member| entry.id_of(member.number) == id;
    let Some(meant) = members.iter().find(is_meant) else {
        return Err(not_removed(Status::INVALID_CONNECTION_ID));
    };
    let ending = entry.is_ending();
    let parting = entry.with_members(|members| members.part(meant.number, ending));
    let cid = parting.map_err(not_removed)?;
    let mut news = entry.engine.events();
    if let Err(error) = entry.engine.remove_connection(cid).await {
        entry.with_members(|members| members.parted(cid));
        return Err(not_removed(match error {
            MembershipError::Last => Status::CANT_REMOVE_LAST_CONNECTION,
            MembershipError::Unknown(_) => Status::INVALID_CONNECTION_ID,
            _ => Status::REMOVE_CONNECTION_IN_PROGRESS,
        }));
    }
    let is_there = || {
        let present = entry.engine.members();
        present.iter().any(|view| Arc::ptr_eq(view, &meant.view))
    };
    // Where news were missed there are others to come, or none are needed.
    let gone =
        async { while is_there() && !matches!(news.recv().await, Err(RecvError::Closed)) {} };
    let _ = tokio::time::timeout(REMOVAL_LIMIT, gone).await;
    Ok(())
}

fn not_removed(entry: &Entry, id: v1::ConnectionId, status: Status) -> Failure {
    let out = "log the session out instead";
    let (message, advice) = match status {
        Status::INVALID_CONNECTION_ID => (
            format!("session {} has no connection {id}", entry.id),
            "`hawser session show` shows those that it has",
        ),
        Status::REMOVE_CONNECTION_IN_PROGRESS => {
            ("the connection is being removed already".to_owned(), "")
        }
        Status::CANNOT_REMOVE_LEADING_CONNECTION => (
            "the leading connection of a session cannot be removed".to_owned(),
            out,
        ),
        _ => (
            "the last connection of a session cannot be removed by itself".to_owned(),
            out,
        ),
    };
    Failure::new(status, message)
        .with_target(&entry.origin.target)
        .with_advice(advice)
}

/// Chooses how commands are shared out.
pub(crate) fn set_policy(daemon: &Daemon, request: &v1::SetPolicyRequest) -> Result<(), Failure> {
    let entry = daemon
        .sessions
        .get(request.session_id.unwrap_or_default())?;
    let policy = policy_in(request)?;
    entry.engine.set_policy(policy.clone());
    entry.with_members(|members| members.policy = policy);
    Ok(())
}

fn policy_in(request: &v1::SetPolicyRequest) -> Result<Policy, Failure> {
    let invalid = |what: String| Failure::new(Status::ERROR_INVALID_PARAMETER, what);
    let policy = match ConnectionPolicy::try_from(request.policy) {
        Ok(ConnectionPolicy::RoundRobin) => Policy::RoundRobin,
        Ok(ConnectionPolicy::LeastQueueDepth) => Policy::LeastQueueDepth,
        Ok(ConnectionPolicy::FailOver) => Policy::FailOver,
        Ok(ConnectionPolicy::Weighted) => Policy::Weighted(weights_in(&request.weights)?),
        _ => return Err(invalid(format!("there is no policy {}", request.policy))),
    };
    if !request.weights.is_empty() && !matches!(policy, Policy::Weighted(_)) {
        return Err(invalid("only the weighted policy has weights".to_owned()));
    }
    Ok(policy)
}

fn weights_in(weights: &[v1::ConnectionWeight]) -> Result<Vec<(u16, u16)>, Failure> {
    let invalid = |what: String| Failure::new(Status::ERROR_INVALID_PARAMETER, what);
    if weights.len() > usize::from(MAX_CONNECTIONS) {
        let what = format!("a session has {MAX_CONNECTIONS} connections at most");
        return Err(invalid(what));
    }
    let mut named = BTreeSet::new();
    let weight = |given: &v1::ConnectionWeight| {
        let both = (u16::try_from(given.cid), u16::try_from(given.weight));
        let (Ok(cid), Ok(weight)) = both else {
            return Err(invalid("CIDs and weights are 0 to 65535".to_owned()));
        };
        if !named.insert(cid) {
            return Err(invalid(format!("connection {cid} has two weights")));
        }
        Ok((cid, weight))
    };
    weights.iter().map(weight).collect()
}

/// A connection has joined a session that is up.
pub(crate) fn take_up(daemon: &Daemon, entry: &Entry, view: &SessionView) {
    let target = &entry.origin.target;
    let message = format!(
        "connection {} of the session with {target} is up at {}",
        view.cid, view.portal
    );
    let news = News::info("connection-up", message).target(target);
    daemon.events.tell(news.session(entry.id));
}

/// A connection of a session that lives on is gone.
pub(crate) fn take_loss(daemon: &Daemon, entry: &Entry, cid: u16, why: &str) {
    let target = &entry.origin.target;
    if entry.with_members(|members| members.parted(cid)) {
        let message = format!("connection {cid} of the session with {target} was removed");
        let news = News::info("connection-removed", message).target(target);
        daemon.events.tell(news.session(entry.id));
        return;
    }
    let message = format!("connection {cid} of the session with {target} was lost: {why}");
    entry.note(message.clone());
    let failure = Failure::new(Status::CONNECTION_FAILED, message)
        .with_target(target)
        .with_peer_said(why)
        .with_advice("its commands go on on the others, and it is being made again");
    let news = News::warning("connection-lost", failure);
    daemon.events.tell(news.session(entry.id));
}

/// The target takes no further connection into a session.
pub(crate) fn take_refusal(daemon: &Daemon, entry: &Entry, cid: u16, status: Status, why: &str) {
    let target = &entry.origin.target;
    let message = format!("{target} takes no connection {cid} into the session: {why}");
    entry.note(message.clone());
    let failure = Failure::new(status, message)
        .with_target(target)
        .with_peer_said(why)
        .with_advice("the session goes on with the connections that it has");
    let news = News::warning("connection-refused", failure);
    daemon.events.tell(news.session(entry.id));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(most: Option<u32>, connections: Option<u32>) -> store::LoginOptions {
        store::LoginOptions {
            max_connections: most,
            connections,
            ..store::LoginOptions::default()
        }
    }

    #[test]
    fn a_login_asks_for_one_connection_unless_more_are_said() {
        for (most, connections, expected) in [
            (None, None, (1, 1)),
            (Some(65_535), None, (65_535, 1)),
            (None, Some(3), (3, 3)),
            (Some(4), Some(3), (4, 3)),
            // One of them may be the target's stored one.
            (Some(2), Some(3), (2, 2)),
        ] {
            let options = options(most, connections);
            assert_eq!((offered(&options), wanted(&options)), expected);
        }
        assert_eq!(level(&options(None, None), Some(2)), Some(2));
        assert_eq!(level(&options(None, None), None), None);
        let pinned = store::LoginOptions {
            error_recovery_level: Some(0),
            ..store::LoginOptions::default()
        };
        assert_eq!(level(&pinned, Some(2)), Some(0));
    }

    #[test]
    fn weights_are_of_the_weighted_policy_and_each_once() {
        let request = |policy: ConnectionPolicy, weights: &[(u32, u32)]| {
            let weights = weights.iter();
            policy_in(&v1::SetPolicyRequest {
                session_id: None,
                policy: policy.into(),
                weights: weights
                    .map(|&(cid, weight)| v1::ConnectionWeight { cid, weight })
                    .collect(),
            })
        };
        let weighted = request(ConnectionPolicy::Weighted, &[(0, 3), (1, 0)]).unwrap();
        assert_eq!(weighted, Policy::Weighted(vec![(0, 3), (1, 0)]));
        request(ConnectionPolicy::FailOver, &[]).unwrap();
        let many: Vec<_> = (0..17).map(|cid| (cid, 1)).collect();
        for (policy, weights) in [
            (ConnectionPolicy::Unspecified, &[][..]),
            (ConnectionPolicy::RoundRobin, &[(0, 1)]),
            (ConnectionPolicy::Weighted, &[(1, 1), (1, 2)]),
            (ConnectionPolicy::Weighted, &[(65_536, 1)]),
            (ConnectionPolicy::Weighted, &[(0, 65_536)]),
            (ConnectionPolicy::Weighted, &many),
        ] {
            let failure = request(policy, weights).unwrap_err();
            assert_eq!(failure.status, Status::ERROR_INVALID_PARAMETER);
        }
    }
}
