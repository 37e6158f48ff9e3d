//! Reads, writes, discards and task management.

use hawser_block::{BlockDevice, Operation, submit};
use hawser_engine::{Lun, LunNumber, ManagementRequest, Session, TmfFunction};

use super::machine::with;
use super::support::{
    TARGET, established, login_options, pattern, read, view, write, write_and_read,
};

/// The disk in a file, which can discard.
async fn file_disk(session: &Session) -> Lun {
    session.lun(LunNumber::from_number(1)).await.unwrap()
}

/// RFC 7143 §13.10, §13.11: the four ways in which data may leave.
#[tokio::test]
async fn immediate_unsolicited_and_solicited_data() {
    for (isid, initial_r2t, immediate_data) in [
        (20, true, true),
        (21, true, false),
        (22, false, true),
        (23, false, false),
    ] {
        let mut login = login_options();
        login.initial_r2t = initial_r2t;
        login.immediate_data = immediate_data;
        login.first_burst = 16_384;
        login.max_burst = 65_536;
        let session = established(with(TARGET, isid, login)).await;
        let agreed = view(&session).parameters;
        assert_eq!(agreed.initial_r2t, initial_r2t);
        assert_eq!(agreed.immediate_data, immediate_data);
        assert_eq!(agreed.max_burst, 65_536);
        write_and_read(&session).await;
        session.logout().await;
    }
}

#[tokio::test]
async fn hundreds_of_requests_in_flight() {
    let mut options = with(TARGET, 24, login_options());
    options.queue_depth = 64;
    let session = established(options).await;
    let disk = file_disk(&session).await;
    let at = |i: u64| (8 << 20) + i * 8192;
    let writes: Vec<_> = (0..400)
        .map(|i| {
            let data = pattern(8192, i);
            submit(&disk, Operation::Write { fua: false }, at(i), data)
        })
        .collect();
    for write in writes {
        write.await.1.unwrap();
    }
    let reads: Vec<_> = (0..400)
        .map(|i| submit(&disk, Operation::Read, at(i), vec![0; 8192]))
        .collect();
    for (i, read) in (0..).zip(reads) {
        let (data, result) = read.await;
        result.unwrap();
        assert!(data == pattern(8192, i), "block {i}");
    }
    session.logout().await;
}

#[tokio::test]
async fn zeroes_and_discards() {
    let session = established(with(TARGET, 25, login_options())).await;
    let disk = file_disk(&session).await;
    assert!(disk.geometry().can_discard);
    let base = 32 << 20;
    write(&disk, base, pattern(3 << 20, 9)).await;
    let zero = Operation::WriteZeroes {
        length: 2 << 20,
        fua: false,
        may_unmap: true,
    };
    submit(&disk, zero, base + 512, Vec::new()).await.1.unwrap();
    let mut expected = pattern(3 << 20, 9);
    expected[512..512 + (2 << 20)].fill(0);
    assert!(read(&disk, base, 3 << 20).await == expected);
    let discard = Operation::Discard { length: 1 << 20 };
    submit(&disk, discard, base, Vec::new()).await.1.unwrap();
    assert!(read(&disk, base + (1 << 20), 2 << 20).await == expected[1 << 20..]);
    session.logout().await;
}

/// RFC 7143 §11.6.1: response 0, function complete; the disk serves on after it.
#[tokio::test]
async fn a_lun_is_reset() {
    let session = established(with(TARGET, 26, login_options())).await;
    let disk = file_disk(&session).await;
    let request = ManagementRequest {
        function: TmfFunction::LogicalUnitReset,
        lun: LunNumber::from_number(1),
    };
    assert_eq!(session.manage(request).await.unwrap(), 0);
    assert_eq!(read(&disk, 60 << 20, 4096).await.len(), 4096);
    session.logout().await;
}
