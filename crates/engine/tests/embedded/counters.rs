//! What a session tells of its work in numbers.

use hawser_engine::DigestPolicy;

use super::support::{
    at_level_0, disk, established, logged_in_again, pattern, read, serve, up, write,
};

const SIZE: u64 = 1 << 20;

#[tokio::test]
async fn data_is_counted_as_it_was_asked_for_and_as_it_went_over_the_wire() {
    let server = serve().await;
    let session = up(&server).await;
    let disk = disk(&session).await;
    let before = session.counters();
    write(&disk, 0, pattern(SIZE as usize, 1)).await;
    let written = session.counters();
    assert_eq!(written.bytes_written - before.bytes_written, SIZE);
    assert_eq!(written.bytes_read, before.bytes_read);
    let sent = written.wire_bytes_sent - before.wire_bytes_sent;
    let pdus = written.pdus_sent - before.pdus_sent;
    assert!(
        pdus > 0 && sent >= SIZE + 48 * pdus,
        "{sent} bytes in {pdus} PDUs"
    );
    read(&disk, 0, SIZE as usize).await;
    let both = session.counters();
    assert_eq!(both.bytes_read - written.bytes_read, SIZE);
    assert_eq!(both.bytes_written, written.bytes_written);
    assert!(both.wire_bytes_received - written.wire_bytes_received > SIZE);
    assert!(both.commands >= before.commands + 2);
    assert_eq!(
        (both.in_flight, both.reconnects, both.digest_errors),
        (0, 0, 0)
    );
    session.logout().await;
}

#[tokio::test]
async fn a_wrong_digest_and_the_reconnect_after_it_are_counted_and_numbers_go_on() {
    let server = serve().await;
    let mut options = at_level_0(server.local_addrs()[0]);
    options.login.data_digest = DigestPolicy::Crc32c;
    let session = established(options).await;
    let disk = disk(&session).await;
    write(&disk, 0, pattern(4096, 1)).await;
    let before = session.counters();
    server.faults().corrupt_next_data_digest();
    assert!(read(&disk, 0, 4096).await == pattern(4096, 1));
    logged_in_again(&session, 1).await;
    let after = session.counters();
    assert_eq!((after.digest_errors, after.reconnects), (1, 1));
    assert_eq!(after.replayed_commands, 1);
    // The data counts once; beside it the disk was asked again who it is.
    let read = after.bytes_read - before.bytes_read;
    assert!((4096..8192).contains(&read), "{read}");
    assert!(after.commands > before.commands);
    session.logout().await;
}
