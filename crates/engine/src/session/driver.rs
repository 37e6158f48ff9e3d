//! The one task that drives a session: core, sockets, timer, login.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use hawser_proto::session::{
    Action, Backoff, ConnectionError, Event, Outcome, Session as Core, SessionConfig,
};
use tokio::time::Sleep;

use super::retry::Retries;
use super::slots::{Owner, Slots};
use super::socket::Socket;
use super::verify::{Verdict, verify};
use super::{Message, SessionEvent, SessionState, SessionView, Shared};
use crate::connect::farewell;
use crate::error::LoginFailure;
use crate::login::{Dialer, LoggedInStream};
use crate::lun::{BlockIo, LunState, prepare};
use crate::options::SessionOptions;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Rounds of work before the task lets others of its runtime run.
const ROUNDS_AT_ONCE: u32 = 64;

/// Owns everything of a session that lives between two awaits; nothing in it is shared but the inbox.
///
/// One loop, [`poll`](Self::poll): take messages, move bytes both ways, carry out what the core
/// wants, hand out what has ended; sleep when nothing moved. No task is spawned and nothing is
/// allocated for an I/O: a request waits in the inbox, then in its slot.
pub(super) struct Driver {
    pub(super) options: SessionOptions,
    pub(super) shared: Arc<Shared>,
    pub(super) core: Core,
    pub(super) slots: Slots,
    sockets: Vec<Socket>,
    /// Messages just taken from the inbox; empty between rounds.
    arrived: VecDeque<Message>,
    /// Commands that found the task table full.
    pub(super) waiting: VecDeque<Message>,
    pub(super) retries: Retries,
    /// The LUNs that were opened.
    pub(super) luns: Vec<Arc<LunState>>,
    dialer: Dialer,
    dialing: Option<BoxFuture<Result<LoggedInStream, LoginFailure>>>,
    verifying: Option<BoxFuture<Verdict>>,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Instant>,
    logins: u64,
    next_manager: u64,
    closed: bool,
    /// The time of this round of work: asked for once, not for each command.
    pub(super) now: Instant,
}

impl Driver {
    pub(super) fn new(options: SessionOptions, shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        let timeouts = &options.timeouts;
        let config = SessionConfig {
            max_tasks: options.queue_depth,
            hold: options.hold,
            ping_interval: timeouts.ping_interval,
            ping_timeout: timeouts.ping_timeout,
            management_timeout: timeouts.management,
            backoff: Backoff {
                first: timeouts.backoff_first,
                longest: timeouts.backoff_longest,
            },
        };
        Self {
            core: Core::new(config, now),
            slots: Slots::default(),
            sockets: Vec::new(),
            arrived: VecDeque::new(),
            waiting: VecDeque::new(),
            retries: Retries::default(),
            luns: Vec::new(),
            dialer: Dialer::new(&options),
            dialing: None,
            verifying: None,
            timer: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
            timer_at: None,
            logins: 0,
            next_manager: 0,
            closed: false,
            now,
            options,
            shared,
        }
    }

