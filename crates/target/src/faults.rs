//! Faults that tests switch on and off while the target runs.
//!
//! A target's [`Faults`] are shared by all its connections. Three kinds:
//! *events* happen now on every connection in the full feature phase, or on those of one CID
//! ([`Faults::drop_connections`], [`Faults::send_async`]); *one-shot* faults strike the next PDU they
//! fit, or the n-th ([`Faults::strike`]), and are gone ([`Faults::corrupt_next_data_digest`]);
//! *settings* last until they are changed
//! ([`Faults::set_black_hole`]). While nothing is switched on, a PDU costs one atomic load.

mod strike;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

pub use self::strike::{Direction, PduAction, PduFault};
use crate::connection::mailbox::Mailbox;
use crate::session::Times;

/// How many one-shot faults of a kind may wait; a test that asks for more has a bug.
const ONE_SHOTS_LIMIT: usize = 1024;

/// An Async Message to send (RFC 7143 §11.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AsyncEvent {
    /// AsyncEvent code: 0 SCSI event, 1 logout requested, 2 connection dropped, 3 all dropped,
    /// 4 negotiation requested, 5 tasks terminated (FastAbort), 248–255 vendor.
    pub event: u8,
    /// AsyncVCode, for vendor events.
    pub vendor_code: u8,
    /// The LUN field, for SCSI events.
    pub lun: u64,
    /// Parameter1: the CID for event 2.
    pub parameter1: u16,
    /// Parameter2: Time2Wait in seconds for events 2 and 3.
    pub parameter2: u16,
    /// Parameter3: Time2Retain, or the seconds within which to act, for events 1–4.
    pub parameter3: u16,
    /// Sense data for event 0.
    pub sense: Vec<u8>,
}

/// Where a login is sent instead of being served (RFC 7143 §11.13.5, status class 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `0102` target moved permanently, otherwise `0101` moved temporarily.
    pub permanent: bool,
    /// What to say as `TargetAddress`: `host[:port]`, or `None` to leave the key out, which is
    /// against the RFC.
    pub address: Option<String>,
}

impl Redirect {
    /// A temporary redirect to a socket address.
    #[must_use]
    pub fn temporary(address: SocketAddr) -> Self {
        Self {
            permanent: false,
            address: Some(address.to_string()),
        }
    }

    /// A permanent redirect to a socket address.
    #[must_use]
    pub fn permanent(address: SocketAddr) -> Self {
        Self {
            permanent: true,
            address: Some(address.to_string()),
        }
    }
}

/// What is done to the text of login responses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginText {
    /// Send at most so many bytes of text in one response and set C=1 on all but the last.
    pub split: Option<usize>,
    /// Answer T=0 to so many requests that ask for a stage change.
    pub hold_back: u32,
    /// `key=value` pairs to add to the first response of each stage: unknown keys, or keys a second
    /// time.
    pub extra: Vec<(String, String)>,
    /// Keys to leave out of every response.
    pub omit: Vec<String>,
}

/// What is done to R2Ts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct R2tFault {
    /// Ask for at most so many bytes with one R2T; 0 = as the login agreed.
    pub max_bytes: u32,
    /// Ask for the sequences of a command from the last to the first. Only done on a session with
    /// `DataSequenceInOrder=No`.
    pub reversed: bool,
    /// Wait so long before the R2Ts of a command.
    pub delay: Duration,
}

/// An answer given to a SCSI command in place of its execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Only for commands to this LUN number; `None`: any.
    pub lun: Option<u64>,
    /// The SCSI status, such as 08h BUSY or 28h TASK SET FULL.
    pub status: u8,
    /// Sense data; needed with status 02h CHECK CONDITION.
    pub sense: Vec<u8>,
}

impl Answer {
    /// A status without sense data, for the next command to any LUN.
    #[must_use]
    pub fn status(status: u8) -> Self {
        Self {
            lun: None,
            status,
            sense: Vec::new(),
        }
    }

    /// CHECK CONDITION with fixed format sense (SPC-4 §4.5.3), for the next command to any LUN.
    #[must_use]
    pub fn check_condition(key: u8, asc: u8, ascq: u8) -> Self {
        let key = key & 0x0f;
        let sense = vec![
            0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0,
        ];
        Self {
            lun: None,
            status: 0x02,
            sense,
        }
    }
}

