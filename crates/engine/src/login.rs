//! Carries a login out: connect, negotiate, follow redirects, once more with MD5 alone.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hawser_proto::chap::{ChallengeLedger, SecretPolicy};
use hawser_proto::login::{
    ChapConfig, DigestChoice, LOGIN_RANDOM_BYTES, LoggedIn, Login, LoginConfig, LoginError,
    LoginOutcome, MutualChap, Offers, TaskReporting,
};
use hawser_proto::names::{IscsiName, Portal};
use hawser_proto::parameters::Parameters;
use hawser_proto::session::{Established, Joining, LoginRole, MAX_CONNECTIONS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connect::connect;
use crate::discovery::log_out;
use crate::error::{ConnectFailure, LoginFailure, LoginFailureKind};
use crate::options::{
    ChapCredentials, ConnectionOptions, DigestPolicy, LoginOptions, SessionOptions,
};
use crate::quirks::{is_lio, keeps_to, spare_lio};

/// Redirects followed in one attempt: a group address leads to a member, which may lead on once;
/// more is a loop.
const MAX_REDIRECTS: u32 = 4;

/// The highest error recovery level there is (RFC 7143 §7.1.5).
const HIGHEST_LEVEL: u8 = 2;

/// Bytes read at once during a login; its PDUs hold at most 8192 bytes of text.
const READ_SIZE: usize = 16 * 1024;

/// The challenges that all logins of this process have out (RFC 7143 §9.2.1): a target that sends
/// one of them back, on whatever connection, is refused.
static OUTSTANDING: Mutex<Option<ChallengeLedger>> = Mutex::new(None);

/// A connection in the full feature phase.
pub(crate) struct LoggedInStream {
    pub(crate) stream: TcpStream,
    /// What was agreed on.
    pub(crate) login: Box<LoggedIn>,
    /// The portal that was asked for; a redirect may have led elsewhere.
    pub(crate) portal: Portal,
    /// MD5 alone was offered, after the list of algorithms had failed.
    pub(crate) md5_fallback: bool,
    /// Where the target says it lives from now on.
    pub(crate) moved_permanently: Option<Portal>,
    /// Bytes of the full feature phase that were read with the last login PDU.
    pub(crate) beyond: Vec<u8>,
}

/// Makes the connections of a session: remembers what worked.
pub(crate) struct Dialer {
    target: IscsiName,
    config: LoginConfig,
    portals: Vec<Portal>,
    /// The one of them that only a permanent redirect has named.
    learned: Option<Portal>,
    source: Option<IpAddr>,
    allow_md5: bool,
    limit: Duration,
    /// The level to offer.
    level: u8,
    /// It was asked for, whatever is known of the target.
    level_is_pinned: bool,
    /// The target is to be spared what it does not survive.
    is_lio: bool,
    /// What further connections join.
    joined: Option<Parameters>,
    /// Portals at which the target takes no further connection into the session: of another group.
    foreign: Vec<Portal>,
    /// What is different for the further connections, by their CID.
    further: BTreeMap<u16, ConnectionOptions>,
}

/// A login under way.
pub(crate) type Dialing =
    Pin<Box<dyn Future<Output = Result<LoggedInStream, LoginFailure>> + Send>>;

impl Dialer {
    pub(crate) fn new(options: &SessionOptions) -> Self {
        let name = options.login.initiator_name.clone();
        let config = LoginConfig::normal(name, options.target.clone(), options.isid);
        let mut config = with_options(config, &options.login);
        let wanted = options.connections.min(MAX_CONNECTIONS);
        config.offers.max_connections = config.offers.max_connections.max(wanted);
        Self {
            target: options.target.clone(),
            level: config.offers.error_recovery_level,
            level_is_pinned: options.login.error_recovery_level.is_some(),
            is_lio: false,
            joined: None,
            foreign: Vec::new(),
            further: BTreeMap::new(),
            config,
            portals: options.portals.clone(),
            learned: None,
            source: options.login.source,
            allow_md5: allows_md5(&options.login),
            limit: options.timeouts.login,
        }
    }

    /// One attempt at what `role` says, as connection `cid`: the portals in turn, one for each failure.
    /// `trusted` is the highest error recovery level that is still worth offering.
    pub(crate) fn dial(&self, cid: u16, role: LoginRole, failures: u32, trusted: u8) -> Dialing {
        let mut config = self.config.clone();
        config.cid = cid;
        let portal = match role {
            LoginRole::Leading => {
                offer_level(&mut config.offers, self.level.min(trusted));
                if self.is_lio {
                    spare_lio(&mut config.offers, self.level_is_pinned);
                }
                turn(self.portals.iter(), failures as usize)
            }
            // Each further connection by another path, as far as there are any.
            LoginRole::Additional(joining) => {
                self.join(&mut config, joining);
                turn(self.group(), usize::from(cid) + failures as usize)
            }
            LoginRole::Reinstating(joining) => {
                self.join(&mut config, joining);
                turn(self.group(), failures as usize)
            }
        };
        let (mut source, mut allow_md5) = (self.source, self.allow_md5);
        let own = self.further.get(&cid);
        if let Some(own) = own {
            source = own.source.or(source);
            if let Some(chap) = &own.chap {
                allow_md5 = chap.as_ref().is_some_and(|chap| chap.allow_md5);
                config.md5_only = false;
            }
            take_own(&mut config, own);
        }
        let portal = own.and_then(|own| own.portal.as_ref()).or(portal);
        let Some(portal) = portal.cloned() else {
            let failure = LoginFailure::closed(&self.target);
            return Box::pin(async { Err(failure) });
        };
        let attempt = Attempt {
            portal,
            source,
            allow_md5,
            limit: self.limit,
        };
        match role {
            LoginRole::Leading => Box::pin(lead(config, attempt, self.level_is_pinned)),
            LoginRole::Additional(_) | LoginRole::Reinstating(_) => {
                Box::pin(log_in(config, attempt))
            }
        }
    }

    /// What is different for the connection `cid`, for as long as the session wants it.
    pub(crate) fn set_further(&mut self, cid: u16, options: ConnectionOptions) {
        self.further.insert(cid, options);
    }

    /// The connection is not wanted any more.
    pub(crate) fn forget_further(&mut self, cid: u16) {
        self.further.remove(&cid);
    }

    fn join(&self, config: &mut LoginConfig, joining: Joining) {
        config.tsih = joining.tsih;
        config.cmd_sn = joining.cmd_sn;
        config.exp_stat_sn = joining.exp_stat_sn;
        config.joined.clone_from(&self.joined);
    }

    /// The portals at which further connections of the session are tried.
    fn group(&self) -> impl Iterator<Item = &Portal> + Clone {
        let is_ours = |portal: &&Portal| !self.foreign.contains(portal);
        self.portals.iter().filter(is_ours)
    }

    /// The target takes no further connection at this portal; `false` when it is the one of the session
    /// itself, so that no other will do either.
    pub(crate) fn is_foreign(&mut self, portal: Option<&Portal>) -> bool {
        match portal {
            Some(portal) if self.portals.first() != Some(portal) => {
                self.foreign.push(portal.clone());
                true
            }
            _ => false,
        }
    }

    /// Begins with this portal next time, and adopts what the leading login taught.
    pub(crate) fn remember(&mut self, login: &LoggedInStream) {
        self.foreign.clear();
        // The further connections of a session that is made again have the CIDs from 1 on.
        let further = std::mem::take(&mut self.further);
        self.further = (1..).zip(further.into_values()).collect();
        self.joined = Some(login.login.parameters.clone());
        self.config.expected_tpgt = login.login.tpgt;
        self.config.md5_only = login.md5_fallback;
        self.is_lio = is_lio(&self.target, &login.login);
        if let Some(moved) = &login.moved_permanently {
            self.learn(moved);
        } else if let Some(at) = self.portals.iter().position(|p| *p == login.portal) {
            self.portals.rotate_left(at);
        }
    }

    /// Begins with the portal that the target has moved to. It takes the place of one that was named
    /// so before: a target that moves for ever must not fill the list.
    fn learn(&mut self, moved: &Portal) {
        if let Some(earlier) = self.learned.take() {
            self.portals.retain(|portal| *portal != earlier);
        }
        if let Some(at) = self.portals.iter().position(|portal| portal == moved) {
            self.portals.rotate_left(at);
        } else {
            self.portals.insert(0, moved.clone());
            self.learned = Some(moved.clone());
        }
    }
}

/// The next of several portals.
fn turn<'a>(portals: impl Iterator<Item = &'a Portal> + Clone, at: usize) -> Option<&'a Portal> {
    let count = portals.clone().count().max(1);
    portals.into_iter().nth(at % count)
}

