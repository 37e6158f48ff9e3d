//! The one number that CLI, library and daemon say for an outcome: the Discovery Library's status.
use std::ffi::CStr;
use std::fmt;

use tonic::Code;

mod table;

/// Outcome of a call, as the Discovery Library returns it: 0, a Win32 code, a Winsock code or an `ISDSC_*` code.
///
/// Three number spaces share the 32 bits. In the `ISDSC_*` codes bits 31–30 are the severity: `0xEFFFxxxx` is
/// an error, `0xAFFFxxxx` a warning, and a warning means that the operation **was carried out**.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(u32);

/// A status with its name and meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusInfo {
    /// The status.
    pub status: Status,
    /// Its name in the header, such as `ISDSC_TARGET_NOT_FOUND`.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub text: &'static str,
    /// The same with a NUL at its end, for C.
    pub c_text: &'static CStr,
}

/// Text of a number that is no status.
const NAMELESS: &CStr = c"A status without a name.";

impl Status {
    /// The status with this number; every number is one, known by name or not.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        Self(code)
    }

    /// Its number.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.0
    }

    /// Name and meaning; `None` for a number that is not in [`Status::ALL`].
    #[must_use]
    pub fn info(self) -> Option<&'static StatusInfo> {
        Self::ALL.iter().find(|info| info.status == self)
    }

    /// The status with this name, as the header spells it; also with the names of
    /// [`Status::ALIASES`]. `None` if no status is called so.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|info| info.name == name);
        let alias = || Self::ALIASES.iter().find(|(alias, _)| *alias == name);
        known
            .map(|info| info.status)
            .or_else(|| alias().map(|(_, status)| *status))
    }

    /// Its name in the header, or `UNKNOWN_STATUS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().map_or("UNKNOWN_STATUS", |info| info.name)
    }

    /// What it means, in a sentence.
    #[must_use]
    pub fn text(self) -> &'static str {
        let nameless = || NAMELESS.to_str().unwrap_or_default();
        self.info().map_or_else(nameless, |info| info.text)
    }

    /// The same for C. It needs nothing to be made first, so that a process may ask at any moment, also after a fork.
    #[must_use]
    pub fn c_text(self) -> &'static CStr {
        self.info().map_or(NAMELESS, |info| info.c_text)
    }

    /// Done, without reservation.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 == 0
    }

    /// Done, with something to know about it.
    #[must_use]
    pub const fn is_warning(self) -> bool {
        self.0 >> 30 == 2
    }

    /// Not done.
    #[must_use]
    pub const fn is_error(self) -> bool {
        !self.is_success() && !self.is_warning()
    }

    /// The status for the status class and detail of a Login Response (RFC 7143 section 11.13.5).
    #[must_use]
    pub const fn from_login_status(class: u8, detail: u8) -> Self {
        match (class, detail) {
            (0, _) => Self::ERROR_SUCCESS,
            (1, 1) => Self::TARGET_MOVED_TEMPORARILY,
            (1, 2) => Self::TARGET_MOVED_PERMANENTLY,
            (2, 0) => Self::INITIATOR_ERROR,
            (2, 1) => Self::AUTHENTICATION_FAILURE,
            (2, 2) => Self::AUTHORIZATION_FAILURE,
            (2, 3) => Self::NOT_FOUND,
            (2, 4) => Self::TARGET_REMOVED,
            (2, 5) => Self::UNSUPPORTED_VERSION,
            (2, 6) => Self::TOO_MANY_CONNECTIONS,
            (2, 7) => Self::MISSING_PARAMETER,
            (2, 8) => Self::CANT_INCLUDE_IN_SESSION,
            (2, 9) => Self::SESSION_TYPE_NOT_SUPPORTED,
            (2, 10) => Self::INVALID_SESSION_ID,
            (3, 1) => Self::SERVICE_UNAVAILABLE,
            (3, 2) => Self::OUT_OF_RESOURCES,
            (3, _) => Self::TARGET_ERROR,
            _ => Self::LOGIN_FAILED,
        }
    }

    /// The gRPC code that fits best, for programs that know nothing of iSCSI.
    #[must_use]
    pub const fn grpc_code(self) -> Code {
        match self {
            Self::ERROR_SUCCESS => Code::Ok,
            Self::ERROR_ACCESS_DENIED | Self::RESTRICTED_BY_GROUP_POLICY => Code::PermissionDenied,
            Self::ERROR_INVALID_PARAMETER
            | Self::ERROR_INVALID_NAME
            | Self::INVALID_PARAMETER
            | Self::INVALID_ISCSI_NAME
            | Self::INVALID_CHAP_SECRET
            | Self::INVALID_TARGET_CHAP_SECRET
            | Self::INVALID_INITIATOR_CHAP_SECRET
            | Self::INVALID_CHAP_USER_NAME
            | Self::INVALID_LOGON_AUTH_TYPE
            | Self::INVALID_TARGET_MAPPING
            | Self::INVALID_PORT_NUMBER
            | Self::TARGET_MAPPING_OUT_OF_RANGE
            | Self::IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED
            | Self::IKE_ID_PAYLOAD_INCORRECT_SIZE
            | Self::LOGIN_USER_INFO_BAD => Code::InvalidArgument,
            Self::ERROR_FILE_NOT_FOUND
            | Self::ERROR_NOT_FOUND
            | Self::NOT_FOUND
            | Self::TARGET_NOT_FOUND
            | Self::PORTAL_NOT_FOUND
            | Self::INITIATOR_NOT_FOUND
            | Self::INITIATOR_INSTANCE_NOT_FOUND
            | Self::DISCOVERY_MECHANISM_NOT_FOUND
            | Self::INVALID_SESSION_ID
            | Self::INVALID_CONNECTION_ID
            | Self::ISNS_SERVER_NOT_FOUND
            | Self::NO_AUTH_INFO_AVAILABLE
            | Self::TARGET_PRESHAREDKEY_UNAVAILABLE
            | Self::DEVICE_NOT_FOUND => Code::NotFound,
            Self::ERROR_ALREADY_EXISTS
            | Self::TARGET_ALREADY_LOGGED_IN
            | Self::DEVICE_ALREADY_PERSISTENTLY_BOUND => Code::AlreadyExists,
            Self::ERROR_NOT_SUPPORTED
            | Self::ERROR_CALL_NOT_IMPLEMENTED
            | Self::REQUEST_NOT_SUPPORTED
            | Self::IPSEC_NOT_SUPPORTED_ON_OS => Code::Unimplemented,
            Self::ERROR_TIMEOUT | Self::PERSISTENT_LOGIN_TIMEOUT => Code::DeadlineExceeded,
            Self::ERROR_NOT_ENOUGH_MEMORY
            | Self::ERROR_DISK_FULL
            | Self::TOO_MANY_CONNECTIONS
            | Self::TOO_MANY_SESSIONS => Code::ResourceExhausted,
            Self::SERVICE_NOT_RUNNING | Self::RPC_S_SERVER_UNAVAILABLE => Code::Unavailable,
            Self::NON_SPECIFIC_ERROR | Self::DRIVER_BUG => Code::Internal,
            _ => Code::FailedPrecondition,
        }
    }
}