/// Something that every connection in the full feature phase does at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Close the TCP connection without a word.
    Drop,
    /// Send an Async Message.
    Async(AsyncEvent),
    /// Announce the end of this connection, or of the whole session, with Time2Wait and
    /// Time2Retain, and close it.
    Farewell(bool, Times),
    /// Ask for a logout within so many seconds.
    RequestLogout(u16),
    /// Send a NOP-In with this Target Transfer Tag.
    Ping(u32),
    /// A setting changed: look again.
    Refresh,
}

/// The settings and one-shots in force.
#[derive(Debug, Default)]
struct State {
    login_answers: VecDeque<(u8, u8)>,
    redirect: Option<Redirect>,
    login_text: LoginText,
    connection_limit: Option<u16>,
    window: Option<u32>,
    reads_stalled: bool,
    answers_stalled: bool,
    answer_delay: Duration,
    black_holes: BTreeSet<u64>,
    r2t: R2tFault,
    drop_after_pdus: Option<u64>,
    drop_after_bytes: Option<u64>,
    header_digests: u32,
    data_digests: u32,
    status_jump: Option<u32>,
    answers: VecDeque<Answer>,
    rejects: VecDeque<u8>,
    snack_rejects: u32,
    strikes: Vec<PduFault>,
    disorder: Option<u64>,
    echo: bool,
}

impl State {
    /// Whether anything at all is switched on.
    fn is_armed(&self) -> bool {
        !self.login_answers.is_empty()
            || self.redirect.is_some()
            || self.login_text != LoginText::default()
            || self.connection_limit.is_some()
            || self.window.is_some()
            || self.reads_stalled
            || self.answers_stalled
            || !self.answer_delay.is_zero()
            || !self.black_holes.is_empty()
            || self.r2t != R2tFault::default()
            || self.drop_after_pdus.is_some()
            || self.drop_after_bytes.is_some()
            || self.header_digests > 0
            || self.data_digests > 0
            || self.status_jump.is_some()
            || !self.answers.is_empty()
            || !self.rejects.is_empty()
            || self.snack_rejects > 0
            || !self.strikes.is_empty()
            || self.disorder.is_some()
            || self.echo
    }
}

/// The fault switches of one target server. Each may be thrown at any time, from any thread.
#[derive(Debug, Default)]
pub struct Faults {
    armed: AtomicBool,
    state: Mutex<State>,
    /// The connections, with their CIDs.
    mailboxes: Mutex<Vec<(u16, Weak<Mailbox>)>>,
}

// What tests switch.
impl Faults {
    /// Switches every setting off and forgets the one-shots that have not struck.
    pub fn clear(&self) {
        self.change(|state| *state = State::default());
    }

    /// Closes every connection now, without a word.
    pub fn drop_connections(&self) {
        self.raise(None, &Event::Drop);
    }

    /// Closes the connections of this CID, of all sessions, now and without a word.
    pub fn drop_connection(&self, cid: u16) {
        self.raise(Some(cid), &Event::Drop);
    }

    /// Announces on the connections of this CID that they are dropped (async event 2), with
    /// Time2Wait and Time2Retain in seconds, and closes them. Their tasks are kept so long, from
    /// ErrorRecoveryLevel 1 on (RFC 7143 §7.5.2, §11.9.1).
    pub fn announce_drop(&self, cid: u16, time2wait: u16, time2retain: u16) {
        let times = Times {
            wait: time2wait,
            retain: time2retain,
        };
        self.raise(Some(cid), &Event::Farewell(false, times));
    }

    /// The same for all connections of all sessions (async event 3).
    pub fn announce_session_drop(&self, time2wait: u16, time2retain: u16) {
        let times = Times {
            wait: time2wait,
            retain: time2retain,
        };
        self.raise(None, &Event::Farewell(true, times));
    }

    /// Asks on the connections of this CID, or on all, for a logout (async event 1) within `seconds`.
    /// Connections that have not logged out by then are told that they are dropped (event 2, with
    /// the times of their session), and are (RFC 7143 §11.9.1).
    pub fn request_logout(&self, cid: Option<u16>, seconds: u16) {
        self.raise(cid, &Event::RequestLogout(seconds));
    }

