//! The program `hawser`, and the thin programs `hawserd` and `hawser-target`.
//!
//! `args` says what can be typed, `commands` asks the daemon and prints, `bench` drives the engine
//! itself, `demo` shows the main job on a target of its own, `programs` starts daemon and target.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod commands;
mod demo;
mod error;
mod exit;
mod output;
mod parent;
mod programs;
mod progress;
mod secret;

pub use args::{Cli, DaemonProgram};
pub use programs::{daemon, hawser, target};
