//! The iSCSI Discovery Library for systems that are not Windows.
//!
//! Two faces of one thing:
//! - [`api`], for Rust: owned types and `Result<_, Status>`. It knows no pointer.
//! - [`abi`], for C: the 79 functions of `include/iscsidsc.h`, exported from `libiscsidsc.so`, on top of [`api`].
//!
//! Both are blocking clients of the daemon's RPC (`client`).

pub mod abi;
#[deny(unsafe_code)]
pub mod api;
#[deny(unsafe_code)]
mod client;
