//! Reads and writes of all sizes, compared with what was written.

use hawser_block::{BlockDevice, Operation, submit};
use hawser_engine::{Lun, LunNumber, Session};

use super::{MIB, TARGET, disks, login_options, options, serve, up};

/// Bytes that differ from block to block and from seed to seed.
pub(crate) fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    (0..length.div_ceil(4))
        .flat_map(|_| (next() as u32).to_le_bytes())
        .take(length)
        .collect()
}

pub(crate) async fn disk(session: &Session) -> Lun {
    session.lun(LunNumber::from_number(1)).await.unwrap()
}

pub(crate) async fn write(disk: &Lun, offset: u64, data: Vec<u8>) {
    let (_, result) = submit(disk, Operation::Write { fua: false }, offset, data).await;
    result.unwrap();
}

pub(crate) async fn read(disk: &Lun, offset: u64, length: usize) -> Vec<u8> {
    let (data, result) = submit(disk, Operation::Read, offset, vec![0xee; length]).await;
    result.unwrap();
    data
}

/// Writes and reads sizes around all limits of the negotiation.
pub(crate) async fn write_and_read(session: &Session) {
    let disk = disk(session).await;
    let sizes = [
        512,
        4096,
        8192,
        65_536,
        262_144,
        262_656,
        1 << 20,
        (1 << 20) + 512,
        5 << 20,
    ];
    for (seed, size) in (1..).zip(sizes) {
        let offset = seed * 7 * 512;
        let data = pattern(size, seed);
        write(&disk, offset, data.clone()).await;
        assert!(read(&disk, offset, size).await == data, "{size} bytes");
    }
    let (_, flushed) = submit(&disk, Operation::Flush, 0, Vec::new()).await;
    flushed.unwrap();
}

#[tokio::test]
async fn what_is_written_is_read() {
    let server = serve(disks(1));
    let session = up(&server, login_options()).await;
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
        let target = disks(1)
            .parameter("InitialR2T", no_yes(initial_r2t))
            .parameter("ImmediateData", no_yes(immediate_data))
            .parameter("FirstBurstLength", "16384")
            .parameter("MaxBurstLength", "65536")
            .parameter("MaxOutstandingR2T", "4");
        let server = serve(target);
        let mut login = login_options();
        login.initial_r2t = initial_r2t;
        login.immediate_data = immediate_data;
        let session = up(&server, login).await;
        let hawser_engine::SessionState::Up(view) = session.state() else {
            panic!("not up")
        };
        assert_eq!(view.parameters.initial_r2t, initial_r2t);
        assert_eq!(view.parameters.immediate_data, immediate_data);
        write_and_read(&session).await;
        session.logout().await;
    }
}

#[tokio::test]
async fn hundreds_of_requests_in_flight() {
    let server = serve(disks(1));
    let mut options = options(&server, login_options());
    options.queue_depth = 32;
    let session = Session::open(options);
    session.established().await.unwrap();
    let disk = disk(&session).await;
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
    let server = serve(disks(1));
    let session = up(&server, login_options()).await;
    let disk = disk(&session).await;
    let size = disk.geometry().size;
    assert_eq!(size, 64 * MIB);
    let (_, past) = submit(&disk, Operation::Read, size, vec![0; 512]).await;
    assert_eq!(
        past.unwrap_err().kind(),
        hawser_block::ErrorKind::OutOfRange
    );
    let (_, odd) = submit(&disk, Operation::Read, 1, vec![0; 512]).await;
    assert_eq!(odd.unwrap_err().kind(), hawser_block::ErrorKind::Unaligned);
    session.logout().await;
    let (_, closed) = submit(&disk, Operation::Read, 0, vec![0; 512]).await;
    let closed = closed.unwrap_err();
    assert_eq!(closed.kind(), hawser_block::ErrorKind::Closed);
    assert!(closed.to_string().contains(TARGET), "{closed}");
}

#[tokio::test]
async fn zeroes_and_discards() {
    let target = hawser_testkit::peers::TgtTarget::new(TARGET);
    let mut lun = hawser_testkit::peers::TgtLun::new(hawser_testkit::peers::Backing::New(64 * MIB));
    lun.thin = true;
    let server = serve(target.lun(lun));
    let session = up(&server, login_options()).await;
    let disk = disk(&session).await;
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