    pub(super) async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS_AT_ONCE {
            self.now = Instant::now();
            let mut moved = self.poll_messages(cx);
            moved |= self.poll_dialing(cx);
            moved |= self.poll_verifying(cx);
            moved |= self.poll_sockets(cx);
            moved |= self.carry_out_actions();
            moved |= self.hand_out_events();
            if self.closed {
                return Poll::Ready(());
            }
            if !moved && self.poll_timer(cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes messages from the inbox. Commands wait for a slot, in order; what steers the session
    /// goes past them, and so do the commands that ask who the disks are: those that wait for the
    /// gate may have filled the table, and the gate waits for these.
    fn poll_messages(&mut self, cx: &Context<'_>) -> bool {
        let mut moved = false;
        while self.core.has_room()
            && let Some(message) = self.waiting.pop_front()
        {
            self.handle_message(message);
            moved = true;
        }
        let mut arrived = std::mem::take(&mut self.arrived);
        self.shared.inbox.take(cx, &mut arrived);
        while let Some(message) = arrived.pop_front() {
            if self.must_wait(&message) {
                self.waiting.push_back(message);
            } else {
                self.handle_message(message);
                moved = true;
            }
        }
        self.arrived = arrived;
        moved
    }

    fn must_wait(&self, message: &Message) -> bool {
        match message {
            Message::Raw(io) if io.urgent => !self.core.has_urgent_room(),
            Message::Block(_) | Message::Raw(_) => {
                !self.waiting.is_empty() || !self.core.has_room()
            }
            _ => false,
        }
    }

    fn handle_message(&mut self, message: Message) {
        let now = self.now;
        match message {
            Message::Block(io) => self.start_block(io),
            Message::Raw(mut io) => {
                let (command, data) = io.prepare(self.options.timeouts.command);
                // There is room: it was asked for.
                if let Ok(id) = self.core.submit(now, command, 0) {
                    self.slots.put(id.slot(), data, Owner::Raw(io));
                }
            }
            Message::Manage(request, reply) => {
                self.next_manager += 1;
                let token = Some(self.next_manager);
                let (function, lun) = (request.function, request.lun.0);
                let request = hawser_proto::session::Management {
                    function,
                    lun,
                    task: None,
                    token,
                };
                self.slots.managers.push((self.next_manager, reply));
                if self.core.manage(now, request).is_err() {
                    self.managed(self.next_manager, Outcome::Disconnected);
                }
            }
            Message::Opened(lun) => {
                // Those that nobody holds any more need no check.
                self.luns.retain(|open| Arc::strong_count(open) > 1);
                self.luns.push(lun);
            }
            Message::SetHold(hold) => self.core.set_hold(hold),
            Message::Reconnect => self.lose(0, ConnectionError::Requested),
            Message::Logout => self.core.logout(now),
            Message::Abandon => self.core.close(),
        }
    }

    /// Submits a block request; there is room for it.
    pub(super) fn start_block(&mut self, io: BlockIo) {
        if io.lun.is_wrong_disk() {
            return self.refuse_wrong_disk(io);
        }
        let Some(mut io) = self.waits_for_flush(io) else {
            return;
        };
        let prepared = prepare(&mut io, self.options.timeouts.command);
        if let Ok(id) = self.core.submit(self.now, prepared.command, 0) {
            self.slots.put(id.slot(), prepared.data, Owner::Block(io));
        }
    }

    fn poll_dialing(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(dialing) = &mut self.dialing else {
            return false;
        };
        let Poll::Ready(result) = dialing.as_mut().poll(cx) else {
            return false;
        };
        self.dialing = None;
        match result {
            Ok(login) => self.logged_in(login),
            Err(failure) => {
                self.shared.login_failed(&failure);
                self.core.handle_login_failed(self.now);
            }
        }
        true
    }

    fn logged_in(&mut self, login: LoggedInStream) {
        self.dialer.remember(&login);
        if let Some(moved) = &login.moved_permanently {
            self.shared
                .tell(SessionEvent::MovedPermanently(moved.clone()));
        }
        let view = Arc::new(login.view(self.logins));
        self.logins += 1;
        self.shared
            .state
            .send_replace(SessionState::Up(Arc::clone(&view)));
        self.shared.tell(SessionEvent::Up(view));
        let established = login.established();
        self.sockets
            .push(Socket::new(established.cid, login.stream));
        self.core.handle_logged_in(self.now, established);
        if !login.beyond.is_empty() {
            let cid = self.sockets.last().map_or(0, |socket| socket.cid);
            let now = self.now;
            if let Err(error) = self
                .core
                .handle_input(now, cid, &login.beyond, &mut self.slots)
            {
                self.lose(cid, error);
            }
        }
    }

    fn poll_verifying(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(verifying) = &mut self.verifying else {
            return false;
        };
        let Poll::Ready(verdict) = verifying.as_mut().poll(cx) else {
            return false;
        };
        self.verifying = None;
        if let Verdict::Checked { wrong } = verdict {
            for (lun, found) in wrong {
                self.disown(&lun, found);
            }
            self.core.open_gate(self.now);
        }
        true
    }

    fn poll_sockets(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        let mut lost = None;
        for socket in &mut self.sockets {
            let received = socket.poll_receive(cx, self.now, &mut self.core, &mut self.slots);
            let sent = match received {
                Poll::Ready(Err(_)) => Poll::Pending,
                _ => socket.poll_send(cx, self.now, &mut self.core, &self.slots),
            };
            for result in [received, sent] {
                match result {
                    Poll::Ready(Ok(())) => moved = true,
                    Poll::Ready(Err(error)) => lost = Some((socket.cid, error)),
                    Poll::Pending => {}
                }
            }
        }
        if let Some((cid, error)) = lost {
            self.lose(cid, error);
            moved = true;
        }
        moved
    }

    fn lose(&mut self, cid: u16, error: ConnectionError) {
        self.core.handle_connection_lost(self.now, cid, error);
    }

    fn carry_out_actions(&mut self) -> bool {
        let mut moved = false;
        while let Some(action) = self.core.poll_action() {
            moved = true;
            match action {
                Action::Disconnect { cid, after_logout } => self.disconnect(cid, after_logout),
                Action::Connect { failures, .. } => {
                    self.verifying = None;
                    self.dialing = Some(self.dialer.dial(failures));
                }
            }
        }
        moved
    }

    fn disconnect(&mut self, cid: u16, after_logout: bool) {
        let Some(at) = self.sockets.iter().position(|socket| socket.cid == cid) else {
            return;
        };
        let socket = self.sockets.swap_remove(at);
        if after_logout {
            tokio::spawn(farewell(socket.into_stream()));
        }
    }

    fn hand_out_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.core.poll_event() {
            moved = true;
            self.handle_event(event);
        }
        moved
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Done(done) => match self.slots.take(done.slot) {
                Some((data, Owner::Raw(io))) => io.answer(done.outcome, data),
                Some((data, Owner::Block(io))) => self.block_done(io, data, done.outcome),
                None => self.managed(done.token, done.outcome),
            },
            Event::Up { .. } => {
                self.verifying = Some(Box::pin(verify(
                    Arc::clone(&self.shared),
                    self.luns.clone(),
                )));
            }
            Event::Lost(error) => {
                self.verifying = None;
                self.shared.lost(&error);
            }
            Event::Closed => {
                self.shared.inbox.close();
                self.waiting.drain(..).for_each(Message::refuse);
                self.retries.refuse_all();
                self.shared.state.send_replace(SessionState::Closed);
                self.shared.tell(SessionEvent::Closed);
                self.closed = true;
            }
            other => self.shared.news(other),
        }
    }