    /// Strikes a PDU. One-shot; several wait side by side, each counting for itself.
    pub fn strike(&self, fault: PduFault) {
        self.change(|state| {
            if state.strikes.len() < ONE_SHOTS_LIMIT {
                state.strikes.push(fault);
            }
        });
    }

    /// How many faults of [`Self::strike`] have not struck yet.
    #[must_use]
    pub fn strikes_left(&self) -> usize {
        self.state().strikes.len()
    }

    /// Sends the data of reads, and the R2Ts of writes, in an order of chance as far as a session
    /// has `DataPDUInOrder=No` and `DataSequenceInOrder=No` (RFC 7143 §13.18, §13.19). The same seed
    /// and task tag give the same order; `None`: in order.
    pub fn set_disorder(&self, seed: Option<u64>) {
        self.change(|state| state.disorder = seed);
    }

    /// Has every logical unit carry out ECHO (true): a command of ours with opcode D0h, to test
    /// long CDBs and both directions. Its data in are its whole CDB, of any length up to 260 bytes,
    /// and behind it its data out. Without it D0h is an unknown command.
    pub fn set_echo(&self, on: bool) {
        self.change(|state| state.echo = on);
    }

    /// Closes the connection that sends the `count`-th PDU from now, after that PDU. One-shot.
    pub fn drop_after_pdus(&self, count: u64) {
        self.change(|state| state.drop_after_pdus = Some(count));
    }

    /// Closes the connection that writes the `count`-th byte from now, right after that byte: also
    /// in the middle of a PDU. One-shot.
    pub fn drop_after_bytes(&self, count: u64) {
        self.change(|state| state.drop_after_bytes = Some(count));
    }

    /// Stops reading from every socket (true), or resumes (false).
    pub fn set_reads_stalled(&self, stalled: bool) {
        self.change(|state| state.reads_stalled = stalled);
    }

    /// Stops writing to every socket (true), or resumes (false). Requests are still taken and
    /// executed; their answers wait.
    pub fn set_answers_stalled(&self, stalled: bool) {
        self.change(|state| state.answers_stalled = stalled);
    }

    /// Holds everything that is sent back by `delay`; zero switches it off.
    pub fn set_answer_delay(&self, delay: Duration) {
        self.change(|state| state.answer_delay = delay);
    }

    /// Spoils the header digest of the next PDU that has one. One-shot; counts up.
    pub fn corrupt_next_header_digest(&self) {
        self.change(|state| state.header_digests = state.header_digests.saturating_add(1));
    }

    /// Spoils the data digest of the next PDU that has one. One-shot; counts up.
    pub fn corrupt_next_data_digest(&self) {
        self.change(|state| state.data_digests = state.data_digests.saturating_add(1));
    }

    /// Answers the next login request with this status class and detail (RFC 7143 §11.13.5) and
    /// closes. One-shot; several queue up.
    pub fn refuse_next_login(&self, class: u8, detail: u8) {
        self.change(|state| push(&mut state.login_answers, (class, detail)));
    }

    /// Redirects every login, or none. Applies once security has been passed.
    pub fn set_redirect(&self, redirect: Option<Redirect>) {
        self.change(|state| state.redirect = redirect);
    }

    /// Sets what is done to the text of login responses.
    pub fn set_login_text(&self, text: LoginText) {
        self.change(|state| state.login_text = text);
    }

    /// Takes at most so many connections into a session, whatever its login agreed on; `None`: as many as
    /// agreed. Those that are there stay.
    pub fn set_connection_limit(&self, limit: Option<u16>) {
        self.change(|state| state.connection_limit = limit);
    }

    /// Adds `distance` to the StatSN of the next response that consumes one, and of all after it on
    /// that connection: as if that many responses had been lost. One-shot.
    pub fn jump_status_number(&self, distance: u32) {
        self.change(|state| state.status_jump = Some(distance));
    }

    /// Sets how many commands a session may have in hand; `None`: as configured. A smaller window
    /// closes as ExpCmdSN catches up with the MaxCmdSN already promised; a window that opens is
    /// announced with a NOP-In.
    pub fn set_window(&self, commands: Option<u32>) {
        self.change(|state| state.window = commands);
    }

    /// Sets what is done to R2Ts.
    pub fn set_r2t(&self, fault: R2tFault) {
        self.change(|state| state.r2t = fault);
    }

