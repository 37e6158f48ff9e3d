//! Launchers of foreign servers and runners of foreign tools.
//!
//! A mock that we wrote agrees with us; these programs do not have to. Each launcher starts one real
//! server on a private port with private files, waits until it serves, and ends it when it is dropped,
//! also when the test process itself is killed. Nothing here waits for a fixed time: every wait polls a
//! condition until a deadline and says at the deadline what it waited for.
//!
//! All calls block. From async tests call them directly in a multi-threaded runtime (they take tens of
//! milliseconds) or through `spawn_blocking`.

mod error;
mod fio;
mod istgt;
mod libiscsi;
mod port;
mod programs;
mod qemu_img;
mod server;
mod tgt;
mod tool;
mod wait;

pub use error::PeerError;
pub use fio::{FioJob, FioReport};
pub use istgt::{Istgt, IstgtConfig, IstgtTarget};
pub use libiscsi::{
    IscsiUrl, PerfReport, TestCuCase, TestCuReport, TestCuVerdict, iscsi_inquiry, iscsi_list,
    iscsi_perf, iscsi_test_cu,
};
pub use port::free_port;
pub use programs::{DebianProgram, debian_programs, find_program};
pub use qemu_img::{qemu_img_compare, qemu_img_convert, qemu_img_info};
pub use tgt::{Backing, TgtConfig, TgtLun, TgtTarget, Tgtd};
pub use tool::{Tool, ToolOutput};
pub use wait::wait_until;

/// A CHAP user and secret, as a test configures them on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChapAccount {
    /// CHAP_N.
    pub user: String,
    /// The secret; 12 bytes or more, as RFC 7143 section 9.2.1 asks where IPsec is not in use.
    pub secret: String,
}

impl ChapAccount {
    /// An account of `user` with `secret`.
    #[must_use]
    pub fn new(user: &str, secret: &str) -> Self {
        Self {
            user: user.to_owned(),
            secret: secret.to_owned(),
        }
    }
}
