//! What the handles tell the driver, and how it is woken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use hawser_proto::session::Hold;
use tokio::sync::oneshot;

use super::ManagementRequest;
use super::connections::ConnectionsRequest;
use super::raw::RawIo;
use super::verify::Checked;
use crate::error::SessionError;
use crate::lun::{BlockIo, LunState};

/// One thing for the driver to do.
#[derive(Debug)]
pub(crate) enum Message {
    /// A block request.
    Block(BlockIo),
    /// A raw SCSI command.
    Raw(RawIo),
    /// A task management request; the response code comes back.
    Manage(ManagementRequest, oneshot::Sender<Result<u8, SessionError>>),
    /// ABORT TASK of the raw command of this tag; the response code comes back.
    Abort(u64, oneshot::Sender<Result<u8, SessionError>>),
    /// There is reason to ask a LUN again who it is, or another disk was found at it already.
    Check(Arc<LunState>),
    /// A check of a LUN has ended.
    Checked(Checked),
    SetHold(Hold),
    /// Something about the session's connections.
    Connections(ConnectionsRequest),
    Reconnect,
    Logout,
    /// The last handle is gone.
    Abandon,
}

/// The queue to the driver. A lock is held for a few instructions only; the driver is woken only
/// when it sleeps.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Wakes the driver's task.
    sleeper: Option<Waker>,
    /// The driver sleeps, and is woken by the next message.
    is_asleep: bool,
    closed: bool,
}

impl Inbox {
    /// Gives the driver a message. After [`close`](Self::close) requests in it are answered here.
    pub(crate) fn send(&self, message: Message) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            drop(queue);
            message.refuse();
            return;
        }
        queue.messages.push_back(message);
        let was_asleep = std::mem::take(&mut queue.is_asleep);
        let sleeper = queue.sleeper.take_if(|_| was_asleep);
        drop(queue);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// The driver is awake: it looks for messages before it sleeps again.
    pub(super) fn awake(&self) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.is_asleep = false;
    }

    /// There is something to [`take`](Self::take).
    pub(super) fn has_messages(&self) -> bool {
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !queue.messages.is_empty()
    }

    /// Moves all messages to `into`, which is empty.
    pub(super) fn take(&self, into: &mut VecDeque<Message>) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.messages.is_empty() {
            std::mem::swap(&mut queue.messages, into);
        }
    }

    /// The driver is about to sleep: its task is woken by the next message. `false` when there is one
    /// already.
    pub(super) fn sleep(&self, cx: &Context<'_>) -> bool {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.messages.is_empty() {
            return false;
        }
        match &mut queue.sleeper {
            Some(sleeper) => sleeper.clone_from(cx.waker()),
            sleeper => *sleeper = Some(cx.waker().clone()),
        }
        queue.is_asleep = true;
        true
    }

    /// Ends the queue: what is in it and what comes is refused.
    pub(super) fn close(&self) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.closed = true;
        let left = std::mem::take(&mut queue.messages);
        drop(queue);
        left.into_iter().for_each(Message::refuse);
    }
}

impl Message {
    /// Answers it without carrying it out: the session is closed.
    pub(super) fn refuse(self) {
        match self {
            Self::Block(io) => io.refuse(),
            // A dropped sender tells the receiver that the session is closed.
            Self::Raw(_) | Self::Manage(..) | Self::Abort(..) => {}
            Self::Connections(_)
            | Self::Check(_)
            | Self::Checked(_)
            | Self::SetHold(_)
            | Self::Reconnect
            | Self::Logout
            | Self::Abandon => {}
        }
    }
}