/// Offers a level, and what goes with it: above 0, sequences in order allow one R2T at a time
/// (RFC 7143 §13.19), so any order is offered.
fn offer_level(offers: &mut Offers, level: u8) {
    offers.error_recovery_level = level;
    offers.data_sequence_in_order = level == 0;
}

/// The offers and credentials of `options` in a login's configuration.
pub(crate) fn with_options(mut config: LoginConfig, options: &LoginOptions) -> LoginConfig {
    config.initiator_alias.clone_from(&options.initiator_alias);
    config.offers = Offers {
        header_digest: digests(options.header_digest),
        data_digest: digests(options.data_digest),
        initial_r2t: options.initial_r2t,
        immediate_data: options.immediate_data,
        max_recv_data_segment: options.max_recv_data_segment,
        max_burst: options.max_burst,
        first_burst: options.first_burst,
        time2wait: options.time2wait,
        time2retain: options.time2retain,
        max_outstanding_r2t: options.max_outstanding_r2t,
        max_connections: options.max_connections,
        protocol_level: options.protocol_level,
        task_reporting: task_reporting(options.fast_abort),
        ..Offers::default()
    };
    let level = options.error_recovery_level.unwrap_or(HIGHEST_LEVEL);
    offer_level(&mut config.offers, level);
    config.chap = options.chap.as_ref().map(credentials);
    config
}

