//! MODE SENSE and MODE SELECT (SPC-4 §6.8-6.12, §7.5; SBC-3 §6.5).

use hawser_scsi::{Status, mode};

use super::super::attention::Attention;
use super::super::refusal::Refusal;
use super::super::task::Task;
use super::super::unit::{LogicalUnit, State};

/// Subpage code that asks for all subpages.
const ALL_SUBPAGES: u8 = 0xff;
/// Pages in the order they are sent.
const PAGES: [u8; 3] = [
    mode::PAGE_CACHING,
    mode::PAGE_CONTROL,
    mode::PAGE_INFORMATIONAL_EXCEPTIONS,
];
/// Byte 2, bit 2 of the control page: sense data in descriptor format.
const D_SENSE: u8 = 0x04;
/// Byte 4, bit 3 of the control page: software write protect.
const SWP: u8 = 0x08;

/// Which values MODE SENSE asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PageControl {
    Current,
    Changeable,
    Default,
}

/// Which header goes before the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Six,
    Ten,
}

/// MODE SENSE (6).
pub(super) fn mode_sense_6(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    mode_sense(unit, task, Form::Six)
}

/// MODE SENSE (10).
pub(super) fn mode_sense_10(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    mode_sense(unit, task, Form::Ten)
}

fn mode_sense(unit: &LogicalUnit, task: &mut Task<'_>, form: Form) -> Result<Status, Refusal> {
    let control = match task.byte(2) >> 6 {
        0 => PageControl::Current,
        1 => PageControl::Changeable,
        2 => PageControl::Default,
        // SAVING PARAMETERS NOT SUPPORTED.
        _ => return Err(Refusal::illegal(0x39, 0x00)),
    };
    let pages = pages(unit, task, control)?;
    let descriptor = match (task.bit(1, 3), form == Form::Ten && task.bit(1, 4)) {
        (true, _) => Vec::new(),
        (false, long) => block_descriptor(unit, long),
    };
    let write_protected = unit.write_protected || unit.state().software_write_protect;
    // WP and DPOFUA.
    let device_specific = u8::from(write_protected) << 7 | 0x10;
    let length = descriptor.len() + pages.len();
    let long = descriptor.len() == 16;
    let mut bytes = match form {
        Form::Six => {
            let [length, own] = [length + 3, descriptor.len()].map(clamp_u8);
            vec![length, 0, device_specific, own]
        }
        Form::Ten => {
            let [high, low] = u16::try_from(length + 6).unwrap_or(u16::MAX).to_be_bytes();
            let own = clamp_u8(descriptor.len());
            vec![high, low, 0, device_specific, u8::from(long), 0, 0, own]
        }
    };
    bytes.extend_from_slice(&descriptor);
    bytes.extend_from_slice(&pages);
    let allocation_length = match form {
        Form::Six => task.number(4, 1),
        Form::Ten => task.number(7, 2),
    };
    task.answer(&bytes, allocation_length);
    Ok(Status::Good)
}

fn clamp_u8(value: usize) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// The short (8 bytes) or long (16 bytes) block descriptor (SBC-3 §6.5.2).
fn block_descriptor(unit: &LogicalUnit, long: bool) -> Vec<u8> {
    let size = unit.block_size().to_be_bytes();
    if long {
        let mut bytes = unit.blocks().to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&size);
        return bytes;
    }
    let blocks = u32::try_from(unit.blocks()).unwrap_or(u32::MAX);
    let mut bytes = blocks.to_be_bytes().to_vec();
    // The short form has three bytes for the size; the highest is always 0 here.
    bytes.extend_from_slice(&size);
    bytes
}

/// The page or pages that the CDB asks for.
fn pages(unit: &LogicalUnit, task: &Task<'_>, control: PageControl) -> Result<Vec<u8>, Refusal> {
    let (wanted, subpage) = (task.byte(2) & 0x3f, task.byte(3));
    if !matches!(subpage, 0 | ALL_SUBPAGES) {
        return Err(Refusal::cdb_field(3));
    }
    let state = unit.state();
    match wanted {
        mode::PAGE_ALL => Ok(PAGES
            .iter()
            .flat_map(|&code| page(unit, &state, code, control))
            .collect()),
        code if PAGES.contains(&code) => Ok(page(unit, &state, code, control)),
        _ => Err(Refusal::cdb_bit(2, 5)),
    }
}

