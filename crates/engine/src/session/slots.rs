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
        self.slots[index] = Slot { data, owner };
    }

    pub(super) fn take(&mut self, slot: u16) -> Option<(Vec<u8>, Owner)> {
        let slot = self.slots.get_mut(usize::from(slot))?;
        let (_, owner) = slot.owner.take()?;
        Some((std::mem::take(&mut slot.data), owner))
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
            .map_or(&mut [], |slot| &mut slot.data)
    }
}
