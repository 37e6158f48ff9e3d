//! `hawser scsi`: three commands that look at a disk, and what they answer.

use hawser_api::v1::{
    InquiryRequest, Nexus, ReadCapacityRequest, ReportLunsRequest, ScsiResponse, nexus,
};
use hawser_engine::LunNumber;
use serde::Serialize;

use super::Daemon;
use super::reason::some;
use crate::args::{ScsiCommand, ScsiNexus, SessionOrTarget};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Details, ShownLun, to_json};

/// SAM-5 status GOOD.
const GOOD: u32 = 0x00;

/// `hawser scsi`.
///
/// # Errors
/// Why it failed; also an answer other than GOOD.
pub(crate) async fn run(daemon: &Daemon, command: ScsiCommand) -> Result<(), CliError> {
    let client = daemon.client().await?;
    let mut scsi = client.scsi();
    match command {
        ScsiCommand::Inquiry(args) => {
            let request = InquiryRequest {
                nexus: Some(nexus(args.nexus)),
                evpd: args.page.is_some(),
                page_code: args.page.unwrap_or(0).into(),
                ..InquiryRequest::default()
            };
            let data = good("INQUIRY", scsi.inquiry(request).await?.into_inner())?;
            let view = InquiryView::new(args.page, &data);
            output::print(&if args.output.json {
                to_json(&view)
            } else {
                view.into_text()
            })
        }
        ScsiCommand::Capacity(args) => {
            let request = ReadCapacityRequest {
                nexus: Some(nexus(args.nexus)),
                sixteen: true,
            };
            let answer = scsi.read_capacity(request).await?.into_inner();
            let data = good("READ CAPACITY (16)", answer)?;
            let view = CapacityView::read(&data)?;
            output::print(&if args.output.json {
                to_json(&view)
            } else {
                view.into_text()
            })
        }
        ScsiCommand::Luns(args) => {
            let to = ScsiNexus {
                which: args.which,
                lun: LunNumber::ZERO,
            };
            let request = ReportLunsRequest {
                nexus: Some(nexus(to)),
            };
            let data = good("REPORT LUNS", scsi.report_luns(request).await?.into_inner())?;
            let luns = luns(&data)?;
            if args.output.json {
                return output::print(&to_json(&luns));
            }
            output::print(
                &luns
                    .iter()
                    .map(|lun| format!("{lun}\n"))
                    .collect::<String>(),
            )
        }
    }
}

fn nexus(args: ScsiNexus) -> Nexus {
    let which = match args.which {
        SessionOrTarget::Session(id) => nexus::Which::SessionId(id),
        SessionOrTarget::Target(name) => nexus::Which::TargetName(name),
    };
    Nexus {
        which: Some(which),
        lun: args.lun.as_u64(),
    }
}

/// The data of a command that ended well.
fn good(command: &str, answer: ScsiResponse) -> Result<Vec<u8>, CliError> {
    if answer.scsi_status == GOOD {
        return Ok(answer.data);
    }
    let name = match answer.scsi_status {
        0x02 => "CHECK CONDITION",
        0x08 => "BUSY",
        0x18 => "RESERVATION CONFLICT",
        0x28 => "TASK SET FULL",
        0x30 => "ACA ACTIVE",
        0x40 => "TASK ABORTED",
        _ => "unknown status",
    };
    let text = format!(
        "{command} ended with SCSI status {:#04x} ({name})",
        answer.scsi_status
    );
    Err(CliError::new(Exit::Failed, text)
        .with("sense", hex(&answer.sense))
        .with("meaning", sense(&answer.sense).unwrap_or_default()))
}

