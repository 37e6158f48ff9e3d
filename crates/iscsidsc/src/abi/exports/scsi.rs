//! §2.6: SCSI commands.

use hawser_api::Status;

use super::{Answer, LIBRARY, export};
use crate::abi::input;
use crate::abi::pack::{Image, Place, Room};
use crate::abi::types::ISCSI_UNIQUE_SESSION_ID;
use crate::api::ScsiAnswer;

/// Bit of `EvpdCmddt` that asks for a page of vital product data.
const EVPD: u8 = 1;
/// Bit of `EvpdCmddt` that asks for what a command supports.
const CMDDT: u8 = 2;

export! {
    /// `SendScsiInquiry` (§2.6).
    SendScsiInquiry = inquiry(
        UniqueSessionId: *const ISCSI_UNIQUE_SESSION_ID,
        Lun: u64,
        EvpdCmddt: u8,
        PageCode: u8,
        ScsiStatus: *mut u8,
        ResponseSize: *mut u32,
        ResponseBuffer: *mut u8,
        SenseSize: *mut u32,
        SenseBuffer: *mut u8,
    )
}

export! {
    /// `SendScsiReadCapacity` (§2.6): READ CAPACITY (10).
    SendScsiReadCapacity = read_capacity(
        UniqueSessionId: *const ISCSI_UNIQUE_SESSION_ID,
        Lun: u64,
        ScsiStatus: *mut u8,
        ResponseSize: *mut u32,
        ResponseBuffer: *mut u8,
        SenseSize: *mut u32,
        SenseBuffer: *mut u8,
    )
}

export! {
    /// `SendScsiReportLuns` (§2.6): REPORT LUNS, sent to LUN 0.
    SendScsiReportLuns = report_luns(
        UniqueSessionId: *const ISCSI_UNIQUE_SESSION_ID,
        ScsiStatus: *mut u8,
        ResponseSize: *mut u32,
        ResponseBuffer: *mut u8,
        SenseSize: *mut u32,
        SenseBuffer: *mut u8,
    )
}

#[allow(clippy::too_many_arguments)]
unsafe fn inquiry(
    session: *const ISCSI_UNIQUE_SESSION_ID,
    lun: u64,
    evpd_cmddt: u8,
    page_code: u8,
    status: *mut u8,
    response_size: *mut u32,
    response: *mut u8,
    sense_size: *mut u32,
    sense: *mut u8,
) -> Answer {
    // SAFETY: the caller vouches for the same.
    let desk = unsafe { Desk::new(status, response_size, response, sense_size, sense) }?;
    // SAFETY: the caller vouches for the id.
    let session = unsafe { input::session_id(session) }?;
    let answer = LIBRARY.scsi_inquiry(session, lun, evpd_cmddt, page_code)?;
    desk.take(&answer, inquiry_length(evpd_cmddt, &answer.data))
}

unsafe fn read_capacity(
    session: *const ISCSI_UNIQUE_SESSION_ID,
    lun: u64,
    status: *mut u8,
    response_size: *mut u32,
    response: *mut u8,
    sense_size: *mut u32,
    sense: *mut u8,
) -> Answer {
    // SAFETY: the caller vouches for the same.
    let desk = unsafe { Desk::new(status, response_size, response, sense_size, sense) }?;
    // SAFETY: the caller vouches for the id.
    let session = unsafe { input::session_id(session) }?;
    let answer = LIBRARY.scsi_read_capacity(session, lun)?;
    desk.take(&answer, answer.data.len())
}

unsafe fn report_luns(
    session: *const ISCSI_UNIQUE_SESSION_ID,
    status: *mut u8,
    response_size: *mut u32,
    response: *mut u8,
    sense_size: *mut u32,
    sense: *mut u8,
) -> Answer {
    // SAFETY: the caller vouches for the same.
    let desk = unsafe { Desk::new(status, response_size, response, sense_size, sense) }?;
    // SAFETY: the caller vouches for the id.
    let session = unsafe { input::session_id(session) }?;
    let answer = LIBRARY.scsi_report_luns(session)?;
    desk.take(&answer, report_luns_length(&answer.data))
}

/// How much of an INQUIRY response the device filled: what its length field says.
fn inquiry_length(evpd_cmddt: u8, data: &[u8]) -> usize {
    let byte = |index: usize| data.get(index).copied().map_or(0, usize::from);
    if evpd_cmddt & EVPD != 0 {
        byte(2) * 256 + byte(3) + 4
    } else if evpd_cmddt & CMDDT != 0 {
        byte(5) + 6
    } else {
        byte(4) + 5
    }
}

/// The same of a REPORT LUNS response.
fn report_luns_length(data: &[u8]) -> usize {
    let length = data.first_chunk().copied().map_or(0, u32::from_be_bytes);
    usize::try_from(length)
        .unwrap_or(usize::MAX)
        .saturating_add(8)
}

/// Where the answer to a SCSI command goes.
struct Desk {
    status: Place<u8>,
    response: Room,
    sense: Room,
}

