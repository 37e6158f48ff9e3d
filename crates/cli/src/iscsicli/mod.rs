//! `hawser iscsicli`, and the program `iscsicli`: the command grammar and the output of the program of
//! that name on Windows, so that scripts which drive it work here.
//!
//! `commands` has one description a command: its name, its parameters with their kinds, and what makes a
//! request of their values. `values` reads words by those descriptions, without asking anybody. The
//! families (`discovery`, `targets`, `sessions`, …) hold the requests, send them and lay out the answers;
//! `page` has the lines that several of them print. `program` runs one command, or reads them from stdin.
//!
//! Labels, columns and trailing blanks are what scripts look for: they stay as they are. Sentences are
//! our own. What Windows does silently and a person should know goes to stderr.

mod commands;
mod devices;
mod discovery;
mod initiator;
mod isns;
mod line;
mod options;
mod page;
mod persistent;
mod program;
mod scsi;
mod security;
mod sessions;
mod stop;
mod targets;
mod usage;
mod values;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use program::run;

/// The commands, in the order of the usage: their names and what they do.
pub(crate) fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    commands::ALL
        .iter()
        .map(|command| (command.name, command.does))
}
