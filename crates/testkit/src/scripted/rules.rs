//! What holds for every PDU of an initiator: reserved fields, bits and padding are zero, lengths and
//! tags make sense (RFC 7143 §11). The scripted peer holds each PDU that comes to this.

use super::pdu::Pdu;
use super::wire::{
    ABORT_TASK, CONTINUE, DATA_OUT, FINAL, FULL_FEATURE, LOGIN_REQUEST, LOGOUT_REQUEST, NO_TAG,
    NOP_OUT, READ, SCSI_COMMAND, SNACK, SNACK_DATA, SNACK_DATA_ACK, SNACK_R_DATA, SNACK_STATUS,
    TASK_MANAGEMENT_REQUEST, TASK_REASSIGN, TEXT_REQUEST, WRITE, name,
};

type Checked = Result<(), String>;

/// Checks all of a PDU that its own bytes can tell.
pub(super) fn check(pdu: &Pdu) -> Checked {
    ensure(
        pdu.byte(0) & 0x80 == 0,
        "bit 0 of the first byte is reserved",
    )?;
    ensure(
        pdu.padding.iter().all(|&byte| byte == 0),
        "padding is not zero",
    )?;
    match pdu.opcode() {
        NOP_OUT => nop_out(pdu),
        SCSI_COMMAND => scsi_command(pdu),
        TASK_MANAGEMENT_REQUEST => task_management(pdu),
        LOGIN_REQUEST => login(pdu),
        TEXT_REQUEST => text(pdu),
        DATA_OUT => data_out(pdu),
        LOGOUT_REQUEST => logout(pdu),
        SNACK => snack(pdu),
        other => Err(format!("{other:#04x} is no opcode of an initiator")),
    }
    .map_err(|what| format!("{}: {what}", name(pdu.opcode())))
}

