//! One logical unit of a session as a disk.

mod command;
mod open;
mod probe;
mod split;
mod unflushed;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) use command::{kept_command, prepare};
use hawser_block::{BlockDevice, BlockError, ErrorKind, Geometry, Operation, Request};
use hawser_proto::names::IscsiName;
use hawser_scsi::{DiskIdentity, Inquiry, Lun as LunNumber};
pub(crate) use open::OpenLuns;
pub(crate) use probe::{capacity, identify};
pub(crate) use unflushed::{Kept, Unflushed};

use crate::error::SessionError;
use crate::session::{Handle, Message, Shared};

/// A logical unit, opened. Clones share it. As a [`BlockDevice`] it splits requests that are too
/// large for the unit, carries them as SCSI commands, repeats what a unit attention or a busy unit
/// turned away, and holds them through a lost connection as the session's options say.
///
/// Its identity is checked after each new login of the session, and after unit attentions that speak
/// of a change, before anything else is sent: if another disk answers at its LUN, every request
/// fails. While none does, requests wait as for a lost connection.
#[derive(Debug, Clone)]
pub struct Lun {
    state: Arc<LunState>,
    session: Arc<Handle>,
}

/// What the handles of a LUN share with the driver.
#[derive(Debug)]
pub(crate) struct LunState {
    pub(crate) target: IscsiName,
    pub(crate) number: LunNumber,
    pub(crate) identity: Option<DiskIdentity>,
    inquiry: Inquiry,
    serial: Option<String>,
    medium: Mutex<Medium>,
    /// Only the driver and the checks of the disk look into it.
    unflushed: Mutex<Unflushed>,
}

/// What can change while a LUN is open.
#[derive(Debug, Clone, Copy)]
struct Medium {
    geometry: Geometry,
    limits: Limits,
    standing: Standing,
    /// How often there was reason to ask it who it is.
    doubts: u64,
}

/// Whether requests may go to a LUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the disk it was opened as.
    Known,
    /// It has to be asked first who it is; requests have waited for that since then.
    Doubted(Instant),
    /// Another disk answers: nothing goes to it any more.
    Wrong,
}

/// What one command may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// Most bytes of one read or write.
    pub(crate) transfer: u64,
    /// Most blocks of one UNMAP; 0: the unit has none.
    pub(crate) unmap_blocks: u32,
    /// Most blocks of one WRITE SAME (16); 0: it is not used.
    pub(crate) write_same_blocks: u32,
    /// WRITE SAME (16) may unmap, and what is unmapped reads as zeroes.
    pub(crate) write_same_unmaps: bool,
    /// FUA is understood.
    pub(crate) fua: bool,
}

/// A block request on its way.
#[derive(Debug)]
pub(crate) struct BlockIo {
    pub(crate) request: Request,
    pub(crate) lun: Arc<LunState>,
    /// How often the unit has turned it away.
    pub(crate) attempts: u32,
    /// What its present command is for.
    pub(crate) stage: Stage,
    /// Of a flush: the changes it covers ([`Unflushed::mark`]).
    pub(crate) mark: u64,
    /// Of a write: its command has FUA, so its data is durable when it ends.
    pub(crate) forced: bool,
    /// Of a change to a unit with a volatile cache: what was reserved for keeping it
    /// ([`Unflushed::reserve`]).
    pub(crate) reserved: usize,
}

/// What the command of a [`BlockIo`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// What the request asks for.
    Main,
    /// The write is done; a flush makes it durable, as the unit has no FUA.
    Durability,
    /// A flush of our own, that bounds what must be kept.
    Upkeep,
}

impl BlockIo {
    /// A request on its way to `lun`, for the purpose `stage`.
    pub(crate) fn new(request: Request, lun: Arc<LunState>, stage: Stage) -> Self {
        Self {
            request,
            lun,
            attempts: 0,
            stage,
            mark: 0,
            forced: false,
            reserved: 0,
        }
    }

    /// Gives it back what its command had of it.
    pub(crate) fn take_back(&mut self, data: Vec<u8>) {
        let operation = self.request.operation;
        let moves_data = matches!(operation, Operation::Read | Operation::Write { .. });
        if moves_data && self.stage == Stage::Main {
            self.request.buffer = data;
        }
    }

    /// Ends it: the session is closed.
    pub(crate) fn refuse(self) {
        let text = format!(
            "LUN {} of {}: the session is closed",
            self.lun.number, self.lun.target
        );
        self.request
            .complete(Err(BlockError::new(ErrorKind::Closed, text)));
    }
}

impl LunState {
    fn medium(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.medium().limits
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.medium().geometry
    }

    pub(crate) fn is_disk(&self) -> bool {
        probe::is_disk(&self.inquiry) && self.geometry().size > 0
    }

    pub(crate) fn unflushed(&self) -> MutexGuard<'_, Unflushed> {
        self.unflushed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn standing(&self) -> Standing {
        self.medium().standing
    }

    pub(crate) fn is_wrong_disk(&self) -> bool {
        self.standing() == Standing::Wrong
    }

    pub(crate) fn set_wrong_disk(&self) {
        self.medium().standing = Standing::Wrong;
    }

