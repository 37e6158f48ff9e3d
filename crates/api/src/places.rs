//! Where the daemon keeps its things and where clients find its socket.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Environment variable that names the daemon's socket.
pub const SOCKET_VARIABLE: &str = "HAWSER_SOCKET";

/// Longest path of a Unix socket, in bytes: `sun_path` holds 108 with the final NUL (unix(7)).
pub const MAX_SOCKET_PATH_LEN: usize = 107;

/// The socket of the system's daemon.
const SYSTEM_SOCKET: &str = "/run/hawser/hawser.sock";

/// Default places of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// State that survives a restart: the store and its key.
    pub state_dir: PathBuf,
    /// Links, mounts and sockets, gone after a restart of the machine.
    pub runtime_dir: PathBuf,
    /// The socket.
    pub socket: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
}

/// No default place can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither {variable} nor HOME is set: name the place on the command line")]
pub struct NoPlace {
    /// The variable of the XDG Base Directory Specification that was looked for.
    pub variable: &'static str,
}

impl Places {
    /// The default places of a daemon that this process would be: the system's for root, else the
    /// directories of the XDG Base Directory Specification.
    ///
    /// # Errors
    /// [`NoPlace`] for a user without XDG variables and without `HOME`.
    pub fn of_this_user() -> Result<Self, NoPlace> {
        Self::of(nix::unistd::geteuid().is_root(), &|name| {
            std::env::var_os(name)
        })
    }

    /// The same for any user and environment.
    ///
    /// # Errors
    /// [`NoPlace`] if the environment has neither the XDG variable nor `HOME`.
    pub fn of(root: bool, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, NoPlace> {
        if root {
            return Ok(Self {
                state_dir: "/var/lib/hawser".into(),
                runtime_dir: "/run/hawser".into(),
                socket: SYSTEM_SOCKET.into(),
                config: "/etc/hawser/hawser.toml".into(),
            });
        }
        // The specification lets only absolute paths count.
        let absolute = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let xdg = |name: &'static str, below_home: &str| {
            absolute(name)
                .or_else(|| Some(absolute("HOME")?.join(below_home)))
                .map(|dir| dir.join("hawser"))
                .ok_or(NoPlace { variable: name })
        };
        let state_dir = xdg("XDG_STATE_HOME", ".local/state")?;
        // Without a runtime directory of one's own only the home is safe from other users.
        let runtime_dir = absolute("XDG_RUNTIME_DIR")
            .map_or_else(|| state_dir.join("run"), |dir| dir.join("hawser"));
        Ok(Self {
            socket: runtime_dir.join("hawser.sock"),
            config: xdg("XDG_CONFIG_HOME", ".config")?.join("hawser.toml"),
            state_dir,
            runtime_dir,
        })
    }
}

/// The socket that a client uses: the one given (`--socket`), else [`SOCKET_VARIABLE`], else the default
/// place of this user's daemon; a plain user without a daemon of their own gets the system's.
///
/// # Errors
/// [`NoPlace`] if nothing is given and no default can be told.
pub fn find_socket(given: Option<&Path>) -> Result<PathBuf, NoPlace> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let system = Path::new(SYSTEM_SOCKET);
    match Places::of_this_user() {
        Ok(places) if places.socket.exists() || !system.exists() => Ok(places.socket),
        Err(no_place) if !system.exists() => Err(no_place),
        _ => Ok(system.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        let pairs: Vec<(String, OsString)> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        move |wanted| {
            pairs
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.clone())
        }
    }

    #[test]
    fn root_has_the_systems_places() {
        let places = Places::of(true, &environment(&[("HOME", "/home/x")])).expect("always");
        assert_eq!(places.state_dir, Path::new("/var/lib/hawser"));
        assert_eq!(places.socket, Path::new("/run/hawser/hawser.sock"));
        assert_eq!(places.config, Path::new("/etc/hawser/hawser.toml"));
    }

    #[test]
    fn a_user_has_the_xdg_places() {
        let set = [
            ("XDG_STATE_HOME", "/s"),
            ("XDG_RUNTIME_DIR", "/r"),
            ("XDG_CONFIG_HOME", "relative"),
            ("HOME", "/home/x"),
        ];
        let places = Places::of(false, &environment(&set)).expect("is told");
        assert_eq!(places.state_dir, Path::new("/s/hawser"));
        assert_eq!(places.socket, Path::new("/r/hawser/hawser.sock"));
        assert_eq!(
            places.config,
            Path::new("/home/x/.config/hawser/hawser.toml")
        );
    }

    #[test]
    fn a_user_without_runtime_directory_stays_at_home() {
        let places = Places::of(false, &environment(&[("HOME", "/home/x")])).expect("is told");
        let socket = Path::new("/home/x/.local/state/hawser/run/hawser.sock");
        assert_eq!(places.socket, socket);
        let none = Places::of(false, &environment(&[])).expect_err("nothing to go by");
        assert_eq!(none.variable, "XDG_STATE_HOME");
    }

    #[test]
    fn the_given_socket_wins() {
        assert_eq!(
            find_socket(Some(Path::new("/x"))).as_deref(),
            Ok(Path::new("/x"))
        );
    }
}
