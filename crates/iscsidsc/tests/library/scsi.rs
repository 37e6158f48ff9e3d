//! §2.6: SCSI commands, over data and informational sessions.

use iscsidsc::api::{Library, Login, SessionId, Status};

use super::support::{Daemon, MIB, TARGET, Target, discover, login_to, portal_of, tgtd};

/// LUN 1, as the eight bytes are read in C.
const LUN_1: u64 = 0x100;

fn informational(library: &Library) -> SessionId {
    let login = Login {
        informational: true,
        ..login_to(TARGET)
    };
    library.login(login).expect("logs in").value.session_id
}

/// What holds with any target that has a disk of 64 MiB at LUN 1.
fn commands_are_answered(library: &Library, session: SessionId) {
    let inquiry = library
        .scsi_inquiry(session, LUN_1, 0, 0)
        .expect("answered");
    assert_eq!(inquiry.status(), Status::ERROR_SUCCESS);
    assert_eq!(inquiry.data[0] & 0x1f, 0, "a disk");
    let told = usize::from(inquiry.data[4]) + 5;
    assert!(inquiry.data.len() <= told.min(255));
    let page = library
        .scsi_inquiry(session, LUN_1, 0xfd, 0x83)
        .expect("answered");
    assert_eq!(page.data[1], 0x83, "only the two low bits count");
    let capacity = library
        .scsi_read_capacity(session, LUN_1)
        .expect("answered");
    let [a, b, c, d, block @ ..] = &capacity.data[..] else {
        panic!("{capacity:?}");
    };
    let last = u32::from_be_bytes([*a, *b, *c, *d]);
    assert_eq!(block, [0, 0, 2, 0], "512");
    assert_eq!((u64::from(last) + 1) * 512, 64 * MIB);
    let luns = library.scsi_report_luns(session).expect("answered");
    let length = u32::from_be_bytes(luns.data[..4].try_into().expect("four"));
    assert_eq!(luns.data.len(), length as usize + 8);
    assert!(
        luns.data[8..]
            .chunks(8)
            .any(|lun| lun == LUN_1.to_le_bytes())
    );
}

#[test]
fn commands_are_answered_by_our_own_target() {
    let target = Target::start();
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &target.portal());
    let session = informational(&library);
    commands_are_answered(&library, session);
    // A page that no disk has.
    let refused = library
        .scsi_inquiry(session, LUN_1, 1, 0x7f)
        .expect("an answer");
    assert_eq!(refused.status(), Status::SCSI_REQUEST_FAILED);
    assert_eq!(refused.scsi_status, 2, "CHECK CONDITION");
    assert!(refused.sense.len() >= 18, "{refused:?}");
    assert_eq!(refused.sense[2] & 0xf, 5, "ILLEGAL REQUEST");
    assert_eq!(refused.underflow, 255, "nothing came");
}

#[test]
fn commands_are_answered_by_tgt() {
    let tgt = tgtd(TARGET);
    let daemon = Daemon::start("none");
    let library = daemon.library();
    discover(&library, &portal_of(tgt.portal()));
    let session = informational(&library);
    commands_are_answered(&library, session);
}

#[test]
fn sessions_that_are_not_are_told_by_their_status() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    for session in [
        SessionId::default(),
        SessionId {
            adapter_unique: 1,
            adapter_specific: 2,
        },
    ] {
        let gone = Status::INVALID_SESSION_ID;
        assert_eq!(library.scsi_inquiry(session, 0, 0, 0), Err(gone));
        assert_eq!(library.scsi_read_capacity(session, 0), Err(gone));
        assert_eq!(library.scsi_report_luns(session), Err(gone));
    }
}
