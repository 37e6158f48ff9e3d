//! The exported functions, one file for each family of §2.
//!
//! What holds for all of them:
//! - A pointer is NULL where the header allows it, or leads to memory that can be read, and written if the call writes
//!   there, for as long as the call runs. It need not be aligned. A text ends with a NUL; a buffer has at least as much
//!   room as its size says, or as the report takes.
//! - NULL where something must be given is `ERROR_INVALID_PARAMETER`.
//! - Nothing is written before the call has succeeded in the service, apart from sizes and counts.
//! - A panic ends as `ISDSC_NON_SPECIFIC_ERROR`.

#![allow(non_snake_case)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use hawser_api::Status;

use crate::api::Library;

mod discovery;
mod initiator;
mod isns;
mod persistent_devices;
mod persistent_logins;
mod radius;
mod scsi;
mod security;
mod sessions;
mod targets;
mod text;

pub use discovery::*;
pub use initiator::*;
pub use isns::*;
pub use persistent_devices::*;
pub use persistent_logins::*;
pub use radius::*;
pub use scsi::*;
pub use security::*;
pub use sessions::*;
pub use targets::*;
pub use text::IScsiStatusText;

/// What a function has to say: success or a warning, or an error.
type Answer = Result<Status, Status>;

const DONE: Answer = Ok(Status::ERROR_SUCCESS);

/// The service that the environment names.
static LIBRARY: Library = Library::new();

/// Turns the answer of `call` into what C gets; no panic gets out (§1.2).
fn guard(call: impl FnOnce() -> Answer) -> u32 {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(status) | Err(status)) => status.code(),
        Err(payload) => {
            // Dropping it could panic again.
            std::mem::forget(payload);
            Status::NON_SPECIFIC_ERROR.code()
        }
    }
}

/// Exports pairs of functions: `NameA / NameW = body(parameters)`. The body is generic over the width `C` of a
/// character, by which the parameters may be typed.
macro_rules! export_pairs {
    ($(
        $(#[$doc:meta])*
        $ansi:ident / $wide:ident = $body:ident($($parameter:ident: $type:ty),* $(,)?);
    )*) => {
        pub use ansi::*;
        pub use wide::*;

        mod ansi {
            use super::*;
            /// A character of UTF-8.
            type C = u8;
            $($crate::abi::exports::export!($(#[$doc])* $ansi = $body($($parameter: $type),*));)*
        }

        mod wide {
            use super::*;
            /// A character of UTF-16.
            type C = u16;
            $($crate::abi::exports::export!($(#[$doc])* $wide = $body($($parameter: $type),*));)*
        }
    };
}
use export_pairs;

/// Exports one function: `Name = body(parameters)`.
macro_rules! export {
    ($(#[$doc:meta])* $name:ident = $body:ident($($parameter:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// The pointers are as the documentation of [`exports`](crate::abi::exports) says.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($parameter: $type),*) -> $crate::abi::types::ISDSC_STATUS {
            $crate::abi::exports::guard(|| {
                // SAFETY: the body asks for what this function asks of its caller, with the same pointers.
                unsafe { $body($($parameter),*) }
            })
        }
    };
}
use export;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_and_errors_are_told_as_they_are() {
        assert_eq!(guard(|| DONE), 0);
        assert_eq!(guard(|| Ok(Status::SHORT_CHAP_SECRET)), 0xafff_0048);
        assert_eq!(guard(|| Err(Status::TARGET_NOT_FOUND)), 0xefff_0029);
    }

    #[test]
    fn a_panic_is_an_error_even_if_its_payload_panics_too() {
        struct Spiteful;
        impl Drop for Spiteful {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let status = guard(|| std::panic::panic_any(Spiteful));
        assert_eq!(status, Status::NON_SPECIFIC_ERROR.code());
    }
}
