//! A TCP connection to a portal.

use std::time::Duration;

use hawser_proto::names::Portal;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::error::ConnectFailure;

/// Connects to the first address of `portal` that answers, within `limit` in all.
///
/// Small PDUs leave at once (no Nagle): a batch is one write already.
pub(crate) async fn connect(portal: &Portal, limit: Duration) -> Result<TcpStream, ConnectFailure> {
    timeout(limit, connect_any(portal))
        .await
        .unwrap_or(Err(ConnectFailure::TimedOut(limit.as_secs())))
}

async fn connect_any(portal: &Portal) -> Result<TcpStream, ConnectFailure> {
    let resolve = |error: std::io::Error| ConnectFailure::Resolve(error.to_string());
    let addresses = lookup_host((portal.host(), portal.port()))
        .await
        .map_err(resolve)?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let failed = |error: std::io::Error| ConnectFailure::Connect(error.to_string());
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || ConnectFailure::Resolve("the name has no address".to_owned()),
        |error| ConnectFailure::Connect(error.to_string()),
    ))
}
