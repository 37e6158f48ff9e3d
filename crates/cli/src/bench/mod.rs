//! `hawser bench`: measures a disk straight over iSCSI, on one thread, without the daemon.

mod histogram;
mod load;
mod places;
mod report;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hawser_api::v1::ListDisksRequest;
use hawser_api::{Failure, Status};
use hawser_block::{BlockDevice, BlockError};
use hawser_engine::{
    BusyPolling, ChapCredentials, ConnectFailure, DigestPolicy, Hold, Isid, LoginErrorKind,
    LoginFailure, LoginFailureKind, LoginOptions, Lun, Secret, Session, SessionEvent,
    SessionEvents, SessionOptions, SessionView,
};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use self::load::{Counted, Load};
pub(crate) use self::places::fill;
use self::places::{Mix, Places};
use self::report::Report;
use crate::args::{BenchArgs, ChapArgs, DigestChoice};
use crate::commands::Daemon;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::progress::{self, Spinner};
use crate::secret::{self, CHAP_VARIABLE};

/// How long a lost connection may take to come back before the measurement is given up.
const HOLD: Duration = Duration::from_secs(5);

/// How long the last accesses may take to end, and how long the logout.
const END_LIMIT: Duration = Duration::from_secs(30);

/// `hawser bench`.
///
/// # Errors
/// The login failed, the disk cannot be measured so, or an access failed.
pub(crate) async fn run(daemon: &Daemon, args: BenchArgs) -> Result<(), CliError> {
    let options: Vec<SessionOptions> = (0..args.sessions)
        .map(|_| session_options(&args))
        .collect::<Result<_, _>>()?;
    if args.rw.writes() {
        refuse_if_in_use(daemon, &args).await?;
    }
    let sessions: Vec<Session> = options.into_iter().map(Session::open).collect();
    let measured = measure_in(&sessions, &args).await;
    // A target that hangs now cannot change what was measured.
    let logouts = async {
        for session in &sessions {
            session.logout().await;
        }
    };
    drop(tokio::time::timeout(END_LIMIT, logouts).await);
    let report = measured?;
    output::print(&if args.output.json {
        report.to_json()
    } else {
        report.to_text()
    })
}

async fn measure_in(sessions: &[Session], args: &BenchArgs) -> Result<Report, CliError> {
    let events: Vec<_> = sessions.iter().map(Session::events).collect();
    let mut loads = Vec::with_capacity(sessions.len());
    for ((session, mut events), number) in sessions.iter().zip(events).zip(0..) {
        let lun = open_lun(session, &mut events, args).await?;
        let places = places(&lun, args, number)?;
        let mix = Mix::new(args.rw.reads_in_hundred());
        loads.push(Load::new(Arc::new(lun), args.bs, (places, mix), args.qd));
    }
    warn_of_writes(args);
    measure(&loads, args).await
}

/// The disk, once the session is up with all its connections.
async fn open_lun(
    session: &Session,
    events: &mut SessionEvents,
    args: &BenchArgs,
) -> Result<Lun, CliError> {
    let what = format!("logging in to {}", args.target);
    let up = progress::during(&what, session.established()).await;
    let up = up.map_err(|failure| login_failed(&failure, args))?;
    await_connections(session, &up, events, args).await?;
    session.lun(args.lun).await.map_err(|error| {
        CliError::new(
            Exit::Failed,
            format!("LUN {} cannot be opened: {error}", args.lun),
        )
        .with("target", args.target.to_string())
        .with("portal", args.portal.to_string())
    })
}

/// Waits until the session has as many connections as are to be measured.
async fn await_connections(
    session: &Session,
    up: &SessionView,
    events: &mut SessionEvents,
    args: &BenchArgs,
) -> Result<(), CliError> {
    let refuse = |text: String| {
        let error = CliError::new(Exit::Failed, text);
        Err(error
            .with("target", args.target.to_string())
            .with("portal", args.portal.to_string()))
    };
    let agreed = up.parameters.max_connections;
    if agreed < args.connections {
        return refuse(format!(
            "the target agrees to MaxConnections {agreed} where {} were asked for",
            args.connections
        ));
    }
    let joined = async {
        while session.connections().await.len() < usize::from(args.connections) {
            match events.recv().await {
                Ok(SessionEvent::ConnectionRefused { why, .. }) => return Err(why),
                Ok(SessionEvent::LoginFailed(failure)) => return Err(failure.to_string()),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err("the session was closed".to_owned()),
            }
        }
        Ok(())
    };
    match tokio::time::timeout(END_LIMIT, joined).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => refuse(format!("a connection cannot join the session: {why}")),
        Err(_) => refuse(format!(
            "not all connections joined within {} s",
            END_LIMIT.as_secs()
        )),
    }
}

