//! A target whose commands are carried out elsewhere: by a far side that the test plays.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use hawser_target::TargetConfig;
use hawser_target::disk::Nexus;
use hawser_target::forward::{
    FarAnswer, FarCommand, FarData, FarEnd, FarFunction, FarLost, FarNexus, FarResidual, Forward,
    Pending,
};
use tokio::sync::{Notify, oneshot, watch};

use crate::raw::*;

/// Functions of §11.5.1.
const ABORT_TASK: u8 = 1;
const ABORT_TASK_SET: u8 = 2;
const LOGICAL_UNIT_RESET: u8 = 5;
const TARGET_COLD_RESET: u8 = 7;

/// Responses of §11.6.1.
const COMPLETE: u8 = 0;
const NO_SUCH_TASK: u8 = 1;
const NOT_SUPPORTED: u8 = 5;

/// What came to the far side, with the place for its end.
enum Asked {
    Command(FarCommand, oneshot::Sender<Result<FarEnd, FarLost>>),
    Function(FarFunction, oneshot::Sender<Result<u8, FarLost>>),
}

/// The far side: it does nothing by itself.
#[derive(Debug, Default)]
struct Far {
    asked: Mutex<VecDeque<Asked>>,
    more: Notify,
    opened: Mutex<Vec<Nexus>>,
    /// Logins fail.
    away: Mutex<bool>,
    lost: watch::Sender<bool>,
    /// A nexus may close.
    may_close: watch::Sender<bool>,
    closed: watch::Sender<bool>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(command, _) => command.fmt(f),
            Self::Function(function, _) => function.fmt(f),
        }
    }
}

impl Far {
    fn ask(&self, asked: Asked) {
        self.asked.lock().unwrap().push_back(asked);
        self.more.notify_one();
    }

    async fn next(&self) -> Asked {
        loop {
            let next = self.asked.lock().unwrap().pop_front();
            match next {
                Some(next) => return next,
                None => self.more.notified().await,
            }
        }
    }
}

/// Its nexus.
#[derive(Debug)]
struct End(Arc<Far>);

impl FarNexus for End {
    fn execute(&self, command: FarCommand) -> Pending<Result<FarEnd, FarLost>> {
        let (end, ended) = oneshot::channel();
        self.0.ask(Asked::Command(command, end));
        Box::pin(async move { ended.await.unwrap_or(Err(FarLost)) })
    }

    fn manage(&self, function: FarFunction) -> Pending<Result<u8, FarLost>> {
        let (end, ended) = oneshot::channel();
        self.0.ask(Asked::Function(function, end));
        Box::pin(async move { ended.await.unwrap_or(Err(FarLost)) })
    }

    fn lost(&self) -> Pending<()> {
        let mut lost = self.0.lost.subscribe();
        Box::pin(async move { drop(lost.wait_for(|lost| *lost).await) })
    }

    fn close(&self) -> Pending<()> {
        let mut may = self.0.may_close.subscribe();
        let far = Arc::clone(&self.0);
        Box::pin(async move {
            drop(may.wait_for(|may| *may).await);
            // What is under way ends with the nexus.
            far.asked.lock().unwrap().clear();
            far.closed.send_replace(true);
        })
    }
}

#[derive(Debug)]
struct To(Arc<Far>);

impl Forward for To {
    fn open(&self, nexus: Nexus) -> Pending<Result<Arc<dyn FarNexus>, FarLost>> {
        let far = Arc::clone(&self.0);
        Box::pin(async move {
            if *far.away.lock().unwrap() {
                return Err(FarLost);
            }
            far.opened.lock().unwrap().push(nexus);
            let end: Arc<dyn FarNexus> = Arc::new(End(far));
            Ok(end)
        })
    }
}

/// A server that forwards to a far side of the test's own.
struct Rig {
    server: Server,
    far: Arc<Far>,
}

impl Rig {
    fn new() -> Self {
        let far = Arc::new(Far::default());
        far.may_close.send_replace(true);
        let target = TargetConfig::new(IQN).unwrap();
        let server = Server::with_target(target.forward(Arc::new(To(Arc::clone(&far)))));
        Self { server, far }
    }

