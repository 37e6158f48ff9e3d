//! A session: the command window, the tasks, the connections (RFC 7143 §4.2).
//!
//! [`Session`] is shared by its connections, its workers and the registry; its [`Core`] is behind
//! one lock. Whoever holds the lock takes a [`Turn`]: it puts in what has arrived and leaves what
//! is to be written in the [`Link`] of each connection. No lock of another session is ever taken
//! within.

mod answer;
mod command;
mod data_in;
mod disorder;
mod finished;
mod forward;
mod gather;
mod link;
mod logout;
mod losses;
mod manage;
mod membership;
mod query;
mod ranges;
mod reassign;
mod receive;
mod seat;
mod snack;
mod statuses;
mod task;
mod text;
mod window;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hawser_proto::names::IscsiName;
use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::Bhs;
use hawser_proto::serial::Serial;
use hawser_scsi::Lun;
use tokio::sync::Notify;

use self::data_in::Cut;
use self::finished::Archive;
pub(crate) use self::link::{Ending, Link};
use self::losses::Loss;
pub(crate) use self::losses::Times;
pub(crate) use self::receive::{Incoming, Sink};
pub(crate) use self::seat::Seat;
use self::task::{Home, Task};
pub(crate) use self::window::WINDOW_LIMIT;
use self::window::Window;
use crate::counters::Counters;
use crate::disk::{Device, Nexus};
use crate::faults::Faults;
use crate::forward::FarNexus;
use crate::login::{Peer, Purpose};
use crate::realm::Realm;
use crate::registry::Registry;

/// What makes two logins the same session (RFC 7143 §6.3.1): the ISID rule's four names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    pub(crate) initiator: IscsiName,
    pub(crate) isid: [u8; 6],
    /// `None` in a discovery session.
    pub(crate) target: Option<IscsiName>,
    pub(crate) group: u16,
}

impl SessionKey {
    /// The I_T nexus of a session of this key.
    pub(crate) fn nexus(&self) -> Nexus {
        Nexus::new(self.initiator.as_str(), self.isid, self.group)
    }
}

/// What all sessions of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) realm: Arc<Realm>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) counters: Counters,
    pub(crate) registry: Registry,
}

/// A numbered request that waits for an earlier one.
#[derive(Debug)]
pub(crate) enum Held {
    /// A SCSI command: its task is in the table already, for its data may come before its turn.
    Task(u32),
    /// Another request, with the CID of its connection and its data.
    Request(u16, Bhs, Vec<u8>),
}

/// What changes in a session.
#[derive(Debug)]
pub(crate) struct Core {
    window: Window<Held>,
    tasks: HashMap<u32, Task>,
    /// Commands that were answered and not acknowledged.
    archive: Archive,
    /// Room to plan the PDUs of a read in.
    cuts: Vec<Cut>,
    links: BTreeMap<u16, Link>,
    /// Connections that are gone and whose tasks are not.
    losses: BTreeMap<u64, Loss>,
    next_loss: u64,
    /// What the leading login agreed on for the whole session.
    agreed: Parameters,
    closed: bool,
    /// CIDs that logins are about to take: the session outlives the connections that had them.
    replacing: Vec<u16>,
    /// Commands that workers carry out now, by ticket: also those whose tasks were aborted.
    executing: HashMap<u64, Lun>,
    next_ticket: u64,
    next_ttt: u32,
    /// Memory that the data of forwarded commands takes, in bytes.
    far_bytes: usize,
    /// Memory set aside for data that R2Ts ask for, in bytes.
    reserved: usize,
    /// Tasks that wait for such memory.
    waiting: VecDeque<u32>,
    /// The ITTs of task management functions in hand.
    managing: HashSet<u32>,
    /// How many of them wait until earlier responses have arrived.
    fences: usize,
    /// Somebody looks whether data stays away.
    watching: bool,
    /// Buffers to be reused.
    buffers: Vec<Vec<u8>>,
}

impl Core {
    /// The connection of this CID.
    pub(crate) fn link(&mut self, cid: u16) -> Option<&mut Link> {
        self.links.get_mut(&cid)
    }

    /// The CIDs of the session's connections.
    pub(crate) fn cids(&self) -> Vec<u16> {
        self.links.keys().copied().collect()
    }

    /// ExpCmdSN and MaxCmdSN.
    pub(crate) fn numbers(&self) -> (u32, u32) {
        (self.window.expected().0, self.window.max().0)
    }

    /// Whether what was sent is kept until it is acknowledged (ErrorRecoveryLevel 1 and 2).
    fn keeps(&self) -> bool {
        self.agreed.error_recovery_level > 0
    }

    /// Whether the session is over.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    pub(crate) tsih: u16,
    pub(crate) purpose: Purpose,
    pub(crate) shared: Arc<Shared>,
    nexus: Nexus,
    /// Where its commands are carried out, if that is not here.
    far: Option<Arc<dyn FarNexus>>,
    core: Mutex<Core>,
    /// Told whenever tasks have ended or connections have left.
    settled: Notify,
}

