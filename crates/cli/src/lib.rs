//! The program `hawser`, and the thin programs `hawserd`, `hawser-target` and `iscsicli`.
//!
//! `args` says what can be typed, `commands` asks the daemon and prints, `bench` drives the engine
//! itself, `iscsicli` speaks as the program of that name on Windows does, `demo` shows the main job on a target of its own,
//! `programs` starts daemon and target, `forward` is the far side of a target that forwards, `completions` tells shells what can be typed.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod commands;
mod completions;
mod demo;
mod error;
mod exit;
mod forward;
mod iscsicli;
mod output;
mod parent;
mod programs;
mod progress;
mod secret;

pub use args::{Cli, DaemonProgram, IscsicliProgram};
pub use programs::{daemon, hawser, iscsicli, target};