    fn ready() -> (Self, Initiator) {
        let rig = Self::new();
        let initiator = rig.server.log_in(&[]);
        (rig, initiator)
    }

    /// The next command at the far side.
    fn command(&self) -> (FarCommand, oneshot::Sender<Result<FarEnd, FarLost>>) {
        match self.server.runtime.block_on(self.far.next()) {
            Asked::Command(command, end) => (command, end),
            other @ Asked::Function(..) => panic!("{other:?}"),
        }
    }

    /// The next function at the far side.
    fn function(&self) -> (FarFunction, oneshot::Sender<Result<u8, FarLost>>) {
        match self.server.runtime.block_on(self.far.next()) {
            Asked::Function(function, end) => (function, end),
            other @ Asked::Command(..) => panic!("{other:?}"),
        }
    }
}

fn answered(answer: FarAnswer) -> Result<FarEnd, FarLost> {
    Ok(FarEnd::Answered(answer))
}

fn status(status: u8) -> Result<FarEnd, FarLost> {
    answered(FarAnswer {
        status,
        ..FarAnswer::default()
    })
}

#[test]
fn a_command_and_its_answer_pass_untouched() {
    let (rig, mut initiator) = Rig::ready();
    let mut header = initiator.command_header(FINAL | READ | 0x03, 4096, read10(7, 8));
    header[8..16].copy_from_slice(&[0x40, 5, 0, 0, 0, 0, 0, 0]);
    initiator.send(header, &[]);
    let (command, end) = rig.command();
    assert_eq!(command.lun.0, [0x40, 5, 0, 0, 0, 0, 0, 0]);
    assert_eq!(command.cdb, read10(7, 8));
    // §11.3.1: 3 is head of queue.
    assert_eq!(command.attribute.code(), 3);
    assert_eq!(command.data, FarData::In(4096));
    let (data, sense) = (pattern(3, 1000), [0x72, 0x01, 0x5d, 0, 0, 0, 0, 0]);
    end.send(answered(FarAnswer {
        status: 0x02,
        sense: sense.to_vec(),
        data: data.clone(),
        residual: FarResidual::Underflow(3096),
    }))
    .unwrap();
    assert_eq!(initiator.receive().data, data);
    let response = initiator.expect(SCSI_RESPONSE);
    assert_eq!(response.header[3], 0x02);
    assert_eq!(response.data, [&[0, 8][..], &sense].concat());
    // U, the underflow bit, and the count.
    assert_eq!((response.header[1], response.word(44)), (0x82, 3096));
}

#[test]
fn data_out_goes_along_and_every_status_comes_back() {
    let (rig, mut initiator) = Rig::ready();
    let data = pattern(1, 1024);
    // BUSY, RESERVATION CONFLICT, TASK SET FULL, ACA ACTIVE, TASK ABORTED.
    for code in [0x08, 0x18, 0x28, 0x30, 0x40] {
        let length = data.len() as u32;
        initiator.command(FINAL | WRITE | SIMPLE, length, write10(0, 2), &data[..512]);
        let r2t = initiator.expect_unnumbered(R2T);
        initiator.data_out(r2t.itt(), r2t.word(20), 0, 512, true, &data[512..]);
        let (command, end) = rig.command();
        assert_eq!(command.data, FarData::Out(data.clone()));
        end.send(status(code)).unwrap();
        assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], code);
    }
}

#[test]
fn commands_that_hang_hold_up_no_others() {
    let (rig, mut initiator) = Rig::ready();
    let hanging: Vec<_> = (0..100)
        .map(|_| {
            initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
            rig.command()
        })
        .collect();
    let last = initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    rig.command().1.send(status(0)).unwrap();
    assert_eq!(initiator.expect(SCSI_RESPONSE).itt(), last);
    drop(hanging);
}

