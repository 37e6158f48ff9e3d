//! What the daemon is told: the file `hawser.toml`, and the command line, which counts more.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hawser_api::{NoPlace, Places};
use hawser_engine::BusyPolling;
use hawser_export::ExportMode;
use serde::Deserialize;

/// A longer configuration file is refused.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Longest hold time and wait limit: a day.
const MAX_SECONDS: u64 = 86_400;
/// Longest busy polling, in microseconds: whoever wants more wants a processor of its own.
const MAX_BUSY_POLL: u64 = 1000;
/// The highest error recovery level (RFC 7143 section 13.20).
const MAX_LEVEL: u8 = 2;
/// Sessions at once, by default the limit of the Microsoft initiator.
const DEFAULT_MAX_SESSIONS: usize = 256;
/// Most sessions that can be configured: each holds a socket and tasks.
const MAX_SESSIONS: usize = 4096;
/// LUNs of one session that are shown, by default.
const DEFAULT_MAX_LUNS: usize = 1024;
/// Logins at once while the persistent logins are restored.
const DEFAULT_PARALLEL_LOGINS: usize = 32;

/// What the command line said; absent: the file's word, else the default.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Configuration file. Given here, it must exist.
    pub config: Option<PathBuf>,
    /// Where the store is.
    pub state_dir: Option<PathBuf>,
    /// Where links, mounts and sockets are.
    pub runtime_dir: Option<PathBuf>,
    /// The RPC socket.
    pub socket: Option<PathBuf>,
    /// How disks are shown.
    pub export: Option<ExportMode>,
}

