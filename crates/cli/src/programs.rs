//! Starts what was asked for: a command, the daemon, the target.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command, DaemonArgs, DaemonProgram, IscsicliArgs, IscsicliProgram};
use crate::commands::{self, Daemon};
use crate::error::CliError;
use crate::exit::Exit;
use crate::{bench, completions, demo, forward, iscsicli as windows, parent, progress};

/// Environment variable with what is logged, such as `info,hawser_engine=debug`.
const LOG_VARIABLE: &str = "HAWSER_LOG";

/// The program `hawser`.
#[must_use]
pub fn hawser() -> ExitCode {
    let cli = Cli::parse();
    if let Some(parent) = cli.exit_with_parent {
        match &cli.command {
            Command::Target(_) => parent::end_after(parent),
            _ => {
                if let Err(error) = parent::end_with(parent) {
                    return finish("hawser", Err(error));
                }
            }
        }
    }
    let daemon = || Daemon::new(cli.socket.clone());
    let done = match cli.command {
        Command::Daemon(args) => return run_daemon("hawser", cli.socket, args),
        Command::Iscsicli(args) => return run_iscsicli(cli.socket, args),
        Command::Target(args) => match args.command {
            None => return run_target(target_words(std::env::args_os())),
            Some(command) => wait_for(commands::target(&daemon(), command)),
        },
        Command::Ask(command) => wait_for(commands::ask(&daemon(), command)),
        Command::Bench(args) => wait_for(bench::run(&daemon(), *args)),
        Command::Demo(args) => wait_for(demo::run(args)),
        Command::Completions(args) => completions::print(&args),
        Command::Man(args) => manual_pages(&args.directory),
    };
    finish("hawser", done)
}

/// The program `hawserd`.
#[must_use]
pub fn daemon() -> ExitCode {
    let program = DaemonProgram::parse();
    run_daemon("hawserd", program.socket, program.daemon)
}

/// The program `hawser-target`.
#[must_use]
pub fn target() -> ExitCode {
    run_target(std::env::args_os().collect())
}

/// The program `iscsicli`.
#[must_use]
pub fn iscsicli() -> ExitCode {
    let program = IscsicliProgram::parse();
    run_iscsicli(program.socket, program.iscsicli)
}

fn run_iscsicli(socket: Option<PathBuf>, args: IscsicliArgs) -> ExitCode {
    windows::run(socket, args.json, args.words)
}

/// Says on stderr why it failed, and how the program ends.
fn finish(program: &str, done: Result<(), CliError>) -> ExitCode {
    progress::end();
    let Err(error) = done else {
        return Exit::Done.into();
    };
    if error.exit() != Exit::Done {
        // A stderr that cannot be written to leaves nobody to tell.
        drop(io::stderr().write_all(error.report(program).as_bytes()));
    }
    error.exit().into()
}

/// Runs one command to its end on this thread.
fn wait_for(work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    single_threaded()?.block_on(work)
}

fn single_threaded() -> Result<Runtime, CliError> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| CliError::io("cannot start", &error))
}

/// Runs the daemon until it is asked to stop.
fn run_daemon(program: &str, socket: Option<PathBuf>, args: DaemonArgs) -> ExitCode {
    start_log();
    finish(program, daemon_to_its_end(socket, args))
}

fn daemon_to_its_end(socket: Option<PathBuf>, args: DaemonArgs) -> Result<(), CliError> {
    let export = args.export.as_deref().map(str::parse).transpose();
    let socket = socket.filter(|path| !path.as_os_str().is_empty());
    let overrides = hawser_daemon::Overrides {
        config: args.config,
        state_dir: args.state_dir.as_deref().map(absolute).transpose()?,
        runtime_dir: args.runtime_dir.as_deref().map(absolute).transpose()?,
        socket: socket.as_deref().map(absolute).transpose()?,
        export: export.map_err(|error| CliError::usage(format!("--export: {error}")))?,
    };
    let config = hawser_daemon::Config::load(&overrides)
        .map_err(|error| CliError::usage(with_causes(&error)))?;
    // Before the first thread is started: it counts for those that this one starts.
    hawser_daemon::become_io_flusher();
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::io("cannot start", &error))?;
    let done = runtime.block_on(hawser_daemon::run(config));
    done.map_err(|error| CliError::new(exit_of(&error), with_causes(&error)))
}

/// The path from the root: what the daemon shows and stores must not depend on where it was started.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path)
        .map_err(|error| CliError::io(format!("no absolute path for {}", path.display()), &error))
}

/// How the program ends when the daemon fails so.
fn exit_of(error: &hawser_daemon::RunError) -> Exit {
    if error.is_in_use() {
        Exit::InUse
    } else {
        Exit::Failed
    }
}

/// An error and what caused it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// Begins to log to stderr, without times where the journal adds its own.
fn start_log() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let begun = if journal {
        builder.without_time().try_init()
    } else {
        builder.try_init()
    };
    // There is a log already: fine.
    drop(begun);
}

