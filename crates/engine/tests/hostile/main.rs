//! The engine against peers that mean harm: a named error, in bounded time and memory, never a panic.
//! The peer is raw bytes, with constants of its own.

mod discovery;
mod floods;
mod framing;
mod login;
mod peer;
