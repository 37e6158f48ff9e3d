//! A target of our own, a daemon in this process or in one of its own, and a client.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hawser_api::{Client, Failure, v1};
use hawser_daemon::{Config, ExportMode, RunError};
use hawser_target::disk::{Backend, LogicalUnit, RamBackend, UnitIdentity};
use hawser_target::{ChapConfig, StartError, TargetConfig, TargetHandle, TargetServer};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;

pub(crate) const TARGET: &str = "iqn.2026-11.test.hawser:disk";
pub(crate) const USER: &str = "user1";
pub(crate) const SECRET: &str = "secretsecret1";
pub(crate) const MIB: u64 = 1 << 20;

/// How long anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

/// A loopback address of its own, with any port. A target that is to come back at the same place finds
/// it free: connections go out from 127.0.0.1 and take their ports there.
pub(crate) fn anywhere() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let last = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
    SocketAddr::from((Ipv4Addr::new(127, high | 1, low, last), 0))
}

pub(crate) fn ram(bytes: u64) -> Arc<dyn Backend> {
    Arc::new(RamBackend::new(bytes).unwrap())
}

pub(crate) fn unit(backend: Arc<dyn Backend>, key: &str) -> Arc<LogicalUnit> {
    Arc::new(LogicalUnit::new(backend, 512, UnitIdentity::from_key(key)).unwrap())
}

/// One disk of 64 MiB at LUN 1.
pub(crate) fn target() -> TargetConfig {
    target_named(TARGET, "disk")
}

pub(crate) fn target_named(name: &str, key: &str) -> TargetConfig {
    TargetConfig::new(name)
        .unwrap()
        .lun(1, unit(ram(64 * MIB), key))
}

pub(crate) fn with_chap(target: TargetConfig) -> TargetConfig {
    target.chap(ChapConfig::one_way(USER, SECRET.into()))
}

pub(crate) async fn serve(target: TargetConfig) -> TargetHandle {
    serve_at(anywhere(), target).await
}

