//! Each offence that a header can commit, by its bytes; and what must not be taken for one.

use super::super::*;

/// A header with these bytes at these places and zeros elsewhere.
fn header(bytes: &[(usize, u8)]) -> Bhs {
    let mut bhs = [0; 48];
    for &(at, byte) in bytes {
        bhs[at] = byte;
    }
    bhs
}

#[track_caller]
fn target_offence(bytes: &[(usize, u8)], offence: Malformed) {
    assert_eq!(FromTarget::parse(&header(bytes)), Err(offence));
}

#[track_caller]
fn target_may(bytes: &[(usize, u8)]) {
    assert!(
        FromTarget::parse(&header(bytes)).is_ok(),
        "{:?}",
        FromTarget::parse(&header(bytes))
    );
}

#[track_caller]
fn initiator_offence(bytes: &[(usize, u8)], offence: Malformed) {
    assert_eq!(FromInitiator::parse(&header(bytes)), Err(offence));
}

#[track_caller]
fn initiator_may(bytes: &[(usize, u8)]) {
    let bhs = header(bytes);
    assert!(
        FromInitiator::parse(&bhs).is_ok(),
        "{:?}",
        FromInitiator::parse(&bhs)
    );
}

#[test]
fn unknown_opcodes() {
    for opcode in [0x07, 0x0f, 0x1c, 0x1e, 0x27, 0x30, 0x33, 0x3c, 0x3e] {
        target_offence(&[(0, opcode)], Malformed::UnknownOpcode(opcode));
        initiator_offence(&[(0, opcode)], Malformed::UnknownOpcode(opcode));
    }
}

#[test]
fn opcodes_of_the_other_side() {
    for opcode in [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10] {
        let wrong = Malformed::WrongRole(Opcode::try_from(opcode).unwrap());
        target_offence(&[(0, opcode)], wrong);
    }
    for opcode in [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f] {
        let wrong = Malformed::WrongRole(Opcode::try_from(opcode).unwrap());
        initiator_offence(&[(0, opcode)], wrong);
    }
}

#[test]
fn additional_headers_where_none_may_be() {
    for opcode in [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f] {
        let unexpected = Malformed::UnexpectedAhs(Opcode::try_from(opcode).unwrap());
        target_offence(&[(0, opcode), (4, 1)], unexpected);
    }
    for opcode in [0x00, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10] {
        let unexpected = Malformed::UnexpectedAhs(Opcode::try_from(opcode).unwrap());
        initiator_offence(&[(0, opcode), (4, 0xff)], unexpected);
    }
    initiator_may(&[(0, 0x01), (1, 0x80), (4, 2)]);
}

#[test]
fn data_where_none_may_be() {
    for opcode in [0x22, 0x26, 0x31] {
        let unexpected = Malformed::UnexpectedData(Opcode::try_from(opcode).unwrap());
        target_offence(&[(0, opcode), (7, 1)], unexpected);
        target_offence(&[(0, opcode), (5, 1)], unexpected);
    }
    for opcode in [0x02, 0x06, 0x10] {
        let unexpected = Malformed::UnexpectedData(Opcode::try_from(opcode).unwrap());
        initiator_offence(&[(0, opcode), (6, 1)], unexpected);
    }
}

#[test]
fn overflow_with_underflow() {
    let both = Malformed::OverflowAndUnderflow;
    target_offence(&[(0, 0x21), (1, 0x86)], both(Opcode::ScsiResponse));
    target_offence(&[(0, 0x25), (1, 0x87)], both(Opcode::DataIn));
    target_offence(&[(0, 0x21), (1, 0x98)], Malformed::BidiOverflowAndUnderflow);
    target_may(&[(0, 0x21), (1, 0x92)]);
    target_may(&[(0, 0x21), (1, 0x8c)]);
}

/// RFC 7143 §11.4.3: the flags of a response that is not "completed" must be ignored.
#[test]
fn flags_of_a_failed_command_do_not_matter() {
    target_may(&[(0, 0x21), (1, 0x9e), (2, 0x01)]);
    target_may(&[(0, 0x21), (1, 0x9e), (2, 0x80)]);
}

/// RFC 7143 §11.7.3: O and U count only together with S.
#[test]
fn residual_flags_without_status_do_not_matter() {
    target_may(&[(0, 0x25), (1, 0x06)]);
}

