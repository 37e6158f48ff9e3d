//! One foreign server process: started, watched, frozen, killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::tail;
use super::{PeerError, find_program, wait_until};

/// How much of the log an error repeats, in bytes.
const LOG_TAIL: usize = 2000;

/// A server process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `program` with what `prepare` adds to its command line; it prints into `log`.
    ///
    /// The kernel kills it when this process ends, however that happens (`setpriv --pdeathsig`).
    pub(crate) fn start(
        program: &'static str,
        log: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, PeerError> {
        let mut command = Command::new(find_program("setpriv")?);
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(find_program(program)?);
        prepare(&mut command);
        let open = || File::options().create(true).append(true).open(log);
        let stdout = open().map_err(PeerError::io(format!("open {}", log.display())))?;
        let stderr = open().map_err(PeerError::io(format!("open {}", log.display())))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::from(stdout))
            .stderr(Stdio::from(stderr));
        let child = spawn_from_lasting_thread(command)
            .map_err(PeerError::io(format!("start {program}")))?;
        Ok(Self {
            name: program,
            child,
            log: log.to_path_buf(),
        })
    }

    /// An error with the end of the log if the process has ended.
    pub(crate) fn check_running(&mut self) -> Result<(), PeerError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(PeerError::Failed {
                command: self.name.to_owned(),
                status: status.to_string(),
                output: self.log_tail(),
            }),
            Err(source) => Err(PeerError::Io {
                what: format!("ask for the state of {}", self.name),
                source,
            }),
        }
    }

    /// Waits until this process itself listens on the TCP port `port`. (A connection attempt would not
    /// tell whether it is somebody else who answers.)
    pub(crate) fn wait_listening(&mut self, port: u16, limit: Duration) -> Result<(), PeerError> {
        let what = format!("{} to listen on port {port}", self.name);
        wait_until(&what, limit, || {
            if let Err(ended) = self.check_running() {
                return Ok(Err(ended));
            }
            if listens(self.child.id(), port) {
                return Ok(Ok(()));
            }
            Err(self.log_tail())
        })?
    }

    /// The end of what the server printed.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        tail(&String::from_utf8_lossy(&log), LOG_TAIL).to_owned()
    }

    /// Stops the process from running (SIGSTOP): its connections stay open and answer nothing.
    pub(crate) fn freeze(&self) -> Result<(), PeerError> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen process run again (SIGCONT).
    pub(crate) fn thaw(&self) -> Result<(), PeerError> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), PeerError> {
        let pid = i32::try_from(self.child.id()).unwrap_or(i32::MAX);
        kill(Pid::from_raw(pid), signal)
            .map_err(std::io::Error::from)
            .map_err(PeerError::io(format!("send {signal} to {}", self.name)))
    }

    /// Kills the process (SIGKILL) and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // Both fail only when it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether process `pid` holds a listening TCP socket of `port`: the kernel's tables name the inode of
/// each listener, and the process's descriptors name the inodes of its sockets.
fn listens(pid: u32, port: u16) -> bool {
    let inodes: Vec<String> = ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|table| {
            table
                .lines()
                .filter_map(|line| listener_inode(line, port))
                .collect::<Vec<_>>()
        })
        .collect();
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .any(|link| {
            inodes
                .iter()
                .any(|inode| link.as_os_str() == inode.as_str())
        })
}

/// From a line of `/proc/net/tcp`: `socket:[INODE]` of a listener (state 0A) of `port`.
fn listener_inode(line: &str, port: u16) -> Option<String> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = columns.get(1)?.rsplit_once(':')?;
    let listening = *columns.get(3)? == "0A";
    let matches = u16::from_str_radix(local_port, 16).ok()? == port;
    (listening && matches).then(|| columns.get(9).map(|inode| format!("socket:[{inode}]")))?
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The kernel sends the parent-death signal when the *thread* that started the child ends, and test
/// threads end early. This thread lives as long as the process.
static SPAWNER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, reply) in inbox {
            // The one who asked waits for the answer, so the send succeeds.
            drop(reply.send(command.spawn()));
        }
    });
    Mutex::new(orders)
});

fn spawn_from_lasting_thread(command: Command) -> std::io::Result<Child> {
    let (reply, answer) = mpsc::channel();
    SPAWNER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, reply))
        .map_err(|_| std::io::Error::other("the thread that starts servers is gone"))?;
    answer
        .recv()
        .map_err(|_| std::io::Error::other("the thread that starts servers is gone"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_outlives_the_thread_that_started_it_and_dies_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut server = std::thread::spawn(move || {
            Server::start("sleep", &log, |command| {
                command.arg("600");
            })
        })
        .join()
        .unwrap()
        .unwrap();
        server.check_running().unwrap();
        server.freeze().unwrap();
        server.thaw().unwrap();
        let pid = server.child.id();
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_server_that_ends_at_once_is_an_error_with_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut server = Server::start("sh", &log, |command| {
            command.args(["-c", "echo cannot serve; exit 7"]);
        })
        .unwrap();
        let error = server
            .wait_listening(1, Duration::from_secs(10))
            .unwrap_err();
        assert!(error.to_string().contains("cannot serve"), "{error}");
    }

    #[test]
    fn only_the_owner_of_a_socket_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens(std::process::id(), port));
        assert!(!listens(1, port));
        drop(listener);
        assert!(!listens(std::process::id(), port));
    }
}
