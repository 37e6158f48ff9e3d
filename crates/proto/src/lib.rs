//! The sans-IO core of iSCSI (RFC 7143): everything that needs no socket, clock or randomness.
//!
//! One grammar everywhere: `handle_*` takes input from the world, `poll_*` gives output to drain,
//! plain verbs are commands, and `now` is always an argument. Randomness is passed in.
//!
//! In the order of a connection's life: [`names`] and [`text`] say how things are written,
//! [`pdu`], [`digest`] and [`stream`] how they travel, [`chap`] and [`login`] how a connection
//! begins and [`parameters`] what it agreed on, [`discovery`] how targets are found, and [`session`]
//! how commands are carried out until they all have an answer.
#![forbid(unsafe_code)]
#![warn(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod chap;
pub mod digest;
pub mod discovery;
pub mod login;
pub mod names;
pub mod parameters;
pub mod pdu;
pub mod serial;
pub mod session;
pub mod stream;
pub mod text;