impl Desk {
    /// # Safety
    /// As [`Place::at`] for the status, as [`Room::of_bytes`] for the others.
    unsafe fn new(
        status: *mut u8,
        response_size: *mut u32,
        response: *mut u8,
        sense_size: *mut u32,
        sense: *mut u8,
    ) -> Result<Self, Status> {
        // SAFETY: the caller vouches for it.
        unsafe {
            Ok(Self {
                status: Place::at(status)?,
                response: Room::of_bytes(response_size, response)?,
                sense: Room::of_bytes(sense_size, sense)?,
            })
        }
    }

    /// Hands over an answer, `length` bytes of its data at most. A command that failed has sense data and no response.
    fn take(&self, answer: &ScsiAnswer, length: usize) -> Answer {
        self.status.set(answer.scsi_status);
        self.sense_of(answer);
        let status = answer.status();
        if status.is_error() {
            self.response.tell(0);
            return Err(status);
        }
        let mut response = Image::default();
        response.blob(&answer.data[..answer.data.len().min(length)]);
        self.response.take(&response)?;
        Ok(status)
    }

    /// Sense data of a command that failed; else the least size that there is.
    fn sense_of(&self, answer: &ScsiAnswer) {
        if answer.status().is_error() {
            self.sense.take_sense(&answer.sense);
        } else {
            self.sense.tell(18);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_response_is_what_it_says_itself() {
        let standard = [0, 0, 5, 2, 31, 0, 0, 0];
        assert_eq!(inquiry_length(0, &standard), 36);
        let page = [0, 0x83, 1, 4, 0];
        assert_eq!(inquiry_length(EVPD, &page), 264);
        let support = [0, 0, 0, 0, 0, 10];
        assert_eq!(inquiry_length(CMDDT, &support), 16);
        assert_eq!(inquiry_length(0, &[]), 5);
        assert_eq!(report_luns_length(&[0, 0, 0, 16, 0, 0, 0, 0]), 24);
        assert_eq!(report_luns_length(&[0xff; 8]), 0xffff_ffff + 8);
        assert_eq!(report_luns_length(&[1]), 8);
    }

    fn refused() -> ScsiAnswer {
        ScsiAnswer {
            scsi_status: 2,
            data: vec![1, 2, 3],
            sense: (1..=20).collect(),
            underflow: 0,
            overflow: 0,
        }
    }

    /// Gives the status, and what status, sizes and sense buffer hold afterwards.
    fn taken(answer: &ScsiAnswer, response: &mut [u8], sense: &mut [u8]) -> (Answer, u8, u32, u32) {
        let (mut status, mut response_size, mut sense_size) =
            (0xee, response.len() as u32, sense.len() as u32);
        let (response, sense) = (response.as_mut_ptr(), sense.as_mut_ptr());
        // SAFETY: places and buffers are those above and as long as their sizes say.
        let desk = unsafe {
            Desk::new(
                &raw mut status,
                &raw mut response_size,
                response,
                &raw mut sense_size,
                sense,
            )
        };
        let answer = desk.unwrap().take(answer, 100);
        (answer, status, response_size, sense_size)
    }

    #[test]
    fn a_refused_command_gives_status_and_sense_and_no_response() {
        let (mut response, mut sense) = ([0xa5; 8], [0xa5; 24]);
        let told = taken(&refused(), &mut response, &mut sense);
        assert_eq!(told, (Err(Status::SCSI_REQUEST_FAILED), 2, 0, 20));
        assert_eq!(response, [0xa5; 8]);
        assert_eq!(sense[..20], refused().sense);
        assert_eq!(sense[20..], [0xa5; 4]);
    }

    #[test]
    fn sense_is_told_no_longer_than_a_buffer_of_eighteen_bytes() {
        let mut sense = [0xa5; 18];
        assert_eq!(taken(&refused(), &mut [0; 8], &mut sense).3, 18);
        assert_eq!(sense[..], refused().sense[..18]);
        let mut short = [0xa5; 4];
        assert_eq!(taken(&refused(), &mut [0; 8], &mut short).3, 18);
        assert_eq!(short, [1, 2, 3, 4]);
        let busy = ScsiAnswer {
            scsi_status: 8,
            sense: Vec::new(),
            ..refused()
        };
        let mut sense = [0xa5; 20];
        assert_eq!(taken(&busy, &mut [0; 8], &mut sense).3, 18);
        assert_eq!(sense[..18], [0; 18]);
        assert_eq!(sense[18..], [0xa5; 2]);
    }

    #[test]
    fn a_response_that_does_not_fit_is_not_written() {
        let good = ScsiAnswer {
            scsi_status: 0,
            sense: Vec::new(),
            ..refused()
        };
        let mut response = [0xa5; 2];
        let told = taken(&good, &mut response, &mut [0; 18]);
        assert_eq!(told, (Err(Status::ERROR_INSUFFICIENT_BUFFER), 0, 3, 18));
        assert_eq!(response, [0xa5; 2]);
        let mut response = [0xa5; 4];
        let told = taken(&good, &mut response, &mut [0; 18]);
        assert_eq!(told, (Ok(Status::ERROR_SUCCESS), 0, 3, 18));
        assert_eq!(response, [1, 2, 3, 0xa5]);
    }
}
