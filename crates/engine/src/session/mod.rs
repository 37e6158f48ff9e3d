//! A session that stays: [`Session`] is the handle, one task drives it.

mod alarm;
mod busy_poll;
mod connections;
mod counters;
mod doubts;
mod driver;
mod events;
mod inbox;
mod moderation;
mod news;
mod raw;
mod requests;
mod rest;
mod retry;
mod slots;
mod socket;
mod trials;
mod verify;

use std::sync::Arc;
use std::time::SystemTime;

pub(crate) use connections::Members;
pub use connections::{ConnectionView, JoinError};
pub use events::SessionEvents;
use hawser_proto::login::ChapUsed;
use hawser_proto::names::{IscsiName, Isid, Portal};
use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::{LoginStatus, TaskAttribute, TmfFunction};
use hawser_proto::session::{Counters, Hold, Residual};
use hawser_scsi::{Cdb, DiskIdentity, LongCdb, Lun as LunNumber, Sense, Status};
pub(crate) use inbox::{Inbox, Message};
pub use raw::RawCommand;
pub(crate) use raw::{Urgent, read as read_command, sixteen};
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

use crate::error::{LoginFailure, SessionError};
use crate::lun::{Lun, OpenLuns};
use crate::options::SessionOptions;

/// How a session is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SessionState {
    /// It has never been logged in; it goes on trying.
    Connecting {
        /// Why the last attempt failed.
        last_failure: Option<LoginFailure>,
    },
    /// Logged in: its first connection.
    Up(Arc<SessionView>),
    /// All its connections were lost; commands wait while it is made again.
    Lost {
        /// Why it was lost, in words.
        why: String,
        /// Why the last attempt to log in again failed.
        last_failure: Option<LoginFailure>,
    },
    /// Logged out or given up.
    Closed,
}

/// What a logged-in session is made of.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// The portal in use.
    pub portal: Portal,
    /// Our end of the connection, as `address:port`.
    pub local_address: String,
    /// The other end, as `address:port`.
    pub remote_address: String,
    /// Our half of the session's identity.
    pub isid: Isid,
    /// The target's half.
    pub tsih: u16,
    /// The connection.
    pub cid: u16,
    /// Target portal group tag.
    pub tpgt: Option<u16>,
    /// The target's alias.
    pub target_alias: Option<String>,
    /// What was negotiated.
    pub parameters: Parameters,
    /// The CHAP algorithm used, if any.
    pub chap: Option<ChapUsed>,
    /// MD5 was used only because the target could not take the list of algorithms.
    pub md5_fallback: bool,
    /// Oddities of the target that were tolerated.
    pub unusual: Vec<String>,
    /// When it was logged in.
    pub since: SystemTime,
    /// How many times the session had a connection again after it had lost its last.
    pub reconnects: u64,
}

/// News from a session, for logs and for the daemon's decisions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Logged in (again).
    Up(Arc<SessionView>),
    /// The connection was lost, for the reason in words.
    Lost(String),
    /// An attempt to log in failed.
    LoginFailed(LoginFailure),
    /// A permanent redirect: the stored portal should be replaced.
    MovedPermanently(Portal),
    /// The target has other LUNs now (unit attention 3F/0E).
    LunsChanged,
    /// The capacity of a LUN has changed (unit attention 2A/09).
    CapacityChanged(LunNumber),
    /// A LUN was asked who it is, after a login or because there was reason to, and is the disk it was.
    DiskChecked(LunNumber),
    /// A LUN is not the disk it was; it takes no more requests.
    WrongDisk {
        /// The LUN.
        lun: LunNumber,
        /// Who it was.
        expected: DiskIdentity,
        /// Who it says it is, when it says so.
        found: Option<DiskIdentity>,
    },
    /// Sense data that came without a command.
    AsyncSense {
        /// The LUN.
        lun: LunNumber,
        /// What it says.
        sense: Option<Sense>,
    },
    /// An asynchronous message of the target, by its event code (RFC 7143 §11.9.1).
    AsyncNotice {
        /// The event code.
        event: u8,
    },
    /// A command timed out and the session is ending it; what is done, in words.
    Escalated(&'static str),
    /// A connection joined the session, or took the place of a lost one.
    ConnectionUp(Arc<SessionView>),
    /// One connection is gone and the session lives on.
    ConnectionLost {
        /// Its CID.
        cid: u16,
        /// Why, in words.
        why: String,
        /// It was the last one: commands wait for another to take its place.
        last: bool,
    },
    /// The target takes no further connection into the session.
    ConnectionRefused {
        /// The CID that was tried.
        cid: u16,
        /// What the target said.
        status: LoginStatus,
        /// The same in words.
        why: String,
    },
    /// The session is closed.
    Closed,
}

