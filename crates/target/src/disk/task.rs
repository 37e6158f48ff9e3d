//! One command in hand: what came in, and the answer as it grows.

use hawser_scsi::{Cdb, Sense, Status};

use super::nexus::Nexus;
use super::refusal::Refusal;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// The SCSI status.
    pub status: Status,
    /// Sense data, with CHECK CONDITION only.
    pub sense: Option<Sense>,
    /// The bytes that the command moves in its one direction, whatever the initiator expected: the
    /// length of `data_in`, or the data out that the CDB speaks of. Compared with the expected
    /// length it gives the residual count. `None` where the command ended before it moved data.
    pub transfer_length: Option<u64>,
    pub(super) descriptor_sense: bool,
}

impl CommandResult {
    /// The sense data as they travel, in the format that the unit's control page asks for; empty
    /// without sense.
    #[must_use]
    pub fn sense_data(&self) -> Vec<u8> {
        match self.sense {
            None => Vec::new(),
            Some(sense) if self.descriptor_sense => sense.encode_descriptor(),
            Some(sense) => sense.encode_fixed().to_vec(),
        }
    }

    pub(super) const fn refused(refusal: Refusal) -> Self {
        let (status, sense) = match refusal {
            Refusal::Check(sense) => (Status::CheckCondition, Some(sense)),
            Refusal::Status(status) => (status, None),
        };
        Self {
            status,
            sense,
            transfer_length: None,
            descriptor_sense: false,
        }
    }
}

/// One command while it is carried out.
///
/// `data_in` keeps the bytes of the last command until a handler fills it, so that a large buffer
/// is not cleared for nothing; `filled` tells whether one did.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) nexus: &'a Nexus,
    /// The CDB, padded with zeros to 16 bytes.
    pub(super) cdb: [u8; 16],
    pub(super) data_out: &'a [u8],
    data_in: &'a mut Vec<u8>,
    filled: bool,
    pub(super) transfer_length: u64,
}

impl<'a> Task<'a> {
    /// Takes a command in hand; `None` for a CDB of no or more than 16 bytes.
    pub(super) fn new(
        nexus: &'a Nexus,
        cdb: &[u8],
        data_out: &'a [u8],
        data_in: &'a mut Vec<u8>,
    ) -> Option<Self> {
        let Some(cdb) = Cdb::from_bytes(cdb).map(|cdb| cdb.padded()) else {
            data_in.clear();
            return None;
        };
        Some(Self {
            nexus,
            cdb,
            data_out,
            data_in,
            filled: false,
            transfer_length: 0,
        })
    }

    pub(super) const fn opcode(&self) -> u8 {
        self.cdb[0]
    }

    /// Byte `at` of the CDB.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.cdb.get(at).copied().unwrap_or(0)
    }

    /// Whether bit `bit` of byte `at` of the CDB is set.
    pub(super) fn bit(&self, at: usize, bit: u8) -> bool {
        self.byte(at) & (1 << bit) != 0
    }

    /// The big-endian number in `len` (up to 8) bytes of the CDB from byte `at` on.
    pub(super) fn number(&self, at: usize, len: usize) -> u64 {
        let field = self.cdb.iter().skip(at).take(len);
        field.fold(0, |number, &b| number << 8 | u64::from(b))
    }

    /// Answers `bytes`, cut to the CDB's allocation length.
    pub(super) fn answer(&mut self, bytes: &[u8], allocation_length: u64) {
        let room = usize::try_from(allocation_length).unwrap_or(usize::MAX);
        let sent = bytes.get(..room).unwrap_or(bytes);
        self.filled = true;
        self.data_in.clear();
        self.data_in.extend_from_slice(sent);
        self.transfer_length = sent.len() as u64;
    }

    /// Makes `data_in` `len` bytes long and gives it out to be filled whole. Its old contents may
    /// still be there: nothing is cleared that will be written anyway.
    pub(super) fn data_in_of(&mut self, len: usize) -> &mut [u8] {
        self.filled = true;
        self.data_in.resize(len, 0);
        self.transfer_length = len as u64;
        self.data_in.as_mut_slice()
    }

    /// The parameter list of `len` bytes that the CDB promises.
    pub(super) fn parameter_list(&mut self, len: u64) -> Result<&'a [u8], Refusal> {
        self.transfer_length = len;
        let len = usize::try_from(len).map_err(|_| Refusal::parameter_length())?;
        self.data_out.get(..len).ok_or(Refusal::parameter_length())
    }

    /// The data out of a command that is only right as a whole: `len` bytes, not more or fewer. A
    /// wrong expected length of the initiator would compare or write what nobody meant.
    pub(super) fn exactly(&mut self, len: u64) -> Result<&'a [u8], Refusal> {
        self.transfer_length = len;
        match self.data_out.len() as u64 == len {
            true => Ok(self.data_out),
            false => Err(Refusal::illegal(0x24, 0x00)),
        }
    }

    /// The end of this command.
    pub(super) fn finish(self, result: Result<Status, Refusal>) -> CommandResult {
        if !self.filled || result.is_err() {
            self.data_in.clear();
        }
        match result {
            Ok(status) => CommandResult {
                status,
                sense: None,
                transfer_length: Some(self.transfer_length),
                descriptor_sense: false,
            },
            Err(refusal) => CommandResult::refused(refusal),
        }
    }
}
