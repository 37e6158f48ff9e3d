//! Every fault, against a server that sends back what it gets.

use tokio::time::timeout;

use super::*;

/// Long enough on a busy machine; reached only by a failing test.
const LIMIT: Duration = Duration::from_secs(20);
/// Long enough to see that nothing comes.
const SILENCE: Duration = Duration::from_millis(150);

async fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    address
}

async fn proxy() -> FaultyProxy {
    FaultyProxy::start(echo_server().await).await.unwrap()
}

async fn connect(proxy: &FaultyProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Sends `bytes` and reads as many back, or until the connection ends or is silent for `silence`.
async fn exchange_within(
    silence: Duration,
    stream: &mut TcpStream,
    bytes: &[u8],
) -> (Vec<u8>, io::Result<()>) {
    stream.write_all(bytes).await.unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    while got.len() < bytes.len() {
        match timeout(silence, stream.read(&mut buffer)).await {
            Err(_) => return (got, Err(io::ErrorKind::TimedOut.into())),
            Ok(Ok(0)) => return (got, Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(n)) => got.extend_from_slice(&buffer[..n]),
            Ok(Err(error)) => return (got, Err(error)),
        }
    }
    (got, Ok(()))
}

async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> (Vec<u8>, io::Result<()>) {
    exchange_within(LIMIT, stream, bytes).await
}

#[tokio::test]
async fn without_faults_bytes_and_the_end_pass_both_ways() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let data: Vec<u8> = (0..100_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let (mut read, mut write) = stream.split();
    let send = async {
        write.write_all(&data).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let receive = read.read_to_end(&mut got);
    let (_, received) = timeout(LIMIT, async { tokio::join!(send, receive) })
        .await
        .unwrap();
    received.unwrap();
    assert_eq!(got, data);
    assert_eq!(proxy.passed(0, Direction::ToServer), 100_000);
    assert_eq!(proxy.passed(0, Direction::ToClient), 100_000);
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_cut_lets_the_bytes_before_it_through_and_resets() {
    let proxy = proxy().await;
    proxy.plan(0, Direction::ToServer, Fault::CutAt { at: 5 });
    let mut stream = connect(&proxy).await;
    let (_, end) = exchange(&mut stream, b"0123456789").await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(proxy.passed(0, Direction::ToServer), 5);
    let (got, end) = exchange(&mut connect(&proxy).await, b"next").await;
    end.unwrap();
    assert_eq!(got, b"next");
}

#[tokio::test]
async fn a_stall_keeps_the_connection_and_passes_nothing_more() {
    let proxy = proxy().await;
    proxy.plan(0, Direction::ToClient, Fault::StallAt { at: 3 });
    let mut stream = connect(&proxy).await;
    let (got, end) = exchange_within(SILENCE, &mut stream, b"0123456789").await;
    assert_eq!(got, b"012");
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn one_byte_is_corrupted_wherever_the_chunks_fall() {
    let proxy = proxy().await;
    let fault = Fault::CorruptAt { at: 6, mask: 0x80 };
    proxy.plan(0, Direction::ToServer, fault);
    let mut stream = connect(&proxy).await;
    let (first, _) = exchange(&mut stream, b"01234").await;
    let (second, _) = exchange(&mut stream, b"56789").await;
    assert_eq!(first, b"01234");
    assert_eq!(second, [b'5', b'6' ^ 0x80, b'7', b'8', b'9']);
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_bytes_back() {
    let proxy = proxy().await;
    let by = Duration::from_secs(3);
    proxy.plan(0, Direction::ToClient, Fault::Delay { from: 1, by });
    let mut stream = connect(&proxy).await;
    for is_late in [false, true] {
        let start = tokio::time::Instant::now();
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        assert_eq!(start.elapsed() >= by, is_late);
    }
}

#[tokio::test]
async fn commands_cut_stall_and_refuse() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, b"a").await.1.unwrap();
    proxy.stall(Direction::ToServer, true);
    let (got, _) = exchange_within(SILENCE, &mut stream, b"b").await;
    assert!(got.is_empty());
    proxy.stall(Direction::ToServer, false);
    timeout(LIMIT, stream.read_exact(&mut [0]))
        .await
        .unwrap()
        .unwrap();
    proxy.cut_all();
    let end = timeout(LIMIT, stream.read(&mut [0])).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    proxy.refuse(true);
    let mut refused = connect(&proxy).await;
    let end = timeout(LIMIT, refused.read(&mut [0])).await.unwrap();
    assert!(!matches!(end, Ok(1..)));
    proxy.refuse(false);
    exchange(&mut connect(&proxy).await, b"c").await.1.unwrap();
}

#[tokio::test]
async fn a_server_that_is_gone_looks_like_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let proxy = FaultyProxy::start(nobody).await.unwrap();
    let mut stream = connect(&proxy).await;
    let end = timeout(LIMIT, stream.read(&mut [0])).await.unwrap();
    assert!(!matches!(end, Ok(1..)));
}

#[tokio::test]
async fn dropping_the_proxy_cuts_everything() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    exchange(&mut stream, b"a").await.1.unwrap();
    let address = proxy.address();
    drop(proxy);
    let end = timeout(LIMIT, stream.read(&mut [0])).await.unwrap();
    assert!(!matches!(end, Ok(1..)));
    let again = timeout(LIMIT, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    again.await.unwrap();
}