#[test]
fn what_would_take_too_much_memory_is_answered_with_task_set_full() {
    let (rig, mut initiator) = Rig::ready();
    let read = |initiator: &mut Initiator| {
        initiator.command(FINAL | READ | SIMPLE, 16 << 20, read10(0, 0x8000), &[])
    };
    let hanging: Vec<_> = (0..16)
        .map(|_| {
            read(&mut initiator);
            rig.command()
        })
        .collect();
    read(&mut initiator);
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0x28);
    for (_, end) in hanging {
        end.send(status(0)).unwrap();
        initiator.expect(SCSI_RESPONSE);
    }
    read(&mut initiator);
    rig.command().1.send(status(0)).unwrap();
    assert_eq!(initiator.expect(SCSI_RESPONSE).header[3], 0);
}

#[test]
fn what_cannot_be_carried_is_refused_here() {
    let (rig, mut initiator) = Rig::ready();
    let header = initiator.command_header(FINAL | SIMPLE, 0, [0x7f; 16]);
    // §11.2.2.3: an extended CDB of four more bytes.
    let ahs = [0, 5, 1, 0, 1, 2, 3, 4];
    let bytes = initiator.encode_with(header, &ahs, &[]);
    initiator.send_bytes(&bytes);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x05, 0x20, 0x00));
    initiator.command(FINAL | READ | SIMPLE, (16 << 20) + 1, read10(0, 1), &[]);
    assert_eq!(initiator.expect(SCSI_RESPONSE).sense(), (0x05, 0x24, 0x00));
    assert!(rig.far.asked.lock().unwrap().is_empty());
}

#[test]
fn abort_task_ends_a_task_only_if_the_far_target_does() {
    let (rig, mut initiator) = Rig::ready();
    let itt = initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    let (command, end) = rig.command();
    // The answer was faster: it comes before that of the function.
    let function = initiator.send_function(ABORT_TASK, 0, itt, initiator.cmd_sn - 1);
    let (asked, done) = rig.function();
    assert_eq!(asked, FarFunction::AbortTask(command.tag));
    done.send(Ok(NO_SUCH_TASK)).unwrap();
    end.send(status(0x08)).unwrap();
    let response = initiator.expect(SCSI_RESPONSE);
    assert_eq!((response.itt(), response.header[3]), (itt, 0x08));
    let response = initiator.expect(TMF_RESPONSE);
    assert_eq!(
        (response.itt(), response.header[2]),
        (function, NO_SUCH_TASK)
    );

    let itt = initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    let (_, end) = rig.command();
    initiator.send_function(ABORT_TASK, 0, itt, initiator.cmd_sn - 1);
    let (_, done) = rig.function();
    done.send(Ok(COMPLETE)).unwrap();
    end.send(Ok(FarEnd::Aborted)).unwrap();
    assert_eq!(initiator.expect(TMF_RESPONSE).header[2], COMPLETE);
    initiator.expect_silence();
}

#[test]
fn a_function_on_many_tasks_is_the_far_targets_affair() {
    let (rig, mut initiator) = Rig::ready();
    initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    let (_, end) = rig.command();
    let gathering = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let r2t = initiator.expect_unnumbered(R2T);
    // Refused: both go on.
    initiator.send_function(ABORT_TASK_SET, 0, NIL, 0);
    let (_, done) = rig.function();
    done.send(Ok(NOT_SUPPORTED)).unwrap();
    assert_eq!(initiator.expect(TMF_RESPONSE).header[2], NOT_SUPPORTED);
    initiator.data_out(gathering, r2t.word(20), 0, 0, true, &[5; 512]);
    let (command, write_end) = rig.command();
    assert_eq!(command.data, FarData::Out(vec![5; 512]));
    // Done: what is at the far target ends there, what waits for its data ends here and never goes.
    let waiting = initiator.command(FINAL | WRITE | SIMPLE, 512, write10(0, 1), &[]);
    let r2t = initiator.expect_unnumbered(R2T);
    initiator.send_function(LOGICAL_UNIT_RESET, 0, NIL, 0);
    let (_, done) = rig.function();
    initiator.data_out(waiting, r2t.word(20), 0, 0, true, &[6; 512]);
    initiator.expect_silence();
    done.send(Ok(COMPLETE)).unwrap();
    end.send(Ok(FarEnd::Aborted)).unwrap();
    write_end.send(Ok(FarEnd::Aborted)).unwrap();
    assert_eq!(initiator.expect(TMF_RESPONSE).header[2], COMPLETE);
    initiator.expect_silence();
    assert!(rig.far.asked.lock().unwrap().is_empty());
}

