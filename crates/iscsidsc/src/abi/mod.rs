//! The C ABI of the library: the only place of this crate with `unsafe` in it.
//!
//! A call goes through these in order: [`exports`] has the functions that C programs link to, `input` and `strings` copy
//! what their pointers lead to, [`crate::api`] does the work, and `pack` writes the answer into the caller's
//! memory by the rules of §1.3. `process` asks the system for what needs `unsafe` too. ("§" is a section of the fact sheet on `iscsidsc.h` that the project works from.)

pub mod constants;
pub mod exports;
mod input;
mod pack;
pub(crate) mod process;
mod strings;
pub mod types;