/// Which way a raw command moves data.
#[derive(Debug, Clone)]
pub enum Transfer {
    /// No data.
    None,
    /// At most so many bytes from the target.
    Read(u32),
    /// These bytes to the target.
    Write(Vec<u8>),
    /// Both ways (RFC 7143 §11.2.2.4).
    Both {
        /// These bytes to the target.
        write: Vec<u8>,
        /// At most so many bytes from it: the data of the answer.
        read: u32,
    },
}

/// A raw SCSI command.
#[derive(Debug, Clone)]
pub struct ScsiRequest {
    /// The logical unit.
    pub lun: LunNumber,
    /// The command.
    pub cdb: Cdb,
    /// Its data.
    pub transfer: Transfer,
}

/// The answer to a raw command, whatever its status.
#[derive(Debug, Clone)]
pub struct ScsiAnswer {
    /// The status.
    pub status: Status,
    /// Decoded sense data.
    pub sense: Option<Sense>,
    /// Sense data as it came.
    pub raw_sense: Vec<u8>,
    /// The data of a read, cut to what the target sent.
    pub data: Vec<u8>,
    /// Residual.
    pub residual: Residual,
}

/// A task management request (RFC 7143 §11.5).
#[derive(Debug, Clone, Copy)]
pub struct ManagementRequest {
    /// What to do.
    pub function: TmfFunction,
    /// The logical unit, for the functions that have one.
    pub lun: LunNumber,
}

/// A session with one target, which stays until it is logged out: a lost connection is made again,
/// commands wait meanwhile as the options say.
///
/// It is a handle; clones share the session. One task on the runtime that [`open`](Self::open) was
/// called on drives it. When the last handle and the last [`Lun`] are dropped, the session is closed
/// without a logout; to end it in order, call [`logout`](Self::logout).
///
/// # Cancellation
/// Dropping the future of a request does not stop the request; its buffer stays with the session
/// until the target has answered.
#[derive(Debug, Clone)]
pub struct Session {
    handle: Arc<Handle>,
}

/// What a [`Session`] and its [`Lun`]s hold: when the last is dropped, the session is closed.
#[derive(Debug)]
pub(crate) struct Handle(Arc<Shared>);

impl std::ops::Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.inbox.send(Message::Abandon);
    }
}

/// What the handles share with the driver.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) target: IscsiName,
    pub(crate) inbox: Inbox,
    pub(crate) luns: OpenLuns,
    pub(crate) counters: counters::Published,
    pub(crate) state: watch::Sender<SessionState>,
    pub(crate) members: Members,
    pub(crate) events: events::Teller,
    /// Connections that are logged out and that the target has yet to close.
    pub(crate) parting: watch::Sender<usize>,
    /// What the driver runs on.
    pub(crate) runtime: Runtime,
}

impl Session {
    /// Starts a session: returns at once, the login goes on behind it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn open(options: SessionOptions) -> Self {
        let (state, _) = watch::channel(SessionState::Connecting { last_failure: None });
        let target = options.target.clone();
        let shared = Arc::new(Shared {
            target,
            inbox: Inbox::default(),
            luns: OpenLuns::default(),
            counters: counters::Published::default(),
            state,
            members: Members::default(),
            events: events::Teller::default(),
            parting: watch::Sender::new(0),
            runtime: Runtime::current(),
        });
        tokio::spawn(driver::Driver::new(options, Arc::clone(&shared)).run());
        Self {
            handle: Arc::new(Handle(shared)),
        }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &IscsiName {
        &self.handle.target
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.handle.state.borrow().clone()
    }

