//! Asks a portal which targets it has (SendTargets, RFC 7143 Appendix C).

use std::time::Duration;

use hawser_proto::discovery::{Ask, Discovered, SendTargets};
pub use hawser_proto::discovery::{DiscoveredTarget, DiscoveryError};
use hawser_proto::login::{DigestChoice, LoginConfig, Offers};
use hawser_proto::names::{Isid, Portal, TargetAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::connect::farewell;
use crate::error::{ConnectFailure, LoginFailure, LoginFailureKind};
use crate::login::{Attempt, LoggedInStream, allows_md5, log_in, with_options};
use crate::options::LoginOptions;

/// Bytes read at once.
const READ_SIZE: usize = 64 * 1024;

/// Asks `portal` for its targets: a discovery session, SendTargets=All, logout. Each connection, and
/// the exchange on it, has `limit`.
///
/// Digests are not offered (some targets agree to them in discovery and then fail); CHAP is, as
/// `options` say. A target without an address is at the portal that was asked.
///
/// # Errors
/// The portal cannot be reached, refuses the login, or gives an answer that cannot be used.
pub async fn send_targets(
    options: &LoginOptions,
    portal: &Portal,
    limit: Duration,
) -> Result<Vec<DiscoveredTarget>, LoginFailure> {
    let fail = |kind: LoginFailureKind| LoginFailure {
        target: None,
        portal: Some(portal.clone()),
        kind,
    };
    let mut random = [0; 5];
    getrandom::fill(&mut random)
        .map_err(|error| fail(ConnectFailure::Lost(error.to_string()).into()))?;
    let config = LoginConfig::discovery(options.initiator_name.clone(), Isid::from_random(random));
    let mut config = with_options(config, options);
    config.offers = Offers {
        header_digest: vec![DigestChoice::None],
        data_digest: vec![DigestChoice::None],
        ..config.offers
    };
    let attempt = Attempt {
        portal: portal.clone(),
        source: options.source,
        allow_md5: allows_md5(options),
        limit,
    };
    let connection = log_in(config, attempt).await?;
    let mut exchange = SendTargets::new(&connection.login, &Ask::All);
    let discovered = match timeout(limit, ask(&mut exchange, connection)).await {
        Ok(answer) => answer.map_err(fail)?,
        // A target that only leaves the logout without an answer has told us all.
        Err(_) => exchange
            .handle_close()
            .map_err(|_| fail(ConnectFailure::TimedOut(limit.as_secs()).into()))?,
    };
    for unusual in &discovered.unusual {
        tracing::warn!(%portal, %unusual, "odd record in the SendTargets answer");
    }
    Ok(discovered
        .targets
        .into_iter()
        .map(|target| with_addresses(target, portal))
        .collect())
}

async fn ask(
    exchange: &mut SendTargets,
    connection: LoggedInStream,
) -> Result<Discovered, LoginFailureKind> {
    let LoggedInStream {
        mut stream,
        mut beyond,
        ..
    } = connection;
    let lost = |error: std::io::Error| ConnectFailure::Lost(error.to_string());
    let mut input = vec![0; READ_SIZE];
    let mut output = Vec::new();
    loop {
        let (_, answer) = exchange.handle_input(&beyond)?;
        if let Some(discovered) = answer {
            tokio::spawn(farewell(stream));
            return Ok(discovered);
        }
        output.clear();
        while exchange.poll_transmit(&mut output) {}
        // A target may close as soon as it has answered: then the answer counts, not the write.
        let written = stream.write_all(&output).await;
        let read = match written {
            Ok(()) => stream.read(&mut input).await.map_err(lost),
            Err(error) => Err(lost(error)),
        };
        match read {
            Ok(0) => return Ok(exchange.handle_close()?),
            Ok(read) => {
                beyond.clear();
                beyond.extend_from_slice(input.get(..read).unwrap_or_default());
            }
            Err(error) => return exchange.handle_close().map_err(|_| error.into()),
        }
    }
}

fn with_addresses(mut target: DiscoveredTarget, portal: &Portal) -> DiscoveredTarget {
    let addresses: Vec<TargetAddress> = target.addresses_or(portal);
    target.addresses = addresses;
    target
}
