//! What is printed: tables for people, JSON for programs. Texts of others are made harmless here.

mod detail;
mod json;
mod lun;
mod table;
mod text;

use std::io::{self, Write};

pub(crate) use detail::Details;
pub(crate) use json::{to_json, to_json_line};
pub(crate) use lun::ShownLun;
pub(crate) use table::Listing;
pub(crate) use text::{bytes, change, or_dash, time, warning};

use crate::error::CliError;
use crate::exit::Exit;
use crate::progress;

/// Writes a text to stdout, with a line end if it has none. A reader that has gone, as `head` does,
/// is no failure.
///
/// # Errors
/// stdout cannot be written to.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    progress::end();
    let mut out = io::stdout().lock();
    let line_end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    match write!(out, "{text}{line_end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(reader_gone()),
        Err(error) => Err(CliError::io("cannot write to stdout", &error)),
        Ok(()) => Ok(()),
    }
}

/// Ends a command whose reader has gone: quietly, and as done.
fn reader_gone() -> CliError {
    CliError::new(Exit::Done, String::new())
}

/// Writes a note to stderr, which people see and programs do not read.
pub(crate) fn note(text: &str) {
    progress::end();
    // A stderr that cannot be written to leaves nobody to tell.
    drop(writeln!(
        io::stderr().lock(),
        "{}",
        hawser_api::printable(text)
    ));
}
