//! A target server: built, started, watched, stopped.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hawser_proto::chap::check_distinct;
use hawser_proto::names::{IscsiName, Isid};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{ChapConfig, PortalConfig, TargetConfig};
use crate::connection::{self, Ends, serve};
use crate::counters::{Counters, Snapshot};
use crate::faults::{AsyncEvent, Faults};
use crate::realm::Realm;
use crate::registry::Registry;
use crate::session::{Session, Shared};

/// The most connections of one portal at one time, in the login phase or behind it.
const CONNECTIONS_LIMIT: usize = 1024;

/// How long a server waits before it accepts again after the system had no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Async event 1, "the target requests Logout" (RFC 7143 §11.9.1).
const EVENT_LOGOUT_REQUEST: u8 = 1;

/// Why a server could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no portal to listen on.
    #[error("no portal to listen on")]
    NoPortal,
    /// A portal's address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Two targets have the same name.
    #[error("two targets have the name {0}")]
    DuplicateTarget(IscsiName),
    /// The same CHAP secret is to be used in both directions (RFC 7143 §9.2.1).
    #[error("the CHAP secrets of the two directions are the same")]
    SameSecret,
}

/// A target server that is being put together.
///
/// ```no_run
/// use hawser_target::{TargetConfig, TargetServer};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let target = TargetConfig::new("iqn.2024-01.test:disk")?;
/// let handle = TargetServer::builder()
///     .portal("127.0.0.1:0".parse()?)
///     .target(target)
///     .start()
///     .await?;
/// println!("listening on {}", handle.local_addrs()[0]);
/// handle.shutdown(std::time::Duration::from_secs(1)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct TargetServer {
    portals: Vec<PortalConfig>,
    targets: Vec<TargetConfig>,
    discovery_chap: Option<ChapConfig>,
}

impl TargetServer {
    /// A server without portals and targets.
    #[must_use]
    pub fn builder() -> Self {
        Self::default()
    }

    /// Listens on this address too, in portal group 1. Port 0 picks a free one.
    #[must_use]
    pub fn portal(self, address: SocketAddr) -> Self {
        self.portal_in_group(1, address)
    }

    /// Listens on this address too, in the portal group of this tag.
    #[must_use]
    pub fn portal_in_group(mut self, group: u16, address: SocketAddr) -> Self {
        self.portals.push(PortalConfig { group, address });
        self
    }

    /// Offers this target too.
    #[must_use]
    pub fn target(mut self, target: TargetConfig) -> Self {
        self.targets.push(target);
        self
    }

    /// Demands CHAP of discovery sessions.
    #[must_use]
    pub fn discovery_chap(mut self, chap: ChapConfig) -> Self {
        self.discovery_chap = Some(chap);
        self
    }

    /// Binds all portals and begins to serve. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// A [`StartError`]; nothing listens then.
    pub async fn start(self) -> Result<TargetHandle, StartError> {
        self.check()?;
        let mut listeners = Vec::new();
        let mut portals = Vec::new();
        for portal in &self.portals {
            let address = portal.address;
            let failed = |source| StartError::Bind { address, source };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            portals.push(PortalConfig {
                group: portal.group,
                address,
            });
            listeners.push((portal.group, listener));
        }
        let shared = self.shared(portals);
        let (alive, gone) = mpsc::channel(1);
        let accepting = listeners
            .into_iter()
            .map(|(group, listener)| {
                tokio::spawn(accept(listener, group, Arc::clone(&shared), alive.clone()))
            })
            .collect();
        Ok(TargetHandle {
            shared,
            accepting,
            gone,
        })
    }

    /// Begins to serve without a socket: only connections that are handed to
    /// [`TargetHandle::serve`]. The portals are those that discovery tells of.
    ///
    /// # Errors
    /// A [`StartError`], except that nothing is bound.
    pub fn detached(self) -> Result<TargetHandle, StartError> {
        self.check()?;
        let portals = self.portals.clone();
        let (_, gone) = mpsc::channel(1);
        Ok(TargetHandle {
            shared: self.shared(portals),
            accepting: Vec::new(),
            gone,
        })
    }

    /// What all sessions of the server share, which listens at these portals.
    fn shared(self, portals: Vec<PortalConfig>) -> Arc<Shared> {
        let realm = Realm {
            targets: self.targets.into_iter().map(Arc::new).collect(),
            portals,
            discovery_chap: self.discovery_chap,
        };
        Arc::new(Shared {
            realm: Arc::new(realm),
            faults: Arc::new(Faults::default()),
            counters: Counters::default(),
            registry: Registry::default(),
        })
    }

    fn check(&self) -> Result<(), StartError> {
        if self.portals.is_empty() {
            return Err(StartError::NoPortal);
        }
        let mut names = BTreeSet::new();
        for target in &self.targets {
            if !names.insert(target.name.as_str()) {
                return Err(StartError::DuplicateTarget(target.name.clone()));
            }
        }
        let chaps = self
            .targets
            .iter()
            .filter_map(|target| target.chap.as_ref());
        for chap in chaps.chain(&self.discovery_chap) {
            if let Some(own) = &chap.target {
                check_distinct(&chap.initiator.secret, &own.secret)
                    .map_err(|_| StartError::SameSecret)?;
            }
        }
        Ok(())
    }
}

