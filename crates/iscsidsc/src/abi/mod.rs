//! The C ABI of the library: the only place of this crate with `unsafe` in it.

pub mod constants;
pub mod types;
