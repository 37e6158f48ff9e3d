//! A small real iSCSI target for demos and tests.
#![forbid(unsafe_code)]

pub mod disk;