    /// The state, to be watched.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<SessionState> {
        self.handle.state.subscribe()
    }

    /// What it has done since it was opened, over all its connections.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.handle.counters.read()
    }

    /// News from now on.
    #[must_use]
    pub fn events(&self) -> SessionEvents {
        self.handle.events.listen()
    }

    /// Waits until the session is logged in or the first attempt has failed. The session goes on
    /// trying after a failure: close it if that is not wanted.
    ///
    /// # Errors
    /// The failure of the first attempt; [`SessionError::Closed`] has no place here, a closed session
    /// gives the last failure it saw.
    pub async fn established(&self) -> Result<Arc<SessionView>, LoginFailure> {
        let mut states = self.watch();
        loop {
            match &*states.borrow_and_update() {
                SessionState::Up(view) => return Ok(Arc::clone(view)),
                SessionState::Connecting {
                    last_failure: Some(failure),
                }
                | SessionState::Lost {
                    last_failure: Some(failure),
                    ..
                } => {
                    return Err(failure.clone());
                }
                SessionState::Closed => return Err(LoginFailure::closed(&self.handle.target)),
                SessionState::Connecting { .. } | SessionState::Lost { .. } => {}
            }
            if states.changed().await.is_err() {
                return Err(LoginFailure::closed(&self.handle.target));
            }
        }
    }

    /// Carries out one raw command. It is never sent twice: a lost connection ends it with
    /// [`SessionError::Interrupted`], unless the target goes on with it on another (error recovery
    /// level 2).
    ///
    /// # Errors
    /// Why there is no answer; a SCSI error status is an answer.
    pub async fn scsi(&self, request: ScsiRequest) -> Result<ScsiAnswer, SessionError> {
        raw::carry_out(&self.handle, request, None).await
    }

    /// Like [`scsi`](Self::scsi), for a CDB of more than sixteen bytes, which goes on in an additional
    /// header segment (RFC 7143 §11.2.2.3).
    ///
    /// # Errors
    /// Why there is no answer; a SCSI error status is an answer.
    pub async fn scsi_long(
        &self,
        lun: LunNumber,
        cdb: LongCdb,
        transfer: Transfer,
    ) -> Result<ScsiAnswer, SessionError> {
        let (cdb, rest) = cdb.into_parts();
        let request = ScsiRequest { lun, cdb, transfer };
        raw::carry_out_long(&self.handle, request, rest, None).await
    }

    /// Gives the session one raw command with a task attribute: the order of the calls is the order
    /// in which commands go out, whoever waits for their answers when. `tag` names it for
    /// [`abort`](Self::abort). Never sent twice, as with [`scsi`](Self::scsi).
    #[must_use = "the command goes out; the answer is in what this gives"]
    pub fn start_scsi(
        &self,
        request: ScsiRequest,
        attribute: TaskAttribute,
        tag: u64,
    ) -> RawCommand {
        raw::start(&self.handle.0, request, attribute, tag)
    }

    /// ABORT TASK of the command that was started under this tag. It is asked for at once, behind what
    /// was started before; the future gives the response code (0: done,
    /// and the command ends with [`SessionError::Aborted`]; 1: it has its answer already).
    ///
    /// # Errors
    /// Why there is no response.
    pub fn abort(&self, tag: u64) -> impl Future<Output = Result<u8, SessionError>> + Send + use<> {
        raw::abort(&self.handle, tag)
    }

    /// The logical units the target reports (REPORT LUNS).
    ///
    /// # Errors
    /// The command failed, or its answer cannot be read.
    pub async fn luns(&self) -> Result<Vec<LunNumber>, SessionError> {
        raw::report_luns(&self.handle).await
    }

    /// Opens one logical unit: asks who it is and how large.
    ///
    /// # Errors
    /// A command failed, or the LUN is no disk.
    pub async fn lun(&self, lun: LunNumber) -> Result<Lun, SessionError> {
        Lun::open(&self.handle, lun).await
    }

    /// Asks for a task management function at once, behind what was started before; the future gives
    /// the response code (0: done).
    ///
    /// # Errors
    /// Why there is no response.
    pub fn manage(
        &self,
        request: ManagementRequest,
    ) -> impl Future<Output = Result<u8, SessionError>> + Send + use<> {
        raw::manage(&self.handle, request)
    }

    /// Changes how long commands wait for a lost session.
    pub fn set_hold(&self, hold: Hold) {
        self.handle.inbox.send(Message::SetHold(hold));
    }

    /// Drops the connection, as a fault would; the session makes a new one.
    pub fn reconnect(&self) {
        self.handle.inbox.send(Message::Reconnect);
    }

    /// Logs out and waits until the session is closed, and, for two seconds, until the target has closed its
    /// connections: a program that ends then does not close them under its hands. Commands still under
    /// way end with [`SessionError::Closed`]; wait for them first to lose none.
    pub async fn logout(&self) {
        self.handle.inbox.send(Message::Logout);
        let mut states = self.watch();
        let closed = states
            .wait_for(|state| matches!(state, SessionState::Closed))
            .await;
        // An error means the driver is gone, so the session is closed too.
        drop(closed);
        let mut parting = self.handle.parting.subscribe();
        // The sender is in the handle.
        drop(parting.wait_for(|open| *open == 0).await);
    }
}