/// Sense key and additional sense code of fixed and descriptor sense data (SPC-4 section 4.5).
fn sense(data: &[u8]) -> Option<String> {
    let (key, code, qualifier) = match data.first()? & 0x7f {
        0x70 | 0x71 => (data.get(2)?, data.get(12)?, data.get(13)?),
        0x72 | 0x73 => (data.get(1)?, data.get(2)?, data.get(3)?),
        _ => return None,
    };
    let name = match key & 0x0f {
        0x0 => "NO SENSE",
        0x1 => "RECOVERED ERROR",
        0x2 => "NOT READY",
        0x3 => "MEDIUM ERROR",
        0x4 => "HARDWARE ERROR",
        0x5 => "ILLEGAL REQUEST",
        0x6 => "UNIT ATTENTION",
        0x7 => "DATA PROTECT",
        0xb => "ABORTED COMMAND",
        _ => "other sense key",
    };
    Some(format!("{name}, asc {code:#04x}, ascq {qualifier:#04x}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer to INQUIRY in JSON. What is not in it is null.
#[derive(Debug, Serialize)]
struct InquiryView {
    page: Option<u8>,
    device_type: Option<u8>,
    vendor: Option<String>,
    product: Option<String>,
    revision: Option<String>,
    data: String,
}

impl InquiryView {
    /// Reads standard INQUIRY data (SPC-4 section 6.6.2); of a page only the device type.
    fn new(page: Option<u8>, data: &[u8]) -> Self {
        let field = |from: usize, to: usize| {
            let bytes = data.get(from..to).filter(|_| page.is_none())?;
            some(String::from_utf8_lossy(bytes).trim_matches([' ', '\0']))
        };
        Self {
            page,
            device_type: data.first().map(|byte| byte & 0x1f),
            vendor: field(8, 16),
            product: field(16, 32),
            revision: field(32, 36),
            data: hex(data),
        }
    }

    fn into_text(self) -> String {
        let mut details = Details::default();
        if let Some(page) = self.page {
            details.line("Page", format!("{page:#04x}"));
        }
        details.line(
            "Device type",
            self.device_type
                .map(|kind| kind.to_string())
                .unwrap_or_default(),
        );
        let fields = [
            ("Vendor", self.vendor),
            ("Product", self.product),
            ("Revision", self.revision),
        ];
        for (name, value) in fields {
            details.line_if(name, &value.unwrap_or_default());
        }
        details.line("Data", self.data);
        details.into_text()
    }
}

/// The answer to READ CAPACITY (16) in JSON.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct CapacityView {
    bytes: u64,
    blocks: u64,
    block_size: u32,
    physical_block_size: u64,
    thin: bool,
}

impl CapacityView {
    /// Reads it (SBC-3 section 5.16.2).
    fn read(data: &[u8]) -> Result<Self, CliError> {
        let wrong = || unreadable("READ CAPACITY (16)", data);
        let (last, rest) = data.split_first_chunk::<8>().ok_or_else(wrong)?;
        let (size, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let last = u64::from_be_bytes(*last);
        let block_size = u32::from_be_bytes(*size);
        let exponent = u32::from(rest.get(1).copied().unwrap_or(0) & 0x0f);
        let blocks = last.checked_add(1).ok_or_else(wrong)?;
        Ok(Self {
            bytes: blocks.checked_mul(block_size.into()).ok_or_else(wrong)?,
            blocks,
            block_size,
            physical_block_size: u64::from(block_size) << exponent,
            thin: rest.get(2).copied().unwrap_or(0) & 0x80 != 0,
        })
    }

    fn into_text(self) -> String {
        let mut details = Details::default();
        details.line(
            "Size",
            format!("{} ({} bytes)", output::bytes(self.bytes), self.bytes),
        );
        details.line("Blocks", self.blocks);
        details.line("Block size", self.block_size);
        details.line("Physical block size", self.physical_block_size);
        details.line("Thin", if self.thin { "yes" } else { "no" });
        details.into_text()
    }
}

/// Reads the answer to REPORT LUNS (SPC-4 section 6.33), each LUN as people write it.
fn luns(data: &[u8]) -> Result<Vec<ShownLun>, CliError> {
    let wrong = || unreadable("REPORT LUNS", data);
    let (length, rest) = data.split_first_chunk::<4>().ok_or_else(wrong)?;
    let list = rest.get(4..).ok_or_else(wrong)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| wrong())?;
    let listed = list.get(..length).unwrap_or(list);
    let (luns, _) = listed.as_chunks::<8>();
    Ok(luns
        .iter()
        .map(|lun| LunNumber::from(*lun).into())
        .collect())
}

fn unreadable(command: &str, data: &[u8]) -> CliError {
    let text = format!("the answer to {command} cannot be read");
    CliError::new(Exit::Failed, text).with("data", hex(data))
}

#[cfg(test)]
mod tests;
