//! Commands that need additional headers: CDBs of more than sixteen bytes, and data both ways
//! (RFC 7143 §11.2.2). They are rare, so what they need beyond others stands in a box of its own.

use std::time::Instant;

use super::event::PeerMisbehaved;
use super::task::{Task, TaskId};
use super::{Command, Direction, Full, Session};
use crate::pdu::ahs::{AdditionalHeaders, MAX_CDB_LENGTH};

/// What a command has beyond its [`Command`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    headers: Box<[u8]>,
    read_length: Option<u32>,
}

impl Extended {
    /// `cdb_rest` are the bytes of the CDB from its seventeenth on (RFC 7143 §11.2.2.3); there are none
    /// for a shorter one. `read_length` is the expected length of the data that a bidirectional command
    /// reads (§11.2.2.4), whose [`Command::direction`] is that of the write. `None` when the CDB is longer
    /// than 260 bytes.
    #[must_use]
    pub fn new(cdb_rest: &[u8], read_length: Option<u32>) -> Option<Self> {
        if cdb_rest.len() > MAX_CDB_LENGTH - 16 {
            return None;
        }
        let headers = AdditionalHeaders {
            extended_cdb: Some(cdb_rest).filter(|rest| !rest.is_empty()),
            bidi_read_length: read_length,
        };
        let mut bytes = Vec::new();
        headers.encode(&mut bytes);
        Some(Self {
            headers: bytes.into_boxed_slice(),
            read_length,
        })
    }

    /// It has data to read beside what it writes.
    pub(super) fn reads(&self) -> bool {
        self.read_length.is_some()
    }

    /// The additional headers as they travel.
    pub(super) fn headers(&self) -> &[u8] {
        &self.headers
    }
}

impl Session {
    /// Like [`submit`](Self::submit), for a command that needs additional headers. A bidirectional one
    /// writes what [`TaskBuffers::outgoing`](super::TaskBuffers::outgoing) gives for its slot and reads into
    /// [`TaskBuffers::incoming`](super::TaskBuffers::incoming), which are two buffers then. In its
    /// [`Answer`](super::Answer) `transferred` counts what was read, and `residual` is that of the write.
    ///
    /// # Errors
    /// [`Full`] when there is no slot; nothing has happened then.
    pub fn submit_extended(
        &mut self,
        now: Instant,
        command: Command,
        extended: Extended,
        token: u64,
    ) -> Result<TaskId, Full> {
        let id = self.submit(now, command, token)?;
        if let Some(task) = self.tasks.find(id) {
            task.recovery_mut().extended = Some(extended);
        }
        Ok(id)
    }
}

impl Task {
    /// It writes and reads.
    #[inline]
    pub(super) fn is_bidirectional(&self) -> bool {
        self.recovery.is_some() && self.bidi_read_length().is_some()
    }

    /// Expected length of what a bidirectional command reads.
    #[cold]
    pub(super) fn bidi_read_length(&self) -> Option<u32> {
        let writes = matches!(self.command()?.direction, Direction::Write(_));
        self.extended()?.read_length.filter(|_| writes)
    }

    /// Data-In and R2Ts of a bidirectional command share one counter (RFC 7143 §11.7.5), but by the
    /// example of appendix A.3.3 each has its own: both are taken.
    pub(super) fn check_bidi_data_sn(&self, got: u32) -> Result<(), PeerMisbehaved> {
        let expected = self.next_data_sn;
        if got == expected || got == self.data_pdus {
            return Ok(());
        }
        Err(PeerMisbehaved::DataSnGap { got, expected })
    }

    /// The same of an R2T.
    pub(super) fn is_bidi_r2t_sn(&self, got: u32) -> bool {
        let r2ts = self.next_data_sn.wrapping_sub(self.data_pdus);
        self.is_bidirectional() && got == r2ts
    }
}
