//! The NBD server against clients stepped by hand: deep pipelines, hung and failing disks, hostile
//! bytes. The numbers are typed from `proto.md`.

mod support;

use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hawser_block::{BlockDevice, ErrorKind};
use hawser_export::nbd::{ExportInfo, NbdServer, NbdServerError};
use support::{Hung, LIMIT, Odd, Queued, wait_until};
use tempfile::TempDir;
use tokio::runtime::Handle;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISC: u16 = 2;
const FLUSH: u16 = 3;
const FUA: u16 = 1;
const MIB: usize = 1024 * 1024;

struct Bench {
    server: NbdServer,
    socket: PathBuf,
    _directory: TempDir,
}

fn bench(device: Arc<dyn BlockDevice>) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let info = ExportInfo {
        name: "disk".into(),
        description: String::new(),
    };
    let mut server = NbdServer::new(Handle::current(), info, device);
    let socket = directory.path().join("s");
    server.listen_unix(&socket).unwrap();
    Bench {
        server,
        socket,
        _directory: directory,
    }
}

/// A client in the transmission phase, with simple or structured replies.
struct Client(UnixStream);

impl Client {
    fn raw(bench: &Bench) -> Self {
        let stream = UnixStream::connect(&bench.socket).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    fn connect(bench: &Bench, structured: bool) -> Self {
        let mut client = Self::raw(bench);
        assert_eq!(client.take(18), b"NBDMAGICIHAVEOPT\0\x03");
        client.send(&[0, 0, 0, 3]);
        if structured {
            client.send(b"IHAVEOPT\0\0\0\x08\0\0\0\0");
            assert_eq!(client.take(20)[12..16], [0, 0, 0, 1]);
        }
        client.send(b"IHAVEOPT\0\0\0\x01\0\0\0\0");
        client.take(10);
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Waits for the server to close the connection.
    fn expect_closed(&mut self) {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), IoErrorKind::ConnectionReset),
        }
    }

    /// A simple reply: its error and cookie.
    fn reply(&mut self) -> (u32, u64) {
        let bytes = self.take(16);
        assert_eq!(bytes[..4], [0x67, 0x44, 0x66, 0x98]);
        let error = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
        (error, u64::from_be_bytes(bytes[8..].try_into().unwrap()))
    }
}

