//! The service `Scsi`: commands sent as they are.

use std::sync::Arc;
use std::time::Duration;

use hawser_api::v1;
use hawser_api::v1::scsi_server::Scsi;
use hawser_api::{Failure, Status};
use hawser_engine::{LunNumber, Residual, ScsiAnswer, ScsiRequest, Transfer};
use hawser_scsi::{Cdb, SenseKey};
use tonic::Request;

use super::{Answer, Service};
use crate::daemon::Daemon;
use crate::security::may_change;
use crate::sessions::Entry;
use crate::{failures, logins};

/// Most bytes that one command may move.
const MAX_DATA: u32 = 1024 * 1024;
/// Allocation length of INQUIRY if none is said.
const DEFAULT_INQUIRY_LENGTH: u16 = 255;
/// Allocation length of REPORT LUNS.
const REPORT_LUNS_LENGTH: u32 = 64 * 1024;
/// Answer of READ CAPACITY (10) and (16), in bytes (SBC-3 §5.15, §5.16).
const CAPACITY_LENGTH: [u32; 2] = [8, 32];
/// Unit attentions that are passed over before one is handed on.
const MAX_UNIT_ATTENTIONS: usize = 8;
/// REPORTED LUNS DATA HAS CHANGED (SPC-4 annex D).
const LUNS_HAVE_CHANGED: (u8, u8) = (0x3f, 0x0e);
/// Longest time of one command, if none is said.
const DEFAULT_LIMIT: Duration = Duration::from_secs(120);

#[tonic::async_trait]
impl Scsi for Service {
    async fn inquiry(&self, request: Request<v1::InquiryRequest>) -> Answer<v1::ScsiResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let length = match u16::try_from(request.allocation_length) {
            Ok(0) => DEFAULT_INQUIRY_LENGTH,
            Ok(length) => length,
            Err(_) => return Err(invalid("the allocation length is 65535 at most").into()),
        };
        let page = u8::try_from(request.page_code);
        let page = page.map_err(|_| invalid("the page code is 255 at most"))?;
        let flags = u8::from(request.evpd) | (u8::from(request.cmd_dt) << 1);
        let [high, low] = length.to_be_bytes();
        let cdb = cdb(&[0x12, flags, page, high, low, 0])?;
        let (entry, lun) = nexus(&self.daemon, request.nexus)?;
        look(&entry, lun, cdb, length.into()).await
    }

    async fn read_capacity(
        &self,
        request: Request<v1::ReadCapacityRequest>,
    ) -> Answer<v1::ScsiResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let (entry, lun) = nexus(&self.daemon, request.nexus)?;
        let [ten, sixteen] = CAPACITY_LENGTH;
        match request.sixteen {
            true => look(&entry, lun, Cdb::read_capacity_16(sixteen), sixteen).await,
            false => look(&entry, lun, Cdb::read_capacity_10(), ten).await,
        }
    }

    async fn report_luns(
        &self,
        request: Request<v1::ReportLunsRequest>,
    ) -> Answer<v1::ScsiResponse> {
        may_change(&request)?;
        let (entry, _) = nexus(&self.daemon, request.into_inner().nexus)?;
        let cdb = Cdb::report_luns(0, REPORT_LUNS_LENGTH);
        look(&entry, LunNumber::ZERO, cdb, REPORT_LUNS_LENGTH).await
    }

    async fn execute(&self, request: Request<v1::ExecuteRequest>) -> Answer<v1::ScsiResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let cdb = cdb(&request.cdb)?;
        let outgoing = u32::try_from(request.data_out.len()).unwrap_or(u32::MAX);
        if request.data_in_length > MAX_DATA || outgoing > MAX_DATA {
            return Err(invalid(format!("a command moves {MAX_DATA} bytes at most")).into());
        }
        let transfer = match (request.data_in_length, request.data_out) {
            (0, data) if data.is_empty() => Transfer::None,
            (0, data) => Transfer::Write(data),
            (length, data) if data.is_empty() => Transfer::Read(length),
            _ => return Err(invalid("a command moves data one way").into()),
        };
        let limit = match request.timeout_ms {
            0 => DEFAULT_LIMIT,
            ms => Duration::from_millis(ms.into()),
        };
        let (entry, lun) = nexus(&self.daemon, request.nexus)?;
        tracing::info!(target_name = entry.origin.target, %lun, opcode = cdb.opcode(), "raw SCSI command");
        let answer = carry_out(&entry, ScsiRequest { lun, cdb, transfer }, limit).await?;
        Ok(tonic::Response::new(show(answer)))
    }
}

