//! PERSISTENT RESERVE IN and OUT (SPC-4 §6.15, §6.16), and RESERVE and RELEASE (6) of SPC-2.

use hawser_scsi::Status;
use hawser_scsi::cdb::reservation as pr;

use super::super::refusal::Refusal;
use super::super::reservation::{Kind, Registration, Reservations};
use super::super::task::Task;
use super::super::unit::{LogicalUnit, State};

/// Bytes of the parameter list of every service action that we know.
const PARAMETER_LIST_LEN: u64 = 24;
/// Protocol identifier of iSCSI with the format "initiator port name" (SPC-4 §7.6.4.6).
const TRANSPORT_ID_ISCSI_PORT: u8 = 0x45;

/// READ KEYS.
pub(super) fn read_keys(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let state = unit.state();
    let keys = state.reservations.registrations().iter();
    let body: Vec<u8> = keys.flat_map(|r| r.key.to_be_bytes()).collect();
    let bytes = with_header(&state.reservations, &body);
    task.answer(&bytes, task.number(7, 2));
    Ok(Status::Good)
}

/// READ RESERVATION.
pub(super) fn read_reservation(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let state = unit.state();
    let mut body = Vec::new();
    if let Some((key, kind)) = state.reservations.reservation() {
        body.extend_from_slice(&key.to_be_bytes());
        body.extend_from_slice(&[0, 0, 0, 0, 0, kind.code(), 0, 0]);
    }
    let bytes = with_header(&state.reservations, &body);
    task.answer(&bytes, task.number(7, 2));
    Ok(Status::Good)
}

/// REPORT CAPABILITIES: all six types; nothing survives a power loss (PTPL_C = 0).
pub(super) fn report_capabilities(
    _unit: &LogicalUnit,
    task: &mut Task<'_>,
) -> Result<Status, Refusal> {
    // Length 8; no flags; TMV; the type mask: WR_EX_AR EX_AC_RO WR_EX_RO EX_AC WR_EX, EX_AC_AR.
    let bytes = [0, 8, 0, 0x80, 0xea, 0x01, 0, 0];
    task.answer(&bytes, task.number(7, 2));
    Ok(Status::Good)
}

/// READ FULL STATUS: each registration with the port it belongs to.
pub(super) fn read_full_status(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let state = unit.state();
    let mut body = Vec::new();
    for registration in state.reservations.registrations() {
        full_status(&state.reservations, registration, &mut body);
    }
    let bytes = with_header(&state.reservations, &body);
    task.answer(&bytes, task.number(7, 2));
    Ok(Status::Good)
}

/// One full status descriptor (SPC-4 table 225).
fn full_status(reservations: &Reservations, registration: &Registration, body: &mut Vec<u8>) {
    let nexus = &registration.nexus;
    let held = reservations.kind_held_by(nexus);
    let transport_id = transport_id(&nexus.initiator_port());
    body.extend_from_slice(&registration.key.to_be_bytes());
    body.extend_from_slice(&[0; 4]);
    body.push(u8::from(held.is_some()));
    body.push(held.map_or(0, Kind::code));
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&nexus.portal_group().to_be_bytes());
    body.extend_from_slice(&u32::try_from(transport_id.len()).unwrap_or(0).to_be_bytes());
    body.extend_from_slice(&transport_id);
}

/// A TransportID: the port name with its final NUL, padded to a multiple of four.
fn transport_id(port: &str) -> Vec<u8> {
    let mut name = port.as_bytes().to_vec();
    name.resize((name.len() + 1).next_multiple_of(4).max(20), 0);
    let mut bytes = vec![TRANSPORT_ID_ISCSI_PORT, 0];
    bytes.extend_from_slice(&u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(&name);
    bytes
}

/// PRGENERATION and ADDITIONAL LENGTH before `body`.
fn with_header(reservations: &Reservations, body: &[u8]) -> Vec<u8> {
    let mut bytes = reservations.generation().to_be_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// All service actions of PERSISTENT RESERVE OUT.
pub(super) fn out(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    let length = task.number(5, 4);
    if length != PARAMETER_LIST_LEN {
        return Err(Refusal::parameter_length());
    }
    let list = task.parameter_list(length)?;
    let number = |from: usize| {
        list.iter()
            .skip(from)
            .take(8)
            .fold(0_u64, |n, &b| n << 8 | u64::from(b))
    };
    let (key, action_key) = (number(0), number(8));
    let flags = list.get(20).copied().unwrap_or(0);
    let action = task.byte(1) & 0x1f;
    let registers = matches!(action, pr::REGISTER | pr::REGISTER_AND_IGNORE_EXISTING_KEY);
    // SPEC_I_PT, ALL_TG_PT and APTPL: not among the capabilities that we report.
    if flags != 0 && registers {
        return Err(Refusal::parameter_field(20));
    }
    let nexus = task.nexus;
    let mut state = unit.state();
    let State {
        reservations,
        attentions,
        ..
    } = &mut *state;
    match action {
        pr::REGISTER => reservations.register(nexus, false, key, action_key, attentions)?,
        pr::REGISTER_AND_IGNORE_EXISTING_KEY => {
            reservations.register(nexus, true, key, action_key, attentions)?;
        }
        pr::RESERVE => reservations.reserve(nexus, key, kind_of(task)?)?,
        pr::RELEASE => reservations.release(nexus, key, kind_of(task).ok(), attentions)?,
        pr::CLEAR => reservations.clear(nexus, key, attentions)?,
        _ => reservations.preempt(nexus, key, action_key, kind_of(task).ok(), attentions)?,
    }
    Ok(Status::Good)
}

/// Scope (only the whole unit) and type of byte 2.
fn kind_of(task: &Task<'_>) -> Result<Kind, Refusal> {
    match task.byte(2) >> 4 {
        0 => Kind::new(task.byte(2) & 0x0f).ok_or(Refusal::cdb_bit(2, 3)),
        _ => Err(Refusal::cdb_bit(2, 7)),
    }
}

/// RESERVE (6).
pub(super) fn reserve_6(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    unit.state().reservations.reserve_legacy(task.nexus)?;
    Ok(Status::Good)
}

/// RELEASE (6).
pub(super) fn release_6(unit: &LogicalUnit, task: &mut Task<'_>) -> Result<Status, Refusal> {
    unit.state().reservations.release_legacy(task.nexus)?;
    Ok(Status::Good)
}