    /// Answers the next SCSI command it fits in place of executing it. One-shot; several queue up.
    pub fn answer_next(&self, answer: Answer) {
        self.change(|state| push(&mut state.answers, answer));
    }

    /// Never answers commands to LUN number `lun` (true); task management ends them. Commands
    /// swallowed so are not revived by false.
    pub fn set_black_hole(&self, lun: u64, on: bool) {
        self.change(|state| {
            if on {
                state.black_holes.insert(lun);
            } else {
                state.black_holes.remove(&lun);
            }
        });
    }

    /// Answers the next request, of any kind, with a Reject of this reason (RFC 7143 §11.17.1). A
    /// numbered request so rejected leaves a gap in CmdSN. One-shot; several queue up.
    pub fn reject_next(&self, reason: u8) {
        self.change(|state| push(&mut state.rejects, reason));
    }

    /// Rejects the next SNACK with reason 03 "SNACK reject" (RFC 7143 §7.8); a command without a
    /// status ends with CHECK CONDITION then. One-shot; counts up.
    pub fn reject_next_snack(&self) {
        self.change(|state| state.snack_rejects = state.snack_rejects.saturating_add(1));
    }

    /// Sends an Async Message on every connection now.
    pub fn send_async(&self, event: AsyncEvent) {
        self.raise(None, &Event::Async(event));
    }

    /// Sends an Async Message on the connections of this CID now.
    pub fn send_async_on(&self, cid: u16, event: AsyncEvent) {
        self.raise(Some(cid), &Event::Async(event));
    }

    /// Sends a NOP-In with this Target Transfer Tag on every connection now. `0xffff_ffff` wants no
    /// answer; 0 is a tag like any other.
    pub fn send_nop_in(&self, target_transfer_tag: u32) {
        self.raise(None, &Event::Ping(target_transfer_tag));
    }
}

// What connections ask.
impl Faults {
    /// Whether any setting or one-shot is on; all the questions below are in vain if not.
    pub(crate) fn armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// Sends the events to come to the mailbox of this connection too, as long as it is there.
    pub(crate) fn subscribe(&self, cid: u16, mailbox: Weak<Mailbox>) {
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        mailboxes.retain(|(_, mailbox)| mailbox.strong_count() > 0);
        mailboxes.push((cid, mailbox));
    }

    /// What happens to the PDU of this opcode that a connection sends or receives.
    pub(crate) fn take_strike(
        &self,
        direction: Direction,
        opcode: u8,
        cid: u16,
    ) -> Option<PduAction> {
        self.ask(|state| strike::take(&mut state.strikes, direction, opcode & 0x3f, cid))
    }

    pub(crate) fn disorder(&self) -> Option<u64> {
        if self.armed() {
            self.state().disorder
        } else {
            None
        }
    }

    pub(crate) fn echoes(&self) -> bool {
        self.armed() && self.state().echo
    }

    pub(crate) fn reads_stalled(&self) -> bool {
        self.armed() && self.state().reads_stalled
    }

    pub(crate) fn answers_stalled(&self) -> bool {
        self.armed() && self.state().answers_stalled
    }

    pub(crate) fn answer_delay(&self) -> Duration {
        if self.armed() {
            self.state().answer_delay
        } else {
            Duration::ZERO
        }
    }

    pub(crate) fn window(&self) -> Option<u32> {
        if self.armed() {
            self.state().window
        } else {
            None
        }
    }

    pub(crate) fn r2t(&self) -> R2tFault {
        if self.armed() {
            self.state().r2t
        } else {
            R2tFault::default()
        }
    }

    pub(crate) fn redirect(&self) -> Option<Redirect> {
        if self.armed() {
            self.state().redirect.clone()
        } else {
            None
        }
    }

    pub(crate) fn login_text(&self) -> LoginText {
        if self.armed() {
            self.state().login_text.clone()
        } else {
            LoginText::default()
        }
    }

    pub(crate) fn connection_limit(&self) -> Option<u16> {
        self.ask(|state| state.connection_limit)
    }

    pub(crate) fn is_black_hole(&self, lun: u64) -> bool {
        self.armed() && self.state().black_holes.contains(&lun)
    }

