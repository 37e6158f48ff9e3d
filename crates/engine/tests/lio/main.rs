//! The engine against LIO, the iSCSI target of the Linux kernel, in a virtual machine.
//!
//! `cargo xtask vm lio` boots the machine that `tests/vm/guest/lio` sets up and runs these tests with its
//! address in `HAWSER_LIO`. They stand behind a feature of the crate because nothing else can start that
//! machine: `cargo test` does not build them, so that it neither fails nor skips them. They share the disks of
//! one machine and run with `--test-threads=1`.

#[allow(
    dead_code,
    reason = "the tests against tgt and istgt need more of it than these"
)]
#[path = "../foreign/support.rs"]
mod support;

mod alone;
mod connections;
mod faults;
mod io;
mod load;
mod login;
mod machine;
mod recovery;
mod through;
