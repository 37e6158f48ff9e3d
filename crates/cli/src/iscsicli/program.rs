//! Runs one command, or those that come on the standard input.

use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hawser_api::v1::GetNodeNameRequest;
use hawser_api::{Client, Failure, Status, find_socket};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::commands;
use super::line::split;
use super::page::{Page, shown};
use super::stop::{Answer, Stop};
use super::usage;
use crate::error::CliError;
use crate::output::{to_json, to_json_line};

/// Words that ask for the usage and are no mistake.
const HELP_WORDS: [&str; 4] = ["help", "/?", "-?", "?"];

/// Longest line of the interactive mode, in bytes.
const MAX_LINE_LEN: usize = 4096;

/// The word that asks for JSON, before the command or as the last word.
const JSON_WORD: &str = "--json";

/// The line for success, without its trailing blank: scripts look for this sentence.
const SUCCESS: &str = "The operation completed successfully.";

/// Where the daemon is, and how answers are printed.
#[derive(Debug)]
struct Program {
    socket: Option<PathBuf>,
    json: bool,
    runtime: Runtime,
}

/// Runs the command of these words; without any, those on the standard input.
pub(crate) fn run(socket: Option<PathBuf>, json: bool, words: Vec<OsString>) -> ExitCode {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return tell(&CliError::io("cannot start", &error)),
    };
    let mut program = Program {
        socket: socket.filter(|path| !path.as_os_str().is_empty()),
        json,
        runtime,
    };
    let words: Result<Vec<String>, OsString> =
        words.into_iter().map(OsString::into_string).collect();
    let done = match words {
        Ok(mut words) => {
            program.json |= take_json_word(&mut words);
            program.start(&words)
        }
        Err(word) => program.finish(&Done::failed(
            "",
            Failure::new(
                Status::ERROR_INVALID_PARAMETER,
                format!("{} is not UTF-8", word.display()),
            ),
        )),
    };
    match done {
        Ok(status) => exit_code(status),
        // A reader that has gone, as `head` does, is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => tell(&CliError::io("cannot write to stdout", &error)),
    }
}

/// Takes the last word away if it asks for JSON.
fn take_json_word(words: &mut Vec<String>) -> bool {
    words.pop_if(|word| word == JSON_WORD).is_some()
}

fn tell(error: &CliError) -> ExitCode {
    // A stderr that cannot be written to leaves nobody to tell.
    drop(io::stderr().write_all(error.report("iscsicli").as_bytes()));
    error.exit().into()
}

/// How the program ends: the low byte of the status, which is all that a process can give here; never 0
/// for what is not success.
fn exit_code(status: Status) -> ExitCode {
    ExitCode::from(exit_number(status))
}

pub(super) fn exit_number(status: Status) -> u8 {
    let [low, ..] = status.code().to_le_bytes();
    if low == 0 && !status.is_success() {
        return 1;
    }
    low
}

/// The text of a status, as it stands on the last line, with its trailing blank.
pub(super) fn status_text(status: Status) -> String {
    match status.info() {
        _ if status.is_success() => format!("{SUCCESS} "),
        Some(info) => format!("{} ", info.text),
        None => format!("Status: 0x{:x}", status.code()),
    }
}

/// What a command came to.
#[derive(Debug)]
pub(super) struct Done {
    command: String,
    pub(super) status: Status,
    pub(super) page: Page,
    json: Value,
    failure: Option<Failure>,
    pub(super) notes: Vec<String>,
}

impl Done {
    fn failed(command: &str, failure: Failure) -> Self {
        Self::stopped(command, failure.into(), Vec::new())
    }

    /// A command that was carried out.
    pub(super) fn answered(command: &str, answer: Answer, mut notes: Vec<String>) -> Self {
        notes.extend(answer.notes);
        Self {
            command: command.to_owned(),
            status: Status::from_code(answer.warning),
            page: answer.page,
            json: answer.json,
            failure: None,
            notes,
        }
    }