    pub(crate) fn take_login_answer(&self) -> Option<(u8, u8)> {
        self.ask(|state| state.login_answers.pop_front())
    }

    pub(crate) fn take_reject(&self) -> Option<u8> {
        self.ask(|state| state.rejects.pop_front())
    }

    pub(crate) fn take_snack_reject(&self) -> bool {
        self.ask(|state| count_down(&mut state.snack_rejects))
    }

    pub(crate) fn take_status_jump(&self) -> Option<u32> {
        self.ask(|state| state.status_jump.take())
    }

    /// The answer to give a command to `lun` in place of executing it.
    pub(crate) fn take_answer(&self, lun: u64) -> Option<Answer> {
        self.ask(|state| {
            let fits = |answer: &Answer| answer.lun.is_none_or(|wanted| wanted == lun);
            let index = state.answers.iter().position(fits)?;
            state.answers.remove(index)
        })
    }

    pub(crate) fn take_header_digest(&self) -> bool {
        self.ask(|state| count_down(&mut state.header_digests))
    }

    pub(crate) fn take_data_digest(&self) -> bool {
        self.ask(|state| count_down(&mut state.data_digests))
    }

    /// Counts one PDU sent; true when the connection is to be closed after it.
    pub(crate) fn pdu_sent(&self) -> bool {
        self.ask(|state| {
            let left = state.drop_after_pdus?.saturating_sub(1);
            state.drop_after_pdus = (left > 0).then_some(left);
            Some(left == 0)
        })
        .unwrap_or(false)
    }

    /// How many bytes may still be written before the connection is closed, if a fault says so.
    /// What is then written is to be counted with [`Self::bytes_sent`].
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        if self.armed() {
            self.state().drop_after_bytes
        } else {
            None
        }
    }

    /// Counts `count` bytes written; true when the connection is to be closed.
    pub(crate) fn bytes_sent(&self, count: usize) -> bool {
        self.ask(|state| {
            let left = state.drop_after_bytes?.saturating_sub(count as u64);
            state.drop_after_bytes = (left > 0).then_some(left);
            Some(left == 0)
        })
        .unwrap_or(false)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all connections, or those of one CID.
    fn raise(&self, only: Option<u16>, event: &Event) {
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let meant = mailboxes
            .iter()
            .filter(|(cid, _)| only.is_none_or(|only| only == *cid));
        for mailbox in meant.filter_map(|(_, mailbox)| mailbox.upgrade()) {
            mailbox.post(event.clone());
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.take(change);
        self.raise(None, &Event::Refresh);
    }

    /// Takes something out, if anything is switched on at all.
    fn ask<T: Default>(&self, take: impl FnOnce(&mut State) -> T) -> T {
        if self.armed() {
            self.take(take)
        } else {
            T::default()
        }
    }

    fn take<T>(&self, take: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let taken = take(&mut state);
        self.armed.store(state.is_armed(), Ordering::Release);
        taken
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() < ONE_SHOTS_LIMIT {
        queue.push_back(item);
    }
}

fn count_down(count: &mut u32) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shots_strike_once_and_disarm() {
        let faults = Faults::default();
        assert!(!faults.armed());
        faults.corrupt_next_header_digest();
        assert!(faults.armed());
        assert!(faults.take_header_digest());
        assert!(!faults.armed());
        assert!(!faults.take_header_digest());
    }

    #[test]
    fn an_answer_waits_for_its_lun() {
        let faults = Faults::default();
        faults.answer_next(Answer {
            lun: Some(3),
            ..Answer::status(0x08)
        });
        assert_eq!(faults.take_answer(0), None);
        assert_eq!(faults.take_answer(3).map(|a| a.status), Some(0x08));
        assert_eq!(faults.take_answer(3), None);
    }

    #[test]
    fn counts_bytes_and_pdus_down_to_the_drop() {
        let faults = Faults::default();
        faults.drop_after_bytes(100);
        assert_eq!(faults.bytes_left(), Some(100));
        assert!(!faults.bytes_sent(60));
        assert_eq!(faults.bytes_left(), Some(40));
        assert!(faults.bytes_sent(40));
        assert_eq!(faults.bytes_left(), None);
        faults.drop_after_pdus(2);
        assert!(!faults.pdu_sent());
        assert!(faults.pdu_sent());
        assert!(!faults.pdu_sent());
    }
}
