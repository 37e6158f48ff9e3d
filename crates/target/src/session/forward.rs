//! Commands and task management of a session whose logical units are elsewhere (see
//! [`crate::forward`]).

use std::collections::HashSet;
use std::sync::Arc;

use hawser_proto::pdu::{
    TaskAttribute, TaskManagementRequest, TaskManagementResponse, TmfFunction, TmfResponse,
};
use hawser_proto::serial::Serial;
use hawser_scsi::{Lun, SenseKey, Status};

use super::command::DataOut;
use super::finished::{Outcome, Residual};
use super::link::Ending;
use super::manage::{PATIENCE, Scope};
use super::task::{Command, Home, Phase};
use super::{Core, Session, Turn};
use crate::disk::MAX_TRANSFER_BYTES;
use crate::faults::Answer;
use crate::forward::{
    FarAnswer, FarCommand, FarData, FarEnd, FarFunction, FarLost, FarNexus, FarResidual,
};

/// The most commands of a session that are at the far target at one time. The window bounds them,
/// but for those marked immediate.
const FAR_COMMANDS_LIMIT: usize = 1024;

/// The most memory that the data of these commands may take, in bytes: a command that would need
/// more is answered with TASK SET FULL. One alone may always have what it needs.
const FAR_BYTES_LIMIT: usize = 256 * 1024 * 1024;