#[test]
fn status_without_final() {
    target_offence(&[(0, 0x25), (1, 0x01)], Malformed::StatusWithoutFinal);
    target_may(&[(0, 0x25), (1, 0x81)]);
}

#[test]
fn final_and_continue() {
    let both = Malformed::FinalAndContinue;
    target_offence(&[(0, 0x24), (1, 0xc0)], both(Opcode::TextResponse));
    initiator_offence(&[(0, 0x04), (1, 0xc0)], both(Opcode::TextRequest));
    target_may(&[(0, 0x24), (1, 0x40)]);
    initiator_may(&[(0, 0x04), (1, 0x40)]);
}

#[test]
fn transit_and_continue() {
    let both = Malformed::TransitAndContinue;
    target_offence(&[(0, 0x23), (1, 0xc1)], both(Opcode::LoginResponse));
    initiator_offence(&[(0, 0x43), (1, 0xc1)], both(Opcode::LoginRequest));
    target_may(&[(0, 0x23), (1, 0x40)]);
    initiator_may(&[(0, 0x43), (1, 0x40)]);
}

#[test]
fn text_response_without_tag() {
    let no_tag = [(20, 0xff), (21, 0xff), (22, 0xff), (23, 0xff)];
    let with = |flags| [&[(0, 0x24), (1, flags)], &no_tag[..]].concat();
    target_offence(&with(0x00), Malformed::TextResponseWithoutTag);
    target_may(&with(0x80));
    target_may(&[(0, 0x24), (1, 0x00)]);
}

/// RFC 7143 §11.10.4: a tag in a final response is to be ignored, not refused.
#[test]
fn a_final_text_response_may_carry_a_tag() {
    target_may(&[(0, 0x24), (1, 0x80), (23, 0x05)]);
}

#[test]
fn r2t_without_tag_or_length() {
    let no_tag = [
        (0, 0x31),
        (20, 0xff),
        (21, 0xff),
        (22, 0xff),
        (23, 0xff),
        (47, 1),
    ];
    target_offence(&no_tag, Malformed::R2tWithoutTag);
    target_offence(&[(0, 0x31)], Malformed::R2tWithoutLength);
    target_may(&[(0, 0x31), (44, 1)]);
}

#[test]
fn nop_in_with_both_tags() {
    target_offence(&[(0, 0x20), (19, 1), (23, 1)], Malformed::NopInWithBothTags);
    // Zero is a valid tag as well.
    target_offence(&[(0, 0x20)], Malformed::NopInWithBothTags);
}

#[test]
fn nop_out_that_wants_no_answer_must_be_immediate() {
    let no_task = [(16, 0xff), (17, 0xff), (18, 0xff), (19, 0xff)];
    let with = |byte_0| [&[(0, byte_0)], &no_task[..]].concat();
    initiator_offence(&with(0x00), Malformed::NopOutNotImmediate);
    initiator_may(&with(0x40));
    initiator_may(&[(0, 0x00)]);
}

#[test]
fn scsi_command_flags() {
    initiator_offence(&[(0, 0x01), (1, 0x40)], Malformed::NeitherWriteNorFinal);
    initiator_offence(&[(0, 0x01), (1, 0x00)], Malformed::NeitherWriteNorFinal);
    initiator_may(&[(0, 0x01), (1, 0x20)]);
    let undirected = [(0, 0x01), (1, 0x80), (23, 1)];
    initiator_offence(&undirected, Malformed::TransferWithoutDirection);
    initiator_may(&[(0, 0x01), (1, 0xc0), (23, 1)]);
    initiator_may(&[(0, 0x01), (1, 0x80)]);
    for attribute in 5..=7 {
        let reserved = Malformed::ReservedTaskAttribute(attribute);
        initiator_offence(&[(0, 0x01), (1, 0x80 | attribute)], reserved);
    }
}

#[test]
fn reserved_codes_from_a_target() {
    target_offence(
        &[(0, 0x21), (2, 0x02)],
        Malformed::ReservedServiceResponse(0x02),
    );
    target_offence(
        &[(0, 0x21), (2, 0x7f)],
        Malformed::ReservedServiceResponse(0x7f),
    );
    target_offence(&[(0, 0x22), (2, 8)], Malformed::UnassignedTmfResponse(8));
    target_offence(&[(0, 0x26), (2, 4)], Malformed::UnassignedLogoutResponse(4));
    target_offence(&[(0, 0x23), (36, 4)], Malformed::UnassignedStatusClass(4));
    target_offence(&[(0, 0x23), (1, 0x08)], Malformed::ReservedLoginStage(2));
    target_offence(&[(0, 0x23), (1, 0x82)], Malformed::ReservedLoginStage(2));
}