fn invalid(what: impl Into<String>) -> Failure {
    Failure::new(Status::ERROR_INVALID_PARAMETER, what)
}

fn cdb(bytes: &[u8]) -> Result<Cdb, Failure> {
    Cdb::from_bytes(bytes).ok_or_else(|| invalid("a CDB has 6 to 16 bytes"))
}

/// The session and LUN that a command is for.
fn nexus(daemon: &Daemon, nexus: Option<v1::Nexus>) -> Result<(Arc<Entry>, LunNumber), Failure> {
    let nexus = nexus.unwrap_or_default();
    let lun = LunNumber(nexus.lun.to_be_bytes());
    let entry = match nexus.which {
        Some(v1::nexus::Which::SessionId(id)) => daemon.sessions.get(id)?,
        Some(v1::nexus::Which::TargetName(name)) => {
            let name = logins::target_name(&name)?;
            let sessions = daemon.sessions.of_target(name.as_str()).into_iter();
            let up = sessions.into_iter().find(|entry| entry.view().is_some());
            up.ok_or_else(|| {
                let message = format!("there is no session with {name} that is up");
                Failure::new(Status::INVALID_SESSION_ID, message).with_target(name.as_str())
            })?
        }
        None => return Err(invalid("neither a session nor a target is named")),
    };
    if entry.view().is_none() {
        let message = format!(
            "the session with {} has no connection now",
            entry.origin.target
        );
        let failure = Failure::new(Status::NO_CONNECTION_AVAILABLE, message);
        return Err(failure.with_target(&entry.origin.target));
    }
    Ok((entry, lun))
}

/// A command that only looks: it is repeated after unit attentions, which tell of something past.
async fn look(entry: &Entry, lun: LunNumber, cdb: Cdb, length: u32) -> Answer<v1::ScsiResponse> {
    let mut attentions = 0;
    loop {
        let transfer = if length == 0 {
            Transfer::None
        } else {
            Transfer::Read(length)
        };
        let answer = carry_out(entry, ScsiRequest { lun, cdb, transfer }, DEFAULT_LIMIT).await?;
        let attention = answer
            .sense
            .is_some_and(|sense| sense.key == SenseKey::UnitAttention);
        if !attention || attentions == MAX_UNIT_ATTENTIONS {
            return Ok(tonic::Response::new(show(answer)));
        }
        attentions += 1;
    }
}

async fn carry_out(
    entry: &Entry,
    request: ScsiRequest,
    limit: Duration,
) -> Result<ScsiAnswer, Failure> {
    let target = &entry.origin.target;
    let answered = tokio::time::timeout(limit, entry.engine.scsi(request)).await;
    let answered = answered.map_err(|_| {
        let message = format!("{target} did not answer within {} s", limit.as_secs());
        Failure::new(Status::ERROR_TIMEOUT, message)
            .with_target(target)
            .with_advice("the command may still be carried out")
    })?;
    let answer = answered.map_err(|error| failures::of_session(&error, target))?;
    // This command has taken the unit attention, so nobody else will hear of the change.
    let sense = answer.sense.map(|sense| (sense.asc, sense.ascq));
    if sense == Some(LUNS_HAVE_CHANGED) {
        entry.scan.notify_one();
    }
    Ok(answer)
}

fn show(answer: ScsiAnswer) -> v1::ScsiResponse {
    let (underflow, overflow) = match answer.residual {
        Residual::None => (0, 0),
        Residual::Underflow(bytes) => (bytes, 0),
        Residual::Overflow(bytes) => (0, bytes),
    };
    v1::ScsiResponse {
        scsi_status: answer.status.to_byte().into(),
        data: answer.data,
        sense: answer.raw_sense,
        underflow,
        overflow,
    }
}
