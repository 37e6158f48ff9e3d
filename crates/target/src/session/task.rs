//! A SCSI command that is not answered yet.

use hawser_proto::pdu::{Pdu, ScsiCommand};
use hawser_proto::serial::Serial;
use hawser_scsi::Lun;

use super::gather::Gather;

/// A command as it came.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) header: ScsiCommand,
    /// The bytes of the CDB beyond the sixteenth.
    pub(crate) extended_cdb: Vec<u8>,
    /// How many bytes a bidirectional command is expected to read.
    pub(crate) bidi_read_length: Option<u32>,
    /// The DataSN of its first Data-In: in a bidirectional command that comes behind its R2Ts
    /// (RFC 7143 §11.7.5).
    pub(crate) first_data_sn: u32,
    /// The tag of the last R-Data SNACK, or 0. The status then comes in a SCSI Response that has it
    /// (RFC 7143 §11.16.3).
    pub(crate) snack_tag: u32,
}

impl Command {
    pub(crate) fn itt(&self) -> u32 {
        self.header.itt.get()
    }

    pub(crate) fn lun(&self) -> Lun {
        Lun(self.header.lun)
    }

    pub(crate) fn expected(&self) -> u32 {
        self.header.edtl.get()
    }

    /// How many bytes it is expected to read, if it reads.
    pub(crate) fn expected_in(&self) -> u32 {
        match (self.header.is_read(), self.header.is_write()) {
            (true, false) => self.expected(),
            (true, true) => self.bidi_read_length.unwrap_or_default(),
            (false, _) => 0,
        }
    }

    pub(crate) fn is_bidirectional(&self) -> bool {
        self.header.is_read() && self.header.is_write()
    }

    pub(crate) fn number(&self) -> Serial {
        Serial(self.header.cmd_sn.get())
    }

    pub(crate) fn immediate_length(&self) -> u32 {
        self.header.data_segment_length()
    }

    /// The whole CDB, in `long` if it has more than 16 bytes.
    pub(crate) fn cdb<'a>(&'a self, long: &'a mut Vec<u8>) -> &'a [u8] {
        if self.extended_cdb.is_empty() {
            return &self.header.cdb;
        }
        long.extend_from_slice(&self.header.cdb);
        long.extend_from_slice(&self.extended_cdb);
        long
    }
}

/// What a task waits for.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Its turn in the order of CmdSN, or its data.
    Gathering(Gather),
    /// The end of its execution, which a worker tells by this ticket.
    Executing(u64),
    /// Nothing: a fault swallowed it.
    Swallowed,
}

impl Command {
    /// Has the Data-In PDUs of a bidirectional command numbered behind its R2Ts.
    pub(crate) fn note_r2ts(&mut self, phase: &Phase) {
        if let Phase::Gathering(gather) = phase
            && self.is_bidirectional()
        {
            self.first_data_sn = gather.next_r2t();
        }
    }
}

/// Where a task is at home (RFC 7143 §4.2.5.1, §7.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// On the connection of this CID.
    On(u16),
    /// Nowhere: it waits in this loss for a new allegiance.
    Lost(u64),
}

impl Home {
    /// The connection.
    pub(crate) fn cid(self) -> Option<u16> {
        match self {
            Self::On(cid) => Some(cid),
            Self::Lost(_) => None,
        }
    }
}

/// A task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) home: Home,
    pub(crate) command: Command,
    pub(crate) phase: Phase,
    /// An earlier CmdSN is missing.
    pub(crate) held: bool,
    /// Aborted: it only waits for data that is on its way.
    pub(crate) doomed: bool,
    /// A fault has held its R2Ts back already.
    pub(crate) delayed: bool,
    /// Memory that was set aside for its data, in bytes.
    pub(crate) reserved: usize,
    /// How far its data was at the last look.
    pub(crate) seen: Option<u64>,
}
