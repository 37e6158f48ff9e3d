//! The client against a server that is played by hand, with bytes typed from `proto.md`.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;

use super::*;

/// Greets, takes the handshake, tells of a disk of `size` bytes, then answers with `serve`.
fn server(
    size: u64,
    serve: impl FnOnce(&mut UnixStream) + Send + 'static,
) -> (UnixStream, JoinHandle<()>) {
    let (client, mut stream) = UnixStream::pair().expect("a pair");
    let thread = std::thread::spawn(move || {
        stream.write_all(b"NBDMAGICIHAVEOPT\x00\x03").expect("sent");
        let mut handshake = [0; 20];
        stream.read_exact(&mut handshake).expect("got");
        assert_eq!(
            &handshake,
            b"\x00\x00\x00\x03IHAVEOPT\x00\x00\x00\x01\x00\x00\x00\x00"
        );
        stream.write_all(&size.to_be_bytes()).expect("sent");
        stream.write_all(&[0x00, 0x05]).expect("sent");
        serve(&mut stream);
    });
    (client, thread)
}

/// Takes the head of a request: command, cookie, offset, length.
fn request(stream: &mut UnixStream) -> (u8, [u8; 8], u64, u32) {
    let mut head = [0; 28];
    stream.read_exact(&mut head).expect("got");
    assert_eq!(&head[..7], b"\x25\x60\x95\x13\x00\x00\x00");
    let cookie = head[8..16].try_into().expect("eight");
    let offset = u64::from_be_bytes(head[16..24].try_into().expect("eight"));
    let length = u32::from_be_bytes(head[24..].try_into().expect("four"));
    (head[7], cookie, offset, length)
}

fn reply(stream: &mut UnixStream, error: u8, cookie: [u8; 8]) {
    stream
        .write_all(&[0x67, 0x44, 0x66, 0x98, 0, 0, 0, error])
        .expect("sent");
    stream.write_all(&cookie).expect("sent");
}

#[test]
fn what_is_written_goes_out_in_pieces_and_is_flushed() {
    let (client, thread) = server(4 << 20, |stream| {
        for (offset, length) in [(0, 1 << 20), (1 << 20, 512)] {
            let (command, cookie, at, count) = request(stream);
            assert_eq!((command, at, count), (1, offset, length));
            let mut data = vec![0; length as usize];
            stream.read_exact(&mut data).expect("got");
            assert!(data.iter().all(|byte| *byte == 0xa5));
            reply(stream, 0, cookie);
        }
        let (command, cookie, at, count) = request(stream);
        assert_eq!((command, at, count), (3, 0, 0));
        reply(stream, 0, cookie);
        assert_eq!(request(stream).0, 2);
    });
    write(client, &vec![0xa5; (1 << 20) + 512]).expect("written");
    thread.join().expect("the server saw what it should");
}

#[test]
fn what_is_read_comes_back() {
    let (client, thread) = server(512, |stream| {
        let (command, cookie, at, count) = request(stream);
        assert_eq!((command, at, count), (0, 0, 512));
        reply(stream, 0, cookie);
        stream.write_all(&[7; 512]).expect("sent");
        assert_eq!(request(stream).0, 2);
    });
    assert_eq!(read(client, 512).expect("read"), vec![7; 512]);
    thread.join().expect("the server saw what it should");
}

#[test]
fn errors_and_nonsense_are_told() {
    let (client, thread) = server(512, |stream| {
        let (_, cookie, ..) = request(stream);
        reply(stream, 5, cookie);
    });
    let error = read(client, 512).expect_err("EIO");
    assert_eq!(error.raw_os_error(), Some(5));
    thread.join().expect("ended");

    let (client, thread) = server(512, |stream| {
        request(stream);
        reply(stream, 0, [9; 8]);
    });
    assert!(
        read(client, 512)
            .expect_err("wrong")
            .to_string()
            .contains("no reply")
    );
    thread.join().expect("ended");

    let (client, thread) = server(511, |_| {});
    assert!(
        read(client, 512)
            .expect_err("wrong")
            .to_string()
            .contains("too small")
    );
    thread.join().expect("ended");
}

#[test]
fn sockets_are_found_in_addresses() {
    let found = |address: &str| socket_of(address);
    let expected = Path::new("/run/a b.sock");
    assert_eq!(
        found("nbd+unix:///?socket=/run/a%20b.sock").as_deref(),
        Some(expected)
    );
    assert_eq!(
        found("nbd+unix:///x?tls=0&socket=/run/a%20b.sock").as_deref(),
        Some(expected)
    );
    for wrong in [
        "",
        "nbd://host/",
        "nbd+unix:///x",
        "nbd+unix:///?socket=/a%2",
    ] {
        assert_eq!(found(wrong), None, "{wrong:?}");
    }
}
