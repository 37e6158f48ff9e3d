//! Login Request and Login Response (RFC 7143 §11.12, §11.13).

use std::fmt;

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::blank;
use super::{Malformed, NIL, Request};

/// The initiator's part of the session identifier (RFC 7143 §11.12.5).
pub type Isid = [u8; 6];

codes! {
    /// The stages of a login (RFC 7143 §11.12.3).
    LoginStage else ReservedLoginStage {
        /// Who are you?
        SecurityNegotiation = 0 "SecurityNegotiation",
        /// How do we work?
        OperationalNegotiation = 1 "LoginOperationalNegotiation",
        /// The login is over.
        FullFeaturePhase = 3 "FullFeaturePhase",
    }
}

codes! {
    /// Status-Class of a Login Response (RFC 7143 §11.13.5).
    StatusClass else UnassignedStatusClass {
        /// Login goes on or is complete.
        Success = 0 "success",
        /// Log in at the address that comes along.
        Redirection = 1 "redirection",
        /// The initiator's fault; the same request should not be tried again.
        InitiatorError = 2 "initiator error",
        /// The target cannot at the moment; the same request may be tried again.
        TargetError = 3 "target error",
    }
}

/// Status-Class and Status-Detail of a Login Response (RFC 7143 §11.13.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoginStatus {
    /// Status-Class.
    pub class: u8,
    /// Status-Detail.
    pub detail: u8,
}

macro_rules! login_statuses {
    ($( $const:ident = $class:literal $detail:literal $name:literal $text:literal; )*) => {
        impl LoginStatus {
            $(
                #[doc = $name]
                #[doc = concat!(": ", $text)]
                pub const $const: Self = Self { class: $class, detail: $detail };
            )*

            /// The RFC's name and description of an allocated status.
            fn allocated(self) -> Option<(&'static str, &'static str)> {
                match (self.class, self.detail) {
                    $( ($class, $detail) => Some(($name, $text)), )*
                    _ => None,
                }
            }
        }
    };
}

login_statuses! {
    SUCCESS = 0x00 0x00 "Success" "Login is proceeding.";
    TARGET_MOVED_TEMPORARILY = 0x01 0x01 "Target moved temporarily"
        "The target has temporarily moved to the address provided.";
    TARGET_MOVED_PERMANENTLY = 0x01 0x02 "Target moved permanently"
        "The target has permanently moved to the address provided.";
    INITIATOR_ERROR = 0x02 0x00 "Initiator error" "Miscellaneous initiator errors.";
    AUTHENTICATION_FAILURE = 0x02 0x01 "Authentication failure"
        "The initiator could not be authenticated, or target authentication is not supported.";
    AUTHORIZATION_FAILURE = 0x02 0x02 "Authorization failure"
        "The initiator is not allowed access to this target.";
    NOT_FOUND = 0x02 0x03 "Not found" "The target does not exist at this address.";
    TARGET_REMOVED = 0x02 0x04 "Target removed"
        "The target was removed and left no forwarding address.";
    UNSUPPORTED_VERSION = 0x02 0x05 "Unsupported version"
        "The target does not support this range of iSCSI versions.";
    TOO_MANY_CONNECTIONS = 0x02 0x06 "Too many connections"
        "There are too many connections in this session.";
    MISSING_PARAMETER = 0x02 0x07 "Missing parameter"
        "A parameter is missing, such as the name of the initiator or the target.";
    CANNOT_INCLUDE_IN_SESSION = 0x02 0x08 "Can't include in session"
        "The target does not support a session that spans to this address.";
    SESSION_TYPE_NOT_SUPPORTED = 0x02 0x09 "Session type not supported"
        "The target does not support this type of session, or not from this initiator.";
    SESSION_DOES_NOT_EXIST = 0x02 0x0a "Session does not exist"
        "There is no session to add this connection to.";
    INVALID_DURING_LOGIN = 0x02 0x0b "Invalid during login"
        "A request of this type is invalid during login.";
    TARGET_ERROR = 0x03 0x00 "Target error" "The target's hardware or software failed.";
    SERVICE_UNAVAILABLE = 0x03 0x01 "Service unavailable"
        "The iSCSI service or the target is not operating at present.";
    OUT_OF_RESOURCES = 0x03 0x02 "Out of resources"
        "The target has not enough sessions, connections or other resources.";
}

impl LoginStatus {
    /// The class, which is enough to decide what to do.
    ///
    /// # Errors
    /// [`Malformed::UnassignedStatusClass`].
    pub fn class(self) -> Result<StatusClass, Malformed> {
        StatusClass::try_from(self.class)
    }

