//! Each request: building gives the bytes, and the bytes give the fields.

use super::super::*;
use super::{assert_golden, rows};

const LUN: Lun = [0x40, 0x05, 0, 0, 0, 0, 0, 0];

#[test]
fn nop_out_ping() {
    let mut pdu = NopOut::ping(0x0102_0304);
    pdu.set_data_segment_length(0x0001_0203);
    pdu.cmd_sn = 0x1112_1314.into();
    pdu.exp_stat_sn = 0x2122_2324.into();
    let golden = rows([
        [0x00, 0x80, 0x00, 0x00],
        [0x00, 0x01, 0x02, 0x03],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0xff, 0xff, 0xff, 0xff],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::NopOut(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert!(!read.is_immediate());
    assert_eq!(read.data_segment_length(), 66_051);
}

#[test]
fn nop_out_answer_copies_tag_and_lun() {
    let ping = NopIn::ping(0, LUN);
    let mut pdu = NopOut::answer(&ping);
    pdu.cmd_sn = 7.into();
    pdu.exp_stat_sn = 9.into();
    let golden = rows([
        [0x40, 0x80, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0xff, 0xff, 0xff, 0xff],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x07],
        [0x00, 0x00, 0x00, 0x09],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::NopOut(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert!(read.is_immediate());
}

/// The READ(10) whose header stands in RFC 7143 Appendix A.4.
#[test]
fn scsi_command_of_the_rfc_example() {
    let mut cdb = [0; 16];
    cdb[0] = 0x28;
    cdb[8] = 0x02;
    let mut pdu = ScsiCommand::new(0x1400_0000, NO_LUN, DataDirection::Read, 0x0000_0400, cdb);
    pdu.set_attribute(TaskAttribute::Untagged);
    pdu.cmd_sn = 0x14.into();
    pdu.exp_stat_sn = 0x18.into();
    let golden = rows([
        [0x01, 0xc0, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x14, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x04, 0x00],
        [0x00, 0x00, 0x00, 0x14],
        [0x00, 0x00, 0x00, 0x18],
        [0x28, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x02, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::ScsiCommand(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert_eq!(read.direction(), DataDirection::Read);
    assert_eq!(read.attribute(), Ok(TaskAttribute::Untagged));
    assert!(read.is_final());
}

#[test]
fn scsi_command_with_every_field() {
    let cdb = [
        0x7f, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae,
        0xaf,
    ];
    let mut pdu = ScsiCommand::new(
        0x0102_0304,
        LUN,
        DataDirection::Bidirectional,
        0x0506_0708,
        cdb,
    );
    pdu.set_immediate(true);
    pdu.set_final(false);
    pdu.set_attribute(TaskAttribute::HeadOfQueue);
    pdu.set_priority(9);
    pdu.set_total_ahs_length(28);
    pdu.set_data_segment_length(0x00ff_fffe);
    pdu.cmd_sn = 0x1112_1314.into();
    pdu.exp_stat_sn = 0x2122_2324.into();
    let golden = rows([
        [0x41, 0x63, 0x90, 0x00],
        [0x07, 0xff, 0xff, 0xfe],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x05, 0x06, 0x07, 0x08],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x7f, 0xa1, 0xa2, 0xa3],
        [0xa4, 0xa5, 0xa6, 0xa7],
        [0xa8, 0xa9, 0xaa, 0xab],
        [0xac, 0xad, 0xae, 0xaf],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::ScsiCommand(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert!(read.is_immediate() && !read.is_final());
    assert_eq!(read.direction(), DataDirection::Bidirectional);
    assert_eq!(read.attribute(), Ok(TaskAttribute::HeadOfQueue));
    assert_eq!((read.priority(), read.total_ahs_length()), (9, 28));
    assert_eq!(read.data_segment_length(), 16_777_214);
}

#[test]
fn task_management_request() {
    let mut pdu = TaskManagementRequest::new(0x0102_0304, TmfFunction::AbortTask, LUN);
    pdu.set_immediate(true);
    pdu.referenced_task_tag = 0x0a0b_0c0d.into();
    pdu.cmd_sn = 0x1112_1314.into();
    pdu.exp_stat_sn = 0x2122_2324.into();
    pdu.ref_cmd_sn = 0x3132_3334.into();
    pdu.exp_data_sn = 0x4142_4344.into();
    let golden = rows([
        [0x42, 0x81, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x0a, 0x0b, 0x0c, 0x0d],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x31, 0x32, 0x33, 0x34],
        [0x41, 0x42, 0x43, 0x44],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::TaskManagementRequest(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert_eq!(read.function(), Ok(TmfFunction::AbortTask));
}

#[test]
fn task_management_request_for_a_logical_unit_refers_to_no_task() {
    let pdu = TaskManagementRequest::new(1, TmfFunction::LogicalUnitReset, LUN);
    assert_eq!(pdu.as_bhs()[..2], [0x02, 0x85]);
    assert_eq!(pdu.as_bhs()[20..24], [0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn login_request() {
    let mut pdu = LoginRequest::new(0x0102_0304, [0x80, 0x11, 0x22, 0x33, 0x44, 0x55], 0x0607);
    pdu.set_stages(
        LoginStage::OperationalNegotiation,
        Some(LoginStage::FullFeaturePhase),
    );
    pdu.tsih = 0x0809.into();
    pdu.set_data_segment_length(300);
    pdu.cmd_sn = 0x1112_1314.into();
    pdu.exp_stat_sn = 0x2122_2324.into();
    let golden = rows([
        [0x43, 0x87, 0x00, 0x00],
        [0x00, 0x00, 0x01, 0x2c],
        [0x80, 0x11, 0x22, 0x33],
        [0x44, 0x55, 0x08, 0x09],
        [0x01, 0x02, 0x03, 0x04],
        [0x06, 0x07, 0x00, 0x00],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::LoginRequest(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert!(read.is_transit() && !read.is_continued() && read.is_immediate());
    assert_eq!(read.current_stage(), Ok(LoginStage::OperationalNegotiation));
    assert_eq!(read.next_stage(), Ok(LoginStage::FullFeaturePhase));
}

#[test]
fn login_request_that_is_continued_stays_in_its_stage() {
    let mut pdu = LoginRequest::new(0, [0; 6], 0);
    pdu.set_stages(
        LoginStage::SecurityNegotiation,
        Some(LoginStage::OperationalNegotiation),
    );
    assert_eq!(pdu.as_bhs()[1], 0x81);
    pdu.set_continued(true);
    pdu.set_stages(LoginStage::OperationalNegotiation, None);
    assert_eq!(pdu.as_bhs()[1], 0x44);
    pdu.version_max = 0x05;
    pdu.version_min = 0x03;
    assert_eq!(pdu.as_bhs()[2..4], [0x05, 0x03]);
}

#[test]
fn text_request() {
    let mut pdu = TextRequest::new(0x0102_0304);
    pdu.set_final(false);
    pdu.set_continued(true);
    pdu.set_data_segment_length(16);
    pdu.lun = LUN;
    pdu.ttt = 0x0a0b_0c0d.into();
    pdu.cmd_sn = 0x1112_1314.into();
    pdu.exp_stat_sn = 0x2122_2324.into();
    let golden = rows([
        [0x04, 0x40, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x10],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x0a, 0x0b, 0x0c, 0x0d],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::TextRequest(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert!(!read.is_final() && read.is_continued() && !read.is_immediate());
    let first = TextRequest::new(5);
    assert_eq!(first.as_bhs()[1], 0x80);
    assert_eq!(first.as_bhs()[20..24], [0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn solicited_data_out_copies_the_r2t() {
    let mut r2t = R2t::new(0x0102_0304, 0x0a0b_0c0d, 0x5152_5354, 0x1000);
    r2t.lun = LUN;
    let mut pdu = DataOut::solicited(&r2t);
    pdu.set_final(true);
    pdu.set_data_segment_length(0x1000);
    pdu.exp_stat_sn = 0x2122_2324.into();
    pdu.data_sn = 0x3132_3334.into();
    let golden = rows([
        [0x05, 0x80, 0x00, 0x00],
        [0x00, 0x00, 0x10, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x0a, 0x0b, 0x0c, 0x0d],
        [0x00, 0x00, 0x00, 0x00],
        [0x21, 0x22, 0x23, 0x24],
        [0x00, 0x00, 0x00, 0x00],
        [0x31, 0x32, 0x33, 0x34],
        [0x51, 0x52, 0x53, 0x54],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::DataOut(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert!(read.is_final());
}

#[test]
fn unsolicited_data_out_has_neither_tag_nor_lun() {
    let pdu = DataOut::unsolicited(0x0102_0304);
    assert_eq!(pdu.as_bhs()[..2], [0x05, 0x00]);
    assert_eq!(pdu.as_bhs()[8..16], [0; 8]);
    assert_eq!(
        pdu.as_bhs()[16..24],
        [0x01, 0x02, 0x03, 0x04, 0xff, 0xff, 0xff, 0xff]
    );
}

#[test]
fn logout_request() {
    let mut pdu = LogoutRequest::new(0x0102_0304, LogoutReason::RecoverConnection, 0x0607);
    pdu.set_immediate(true);
    pdu.cmd_sn = 0x1112_1314.into();
    pdu.exp_stat_sn = 0x2122_2324.into();
    let golden = rows([
        [0x46, 0x82, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x06, 0x07, 0x00, 0x00],
        [0x11, 0x12, 0x13, 0x14],
        [0x21, 0x22, 0x23, 0x24],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::LogoutRequest(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert_eq!(read.reason(), Ok(LogoutReason::RecoverConnection));
}

#[test]
fn snack() {
    let mut pdu = Snack::new(SnackType::ResegmentedData);
    pdu.lun = LUN;
    pdu.itt = 0x0102_0304.into();
    pdu.ttt = 0x0a0b_0c0d.into();
    pdu.exp_stat_sn = 0x2122_2324.into();
    pdu.beg_run = 0x3132_3334.into();
    pdu.run_length = 0x4142_4344.into();
    let golden = rows([
        [0x10, 0x83, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x40, 0x05, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x01, 0x02, 0x03, 0x04],
        [0x0a, 0x0b, 0x0c, 0x0d],
        [0x00, 0x00, 0x00, 0x00],
        [0x21, 0x22, 0x23, 0x24],
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        [0x31, 0x32, 0x33, 0x34],
        [0x41, 0x42, 0x43, 0x44],
    ]);
    assert_golden(&pdu, &golden);
    let Ok(FromInitiator::Snack(read)) = FromInitiator::parse(&golden) else {
        panic!()
    };
    assert_eq!(read.snack_type(), Ok(SnackType::ResegmentedData));
}