/// A cold reset is answered, and ends the far nexus: the loss may be known here before the answer is.
#[test]
fn what_the_far_target_answered_before_it_was_lost_is_told() {
    let (rig, mut initiator) = Rig::ready();
    initiator.send_function(TARGET_COLD_RESET, 0, NIL, 0);
    let (_, done) = rig.function();
    rig.far.lost.send_replace(true);
    initiator.expect_silence();
    done.send(Ok(COMPLETE)).unwrap();
    assert_eq!(initiator.expect(TMF_RESPONSE).header[2], COMPLETE);
    initiator.expect_closed();
    rig.server
        .until("the session is gone", |handle| handle.sessions().is_empty());
}

#[test]
fn a_lost_far_nexus_is_a_lost_session() {
    // Told by itself, by a command, by a function.
    for way in 0..3 {
        let (rig, mut initiator) = Rig::ready();
        match way {
            0 => drop(rig.far.lost.send_replace(true)),
            1 => {
                initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
                rig.command().1.send(Err(FarLost)).unwrap();
            }
            _ => {
                initiator.send_function(ABORT_TASK_SET, 0, NIL, 0);
                rig.function().1.send(Err(FarLost)).unwrap();
            }
        }
        initiator.expect_closed();
        rig.server
            .until("the session is gone", |handle| handle.sessions().is_empty());
        assert!(*rig.far.closed.borrow(), "{way}");
    }
}

#[test]
fn a_login_waits_for_the_far_one_and_fails_with_it() {
    let rig = Rig::new();
    *rig.far.away.lock().unwrap() = true;
    let response = rig.server.connect().login_step(0x87, &Initiator::names());
    // §11.13.5: service unavailable.
    assert_eq!(response.login_status(), 0x0301);
    *rig.far.away.lock().unwrap() = false;
    let initiator = rig.server.log_in(&[]);
    let opened = rig.far.opened.lock().unwrap();
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].initiator_name(), INITIATOR);
    assert_eq!(opened[0].isid(), initiator.isid);
}

#[test]
fn a_logout_is_answered_when_the_far_nexus_is_gone() {
    let (rig, mut initiator) = Rig::ready();
    rig.far.may_close.send_replace(false);
    // A command that hangs goes with it.
    initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    let (_, end) = rig.command();
    initiator.log_out(0, 1);
    initiator.expect_silence();
    rig.far.may_close.send_replace(true);
    drop(end);
    initiator.expect(LOGOUT_RESPONSE);
    assert!(*rig.far.closed.borrow());
    initiator.expect_closed();
    rig.server
        .until("the session is gone", |handle| handle.sessions().is_empty());
}

#[test]
fn a_login_that_reinstates_a_session_waits_for_the_end_of_its_far_nexus() {
    let (rig, mut initiator) = Rig::ready();
    initiator.command(FINAL | SIMPLE, 0, [0; 16], &[]);
    let (_, end) = rig.command();
    // The nexus closes when the command has ended, as it does in life.
    drop(end);
    let again = rig.server.log_in(&[]);
    initiator.expect_closed();
    assert_eq!(rig.far.opened.lock().unwrap().len(), 2);
    assert!(*rig.far.closed.borrow());
    drop(again);
}

#[test]
fn sessions_agree_to_no_more_than_the_far_side_can_do() {
    let rig = Rig::new();
    let mut initiator = rig.server.connect();
    let offers = [
        ("MaxConnections", "4"),
        ("ErrorRecoveryLevel", "2"),
        ("iSCSIProtocolLevel", "2"),
    ];
    let text = initiator.log_in(&offers).text();
    for agreed in [
        "MaxConnections=1",
        "ErrorRecoveryLevel=0",
        "iSCSIProtocolLevel=1",
    ] {
        assert!(text.contains(agreed), "{agreed} in {text}");
    }
}
