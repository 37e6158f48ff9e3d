//! The engine against peers that mean harm: a named error, in bounded time and memory, never a panic.
//! Each offence is a row of `docs/hostile-peers.md` and a test of its name.

mod chap;
mod connections;
mod data;
mod discovery;
mod disks;
mod floods;
mod framing;
mod level_1;
mod level_2;
mod login;
mod measure;
mod negotiation;
mod peer;
mod rig;
mod table;
mod windows;