/// Serves at this address, as soon as it is free: a child that another test of this process is just
/// starting holds a copy of the listening socket of a killed target until its exec.
pub(crate) async fn serve_at(address: SocketAddr, target: TargetConfig) -> TargetHandle {
    in_time(async {
        loop {
            let server = TargetServer::builder().portal(address);
            match server.target(target.clone()).start().await {
                Ok(handle) => return handle,
                Err(StartError::Bind { source, .. }) if source.kind() == ErrorKind::AddrInUse => {}
                Err(error) => panic!("the target does not start: {error}"),
            }
            // There is nothing to wait on but the address itself.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// A portal that takes connections and never says a word.
pub(crate) async fn silent_portal() -> (SocketAddr, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    (address, task)
}

pub(crate) fn portal(address: SocketAddr) -> v1::Portal {
    address.to_string().parse().unwrap()
}

/// The directories of one daemon, over its restarts.
pub(crate) struct Place {
    root: tempfile::TempDir,
    pub(crate) config: Config,
}

impl Place {
    pub(crate) fn new(export: ExportMode) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        let run = path.join("run");
        let mut config = Config::new(path.join("state"), run.clone(), run.join("hawser.sock"));
        config.export = export;
        Self { root, config }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap()
    }

    /// A daemon in this process. `RUST_LOG` shows what it says.
    pub(crate) async fn start(&self) -> Running {
        // Only the first test of a process sets it up.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let (stop, stopped) = oneshot::channel::<()>();
        let config = self.config.clone();
        let mut task = tokio::spawn(hawser_daemon::run_until(config, async {
            let _ = stopped.await;
        }));
        let client = tokio::select! {
            ended = &mut task => panic!("the daemon ended: {ended:?}"),
            client = self.client() => client,
        };
        Running {
            client,
            stop: Some(stop),
            task,
        }
    }

    /// A client, as soon as the daemon answers.
    pub(crate) async fn client(&self) -> Client {
        in_time(async {
            loop {
                if let Ok(client) = Client::connect(&self.config.socket).await {
                    return client;
                }
                tokio::task::yield_now().await;
                // There is nothing to wait on before the socket is there.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    /// A daemon in a process of its own, which can be killed.
    pub(crate) async fn spawn(&self) -> Spawned {
        self.spawn_with(&[]).await
    }

    /// The same with more in its environment.
    pub(crate) async fn spawn_with(&self, environment: &[(&str, &str)]) -> Spawned {
        let mut command = Command::new(program());
        command.envs(environment.iter().copied());
        self.spawn_command(command).await
    }

    /// The same in another mount namespace.
    pub(crate) async fn spawn_in(&self, namespace: &MountNamespace) -> Spawned {
        let pid = namespace.0.id().expect("it runs");
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount=/proc/{pid}/ns/mnt"))
            .arg(program());
        self.spawn_command(command).await
    }

    async fn spawn_command(&self, mut command: Command) -> Spawned {
        let config = &self.config;
        let child = command
            .args([&config.state_dir, &config.runtime_dir, &config.socket])
            .arg(config.export.name())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the example is built");
        let client = self.client().await;
        Spawned { client, child }
    }
}

/// A mount namespace with an fstab of its own. It outlives the daemons in it, as the one of a machine
/// does: the last process of a namespace takes its mounts down, and for one that serves their disk that
/// would mean to wait for itself.
pub(crate) struct MountNamespace(Child);

impl MountNamespace {
    /// Makes one with `fstab` in the place of `/etc/fstab`.
    pub(crate) async fn with_fstab(fstab: &Path) -> Self {
        let script = "mount --bind \"$0\" /etc/fstab && echo ready && exec sleep infinity";
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(fstab)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("unshare runs");
        let mut said = [0; 5];
        let stdout = holder.stdout.as_mut().expect("is a pipe");
        in_time(stdout.read_exact(&mut said))
            .await
            .expect("it is ready");
        Self(holder)
    }
}

/// The example beside this test's own program.
pub(crate) fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let debug = own.parent().and_then(Path::parent).unwrap();
    debug.join("examples/daemon_under_test")
}

/// A daemon in this process.
pub(crate) struct Running {
    pub(crate) client: Client,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        in_time(&mut self.task).await.unwrap().expect("it ran well");
    }
}

/// A daemon in a process of its own.
pub(crate) struct Spawned {
    pub(crate) client: Client,
    pub(crate) child: Child,
}

impl Spawned {
    pub(crate) async fn kill(mut self) {
        in_time(self.child.kill()).await.expect("killed and gone");
    }

    pub(crate) async fn terminate(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        run("kill", &["-TERM", &pid]).await;
        let status = in_time(self.child.wait()).await.unwrap();
        assert!(status.success(), "{status}");
    }
}

/// Runs a program that must work; gives what it prints.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> String {
    let output = in_time(Command::new(program).args(arguments).output())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the tests ask a daemon for.
pub(crate) trait Asks {
    fn client(&self) -> &Client;

    async fn add_portal(&self, address: SocketAddr) -> Result<Vec<String>, Failure> {
        let request = v1::AddPortalRequest {
            portal: Some(portal(address)),
            ..v1::AddPortalRequest::default()
        };
        Ok(self
            .client()
            .discovery()
            .add_portal(request)
            .await?
            .into_inner()
            .targets)
    }

    async fn login(&self, request: v1::LoginRequest) -> Result<v1::LoginResponse, Failure> {
        Ok(in_time(self.client().sessions().login(request))
            .await?
            .into_inner())
    }

    async fn disks(&self) -> Vec<v1::Disk> {
        let request = v1::ListDisksRequest::default();
        self.client()
            .volumes()
            .list_disks(request)
            .await
            .unwrap()
            .into_inner()
            .disks
    }

    async fn sessions(&self) -> Vec<v1::Session> {
        let request = v1::ListSessionsRequest::default();
        self.client()
            .sessions()
            .list_sessions(request)
            .await
            .unwrap()
            .into_inner()
            .sessions
    }

    async fn bind(&self, request: v1::BindRequest) -> Result<v1::BoundVolume, Failure> {
        let response = in_time(self.client().volumes().bind(request)).await?;
        Ok(response.into_inner().volume.expect("is there"))
    }

    async fn bound(&self) -> Vec<v1::BoundVolume> {
        let request = v1::ListBoundRequest {};
        self.client()
            .volumes()
            .list_bound(request)
            .await
            .unwrap()
            .into_inner()
            .volumes
    }

    /// Waits for the bound volumes and gives the last word.
    async fn wait(&self, timeout: Duration) -> v1::WaitUpdate {
        let timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap());
        let request = v1::WaitRequest { timeout_ms };
        let mut updates = self
            .client()
            .volumes()
            .wait(request)
            .await
            .unwrap()
            .into_inner();
        let mut last = None;
        while let Some(update) = in_time(updates.next()).await {
            last = Some(update.unwrap());
        }
        last.expect("one update at least")
    }

    /// Waits for an event of a kind, past or to come, that `wanted` takes.
    async fn event(&self, kind: &str, wanted: impl Fn(&v1::Event) -> bool) -> v1::Event {
        let request = v1::WatchEventsRequest {
            follow: true,
            ..v1::WatchEventsRequest::default()
        };
        let mut events = self
            .client()
            .system()
            .watch_events(request)
            .await
            .unwrap()
            .into_inner();
        loop {
            let event = in_time(events.next()).await.expect("events go on").unwrap();
            if event.kind == kind && wanted(&event) {
                return event;
            }
        }
    }

    /// Waits until the one disk is ready. Other devices, such as the controller that tgt has at LUN 0,
    /// have no size.
    async fn ready_disk(&self) -> v1::Disk {
        self.event("disk-ready", |_| true).await;
        let disks = self.disks().await;
        let ready = disks
            .into_iter()
            .find(|disk| disk.state() == v1::DiskState::Ready && disk.bytes > 0);
        ready.expect("a disk is ready")
    }

    /// Adds the portal, logs in persistently without CHAP, waits for the disk.
    async fn persistent_disk(&self, address: SocketAddr) -> v1::Disk {
        self.add_portal(address).await.unwrap();
        self.login(persistent()).await.unwrap();
        self.ready_disk().await
    }
}

impl Asks for Running {
    fn client(&self) -> &Client {
        &self.client
    }
}

impl Asks for Spawned {
    fn client(&self) -> &Client {
        &self.client
    }
}

/// A login now, without options.
pub(crate) fn now() -> v1::LoginRequest {
    v1::LoginRequest {
        target_name: TARGET.into(),
        ..v1::LoginRequest::default()
    }
}

/// A login now that is stored.
pub(crate) fn persistent() -> v1::LoginRequest {
    v1::LoginRequest {
        mode: v1::LoginMode::NowAndStore.into(),
        ..now()
    }
}

/// The same with CHAP.
pub(crate) fn with_secret(request: v1::LoginRequest, secret: &str) -> v1::LoginRequest {
    let login_options = Some(v1::LoginOptions {
        username: Some(USER.into()),
        secret: Some(v1::Secret::new(secret)),
        ..v1::LoginOptions::default()
    });
    v1::LoginRequest {
        login_options,
        ..request
    }
}

pub(crate) fn path(path: impl Into<String>) -> v1::BindRequest {
    v1::BindRequest {
        path: path.into(),
        ..v1::BindRequest::default()
    }
}
