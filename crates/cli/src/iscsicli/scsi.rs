//! SCSI commands sent as they are.

use hawser_api::discovery_library::Check;
use hawser_api::v1::{
    InquiryRequest, Nexus, ReadCapacityRequest, ReportLunsRequest, ScsiResponse, SessionId, nexus,
};
use hawser_api::{Client, Failure, Status};
use serde_json::json;

use super::commands::Request;
use super::page::Page;
use super::stop::{Answer, Stop};
use super::values::Values;

/// Sense bytes that are shown: as many as a caller of the Discovery Library passes room for.
const SENSE_SHOWN: usize = 18;

/// SAM-5 status GOOD.
const GOOD: u32 = 0x00;

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Inquiry(InquiryRequest),
    ReadCapacity(ReadCapacityRequest),
    ReportLuns(ReportLunsRequest),
}

pub(super) fn inquiry(values: &mut Values) -> Result<Request, Stop> {
    let (session, lun) = (values.session_id(), values.lun());
    let evpd_cmd_dt = values.number().unwrap_or(0);
    let page_code = values.number().unwrap_or(0);
    Ok(Request::Scsi(Ask::Inquiry(InquiryRequest {
        nexus: to(session, lun),
        evpd: evpd_cmd_dt & 1 != 0,
        cmd_dt: evpd_cmd_dt & 2 != 0,
        page_code,
        allocation_length: 0,
    })))
}

pub(super) fn read_capacity(values: &mut Values) -> Result<Request, Stop> {
    let (session, lun) = (values.session_id(), values.lun());
    Ok(Request::Scsi(Ask::ReadCapacity(ReadCapacityRequest {
        nexus: to(session, lun),
        sixteen: false,
    })))
}

pub(super) fn report_luns(values: &mut Values) -> Result<Request, Stop> {
    let request = ReportLunsRequest {
        nexus: to(values.session_id(), 0),
    };
    Ok(Request::Scsi(Ask::ReportLuns(request)))
}

fn to(session: SessionId, lun: u64) -> Option<Nexus> {
    Some(Nexus {
        which: Some(nexus::Which::SessionId(session)),
        lun,
    })
}

/// Whether the Discovery Library would ask this.
///
/// # Errors
/// Why not.
pub(super) fn check(ask: &Ask) -> Result<(), Stop> {
    match ask {
        Ask::Inquiry(request) => Ok(request.check()?),
        Ask::ReadCapacity(request) => Ok(request.check()?),
        Ask::ReportLuns(request) => Ok(request.check()?),
    }
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    let mut scsi = client.scsi();
    let answer = match ask {
        Ask::Inquiry(request) => scsi.inquiry(request).await?,
        Ask::ReadCapacity(request) => scsi.read_capacity(request).await?,
        Ask::ReportLuns(request) => scsi.report_luns(request).await?,
    };
    response(&answer.into_inner())
}

/// How a command ended: its data, or its sense data as a failure.
pub(super) fn response(response: &ScsiResponse) -> Result<Answer, Stop> {
    let mut page = Page::default();
    let status = response.scsi_status;
    page.line(format!("    ScsiStatus             : 0x{status:x}"));
    if status == GOOD {
        let size = response.data.len();
        page.line(format!("    Response Buffer Size   : 0x{size:x}"));
        page.dump("        ", &response.data);
        let json = json!({ "scsi_status": status, "data": hex(&response.data) });
        return Ok(Answer::new(page, json));
    }
    let shown = response.sense.get(..SENSE_SHOWN).unwrap_or(&response.sense);
    page.line(format!("    Sense Buffer Size      : 0x{:x}", shown.len()));
    page.dump("    ", shown);
    let failure =
        Failure::new(Status::SCSI_REQUEST_FAILED, "the LUN refused the command").with_peer_said(
            format!("SCSI status {status:#04x}, sense {}", hex(&response.sense)),
        );
    Err(Stop::Failed { page, failure })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