/// The places that a session accesses, if the disk can be accessed so.
fn places(lun: &Lun, args: &BenchArgs, session: u16) -> Result<Places, CliError> {
    let geometry = lun.geometry();
    let refuse = |text: String| {
        let name = format!("LUN {} of {}", args.lun, args.target);
        Err(CliError::usage(format!("{name}: {text}")))
    };
    if !lun.is_disk() {
        return refuse("it is no disk, or has no medium".to_owned());
    }
    if args.rw.writes() && geometry.read_only {
        return refuse("it is write-protected".to_owned());
    }
    if !args.bs.is_multiple_of(geometry.block_size) {
        return refuse(format!(
            "--bs must be a multiple of {} bytes",
            geometry.block_size
        ));
    }
    match Places::new(geometry.size, args.bs, args.rw.is_random(), session) {
        Some(places) => Ok(places),
        None => refuse(format!("it has only {} bytes", geometry.size)),
    }
}

/// Runs the loads: warm-up, measurement, end.
async fn measure(loads: &[Arc<Load>], args: &BenchArgs) -> Result<Report, CliError> {
    let spinner = Spinner::start("warming up");
    let mut failures = JoinSet::new();
    for load in loads {
        load.start();
        let load = Arc::clone(load);
        failures.spawn(async move { load.failed().await });
    }
    unless_one_fails(&mut failures, args.warm_up, args).await?;
    spinner.say("measuring");
    // The sign of life costs CPU time of its own: it is shown only where a person looks on.
    let (cpu, begun) = (cpu_time()?, Instant::now());
    loads.iter().for_each(|load| load.begin_counting());
    unless_one_fails(&mut failures, args.time, args).await?;
    let mut counted = Counted::default();
    for load in loads {
        counted.add(&load.stop());
    }
    let (elapsed, cpu) = (begun.elapsed(), cpu_time()?.saturating_sub(cpu));
    drop(spinner);
    let drained = async {
        for load in loads {
            load.drained().await;
        }
    };
    let drained = tokio::time::timeout(END_LIMIT, drained).await;
    drained.map_err(|_| {
        let text = format!("accesses did not end within {} s", END_LIMIT.as_secs());
        CliError::new(Exit::TimedOut, text)
    })?;
    Ok(report(args, &counted, elapsed, cpu))
}

/// Waits for so long, or until an access fails.
async fn unless_one_fails(
    failures: &mut JoinSet<BlockError>,
    time: Duration,
    args: &BenchArgs,
) -> Result<(), CliError> {
    tokio::select! {
        biased;
        Some(Ok(error)) = failures.join_next() => {
            let text = format!("an access of {} failed: {error}", args.rw.name());
            Err(CliError::new(Exit::Failed, text)
                .with("target", args.target.to_string())
                .with("portal", args.portal.to_string()))
        }
        () = tokio::time::sleep(time) => Ok(()),
    }
}

fn report(args: &BenchArgs, counted: &Counted, elapsed: Duration, cpu: Duration) -> Report {
    let latencies = &counted.latencies;
    let ios = latencies.total();
    let per_second = ios as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
    Report {
        target: args.target.to_string(),
        portal: args.portal.to_string(),
        lun: args.lun.into(),
        rw: args.rw.name(),
        bs: args.bs,
        qd: args.qd,
        sessions: args.sessions,
        connections: args.connections,
        seconds: elapsed.as_secs_f64(),
        ios,
        reads: counted.reads,
        iops: thousandths(per_second),
        bytes_per_s: thousandths(per_second * f64::from(args.bs)),
        cpu_s: cpu.as_secs_f64(),
        cpu_us_per_io: thousandths(cpu.as_secs_f64() * 1e6 / (ios.max(1) as f64)),
        mean_us: thousandths(latencies.mean_us()),
        p50_us: thousandths(latencies.percentile_us(0.5)),
        p99_us: thousandths(latencies.percentile_us(0.99)),
        p999_us: thousandths(latencies.percentile_us(0.999)),
        max_us: thousandths(latencies.longest_us()),
    }
}

/// Rounded to three places: more would only pretend to be exact.
fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// CPU time of this process so far, user and system.
fn cpu_time() -> Result<Duration, CliError> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)
        .map_err(|error| CliError::io("the CPU time cannot be read", &error.into()))?;
    let part = |time: nix::sys::time::TimeVal| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    Ok(part(usage.user_time()) + part(usage.system_time()))
}