/// Accepts connections of one portal for ever. Dropping it ends them all.
async fn accept(listener: TcpListener, group: u16, shared: Arc<Shared>, alive: mpsc::Sender<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_LIMIT => match accepted {
                Ok((stream, _)) => {
                    let (shared, alive) = (Arc::clone(&shared), alive.clone());
                    connections.spawn(async move {
                        serve(stream, group, shared).await;
                        drop(alive);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection ended badly");
                }
            }
        }
    }
}

/// One session, as [`TargetHandle::sessions`] shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The initiator's name.
    pub initiator: IscsiName,
    /// The target's name; `None` in a discovery session.
    pub target: Option<IscsiName>,
    /// The initiator's half of the session identifier.
    pub isid: Isid,
    /// Our half of it.
    pub tsih: u16,
    /// The portal group tag.
    pub group: u16,
    /// The CIDs of its connections.
    pub connections: Vec<u16>,
}

/// A server that runs. Dropping it stops the server at once.
#[derive(Debug)]
pub struct TargetHandle {
    shared: Arc<Shared>,
    accepting: Vec<JoinHandle<()>>,
    /// Closed once no connection is left.
    gone: mpsc::Receiver<()>,
}

impl TargetHandle {
    /// Where the server listens, in the order of the portals, with the ports it got.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.shared
            .realm
            .portals
            .iter()
            .map(|portal| portal.address)
            .collect()
    }

    /// Serves a connection over `stream` until its end, as if an initiator at `peer` had come to the
    /// first portal. It runs in the task of the caller and is no part of what
    /// [`Self::shutdown`] and [`Self::kill`] wait for.
    pub fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        peer: SocketAddr,
    ) -> impl Future<Output = ()> + use<S> {
        let portal = self.shared.realm.portals.first().copied();
        let shared = Arc::clone(&self.shared);
        async move {
            // There is one: `check` has seen to it.
            if let Some(PortalConfig { group, address }) = portal {
                let ends = Ends {
                    local: address,
                    peer,
                };
                connection::carry(stream, group, ends, shared).await;
            }
        }
    }

    /// The fault switches.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The target of this name, with its disks.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&TargetConfig> {
        let name = IscsiName::parse(name).ok()?;
        self.shared.realm.target(&name).map(AsRef::as_ref)
    }

    /// What the server has done so far.
    #[must_use]
    pub fn counters(&self) -> Snapshot {
        self.shared.counters.snapshot()
    }

    /// The sessions at this moment, in no order.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let sessions = self.shared.registry.sessions();
        sessions
            .iter()
            .map(|session| SessionInfo {
                initiator: session.key.initiator.clone(),
                target: session.key.target.clone(),
                isid: Isid(session.key.isid),
                tsih: session.tsih,
                group: session.key.group,
                connections: session.lock().cids(),
            })
            .collect()
    }

    /// Asks all initiators to log out, waits up to `grace` until they have, and stops.
    pub async fn shutdown(mut self, grace: Duration) {
        let seconds = u16::try_from(grace.as_secs()).unwrap_or(u16::MAX);
        self.shared.faults.send_async(AsyncEvent {
            event: EVENT_LOGOUT_REQUEST,
            parameter3: seconds,
            ..AsyncEvent::default()
        });
        let sessions = self.shared.registry.sessions();
        // Nobody is left to ask in a session that only waits for a connection.
        let silent = |session: &&Arc<Session>| session.lock().cids().is_empty();
        sessions
            .iter()
            .filter(silent)
            .for_each(|session| session.end());
        let normal = sessions
            .iter()
            .filter(|session| session.key.target.is_some());
        let over = async {
            for session in normal {
                session.over().await;
            }
        };
        let _ = tokio::time::timeout(grace, over).await;
        self.stop().await;
    }

    /// Stops as if the power had gone: connections break off, and what a volatile write cache had
    /// not flushed is lost.
    pub async fn kill(mut self) {
        self.stop().await;
        for target in &self.shared.realm.targets {
            for lun in target.device.luns() {
                if let Some(unit) = target.device.unit(lun) {
                    unit.backend().lose_power();
                }
            }
        }
    }

    /// Ends everything and waits until it has ended, so that ports and disks are free again.
    async fn stop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
        for task in self.accepting.drain(..) {
            // Aborted on purpose.
            let _ = task.await;
        }
        // No sender is left once the last connection is gone.
        let _ = self.gone.recv().await;
        for session in self.shared.registry.sessions() {
            session.end();
            session.abandon();
            session.over().await;
            self.shared.registry.remove(&session);
        }
    }
}

impl Drop for TargetHandle {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
        // Sessions that wait for a connection would wait in vain.
        for session in self.shared.registry.sessions() {
            session.end();
            if session.lock().cids().is_empty() {
                self.shared.registry.remove(&session);
            }
        }
    }
}
