//! The buffers of the tasks, by slot, and whose they are.

use hawser_proto::session::{TaskBuffers, TaskId};
use hawser_scsi::Lun;
use tokio::sync::oneshot;

use super::raw::RawIo;
use crate::error::SessionError;
use crate::lun::BlockIo;

/// Whose task is in a slot.
#[derive(Debug)]
pub(super) enum Owner {
    Block(BlockIo),
    Raw(RawIo),
}

#[derive(Debug, Default)]
struct Slot {
    data: Vec<u8>,
    /// What a bidirectional command reads; empty for all others.
    read: Vec<u8>,
    owner: Option<(TaskId, Owner)>,
}

/// All slots of a session. It grows with the core's task table.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Management requests under way, by token.
    pub(super) managers: Vec<(u64, oneshot::Sender<Result<u8, SessionError>>)>,
}

impl Slots {
    pub(super) fn put(&mut self, id: TaskId, data: Vec<u8>, owner: Owner) {
        let index = usize::from(id.slot());
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, Slot::default);
        }
        let owner = Some((id, owner));
        let read = Vec::new();
        self.slots[index] = Slot { data, read, owner };
    }

    /// Where the bidirectional command in this slot reads to.
    pub(super) fn put_read(&mut self, id: TaskId, read: Vec<u8>) {
        if let Some(slot) = self.slots.get_mut(usize::from(id.slot())) {
            slot.read = read;
        }
    }

    /// The owner of the task that has ended, and its data: of a bidirectional one, what it wrote.
    pub(super) fn take(&mut self, slot: u16) -> Option<(Vec<u8>, Owner)> {
        let slot = self.slots.get_mut(usize::from(slot))?;
        let (_, owner) = slot.owner.take()?;
        Some((std::mem::take(&mut slot.data), owner))
    }

    /// What a bidirectional command has read, once its task has ended.
    pub(super) fn take_read(&mut self, slot: u16) -> Vec<u8> {
        let slot = self.slots.get_mut(usize::from(slot));
        slot.map_or_else(Vec::new, |slot| std::mem::take(&mut slot.read))
    }

    /// The tasks of checks.
    pub(super) fn urgent(&self) -> Vec<TaskId> {
        let owners = self.slots.iter().filter_map(|slot| slot.owner.as_ref());
        let is_urgent = |owner: &Owner| matches!(owner, Owner::Raw(io) if io.urgent.is_some());
        owners
            .filter(|(_, owner)| is_urgent(owner))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The task and the LUN of the raw command of this tag.
    pub(super) fn tagged(&self, tag: u64) -> Option<(TaskId, Lun)> {
        self.raw(|io| io.tag == Some(tag)).next()
    }

    /// Those of all raw commands with a tag.
    pub(super) fn all_tagged(&self) -> Vec<(TaskId, Lun)> {
        self.raw(|io| io.tag.is_some()).collect()
    }

    fn raw(&self, is_meant: impl Fn(&RawIo) -> bool) -> impl Iterator<Item = (TaskId, Lun)> {
        let owners = self.slots.iter().filter_map(|slot| slot.owner.as_ref());
        owners.filter_map(move |(id, owner)| match owner {
            Owner::Raw(io) if is_meant(io) => Some((*id, io.request.lun)),
            _ => None,
        })
    }

    /// Answers all: the session is closed.
    pub(super) fn refuse_all(&mut self) {
        for slot in self.slots.drain(..) {
            if let Some((_, Owner::Block(mut io))) = slot.owner {
                io.take_back(slot.data);
                io.refuse();
            }
        }
        // Dropped senders tell those who wait that the session is closed.
        self.managers.clear();
    }
}

impl TaskBuffers for Slots {
    fn outgoing(&self, slot: u16) -> &[u8] {
        self.slots
            .get(usize::from(slot))
            .map_or(&[], |slot| &slot.data)
    }

    fn incoming(&mut self, slot: u16) -> &mut [u8] {
        self.slots
            .get_mut(usize::from(slot))
            .map_or(&mut [], |slot| match slot.read.is_empty() {
                true => &mut slot.data,
                false => &mut slot.read,
            })
    }
}
