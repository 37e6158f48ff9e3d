//! Initiators that others wrote, against the target: those of libiscsi (package `libiscsi-bin`).

mod judge;
mod tools;

use std::process::Command;
use std::sync::Arc;

use hawser_target::disk::{Backend, LogicalUnit, RamBackend, UnitIdentity};
use hawser_target::{TargetConfig, TargetHandle, TargetServer};
use tokio::runtime::Runtime;

const IQN: &str = "iqn.2024-01.test:disk";

/// A server with its own runtime, at a port of its own.
struct Server {
    _runtime: Runtime,
    handle: TargetHandle,
}

impl Server {
    fn start(server: TargetServer) -> Self {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.block_on(server.start()).unwrap();
        Self {
            _runtime: runtime,
            handle,
        }
    }

    fn with_target(target: TargetConfig) -> Self {
        let portal = "127.0.0.1:0".parse().unwrap();
        Self::start(TargetServer::builder().portal(portal).target(target))
    }

    /// `host:port` of the first portal.
    fn portal(&self) -> String {
        self.handle.local_addrs()[0].to_string()
    }

    /// The URL of LUN 0.
    fn url(&self) -> String {
        format!("iscsi://{}/{IQN}/0", self.portal())
    }
}

fn ram(megabytes: u64) -> Arc<LogicalUnit> {
    disk(Arc::new(RamBackend::new(megabytes << 20).unwrap()))
}

fn disk(backend: Arc<dyn Backend>) -> Arc<LogicalUnit> {
    let identity = UnitIdentity::from_key("foreign");
    Arc::new(LogicalUnit::new(backend, 512, identity).unwrap())
}

fn target() -> TargetConfig {
    TargetConfig::new(IQN).unwrap()
}

/// Runs a program and gives its exit and all that it printed. A program that is not there is a
/// failed test.
fn try_run(program: &str, arguments: &[&str]) -> (bool, String) {
    // The time limit is far above what any of these takes; a hang is a failure, not a wait.
    let output = Command::new("timeout")
        .args(["300", program])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    assert_ne!(
        output.status.code(),
        Some(127),
        "{program} is not installed"
    );
    (output.status.success(), text)
}

/// The same, and it must succeed.
fn run(program: &str, arguments: &[&str]) -> String {
    let (well, text) = try_run(program, arguments);
    assert!(well, "{program} {arguments:?}:\n{text}");
    text
}