    /// The status's name in the RFC's table; that of the class for an unallocated detail.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.allocated(), self.class()) {
            (Some((name, _)), _) => name,
            (None, Ok(class)) => class.text(),
            (None, Err(_)) => "unassigned status class",
        }
    }

    /// What the status means, in a sentence; empty for an unallocated one.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.allocated().map_or("", |(_, text)| text)
    }
}

impl fmt::Display for LoginStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (0x{:02x}{:02x})",
            self.name(),
            self.class,
            self.detail
        )
    }
}

/// Login Request (RFC 7143 §11.12).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LoginRequest {
    opcode: u8,
    flags: u8,
    /// Version-max; 0 is the only version there is.
    pub version_max: u8,
    /// Version-min.
    pub version_min: u8,
    lengths: [u8; 4],
    /// ISID.
    pub isid: Isid,
    /// TSIH; 0 for a new session.
    pub tsih: U16,
    /// Initiator Task Tag, the same through the whole login.
    pub itt: U32,
    /// CID.
    pub cid: U16,
    reserved_22: [u8; 2],
    /// CmdSN.
    pub cmd_sn: U32,
    /// ExpStatSN.
    pub exp_stat_sn: U32,
    reserved_32: [u8; 16],
}

request!(LoginRequest);

/// Login Response (RFC 7143 §11.13).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LoginResponse {
    opcode: u8,
    flags: u8,
    /// Version-max of the target.
    pub version_max: u8,
    /// Version-active.
    pub version_active: u8,
    lengths: [u8; 4],
    /// ISID, as in the request.
    pub isid: Isid,
    /// TSIH: the new session's in the final response; else as in the request.
    pub tsih: U16,
    /// Initiator Task Tag of the request.
    pub itt: U32,
    reserved_20: [u8; 4],
    /// StatSN.
    pub stat_sn: U32,
    /// ExpCmdSN.
    pub exp_cmd_sn: U32,
    /// MaxCmdSN.
    pub max_cmd_sn: U32,
    /// Status-Class as it travels.
    pub status_class: u8,
    /// Status-Detail.
    pub status_detail: u8,
    reserved_38: [u8; 10],
}

response!(LoginResponse);

macro_rules! stages {
    ($name:ident) => {
        flags!($name {
            /// T: ready to move to the next stage.
            0x80 => is_transit, set_transit;
            /// C: the text goes on in the next PDU.
            0x40 => is_continued, set_continued;
        });

        impl $name {
            /// CSG: the stage the PDU belongs to.
            ///
            /// # Errors
            /// [`Malformed::ReservedLoginStage`].
            pub fn current_stage(&self) -> Result<LoginStage, Malformed> {
                LoginStage::try_from(self.flags >> 2 & 0x03)
            }

            /// NSG: the stage to move to; means something only with [`Self::is_transit`].
            ///
            /// # Errors
            /// [`Malformed::ReservedLoginStage`].
            pub fn next_stage(&self) -> Result<LoginStage, Malformed> {
                LoginStage::try_from(self.flags & 0x03)
            }

            /// Sets CSG, T and NSG: stay in `current`, or be ready to move to `next`.
            pub fn set_stages(&mut self, current: LoginStage, next: Option<LoginStage>) {
                self.flags = self.flags & !0x8f
                    | current.code() << 2
                    | next.map_or(0, |next| 0x80 | next.code());
            }
        }
    };
}

stages!(LoginRequest);
stages!(LoginResponse);

impl LoginRequest {
    /// A request of a new session's leading login: TSIH 0, security stage, no move.
    #[must_use]
    pub fn new(itt: u32, isid: Isid, cid: u16) -> Self {
        let mut pdu: Self = blank(0);
        pdu.isid = isid;
        pdu.itt = itt.into();
        pdu.cid = cid.into();
        pdu.set_immediate(true);
        pdu
    }
}

impl Default for LoginRequest {
    fn default() -> Self {
        Self::new(NIL, [0; 6], 0)
    }
}

impl LoginResponse {
    /// A successful answer to `request` that stays in its stage.
    #[must_use]
    pub fn answer(request: &LoginRequest) -> Self {
        let mut pdu: Self = blank(request.flags & 0x0c);
        pdu.isid = request.isid;
        pdu.tsih = request.tsih;
        pdu.itt = request.itt;
        pdu
    }

    /// Status-Class and Status-Detail.
    #[must_use]
    pub fn status(&self) -> LoginStatus {
        LoginStatus {
            class: self.status_class,
            detail: self.status_detail,
        }
    }

    /// Sets Status-Class and Status-Detail.
    pub fn set_status(&mut self, status: LoginStatus) {
        self.status_class = status.class;
        self.status_detail = status.detail;
    }
}

impl Default for LoginResponse {
    fn default() -> Self {
        let mut pdu: Self = blank(0);
        pdu.itt = NIL.into();
        pdu
    }
}
