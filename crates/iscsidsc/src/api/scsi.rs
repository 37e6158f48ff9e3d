//! §2.6: SCSI commands to a LUN of a session, data or informational.

use hawser_api::{lun_as_discovery_library, v1};

use super::{Library, ScsiAnswer, SessionId, Status, ask, calls};

/// Allocation length of INQUIRY: clients use a buffer of this size.
const INQUIRY_LENGTH: u32 = 255;

impl Library {
    /// `SendScsiInquiry`: `lun` is the eight LUN bytes read as a little-endian number, `evpd_cmddt` bit 0 EVPD and
    /// bit 1 CmdDt; its other bits are ignored. A command that the device refused is an answer: see
    /// [`ScsiAnswer::status`].
    ///
    /// # Errors
    /// `ISDSC_INVALID_SESSION_ID`, `ISDSC_NO_CONNECTION_AVAILABLE`, `ISDSC_TRANSPORT_ERROR`.
    pub fn scsi_inquiry(
        &self,
        session: SessionId,
        lun: u64,
        evpd_cmddt: u8,
        page_code: u8,
    ) -> Result<ScsiAnswer, Status> {
        let request = v1::InquiryRequest {
            nexus: Some(nexus(session, lun)),
            evpd: evpd_cmddt & 1 != 0,
            cmd_dt: evpd_cmddt & 2 != 0,
            page_code: page_code.into(),
            allocation_length: INQUIRY_LENGTH,
        };
        ask!(self, calls::INQUIRY, scsi.inquiry, request).map(answer)
    }

    /// `SendScsiReadCapacity`: READ CAPACITY(10); `lun` as in [`Library::scsi_inquiry`].
    ///
    /// # Errors
    /// As [`Library::scsi_inquiry`].
    pub fn scsi_read_capacity(&self, session: SessionId, lun: u64) -> Result<ScsiAnswer, Status> {
        let request = v1::ReadCapacityRequest {
            nexus: Some(nexus(session, lun)),
            sixteen: false,
        };
        ask!(self, calls::READ_CAPACITY, scsi.read_capacity, request).map(answer)
    }

    /// `SendScsiReportLuns`: sent to LUN 0.
    ///
    /// # Errors
    /// As [`Library::scsi_inquiry`].
    pub fn scsi_report_luns(&self, session: SessionId) -> Result<ScsiAnswer, Status> {
        let request = v1::ReportLunsRequest {
            nexus: Some(nexus(session, 0)),
        };
        ask!(self, calls::REPORT_LUNS, scsi.report_luns, request).map(answer)
    }
}

fn nexus(session: SessionId, lun: u64) -> v1::Nexus {
    v1::Nexus {
        which: Some(v1::nexus::Which::SessionId(session.into())),
        lun: lun_as_discovery_library(lun),
    }
}

fn answer(response: v1::ScsiResponse) -> ScsiAnswer {
    ScsiAnswer {
        scsi_status: super::convert::low8(response.scsi_status),
        data: response.data,
        sense: response.sense,
        underflow: response.underflow,
        overflow: response.overflow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luns_travel_as_the_bytes_that_they_are() {
        let session = SessionId {
            adapter_unique: 1,
            adapter_specific: 2,
        };
        let nexus = nexus(session, 0x100);
        assert_eq!(nexus.lun, 0x0001_0000_0000_0000, "LUN 1");
    }

    #[test]
    fn a_refused_command_is_an_answer_with_its_sense() {
        let answer = answer(v1::ScsiResponse {
            scsi_status: 2,
            sense: vec![0x70, 0, 5],
            underflow: 255,
            ..v1::ScsiResponse::default()
        });
        assert_eq!(answer.status(), Status::SCSI_REQUEST_FAILED);
        assert_eq!((answer.sense, answer.underflow), (vec![0x70, 0, 5], 255));
    }
}