/// One page with its code and length.
fn page(unit: &LogicalUnit, state: &State, code: u8, control: PageControl) -> Vec<u8> {
    match code {
        mode::PAGE_CACHING => {
            let mut page = vec![0; 20];
            let enabled = control != PageControl::Changeable && unit.backend.is_volatile();
            let head = [code, 18, u8::from(enabled) << 2];
            page.iter_mut().zip(head).for_each(|(to, from)| *to = from);
            page
        }
        mode::PAGE_CONTROL => control_page(state, control).to_vec(),
        // Informational exceptions: none are reported (DEXCPT).
        _ => match control {
            PageControl::Changeable => vec![code, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            _ => vec![code, 10, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        },
    }
}

/// The control mode page (SPC-4 §7.5.8).
fn control_page(state: &State, control: PageControl) -> [u8; 12] {
    let (descriptor_sense, write_protect) = match control {
        PageControl::Current => (state.descriptor_sense, state.software_write_protect),
        PageControl::Changeable => (true, true),
        PageControl::Default => (false, false),
    };
    let mut page = [mode::PAGE_CONTROL, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    page[2] = if descriptor_sense { D_SENSE } else { 0 };
    page[4] = if write_protect { SWP } else { 0 };
    if control != PageControl::Changeable {
        page[3] = 0x10; // unrestricted reordering
        // No limit for BUSY.
        page[8] = 0xff;
        page[9] = 0xff;
    }
    page
}

/// MODE SELECT (6).
pub(super) fn mode_select_6(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let list = task.parameter_list(task.number(4, 1))?;
    mode_select(unit, task, list, Form::Six)
}

/// MODE SELECT (10).
pub(super) fn mode_select_10(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let list = task.parameter_list(task.number(7, 2))?;
    mode_select(unit, task, list, Form::Ten)
}

/// Takes D_SENSE and SWP over from a control page; any other change is refused.
fn mode_select(
    unit: &LogicalUnit,
    task: &Task<'_>,
    list: &[u8],
    form: Form,
) -> Result<Status, Refusal> {
    if !task.bit(1, 4) {
        // Without PF the list would be in a vendor's own format.
        return Err(Refusal::cdb_bit(1, 4));
    }
    if task.bit(1, 0) {
        // SP: nothing can be saved.
        return Err(Refusal::cdb_bit(1, 0));
    }
    if list.is_empty() {
        return Ok(Status::Good);
    }
    let header = match (form, list) {
        (Form::Six, [_, _, _, descriptor, ..]) => 4 + usize::from(*descriptor),
        (Form::Ten, [_, _, _, _, _, _, high, low, ..]) => {
            8 + usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => return Err(Refusal::parameter_length()),
    };
    let mut at = header;
    let mut state = unit.state();
    let mut next = (state.descriptor_sense, state.software_write_protect);
    let mut rest = list.get(at..).ok_or(Refusal::parameter_length())?;
    while let [code, length, ..] = rest {
        let len = 2 + usize::from(*length);
        let sent = rest.get(..len).ok_or(Refusal::parameter_length())?;
        let selected = selected_page(unit, &state, code & 0x7f, sent, at)?;
        next = selected.unwrap_or(next);
        at += len;
        rest = rest.get(len..).unwrap_or_default();
    }
    if !rest.is_empty() {
        return Err(Refusal::parameter_length());
    }
    if next != (state.descriptor_sense, state.software_write_protect) {
        (state.descriptor_sense, state.software_write_protect) = next;
        state
            .attentions
            .tell_others(Some(task.nexus), Attention::ModeParametersChanged);
    }
    Ok(Status::Good)
}

/// Checks one page of a MODE SELECT list, which begins at byte `at` of it: only what is changeable
/// may differ from what is. Gives D_SENSE and SWP of a control page.
fn selected_page(
    unit: &LogicalUnit,
    state: &State,
    code: u8,
    sent: &[u8],
    at: usize,
) -> Result<Option<(bool, bool)>, Refusal> {
    let field = |byte: usize| Refusal::parameter_field(u16::try_from(at + byte).unwrap_or(0));
    if !PAGES.contains(&code) {
        return Err(field(0));
    }
    let current = page(unit, state, code, PageControl::Current);
    let changeable = page(unit, state, code, PageControl::Changeable);
    if sent.len() != current.len() {
        return Err(field(1));
    }
    for (byte, ((sent, current), changeable)) in sent
        .iter()
        .zip(&current)
        .zip(&changeable)
        .enumerate()
        .skip(2)
    {
        if (sent ^ current) & !changeable != 0 {
            return Err(field(byte));
        }
    }
    let byte = |at: usize| sent.get(at).copied().unwrap_or(0);
    let control = (byte(2) & D_SENSE != 0, byte(4) & SWP != 0);
    Ok((code == mode::PAGE_CONTROL).then_some(control))
}
