//! One connection of the session: what is being written on it, and what is on its way to it.

use std::io::IoSlice;

use hawser_proto::parameters::Parameters;
use hawser_proto::pdu::FromInitiator;
use hawser_proto::session::{MAX_SEGMENTS, Transmit};

use super::buffers::Buffers;
use crate::wire::{Digests, Pdu, request};

/// Bytes of one batch: half a MiB, and a PDU beyond.
const BATCH_MAX: usize = 512 * 1024 + 16 * 1024;
/// TASK REASSIGN.
const REASSIGN: u8 = 8;

/// A connection.
#[derive(Debug)]
pub struct Member {
    /// What is being written.
    pub batch: Transmit,
    /// Bytes on their way, with the tag of their PDU.
    pub pipe: Vec<(Option<u32>, Vec<u8>)>,
    /// The target keeps to the frame of the stream.
    pub framed: bool,
    pub digests: Digests,
    level: u8,
    segment: usize,
    /// What was sent and is no whole PDU yet.
    sent: Vec<u8>,
}

impl Member {
    /// A connection with these parameters.
    pub fn new(parameters: &Parameters) -> Self {
        Self {
            batch: Transmit::default(),
            pipe: Vec::new(),
            framed: true,
            digests: Digests {
                header: parameters.header_digest,
                data: parameters.data_digest,
            },
            level: parameters.error_recovery_level,
            segment: parameters.max_send_data_segment as usize,
            sent: Vec::new(),
        }
    }

    /// What is being written can be written.
    pub fn check(&self, buffers: &Buffers) {
        let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
        let count = self.batch.slices(buffers, &mut slices);
        assert!(count.is_some(), "a batch refers to a task that has ended");
    }

    /// The PDUs of a new batch, each of which must be legal.
    pub fn take_sent(&mut self, buffers: &mut Buffers) -> Vec<Pdu> {
        let mut slices = [IoSlice::new(&[]); MAX_SEGMENTS];
        let count = self.batch.slices(&*buffers, &mut slices);
        let count = count.expect("buffers of tasks under way");
        for slice in &slices[..count] {
            self.sent.extend_from_slice(slice);
        }
        assert!(
            self.sent.len() <= BATCH_MAX,
            "a batch of {} bytes",
            self.sent.len()
        );
        let mut pdus = Vec::new();
        while let Some(pdu) = Pdu::take(&mut self.sent, self.digests) {
            self.judge(&pdu, buffers);
            pdus.push(pdu);
        }
        assert!(self.sent.is_empty(), "a batch that ends within a PDU");
        pdus
    }

    fn judge(&self, pdu: &Pdu, buffers: &mut Buffers) {
        let parsed = FromInitiator::parse(&pdu.header);
        assert!(parsed.is_ok(), "{parsed:?} of {pdu:02x?}");
        assert!(pdu.data.len() <= self.segment, "a segment that is too long");
        let function = pdu.header[1] & 0x7f;
        match pdu.opcode() {
            request::COMMAND => {
                buffers.sent(pdu.itt());
                buffers.check_outgoing(pdu.itt(), 0, &pdu.data);
            }
            request::DATA_OUT => {
                let offset = pdu.get(40) as usize;
                buffers.check_outgoing(pdu.itt(), offset, &pdu.data);
            }
            request::SNACK => assert!(self.level > 0, "a SNACK at level 0"),
            request::MANAGEMENT if function == REASSIGN => {
                assert_eq!(self.level, 2, "TASK REASSIGN below level 2");
            }
            request::LOGIN => panic!("a login in the full feature phase"),
            _ => {}
        }
    }
}