fn ensure(holds: bool, what: &str) -> Checked {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// The bytes of these places are reserved.
fn zero(pdu: &Pdu, places: &[(usize, usize)]) -> Checked {
    for &(from, to) in places {
        let bytes = &pdu.header[from..to];
        let holds = bytes.iter().all(|&byte| byte == 0);
        ensure(
            holds,
            &format!("bytes {from} to {to} are reserved, but hold {bytes:02x?}"),
        )?;
    }
    Ok(())
}

fn no_ahs(pdu: &Pdu) -> Checked {
    ensure(pdu.ahs_length() == 0, "TotalAHSLength is not 0")
}

fn no_data(pdu: &Pdu) -> Checked {
    ensure(pdu.data_length() == 0, "DataSegmentLength is not 0")
}

fn no_immediate_bit(pdu: &Pdu) -> Checked {
    ensure(!pdu.is_immediate(), "it has no I bit")
}

fn has_task(pdu: &Pdu) -> Checked {
    ensure(pdu.itt() != NO_TAG, "the reserved task tag names a task")
}

/// §11.18.
fn nop_out(pdu: &Pdu) -> Checked {
    no_ahs(pdu)?;
    ensure(pdu.byte(1) == FINAL, "byte 1 is not 0x80")?;
    zero(pdu, &[(2, 4), (32, 48)])?;
    if pdu.itt() == NO_TAG {
        ensure(pdu.is_immediate(), "without a task it must be immediate")?;
    }
    let is_answer = pdu.ttt() != NO_TAG;
    ensure(
        !is_answer || pdu.itt() == NO_TAG,
        "an answer has no task of its own",
    )
}

/// §11.3.
fn scsi_command(pdu: &Pdu) -> Checked {
    has_task(pdu)?;
    let flags = pdu.byte(1);
    ensure(flags & 0x18 == 0, "reserved flags are set")?;
    ensure(flags & 0x07 <= 4, "the task attribute is reserved")?;
    zero(pdu, &[(2, 4)])?;
    ensure(
        flags & (FINAL | WRITE) != 0,
        "neither F nor W is set (§11.3.1)",
    )?;
    ensure(
        flags & WRITE != 0 || flags & FINAL != 0,
        "only a write may leave F clear",
    )?;
    ensure(
        flags & WRITE != 0 || pdu.data_length() == 0,
        "data in a command that does not write",
    )?;
    let expected = pdu.expected_length() as usize;
    ensure(
        pdu.data_length() <= expected,
        "more immediate data than the expected length",
    )?;
    ensure(
        flags & (READ | WRITE) != 0 || expected == 0,
        "an expected length without direction",
    )?;
    let whole = pdu.data_length() == expected;
    ensure(
        !whole || flags & FINAL != 0,
        "all data is immediate, but F is clear (§11.3.4)",
    )
}

/// §11.5.
fn task_management(pdu: &Pdu) -> Checked {
    has_task(pdu)?;
    no_ahs(pdu)?;
    no_data(pdu)?;
    ensure(pdu.is_final(), "byte 1 lacks the bit that is always 1")?;
    zero(pdu, &[(2, 4), (40, 48)])?;
    let function = pdu.code();
    ensure(
        (1..=8).contains(&function),
        "the function is not one of RFC 7143",
    )?;
    if function != TASK_REASSIGN {
        zero(pdu, &[(36, 40)])?;
    }
    if !matches!(function, ABORT_TASK | TASK_REASSIGN) {
        ensure(
            pdu.ttt() == NO_TAG,
            "the Referenced Task Tag is not the reserved one (§11.5.4)",
        )?;
    }
    if function != ABORT_TASK {
        zero(pdu, &[(32, 36)])?;
    }
    if function > 5 {
        zero(pdu, &[(8, 16)])?;
    }
    Ok(())
}

/// §11.12.
fn login(pdu: &Pdu) -> Checked {
    no_ahs(pdu)?;
    ensure(pdu.is_immediate(), "it is not immediate")?;
    ensure(pdu.byte(1) & 0x30 == 0, "reserved flags are set")?;
    zero(pdu, &[(2, 4), (22, 24), (32, 48)])?;
    ensure(
        !(pdu.is_final() && pdu.is_continued()),
        "T and C are both set",
    )?;
    ensure(pdu.current_stage() <= 1, "the current stage is not 0 or 1")?;
    if pdu.is_final() {
        let next = pdu.next_stage();
        let moves_on = next > pdu.current_stage() && (next == 1 || next == FULL_FEATURE);
        return ensure(moves_on, "the next stage is none that may follow (§6.3)");
    }
    ensure(pdu.next_stage() == 0, "NSG is reserved without T")
}

/// §11.10.
fn text(pdu: &Pdu) -> Checked {
    has_task(pdu)?;
    no_ahs(pdu)?;
    ensure(
        pdu.byte(1) & !(FINAL | CONTINUE) == 0,
        "reserved flags are set",
    )?;
    ensure(
        !(pdu.is_final() && pdu.is_continued()),
        "F and C are both set",
    )?;
    zero(pdu, &[(2, 4), (32, 48)])?;
    let is_first = pdu.ttt() == NO_TAG;
    ensure(!is_first || pdu.lun() == [0; 8], "a LUN without a tag")
}

/// §11.7.
fn data_out(pdu: &Pdu) -> Checked {
    has_task(pdu)?;
    no_ahs(pdu)?;
    no_immediate_bit(pdu)?;
    ensure(pdu.byte(1) & !FINAL == 0, "reserved flags are set")?;
    zero(pdu, &[(2, 4), (24, 28), (32, 36), (44, 48)])?;
    let unsolicited = pdu.ttt() == NO_TAG;
    ensure(
        !unsolicited || pdu.lun() == [0; 8],
        "a LUN without a tag (§11.7.4)",
    )?;
    let filled = pdu.is_final() || pdu.data_length().is_multiple_of(4);
    ensure(filled, "padding within a sequence (§11.7.7)")
}

/// §11.14.
fn logout(pdu: &Pdu) -> Checked {
    has_task(pdu)?;
    no_ahs(pdu)?;
    no_data(pdu)?;
    ensure(pdu.is_final(), "byte 1 lacks the bit that is always 1")?;
    ensure(pdu.code() <= 2, "the reason is reserved")?;
    zero(pdu, &[(2, 4), (8, 16), (22, 24), (32, 48)])?;
    ensure(
        pdu.code() != 0 || pdu.cid() == 0,
        "a CID where the session is closed",
    )
}

/// §11.16.
fn snack(pdu: &Pdu) -> Checked {
    no_ahs(pdu)?;
    no_data(pdu)?;
    no_immediate_bit(pdu)?;
    ensure(pdu.is_final() && pdu.code() <= 3, "the type is reserved")?;
    zero(pdu, &[(2, 4), (24, 28), (32, 40)])?;
    let (has_task, tag) = (pdu.itt() != NO_TAG, pdu.ttt());
    let holds = match pdu.code() {
        SNACK_DATA => has_task && tag == NO_TAG,
        SNACK_STATUS => !has_task && tag == NO_TAG,
        SNACK_DATA_ACK => !has_task && tag != NO_TAG && pdu.run_length() == 0,
        SNACK_R_DATA => has_task && tag != 0 && tag != NO_TAG && pdu.run_length() == 0,
        _ => false,
    };
    ensure(holds, "tags or run do not fit the type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::wire::IMMEDIATE;

    fn ping() -> Pdu {
        Pdu::new(NOP_OUT | IMMEDIATE, 5).put_word(20, NO_TAG)
    }

    /// A check that never fails would make every test blind.
    #[test]
    fn each_reserved_place_is_looked_at() {
        check(&ping()).unwrap();
        for at in [2, 3, 4, 32, 40, 47] {
            assert!(check(&ping().put_byte(at, 1)).is_err(), "byte {at}");
        }
        let write = Pdu::new(SCSI_COMMAND, 1)
            .put_byte(1, WRITE | 1)
            .put_word(20, 512);
        check(&write).unwrap();
        for (at, value) in [
            (0, 0x81),
            (1, 0x01),
            (1, WRITE | 0x08),
            (1, WRITE | 5),
            (2, 1),
            (3, 1),
        ] {
            assert!(
                check(&write.clone().put_byte(at, value)).is_err(),
                "{at} {value}"
            );
        }
        let login = Pdu::new(LOGIN_REQUEST | IMMEDIATE, 0).put_byte(1, 0x81);
        check(&login).unwrap();
        for (at, value) in [
            (0, 0x03),
            (1, 0xc1),
            (1, 0x82),
            (1, 0x85),
            (2, 1),
            (3, 1),
            (22, 1),
            (40, 1),
        ] {
            assert!(
                check(&login.clone().put_byte(at, value)).is_err(),
                "{at} {value}"
            );
        }
        assert!(
            check(&Pdu::new(0x20, 0)).is_err(),
            "an opcode of the target"
        );
        let mut padded = ping().with_data(b"x");
        check(&padded).unwrap();
        padded.padding[2] = 1;
        assert!(check(&padded).is_err(), "padding");
    }

    #[test]
    fn tags_and_runs_of_a_snack_fit_its_type() {
        let snack = |kind: u8, itt, tag| {
            Pdu::new(SNACK, itt)
                .put_byte(1, FINAL | kind)
                .put_word(20, tag)
        };
        check(&snack(SNACK_DATA, 1, NO_TAG)).unwrap();
        check(&snack(SNACK_STATUS, NO_TAG, NO_TAG)).unwrap();
        check(&snack(SNACK_DATA_ACK, NO_TAG, 7)).unwrap();
        check(&snack(SNACK_R_DATA, 1, 7)).unwrap();
        for wrong in [
            snack(SNACK_DATA, NO_TAG, NO_TAG),
            snack(SNACK_STATUS, 1, NO_TAG),
            snack(SNACK_DATA_ACK, NO_TAG, NO_TAG),
            snack(SNACK_R_DATA, 1, 0),
            snack(4, 1, NO_TAG),
            snack(SNACK_DATA, 1, NO_TAG).put_byte(0, IMMEDIATE | SNACK),
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
    }
}
