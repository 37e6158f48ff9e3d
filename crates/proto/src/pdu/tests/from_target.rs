//! Each response: building gives the bytes, and the bytes give the fields.

use super::super::*;
use super::{assert_golden, rows};

const LUN: Lun = [0x40, 0x05, 0, 0, 0, 0, 0, 0];

/// The numbers of all goldens here: rows 24, 28 and 32.
const NUMBERS: SequenceNumbers = SequenceNumbers {
    stat_sn: 0x1112_1314,
    exp_cmd_sn: 0x2122_2324,
    max_cmd_sn: 0x3132_3334,
};

#[track_caller]
fn parse(bhs: &Bhs) -> FromTarget<'_> {
    let pdu = FromTarget::parse(bhs).expect("a good header");
    assert_eq!(pdu.sequence_numbers(), NUMBERS);
    pdu
}

#[test]
fn nop_in_answer() {
    let mut pdu = NopIn::answer(0x0102_0304);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.set_data_segment_length(5);
    let golden = rows([
        [0x20, 0x80, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x05],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0xff, 0xff, 0xff, 0xff],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::NopIn(read) = parse(&golden) else {
        panic!()
    };
    assert!(!read.wants_answer());
}

/// Tag 0 is as good as any other.
#[test]
fn nop_in_ping_with_tag_0() {
    let mut pdu = NopIn::ping(0, LUN);
    pdu.set_sequence_numbers(NUMBERS);
    let golden = rows([
        [0x20, 0x80, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0xff, 0xff, 0xff, 0xff],
        [0x00, 0x00, 0x00, 0x00],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::NopIn(read) = parse(&golden) else {
        panic!()
    };
    assert!(read.wants_answer());
}

#[test]
fn scsi_response() {
    let mut pdu = ScsiResponse::new(0x0102_0304, 0x02);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.set_data_segment_length(20);
    pdu.set_bidi_overflow(true);
    pdu.set_underflow(true);
    pdu.status_qualifier = 0x0a0b.into();
    pdu.snack_tag = 0x4142_4344.into();
    pdu.exp_data_sn = 0x5152_5354.into();
    pdu.bidi_residual_count = 0x6162_6364.into();
    pdu.residual_count = 0x7172_7374.into();
    let golden = rows([
        [0x21, 0x92, 0x00, 0x02],
        [0x00, 0x00, 0x00, 0x14],
        [0x0a, 0x0b, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x41, 0x42, 0x43, 0x44],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x51, 0x52, 0x53, 0x54],
        [0x61, 0x62, 0x63, 0x64],
        [0x71, 0x72, 0x73, 0x74],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::ScsiResponse(read) = parse(&golden) else {
        panic!()
    };
    assert_eq!(read.response(), Ok(ServiceResponse::CommandCompleted));
    assert!(read.bidi_overflow() && !read.bidi_underflow());
    assert!(!read.overflow() && read.underflow());
}

#[test]
fn scsi_response_flags_one_by_one() {
    let mut pdu = ScsiResponse::new(1, 0);
    pdu.set_overflow(true);
    assert_eq!(pdu.as_bhs()[1], 0x84);
    pdu.set_overflow(false);
    pdu.set_bidi_underflow(true);
    assert_eq!(pdu.as_bhs()[1], 0x88);
    pdu.response_code = ServiceResponse::TargetFailure.code();
    assert_eq!(pdu.as_bhs()[2], 0x01);
}

#[test]
fn task_management_response() {
    let mut pdu = TaskManagementResponse::new(0x0102_0304, TmfResponse::Rejected);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.additional_response_information = [0x0a, 0x0b, 0x0c];
    let golden = rows([
        [0x22, 0x80, 0xff, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x0a, 0x0b, 0x0c, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x00, 0x00, 0x00, 0x00],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::TaskManagementResponse(read) = parse(&golden) else {
        panic!()
    };
    assert_eq!(read.response(), Ok(TmfResponse::Rejected));
}

#[test]
fn login_response() {
    let mut request = LoginRequest::new(0x0102_0304, [0x80, 0x11, 0x22, 0x33, 0x44, 0x55], 1);
    request.set_stages(
        LoginStage::OperationalNegotiation,
        Some(LoginStage::FullFeaturePhase),
    );
    let mut pdu = LoginResponse::answer(&request);
    assert_eq!(
        pdu.as_bhs()[1],
        0x04,
        "an answer keeps the stage and does not move by itself"
    );
    pdu.set_stages(
        LoginStage::OperationalNegotiation,
        Some(LoginStage::FullFeaturePhase),
    );
    pdu.set_sequence_numbers(NUMBERS);
    pdu.set_data_segment_length(0x0304);
    pdu.version_max = 0x02;
    pdu.version_active = 0x01;
    pdu.tsih = 0x0809.into();
    let golden = rows([
        [0x23, 0x87, 0x02, 0x01],
        [0x00, 0x00, 0x03, 0x04],
        [0x80, 0x11, 0x22, 0x33],
        [0x44, 0x55, 0x08, 0x09],
        [0x01, 0x02, 0x03, 0x04],
        [0x00, 0x00, 0x00, 0x00],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::LoginResponse(read) = parse(&golden) else {
        panic!()
    };
    assert!(read.is_transit() && !read.is_continued());
    assert_eq!(read.current_stage(), Ok(LoginStage::OperationalNegotiation));
    assert_eq!(read.next_stage(), Ok(LoginStage::FullFeaturePhase));
    assert_eq!(read.status(), LoginStatus::SUCCESS);
}

#[test]
fn login_response_of_a_refusal() {
    let mut pdu = LoginResponse::answer(&LoginRequest::new(9, [0; 6], 0));
    pdu.set_status(LoginStatus::SESSION_DOES_NOT_EXIST);
    assert_eq!(pdu.as_bhs()[36..40], [0x02, 0x0a, 0x00, 0x00]);
    let Ok(FromTarget::LoginResponse(read)) = FromTarget::parse(pdu.as_bhs()) else {
        panic!()
    };
    assert_eq!(read.status().class(), Ok(StatusClass::InitiatorError));
}

#[test]
fn text_response() {
    let mut pdu = TextResponse::new(0x0102_0304);
    assert_eq!(pdu.as_bhs()[1], 0x80);
    assert_eq!(pdu.as_bhs()[20..24], [0xff, 0xff, 0xff, 0xff]);
    pdu.set_final(false);
    pdu.set_continued(true);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.set_data_segment_length(8192);
    pdu.lun = LUN;
    pdu.ttt = 0x0a0b_0c0d.into();
    let golden = rows([
        [0x24, 0x40, 0x00, 0x00],
        [0x00, 0x00, 0x20, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x0a, 0x0b, 0x0c, 0x0d],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::TextResponse(read) = parse(&golden) else {
        panic!()
    };
    assert!(!read.is_final() && read.is_continued());
}

#[test]
fn data_in_with_status() {
    let mut pdu = DataIn::new(0x0102_0304);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.set_data_segment_length(512);
    pdu.set_final(true);
    pdu.set_wants_acknowledge(true);
    pdu.set_has_status(true);
    pdu.set_overflow(true);
    pdu.status = 0x04;
    pdu.lun = LUN;
    pdu.ttt = 0x0a0b_0c0d.into();
    pdu.data_sn = 0x5152_5354.into();
    pdu.buffer_offset = 0x6162_6364.into();
    pdu.residual_count = 0x7172_7374.into();
    let golden = rows([
        [0x25, 0xc5, 0x00, 0x04],
        [0x00, 0x00, 0x02, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x0a, 0x0b, 0x0c, 0x0d],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x51, 0x52, 0x53, 0x54],
        [0x61, 0x62, 0x63, 0x64],
        [0x71, 0x72, 0x73, 0x74],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::DataIn(read) = parse(&golden) else {
        panic!()
    };
    assert!(read.is_final() && read.wants_acknowledge() && read.has_status());
    assert!(read.overflow() && !read.underflow());
}

#[test]
fn plain_data_in() {
    let pdu = DataIn::new(0x0102_0304);
    assert_eq!(pdu.as_bhs()[..2], [0x25, 0x00]);
    assert_eq!(
        pdu.as_bhs()[16..24],
        [0x01, 0x02, 0x03, 0x04, 0xff, 0xff, 0xff, 0xff]
    );
    let mut pdu = pdu;
    pdu.set_underflow(true);
    assert_eq!(pdu.as_bhs()[1], 0x02);
}

#[test]
fn logout_response() {
    let mut pdu = LogoutResponse::new(0x0102_0304, LogoutResponseCode::CleanupFailed);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.time2wait = 0x4142.into();
    pdu.time2retain = 0x5152.into();
    let golden = rows([
        [0x26, 0x80, 0x03, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x00, 0x00, 0x00, 0x00],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x00, 0x00, 0x00, 0x00],
        [0x41, 0x42, 0x51, 0x52],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::LogoutResponse(read) = parse(&golden) else {
        panic!()
    };
    assert_eq!(read.response(), Ok(LogoutResponseCode::CleanupFailed));
}

#[test]
fn r2t() {
    let mut pdu = R2t::new(0x0102_0304, 0x0a0b_0c0d, 0x6162_6364, 0x7172_7374);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.lun = LUN;
    pdu.r2t_sn = 0x5152_5354.into();
    let golden = rows([
        [0x31, 0x80, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x0a, 0x0b, 0x0c, 0x0d],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x51, 0x52, 0x53, 0x54],
        [0x61, 0x62, 0x63, 0x64],
        [0x71, 0x72, 0x73, 0x74],
    ]);
    assert_golden(&pdu, &golden);
    assert!(matches!(parse(&golden), FromTarget::R2t(_)));
}

#[test]
fn async_message() {
    let mut pdu = AsyncMessage::new(AsyncEvent::ConnectionDrop);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.lun = LUN;
    pdu.vendor_code = 0x99;
    pdu.parameter1 = 0x4142.into();
    pdu.parameter2 = 0x5152.into();
    pdu.parameter3 = 0x6162.into();
    let golden = rows([
        [0x32, 0x80, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0xff, 0xff, 0xff, 0xff],
        [0x00, 0x00, 0x00, 0x00],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x02, 0x99, 0x41, 0x42],
        [0x51, 0x52, 0x61, 0x62],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::AsyncMessage(read) = parse(&golden) else {
        panic!()
    };
    assert_eq!(read.event(), Ok(AsyncEvent::ConnectionDrop));
}

#[test]
fn reject() {
    let mut pdu = Reject::new(RejectReason::InvalidPduField);
    pdu.set_sequence_numbers(NUMBERS);
    pdu.set_data_segment_length(48);
    pdu.data_sn = 0x5152_5354.into();
    let golden = rows([
        [0x3f, 0x80, 0x09, 0x00],
        [0x00, 0x00, 0x00, 0x30],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0xff, 0xff, 0xff, 0xff],
        [0x00, 0x00, 0x00, 0x00],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x51, 0x52, 0x53, 0x54],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let FromTarget::Reject(read) = parse(&golden) else {
        panic!()
    };
    assert_eq!(read.reason(), Ok(RejectReason::InvalidPduField));
}
