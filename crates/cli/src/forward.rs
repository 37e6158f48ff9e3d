//! `hawser target --forward`: the far side of a target that forwards, on the engine.
//!
//! Each near session has a session of the engine of its own, opened with the initiator's own name and
//! an ISID that is made from the near nexus: always the same, so that a persistent reservation finds
//! its owner again, and never that which the initiator itself would use there. What the engine does
//! for disks (sending again, checking who they are, swallowing unit attentions) it does not do for
//! raw commands, so nothing of it is seen; what is left is switched off here: logins after a loss, and
//! time limits of commands, which are the near initiator's affair.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hawser_engine::{
    Cdb, ChapCredentials, Hold, IscsiName, Isid, LoginOptions, ManagementRequest, Residual,
    ScsiAnswer, ScsiRequest, Secret, Session, SessionError, SessionOptions, SessionState, Transfer,
};
use hawser_target::disk::Nexus;
use hawser_target::forward::{
    FarAnswer, FarCommand, FarData, FarEnd, FarFunction, FarLost, FarNexus, FarResidual, Forward,
    Pending,
};
use hawser_target::program::FarTarget;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::args::SecretSource;
use crate::secret::{self, CHAP_VARIABLE};

/// The longest that a command may take at the far target. Initiators give up long before; it only
/// keeps the engine from aborting anything by itself.
const COMMAND_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a task management function may take at the far target before its session is given up.
const MANAGEMENT_LIMIT: Duration = Duration::from_secs(60);

/// How long connecting and logging in to the far target may take: less than the near login has.
const LOGIN_LIMIT: Duration = Duration::from_secs(10);

/// How long a logout from the far target may take before its connection is just closed.
const LOGOUT_LIMIT: Duration = Duration::from_secs(5);

/// Commands of a session at once at the far target; its own window may be narrower.
const QUEUE_DEPTH: u16 = 1024;

/// The far target of `--forward`.
///
/// # Errors
/// The CHAP secret cannot be had.
pub(crate) fn connect(far: &FarTarget) -> Result<Arc<dyn Forward>, String> {
    Ok(Arc::new(Engine {
        far: far.clone(),
        chap: chap(far)?,
    }))
}

fn chap(far: &FarTarget) -> Result<Option<ChapCredentials>, String> {
    let Some(user) = &far.chap_user else {
        return Ok(None);
    };
    let source = far.chap_secret_file.clone().map(SecretSource::File);
    let found = secret::find(source.as_ref(), CHAP_VARIABLE);
    let found = found.map_err(|error| error.into_message())?;
    let found = found.ok_or_else(|| {
        format!("no secret: give --forward-chap-secret-file FILE or set {CHAP_VARIABLE}")
    })?;
    let secret = Secret::new(found.to_vec());
    Ok(Some(ChapCredentials::one_way(user.as_bytes(), secret)))
}

/// Opens sessions of the engine to one far target.
#[derive(Debug)]
struct Engine {
    far: FarTarget,
    chap: Option<ChapCredentials>,
}

impl Engine {
    fn options(&self, nexus: &Nexus) -> Option<SessionOptions> {
        let name = IscsiName::parse(nexus.initiator_name()).ok()?;
        let mut login = LoginOptions::new(name);
        login.chap.clone_from(&self.chap);
        // Each loss is told to the initiator, whatever the far target could keep.
        login.error_recovery_level = Some(0);
        let url = &self.far.url;
        let isid = far_isid(nexus);
        let mut options = SessionOptions::new(login, url.target.clone(), url.portal.clone(), isid);
        options.timeouts.login = LOGIN_LIMIT;
        options.timeouts.command = COMMAND_LIMIT;
        options.timeouts.management = MANAGEMENT_LIMIT;
        options.hold = Hold::For(Duration::ZERO);
        options.queue_depth = QUEUE_DEPTH;
        options.reconnect = false;
        Some(options)
    }
}

/// The ISID of the far half of a nexus: of the random form (RFC 7143 §11.12.5), from a hash (FNV-1a)
/// of the near half, because the same nexus has to get the same one after a restart too.
fn far_isid(nexus: &Nexus) -> Isid {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = (nexus.isid().into_iter())
        .chain(nexus.portal_group().to_be_bytes())
        .chain(nexus.initiator_name().bytes());
    let hash = bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
    Isid::from_random([a ^ f, b ^ g, c ^ h, d, e])
}

impl Forward for Engine {
    fn open(&self, nexus: Nexus) -> Pending<Result<Arc<dyn FarNexus>, FarLost>> {
        let options = self.options(&nexus);
        Box::pin(async move {
            let session = Session::open(options.ok_or(FarLost)?);
            // Dropping the session closes it; the engine has said in the log what went wrong.
            session.established().await.map_err(|_| FarLost)?;
            let far: Arc<dyn FarNexus> = Arc::new(FarSession {
                states: session.watch(),
                session: Mutex::new(Some(session)),
            });
            Ok(far)
        })
    }
}

/// A session of the engine, as the far half of a near session.
#[derive(Debug)]
struct FarSession {
    states: watch::Receiver<SessionState>,
    /// Taken out when it is to be closed.
    session: Mutex<Option<Session>>,
}

impl FarSession {
    fn with<T>(&self, ask: impl FnOnce(&Session) -> T) -> Option<T> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.as_ref().map(ask)
    }
}