/// `ISDSC_TARGET_NOT_FOUND (0xefff0029)`; Win32 and Winsock codes in decimal.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >> 16 == 0 {
            write!(f, "{} ({})", self.name(), self.0)
        } else {
            write!(f, "{} ({:#010x})", self.name(), self.0)
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_code_of_the_header_once() {
        let iscsi: Vec<u32> = Status::ALL
            .iter()
            .map(|info| info.status.code())
            .filter(|code| code >> 16 != 0)
            .collect();
        let low: Vec<u32> = iscsi.iter().map(|code| code & 0xffff).collect();
        assert_eq!(
            low,
            (1..=0x68).collect::<Vec<u32>>(),
            "a gap, a double or the wrong order"
        );
        let warnings: Vec<u32> = iscsi
            .iter()
            .copied()
            .filter(|code| code >> 16 == 0xafff)
            .collect();
        assert_eq!(warnings, [0xafff_002e, 0xafff_003b, 0xafff_0048]);
        assert_eq!(
            iscsi.iter().filter(|code| *code >> 16 == 0xefff).count(),
            101
        );
    }

    #[test]
    fn names_are_unique_and_texts_are_sentences() {
        for (index, info) in Status::ALL.iter().enumerate() {
            assert!(info.text.ends_with('.') && info.text.len() > 7, "{info:?}");
            assert_eq!(info.c_text.to_str(), Ok(info.text));
            assert!(
                info.text
                    .starts_with(|c: char| c.is_uppercase() || c == 'i'),
                "{info:?}"
            );
            let doubles = Status::ALL[..index]
                .iter()
                .filter(|other| other.name == info.name);
            assert_eq!(doubles.count(), 0, "{info:?}");
            let is_iscsi = info.status.code() >> 16 != 0;
            assert_eq!(info.name.starts_with("ISDSC_"), is_iscsi, "{info:?}");
        }
    }

    // Values typed from the published header.
    #[test]
    fn well_known_codes_have_their_values() {
        assert_eq!(Status::CONNECTION_FAILED.code(), 0xefff_0003);
        assert_eq!(Status::AUTHENTICATION_FAILURE.code(), 0xefff_0009);
        assert_eq!(Status::TARGET_NOT_FOUND.code(), 0xefff_0029);
        assert_eq!(Status::TARGET_ALREADY_LOGGED_IN.code(), 0xefff_003f);
        assert_eq!(Status::DEVICE_BUSY_ON_SESSION.code(), 0xefff_0040);
        assert_eq!(Status::PERSISTENT_LOGIN_TIMEOUT.code(), 0xefff_0047);
        assert_eq!(Status::SHORT_CHAP_SECRET.code(), 0xafff_0048);
        assert_eq!(
            Status::VOLUME_ALREADY_PERSISTENTLY_BOUND.code(),
            0xefff_005c
        );
        assert_eq!(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT.code(), 0xefff_005e);
    }

    #[test]
    fn severity_follows_the_top_bits() {
        assert!(Status::ERROR_SUCCESS.is_success());
        assert!(Status::SHORT_CHAP_SECRET.is_warning() && !Status::SHORT_CHAP_SECRET.is_error());
        assert!(Status::TARGET_NOT_FOUND.is_error());
        assert!(Status::ERROR_ACCESS_DENIED.is_error());
    }

    #[test]
    fn login_statuses_map_to_the_codes_named_like_them() {
        // Class 2, details 0 to 9, are codes 08 to 11 in order.
        for detail in 0..=9 {
            let code = Status::from_login_status(2, detail).code();
            assert_eq!(code, 0xefff_0008 + u32::from(detail));
        }
        assert_eq!(Status::from_login_status(2, 10), Status::INVALID_SESSION_ID);
        assert_eq!(Status::from_login_status(2, 0x0b), Status::LOGIN_FAILED);
        assert_eq!(Status::from_login_status(3, 2).code(), 0xefff_0014);
        assert_eq!(Status::from_login_status(7, 0), Status::LOGIN_FAILED);
    }

    #[test]
    fn shows_name_and_number() {
        assert_eq!(
            Status::TARGET_NOT_FOUND.to_string(),
            "ISDSC_TARGET_NOT_FOUND (0xefff0029)"
        );
        assert_eq!(
            Status::ERROR_ACCESS_DENIED.to_string(),
            "ERROR_ACCESS_DENIED (5)"
        );
        assert_eq!(Status::from_code(0xefff_9999).name(), "UNKNOWN_STATUS");
    }
}