    /// Requests must wait until it was asked who it is; `false` when they do already, or when it is
    /// known to be another disk.
    pub(crate) fn doubt(&self, since: Instant) -> bool {
        let mut medium = self.medium();
        medium.doubts += 1;
        let known = medium.standing == Standing::Known;
        if known {
            medium.standing = Standing::Doubted(since);
        }
        known
    }

    pub(crate) fn doubts(&self) -> u64 {
        self.medium().doubts
    }

    /// When it had been doubted so often, it was the disk it was opened as. `false` when there is new
    /// reason to ask it.
    pub(crate) fn trust(&self, doubts: u64) -> bool {
        let mut medium = self.medium();
        if medium.standing == Standing::Wrong {
            return true;
        }
        let is_answered = medium.doubts == doubts;
        if is_answered {
            medium.standing = Standing::Known;
        }
        is_answered
    }

    /// Takes over a size and limits that were asked for anew. `false`: with blocks of another size
    /// it is another disk, for every address would mean another place; it takes no more requests.
    fn renew(&self, geometry: Geometry, limits: Limits) -> bool {
        let mut medium = self.medium();
        if medium.geometry.block_size != geometry.block_size {
            medium.standing = Standing::Wrong;
            return false;
        }
        (medium.geometry, medium.limits) = (geometry, limits);
        true
    }
}

impl Lun {
    /// The runtime that its session runs on and that completions come from: who serves its requests on
    /// the same, and that has one thread, saves them the way from thread to thread.
    #[must_use]
    pub fn runtime(&self) -> tokio::runtime::Handle {
        self.session.runtime.clone()
    }

    /// Asks the unit who and how large it is.
    pub(crate) async fn open(
        session: &Arc<Handle>,
        number: LunNumber,
    ) -> Result<Self, SessionError> {
        let login = session.luns.login();
        let probed = probe::open(session, number).await?;
        let (state, doubted) = session.luns.adopt(probed, login);
        for lun in doubted {
            session.inbox.send(Message::Check(lun));
        }
        Ok(Self {
            state,
            session: Arc::clone(session),
        })
    }

    /// Its LUN.
    #[must_use]
    pub fn number(&self) -> LunNumber {
        self.state.number
    }

    /// The target it belongs to.
    #[must_use]
    pub fn target(&self) -> &IscsiName {
        &self.state.target
    }

    /// Who it is, when it says so (VPD 0x83, else 0x80).
    #[must_use]
    pub fn identity(&self) -> Option<&DiskIdentity> {
        self.state.identity.as_ref()
    }

    /// Its standard INQUIRY data.
    #[must_use]
    pub fn inquiry(&self) -> &Inquiry {
        &self.state.inquiry
    }

    /// Its unit serial number (VPD 0x80), made printable.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.state.serial.as_deref()
    }

    /// It is a disk with a size; other devices only take raw commands.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        self.state.is_disk()
    }

    /// Another disk was found at its LUN after a reconnect: every request fails.
    #[must_use]
    pub fn is_wrong_disk(&self) -> bool {
        self.state.is_wrong_disk()
    }

    /// It was asked who it is since the last login and since the last reason for doubt, and is the
    /// disk it was. Until then requests wait.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.state.standing() == Standing::Known
    }

    /// Has it asked again who it is, because there is reason to think that it may be another, such as
    /// its absence for a while. Requests wait until it has answered; `SessionEvent::DiskChecked` or
    /// `SessionEvent::WrongDisk` then says what came of it. While the session is not logged in nothing
    /// is done: the next login asks anyway.
    pub fn check(&self) {
        let state = Arc::clone(&self.state);
        self.session.inbox.send(Message::Check(state));
    }

    /// Asks for size and limits again, after a change of capacity.
    ///
    /// # Errors
    /// A command failed: the old geometry stays. Or the block size is another, and so is the disk:
    /// it takes no more requests.
    pub async fn refresh(&self) -> Result<Geometry, SessionError> {
        let (geometry, limits) = probe::medium(&self.session, self.state.number).await?;
        if !self.state.renew(geometry, limits) {
            self.check();
            let what = format!("blocks of {} bytes now", geometry.block_size);
            return Err(self.session.bad_answer("READ CAPACITY", what));
        }
        Ok(geometry)
    }
}

impl BlockDevice for Lun {
    fn geometry(&self) -> Geometry {
        self.state.geometry()
    }

    fn submit(&self, request: Request) {
        let medium = *self.state.medium();
        if let Err(error) = request.check(&medium.geometry) {
            return request.complete(Err(error));
        }
        // A length of 0 means "all the rest" to some commands.
        if request.length() == 0 && request.operation != Operation::Flush {
            return request.complete(Ok(()));
        }
        if split::is_needed(&request, &medium.geometry, medium.limits) {
            return split::submit(self, request, &medium.geometry, medium.limits);
        }
        self.submit_one(request);
    }
}

impl Lun {
    /// Submits a request that fits one command.
    fn submit_one(&self, request: Request) {
        let io = BlockIo::new(request, Arc::clone(&self.state), Stage::Main);
        self.session.inbox.send(Message::Block(io));
    }
}

impl Shared {
    pub(crate) fn bad_answer(
        &self,
        command: &'static str,
        what: impl std::fmt::Display,
    ) -> SessionError {
        SessionError::BadAnswer {
            target: self.target.clone(),
            command,
            what: what.to_string(),
        }
    }
}
