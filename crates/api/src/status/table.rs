//! The status codes and what they mean.
//!
//! The iSCSI codes (`ISDSC_*`) have the names and values of the Discovery Library's header, its two
//! misspelt names included; the others are the Win32 and Winsock codes that its functions return.
use std::ffi::CStr;

use super::{Status, StatusInfo};

/// A text of the table for C. It is made when this is compiled.
const fn c_text(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a text has a NUL at its end and nowhere else"),
    }
}

macro_rules! statuses {
    ($($constant:ident, $name:literal, $value:literal, $text:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!("`", $name, "`: ", $text)]
                pub const $constant: Self = Self($value);
            )*

            /// Every status known by name, in ascending order of number space: Win32, Winsock, `ISDSC_*`.
            pub const ALL: &[StatusInfo] = &[
                $(StatusInfo {
                    status: Self($value),
                    name: $name,
                    text: $text,
                    c_text: c_text(concat!($text, "\0")),
                },)*
            ];
        }
    };
}

statuses! {
    ERROR_SUCCESS, "ERROR_SUCCESS", 0, "Success.";
    ERROR_FILE_NOT_FOUND, "ERROR_FILE_NOT_FOUND", 2, "There is no such file.";
    ERROR_ACCESS_DENIED, "ERROR_ACCESS_DENIED", 5, "This user may not do that.";
    ERROR_NOT_ENOUGH_MEMORY, "ERROR_NOT_ENOUGH_MEMORY", 8, "Not enough memory.";
    ERROR_NOT_SUPPORTED, "ERROR_NOT_SUPPORTED", 50, "Not supported here.";
    ERROR_INVALID_PARAMETER, "ERROR_INVALID_PARAMETER", 87, "A parameter is missing or malformed.";
    ERROR_DISK_FULL, "ERROR_DISK_FULL", 112, "The disk that keeps the state is full.";
    ERROR_CALL_NOT_IMPLEMENTED, "ERROR_CALL_NOT_IMPLEMENTED", 120, "The call is not implemented.";
    ERROR_INSUFFICIENT_BUFFER, "ERROR_INSUFFICIENT_BUFFER", 122, "The buffer is too small.";
    ERROR_INVALID_NAME, "ERROR_INVALID_NAME", 123, "The name is not valid.";
    ERROR_ALREADY_EXISTS, "ERROR_ALREADY_EXISTS", 183, "It exists already.";
    ERROR_MORE_DATA, "ERROR_MORE_DATA", 234, "There is more data.";
    ERROR_NOACCESS, "ERROR_NOACCESS", 998, "A pointer is not valid.";
    ERROR_SERVICE_NOT_ACTIVE, "ERROR_SERVICE_NOT_ACTIVE", 1062, "The service is not active.";
    ERROR_NOT_FOUND, "ERROR_NOT_FOUND", 1168, "There is no such entry.";
    ERROR_TIMEOUT, "ERROR_TIMEOUT", 1460, "The time for the call is over.";
    RPC_S_SERVER_UNAVAILABLE, "RPC_S_SERVER_UNAVAILABLE", 1722, "The service process cannot be reached.";
    WSAENETUNREACH, "WSAENETUNREACH", 10051, "The network cannot be reached.";
    WSAETIMEDOUT, "WSAETIMEDOUT", 10060, "The connection attempt timed out.";
    WSAECONNREFUSED, "WSAECONNREFUSED", 10061, "The connection was refused.";
    WSAEHOSTUNREACH, "WSAEHOSTUNREACH", 10065, "The host cannot be reached.";
    WSAHOST_NOT_FOUND, "WSAHOST_NOT_FOUND", 11001, "The host name is not known.";
    NON_SPECIFIC_ERROR, "ISDSC_NON_SPECIFIC_ERROR", 0xEFFF_0001, "Something failed that has no status of its own.";
    LOGIN_FAILED, "ISDSC_LOGIN_FAILED", 0xEFFF_0002, "The login failed; the target gave no more precise reason.";
    CONNECTION_FAILED, "ISDSC_CONNECTION_FAILED", 0xEFFF_0003, "No connection to the portal could be made.";
    INITIATOR_NODE_ALREADY_EXISTS, "ISDSC_INITIATOR_NODE_ALREADY_EXISTS", 0xEFFF_0004, "The initiator node is already present.";
    INITIATOR_NODE_NOT_FOUND, "ISDSC_INITIATOR_NODE_NOT_FOUND", 0xEFFF_0005, "The initiator node is not present.";
    TARGET_MOVED_TEMPORARILY, "ISDSC_TARGET_MOVED_TEMPORARILY", 0xEFFF_0006, "The target has moved temporarily (redirect).";
    TARGET_MOVED_PERMANENTLY, "ISDSC_TARGET_MOVED_PERMANENTLY", 0xEFFF_0007, "The target has moved permanently (redirect).";
    INITIATOR_ERROR, "ISDSC_INITIATOR_ERROR", 0xEFFF_0008, "The initiator made an error.";
    AUTHENTICATION_FAILURE, "ISDSC_AUTHENTICATION_FAILURE", 0xEFFF_0009, "Authentication failed.";
    AUTHORIZATION_FAILURE, "ISDSC_AUTHORIZATION_FAILURE", 0xEFFF_000A, "The target does not let this initiator in.";
    NOT_FOUND, "ISDSC_NOT_FOUND", 0xEFFF_000B, "The target portal does not know the target.";
    TARGET_REMOVED, "ISDSC_TARGET_REMOVED", 0xEFFF_000C, "The target was removed.";
    UNSUPPORTED_VERSION, "ISDSC_UNSUPPORTED_VERSION", 0xEFFF_000D, "The protocol version is not supported.";
    TOO_MANY_CONNECTIONS, "ISDSC_TOO_MANY_CONNECTIONS", 0xEFFF_000E, "Too many connections.";
    MISSING_PARAMETER, "ISDSC_MISSING_PARAMETER", 0xEFFF_000F, "A required parameter is missing.";
    CANT_INCLUDE_IN_SESSION, "ISDSC_CANT_INCLUDE_IN_SESSION", 0xEFFF_0010, "The connection cannot join this session.";
    SESSION_TYPE_NOT_SUPPORTED, "ISDSC_SESSION_TYPE_NOT_SUPPORTED", 0xEFFF_0011, "The session type is not supported.";
    TARGET_ERROR, "ISDSC_TARGET_ERROR", 0xEFFF_0012, "The target reports an error of its own.";
    SERVICE_UNAVAILABLE, "ISDSC_SERVICE_UNAVAILABLE", 0xEFFF_0013, "The target service is unavailable.";
    OUT_OF_RESOURCES, "ISDSC_OUT_OF_RESOURCES", 0xEFFF_0014, "The target is out of resources.";
    CONNECTION_ALREADY_EXISTS, "ISDSC_CONNECTION_ALREADY_EXISTS", 0xEFFF_0015, "The initiator node still has connections.";
    SESSION_ALREADY_EXISTS, "ISDSC_SESSION_ALREADY_EXISTS", 0xEFFF_0016, "Such a session exists already.";
    INITIATOR_INSTANCE_NOT_FOUND, "ISDSC_INITIATOR_INSTANCE_NOT_FOUND", 0xEFFF_0017, "There is no such initiator instance.";
    TARGET_ALREADY_EXISTS, "ISDSC_TARGET_ALREADY_EXISTS", 0xEFFF_0018, "Such a target exists already.";
    DRIVER_BUG, "ISDSC_DRIVER_BUG", 0xEFFF_0019, "A driver broke its contract.";
    INVALID_TEXT_KEY, "ISDSC_INVALID_TEXT_KEY", 0xEFFF_001A, "The peer sent a bad text key in the negotiation.";
    INVALID_SENDTARGETS_TEXT, "ISDSC_INVALID_SENDTARGETS_TEXT", 0xEFFF_001B, "The answer to SendTargets is malformed.";
    INVALID_SESSION_ID, "ISDSC_INVALID_SESSION_ID", 0xEFFF_001C, "There is no such session.";
    SCSI_REQUEST_FAILED, "ISDSC_SCSI_REQUEST_FAILED", 0xEFFF_001D, "The SCSI command failed; its status and sense data say why.";
    TOO_MANY_SESSIONS, "ISDSC_TOO_MANY_SESSIONS", 0xEFFF_001E, "The initiator's session limit is reached.";
    SESSION_BUSY, "ISDSC_SESSION_BUSY", 0xEFFF_001F, "The session is busy with another request, or a device of it is in use.";
    TARGET_MAPPING_UNAVAILABLE, "ISDSC_TARGET_MAPPING_UNAVAILABLE", 0xEFFF_0020, "The requested mapping is not available.";
    ADDRESS_TYPE_NOT_SUPPORTED, "ISDSC_ADDRESS_TYPE_NOT_SUPPORTED", 0xEFFF_0021, "The address type is not supported.";
    LOGON_FAILED, "ISDSC_LOGON_FAILED", 0xEFFF_0022, "The logon failed (as a driver reports it).";
    SEND_FAILED, "ISDSC_SEND_FAILED", 0xEFFF_0023, "Sending over TCP failed.";
    TRANSPORT_ERROR, "ISDSC_TRANSPORT_ERROR", 0xEFFF_0024, "The TCP connection failed.";
    VERSION_MISMATCH, "ISDSC_VERSION_MISMATCH", 0xEFFF_0025, "iSCSI versions do not match.";
    TARGET_MAPPING_OUT_OF_RANGE, "ISDSC_TARGET_MAPPING_OUT_OF_RANGE", 0xEFFF_0026, "The mapping address is outside what the adapter supports.";
    TARGET_PRESHAREDKEY_UNAVAILABLE, "ISDSC_TARGET_PRESHAREDKEY_UNAVAILABLE", 0xEFFF_0027, "There is no preshared key for that target or IKE identity.";
    TARGET_AUTHINFO_UNAVAILABLE, "ISDSC_TARGET_AUTHINFO_UNAVAILABLE", 0xEFFF_0028, "There is no authentication information for the target.";
    TARGET_NOT_FOUND, "ISDSC_TARGET_NOT_FOUND", 0xEFFF_0029, "The target is not known, or hidden from login.";
    LOGIN_USER_INFO_BAD, "ISDSC_LOGIN_USER_INFO_BAD", 0xEFFF_002A, "The login parameters are invalid.";
    TARGET_MAPPING_EXISTS, "ISDSC_TARGET_MAPPING_EXISTS", 0xEFFF_002B, "Such a mapping exists already.";
    HBA_SECURITY_CACHE_FULL, "ISDSC_HBA_SECURITY_CACHE_FULL", 0xEFFF_002C, "The HBA's security cache is full.";
    INVALID_PORT_NUMBER, "ISDSC_INVALID_PORT_NUMBER", 0xEFFF_002D, "The port number is not valid for this initiator.";
    OPERATION_NOT_ALL_SUCCESS, "ISDSC_OPERATION_NOT_ALL_SUCCESS", 0xAFFF_002E, "Done, but not on every initiator.";
    HBA_SECURITY_CACHE_NOT_SUPPORTED, "ISDSC_HBA_SECURITY_CACHE_NOT_SUPPORTED", 0xEFFF_002F, "The HBA has no security cache.";
    IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED, "ISDSC_IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED", 0xEFFF_0030, "The IKE id type is not supported.";
    IKE_ID_PAYLOAD_INCORRECT_SIZE, "ISDSC_IKE_ID_PAYLOAD_INCORRECT_SIZE", 0xEFFF_0031, "The length of the IKE id is wrong.";
    TARGET_PORTAL_ALREADY_EXISTS, "ISDSC_TARGET_PORTAL_ALREADY_EXISTS", 0xEFFF_0032, "The portal is already present.";
    TARGET_ADDRESS_ALREADY_EXISTS, "ISDSC_TARGET_ADDRESS_ALREADY_EXISTS", 0xEFFF_0033, "The target address is already present.";
    NO_AUTH_INFO_AVAILABLE, "ISDSC_NO_AUTH_INFO_AVAILABLE", 0xEFFF_0034, "There is no IKE authentication information.";
    NO_TUNNEL_OUTER_MODE_ADDRESS, "ISDSC_NO_TUNNEL_OUTER_MODE_ADDRESS", 0xEFFF_0035, "No outer address is set for the tunnel.";
    CACHE_CORRUPTED, "ISDSC_CACHE_CORRUPTED", 0xEFFF_0036, "The authentication or tunnel cache is corrupt.";
    REQUEST_NOT_SUPPORTED, "ISDSC_REQUEST_NOT_SUPPORTED", 0xEFFF_0037, "The request is not supported.";
    TARGET_OUT_OF_RESORCES, "ISDSC_TARGET_OUT_OF_RESORCES", 0xEFFF_0038, "The target lacks resources.";
    SERVICE_DID_NOT_RESPOND, "ISDSC_SERVICE_DID_NOT_RESPOND", 0xEFFF_0039, "The initiator service did not answer the driver.";
    ISNS_SERVER_NOT_FOUND, "ISDSC_ISNS_SERVER_NOT_FOUND", 0xEFFF_003A, "The iSNS server is unknown or unreachable.";
    OPERATION_REQUIRES_REBOOT, "ISDSC_OPERATION_REQUIRES_REBOOT", 0xAFFF_003B, "Done; it takes effect after a restart.";
    NO_PORTAL_SPECIFIED, "ISDSC_NO_PORTAL_SPECIFIED", 0xEFFF_003C, "No portal of the target is known and none was given.";
    CANT_REMOVE_LAST_CONNECTION, "ISDSC_CANT_REMOVE_LAST_CONNECTION", 0xEFFF_003D, "The last connection of a session must not be removed.";
    SERVICE_NOT_RUNNING, "ISDSC_SERVICE_NOT_RUNNING", 0xEFFF_003E, "The initiator service (hawserd) is not running.";
    TARGET_ALREADY_LOGGED_IN, "ISDSC_TARGET_ALREADY_LOGGED_IN", 0xEFFF_003F, "The target is logged in already.";
    DEVICE_BUSY_ON_SESSION, "ISDSC_DEVICE_BUSY_ON_SESSION", 0xEFFF_0040, "The logout was refused: a device of the session is in use.";
    COULD_NOT_SAVE_PERSISTENT_LOGIN_DATA, "ISDSC_COULD_NOT_SAVE_PERSISTENT_LOGIN_DATA", 0xEFFF_0041, "The persistent login could not be saved.";
    COULD_NOT_REMOVE_PERSISTENT_LOGIN_DATA, "ISDSC_COULD_NOT_REMOVE_PERSISTENT_LOGIN_DATA", 0xEFFF_0042, "The persistent login could not be removed.";
    PORTAL_NOT_FOUND, "ISDSC_PORTAL_NOT_FOUND", 0xEFFF_0043, "There is no such portal.";
    INITIATOR_NOT_FOUND, "ISDSC_INITIATOR_NOT_FOUND", 0xEFFF_0044, "There is no such initiator.";
    DISCOVERY_MECHANISM_NOT_FOUND, "ISDSC_DISCOVERY_MECHANISM_NOT_FOUND", 0xEFFF_0045, "There is no such discovery mechanism.";
    IPSEC_NOT_SUPPORTED_ON_OS, "ISDSC_IPSEC_NOT_SUPPORTED_ON_OS", 0xEFFF_0046, "This system has no IPsec for iSCSI.";
    PERSISTENT_LOGIN_TIMEOUT, "ISDSC_PERSISTENT_LOGIN_TIMEOUT", 0xEFFF_0047, "The time to wait for persistent logins and bound volumes is over.";
    SHORT_CHAP_SECRET, "ISDSC_SHORT_CHAP_SECRET", 0xAFFF_0048, "Done, but the CHAP secret has fewer than 96 bits: without IPsec it can be guessed from a recorded login.";
    EVALUATION_PEROID_EXPIRED, "ISDSC_EVALUATION_PEROID_EXPIRED", 0xEFFF_0049, "The evaluation period is over.";
    INVALID_CHAP_SECRET, "ISDSC_INVALID_CHAP_SECRET", 0xEFFF_004A, "The CHAP secret breaks the CHAP rules.";
    INVALID_TARGET_CHAP_SECRET, "ISDSC_INVALID_TARGET_CHAP_SECRET", 0xEFFF_004B, "The target CHAP secret is invalid.";
    INVALID_INITIATOR_CHAP_SECRET, "ISDSC_INVALID_INITIATOR_CHAP_SECRET", 0xEFFF_004C, "The initiator CHAP secret is invalid.";
    INVALID_CHAP_USER_NAME, "ISDSC_INVALID_CHAP_USER_NAME", 0xEFFF_004D, "The CHAP user name is invalid.";
    INVALID_LOGON_AUTH_TYPE, "ISDSC_INVALID_LOGON_AUTH_TYPE", 0xEFFF_004E, "The authentication type is invalid.";
    INVALID_TARGET_MAPPING, "ISDSC_INVALID_TARGET_MAPPING", 0xEFFF_004F, "The target mapping is invalid.";
    INVALID_TARGET_ID, "ISDSC_INVALID_TARGET_ID", 0xEFFF_0050, "The target id in the mapping is invalid.";
    INVALID_ISCSI_NAME, "ISDSC_INVALID_ISCSI_NAME", 0xEFFF_0051, "The iSCSI name is too long or has illegal characters.";
    INCOMPATIBLE_ISNS_VERSION, "ISDSC_INCOMPATIBLE_ISNS_VERSION", 0xEFFF_0052, "The iSNS protocol version is not compatible.";
    FAILED_TO_CONFIGURE_IPSEC, "ISDSC_FAILED_TO_CONFIGURE_IPSEC", 0xEFFF_0053, "IPsec could not be configured.";
    BUFFER_TOO_SMALL, "ISDSC_BUFFER_TOO_SMALL", 0xEFFF_0054, "The buffer is too small (as a driver reports it).";
    INVALID_LOAD_BALANCE_POLICY, "ISDSC_INVALID_LOAD_BALANCE_POLICY", 0xEFFF_0055, "The load-balance policy is invalid.";
    INVALID_PARAMETER, "ISDSC_INVALID_PARAMETER", 0xEFFF_0056, "A parameter is invalid (as a driver reports it).";
    DUPLICATE_PATH_SPECIFIED, "ISDSC_DUPLICATE_PATH_SPECIFIED", 0xEFFF_0057, "A path is listed twice in the policy.";
    PATH_COUNT_MISMATCH, "ISDSC_PATH_COUNT_MISMATCH", 0xEFFF_0058, "The number of paths in the policy is not that of the device.";
    INVALID_PATH_ID, "ISDSC_INVALID_PATH_ID", 0xEFFF_0059, "The path id in the policy is invalid.";
    MULTIPLE_PRIMARY_PATHS_SPECIFIED, "ISDSC_MULTIPLE_PRIMARY_PATHS_SPECIFIED", 0xEFFF_005A, "There is more than one primary path.";
    NO_PRIMARY_PATH_SPECIFIED, "ISDSC_NO_PRIMARY_PATH_SPECIFIED", 0xEFFF_005B, "There is no primary path.";
    DEVICE_ALREADY_PERSISTENTLY_BOUND, "ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND", 0xEFFF_005C, "The volume or device is bound already.";
    DEVICE_NOT_FOUND, "ISDSC_DEVICE_NOT_FOUND", 0xEFFF_005D, "There is no such volume or device.";
    DEVICE_NOT_ISCSI_OR_PERSISTENT, "ISDSC_DEVICE_NOT_ISCSI_OR_PERSISTENT", 0xEFFF_005E, "The volume or device is not wholly on iSCSI disks, or their login is not persistent.";
    DNS_NAME_UNRESOLVED, "ISDSC_DNS_NAME_UNRESOLVED", 0xEFFF_005F, "The DNS name cannot be resolved.";
    NO_CONNECTION_AVAILABLE, "ISDSC_NO_CONNECTION_AVAILABLE", 0xEFFF_0060, "The session has no usable connection.";
    LB_POLICY_NOT_SUPPORTED, "ISDSC_LB_POLICY_NOT_SUPPORTED", 0xEFFF_0061, "The load-balance policy is not supported.";
    REMOVE_CONNECTION_IN_PROGRESS, "ISDSC_REMOVE_CONNECTION_IN_PROGRESS", 0xEFFF_0062, "The connection is already being removed.";
    INVALID_CONNECTION_ID, "ISDSC_INVALID_CONNECTION_ID", 0xEFFF_0063, "There is no such connection in the session.";
    CANNOT_REMOVE_LEADING_CONNECTION, "ISDSC_CANNOT_REMOVE_LEADING_CONNECTION", 0xEFFF_0064, "The leading connection must not be removed.";
    RESTRICTED_BY_GROUP_POLICY, "ISDSC_RESTRICTED_BY_GROUP_POLICY", 0xEFFF_0065, "This is forbidden by group policy.";
    ISNS_FIREWALL_BLOCKED, "ISDSC_ISNS_FIREWALL_BLOCKED", 0xEFFF_0066, "A firewall blocks iSNS.";
    FAILURE_TO_PERSIST_LB_POLICY, "ISDSC_FAILURE_TO_PERSIST_LB_POLICY", 0xEFFF_0067, "The load-balance policy could not be saved.";
    INVALID_HOST, "ISDSC_INVALID_HOST", 0xEFFF_0068, "The host name is not accepted.";
}