/// Runs the target until it is asked to stop.
fn run_target(words: Vec<OsString>) -> ExitCode {
    start_log();
    match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(hawser_target::program::main_from_args(
            words,
            forward::connect,
        )),
        Err(error) => finish("hawser-target", Err(CliError::io("cannot start", &error))),
    }
}

/// The words of `hawser target WORDS…` as those of the program `hawser-target`.
fn target_words(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut rest = words.skip(1).skip_while(|word| word != "target");
    drop(rest.next());
    std::iter::once(OsString::from("hawser target"))
        .chain(rest)
        .collect()
}

/// Section of the manual for the commands of users.
const USER_SECTION: &str = "1";
/// Section of the manual for services. `hawser-target(1)` is the command `hawser target`.
const SERVICE_SECTION: &str = "8";

/// The page of `iscsicli`, which is no service.
fn iscsicli_page(section: &Path) -> io::Result<()> {
    let path = section.join(format!("iscsicli.{USER_SECTION}"));
    write_page(&path, IscsicliProgram::command(), USER_SECTION)
}

fn write_page(path: &Path, program: clap::Command, section: &str) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(program)
        .section(section)
        .render(&mut page)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path);
    file?.write_all(&page)
}

/// `hawser man`: one page a command, and those of the services, each in the directory of its section.
fn manual_pages(directory: &Path) -> Result<(), CliError> {
    let failed = |error: &io::Error| {
        CliError::io(
            format!("cannot write manual pages to {}", directory.display()),
            error,
        )
    };
    let section = |number: &str| {
        let section = directory.join(format!("man{number}"));
        match std::fs::create_dir(&section) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(&error)),
            _ => Ok(section),
        }
    };
    let commands = section(USER_SECTION)?;
    clap_mangen::generate_to(Cli::command(), &commands).map_err(|error| failed(&error))?;
    iscsicli_page(&commands).map_err(|error| failed(&error))?;
    let services = section(SERVICE_SECTION)?;
    let programs = [
        DaemonProgram::command(),
        hawser_target::program::Options::command(),
    ];
    for program in programs {
        let path = services.join(format!("{}.{SERVICE_SECTION}", program.get_name()));
        write_page(&path, program, SERVICE_SECTION).map_err(|error| failed(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_target_begin_after_its_name() {
        let words = [
            "hawser",
            "--exit-with-parent=7",
            "target",
            "--target",
            "iqn.a",
            "--lun",
            "ram:1M",
        ];
        let rest = target_words(words.iter().map(OsString::from));
        assert_eq!(
            rest,
            ["hawser target", "--target", "iqn.a", "--lun", "ram:1M"]
        );
    }

    #[test]
    fn every_command_has_a_manual_page() {
        let directory = tempfile::tempdir().expect("temp dir");
        manual_pages(directory.path()).expect("written");
        for page in [
            "man1/hawser.1",
            "man1/hawser-disk-list.1",
            "man1/hawser-target.1",
            "man1/hawser-target-add.1",
            "man1/hawser-iscsicli.1",
            "man1/iscsicli.1",
            "man8/hawserd.8",
            "man8/hawser-target.8",
        ] {
            let text = std::fs::read_to_string(directory.path().join(page)).expect(page);
            assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
            let (_, section) = page.rsplit_once('.').expect("has one");
            let title = text.lines().find(|line| line.starts_with(".TH "));
            assert_eq!(
                title.and_then(|line| line.split(' ').nth(2)),
                Some(section),
                "{page}"
            );
        }
        assert!(!directory.path().join("man1/hawserd.1").exists());
        manual_pages(directory.path()).expect("written again");
        assert!(manual_pages(Path::new("/no/such/directory")).is_err());
    }

    #[test]
    fn the_units_name_manual_pages_that_there_are() {
        let directory = tempfile::tempdir().expect("temp dir");
        manual_pages(directory.path()).expect("written");
        let units = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/systemd");
        let mut named = 0;
        for unit in std::fs::read_dir(units).expect("is there") {
            let text = std::fs::read_to_string(unit.expect("read").path()).expect("read");
            let documented = text
                .lines()
                .filter_map(|l| l.strip_prefix("Documentation="));
            for page in documented.flat_map(str::split_whitespace) {
                let page = page.strip_prefix("man:").and_then(|p| p.strip_suffix(')'));
                let (name, section) = page.and_then(|p| p.split_once('(')).expect("is a page");
                let path = format!("man{section}/{name}.{section}");
                assert!(directory.path().join(&path).exists(), "{path}");
                named += 1;
            }
        }
        assert!(named >= 3, "{named}");
    }

    #[test]
    fn causes_are_told_once() {
        let error = CliError::io("x", &io::Error::other("y"));
        assert!(error.report("hawser").contains("x: y"));
        let error = io::Error::other(io::Error::other("inner"));
        assert_eq!(with_causes(&error), "inner");
    }
}
