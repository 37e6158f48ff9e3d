//! What a status means: ours, beside the functions of Windows, where `FormatMessage` tells it (§1.2).

use std::ffi::c_char;

use hawser_api::Status;

use crate::abi::types::ISDSC_STATUS;

/// What a status means: a sentence in English, UTF-8, valid for ever, never NULL. It takes no lock and makes nothing, so
/// that a child may call it whatever other threads did at the fork.
#[unsafe(no_mangle)]
pub extern "system" fn IScsiStatusText(Status: ISDSC_STATUS) -> *const c_char {
    Status::from_code(Status).c_text().as_ptr()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn every_status_has_a_text_and_so_has_any_other_number() {
        for info in Status::ALL {
            let told = IScsiStatusText(info.status.code());
            // SAFETY: it is a static text with a NUL.
            let text = unsafe { CStr::from_ptr(told) };
            assert_eq!(text.to_str(), Ok(info.text));
            // A copy would be made when it is first asked for, behind a lock that a fork may leave taken.
            assert_eq!(told, info.c_text.as_ptr(), "{info:?}");
        }
        // SAFETY: as above.
        let text = unsafe { CStr::from_ptr(IScsiStatusText(0xdead_beef)) };
        assert_eq!(text.to_str(), Ok(Status::from_code(0xdead_beef).text()));
    }
}