fn request(command: u16, flags: u16, cookie: u64, offset: u64, length: u32) -> Vec<u8> {
    let mut bytes = vec![0x25, 0x60, 0x95, 0x13];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(command.to_be_bytes());
    bytes.extend(cookie.to_be_bytes());
    bytes.extend(offset.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_requests_in_one_write_are_all_answered() {
    let disk = Queued::new(MIB, 512);
    let bench = bench(Arc::clone(&disk) as _);
    off_runtime(move || {
        let mut client = Client::connect(&bench, false);
        let mut bytes = Vec::new();
        for cookie in 0..1000u64 {
            let flags = if cookie.is_multiple_of(2) { FUA } else { 0 };
            bytes.extend(request(WRITE, flags, cookie, cookie * 512, 512));
            bytes.extend([cookie as u8; 512]);
        }
        client.send(&bytes);
        let mut cookies: Vec<_> = (0..1000).map(|_| client.reply()).collect();
        cookies.sort_unstable();
        assert_eq!(
            cookies,
            (0..1000).map(|cookie| (0, cookie)).collect::<Vec<_>>()
        );
        assert_eq!(disk.fua_writes.load(Ordering::SeqCst), 500);
        let reads: Vec<_> = (0..1000)
            .flat_map(|c| request(READ, 0, c, c * 512, 512))
            .collect();
        client.send(&[&reads[..], &request(FLUSH, 0, 5000, 0, 0)].concat());
        let mut answered = 0;
        while answered < 1001 {
            let (error, cookie) = client.reply();
            assert_eq!(error, 0);
            if cookie != 5000 {
                assert_eq!(client.take(512), [cookie as u8; 512]);
            }
            answered += 1;
        }
        assert_eq!(disk.flushes.load(Ordering::SeqCst), 1);
        // What one client wrote another sees.
        let mut other = Client::connect(&bench, true);
        other.send(&request(READ, 4, 9, 7 * 512, 1024));
        let chunk = other.take(28 + 1024);
        assert_eq!(chunk[..8], [0x66, 0x8e, 0x33, 0xef, 0, 1, 0, 1]);
        assert_eq!(chunk[28..], [[7; 512], [8; 512]].concat());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_disk_holds_a_bounded_number_of_requests_and_no_neighbour() {
    let hung = Hung::new(64 * MIB);
    let (stuck, healthy) = (bench(Arc::clone(&hung) as _), bench(Queued::new(MIB, 512)));
    off_runtime(move || {
        let mut client = Client::connect(&stuck, false);
        let reads: Vec<_> = (0..300)
            .flat_map(|cookie| request(READ, 0, cookie, 0, 512))
            .collect();
        client.send(&reads);
        hung.wait_for(256);
        let mut neighbour = Client::connect(&healthy, false);
        neighbour.send(&request(READ, 0, 1, 0, 512));
        assert_eq!(neighbour.reply(), (0, 1));
        assert_eq!(hung.held(), 256, "the rest waits in the socket");
        hung.release();
        hung.wait_for(44);
        hung.release();
        for _ in 0..300 {
            assert_eq!(client.reply().0, 108, "a closed disk is ESHUTDOWN");
        }
        // By bytes: of three reads of 16 MiB two are let in.
        let reads: Vec<_> = (0..3)
            .flat_map(|c| request(READ, 0, c, 0, 16 << 20))
            .collect();
        client.send(&reads);
        hung.wait_for(2);
        neighbour.send(&request(READ, 0, 2, 0, 512));
        neighbour.take(512);
        assert_eq!(neighbour.reply(), (0, 2));
        assert_eq!(hung.held(), 2);
        hung.release();
        hung.wait_for(1);
        hung.release();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_requests_on_a_hung_disk_are_counted_until_it_answers() {
    let hung = Hung::new(MIB);
    let bench = bench(Arc::clone(&hung) as _);
    off_runtime(move || {
        for count in 1..=16 {
            let mut client = Client::connect(&bench, false);
            client.send(&request(READ, 0, 1, 0, 512));
            hung.wait_for(count);
        }
        Client::raw(&bench).expect_closed();
        hung.release();
        wait_until("a free place", || {
            let mut client = Client::raw(&bench);
            let mut greeting = [0; 18];
            client.0.read_exact(&mut greeting).is_ok()
        });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_are_cut_off_and_others_go_on() {
    let bench = bench(Queued::new(MIB, 512));
    off_runtime(move || {
        let mut good = Client::connect(&bench, false);
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0, 0, 0, 3, b'I', b'H', b'A', b'V', b'E', b'N', b'O', b'T'],
            &[&[0, 0, 0, 3][..], b"IHAVEOPT\0\0\0\x07\xff\xff\xff\xff"].concat(),
            &[
                &[0, 0, 0, 3][..],
                &b"IHAVEOPT\0\0\0\x63\0\0\0\0".repeat(100),
            ]
            .concat(),
            &[&[0, 0, 0, 3][..], b"IHAVEOPT\0\0\0\x01\0\0\0\x05other"].concat(),
        ] {
            let mut client = Client::raw(&bench);
            // The server may close before all is sent.
            let _ = client.0.write_all(bytes);
            client.expect_closed();
        }
        for bytes in [
            vec![0; 28],
            request(WRITE, 0, 1, 0, (32 << 20) + 512),
            vec![0xff; 5000],
        ] {
            let mut client = Client::connect(&bench, false);
            let _ = client.0.write_all(&bytes);
            client.expect_closed();
        }
        // Half a request and then nothing.
        let mut client = Client::connect(&bench, false);
        client.send(&request(WRITE, 0, 1, 0, 512)[..20]);
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        client.expect_closed();
        good.send(&request(READ, 0, 3, 0, 512));
        assert_eq!(good.reply(), (0, 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_is_skipped_and_the_stream_stays_in_step() {
    let bench = bench(Queued::new(MIB, 512));
    off_runtime(move || {
        let mut client = Client::connect(&bench, false);
        for (offset, error) in [(1, 22), (MIB as u64, 28)] {
            client.send(&[&request(WRITE, 0, 1, offset, 65536)[..], &[7; 65536]].concat());
            assert_eq!(client.reply(), (error, 1));
        }
        client.send(&request(99, 0, 2, 0, 512));
        assert_eq!(client.reply(), (22, 2));
        client.send(&request(READ, 0, 3, 0, (32 << 20) + 512));
        assert_eq!(client.reply(), (22, 3));
        client.send(&request(FLUSH, 0, 4, 0, 0));
        assert_eq!(client.reply(), (0, 4));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_disk_come_with_their_text() {
    let bench = bench(Odd::failing(ErrorKind::NoSpace));
    off_runtime(move || {
        let mut client = Client::connect(&bench, true);
        client.send(&request(READ, 0, 1, 0, 512));
        let chunk = client.take(20 + 6 + 11);
        assert_eq!(chunk[4..8], [0, 1, 0x80, 1]);
        assert_eq!(chunk[20..], *b"\0\0\0\x1c\0\x0ban odd disk");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goodbye_waits_for_what_is_in_flight() {
    let hung = Hung::new(MIB);
    let bench = bench(Arc::clone(&hung) as _);
    off_runtime(move || {
        let mut client = Client::connect(&bench, false);
        client.send(&[request(READ, 0, 1, 0, 512), request(DISC, 0, 2, 0, 0)].concat());
        hung.wait_for(1);
        hung.release();
        assert_eq!(client.reply(), (108, 1));
        client.expect_closed();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_closes_connections_also_on_a_hung_disk() {
    let hung = Hung::new(MIB);
    let bench = bench(Arc::clone(&hung) as _);
    let mut client = Client::connect(&bench, false);
    client.send(&request(READ, 0, 1, 0, 512));
    hung.wait_for(1);
    bench.server.stop().await;
    assert!(!bench.socket.exists());
    client.expect_closed();
    hung.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_path_that_cannot_be_had_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let server = || {
        let info = ExportInfo {
            name: "disk".into(),
            description: String::new(),
        };
        NbdServer::new(Handle::current(), info, Queued::new(MIB, 512))
    };
    let long = directory.path().join("x".repeat(120));
    let error = server().listen_unix(&long).unwrap_err();
    assert!(
        matches!(error, NbdServerError::PathTooLong { .. }),
        "{error}"
    );
    let file = directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(
        server().listen_unix(&file),
        Err(NbdServerError::InUse(_))
    ));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    let taken = directory.path().join("taken");
    let mut first = server();
    first.listen_unix(&taken).unwrap();
    assert!(matches!(
        server().listen_unix(&taken),
        Err(NbdServerError::InUse(_))
    ));
    // One that nobody listens on any more is replaced.
    let stale = directory.path().join("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    server().listen_unix(&stale).unwrap();
}
