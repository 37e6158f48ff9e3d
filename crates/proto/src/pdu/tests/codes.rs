//! The codes of each field, against the lists of RFC 7143.

use super::super::*;

/// Every byte that `C` takes must come back as itself, and no other byte may be taken.
#[track_caller]
fn assert_codes<C>(allowed: &[u8], code: impl Fn(C) -> u8, reserved: impl Fn(u8) -> Malformed)
where
    C: TryFrom<u8, Error = Malformed> + Copy + std::fmt::Debug,
{
    for byte in 0..=u8::MAX {
        match C::try_from(byte) {
            Ok(value) => {
                assert!(allowed.contains(&byte), "{byte} was taken as {value:?}");
                assert_eq!(code(value), byte);
            }
            Err(malformed) => {
                assert!(!allowed.contains(&byte), "{byte} was refused");
                assert_eq!(malformed, reserved(byte));
            }
        }
    }
}

#[test]
fn each_field_takes_the_codes_of_the_rfc_and_no_others() {
    let functions: Vec<u8> = (1..=12).collect();
    assert_codes(
        &functions,
        TmfFunction::code,
        Malformed::UnassignedTmfFunction,
    );
    let responses = [0, 1, 2, 3, 4, 5, 6, 7, 255];
    assert_codes(
        &responses,
        TmfResponse::code,
        Malformed::UnassignedTmfResponse,
    );
    assert_codes(
        &[0, 1, 2],
        LogoutReason::code,
        Malformed::ReservedLogoutReason,
    );
    assert_codes(
        &[0, 1, 2, 3],
        LogoutResponseCode::code,
        Malformed::UnassignedLogoutResponse,
    );
    assert_codes(&[0, 1, 3], LoginStage::code, Malformed::ReservedLoginStage);
    assert_codes(
        &[0, 1, 2, 3],
        StatusClass::code,
        Malformed::UnassignedStatusClass,
    );
    assert_codes(&[0, 1, 2, 3], SnackType::code, Malformed::ReservedSnackType);
    assert_codes(
        &[0, 1, 2, 3, 4],
        TaskAttribute::code,
        Malformed::ReservedTaskAttribute,
    );
    let events: Vec<u8> = (0..=5).chain(248..=255).collect();
    assert_codes(&events, AsyncEvent::code, Malformed::UnassignedAsyncEvent);
    let reasons: Vec<u8> = (0x02..=0x0c).collect();
    assert_codes(
        &reasons,
        RejectReason::code,
        Malformed::UnassignedRejectReason,
    );
    let services: Vec<u8> = [0, 1].into_iter().chain(0x80..=0xff).collect();
    assert_codes(
        &services,
        ServiceResponse::code,
        Malformed::ReservedServiceResponse,
    );
}

#[test]
fn opcodes_have_the_values_of_the_rfc() {
    let initiator = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10];
    let target = [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f];
    for byte in 0..0x40 {
        let opcode = Opcode::try_from(byte);
        if initiator.contains(&byte) || target.contains(&byte) {
            assert_eq!(opcode.map(Opcode::code), Ok(byte));
            assert_eq!(
                opcode.map(Opcode::is_from_target),
                Ok(target.contains(&byte))
            );
        } else {
            assert_eq!(opcode, Err(Malformed::UnknownOpcode(byte)));
        }
        assert_eq!(
            Opcode::try_from(byte | 0xc0),
            opcode,
            "the two bits above do not matter"
        );
    }
}

#[test]
fn codes_print_their_names() {
    assert_eq!(
        TmfFunction::LogicalUnitReset.to_string(),
        "LOGICAL UNIT RESET (0x05)"
    );
    assert_eq!(
        AsyncEvent::Vendor(0xf9).to_string(),
        "vendor-specific (0xf9)"
    );
    assert_eq!(Opcode::R2t.to_string(), "Ready To Transfer (0x31)");
    assert_eq!(LoginStatus::NOT_FOUND.to_string(), "Not found (0x0203)");
}

#[test]
fn login_statuses_have_the_values_of_the_rfc() {
    let table = [
        (LoginStatus::SUCCESS, 0x0000),
        (LoginStatus::TARGET_MOVED_TEMPORARILY, 0x0101),
        (LoginStatus::TARGET_MOVED_PERMANENTLY, 0x0102),
        (LoginStatus::INITIATOR_ERROR, 0x0200),
        (LoginStatus::AUTHENTICATION_FAILURE, 0x0201),
        (LoginStatus::AUTHORIZATION_FAILURE, 0x0202),
        (LoginStatus::NOT_FOUND, 0x0203),
        (LoginStatus::TARGET_REMOVED, 0x0204),
        (LoginStatus::UNSUPPORTED_VERSION, 0x0205),
        (LoginStatus::TOO_MANY_CONNECTIONS, 0x0206),
        (LoginStatus::MISSING_PARAMETER, 0x0207),
        (LoginStatus::CANNOT_INCLUDE_IN_SESSION, 0x0208),
        (LoginStatus::SESSION_TYPE_NOT_SUPPORTED, 0x0209),
        (LoginStatus::SESSION_DOES_NOT_EXIST, 0x020a),
        (LoginStatus::INVALID_DURING_LOGIN, 0x020b),
        (LoginStatus::TARGET_ERROR, 0x0300),
        (LoginStatus::SERVICE_UNAVAILABLE, 0x0301),
        (LoginStatus::OUT_OF_RESOURCES, 0x0302),
    ];
    for (status, code) in table {
        assert_eq!(u16::from_be_bytes([status.class, status.detail]), code);
        assert!(!status.text().is_empty());
        assert!(status.class().is_ok());
    }
}

#[test]
fn an_unallocated_login_status_is_named_by_its_class() {
    let status = LoginStatus {
        class: 3,
        detail: 0x77,
    };
    assert_eq!(status.to_string(), "target error (0x0377)");
    assert_eq!(status.text(), "");
    assert_eq!(
        LoginStatus {
            class: 9,
            detail: 0
        }
        .to_string(),
        "unassigned status class (0x0900)"
    );
}

#[test]
fn only_four_rejects_may_be_sent_again() {
    let resendable: Vec<u8> = (0..=u8::MAX)
        .filter_map(|code| RejectReason::try_from(code).ok())
        .filter(|reason| reason.may_resend())
        .map(RejectReason::code)
        .collect();
    assert_eq!(resendable, [0x02, 0x03, 0x06, 0x0a]);
}

#[test]
fn pads_fill_up_to_words_of_four() {
    let pads: Vec<usize> = (0..9).map(pad_length).collect();
    assert_eq!(pads, [0, 3, 2, 1, 0, 3, 2, 1, 0]);
    assert_eq!(pad_length(MAX_DATA_SEGMENT_LENGTH), 1);
}
