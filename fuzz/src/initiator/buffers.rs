//! The buffers of the tasks, which see who writes to them.

use std::collections::HashMap;

use hawser_proto::session::TaskBuffers;

/// The buffers of one task.
#[derive(Debug)]
struct Buffer {
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    /// The tag under which the task was last sent.
    tag: Option<u32>,
}

/// All buffers, by slot.
#[derive(Debug, Default)]
pub struct Buffers {
    slots: HashMap<u16, Buffer>,
    /// The tag in the PDU that is being delivered; `None` while the stream has lost its frame.
    delivering: Option<u32>,
}

impl Buffers {
    /// Buffers for a new task.
    pub fn insert(&mut self, slot: u16, outgoing: usize, incoming: usize) {
        let buffer = Buffer {
            outgoing: pattern(slot, 0, outgoing),
            incoming: vec![0; incoming],
            tag: None,
        };
        let before = self.slots.insert(slot, buffer);
        assert!(before.is_none(), "two tasks in slot {slot}");
    }

    /// The task has ended.
    pub fn remove(&mut self, slot: u16) {
        assert!(self.slots.remove(&slot).is_some(), "no task in slot {slot}");
    }

    /// A command was sent under this tag.
    pub fn sent(&mut self, tag: u32) {
        let slot = slot_of(tag);
        let buffer = self.slots.get_mut(&slot);
        buffer.expect("a command of a task that is there").tag = Some(tag);
    }

    /// Data-Out under this tag: it must be that of the task.
    pub fn check_outgoing(&self, tag: u32, offset: usize, data: &[u8]) {
        let slot = slot_of(tag);
        let buffer = self.slots.get(&slot).expect("data of a task that is there");
        assert_eq!(buffer.tag, Some(tag), "data under an old tag");
        assert!(
            offset + data.len() <= buffer.outgoing.len(),
            "data beyond the command"
        );
        assert_eq!(
            data,
            pattern(slot, offset, data.len()),
            "other data than the task's"
        );
    }

    /// Says which task the next payload belongs to, if that is known.
    pub fn deliver(&mut self, tag: Option<u32>) {
        self.delivering = tag;
    }
}

impl TaskBuffers for Buffers {
    fn outgoing(&self, slot: u16) -> &[u8] {
        self.slots.get(&slot).map_or(&[], |buffer| &buffer.outgoing)
    }

    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        let buffer = self.slots.get_mut(&slot);
        let buffer = buffer.expect("payload for a task that has ended");
        if self.delivering.is_some() {
            assert_eq!(self.delivering, buffer.tag, "payload of another task");
        }
        assert!(
            !buffer.incoming.is_empty(),
            "payload for a task that reads nothing"
        );
        &mut buffer.incoming
    }
}

/// The slot in an initiator task tag.
fn slot_of(tag: u32) -> u16 {
    u16::try_from(tag & 0xffff).expect("two bytes")
}

/// What a task writes.
fn pattern(slot: u16, offset: usize, length: usize) -> Vec<u8> {
    let byte = |at: usize| (at / 4 * 7 + at + usize::from(slot)) as u8;
    (offset..offset + length).map(byte).collect()
}