    fn managed(&mut self, token: u64, outcome: Outcome) {
        let managers = &mut self.slots.managers;
        let Some(at) = managers.iter().position(|(waiting, _)| *waiting == token) else {
            return;
        };
        let (_, reply) = managers.swap_remove(at);
        // Nobody may wait for it any more.
        drop(reply.send(super::raw::managed(&self.shared, outcome)));
    }

    /// Sleeps until the next deadline; `Ready` when one has passed and was handled.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = [self.core.poll_timeout(), self.retries.next_due()]
            .into_iter()
            .flatten()
            .min();
        let Some(due) = due else { return Poll::Pending };
        if self.timer_at != Some(due) {
            self.timer_at = Some(due);
            self.timer.as_mut().reset(due.into());
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.timer_at = None;
        let now = Instant::now();
        self.now = now;
        self.core.handle_timeout(now);
        while self.core.has_room()
            && let Some(io) = self.retries.take_due(now)
        {
            self.start_block(io);
        }
        Poll::Ready(())
    }
}

impl LoggedInStream {
    /// What is told of the session; `reconnects` counts the logins before this one.
    fn view(&self, reconnects: u64) -> SessionView {
        SessionView {
            portal: self.portal.clone(),
            local_address: address(self.stream.local_addr()),
            remote_address: address(self.stream.peer_addr()),
            isid: self.login.isid,
            tsih: self.login.tsih,
            cid: self.login.cid,
            tpgt: self.login.tpgt,
            target_alias: self.login.target_alias.clone(),
            parameters: self.login.parameters.clone(),
            chap: self.login.chap,
            md5_fallback: self.md5_fallback,
            unusual: self.login.unusual.iter().map(ToString::to_string).collect(),
            since: std::time::SystemTime::now(),
            reconnects,
        }
    }
}

fn address(address: std::io::Result<std::net::SocketAddr>) -> String {
    address
        .map(|address| address.to_string())
        .unwrap_or_default()
}
