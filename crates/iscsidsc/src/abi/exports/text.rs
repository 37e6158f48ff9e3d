//! What a status means: ours, beside the functions of Windows, where `FormatMessage` tells it (§1.2).

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::sync::LazyLock;

use hawser_api::Status;

use crate::abi::types::ISDSC_STATUS;

/// The texts of the table of statuses, with NULs at their ends.
static TEXTS: LazyLock<BTreeMap<u32, CString>> = LazyLock::new(|| {
    Status::ALL
        .iter()
        .filter_map(|info| Some((info.status.code(), CString::new(info.text).ok()?)))
        .collect()
});

/// What a status means: a sentence in English, UTF-8, valid for ever, never NULL.
#[unsafe(no_mangle)]
pub extern "system" fn IScsiStatusText(Status: ISDSC_STATUS) -> *const c_char {
    let text = std::panic::catch_unwind(|| TEXTS.get(&Status).map(CString::as_c_str));
    let unknown: &CStr = c"A status without a name.";
    text.ok().flatten().unwrap_or(unknown).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_text_and_so_has_any_other_number() {
        for info in Status::ALL {
            // SAFETY: it is a static text with a NUL.
            let text = unsafe { CStr::from_ptr(IScsiStatusText(info.status.code())) };
            assert_eq!(text.to_str(), Ok(info.text));
        }
        // SAFETY: as above.
        let text = unsafe { CStr::from_ptr(IScsiStatusText(0xdead_beef)) };
        assert_eq!(text.to_str(), Ok(Status::from_code(0xdead_beef).text()));
    }
}
