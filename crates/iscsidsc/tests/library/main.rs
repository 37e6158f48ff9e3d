//! The calls of the Rust API against the daemon that ships, with our own target and with tgt behind it.

mod abi_examples;
mod discovery;
mod example;
mod fork;
mod persistent;
mod restarts;
mod scsi;
mod security;
mod sessions;
mod support;
mod threads;