#[test]
fn reserved_codes_from_an_initiator() {
    initiator_offence(&[(0, 0x43), (1, 0x08)], Malformed::ReservedLoginStage(2));
    initiator_offence(&[(0, 0x43), (1, 0x82)], Malformed::ReservedLoginStage(2));
    initiator_offence(&[(0, 0x06), (1, 0x83)], Malformed::ReservedLogoutReason(3));
    initiator_offence(&[(0, 0x10), (1, 0x84)], Malformed::ReservedSnackType(4));
}

/// NSG is reserved without T (RFC 7143 §11.12.3), and reserved fields are ignored.
#[test]
fn the_next_stage_does_not_matter_without_transit() {
    target_may(&[(0, 0x23), (1, 0x02)]);
    initiator_may(&[(0, 0x43), (1, 0x02)]);
}

#[test]
fn nothing_but_the_status_matters_in_a_refused_login() {
    target_may(&[(0, 0x23), (1, 0xca), (36, 2), (37, 0x77)]);
}

/// These three leave an unassigned code to the caller, who has a better answer than an end.
#[test]
fn unassigned_codes_that_pass() {
    let bhs = header(&[(0, 0x32), (36, 6)]);
    let Ok(FromTarget::AsyncMessage(message)) = FromTarget::parse(&bhs) else {
        panic!()
    };
    assert_eq!(message.event(), Err(Malformed::UnassignedAsyncEvent(6)));
    let bhs = header(&[(0, 0x3f), (2, 0x01)]);
    let Ok(FromTarget::Reject(reject)) = FromTarget::parse(&bhs) else {
        panic!()
    };
    assert_eq!(reject.reason(), Err(Malformed::UnassignedRejectReason(1)));
    let bhs = header(&[(0, 0x02), (1, 0x80 | 13)]);
    let Ok(FromInitiator::TaskManagementRequest(request)) = FromInitiator::parse(&bhs) else {
        panic!()
    };
    assert_eq!(
        request.function(),
        Err(Malformed::UnassignedTmfFunction(13))
    );
}

/// Reserved bits, bytes and fields are ignored (RFC 7143 §11).
#[test]
fn reserved_bits_do_not_matter() {
    for opcode in [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f] {
        // The top two bits of byte 0 are reserved in responses, so is the last byte in most.
        let both = [(20, 0xff), (21, 0xff), (22, 0xff), (23, 0xff)];
        let tag = if opcode == 0x20 { &both[..] } else { &[] };
        target_may(&[&[(0, 0xc0 | opcode), (1, 0x80), (47, 0xff)], tag].concat());
    }
    // Reserved flag bits of a Data-In, a SCSI Response, a Logout Response and an R2T.
    target_may(&[(0, 0x25), (1, 0x38)]);
    target_may(&[(0, 0x21), (1, 0x61)]);
    target_may(&[(0, 0x26), (1, 0x7f), (3, 0xff)]);
    target_may(&[(0, 0x31), (1, 0x00), (2, 0xff), (47, 1)]);
    // Reserved flag bits of a SCSI Command, a SNACK and a Login Request.
    initiator_may(&[(0, 0x81), (1, 0x98), (3, 0xff)]);
    initiator_may(&[(0, 0x10), (1, 0x73)]);
    initiator_may(&[(0, 0x43), (1, 0x30), (47, 0xff)]);
}

#[test]
fn a_target_rejects_each_offence_for_its_reason() {
    let reasons = [
        (
            Malformed::UnknownOpcode(7),
            RejectReason::CommandNotSupported,
        ),
        (
            Malformed::WrongRole(Opcode::R2t),
            RejectReason::CommandNotSupported,
        ),
        (
            Malformed::ReservedTaskAttribute(5),
            RejectReason::InvalidPduField,
        ),
        (Malformed::AhsTwice(1), RejectReason::InvalidPduField),
        (Malformed::NeitherWriteNorFinal, RejectReason::ProtocolError),
        (
            Malformed::FinalAndContinue(Opcode::TextRequest),
            RejectReason::ProtocolError,
        ),
    ];
    for (offence, reason) in reasons {
        assert_eq!(offence.reject_reason(), reason, "for {offence}");
    }
}
