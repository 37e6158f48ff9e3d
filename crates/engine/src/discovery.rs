//! Asks a portal which targets it has (SendTargets, RFC 7143 Appendix C).

use std::time::Duration;

use hawser_proto::discovery::{Ask, Discovered, SendTargets};
pub use hawser_proto::discovery::{DiscoveredTarget, DiscoveryError};
use hawser_proto::login::{DigestChoice, LoginConfig, Offers};
use hawser_proto::names::{Isid, Portal, TargetAddress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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
    let connection = connect(options, portal, limit).await?;
    let exchange = SendTargets::new(&connection.login, &Ask::All);
    let mut session = DiscoverySession::on(connection, exchange, portal, limit);
    let discovered = match timeout(limit, session.exchange()).await {
        Ok(answer) => answer,
        // A target that only leaves the logout without an answer has told us all.
        Err(_) => session
            .exchange
            .handle_close()
            .map_err(|_| timed_out(limit)),
    };
    let targets = session.read(discovered)?;
    session.hang_up();
    Ok(targets)
}

/// A discovery session that stays open, to be asked again without another login (RFC 7143 §4.3).
///
/// A target may end it at any time, and asks to be logged out of it when it goes down: the next
/// [`send_targets`](Self::send_targets) fails then, or is the last, and another session is to be opened. One that is
/// dropped without [`close`](Self::close) ends without a logout.
#[derive(Debug)]
pub struct DiscoverySession {
    /// `None` when it is over.
    stream: Option<TcpStream>,
    exchange: SendTargets,
    /// Bytes that were read and not looked at.
    beyond: Vec<u8>,
    portal: Portal,
    limit: Duration,
}

impl DiscoverySession {
    /// Logs in at `portal`, as [`send_targets`] does. The login, each exchange, and the logout have `limit`.
    ///
    /// # Errors
    /// The portal cannot be reached or refuses the login.
    pub async fn open(
        options: &LoginOptions,
        portal: &Portal,
        limit: Duration,
    ) -> Result<Self, LoginFailure> {
        let connection = connect(options, portal, limit).await?;
        let exchange = SendTargets::staying(&connection.login);
        Ok(Self::on(connection, exchange, portal, limit))
    }

    fn on(
        connection: LoggedInStream,
        exchange: SendTargets,
        portal: &Portal,
        limit: Duration,
    ) -> Self {
        Self {
            stream: Some(connection.stream),
            exchange,
            beyond: connection.beyond,
            portal: portal.clone(),
            limit,
        }
    }

    /// The targets that the portal has now. When the future is dropped before its end, the session is of no more use.
    ///
    /// # Errors
    /// The session is over, or the answer cannot be used; then it is over too.
    pub async fn send_targets(&mut self) -> Result<Vec<DiscoveredTarget>, LoginFailure> {
        let asked = self.exchange.ask(&Ask::All);
        let discovered = match timeout(self.limit, self.exchange()).await {
            Ok(answer) if asked => answer,
            Ok(Err(error)) => Err(error),
            // What came was the end of a logout.
            Ok(Ok(_)) => Err(DiscoveryError::Closed.into()),
            Err(_) => Err(timed_out(self.limit)),
        };
        self.read(discovered).inspect_err(|_| self.stream = None)
    }

    /// Logs out. A target that does not answer within the limit is left all the same.
    pub async fn close(mut self) {
        self.leave().await;
        self.hang_up();
    }

    async fn leave(&mut self) {
        if self.exchange.log_out() {
            // Whatever comes of it, the connection ends.
            let _ = timeout(self.limit, self.exchange()).await;
        }
    }

    fn hang_up(self) {
        if let Some(stream) = self.stream {
            tokio::spawn(farewell(stream));
        }
    }

    /// Sends and receives until there is an answer.
    async fn exchange(&mut self) -> Result<Discovered, LoginFailureKind> {
        let lost = |error: std::io::Error| ConnectFailure::Lost(error.to_string());
        let (exchange, beyond) = (&mut self.exchange, &mut self.beyond);
        let Some(stream) = &mut self.stream else {
            return Err(DiscoveryError::Closed.into());
        };
        let mut input = vec![0; READ_SIZE];
        let mut output = Vec::new();
        loop {
            let (used, answer) = exchange.handle_input(beyond)?;
            beyond.drain(..used);
            if let Some(discovered) = answer {
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
                Ok(read) => beyond.extend_from_slice(input.get(..read).unwrap_or_default()),
                Err(error) => return exchange.handle_close().map_err(|_| error.into()),
            }
        }
    }

    /// The targets of an answer, and what was odd in it to the log.
    fn read(
        &self,
        discovered: Result<Discovered, LoginFailureKind>,
    ) -> Result<Vec<DiscoveredTarget>, LoginFailure> {
        let portal = &self.portal;
        let discovered = discovered.map_err(|kind| failure(portal, kind))?;
        for unusual in &discovered.unusual {
            tracing::warn!(%portal, %unusual, "odd record in the SendTargets answer");
        }
        let targets = discovered.targets.into_iter();
        Ok(targets
            .map(|target| with_addresses(target, portal))
            .collect())
    }
}

/// Logs out of a session in which nothing was sent, of whatever type, and waits until it is over.
pub(crate) async fn log_out(connection: LoggedInStream, limit: Duration) {
    let exchange = SendTargets::staying(&connection.login);
    let portal = connection.portal.clone();
    let mut session = DiscoverySession::on(connection, exchange, &portal, limit);
    session.leave().await;
    if let Some(stream) = session.stream {
        farewell(stream).await;
    }
}

async fn connect(
    options: &LoginOptions,
    portal: &Portal,
    limit: Duration,
) -> Result<LoggedInStream, LoginFailure> {
    let mut random = [0; 5];
    getrandom::fill(&mut random)
        .map_err(|error| failure(portal, ConnectFailure::Lost(error.to_string()).into()))?;
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
    log_in(config, attempt).await
}

fn failure(portal: &Portal, kind: LoginFailureKind) -> LoginFailure {
    LoginFailure {
        target: None,
        portal: Some(portal.clone()),
        kind,
    }
}

fn timed_out(limit: Duration) -> LoginFailureKind {
    ConnectFailure::TimedOut(limit.as_secs()).into()
}

fn with_addresses(mut target: DiscoveredTarget, portal: &Portal) -> DiscoveredTarget {
    let addresses: Vec<TargetAddress> = target.addresses_or(portal);
    target.addresses = addresses;
    target
}
