//! Scripted peers, virtual time and launchers of foreign servers for tests.
#![forbid(unsafe_code)]

pub mod peers;
pub mod proxy;
pub mod scripted;
