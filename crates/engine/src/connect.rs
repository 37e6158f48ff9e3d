//! A TCP connection to a portal.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hawser_proto::names::Portal;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::error::ConnectFailure;
use crate::source::{no_address, open, reaches};

/// How long a target may take to close a connection after its Logout Response. It has nothing else to
/// do then; one that does not is left.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);

/// Bytes read at once while waiting for the end; there should be none.
const FAREWELL_READ: usize = 512;

/// Waits until the target has closed a connection whose logout it has answered, then closes it
/// (RFC 7143 §11.14: the initiator closes after an attempt to receive the FIN).
pub(crate) async fn farewell(stream: TcpStream) {
    farewell_within(stream, FAREWELL_LIMIT).await;
}

async fn farewell_within(mut stream: TcpStream, limit: Duration) {
    let mut waste = [0; FAREWELL_READ];
    let end = async { while stream.read(&mut waste).await.is_ok_and(|read| read > 0) {} };
    // Too late or not: the connection is closed when `stream` is dropped.
    let _ = timeout(limit, end).await;
}

/// Connects to the first address of `portal` that answers, from `source` if one was chosen. The caller
/// has `limit` for this and the login behind it: of several addresses each has a share, so that one
/// that is silent does not hide the others.
///
/// Small PDUs leave at once (no Nagle): a batch is one write already.
pub(crate) async fn connect(
    portal: &Portal,
    source: Option<IpAddr>,
    limit: Duration,
) -> Result<TcpStream, ConnectFailure> {
    let resolve = |error: std::io::Error| ConnectFailure::Resolve(error.to_string());
    let addresses = lookup_host((portal.host(), portal.port()))
        .await
        .map_err(resolve)?;
    let addresses: Vec<SocketAddr> = addresses
        .filter(|address| reaches(source, address))
        .collect();
    let share = share_of(limit, addresses.len());
    let mut last = no_address(source);
    for address in addresses {
        let failed = |error: std::io::Error| ConnectFailure::Connect(error.to_string());
        last = match timeout(share, open(address, source)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Ok(Err(failure)) => failure,
            Err(_) => ConnectFailure::TimedOut(share.as_secs()),
        };
    }
    Err(last)
}

/// The share of `limit` for each of `count` addresses; one is for the login.
fn share_of(limit: Duration, count: usize) -> Duration {
    match u32::try_from(count) {
        Ok(0 | 1) => limit,
        count => limit / count.unwrap_or(u32::MAX).saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Poll;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(ours, listener.accept());
        (ours.unwrap(), theirs.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_stays_until_the_target_has_closed_it() {
        let (ours, mut theirs) = pair().await;
        let mut farewell = pin!(farewell(ours));
        let first = std::future::poll_fn(|cx| Poll::Ready(farewell.as_mut().poll(cx))).await;
        assert!(first.is_pending());
        // What it still says does not matter.
        theirs.write_all(b"late").await.unwrap();
        theirs.shutdown().await.unwrap();
        farewell.await;
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }

    #[test]
    fn each_of_several_addresses_has_its_share_and_leaves_one_for_the_login() {
        let limit = Duration::from_secs(12);
        let shares = [0, 1, 2, 3].map(|count| share_of(limit, count).as_secs());
        assert_eq!(shares, [12, 12, 4, 3]);
    }

    #[tokio::test]
    async fn a_target_that_does_not_close_is_left() {
        let (ours, mut theirs) = pair().await;
        farewell_within(ours, Duration::from_millis(20)).await;
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }
}