    /// A command that was not.
    pub(super) fn stopped(command: &str, stop: Stop, mut notes: Vec<String>) -> Self {
        let mut page = Page::default();
        let mut failure = None;
        match stop {
            Stop::Usage(why) => {
                notes.extend((!why.is_empty()).then(|| format!("nothing was done: {why}")));
                page = match commands::find(command) {
                    Some(command) => usage::of(command),
                    None => usage::whole(),
                };
            }
            Stop::Said(line) => {
                notes.push(format!("nothing was done: {line}"));
                page.line(line);
            }
            Stop::Failed {
                page: said,
                failure: why,
            } => {
                page = said;
                failure = Some(why);
            }
        }
        Self {
            command: command.to_owned(),
            status: failure
                .as_ref()
                .map_or(Status::ERROR_SUCCESS, |why| why.status),
            page,
            json: Value::Null,
            failure,
            notes,
        }
    }

    /// What is printed on stdout: what the command says, then the status.
    pub(super) fn text(&self) -> String {
        format!("{}{}\n", self.page.text(), status_text(self.status))
    }

    /// The same in JSON.
    fn to_value(&self) -> Value {
        let error = self.failure.as_ref().map(|failure| {
            json!({
                "message": failure.message,
                "target": failure.target,
                "portal": failure.portal,
                "peer_said": failure.peer_said,
                "advice": failure.advice,
            })
        });
        json!({
            "command": self.command,
            "status": self.status.code(),
            "status_name": self.status.name(),
            "status_text": status_text(self.status).trim_end(),
            "result": self.json,
            "error": error,
            "notes": self.notes,
        })
    }

    /// What is printed on stderr, where nothing looks that parses the output: why it failed, with the
    /// number of the status, and what a person should know.
    fn told(&self) -> String {
        let notes = self
            .notes
            .iter()
            .map(|note| format!("iscsicli: {}\n", shown(note)));
        let mut told: String = notes.collect();
        if let Some(failure) = &self.failure {
            told.push_str(&CliError::from(failure.clone()).report("iscsicli"));
        } else if self.status.is_warning() {
            told.push_str(&format!("iscsicli: {}\n", self.status));
        }
        told
    }
}

/// The lines before everything else, with the words that scripts expect there.
pub(super) fn banner(major: &str, minor: &str, build: &str) -> Page {
    let mut page = Page::default();
    page.line(format!(
        "Microsoft iSCSI Initiator Version {major}.{minor} Build {build}"
    ));
    page.blank();
    page
}

/// The banner of this program: the version is ours.
fn own_banner() -> Page {
    banner(
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    )
}

impl Program {
    fn start(&self, words: &[String]) -> io::Result<Status> {
        if !self.json {
            print(own_banner().text())?;
        }
        if words.is_empty() {
            return self.interactive();
        }
        self.finish(&self.carry_out(words))
    }

    /// Reads commands until there are no more, each after a line that says who we are. Without an
    /// answer to that it ends.
    fn interactive(&self) -> io::Result<Status> {
        let mut input = io::stdin().lock();
        let mut last = Status::ERROR_SUCCESS;
        loop {
            let name = match self.node_name() {
                Ok(name) => name,
                Err(failure) => return self.no_node_name(failure),
            };
            if !self.json {
                print(&format!("[{}] Enter command or ^C to exit\n", shown(&name)))?;
            }
            let Some(line) = next_line(&mut input)? else {
                return Ok(last);
            };
            last = match line {
                Ok(line) => {
                    // There may be a secret in it.
                    let words = Zeroizing::new(split(&line));
                    self.finish(&self.carry_out(&words))?
                }
                Err(failure) => self.finish(&Done::failed("", failure))?,
            };
        }
    }

    fn no_node_name(&self, failure: Failure) -> io::Result<Status> {
        let status = failure.status;
        let done = Done::failed("", failure);
        drop(io::stderr().write_all(done.told().as_bytes()));
        if self.json {
            print(&format!("{}\n", to_json_line(&done.to_value())))?;
        } else {
            print(&format!(
                "Error getting node name: {}\n",
                status_text(status)
            ))?;
        }
        Ok(status)
    }

    fn node_name(&self) -> Result<String, Failure> {
        self.runtime.block_on(async {
            let client = connect(self.socket.as_deref()).await?;
            let answer = client.system().get_node_name(GetNodeNameRequest {}).await?;
            Ok(answer.into_inner().node_name)
        })
    }

