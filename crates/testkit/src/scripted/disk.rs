//! A small SCSI disk, so that an initiator can open a logical unit before a test takes over.

use std::future::Future;

use super::pdu::Pdu;
use super::peer::Peer;
use super::wire::{NOP_OUT, SCSI_COMMAND, UNDERFLOW};

/// SCSI operation codes that the peer knows (SPC, SBC): TEST UNIT READY.
pub const TEST_UNIT_READY: u8 = 0x00;
/// INQUIRY.
pub const INQUIRY: u8 = 0x12;
/// MODE SENSE (6).
pub const MODE_SENSE_6: u8 = 0x1a;
/// READ CAPACITY (10).
pub const READ_CAPACITY_10: u8 = 0x25;
/// READ (10).
pub const READ_10: u8 = 0x28;
/// WRITE (10).
pub const WRITE_10: u8 = 0x2a;
/// SYNCHRONIZE CACHE (10).
pub const SYNCHRONIZE_CACHE_10: u8 = 0x35;
/// READ (16).
pub const READ_16: u8 = 0x88;
/// WRITE (16).
pub const WRITE_16: u8 = 0x8a;
/// SERVICE ACTION IN (16): READ CAPACITY (16).
pub const SERVICE_ACTION_IN_16: u8 = 0x9e;
/// REPORT LUNS.
pub const REPORT_LUNS: u8 = 0xa0;

/// Bytes of a block.
pub const BLOCK: usize = 512;

/// One logical unit, 0, in memory.
#[derive(Debug, Clone)]
pub struct Disk {
    /// Its content.
    pub content: Vec<u8>,
    /// What names it in VPD page 0x83 (NAA, eight bytes).
    pub name: [u8; 8],
    /// Sense data that the next command gets in place of its answer.
    pub attention: Option<[u8; 3]>,
}

impl Disk {
    /// A disk of so many blocks.
    #[must_use]
    pub fn new(blocks: usize) -> Self {
        Self {
            content: vec![0; blocks * BLOCK],
            name: [0x30, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77],
            attention: None,
        }
    }

    /// Answers commands of the initiator as long as `until` takes, and pings.
    ///
    /// # Panics
    /// When the initiator sends anything else, or leaves.
    pub async fn serve<T>(&mut self, peer: &mut Peer, until: impl Future<Output = T>) -> T {
        tokio::pin!(until);
        loop {
            tokio::select! {
                output = &mut until => return output,
                pdu = peer.next() => self.answer(peer, &pdu).await,
            }
        }
    }

    /// Answers commands until one with this operation code comes.
    ///
    /// # Panics
    /// When the initiator sends anything else, or leaves.
    pub async fn serve_until(&mut self, peer: &mut Peer, operation: u8) -> Pdu {
        loop {
            let pdu = peer.next().await;
            if pdu.opcode() == SCSI_COMMAND && pdu.cdb()[0] == operation {
                return pdu;
            }
            self.answer(peer, &pdu).await;
        }
    }

    /// Answers one command or ping.
    ///
    /// # Panics
    /// When it is something else.
    pub async fn answer(&mut self, peer: &mut Peer, pdu: &Pdu) {
        if pdu.opcode() == NOP_OUT {
            return peer.send(Pdu::pong(pdu)).await;
        }
        assert_eq!(
            pdu.opcode(),
            SCSI_COMMAND,
            "the disk only knows commands: {pdu:?}"
        );
        let cdb = pdu.cdb();
        if matches!(cdb[0], WRITE_10 | WRITE_16) {
            let data = if pdu.is_final() {
                peer.take_write_among_others(pdu).await
            } else {
                peer.take_write(pdu).await
            };
            let at = place(&cdb).0;
            self.content[at..at + data.len()].copy_from_slice(&data);
        }
        if let Some(sense) = self.attention.take() {
            return peer.send(Pdu::check_condition(pdu, sense)).await;
        }
        match self.data(&cdb) {
            Ok(data) if pdu.expected_length() == 0 || matches!(cdb[0], WRITE_10 | WRITE_16) => {
                assert!(data.is_empty(), "{pdu:?}");
                peer.send(Pdu::scsi_response(pdu, 0)).await;
            }
            Ok(data) => peer.send_data(pdu, &data).await,
            Err(sense) => peer.send(Pdu::check_condition(pdu, sense)).await,
        }
    }

