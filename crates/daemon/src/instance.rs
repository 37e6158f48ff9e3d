//! One daemon a place: directories and socket made safely, and held so that a second daemon is told.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::net::UnixListener;

use crate::config::Config;

/// A daemon that was killed while it started a child leaves its locks to that child until its exec: for
/// so long they are waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Pause between attempts; there is nothing to wait on that has an end.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Name of the lock in the runtime directory.
const LOCK_FILE_NAME: &str = "hawserd.lock";

/// Why the daemon cannot have its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// Another daemon is there.
    #[error("another daemon uses {}; stop it, or give this one its own --runtime-dir, --state-dir and --socket", path.display())]
    InUse {
        /// What it uses.
        path: PathBuf,
    },
    /// A directory is not safe to use: others could put things into it.
    #[error("{} is not safe to use: {why}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The system failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl InstanceError {
    fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }

    fn not_safe(path: &Path, why: impl Into<String>) -> Self {
        Self::Unsafe {
            path: path.to_owned(),
            why: why.into(),
        }
    }
}

/// The place of one daemon; given back when it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Instance {
    locks: Vec<File>,
}

impl Instance {
    /// Makes the directories and takes the locks of the runtime directory and the socket. The store
    /// takes that of the state directory itself.
    pub(crate) fn take(config: &Config) -> Result<Self, InstanceError> {
        // Others come through to the socket and the links, but do not list.
        let root = nix::unistd::geteuid().is_root();
        make_directory(&config.runtime_dir, if root { 0o711 } else { 0o700 })?;
        make_directory(&config.state_dir, 0o700)?;
        let mut locks = vec![lock(
            &config.runtime_dir.join(LOCK_FILE_NAME),
            &config.runtime_dir,
        )?];
        let mut beside = config.socket.clone().into_os_string();
        beside.push(".lock");
        locks.push(lock(Path::new(&beside), &config.socket)?);
        Ok(Self { locks })
    }

    /// Listens on the socket, in place of one that a killed daemon left. Everybody may connect: what
    /// each may do is decided by their credentials, call by call.
    pub(crate) fn listen(&self, socket: &Path) -> Result<UnixListener, InstanceError> {
        match std::fs::symlink_metadata(socket) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(InstanceError::not_safe(
                    socket,
                    "something that is no socket is there",
                ));
            }
            // Nobody of ours listens: we hold the lock. Somebody else's socket is theirs.
            Ok(_) if std::os::unix::net::UnixStream::connect(socket).is_ok() => {
                return Err(InstanceError::InUse {
                    path: socket.to_owned(),
                });
            }
            Ok(_) => std::fs::remove_file(socket)
                .map_err(|error| InstanceError::io("replace the socket", socket, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(InstanceError::io("look at", socket, error)),
        }
        let listener = UnixListener::bind(socket)
            .map_err(|error| InstanceError::io("listen on", socket, error))?;
        std::fs::set_permissions(socket, Permissions::from_mode(0o666))
            .map_err(|error| InstanceError::io("open to all", socket, error))?;
        Ok(listener)
    }
}

impl Drop for Instance {
    /// Gives the locks back at once: a child that is just being started shares them until its exec.
    fn drop(&mut self) {
        for file in &self.locks {
            if let Err(error) = file.unlock() {
                tracing::debug!(%error, "cannot give a lock back");
            }
        }
    }
}

/// Makes a directory, or checks that the one that is there is ours alone to write to.
fn make_directory(path: &Path, mode: u32) -> Result<(), InstanceError> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .map_err(|error| InstanceError::io("make", parent, error))?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        // The umask may have taken bits away that others need to come through.
        Ok(()) => {
            return std::fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(|error| InstanceError::io("set the mode of", path, error));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(InstanceError::io("make", path, error)),
    }
    let metadata = std::fs::symlink_metadata(path)
        .map_err(|error| InstanceError::io("look at", path, error))?;
    let own = nix::unistd::geteuid().as_raw();
    if !metadata.is_dir() {
        return Err(InstanceError::not_safe(path, "it is no directory"));
    }
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(InstanceError::not_safe(
            path,
            format!("it belongs to user {}", metadata.uid()),
        ));
    }
    if metadata.mode() & 0o022 != 0 {
        let why = format!(
            "others may write to it (mode {:04o})",
            metadata.mode() & 0o7777
        );
        return Err(InstanceError::not_safe(path, why));
    }
    Ok(())
}

/// Takes a lock that ends with the process at the latest (flock(2)).
fn lock(path: &Path, guarded: &Path) -> Result<File, InstanceError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
        .map_err(|error| InstanceError::io("open", path, error))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(InstanceError::InUse {
                    path: guarded.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(InstanceError::io("lock", path, error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(root: &Path) -> Config {
        Config::new(
            root.join("a/state"),
            root.join("b/run"),
            root.join("b/run/s.sock"),
        )
    }

    #[tokio::test]
    async fn a_second_daemon_is_told_and_a_dead_one_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path());
        let first = Instance::take(&config).unwrap();
        let listener = first.listen(&config.socket).unwrap();
        assert!(matches!(
            Instance::take(&config),
            Err(InstanceError::InUse { .. })
        ));
        // The same socket from another runtime directory.
        let other = Config {
            runtime_dir: root.path().join("c"),
            ..config.clone()
        };
        let error = Instance::take(&other).unwrap_err();
        assert!(error.to_string().contains("s.sock"), "{error}");
        drop((listener, first));
        assert!(config.socket.exists(), "as a killed daemon leaves it");
        let again = Instance::take(&config).unwrap();
        again.listen(&config.socket).unwrap();
    }

    #[tokio::test]
    async fn what_is_not_ours_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path());
        let instance = Instance::take(&config).unwrap();
        let foreign = std::os::unix::net::UnixListener::bind(&config.socket).unwrap();
        assert!(matches!(
            instance.listen(&config.socket),
            Err(InstanceError::InUse { .. })
        ));
        drop(foreign);
        std::fs::remove_file(&config.socket).unwrap();
        std::fs::write(&config.socket, "a file").unwrap();
        assert!(matches!(
            instance.listen(&config.socket),
            Err(InstanceError::Unsafe { .. })
        ));
        assert_eq!(std::fs::read(&config.socket).unwrap(), b"a file");
    }

    #[test]
    fn directories_that_others_could_write_to_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path());
        let runtime = &config.runtime_dir;
        std::fs::create_dir_all(runtime).unwrap();
        std::fs::set_permissions(runtime, Permissions::from_mode(0o777)).unwrap();
        assert!(
            Instance::take(&config)
                .unwrap_err()
                .to_string()
                .contains("0777")
        );
        std::fs::remove_dir(runtime).unwrap();
        std::os::unix::fs::symlink(root.path(), runtime).unwrap();
        assert!(
            Instance::take(&config)
                .unwrap_err()
                .to_string()
                .contains("no directory")
        );
        std::fs::remove_file(runtime).unwrap();
        Instance::take(&config).unwrap();
        assert_eq!(
            std::fs::metadata(&config.state_dir).unwrap().mode() & 0o777,
            0o700
        );
    }
}