    /// Carries out one command. What is wrong with its words is told before the daemon is asked.
    fn carry_out(&self, words: &[String]) -> Done {
        let Some((name, words)) = words.split_first() else {
            return Done::stopped("", Stop::Usage("no command".to_owned()), Vec::new());
        };
        let Some(command) = commands::find(name) else {
            return Done::stopped(name, no_such(name), Vec::new());
        };
        let (request, notes) = match command.read(words) {
            Ok(read) => read,
            Err(stop) => return Done::stopped(command.name, stop, Vec::new()),
        };
        let answer = self.runtime.block_on(async {
            let client = connect(self.socket.as_deref()).await?;
            request.send(&client).await
        });
        match answer {
            Ok(answer) => Done::answered(command.name, answer, notes),
            Err(stop) => Done::stopped(command.name, stop, notes),
        }
    }

    /// Prints what a command came to.
    fn finish(&self, done: &Done) -> io::Result<Status> {
        drop(io::stderr().write_all(done.told().as_bytes()));
        if self.json {
            print(&to_json(&done.to_value()))?;
        } else {
            print(&done.text())?;
        }
        Ok(done.status)
    }
}

/// Why a command that there is not stops: for nothing, if it asks for the usage.
fn no_such(name: &str) -> Stop {
    if HELP_WORDS
        .iter()
        .any(|word| word.eq_ignore_ascii_case(name))
    {
        return Stop::Usage(String::new());
    }
    Stop::Usage(format!("there is no command {name}"))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

async fn connect(socket: Option<&Path>) -> Result<Client, Failure> {
    let socket = find_socket(socket).map_err(|error| {
        Failure::new(Status::SERVICE_NOT_RUNNING, error.to_string())
            .with_advice("name the daemon's socket with --socket or HAWSER_SOCKET")
    })?;
    Ok(Client::connect(&socket).await?)
}

/// The next line, or that it is none that can be read; `None` at the end.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<Zeroizing<String>, Failure>>> {
    let invalid = |why: String| Failure::new(Status::ERROR_INVALID_PARAMETER, why);
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_LINE_LEN).unwrap_or(u64::MAX);
    input.by_ref().take(limit).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() == MAX_LINE_LEN && line.last() != Some(&b'\n') {
        skip_line(input)?;
        let why = format!("a line has {} bytes at most", MAX_LINE_LEN - 1);
        return Ok(Some(Err(invalid(why))));
    }
    let text = String::from_utf8(line).map(Zeroizing::new);
    Ok(Some(
        text.map_err(|_| invalid("the line is not UTF-8".to_owned())),
    ))
}

/// Reads on to the end of the line and keeps nothing.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (read, is_over) = match end {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(read);
        if is_over {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_too_long_are_refused_whole() {
        let long = format!("{}\nListTargets\n", "x".repeat(3 * MAX_LINE_LEN));
        let mut input = io::BufReader::with_capacity(100, long.as_bytes());
        let first = next_line(&mut input).expect("read").expect("is there");
        assert_eq!(
            first.expect_err("too long").status,
            Status::ERROR_INVALID_PARAMETER
        );
        let second = next_line(&mut input).expect("read").expect("is there");
        assert_eq!(*second.expect("is well"), "ListTargets\n");
        assert!(next_line(&mut input).expect("read").is_none());
        let mut wrong = &b"\xff\n"[..];
        assert!(
            next_line(&mut wrong)
                .expect("read")
                .expect("is there")
                .is_err()
        );
        let mut last = &b"no line end"[..];
        let line = next_line(&mut last).expect("read").expect("is there");
        assert_eq!(*line.expect("is well"), "no line end");
    }

    #[test]
    fn the_exit_code_is_the_low_byte_and_never_that_of_success() {
        let cases = [
            (Status::ERROR_SUCCESS, 0),
            (Status::ERROR_INVALID_PARAMETER, 87),
            (Status::TARGET_NOT_FOUND, 0x29),
            (Status::SHORT_CHAP_SECRET, 0x48),
            (Status::WSAECONNREFUSED, 77),
            (Status::from_code(0xefff_0100), 1),
        ];
        for (status, number) in cases {
            assert_eq!(exit_number(status), number, "{status}");
        }
        for info in Status::ALL {
            assert_eq!(exit_number(info.status) == 0, info.status.is_success());
        }
    }

    #[test]
    fn the_json_word_may_be_the_last() {
        let mut words = vec!["ListTargets".to_owned(), "--json".to_owned()];
        assert!(take_json_word(&mut words));
        assert_eq!(words, ["ListTargets"]);
        assert!(!take_json_word(&mut words));
    }
}
