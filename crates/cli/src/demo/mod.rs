//! `hawser demo`: the main job on a target and a daemon of its own. A volume is bound, the daemon is
//! killed, and the volume comes back with its data. Nothing is left behind, however it ends.

mod leftovers;
mod medium;
mod narration;
mod nbd;
mod process;
mod stage;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hawser_api::Client;
use hawser_api::v1::{
    AddPortalRequest, AuthType, BindRequest, Disk, DiskState, ListDisksRequest, LoginMode,
    LoginOptions, LoginRequest, LogoutRequest, Portal, Secret, UnbindRequest, WaitOutcome,
    WaitRequest, logout_request,
};
use tokio::signal::unix::{SignalKind, signal};

use self::leftovers::Leftovers;
use self::medium::Medium;
use self::narration::Narration;
use self::stage::{CHAP_USER, Stage, TARGET};
use crate::args::DemoArgs;
use crate::bench::fill;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;

/// Bytes that are written and read back.
const PAYLOAD: usize = 4 << 20;

/// How long the disk may take to be ready after the login.
const DISK_LIMIT: Duration = Duration::from_secs(30);

/// How long the bound volume may take to come back.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at something that is awaited.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// `hawser demo`.
///
/// # Errors
/// The step that failed and why; the ends of the logs are told, too.
pub(crate) async fn run(args: DemoArgs) -> Result<(), CliError> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut stage = Stage::set(&args.export)?;
    let mut narration = Narration::begin(&stage)?;
    let told = tokio::select! {
        told = story(&mut stage, &mut narration) => told,
        _ = interrupt.recv() => Err(CliError::new(Exit::Interrupted, "interrupted")),
        _ = terminate.recv() => Err(CliError::new(Exit::Interrupted, "asked to stop")),
    };
    let told = told.map_err(|error| stage.with_logs(error));
    let struck = stage.strike().await;
    told?;
    struck?;
    narration.end()
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, CliError> {
    signal(kind).map_err(|error| CliError::io("cannot listen for signals", &error))
}

/// The demo from the first step to the last.
async fn story(stage: &mut Stage, narration: &mut Narration) -> Result<(), CliError> {
    let (client, disk) = log_in(stage, narration).await?;

    let mount_point = stage.volume();
    let prepared = Medium::prepare(&disk, &mount_point);
    let medium = narration
        .step("make it ready to be written to", prepared)
        .await?;
    narration.result(&medium.to_string())?;

    let path = medium.bind_path(&disk);
    narration
        .step(
            "bind it: from now on it is waited for",
            bind(&client, &path),
        )
        .await?;
    narration.result(&path)?;

    let payload = payload()?;
    narration
        .step("write and flush", medium.write(payload.clone()))
        .await?;
    narration.result(&output::bytes(PAYLOAD as u64))?;

    drop(client);
    let client = crash(stage, narration).await?;

    let back = narration
        .step("read back and compare", medium.read(PAYLOAD))
        .await?;
    if back != payload {
        return Err(CliError::new(
            Exit::Failed,
            "what was read is not what was written",
        ));
    }
    narration.result("every byte is the same")?;

    let ended = take_down(&client, stage, &medium, &path);
    narration
        .step("unbind, log out, stop daemon and target", ended)
        .await?;
    narration.result("nothing is left behind")
}

/// From nothing to a disk of a persistent login.
async fn log_in(stage: &mut Stage, narration: &mut Narration) -> Result<(Client, Disk), CliError> {
    let portal = stage.start_target();
    let portal = narration
        .step("start an iSCSI target that demands CHAP", portal)
        .await?;
    narration.result(&format!("{TARGET} at {portal}"))?;

    let client = narration
        .step("start a private daemon", stage.start_daemon())
        .await?;
    narration.result(&format!("socket {}", stage.socket().display()))?;

    let targets = discover(&client, portal);
    let targets = narration
        .step("ask the portal for its targets", targets)
        .await?;
    narration.result(&targets.join(" "))?;

    let session = login(&client, stage.secret());
    let session = narration
        .step("log in, now and at every start", session)
        .await?;
    narration.result(&format!("session {session}"))?;

    let disk = narration.step("wait for the disk", disk(&client)).await?;
    narration.result(&format!(
        "{}, {}",
        output::bytes(disk.bytes),
        Medium::describe(&disk)
    ))?;
    Ok((client, disk))
}

