//! Reads and writes of all sizes, compared with what was written.

use hawser_block::{BlockDevice, ErrorKind, Operation, submit};
use hawser_testkit::peers::{Backing, TgtLun, TgtTarget};

use super::support::{
    MIB, TARGET, established, first_disk, login_options, options, pattern, read, tgt, tgt_disks,
    up, view, write, write_and_read,
};

#[tokio::test]
async fn what_is_written_is_read() {
    let server = tgt(tgt_disks(1));
    let session = up(server.portal(), login_options()).await;
    write_and_read(&session).await;
    session.logout().await;
}

/// RFC 7143 §13.10, §13.11: the four ways in which data may leave.
#[tokio::test]
async fn immediate_unsolicited_and_solicited_data() {
    for (initial_r2t, immediate_data) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let no_yes = |yes: bool| if yes { "Yes" } else { "No" };
        let target = tgt_disks(1)
            .parameter("InitialR2T", no_yes(initial_r2t))
            .parameter("ImmediateData", no_yes(immediate_data))
            .parameter("FirstBurstLength", "16384")
            .parameter("MaxBurstLength", "65536")
            .parameter("MaxOutstandingR2T", "4");
        let server = tgt(target);
        let mut login = login_options();
        login.initial_r2t = initial_r2t;
        login.immediate_data = immediate_data;
        let session = up(server.portal(), login).await;
        let view = view(&session);
        assert_eq!(view.parameters.initial_r2t, initial_r2t);
        assert_eq!(view.parameters.immediate_data, immediate_data);
        write_and_read(&session).await;
        session.logout().await;
    }
}

#[tokio::test]
async fn hundreds_of_requests_in_flight() {
    let server = tgt(tgt_disks(1));
    let mut options = options(server.portal(), login_options());
    options.queue_depth = 32;
    let session = established(options).await;
    let disk = first_disk(&session).await;
    let writes: Vec<_> = (0..400u64)
        .map(|i| {
            let data = pattern(8192, i);
            submit(&disk, Operation::Write { fua: false }, i * 8192, data)
        })
        .collect();
    for write in writes {
        write.await.1.unwrap();
    }
    let reads: Vec<_> = (0..400u64)
        .map(|i| submit(&disk, Operation::Read, i * 8192, vec![0; 8192]))
        .collect();
    for (i, read) in (0..).zip(reads) {
        let (data, result) = read.await;
        result.unwrap();
        assert!(data == pattern(8192, i), "block {i}");
    }
    session.logout().await;
}

#[tokio::test]
async fn bad_requests_reach_no_target() {
    let server = tgt(tgt_disks(1));
    let session = up(server.portal(), login_options()).await;
    let disk = first_disk(&session).await;
    let size = disk.geometry().size;
    assert_eq!(size, 64 * MIB);
    let (_, past) = submit(&disk, Operation::Read, size, vec![0; 512]).await;
    assert_eq!(past.unwrap_err().kind(), ErrorKind::OutOfRange);
    let (_, odd) = submit(&disk, Operation::Read, 1, vec![0; 512]).await;
    assert_eq!(odd.unwrap_err().kind(), ErrorKind::Unaligned);
    session.logout().await;
    let (_, closed) = submit(&disk, Operation::Read, 0, vec![0; 512]).await;
    let closed = closed.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
    assert!(closed.to_string().contains(TARGET), "{closed}");
}

#[tokio::test]
async fn zeroes_and_discards() {
    let target = TgtTarget::new(TARGET);
    let mut lun = TgtLun::new(Backing::New(64 * MIB));
    lun.thin = true;
    let server = tgt(target.lun(lun));
    let session = up(server.portal(), login_options()).await;
    let disk = first_disk(&session).await;
    write(&disk, 0, pattern(3 << 20, 9)).await;
    let zero = Operation::WriteZeroes {
        length: 2 << 20,
        fua: false,
        may_unmap: true,
    };
    submit(&disk, zero, 512, Vec::new()).await.1.unwrap();
    let mut expected = pattern(3 << 20, 9);
    expected[512..512 + (2 << 20)].fill(0);
    assert!(read(&disk, 0, 3 << 20).await == expected);
    if disk.geometry().can_discard {
        let discard = Operation::Discard { length: 1 << 20 };
        submit(&disk, discard, 0, Vec::new()).await.1.unwrap();
        assert!(read(&disk, 1 << 20, 2 << 20).await == expected[1 << 20..]);
    }
    session.logout().await;
}