fn session_options(args: &BenchArgs) -> Result<SessionOptions, CliError> {
    let mut login = LoginOptions::new(args.initiator.clone());
    login.header_digest = digest(args.digests.header_digest);
    login.data_digest = digest(args.digests.data_digest);
    login.chap = chap(&args.chap, args)?;
    login.error_recovery_level = args.error_recovery_level;
    let mut random = [0; 5];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::new(Exit::Failed, format!("no random bytes: {error}")))?;
    let (target, portal) = (args.target.clone(), args.portal.clone());
    let mut options = SessionOptions::new(login, target, portal, Isid::from_random(random));
    options.hold = Hold::For(HOLD);
    options.queue_depth = args.qd;
    options.connections = args.connections;
    if let Some(limit) = args.busy_poll {
        options.busy_polling = BusyPolling::For(Duration::from_micros(limit));
    }
    Ok(options)
}

fn digest(choice: Option<DigestChoice>) -> DigestPolicy {
    match choice {
        None | Some(DigestChoice::None) => DigestPolicy::None,
        Some(DigestChoice::Crc32c) => DigestPolicy::Crc32c,
        Some(DigestChoice::PreferCrc32c) => DigestPolicy::PreferCrc32c,
    }
}

fn chap(chap: &ChapArgs, args: &BenchArgs) -> Result<Option<ChapCredentials>, CliError> {
    let found = secret::find(chap.chap_secret_file.as_ref(), CHAP_VARIABLE)?;
    let Some(found) = found else {
        if chap.chap_user.is_none() {
            return Ok(None);
        }
        let advice = format!("give --chap-secret-file FILE (- for stdin), or set {CHAP_VARIABLE}");
        return Err(CliError::usage("--chap-user without a secret").advice(advice));
    };
    let user = chap
        .chap_user
        .clone()
        .unwrap_or_else(|| args.initiator.to_string());
    Ok(Some(ChapCredentials::one_way(
        user,
        Secret::new(found.to_vec()),
    )))
}

/// A failed login as the daemon would tell it.
fn login_failed(failure: &LoginFailure, args: &BenchArgs) -> CliError {
    let status = match &failure.kind {
        LoginFailureKind::Connect(ConnectFailure::Resolve(_)) => Status::DNS_NAME_UNRESOLVED,
        LoginFailureKind::Connect(_) | LoginFailureKind::Silent { .. } => Status::CONNECTION_FAILED,
        LoginFailureKind::Login(error) => match &error.kind {
            LoginErrorKind::Refused { status, .. } => {
                Status::from_login_status(status.class, status.detail)
            }
            LoginErrorKind::Authentication(_) => Status::AUTHENTICATION_FAILURE,
            LoginErrorKind::Config(_) => Status::LOGIN_USER_INFO_BAD,
            _ => Status::LOGIN_FAILED,
        },
        _ => Status::LOGIN_FAILED,
    };
    Failure::new(status, failure.to_string())
        .with_target(args.target.to_string())
        .with_portal(&args.portal)
        .with_peer_said(failure.kind.to_string())
        .into()
}

/// A disk that the daemon shows and somebody uses must not be written to behind their back. Without a
/// daemon nobody can be asked.
async fn refuse_if_in_use(daemon: &Daemon, args: &BenchArgs) -> Result<(), CliError> {
    let Ok(client) = daemon.client().await else {
        return Ok(());
    };
    let request = ListDisksRequest {
        target_name: args.target.to_string(),
        ..ListDisksRequest::default()
    };
    let Ok(answer) = client.volumes().list_disks(request).await else {
        return Ok(());
    };
    let disks = answer.into_inner().disks;
    let users: Vec<String> = disks
        .into_iter()
        .filter(|disk| disk.lun == args.lun.as_u64())
        .flat_map(|disk| disk.holders.into_iter().chain(disk.bound_paths))
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    let text = format!(
        "LUN {} of {} is in use: writes would destroy it",
        args.lun, args.target
    );
    Err(CliError::new(Exit::InUse, text).with("used by", users.join(" ")))
}

/// Tells a person that writes destroy. Scripts are taken to know.
fn warn_of_writes(args: &BenchArgs) {
    if args.rw.writes() && io::stderr().is_terminal() {
        let name = format!("LUN {} of {}", args.lun, args.target);
        output::note(&format!("warning: this overwrites what is on {name}"));
    }
}