impl FarNexus for FarSession {
    fn execute(&self, command: FarCommand) -> Pending<Result<FarEnd, FarLost>> {
        let transfer = match command.data {
            FarData::None => Transfer::None,
            FarData::In(length) => Transfer::Read(length),
            FarData::Out(bytes) => Transfer::Write(bytes),
        };
        let request = Cdb::from_bytes(&command.cdb).map(|cdb| ScsiRequest {
            lun: command.lun,
            cdb,
            transfer,
        });
        let started = request.and_then(|request| {
            self.with(|session| session.start_scsi(request, command.attribute, command.tag))
        });
        Box::pin(async move { end(started.ok_or(FarLost)?.answer().await) })
    }

    fn manage(&self, function: FarFunction) -> Pending<Result<u8, FarLost>> {
        let asked: Option<Pending<Result<u8, SessionError>>> = self.with(|session| -> Pending<_> {
            match function {
                FarFunction::AbortTask(tag) => Box::pin(session.abort(tag)),
                FarFunction::Many(function, lun) => {
                    Box::pin(session.manage(ManagementRequest { function, lun }))
                }
            }
        });
        Box::pin(async move { asked.ok_or(FarLost)?.await.map_err(|_| FarLost) })
    }

    fn lost(&self) -> Pending<()> {
        let mut states = self.states.clone();
        Box::pin(async move {
            let is_lost = |state: &SessionState| {
                matches!(state, SessionState::Lost { .. } | SessionState::Closed)
            };
            // An error means that its driver is gone: lost too.
            drop(states.wait_for(is_lost).await);
        })
    }

    fn close(&self) -> Pending<()> {
        let mut guard = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = guard.take();
        drop(guard);
        let mut states = self.states.clone();
        Box::pin(async move {
            if let Some(session) = session {
                drop(timeout(LOGOUT_LIMIT, session.logout()).await);
                // With its last handle the session goes, whatever the far target does.
            }
            let is_closed = |state: &SessionState| matches!(state, SessionState::Closed);
            drop(states.wait_for(is_closed).await);
        })
    }
}

/// What the end of a raw command is to the near initiator.
fn end(answer: Result<ScsiAnswer, SessionError>) -> Result<FarEnd, FarLost> {
    match answer {
        Ok(answer) => Ok(FarEnd::Answered(FarAnswer {
            status: answer.status.to_byte(),
            sense: answer.raw_sense,
            data: answer.data,
            residual: match answer.residual {
                Residual::None => FarResidual::None,
                Residual::Underflow(count) => FarResidual::Underflow(count),
                Residual::Overflow(count) => FarResidual::Overflow(count),
            },
        })),
        Err(SessionError::Aborted(_)) => Ok(FarEnd::Aborted),
        // The far target has failed, or rejected the command: there is no status to pass on.
        Err(SessionError::Refused { .. } | SessionError::TimedOut(_)) => {
            Ok(FarEnd::Answered(FarAnswer {
                status: CHECK_CONDITION,
                sense: INTERNAL_TARGET_FAILURE.to_vec(),
                ..FarAnswer::default()
            }))
        }
        Err(_) => Err(FarLost),
    }
}

/// The status that comes with sense data (SAM-5 §5.3.1).
const CHECK_CONDITION: u8 = 0x02;

/// Fixed format sense data (SPC-4 §4.5.3): ABORTED COMMAND, INTERNAL TARGET FAILURE.
const INTERNAL_TARGET_FAILURE: [u8; 18] = [
    0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x44, 0, 0, 0, 0, 0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nexus_has_an_isid_of_its_own_that_stays() {
        let near = |name: &str, isid, group| far_isid(&Nexus::new(name, isid, group));
        let isid = [0x80, 1, 2, 3, 0, 1];
        let first = near("iqn.2024-01.test:a", isid, 1);
        // Typed: persistent reservations are found by it after an update too.
        assert_eq!(first.to_string(), "80a42148cb6d");
        // RFC 7143 §11.12.5: T is 10b, random.
        assert_eq!(first.0[0], 0x80);
        let others = [
            near("iqn.2024-01.test:b", isid, 1),
            near("iqn.2024-01.test:a", [0x80, 1, 2, 3, 0, 2], 1),
            near("iqn.2024-01.test:a", isid, 2),
        ];
        for other in others {
            assert_ne!(other, first);
        }
        assert_ne!(first.0, isid);
    }

    #[test]
    fn what_ends_without_a_status_is_told_apart() {
        let target = IscsiName::parse("iqn.2024-01.test:far").unwrap();
        assert_eq!(
            end(Err(SessionError::Aborted(target.clone()))),
            Ok(FarEnd::Aborted)
        );
        for lost in [
            SessionError::Closed(target.clone()),
            SessionError::Interrupted(target.clone()),
            SessionError::Disconnected(target.clone()),
        ] {
            assert_eq!(end(Err(lost)), Err(FarLost));
        }
        let refused = SessionError::Refused {
            target,
            what: String::new(),
        };
        let Ok(FarEnd::Answered(answer)) = end(Err(refused)) else {
            panic!("no answer");
        };
        assert_eq!(answer.status, CHECK_CONDITION);
        assert_eq!((answer.sense[2], answer.sense[12]), (0x0b, 0x44));
    }

    #[test]
    fn the_secret_comes_from_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        let far = |user: Option<&str>| FarTarget {
            url: "iscsi://127.0.0.1/iqn.2024-01.test:far".parse().unwrap(),
            chap_user: user.map(str::to_owned),
            chap_secret_file: Some(file.clone()),
        };
        assert!(chap(&far(None)).unwrap().is_none());
        assert!(chap(&far(Some("user"))).unwrap_err().contains("secret"));
        std::fs::write(&file, "a-secret-of-many\n").unwrap();
        let found = chap(&far(Some("user"))).unwrap().unwrap();
        assert_eq!(found.user, b"user");
        assert!(found.secret.is_same_as(&"a-secret-of-many".into()));
    }
}
