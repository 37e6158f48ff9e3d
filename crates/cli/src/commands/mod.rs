//! The commands that ask the daemon: each makes a call, and prints the answer as table or JSON.

mod bound;
mod disk;
mod events;
mod login;
mod login_options;
mod node_name;
mod persistent;
mod portal;
mod reason;
mod scsi;
mod session;
mod status;
mod target;
mod wait;

use std::path::PathBuf;

pub(crate) use bound::{reasons as missing, view as seen_at};
use hawser_api::{Client, find_socket};
pub(crate) use login_options::LoginOptionsView;
pub(crate) use reason::whole as whole_reason;
pub(crate) use target::run as target;

use crate::args::AskCommand;
use crate::error::CliError;
use crate::progress;

/// Where the daemon is to be found.
#[derive(Debug)]
pub(crate) struct Daemon {
    socket: Option<PathBuf>,
}

impl Daemon {
    /// The daemon on `socket`, or where it is by default.
    pub(crate) fn new(socket: Option<PathBuf>) -> Self {
        Self {
            socket: socket.filter(|path| !path.as_os_str().is_empty()),
        }
    }

    /// Connects to it. From here on until something is printed, a terminal shows that the command waits:
    /// so no command needs to say it, unless it can say more.
    ///
    /// # Errors
    /// It does not answer, or this user may not talk to it.
    pub(crate) async fn client(&self) -> Result<Client, CliError> {
        let socket = find_socket(self.socket.as_deref())?;
        progress::begin("waiting for the daemon");
        Ok(Client::connect(&socket).await?)
    }
}

/// Carries out a command that needs the daemon. What is wrong with the command line or a secret is
/// told before the daemon is asked.
///
/// # Errors
/// Why it failed.
pub(crate) async fn ask(daemon: &Daemon, command: AskCommand) -> Result<(), CliError> {
    match command {
        AskCommand::Portal(command) => portal::run(daemon, command).await,
        AskCommand::Login(args) => login::login(daemon, *args).await,
        AskCommand::Logout(args) => login::logout(daemon, args).await,
        AskCommand::Session(command) => session::run(daemon, command).await,
        AskCommand::Persistent(command) => persistent::run(daemon, command).await,
        AskCommand::ChapSecret(command) => login_options::chap_secret(daemon, command).await,
        AskCommand::NodeName(args) => node_name::run(daemon, args).await,
        AskCommand::Disk(command) => disk::run(daemon, command).await,
        AskCommand::Bind(args) => bound::bind(daemon, args).await,
        AskCommand::Unbind(args) => bound::unbind(daemon, args).await,
        AskCommand::Bound(output) => bound::list(daemon, output).await,
        AskCommand::Wait(args) => wait::run(daemon, args).await,
        AskCommand::Scsi(command) => scsi::run(daemon, command).await,
        AskCommand::Status(output) => status::run(daemon, output).await,
        AskCommand::Events(args) => events::run(daemon, args).await,
    }
}