impl Turn<'_> {
    /// Sends a command, whose data is complete, to the far target.
    pub(super) fn forward(
        &mut self,
        far: &Arc<dyn FarNexus>,
        cid: u16,
        command: Command,
        data: DataOut<'_>,
    ) {
        let held = command.expected() as usize;
        if let Some(answer) = self.refusal(&command, held) {
            return self.refuse(cid, &command, &answer);
        }
        let (ticket, itt) = (self.core.next_ticket, command.itt());
        self.core.next_ticket += 1;
        self.core.executing.insert(ticket, command.lun());
        self.core.far_bytes += held;
        let pending = far.execute(far_command(ticket, &command, data));
        self.keep(cid, command, Phase::Executing(ticket));
        let session = Arc::clone(self.session);
        tokio::spawn(async move {
            let end = pending.await;
            session.forwarded(ticket, itt, held, end);
        });
    }

    /// Why a command is not forwarded: it is too long or goes both ways, or too much is under way.
    fn refusal(&self, command: &Command, held: usize) -> Option<Answer> {
        let check = |asc| Answer::check_condition(SenseKey::IllegalRequest.to_nibble(), asc, 0);
        if !command.extended_cdb.is_empty() || command.is_bidirectional() {
            // INVALID COMMAND OPERATION CODE: no far target is asked for what we cannot carry.
            return Some(check(0x20));
        }
        if held as u64 > MAX_TRANSFER_BYTES {
            // INVALID FIELD IN CDB.
            return Some(check(0x24));
        }
        let many = self.core.executing.len() >= FAR_COMMANDS_LIMIT;
        let much = self.core.far_bytes > 0 && self.core.far_bytes + held > FAR_BYTES_LIMIT;
        (many || much).then(|| Answer::status(Status::TaskSetFull.to_byte()))
    }

    /// Takes a task management function for the far target in hand.
    pub(super) fn manage_far(
        &mut self,
        far: &Arc<dyn FarNexus>,
        cid: u16,
        request: &TaskManagementRequest,
    ) {
        use TmfFunction::{
            AbortTask, AbortTaskSet, ClearAca, ClearTaskSet, LogicalUnitReset, TargetColdReset,
            TargetWarmReset,
        };
        let lun = Lun(request.lun);
        let (function, scope) = match request.function() {
            Ok(AbortTask) => return self.abort_far(far, cid, request),
            Ok(function @ (AbortTaskSet | ClearTaskSet | LogicalUnitReset)) => {
                (function, Some(Scope::Unit(lun)))
            }
            Ok(function @ (TargetWarmReset | TargetColdReset)) => (function, Some(Scope::Target)),
            Ok(ClearAca) => (ClearAca, None),
            _ => return self.answer_function(cid, request.itt.get(), TmfResponse::NotSupported),
        };
        let itt = request.itt.get();
        self.core.managing.insert(itt);
        let affected = match scope {
            Some(scope) => self.hold_back(scope, Serial(request.cmd_sn.get())),
            None => Affected::default(),
        };
        let session = Arc::clone(self.session);
        let response = far.manage(FarFunction::Many(function, lun));
        tokio::spawn(async move {
            let response = response.await;
            let done = response == Ok(TmfResponse::Complete.code());
            session.turn(&mut session.lock()).let_go(&affected, done);
            if done {
                // Answers that came before this one go before it.
                session.gone(&affected.at_far).await;
            }
            session.conclude_far(cid, itt, response);
        });
    }

    /// ABORT TASK (RFC 7143 §11.6.1). A task whose data is still on its way has not left yet, and ends
    /// here; the others only if the far target says so.
    fn abort_far(&mut self, far: &Arc<dyn FarNexus>, cid: u16, request: &TaskManagementRequest) {
        let (itt, tag) = (request.itt.get(), request.referenced_task_tag.get());
        let task = self.core.tasks.get(&tag);
        let task = task.filter(|task| task.command.lun() == Lun(request.lun));
        let ticket = match task.map(|task| &task.phase) {
            None => return self.answer_function(cid, itt, TmfResponse::TaskDoesNotExist),
            Some(Phase::Executing(ticket)) => *ticket,
            Some(Phase::Gathering(_) | Phase::Swallowed) => {
                self.forget(tag);
                return self.answer_function(cid, itt, TmfResponse::Complete);
            }
        };
        self.core.managing.insert(itt);
        let session = Arc::clone(self.session);
        let response = far.manage(FarFunction::AbortTask(ticket));
        tokio::spawn(async move {
            let response = response.await;
            let ended = [TmfResponse::Complete, TmfResponse::TaskDoesNotExist];
            if ended.iter().any(|ended| response == Ok(ended.code())) {
                // If there is an answer, it came before this one, and goes before it.
                session.gone(&HashSet::from([ticket])).await;
            }
            session.conclude_far(cid, itt, response);
        });
    }

    fn answer_function(&mut self, cid: u16, itt: u32, response: TmfResponse) {
        self.send(cid, TaskManagementResponse::new(itt, response), &[], true);
    }

    /// The commands before `number` that a function concerns. Those whose data is on its way wait from
    /// now on: behind the function they would be carried out after all.
    fn hold_back(&mut self, scope: Scope, number: Serial) -> Affected {
        let mut affected = Affected::default();
        for (itt, task) in &mut self.core.tasks {
            if !scope.covers(task.command.lun()) || task.command.number() >= number {
                continue;
            }
            match task.phase {
                Phase::Executing(ticket) => drop(affected.at_far.insert(ticket)),
                _ if task.held => affected.early.push(*itt),
                _ => {
                    task.held = true;
                    affected.here.push(*itt);
                }
            }
        }
        affected
    }

    /// Ends the tasks that were held back if the far target has ended the others; else they go on.
    fn let_go(&mut self, affected: &Affected, ends: bool) {
        for itt in affected.here.iter().chain(&affected.early) {
            if ends {
                self.forget(*itt);
            }
        }
        for itt in &affected.here {
            if let Some(task) = self.core.tasks.get_mut(itt) {
                task.held = false;
            }
            self.proceed(*itt);
        }
    }
}

/// What a function on many tasks concerns.
#[derive(Debug, Default)]
struct Affected {
    /// The tickets of the commands at the far target.
    at_far: HashSet<u64>,
    /// The ITTs of commands that are held back for it.
    here: Vec<u32>,
    /// The ITTs of those that waited for their turn anyway.
    early: Vec<u32>,
}

