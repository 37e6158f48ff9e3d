//! The one task that drives a session: core, sockets, timer, login.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hawser_proto::session::{
    Action, Backoff, ConnectionError, Event, LoginRole, Outcome, Session as Core, SessionConfig,
    TaskId,
};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::busy_poll::BusyPoll;
use super::connections::Newcomer;
use super::doubts::Doubts;
use super::requests::Waiting;
use super::retry::Retries;
use super::slots::{Owner, Slots};
use super::socket::Socket;
use super::{ManagementRequest, SessionEvent, SessionState, SessionView, Shared};
use crate::connect::farewell;
use crate::error::SessionError;
use crate::login::{Dialer, Dialing, LoggedInStream};
use crate::options::SessionOptions;

/// A login under way.
pub(super) struct Dial {
    pub(super) cid: u16,
    pub(super) leading: bool,
    login: Dialing,
}

/// How long the task works, or looks for answers, before it lets the others of its thread run and those
/// sockets be looked at that they wait for.
const TURN: Duration = Duration::from_micros(200);

/// What part of the commands under way may have been answered before those that follow them are sent.
const SHARE: u64 = 4;

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
    pub(super) sockets: Vec<Socket>,
    pub(super) waiting: Waiting,
    pub(super) retries: Retries,
    pub(super) doubts: Doubts,
    pub(super) dialer: Dialer,
    /// Logins under way, by CID.
    pub(super) dialing: Vec<Dial>,
    /// Connections that somebody has asked for and waits for.
    pub(super) newcomers: Vec<Newcomer>,
    pub(super) busy: BusyPoll,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Instant>,
    /// The number of the present login, or the last one.
    pub(super) login: u64,
    next_manager: u64,
    closed: bool,
    /// Reads since something was sent last, while commands were held back.
    held: u64,
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
            connections: options.connections,
            policy: options.policy.clone(),
        };
        Self {
            core: Core::new(config, now),
            slots: Slots::default(),
            sockets: Vec::new(),
            waiting: Waiting::default(),
            retries: Retries::default(),
            doubts: Doubts::default(),
            dialer: Dialer::new(&options),
            dialing: Vec::new(),
            newcomers: Vec::new(),
            busy: BusyPoll::new(now),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            timer_at: None,
            login: 0,
            next_manager: 0,
            closed: false,
            held: 0,
            now,
            options,
            shared,
        }
    }

    pub(super) async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.inbox.awake();
        self.now = Instant::now();
        let over = self.now + TURN;
        while self.now < over {
            let mut moved = self.poll_dialing(cx);
            let received = self.poll_receive(cx);
            moved |= received;
            moved |= self.carry_out_actions();
            // Before anybody hears of an end, so that whoever does finds it counted.
            self.shared.counters.publish(self.core.counters());
            moved |= self.hand_out_events();
            if self.closed {
                return Poll::Ready(());
            }
            // Whoever heard of an end may have asked for the next thing: it leaves at once.
            moved |= self.poll_messages();
            if !(received && self.holds_back()) {
                moved |= self.poll_send(cx);
            }
            if !moved && !self.busy_poll() && self.shared.inbox.sleep(cx) {
                for socket in &mut self.sockets {
                    socket.settle(cx, self.now, &self.core);
                }
                if self.poll_timer(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            self.now = Instant::now();
        }
        self.poll_send(cx);
        // A target that never lets the session come to rest does not stop its clock.
        let _ = self.poll_timer(cx);
        let_others_run(cx);
        Poll::Pending
    }

    /// Asks for a task management function; ABORT TASK names its `task`.
    pub(super) fn manage(
        &mut self,
        request: ManagementRequest,
        task: Option<TaskId>,
        reply: oneshot::Sender<Result<u8, SessionError>>,
    ) {
        self.end_unsent(&request);
        self.next_manager += 1;
        let token = self.next_manager;
        self.slots.managers.push((token, reply));
        let request = hawser_proto::session::Management {
            function: request.function,
            lun: request.lun.0,
            task,
            token: Some(token),
        };
        if self.core.manage(self.now, request).is_err() {
            self.managed(token, Outcome::Disconnected);
        }
    }

    fn poll_dialing(&mut self, cx: &mut Context<'_>) -> bool {
        let mut ended = None;
        for (at, dial) in self.dialing.iter_mut().enumerate() {
            if let Poll::Ready(result) = dial.login.as_mut().poll(cx) {
                ended = Some((at, result));
                break;
            }
        }
        let Some((at, result)) = ended else {
            return false;
        };
        let dial = self.dialing.swap_remove(at);
        match result {
            Ok(login) if dial.leading => self.logged_in(login),
            Ok(login) => self.joined(login),
            Err(failure) if dial.leading => {
                self.shared.login_failed(&failure);
                self.core.handle_login_failed(self.now);
            }
            Err(failure) => self.join_failed(dial.cid, &failure),
        }
        true
    }

    fn logged_in(&mut self, login: LoggedInStream) {
        self.dialer.remember(&login);
        if let Some(moved) = &login.moved_permanently {
            self.shared
                .tell(SessionEvent::MovedPermanently(moved.clone()));
        }
        let view = Arc::new(login.view(self.reconnects()));
        // Nobody may see a session that is up and disks that are trusted from the time before.
        self.doubt_all();
        self.shared.members.set(vec![Arc::clone(&view)]);
        self.shared
            .state
            .send_replace(SessionState::Up(Arc::clone(&view)));
        self.shared.tell(SessionEvent::Up(Arc::clone(&view)));
        self.enter(login, view);
    }

    /// How often a session without a connection has had one again, with the login that is to be entered.
    pub(super) fn reconnects(&self) -> u64 {
        let again = self.login > 0 && !self.core.is_up();
        self.core.counters().reconnects + u64::from(again)
    }

    /// Takes a logged-in connection into the session.
    pub(super) fn enter(&mut self, login: LoggedInStream, view: Arc<SessionView>) {
        let established = login.established();
        let (cid, now) = (established.cid, self.now);
        self.sockets
            .push(Socket::new(cid, login.stream, view, self.now));
        self.core.handle_logged_in(now, established);
        // It may not be wanted any more.
        self.carry_out_actions();
        if login.beyond.is_empty() || !self.sockets.iter().any(|socket| socket.cid == cid) {
            return;
        }
        let beyond = &login.beyond;
        if let Err(error) = self.core.handle_input(now, cid, beyond, &mut self.slots) {
            self.lose(cid, error);
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        let mut lost = Vec::new();
        for socket in &mut self.sockets {
            match socket.poll_receive(cx, self.now, &mut self.core, &mut self.slots) {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(error)) => lost.push((socket.cid, error)),
                Poll::Pending => {}
            }
        }
        self.lose_all(lost) | moved
    }

    /// Reads once from each connection, without being woken later. `true`: something came.
    pub(super) fn receive_now(&mut self) -> bool {
        let mut moved = false;
        let mut lost = Vec::new();
        for socket in &mut self.sockets {
            match socket.receive_now(self.now, &mut self.core, &mut self.slots) {
                Some(Ok(())) => moved = true,
                Some(Err(error)) => lost.push((socket.cid, error)),
                None => {}
            }
        }
        self.lose_all(lost) | moved
    }

    /// More answers lie there to be read, and the target has enough to do: the commands that follow them may
    /// leave together, which costs both sides less.
    fn holds_back(&mut self) -> bool {
        let enough = self.core.counters().in_flight / SHARE;
        self.held += 1;
        self.held <= enough && self.sockets.iter().any(Socket::has_more)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> bool {
        self.held = 0;
        let mut moved = false;
        let mut lost = Vec::new();
        for socket in &mut self.sockets {
            match socket.poll_send(cx, self.now, &mut self.core, &self.slots) {
                Poll::Ready(Ok(())) => moved = true,
                Poll::Ready(Err(error)) => lost.push((socket.cid, error)),
                Poll::Pending => {}
            }
        }
        self.lose_all(lost) | moved
    }

    fn lose_all(&mut self, lost: Vec<(u16, ConnectionError)>) -> bool {
        let any = !lost.is_empty();
        for (cid, error) in lost {
            self.lose(cid, error);
        }
        any
    }

    /// Gives a connection up. Its socket goes at once: what it was writing refers to buffers of tasks
    /// that have ended now, and the next request may get one of their slots.
    pub(super) fn lose(&mut self, cid: u16, error: ConnectionError) {
        self.core.handle_connection_lost(self.now, cid, error);
        self.carry_out_actions();
    }

    pub(super) fn carry_out_actions(&mut self) -> bool {
        let mut moved = false;
        while let Some(action) = self.core.poll_action() {
            moved = true;
            match action {
                Action::Disconnect { cid, after_logout } => self.disconnect(cid, after_logout),
                Action::Connect {
                    cid,
                    login,
                    failures,
                } => {
                    let trusted = self.core.trusted_level();
                    self.dialing.push(Dial {
                        cid,
                        leading: login == LoginRole::Leading,
                        login: self.dialer.dial(cid, login, failures, trusted),
                    });
                }
            }
        }
        moved
    }

    fn disconnect(&mut self, cid: u16, after_logout: bool) {
        self.dialing.retain(|dial| dial.cid != cid);
        self.turn_away(cid);
        let Some(at) = self.sockets.iter().position(|socket| socket.cid == cid) else {
            return;
        };
        let socket = self.sockets.swap_remove(at);
        if after_logout {
            let shared = Arc::clone(&self.shared);
            shared.parting.send_modify(|open| *open += 1);
            tokio::spawn(async move {
                farewell(socket.into_stream()).await;
                shared.parting.send_modify(|open| *open -= 1);
            });
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
                Some((data, Owner::Raw(io))) => {
                    let read = self.slots.take_read(done.slot);
                    self.raw_done(io, data, read, done.outcome);
                }
                Some((data, Owner::Block(io))) => self.block_done(io, data, done.outcome),
                None => self.managed(done.token, done.outcome),
            },
            Event::Up { .. } => self.begin_checks(),
            Event::Lost(error) => {
                self.end_checks();
                self.shared.members.set(Vec::new());
                self.shared.lost(&error);
                if !self.options.reconnect {
                    self.core.close();
                }
            }
            Event::Closed => {
                self.closed = true;
                self.end();
            }
            Event::AsyncSense { lun, sense } => self.hear_async(lun, &sense),
            Event::ConnectionLost { cid, error } => self.connection_lost(cid, &error),
            other => self.shared.news(&other),
        }
    }

    /// Answers everything that was asked and refuses what comes: each request is completed.
    fn end(&mut self) {
        self.shared.inbox.close();
        self.waiting.refuse_all();
        self.retries.refuse_all();
        self.slots.refuse_all();
        self.newcomers.clear();
        self.shared.members.set(Vec::new());
        self.shared.state.send_replace(SessionState::Closed);
        self.shared.tell(SessionEvent::Closed);
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

    /// The next deadline.
    fn next_due(&self) -> Option<Instant> {
        let core = self.core.poll_timeout();
        let own = [
            self.retries.next_due(),
            self.waiting.parked_until(),
            self.doubts.gate_due(),
        ];
        match own.into_iter().flatten().min() {
            None if self.is_at_rest() => core.map(|due| super::rest::wake_for(due, self.now)),
            own => own.into_iter().chain(core).min(),
        }
    }

    /// It is logged in, and nobody waits for anything.
    fn is_at_rest(&self) -> bool {
        self.core.is_up() && self.dialing.is_empty() && self.core.counters().in_flight == 0
    }

    /// Sleeps until the next deadline; `Ready` when one has passed and was handled.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.next_due() else {
            return Poll::Pending;
        };
        if self.timer_at != Some(due) {
            self.timer_at = Some(due);
            self.timer.as_mut().reset(due.into());
        }
        // The runtime's timers do not run while its thread is kept busy, which a target can do.
        if due > self.now && self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.timer_at = None;
        self.now = Instant::now();
        self.core.handle_timeout(self.now);
        while let Some(io) = self.retries.take_due(self.now) {
            self.start_next(io);
        }
        self.look_at_overdue();
        if self.doubts.gate_due().is_some_and(|due| due <= self.now) {
            self.leave_doubted_behind();
        }
        Poll::Ready(())
    }
}

/// Has the task polled again after the others, and after the runtime has looked at its sockets and timers:
/// a mere waking lets it do so after dozens of turns only. The runtime keeps the waker when the future, which
/// has told it to, is dropped.
fn let_others_run(cx: &mut Context<'_>) {
    let turn = std::pin::pin!(tokio::task::yield_now());
    let _ = turn.poll(cx);
}

/// Whoever drops the task that drives a session (a runtime that shuts down, a panic) must not leave
/// anybody waiting.
impl Drop for Driver {
    fn drop(&mut self) {
        if !self.closed {
            self.end();
        }
    }
}

impl LoggedInStream {
    /// What is told of the session; `reconnects`: how often it had lost its last connection before.
    pub(super) fn view(&self, reconnects: u64) -> SessionView {
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
