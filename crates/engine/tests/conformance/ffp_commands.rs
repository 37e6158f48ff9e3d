//! SCSI Command PDUs: their fields, and what becomes of commands that fail.

use hawser_block::{ErrorKind, Operation, submit};
use hawser_engine::{Lun, LunNumber};
use hawser_scsi::Status;
use hawser_testkit::scripted::wire::{
    BUSY, GOOD, LOGIN_REQUEST, NO_TAG, RESERVATION_CONFLICT, SCSI_COMMAND,
};
use hawser_testkit::scripted::{Disk, Pdu, disk};

use super::support::{R2T_ONLY, Rig, answered, assert_good, in_time, pattern};

pub(crate) async fn open(rig: &mut Rig, disk: &mut Disk) -> Lun {
    let session = rig.session.clone();
    let lun = async move { session.lun(LunNumber::ZERO).await };
    disk.serve(&mut rig.peer, lun).await.expect("the LUN opens")
}

#[tokio::test]
async fn ffp_16_1_1() {
    let mut rig = Rig::up(&[("ImmediateData", "Yes")]).await;
    let granted = rig.peer.next_cmd_sn();
    let asked = rig.write(&[7; 512]);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    assert_eq!(command.cmd_sn(), granted, "ExpCmdSN of the login response");
    assert_eq!(
        command.exp_stat_sn(),
        rig.peer.next_stat_sn(),
        "StatSN of the login response + 1"
    );
    let login = rig.peer.transcript().of(LOGIN_REQUEST)[0].itt();
    assert!(command.itt() != NO_TAG);
    assert_eq!(
        (command.cdb()[0], command.ahs_length()),
        (disk::WRITE_10, 0)
    );
    assert_eq!(
        (command.data_length(), command.expected_length()),
        (512, 512)
    );
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
    // The login's tag is free again, but a tag is not used twice in a row.
    let asked = rig.test_unit_ready();
    let next = rig.peer.expect(SCSI_COMMAND).await;
    assert!(
        next.itt() != command.itt(),
        "{login:#x} {command:?} {next:?}"
    );
    rig.peer.respond(&next, GOOD).await;
    assert_good(&answered(asked).await);
}

#[tokio::test]
async fn ffp_16_1_2() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let granted = rig.peer.next_cmd_sn();
    let asked = rig.write(&[7; 512]);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    assert_eq!(command.cmd_sn(), granted);
    assert_eq!(command.exp_stat_sn(), rig.peer.next_stat_sn());
    assert_eq!((command.data_length(), command.expected_length()), (0, 512));
    assert_eq!(command.ahs_length(), 0);
    assert_eq!(rig.peer.solicit(&command, 0, 0, 512).await, [7; 512]);
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

/// A write to a disk fails so the first time: it is no success, it comes again as a new command, and
/// ends well then.
async fn is_issued_anew(failure: impl Fn(&Pdu) -> Pdu) {
    let mut rig = Rig::up(R2T_ONLY).await;
    let mut disk = Disk::new(64);
    let lun = open(&mut rig, &mut disk).await;
    let data = pattern(1024);
    let write = submit(&lun, Operation::Write { fua: false }, 0, data.clone());
    let write = tokio::spawn(write);
    let first = disk.serve_until(&mut rig.peer, disk::WRITE_10).await;
    rig.peer.solicit(&first, 0, 0, 1024).await;
    rig.peer.send(failure(&first)).await;
    let second = disk.serve_until(&mut rig.peer, disk::WRITE_10).await;
    assert!(!write.is_finished());
    assert!(second.itt() != first.itt(), "a new task");
    assert_eq!(second.cmd_sn(), rig.peer.next_cmd_sn().wrapping_sub(1));
    assert!(second.cmd_sn() != first.cmd_sn(), "no iSCSI retry");
    assert_eq!(second.cdb(), first.cdb());
    assert!(rig.peer.take_write(&second).await == data);
    rig.peer.respond(&second, GOOD).await;
    let (_, result) = in_time(write).await.unwrap();
    result.unwrap();
}

/// A raw command that ends so is not sent again: its caller hears of it.
async fn reaches_the_caller(failure: impl Fn(&Pdu) -> Pdu, status: Status) {
    let mut rig = Rig::up(R2T_ONLY).await;
    let asked = rig.read(512);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(failure(&command)).await;
    assert_eq!(answered(asked).await.status, status);
    rig.peer.quiet().await;
}

#[tokio::test]
async fn ffp_16_4_1() {
    let crc = |command: &Pdu| Pdu::check_condition(command, [0x0b, 0x47, 0x05]);
    is_issued_anew(crc).await;
    reaches_the_caller(crc, Status::CheckCondition).await;
}

#[tokio::test]
async fn ffp_16_4_3() {
    let unexpected = |command: &Pdu| Pdu::check_condition(command, [0x0b, 0x0c, 0x0c]);
    is_issued_anew(unexpected).await;
    reaches_the_caller(unexpected, Status::CheckCondition).await;
}

#[tokio::test]
async fn ffp_16_4_4() {
    let too_little = |command: &Pdu| Pdu::check_condition(command, [0x0b, 0x0c, 0x0d]);
    is_issued_anew(too_little).await;
    reaches_the_caller(too_little, Status::CheckCondition).await;
}

#[tokio::test]
async fn ffp_16_4_5() {
    let busy = |command: &Pdu| Pdu::scsi_response(command, BUSY);
    is_issued_anew(busy).await;
    reaches_the_caller(busy, Status::Busy).await;
}

/// A disk's reservation is its user's matter: it reaches the caller of both interfaces.
#[tokio::test]
async fn ffp_16_4_6() {
    let conflict = |command: &Pdu| Pdu::scsi_response(command, RESERVATION_CONFLICT);
    reaches_the_caller(conflict, Status::ReservationConflict).await;
    let mut rig = Rig::up(R2T_ONLY).await;
    let mut disk = Disk::new(64);
    let lun = open(&mut rig, &mut disk).await;
    let read = tokio::spawn(submit(&lun, Operation::Read, 0, vec![0; 512]));
    let command = disk.serve_until(&mut rig.peer, disk::READ_10).await;
    rig.peer.send(conflict(&command)).await;
    let (_, result) = in_time(read).await.unwrap();
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ReservationConflict);
    rig.peer.quiet().await;
}

#[tokio::test]
async fn ffp_16_5() {
    let mut rig = Rig::prepared(|_| {}, |peer| peer.grant(1), &[]).await;
    let only = rig.peer.next_cmd_sn();
    rig.peer.fix_max_cmd_sn(only);
    let first = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(first).await);
    let second = rig.test_unit_ready();
    rig.peer.quiet().await;
    rig.peer.fix_max_cmd_sn(only.wrapping_add(1));
    rig.peer.send(Pdu::nop_in(NO_TAG, [0; 8])).await;
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(second).await);
}