fn task_reporting(fast_abort: bool) -> Vec<TaskReporting> {
    match fast_abort {
        true => vec![
            TaskReporting::FastAbort,
            TaskReporting::ResponseFence,
            TaskReporting::Rfc3720,
        ],
        false => Vec::new(),
    }
}

/// What is different for one further connection, in its login's configuration.
fn take_own(config: &mut LoginConfig, own: &ConnectionOptions) {
    let offers = &mut config.offers;
    if let Some(policy) = own.header_digest {
        offers.header_digest = digests(policy);
    }
    if let Some(policy) = own.data_digest {
        offers.data_digest = digests(policy);
    }
    if let Some(chap) = &own.chap {
        config.chap = chap.as_ref().map(credentials);
    }
}

fn credentials(chap: &ChapCredentials) -> ChapConfig {
    let mut config = ChapConfig::one_way(chap.user.clone(), chap.secret.clone());
    config.mutual = chap.mutual.as_ref().map(|(name, secret)| MutualChap {
        expected_name: name.clone(),
        secret: secret.clone(),
    });
    if chap.allow_short_secrets {
        config.policy = SecretPolicy { minimum: 1 };
    }
    config
}

pub(crate) fn allows_md5(options: &LoginOptions) -> bool {
    options.chap.as_ref().is_some_and(|chap| chap.allow_md5)
}

fn digests(policy: DigestPolicy) -> Vec<DigestChoice> {
    match policy {
        DigestPolicy::None => vec![DigestChoice::None],
        DigestPolicy::PreferNone => vec![DigestChoice::None, DigestChoice::Crc32c],
        DigestPolicy::PreferCrc32c => vec![DigestChoice::Crc32c, DigestChoice::None],
        DigestPolicy::Crc32c => vec![DigestChoice::Crc32c],
    }
}

/// Where and how a login is tried.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) portal: Portal,
    /// The address of this machine to connect from, if one was chosen.
    pub(crate) source: Option<IpAddr>,
    /// Try MD5 alone where the target cannot take the list of algorithms.
    pub(crate) allow_md5: bool,
    /// For connection and login together, at each address that a redirect leads to.
    pub(crate) limit: Duration,
}

/// A leading login. Where the target turns out to break on what it has agreed to, it is logged out of, before there
/// is a command, and another login offers what it survives.
async fn lead(
    mut config: LoginConfig,
    attempt: Attempt,
    level_is_pinned: bool,
) -> Result<LoggedInStream, LoginFailure> {
    let first = log_in(config.clone(), attempt.clone()).await?;
    let target = config.target_name.as_ref();
    if !target.is_some_and(|target| is_lio(target, &first.login)) {
        return Ok(first);
    }
    spare_lio(&mut config.offers, level_is_pinned);
    if keeps_to(&first.login.parameters, &config.offers) {
        return Ok(first);
    }
    tracing::info!(portal = %attempt.portal,
        "the target does not survive what it agrees to: logged in to once more with less");
    log_out(first, attempt.limit).await;
    log_in(config, attempt).await
}

/// Logs in as `attempt` says, and follows redirects: at most one attempt more than [`MAX_REDIRECTS`].
pub(crate) async fn log_in(
    mut config: LoginConfig,
    attempt: Attempt,
) -> Result<LoggedInStream, LoginFailure> {
    let Attempt {
        portal,
        source,
        allow_md5,
        limit,
    } = attempt;
    let mut at = portal.clone();
    // What a temporary redirect leads to is no new address of the target, whatever is said there.
    let mut for_good = true;
    let mut moved_permanently = None;
    let mut last_was_permanent = false;
    for _ in 0..=MAX_REDIRECTS {
        match log_in_once(&config, &at, source, limit).await {
            Ok((stream, beyond, LoginOutcome::FullFeature(logged_in))) => {
                let md5_fallback = config.md5_only;
                return Ok(LoggedInStream {
                    stream,
                    login: logged_in,
                    portal,
                    md5_fallback,
                    moved_permanently,
                    beyond,
                });
            }
            Ok((_, _, LoginOutcome::Redirect { address, permanent })) => {
                tracing::info!(from = %at, to = %address, permanent, "login redirected");
                at = address.portal;
                last_was_permanent = permanent;
                for_good &= permanent;
                if for_good {
                    moved_permanently = Some(at.clone());
                }
            }
            Err(LoginFailureKind::Login(error))
                if allow_md5 && !config.md5_only && error.wants_md5_only_retry() =>
            {
                tracing::warn!(portal = %at, %error,
                    "the target does not take the list of CHAP algorithms: MD5 alone");
                config.md5_only = true;
            }
            Err(kind) => return Err(LoginFailure::new(&config, at, kind)),
        }
    }
    let kind = LoginFailureKind::TooManyRedirects {
        limit: MAX_REDIRECTS,
        permanent: last_was_permanent,
    };
    Err(LoginFailure::new(&config, at, kind))
}