/// Kills the daemon, starts it again, waits for the bound volume.
async fn crash(stage: &mut Stage, narration: &mut Narration) -> Result<Client, CliError> {
    narration
        .step("kill the daemon with SIGKILL", stage.kill_daemon())
        .await?;
    narration.result(&format!(
        "left behind: {}",
        Leftovers::below(stage.directory())?
    ))?;

    let client = narration
        .step("start it again: it cleans up", stage.start_daemon())
        .await?;
    narration.result("the daemon answers")?;

    let waited = narration
        .step("wait for the bound volume", wait(&client))
        .await?;
    narration.result(&waited)?;
    Ok(client)
}

/// Bytes that no disk holds by chance.
fn payload() -> Result<Vec<u8>, CliError> {
    let seed = getrandom::u64()
        .map_err(|error| CliError::new(Exit::Failed, format!("no random bytes: {error}")))?;
    let mut payload = vec![0; PAYLOAD];
    fill(&mut payload, seed);
    Ok(payload)
}

async fn discover(client: &Client, portal: SocketAddr) -> Result<Vec<String>, CliError> {
    let portal = Portal {
        address: portal.ip().to_string(),
        port: portal.port().into(),
        symbolic_name: String::new(),
    };
    let request = AddPortalRequest {
        portal: Some(portal),
        ..AddPortalRequest::default()
    };
    Ok(client
        .discovery()
        .add_portal(request)
        .await?
        .into_inner()
        .targets)
}

async fn login(client: &Client, secret: &[u8]) -> Result<String, CliError> {
    let mut options = LoginOptions {
        username: Some(CHAP_USER.as_bytes().to_vec()),
        secret: Some(Secret::new(secret)),
        ..LoginOptions::default()
    };
    options.set_auth_type(AuthType::Chap);
    let mut request = LoginRequest {
        target_name: TARGET.to_owned(),
        login_options: Some(options),
        ..LoginRequest::default()
    };
    request.set_mode(LoginMode::NowAndStore);
    let answer = client.sessions().login(request).await?.into_inner();
    Ok(answer
        .session_id
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default())
}

/// The disk, once it is ready.
async fn disk(client: &Client) -> Result<Disk, CliError> {
    let deadline = Instant::now() + DISK_LIMIT;
    loop {
        let request = ListDisksRequest::default();
        let disks = client
            .volumes()
            .list_disks(request)
            .await?
            .into_inner()
            .disks;
        let disk = disks.into_iter().next().unwrap_or_default();
        if disk.state() == DiskState::Ready {
            return Ok(disk);
        }
        if Instant::now() > deadline {
            let why = disk.reason.map(|reason| reason.message).unwrap_or_default();
            let text = format!("the disk was not ready within {} s", DISK_LIMIT.as_secs());
            return Err(CliError::new(Exit::TimedOut, text).with("why", why));
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn bind(client: &Client, path: &str) -> Result<(), CliError> {
    let request = BindRequest {
        path: path.to_owned(),
        ..BindRequest::default()
    };
    client.volumes().bind(request).await?;
    Ok(())
}

/// Waits as `hawser wait` does.
async fn wait(client: &Client) -> Result<String, CliError> {
    let limit = u64::try_from(WAIT_LIMIT.as_millis()).unwrap_or(u64::MAX);
    let request = WaitRequest {
        timeout_ms: Some(limit),
    };
    let mut updates = client.volumes().wait(request).await?.into_inner();
    while let Some(update) = updates.message().await? {
        match update.outcome() {
            WaitOutcome::AllUsable => return Ok(format!("{} of {0} usable", update.total)),
            WaitOutcome::TimedOut => {
                let reasons = crate::commands::missing(&update.missing);
                return Err(CliError::new(
                    Exit::TimedOut,
                    format!("it did not: {reasons}"),
                ));
            }
            WaitOutcome::Pending | WaitOutcome::Unspecified => {}
        }
    }
    Err(CliError::new(
        Exit::Failed,
        "the daemon ended the wait without a word",
    ))
}

async fn take_down(
    client: &Client,
    stage: &mut Stage,
    medium: &Medium,
    path: &str,
) -> Result<(), CliError> {
    let request = UnbindRequest {
        path: path.to_owned(),
        seen: None,
    };
    client.volumes().unbind(request).await?;
    medium.release().await?;
    let which = Some(logout_request::Which::TargetName(TARGET.to_owned()));
    client
        .sessions()
        .logout(LogoutRequest {
            which,
            force: false,
        })
        .await?;
    stage.stop().await
}