impl Session {
    /// A session that `peer` has logged in to. Its first command is numbered `first`, that of the
    /// leading login.
    pub(crate) fn new(
        shared: Arc<Shared>,
        key: SessionKey,
        tsih: u16,
        peer: &Peer,
        first: u32,
        far: Option<Arc<dyn FarNexus>>,
    ) -> Arc<Self> {
        let configured = peer.purpose.target().map(|target| target.policy.window);
        let size = shared
            .faults
            .window()
            .or(configured)
            .unwrap_or(DISCOVERY_WINDOW);
        let nexus = key.nexus();
        let core = Core {
            window: Window::new(Serial(first), size),
            tasks: HashMap::new(),
            archive: Archive::default(),
            cuts: Vec::new(),
            links: BTreeMap::new(),
            losses: BTreeMap::new(),
            next_loss: 0,
            agreed: Parameters::default(),
            closed: false,
            replacing: Vec::new(),
            executing: HashMap::new(),
            next_ticket: 0,
            next_ttt: 0,
            far_bytes: 0,
            reserved: 0,
            waiting: VecDeque::new(),
            managing: HashSet::new(),
            fences: 0,
            watching: false,
            buffers: Vec::new(),
        };
        let session = Self {
            key,
            tsih,
            purpose: peer.purpose.clone(),
            shared,
            nexus,
            far,
            core: Mutex::new(core),
            settled: Notify::new(),
        };
        if let Some(device) = session.device() {
            device.nexus_started(&session.nexus);
        }
        let session = Arc::new(session);
        if let Some(far) = session.far.clone() {
            tokio::spawn(Arc::clone(&session).keep_far(far));
        }
        session
    }

    /// The disks of the session's target.
    pub(crate) fn device(&self) -> Option<&Arc<Device>> {
        self.purpose.target().map(|target| &target.device)
    }

    /// Whether a PDU with a wrong header digest is skipped: only where it can be recovered.
    pub(crate) fn skips_bad_headers(&self) -> bool {
        let target = self.purpose.target();
        let wanted = target.is_some_and(|target| target.policy.skip_bad_headers);
        wanted && self.lock().keeps()
    }

    /// Locks the session.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn at the session whose `core` the caller has locked.
    pub(crate) fn turn<'a>(self: &'a Arc<Self>, core: &'a mut Core) -> Turn<'a> {
        Turn {
            session: self,
            core,
            caller: None,
        }
    }

    /// The turn of a connection, which looks itself for what it has to write.
    pub(crate) fn turn_of<'a>(self: &'a Arc<Self>, core: &'a mut Core, cid: u16) -> Turn<'a> {
        Turn {
            session: self,
            core,
            caller: Some(cid),
        }
    }

    /// Ends all connections and tasks now. [`Self::over`] says when they are gone.
    pub(crate) fn end(&self) {
        let mut core = self.lock();
        core.close();
        drop(core);
        self.settled.notify_waiters();
    }

    /// Takes all connections out, for their tasks have been ended from outside.
    pub(crate) fn abandon(&self) {
        self.lock().links.clear();
        self.settled.notify_waiters();
    }

    /// Waits until no connection is left, no command is being carried out, and the far nexus, if
    /// there is one, is gone too.
    pub(crate) async fn over(&self) {
        if let Some(far) = &self.far {
            self.until(|core| core.closed && core.links.is_empty())
                .await;
            far.close().await;
        }
        self.until(|core| core.closed && core.links.is_empty() && core.executing.is_empty())
            .await;
    }

    /// Tells the disks that the initiator is gone.
    pub(crate) fn lose_nexus(&self) {
        if let Some(device) = self.device() {
            device.nexus_lost(&self.nexus);
        }
    }

    /// Waits until the session is as `wanted`.
    async fn until(&self, wanted: impl Fn(&Core) -> bool) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Registered before the look, so that no change is missed in between.
            settled.as_mut().enable();
            if wanted(&self.lock()) {
                return;
            }
            settled.await;
        }
    }
}

/// How many commands a discovery session may have in hand: it asks one question at a time.
const DISCOVERY_WINDOW: u32 = 8;

impl Core {
    /// Ends tasks without an answer; gives their LUNs.
    fn drop_tasks(&mut self, doomed: impl Fn(&Task) -> bool) -> HashSet<Lun> {
        let mut luns = HashSet::new();
        self.tasks.retain(|_, task| {
            let ends = doomed(task);
            if ends {
                luns.insert(task.command.lun());
            }
            !ends
        });
        self.reserved = self.tasks.values().map(|task| task.reserved).sum();
        luns
    }

    /// Forgets requests of a connection that wait for an earlier one: they leave gaps, which the
    /// initiator has to fill (RFC 7143 §11.14).
    fn discard_held(&mut self, cid: u16) {
        let tasks = &self.tasks;
        self.window.discard(|held| match held {
            Held::Task(itt) => tasks
                .get(itt)
                .is_some_and(|task| task.home == Home::On(cid)),
            Held::Request(from, ..) => *from == cid,
        });
    }

    /// Ends all tasks and takes no more.
    fn forget_all(&mut self) {
        self.closed = true;
        self.drop_tasks(|_| true);
        self.archive.discard(|_| true);
        self.losses.clear();
        self.waiting.clear();
    }

    fn close(&mut self) {
        self.forget_all();
        for link in self.links.values_mut() {
            link.end(Ending::Now);
        }
    }
}

/// The session, locked, in the hands of one of those who share it.
pub(crate) struct Turn<'a> {
    session: &'a Arc<Session>,
    core: &'a mut Core,
    /// The connection whose turn it is; the others must be woken.
    caller: Option<u16>,
}