impl Status {
    /// `ISDSC_VOLUME_ALREADY_PERSISTENTLY_BOUND`: a name that the documentation of `AddPersistentIScsiDevice`
    /// uses and no header defines; the same as [`Status::DEVICE_ALREADY_PERSISTENTLY_BOUND`].
    pub const VOLUME_ALREADY_PERSISTENTLY_BOUND: Self = Self::DEVICE_ALREADY_PERSISTENTLY_BOUND;
    /// The correct spelling of [`Status::TARGET_OUT_OF_RESORCES`].
    pub const TARGET_OUT_OF_RESOURCES: Self = Self::TARGET_OUT_OF_RESORCES;
    /// The correct spelling of [`Status::EVALUATION_PEROID_EXPIRED`].
    pub const EVALUATION_PERIOD_EXPIRED: Self = Self::EVALUATION_PEROID_EXPIRED;

    /// Names that are in no header and mean a status that is: see the constants of the same names.
    pub const ALIASES: &[(&str, Self)] = &[
        (
            "ISDSC_VOLUME_ALREADY_PERSISTENTLY_BOUND",
            Self::VOLUME_ALREADY_PERSISTENTLY_BOUND,
        ),
        (
            "ISDSC_TARGET_OUT_OF_RESOURCES",
            Self::TARGET_OUT_OF_RESOURCES,
        ),
        (
            "ISDSC_EVALUATION_PERIOD_EXPIRED",
            Self::EVALUATION_PERIOD_EXPIRED,
        ),
    ];
}
