//! The constants of the header (§1.6, §1.8, §3.1, §3.2). The status codes are those of [`Status`](hawser_api::Status).
#![allow(non_upper_case_globals)]

use super::types::{
    GUID, IKE_AUTHENTICATION_METHOD, IKE_IDENTIFICATION_PAYLOAD_TYPE, ISCSI_AUTH_TYPES,
    ISCSI_DIGEST_TYPES, ISCSI_LOGIN_FLAGS, ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED,
    ISCSI_SECURITY_FLAGS, ISCSI_TARGET_FLAGS, TARGET_INFORMATION_CLASS, TARGETPROTOCOLTYPE,
};

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: $type = $value;)*
    };
}

constants! {
    /// Longest path of a device and its NUL.
    MAX_PATH: usize = 260;
    /// Longest name of an initiator instance and its NUL.
    MAX_ISCSI_HBANAME_LEN: usize = 256;
    /// Longest iSCSI name, without its NUL.
    MAX_ISCSI_NAME_LEN: usize = 223;
    /// Longest alias, without its NUL.
    MAX_ISCSI_ALIAS_LEN: usize = 255;
    /// Longest symbolic name of a portal and its NUL.
    MAX_ISCSI_PORTAL_NAME_LEN: usize = 256;
    /// Longest alias of a portal and its NUL.
    MAX_ISCSI_PORTAL_ALIAS_LEN: usize = 256;
    /// Longest address as text and its NUL.
    MAX_ISCSI_TEXT_ADDRESS_LEN: usize = 256;
    /// Longest address of a portal and its NUL.
    MAX_ISCSI_PORTAL_ADDRESS_LEN: usize = 256;
    /// Longest name of a discovery domain and its NUL.
    MAX_ISCSI_DISCOVERY_DOMAIN_LEN: usize = 256;
    /// Longest address of a RADIUS server.
    MAX_RADIUS_ADDRESS_LEN: usize = 41;
    /// The one version of `ISCSI_LOGIN_OPTIONS`.
    ISCSI_LOGIN_OPTIONS_VERSION: u32 = 0;
    /// The route decides which port of the initiator is used.
    ISCSI_ANY_INITIATOR_PORT: u32 = 0xffff_ffff;
    /// Every port of the initiator.
    ISCSI_ALL_INITIATOR_PORTS: u32 = 0xffff_ffff;

    /// No digest.
    ISCSI_DIGEST_TYPE_NONE: ISCSI_DIGEST_TYPES = 0;
    /// CRC32C.
    ISCSI_DIGEST_TYPE_CRC32C: ISCSI_DIGEST_TYPES = 1;
    /// No authentication.
    ISCSI_NO_AUTH_TYPE: ISCSI_AUTH_TYPES = 0;
    /// The target authenticates us.
    ISCSI_CHAP_AUTH_TYPE: ISCSI_AUTH_TYPES = 1;
    /// Each authenticates the other.
    ISCSI_MUTUAL_CHAP_AUTH_TYPE: ISCSI_AUTH_TYPES = 2;
    /// A preshared key.
    IKE_AUTHENTICATION_PRESHARED_KEY_METHOD: IKE_AUTHENTICATION_METHOD = 1;
    /// TCP.
    ISCSI_TCP_PROTOCOL_TYPE: TARGETPROTOCOLTYPE = 0;
    /// One `ULONG`: `TARGETPROTOCOLTYPE`.
    ProtocolType: TARGET_INFORMATION_CLASS = 0;
    /// One string.
    TargetAlias: TARGET_INFORMATION_CLASS = 1;
    /// A list of strings.
    DiscoveryMechanisms: TARGET_INFORMATION_CLASS = 2;
    /// A count and groups.
    PortalGroups: TARGET_INFORMATION_CLASS = 3;
    /// One mapping.
    PersistentTargetMappings: TARGET_INFORMATION_CLASS = 4;
    /// One string.
    InitiatorName: TARGET_INFORMATION_CLASS = 5;
    /// One `ULONG`: `ISCSI_TARGET_FLAGS`.
    TargetFlags: TARGET_INFORMATION_CLASS = 6;
    /// `ISCSI_LOGIN_OPTIONS`.
    LoginOptions: TARGET_INFORMATION_CLASS = 7;

    /// `HeaderDigest` counts.
    ISCSI_LOGIN_OPTIONS_HEADER_DIGEST: ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = 0x01;
    /// `DataDigest` counts.
    ISCSI_LOGIN_OPTIONS_DATA_DIGEST: ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = 0x02;
    /// `MaximumConnections` counts.
    ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS: ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = 0x04;
    /// `DefaultTime2Wait` counts.
    ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT: ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = 0x08;
    /// `DefaultTime2Retain` counts.
    ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_RETAIN: ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = 0x10;
    /// `Username` counts.
    ISCSI_LOGIN_OPTIONS_USERNAME: ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = 0x20;
    /// `Password` counts.
    ISCSI_LOGIN_OPTIONS_PASSWORD: ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = 0x40;
    /// `AuthType` counts.
    ISCSI_LOGIN_OPTIONS_AUTH_TYPE: ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = 0x80;

    /// Fail the login if IPsec cannot be used.
    ISCSI_LOGIN_FLAG_REQUIRE_IPSEC: ISCSI_LOGIN_FLAGS = 0x01;
    /// Allow one more session to a target that is logged in already.
    ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED: ISCSI_LOGIN_FLAGS = 0x02;
    /// Stored and reported, without effect.
    ISCSI_LOGIN_FLAG_RESERVED1: ISCSI_LOGIN_FLAGS = 0x04;
    /// Try the other portals of the target.
    ISCSI_LOGIN_FLAG_ALLOW_PORTAL_HOPPING: ISCSI_LOGIN_FLAGS = 0x08;
    /// A RADIUS server computes our CHAP response.
    ISCSI_LOGIN_FLAG_USE_RADIUS_RESPONSE: ISCSI_LOGIN_FLAGS = 0x10;
    /// A RADIUS server judges the target's CHAP response.
    ISCSI_LOGIN_FLAG_USE_RADIUS_VERIFICATION: ISCSI_LOGIN_FLAGS = 0x20;

    /// The other bits count.
    ISCSI_SECURITY_FLAG_VALID: ISCSI_SECURITY_FLAGS = 0x01;
    /// IKE and IPsec.
    ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED: ISCSI_SECURITY_FLAGS = 0x02;
    /// Main mode.
    ISCSI_SECURITY_FLAG_MAIN_MODE_ENABLED: ISCSI_SECURITY_FLAGS = 0x04;
    /// Aggressive mode.
    ISCSI_SECURITY_FLAG_AGGRESSIVE_MODE_ENABLED: ISCSI_SECURITY_FLAGS = 0x08;
    /// Perfect forward secrecy.
    ISCSI_SECURITY_FLAG_PFS_ENABLED: ISCSI_SECURITY_FLAGS = 0x10;
    /// Transport mode.
    ISCSI_SECURITY_FLAG_TRANSPORT_MODE_PREFERRED: ISCSI_SECURITY_FLAGS = 0x20;
    /// Tunnel mode.
    ISCSI_SECURITY_FLAG_TUNNEL_MODE_PREFERRED: ISCSI_SECURITY_FLAGS = 0x40;

    /// Not listed unless it is found otherwise too.
    ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET: ISCSI_TARGET_FLAGS = 0x2;
    /// Add to what is known of the target instead of replacing it.
    ISCSI_TARGET_FLAG_MERGE_TARGET_INFORMATION: ISCSI_TARGET_FLAGS = 0x4;

    /// Four bytes of an IPv4 address.
    ID_IPV4_ADDR: IKE_IDENTIFICATION_PAYLOAD_TYPE = 1;
    /// A host name.
    ID_FQDN: IKE_IDENTIFICATION_PAYLOAD_TYPE = 2;
    /// A user at a host.
    ID_USER_FQDN: IKE_IDENTIFICATION_PAYLOAD_TYPE = 3;
    /// Sixteen bytes of an IPv6 address.
    ID_IPV6_ADDR: IKE_IDENTIFICATION_PAYLOAD_TYPE = 5;
}

/// The class of device interfaces whose first field is this; the rest is the same for all (§3.2).
#[must_use]
pub const fn device_interface(first: u32) -> GUID {
    GUID {
        Data1: first,
        Data2: 0xb6bf,
        Data3: 0x11d0,
        Data4: [0x94, 0xf2, 0x00, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b],
    }
}