/// Everything the daemon needs to know at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the store is; made if it is missing.
    pub state_dir: PathBuf,
    /// Where links, mounts and sockets are; made if it is missing.
    pub runtime_dir: PathBuf,
    /// The RPC socket.
    pub socket: PathBuf,
    /// How disks are shown.
    pub export: ExportMode,
    /// Serve NBD on a Unix socket also for disks that are shown in another way.
    pub also_nbd: bool,
    /// Serve each disk over NBD on a free TCP port of this address too, without authentication.
    pub nbd_tcp: Option<IpAddr>,
    /// Whether CHAP may fall back to MD5 alone for targets that cannot take a list.
    pub allow_md5: bool,
    /// Whether CHAP secrets under 12 bytes are taken, for targets that can do no better.
    pub allow_short_secrets: bool,
    /// The error recovery level that logins offer unless they say another, 0 to 2; `None`: the highest that is
    /// safe with the target.
    pub error_recovery_level: Option<u8>,
    /// How long I/O of disks without bound volumes is held when their session is lost.
    pub hold: Duration,
    /// Whether a session's thread looks for an answer before it sleeps, when few commands are under way.
    pub busy_polling: BusyPolling,
    /// How long `wait` waits if it is not said.
    pub wait_timeout: Duration,
    /// Take portals with link-local addresses that discovery tells.
    pub link_local: bool,
    /// Sessions at once.
    pub max_sessions: usize,
    /// LUNs of a session that are looked at.
    pub max_luns: usize,
    /// Logins at once while the persistent logins are restored.
    pub parallel_logins: usize,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file says something that cannot be.
    #[error("{}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place.
        what: String,
    },
    /// There is no directory to use: neither given nor in the environment.
    #[error(transparent)]
    NoPlace(NoPlace),
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    state_dir: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    export: ExportSection,
    chap: ChapSection,
    login: LoginSection,
    session: SessionSection,
    discovery: DiscoverySection,
    wait: WaitSection,
    limits: LimitsSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExportSection {
    mode: Option<String>,
    also_nbd: Option<bool>,
    nbd_tcp: Option<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChapSection {
    allow_md5: Option<bool>,
    allow_short_secrets: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LoginSection {
    error_recovery_level: Option<u8>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SessionSection {
    hold_seconds: Option<u64>,
    busy_poll_us: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DiscoverySection {
    link_local: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WaitSection {
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    sessions: Option<usize>,
    luns_per_session: Option<usize>,
    parallel_logins: Option<usize>,
}

impl Config {
    /// Reads the configuration file, lets the command line count more, fills in the defaults: those of
    /// the system as root, the XDG directories otherwise ([`Places`]).
    ///
    /// # Errors
    /// The file cannot be read or says something that cannot be, or there is no directory to use.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::load_in(overrides, &Places::of_this_user())
    }

    fn load_in(
        overrides: &Overrides,
        places: &Result<Places, NoPlace>,
    ) -> Result<Self, ConfigError> {
        let (path, file) = match (&overrides.config, places) {
            (Some(path), _) => (path.clone(), read_file(path, true)?),
            (None, Ok(places)) => (places.config.clone(), read_file(&places.config, false)?),
            (None, Err(_)) => (PathBuf::new(), File::default()),
        };
        let pick = |flag: &Option<PathBuf>, file: &Option<PathBuf>| flag.clone().or(file.clone());
        let default = |place: fn(&Places) -> &PathBuf| match places {
            Ok(places) => Ok(place(places).clone()),
            Err(no_place) => Err(ConfigError::NoPlace(no_place.clone())),
        };
        let state_dir = pick(&overrides.state_dir, &file.state_dir)
            .map_or_else(|| default(|places| &places.state_dir), Ok)?;
        let given_runtime = pick(&overrides.runtime_dir, &file.runtime_dir);
        let moved = given_runtime.is_some();
        let runtime_dir =
            given_runtime.map_or_else(|| default(|places| &places.runtime_dir), Ok)?;
        // A daemon with a runtime directory of its own has its socket there.
        let socket = match pick(&overrides.socket, &file.socket) {
            Some(socket) => socket,
            None if moved => runtime_dir.join("hawser.sock"),
            None => default(|places| &places.socket)?,
        };
        let mut config = Self::new(state_dir, runtime_dir, socket);
        config.take(&file, &path)?;
        config.export = overrides.export.unwrap_or(config.export);
        Ok(config)
    }

    /// The defaults with these directories and this socket.
    #[must_use]
    pub fn new(state_dir: PathBuf, runtime_dir: PathBuf, socket: PathBuf) -> Self {
        Self {
            state_dir,
            runtime_dir,
            socket,
            export: ExportMode::Auto,
            also_nbd: false,
            nbd_tcp: None,
            allow_md5: true,
            allow_short_secrets: false,
            error_recovery_level: None,
            hold: Duration::from_secs(120),
            busy_polling: BusyPolling::WherePaid,
            wait_timeout: Duration::from_secs(60),
            link_local: false,
            max_sessions: DEFAULT_MAX_SESSIONS,
            max_luns: DEFAULT_MAX_LUNS,
            parallel_logins: DEFAULT_PARALLEL_LOGINS,
        }
    }

    /// Takes what the file says.
    fn take(&mut self, file: &File, path: &Path) -> Result<(), ConfigError> {
        let wrong = |what: String| ConfigError::Wrong {
            path: path.to_owned(),
            what,
        };
        if let Some(mode) = &file.export.mode {
            self.export = mode
                .parse()
                .map_err(|e| wrong(format!("export.mode: {e}")))?;
        }
        self.also_nbd = file.export.also_nbd.unwrap_or(self.also_nbd);
        self.nbd_tcp = file.export.nbd_tcp.or(self.nbd_tcp);
        self.allow_md5 = file.chap.allow_md5.unwrap_or(self.allow_md5);
        let short = file.chap.allow_short_secrets;
        self.allow_short_secrets = short.unwrap_or(self.allow_short_secrets);
        self.error_recovery_level = match file.login.error_recovery_level {
            Some(level) if level > MAX_LEVEL => {
                let what = format!("login.error_recovery_level: {MAX_LEVEL} at most");
                return Err(wrong(what));
            }
            level => level.or(self.error_recovery_level),
        };
        self.link_local = file.discovery.link_local.unwrap_or(self.link_local);
        let seconds = |name: &str, value: Option<u64>, default: Duration| match value {
            None => Ok(default),
            Some(value) if value <= MAX_SECONDS => Ok(Duration::from_secs(value)),
            Some(_) => Err(wrong(format!("{name}: {MAX_SECONDS} at most"))),
        };
        self.hold = seconds("session.hold_seconds", file.session.hold_seconds, self.hold)?;
        self.busy_polling = match file.session.busy_poll_us {
            Some(value) if value > MAX_BUSY_POLL => {
                let what = format!("session.busy_poll_us: {MAX_BUSY_POLL} at most");
                return Err(wrong(what));
            }
            Some(value) => BusyPolling::For(Duration::from_micros(value)),
            None => self.busy_polling,
        };
        self.wait_timeout = seconds(
            "wait.timeout_seconds",
            file.wait.timeout_seconds,
            self.wait_timeout,
        )?;
        let count = |name: &str, value: Option<usize>, default: usize, most: usize| match value {
            None => Ok(default),
            Some(value) if (1..=most).contains(&value) => Ok(value),
            Some(_) => Err(wrong(format!("{name}: 1 to {most}"))),
        };
        let limits = &file.limits;
        self.max_sessions = count(
            "limits.sessions",
            limits.sessions,
            self.max_sessions,
            MAX_SESSIONS,
        )?;
        self.max_luns = count(
            "limits.luns_per_session",
            limits.luns_per_session,
            self.max_luns,
            16_384,
        )?;
        let parallel = (limits.parallel_logins, self.parallel_logins);
        self.parallel_logins = count("limits.parallel_logins", parallel.0, parallel.1, 1024)?;
        Ok(())
    }
}

fn read_file(path: &Path, must_exist: bool) -> Result<File, ConfigError> {
    let read = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let wrong = |what: String| ConfigError::Wrong {
        path: path.to_owned(),
        what,
    };
    let text = match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
            return Err(wrong(format!("longer than {MAX_FILE_BYTES} bytes")));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
            return Ok(File::default());
        }
        Err(error) => return Err(read(error)),
        Ok(_) => std::fs::read_to_string(path).map_err(read)?,
    };
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_user() -> Result<Places, NoPlace> {
        Places::of(false, &|name| match name {
            "HOME" => Some("/home/u".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/1000".into()),
            _ => None,
        })
    }

    fn with_file(text: &str, overrides: Overrides) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hawser.toml");
        std::fs::write(&path, text).unwrap();
        Config::load_in(
            &Overrides {
                config: Some(path),
                ..overrides
            },
            &plain_user(),
        )
    }

    #[test]
    fn defaults_are_those_of_the_user() {
        let config = Config::load_in(&Overrides::default(), &plain_user()).unwrap();
        assert_eq!(config.state_dir, Path::new("/home/u/.local/state/hawser"));
        assert_eq!(
            config.socket,
            Path::new("/run/user/1000/hawser/hawser.sock")
        );
        let moved = Overrides {
            runtime_dir: Some("/r".into()),
            ..Overrides::default()
        };
        let config = Config::load_in(&moved, &plain_user()).unwrap();
        assert_eq!(config.socket, Path::new("/r/hawser.sock"));
        let nowhere = Places::of(false, &|_| None);
        let error = Config::load_in(&Overrides::default(), &nowhere).unwrap_err();
        assert!(error.to_string().contains("HOME"), "{error}");
    }

    #[test]
    fn flags_count_more_than_the_file() {
        let text = "state_dir = '/a'\nsocket = '/b/s'\n[export]\nmode = 'nbd'\n[chap]\nallow_md5 = false\n\
                    allow_short_secrets = true\n\
                    [session]\nhold_seconds = 7\nbusy_poll_us = 50\n[wait]\ntimeout_seconds = 9\n[limits]\nsessions = 3\n";
        let config = with_file(text, Overrides::default()).unwrap();
        assert_eq!(
            (config.state_dir.to_str(), config.export),
            (Some("/a"), ExportMode::Nbd)
        );
        assert_eq!((config.allow_md5, config.max_sessions), (false, 3));
        assert!(config.allow_short_secrets);
        assert_eq!(
            (config.hold.as_secs(), config.wait_timeout.as_secs()),
            (7, 9)
        );
        let polling = BusyPolling::For(Duration::from_micros(50));
        assert_eq!(config.busy_polling, polling);
        let flags = Overrides {
            state_dir: Some("/c".into()),
            export: Some(ExportMode::Fuse),
            ..Overrides::default()
        };
        let config = with_file(text, flags).unwrap();
        assert_eq!(
            (config.state_dir.to_str(), config.export),
            (Some("/c"), ExportMode::Fuse)
        );
        assert_eq!(config.socket, Path::new("/b/s"));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, told) in [
            ("stat_dir = '/a'", "stat_dir"),
            ("[export]\nmode = 'lop'", "lop"),
            ("[export]\nnbd_tcp = 'localhost'", "nbd_tcp"),
            ("[export]\nnbd_tcp = '127.0.0.1:10809'", "nbd_tcp"),
            ("[session]\nhold_seconds = 90000", "86400"),
            ("[session]\nbusy_poll_us = 1001", "session.busy_poll_us"),
            ("[limits]\nsessions = 0", "limits.sessions"),
            (
                "[login]\nerror_recovery_level = 3",
                "login.error_recovery_level",
            ),
            ("x", "hawser.toml"),
        ] {
            let error = with_file(text, Overrides::default()).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
        let absent = Overrides {
            config: Some("/no/such".into()),
            ..Overrides::default()
        };
        assert!(Config::load_in(&absent, &plain_user()).is_err());
    }

    const PAGE: &str = include_str!("../../../docs/configuration.md");
    const SAMPLE: &str = include_str!("../../../packaging/hawser.toml");

    /// The keys that serde says it knows here: it lists them when it meets one it does not know.
    fn known_keys(section: Option<&str>) -> Vec<String> {
        let header = section.map_or(String::new(), |name| format!("[{name}]\n"));
        let error = toml::from_str::<File>(&format!("{header}no_such_key = 1")).unwrap_err();
        let Some((_, expected)) = error.message().split_once("expected") else {
            return Vec::new();
        };
        if !error.message().starts_with("unknown field `no_such_key`") {
            return Vec::new();
        }
        let words = expected.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    }

    #[test]
    fn every_key_is_documented_and_in_the_sample() {
        let (mut keys, mut sections) = (0, 0);
        let mut check = |text: &str| {
            assert!(
                PAGE.contains(&format!("\n| `{text}` |")),
                "{text} is not in the page"
            );
            let said = [format!("\n{text} = "), format!("\n# {text} = ")];
            assert!(
                said.iter().any(|said| SAMPLE.contains(said)),
                "{text} is not in the sample"
            );
            keys += 1;
        };
        for name in known_keys(None) {
            let below = known_keys(Some(&name));
            if below.is_empty() {
                check(&name);
                continue;
            }
            sections += 1;
            assert!(
                PAGE.contains(&format!("\n## `[{name}]`")),
                "{name} is not in the page"
            );
            assert!(
                SAMPLE.contains(&format!("\n[{name}]\n")),
                "{name} is not in the sample"
            );
            below.iter().for_each(|key| check(key));
        }
        assert!(
            keys >= 14 && sections >= 6,
            "{keys} keys, {sections} sections"
        );
    }

    #[test]
    fn the_sample_says_the_defaults() {
        let root = Places::of(true, &|_| None);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hawser.toml");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let config = Some(path.clone());
            let overrides = Overrides {
                config,
                ..Overrides::default()
            };
            Config::load_in(&overrides, &root).unwrap()
        };
        assert_eq!(load(SAMPLE), load(""));
        // What is commented out may be said.
        let all = SAMPLE.replace("\n# nbd_tcp", "\nnbd_tcp");
        assert!(load(&all).nbd_tcp.is_some());
    }
}