async fn log_in_once(
    config: &LoginConfig,
    portal: &Portal,
    source: Option<IpAddr>,
    limit: Duration,
) -> Result<(TcpStream, Vec<u8>, LoginOutcome), LoginFailureKind> {
    let mut random = [0; LOGIN_RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| ConnectFailure::Lost(error.to_string()))?;
    let mut login = Login::new(config.clone(), &random)?;
    let _outstanding = Outstanding::enter(&login);
    let mut connected = false;
    let attempt = async {
        let mut stream = connect(portal, source, limit).await?;
        connected = true;
        let (beyond, outcome) = exchange(&mut login, &mut stream).await?;
        Ok((stream, beyond, outcome))
    };
    let ended = timeout(limit, attempt).await;
    let (seconds, waiting) = (limit.as_secs(), login.waiting());
    ended.unwrap_or(Err(if connected {
        LoginFailureKind::Silent { seconds, waiting }
    } else {
        ConnectFailure::TimedOut(seconds).into()
    }))
}

/// Sends and receives until the login has an outcome; also gives what was read beyond it.
async fn exchange(
    login: &mut Login,
    stream: &mut TcpStream,
) -> Result<(Vec<u8>, LoginOutcome), LoginFailureKind> {
    let mut input = vec![0; READ_SIZE];
    let mut output = Vec::new();
    loop {
        output.clear();
        while login.poll_transmit(&mut output) {}
        let written = stream.write_all(&output).await;
        let read = match written {
            Ok(()) => stream.read(&mut input).await,
            Err(error) => Err(error),
        };
        let read = match read {
            // A target that resets the connection has refused as much as one that closes it.
            Ok(0) => return Err(login.handle_close().into()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return Err(login.handle_close().into());
            }
            Err(error) => return Err(ConnectFailure::Lost(error.to_string()).into()),
            Ok(read) => read,
        };
        let bytes = input.get(..read).unwrap_or_default();
        // Logins that began since then have challenges out too.
        login.refuse_challenges(&outstanding());
        if let (used, Some(outcome)) = login.handle_input(bytes)? {
            return Ok((bytes.get(used..).unwrap_or_default().to_vec(), outcome));
        }
    }
}

/// The challenges that are out now.
fn outstanding() -> ChallengeLedger {
    let ledger = OUTSTANDING.lock().unwrap_or_else(PoisonError::into_inner);
    ledger.clone().unwrap_or_default()
}

/// Keeps a login's own challenge in the ledger of the process for as long as it is out.
struct Outstanding(Vec<u8>);

impl Outstanding {
    fn enter(login: &Login) -> Self {
        let own = login.own_challenge().to_vec();
        let mut ledger = OUTSTANDING.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.get_or_insert_with(ChallengeLedger::new).insert(&own);
        Self(own)
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        let mut ledger = OUTSTANDING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = ledger.as_mut() {
            ledger.remove(&self.0);
        }
    }
}

impl LoggedInStream {
    /// What the session core needs to know.
    pub(crate) fn established(&self) -> Established {
        let login = &self.login;
        Established {
            cid: login.cid,
            tsih: login.tsih,
            tpgt: login.tpgt,
            parameters: login.parameters.clone(),
            cmd_sn: login.cmd_sn,
            exp_cmd_sn: login.exp_cmd_sn,
            max_cmd_sn: login.max_cmd_sn,
            exp_stat_sn: login.exp_stat_sn,
        }
    }
}

impl LoginFailure {
    fn new(config: &LoginConfig, portal: Portal, kind: LoginFailureKind) -> Self {
        Self {
            target: config.target_name.clone(),
            portal: Some(portal),
            kind,
        }
    }

    /// The session was closed before it was ever up.
    pub(crate) fn closed(target: &IscsiName) -> Self {
        let kind = ConnectFailure::Lost("the session was closed".to_owned()).into();
        Self {
            target: Some(target.clone()),
            portal: None,
            kind,
        }
    }
}

impl From<LoginError> for LoginFailureKind {
    fn from(error: LoginError) -> Self {
        Self::Login(Box::new(error))
    }
}