impl Session {
    /// A command has ended at the far target: answers it where it is at home by then.
    fn forwarded(
        self: &Arc<Self>,
        ticket: u64,
        itt: u32,
        held: usize,
        end: Result<FarEnd, FarLost>,
    ) {
        let mut core = self.lock();
        core.executing.remove(&ticket);
        core.far_bytes = core.far_bytes.saturating_sub(held);
        let own = |phase: &Phase| matches!(phase, Phase::Executing(other) if *other == ticket);
        let alive = core.tasks.get(&itt).is_some_and(|task| own(&task.phase));
        if alive && let Some(task) = core.tasks.remove(&itt) {
            match end {
                Ok(FarEnd::Answered(answer)) => {
                    self.turn(&mut core)
                        .respond_far(task.home, &task.command, answer);
                }
                Ok(FarEnd::Aborted) => {}
                // The nexus ends without an answer.
                Err(FarLost) => core.close(),
            }
        }
        drop(core);
        self.settled.notify_waiters();
    }

    /// Waits until the commands of these tickets have ended, or the session.
    async fn gone(&self, tickets: &HashSet<u64>) {
        let here = |core: &Core| {
            tickets
                .iter()
                .any(|ticket| core.executing.contains_key(ticket))
        };
        self.until(|core| core.closed || !here(core)).await;
    }

    /// Answers a function with what the far target said of it.
    fn conclude_far(self: &Arc<Self>, cid: u16, itt: u32, response: Result<u8, FarLost>) {
        let mut core = self.lock();
        core.managing.remove(&itt);
        match response {
            Ok(code) => {
                let mut response = TaskManagementResponse::new(itt, TmfResponse::Complete);
                response.response_code = code;
                self.turn(&mut core).send(cid, response, &[], true);
            }
            Err(FarLost) => core.close(),
        }
        drop(core);
        self.settled.notify_waiters();
    }

    /// Ends the session when its far nexus is lost, and the far nexus with the session.
    pub(super) async fn keep_far(self: Arc<Self>, far: Arc<dyn FarNexus>) {
        tokio::select! {
            () = self.until(|core| core.closed) => {}
            () = far.lost() => self.tell_the_last().await,
        }
        // After a logout it ends once its answer is written, and not before.
        if !self.lock().closed {
            self.end();
        }
        far.close().await;
    }

    /// What the far target has answered before it was lost goes out first: a cold reset is answered, and ends
    /// the far nexus right after.
    async fn tell_the_last(&self) {
        let told = |core: &Core| core.closed || core.managing.is_empty();
        let written = |core: &Core| core.closed || core.links.is_empty();
        let both = async {
            self.until(told).await;
            for link in self.lock().links.values_mut() {
                link.end(Ending::AfterOutput);
            }
            self.until(written).await;
        };
        // An initiator that does not read is not waited for.
        let _ = tokio::time::timeout(PATIENCE, both).await;
    }
}

impl Turn<'_> {
    fn respond_far(&mut self, home: Home, command: &Command, answer: FarAnswer) {
        let outcome = Outcome {
            status: answer.status,
            sense: answer.sense,
            residual: residual(answer.residual),
            bidi: None,
        };
        let length = answer.data.len().min(command.expected_in() as usize);
        self.answer_command(home, command, outcome, answer.data, length);
    }
}

fn far_command(tag: u64, command: &Command, data: DataOut<'_>) -> FarCommand {
    let header = &command.header;
    let data = match (header.is_read(), header.is_write()) {
        (false, false) => FarData::None,
        (true, _) => FarData::In(command.expected()),
        (false, true) => FarData::Out(data.into_vec()),
    };
    FarCommand {
        tag,
        lun: command.lun(),
        cdb: header.cdb,
        attribute: header.attribute().unwrap_or(TaskAttribute::Simple),
        data,
    }
}

fn residual(residual: FarResidual) -> Residual {
    let (overflow, underflow, count) = match residual {
        FarResidual::None => (false, false, 0),
        FarResidual::Underflow(count) => (false, true, count),
        FarResidual::Overflow(count) => (true, false, count),
    };
    Residual {
        overflow,
        underflow,
        count,
    }
}