    /// What a command is answered with, or the sense data of its refusal.
    fn data(&self, cdb: &[u8; 16]) -> Result<Vec<u8>, [u8; 3]> {
        let blocks = (self.content.len() / BLOCK) as u32;
        Ok(match cdb[0] {
            TEST_UNIT_READY | SYNCHRONIZE_CACHE_10 | WRITE_10 | WRITE_16 => Vec::new(),
            INQUIRY if cdb[1] & 1 == 0 => standard_inquiry(),
            INQUIRY => self.vital_product_data(cdb[2]).ok_or([5, 0x24, 0])?,
            // No cache, so that nothing need be flushed.
            MODE_SENSE_6 => {
                let mut page = vec![23, 0, 0, 0, 0x08, 0x12];
                page.resize(24, 0);
                page
            }
            READ_CAPACITY_10 => [(blocks - 1).to_be_bytes(), (BLOCK as u32).to_be_bytes()].concat(),
            SERVICE_ACTION_IN_16 => {
                let mut data = u64::from(blocks - 1).to_be_bytes().to_vec();
                data.extend((BLOCK as u32).to_be_bytes());
                data.resize(32, 0);
                data
            }
            READ_10 | READ_16 => {
                let (at, length) = place(cdb);
                self.content[at..at + length].to_vec()
            }
            REPORT_LUNS => {
                let mut data = vec![0; 16];
                data[3] = 8;
                data
            }
            _ => return Err([5, 0x20, 0]),
        })
    }

    fn vital_product_data(&self, page: u8) -> Option<Vec<u8>> {
        let body = match page {
            0x00 => vec![0x00, 0x80, 0x83],
            0x80 => b"SCRIPTED".to_vec(),
            // Binary, of the logical unit, NAA.
            0x83 => [&[0x01, 0x03, 0, 8], &self.name[..]].concat(),
            _ => return None,
        };
        Some([&[0, page, 0, body.len() as u8], &body[..]].concat())
    }
}

fn standard_inquiry() -> Vec<u8> {
    let mut data = vec![0; 36];
    (data[2], data[3], data[4], data[7]) = (6, 2, 31, 2);
    data[8..36].copy_from_slice(b"HAWSER  SCRIPTED PEER   0001");
    data
}

/// Where a read or write goes, and how long it is, in bytes.
fn place(cdb: &[u8; 16]) -> (usize, usize) {
    let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| cdb[at + i])) as usize;
    let (lba, blocks) = match cdb[0] {
        READ_16 | WRITE_16 => (word(6), word(10)),
        _ => (word(2), usize::from(u16::from_be_bytes([cdb[7], cdb[8]]))),
    };
    (lba * BLOCK, blocks * BLOCK)
}

impl Peer {
    /// Answers a read with `data`, cut to what was expected, in Data-In of the initiator's
    /// MaxRecvDataSegmentLength; the last one holds GOOD and the residual.
    pub async fn send_data(&mut self, command: &Pdu, data: &[u8]) {
        let expected = command.expected_length() as usize;
        let sent = &data[..data.len().min(expected)];
        let limit = self.agreed.offered.get("MaxRecvDataSegmentLength");
        let limit = limit.map_or(8192, |limit| limit.parse().expect("a number"));
        let mut pieces: Vec<&[u8]> = sent.chunks(limit).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let mut at = 0;
        for (index, piece) in pieces.iter().enumerate() {
            let mut pdu = Pdu::data_in(command, index as u32, at as u32, piece);
            at += piece.len();
            if index + 1 == pieces.len() {
                pdu = pdu.with_status(0);
                if at < expected {
                    pdu = pdu.with_residual(UNDERFLOW, (expected - at) as u32);
                }
            }
            self.send(pdu).await;
        }
    }

    /// Answers a command with a status in a SCSI Response.
    pub async fn respond(&mut self, command: &Pdu, status: u8) {
        self.send(Pdu::scsi_response(command, status)).await;
    }
}
