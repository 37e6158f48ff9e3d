//! The enums and structs of the header (§3), laid out as C lays them out on a 64-bit system.
//!
//! Types and fields have their names of the header. A struct that holds text is one generic struct here: `<u8>` is
//! its A variant and `<u16>` its W variant, which have their names of the header as well. `tests/layout.rs` holds every
//! size and offset to those of `windows-sys`, `include/iscsidsc.h` asserts the same numbers.
//!
//! A BOOLEAN is a `u8`, an enum an `i32`: any bits that a caller passes are a value of the type.
#![allow(non_snake_case, non_camel_case_types, clippy::upper_case_acronyms)]

/// `BOOLEAN`: 0 is false, anything else true.
pub type BOOLEAN = u8;
/// `ISDSC_STATUS`: what every function returns (§1.2).
pub type ISDSC_STATUS = u32;
/// `ISCSI_SECURITY_FLAGS`: a bit mask (§3.2).
pub type ISCSI_SECURITY_FLAGS = u64;
/// `ISCSI_LOGIN_FLAGS`: a bit mask (§3.2).
pub type ISCSI_LOGIN_FLAGS = u32;
/// `ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED`: a bit mask (§3.2).
pub type ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED = u32;
/// `ISCSI_TARGET_FLAGS`: a bit mask (§3.2).
pub type ISCSI_TARGET_FLAGS = u32;
/// `IKE_IDENTIFICATION_PAYLOAD_TYPE` (§3.2).
pub type IKE_IDENTIFICATION_PAYLOAD_TYPE = u8;
/// `ISCSI_DIGEST_TYPES` (§3.1).
pub type ISCSI_DIGEST_TYPES = i32;
/// `ISCSI_AUTH_TYPES` (§3.1).
pub type ISCSI_AUTH_TYPES = i32;
/// `IKE_AUTHENTICATION_METHOD` (§3.1).
pub type IKE_AUTHENTICATION_METHOD = i32;
/// `TARGETPROTOCOLTYPE` (§3.1).
pub type TARGETPROTOCOLTYPE = i32;
/// `TARGET_INFORMATION_CLASS` (§3.1).
pub type TARGET_INFORMATION_CLASS = i32;
/// `ISCSI_UNIQUE_CONNECTION_ID`: the same struct as that of a session.
pub type ISCSI_UNIQUE_CONNECTION_ID = ISCSI_UNIQUE_SESSION_ID;

/// A globally unique identifier, as `DeviceInterfaceType` holds one (§3.2).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct GUID {
    /// First eight hexadecimal digits.
    pub Data1: u32,
    /// Next four.
    pub Data2: u16,
    /// Next four.
    pub Data3: u16,
    /// The rest, in the order of the text.
    pub Data4: [u8; 8],
}

/// Address of a device on its adapter; `ntddscsi.h` has it on Windows.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SCSI_ADDRESS {
    /// Size of this struct, 8.
    pub Length: u32,
    /// Adapter number.
    pub PortNumber: u8,
    /// Bus.
    pub PathId: u8,
    /// Target on the bus.
    pub TargetId: u8,
    /// LUN of the operating system.
    pub Lun: u8,
}

/// Number of a device; `winioctl.h` has it on Windows.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct STORAGE_DEVICE_NUMBER {
    /// 7 disk, 2 CD-ROM, 31 tape, 48 changer.
    pub DeviceType: u32,
    /// 0xFFFFFFFF until the device is ready.
    pub DeviceNumber: u32,
    /// 0 for a whole disk, 0xFFFFFFFF if it cannot be partitioned.
    pub PartitionNumber: u32,
}

/// Names a session, and under its other name a connection. Opaque; all zero is never valid (§1.6).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_UNIQUE_SESSION_ID {
    /// Names the initiator; the same in all its sessions and connections.
    pub AdapterUnique: u64,
    /// Names the session or connection on it.
    pub AdapterSpecific: u64,
}

/// One LUN of a mapping.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SCSI_LUN_LIST {
    /// Number that the operating system uses.
    pub OSLUN: u32,
    /// The eight LUN bytes in memory order, read as a little-endian number: LUN 1 is 0x100.
    pub TargetLUN: u64,
}

/// Options of a login, the same for A and W (§1.9).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_LOGIN_OPTIONS {
    /// Must be `ISCSI_LOGIN_OPTIONS_VERSION`, 0.
    pub Version: u32,
    /// Which of the fields below `LoginFlags` count: `ISCSI_LOGIN_OPTIONS_…`.
    pub InformationSpecified: u32,
    /// `ISCSI_LOGIN_FLAG_…`; always counts.
    pub LoginFlags: u32,
    /// Who proves who they are.
    pub AuthType: ISCSI_AUTH_TYPES,
    /// Digest of headers.
    pub HeaderDigest: ISCSI_DIGEST_TYPES,
    /// Digest of data.
    pub DataDigest: ISCSI_DIGEST_TYPES,
    /// Most connections of the session.
    pub MaximumConnections: u32,
    /// Seconds to wait before a reconnect.
    pub DefaultTime2Wait: u32,
    /// Seconds after those during which tasks can be taken over.
    pub DefaultTime2Retain: u32,
    /// Bytes at `Username`, without a NUL.
    pub UsernameLength: u32,
    /// Bytes at `Password`, without a NUL.
    pub PasswordLength: u32,
    /// CHAP name that we send: raw bytes.
    pub Username: *mut u8,
    /// CHAP secret of the target: raw bytes; never filled in reports.
    pub Password: *mut u8,
}

/// A preshared key for IKE and whom it is for.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct IKE_AUTHENTICATION_PRESHARED_KEY {
    /// `ISCSI_SECURITY_FLAG_…`.
    pub SecurityFlags: u64,
    /// `ID_IPV4_ADDR`, `ID_FQDN`, `ID_USER_FQDN` or `ID_IPV6_ADDR`.
    pub IdType: u8,
    /// 4, 16 or the length of the text.
    pub IdLengthInBytes: u32,
    /// Address in network order, or text without a NUL.
    pub Id: *mut u8,
    /// Bytes at `Key`.
    pub KeyLengthInBytes: u32,
    /// The key; never filled in answers.
    pub Key: *mut u8,
}

/// What `SetIScsiIKEInfo` stores. In C the key is the only arm of an anonymous union.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct IKE_AUTHENTICATION_INFORMATION {
    /// Must be `IKE_AUTHENTICATION_PRESHARED_KEY_METHOD`, 1.
    pub AuthMethod: IKE_AUTHENTICATION_METHOD,
    /// The key.
    pub PsKey: IKE_AUTHENTICATION_PRESHARED_KEY,
}

/// Which numbers the operating system gives the LUNs of a session. On input the three texts and the session are empty.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_TARGET_MAPPING<C> {
    /// Initiator instance.
    pub InitiatorName: [C; 256],
    /// iSCSI name of the target.
    pub TargetName: [C; 224],
    /// Device of the adapter.
    pub OSDeviceName: [C; 260],
    /// The session; output only.
    pub SessionId: ISCSI_UNIQUE_SESSION_ID,
    /// Bus, 0xFFFFFFFF for any.
    pub OSBusNumber: u32,
    /// Target, 0xFFFFFFFF for any.
    pub OSTargetNumber: u32,
    /// Elements at `LUNList`.
    pub LUNCount: u32,
    /// The LUNs.
    pub LUNList: *mut SCSI_LUN_LIST,
}

/// A portal of a target. Aligned to 2: arrays have the stride of its size.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_TARGET_PORTAL<C> {
    /// Free text, no part of the identity.
    pub SymbolicName: [C; 256],
    /// IP literal or DNS name; empty where any portal will do.
    pub Address: [C; 256],
    /// TCP port in host order; 0 means 3260.
    pub Socket: u16,
}

/// A stored send-targets portal.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_TARGET_PORTAL_INFO<C> {
    /// Initiator instance, or empty.
    pub InitiatorName: [C; 256],
    /// Port of the initiator, 0xFFFFFFFF for all.
    pub InitiatorPortNumber: u32,
    /// Free text.
    pub SymbolicName: [C; 256],
    /// IP literal or DNS name.
    pub Address: [C; 256],
    /// TCP port in host order.
    pub Socket: u16,
}

/// A stored send-targets portal with its options; the members are inline, not pointers (§6 row 15).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_TARGET_PORTAL_INFO_EX<C> {
    /// Initiator instance, or empty.
    pub InitiatorName: [C; 256],
    /// Port of the initiator, 0xFFFFFFFF for all.
    pub InitiatorPortNumber: u32,
    /// Free text.
    pub SymbolicName: [C; 256],
    /// IP literal or DNS name.
    pub Address: [C; 256],
    /// TCP port in host order.
    pub Socket: u16,
    /// As they were stored.
    pub SecurityFlags: u64,
    /// As they were stored, without the password; its pointers lead into the tail of the buffer.
    pub LoginOptions: ISCSI_LOGIN_OPTIONS,
}

/// Portals of one target portal group: an array of variable length.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_TARGET_PORTAL_GROUP<C> {
    /// Number of portals.
    pub Count: u32,
    /// The first of `Count` portals.
    pub Portals: [ISCSI_TARGET_PORTAL<C>; 1],
}

/// A connection of a session.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_CONNECTION_INFO<C> {
    /// What the login or `AddIScsiConnection` gave.
    pub ConnectionId: ISCSI_UNIQUE_SESSION_ID,
    /// Our IP address as text.
    pub InitiatorAddress: *mut C,
    /// Its IP address as text.
    pub TargetAddress: *mut C,
    /// Our TCP port.
    pub InitiatorSocket: u16,
    /// Its TCP port.
    pub TargetSocket: u16,
    /// CID, little-endian.
    pub CID: [u8; 2],
}

/// A session.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_SESSION_INFO<C> {
    /// Its id.
    pub SessionId: ISCSI_UNIQUE_SESSION_ID,
    /// Node name that we gave in the login.
    pub InitiatorName: *mut C,
    /// NULL.
    pub TargetNodeName: *mut C,
    /// iSCSI name of the target.
    pub TargetName: *mut C,
    /// ISID in wire order.
    pub ISID: [u8; 6],
    /// TSIH, little-endian.
    pub TSID: [u8; 2],
    /// 0 while it reconnects.
    pub ConnectionCount: u32,
    /// Its connections, NULL if there is none.
    pub Connections: *mut ISCSI_CONNECTION_INFO<C>,
}

/// What was negotiated for a connection.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_CONNECTION_INFO_EX {
    /// Its id.
    pub ConnectionId: ISCSI_UNIQUE_SESSION_ID,
    /// 0 login phase, 1 full feature, 2 logout.
    pub State: u8,
    /// 6: TCP.
    pub Protocol: u8,
    /// 0 none, 1 CRC32C.
    pub HeaderDigest: u8,
    /// 0 none, 1 CRC32C.
    pub DataDigest: u8,
    /// In bytes.
    pub MaxRecvDataSegmentLength: u32,
    /// Who proved who they are.
    pub AuthType: ISCSI_AUTH_TYPES,
    /// Bytes a second, 0 if nobody knows.
    pub EstimatedThroughput: u64,
    /// In bytes.
    pub MaxDatagramSize: u32,
}

/// What was negotiated for a session.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_SESSION_INFO_EX {
    /// Its id.
    pub SessionId: ISCSI_UNIQUE_SESSION_ID,
    /// InitialR2T.
    pub InitialR2t: BOOLEAN,
    /// ImmediateData.
    pub ImmediateData: BOOLEAN,
    /// 0 discovery, 1 informational, 2 data, 3 boot.
    pub Type: u8,
    /// DataSequenceInOrder.
    pub DataSequenceInOrder: BOOLEAN,
    /// DataPDUInOrder.
    pub DataPduInOrder: BOOLEAN,
    /// 0 to 2.
    pub ErrorRecoveryLevel: u8,
    /// MaxOutstandingR2T.
    pub MaxOutstandingR2t: u32,
    /// In bytes.
    pub FirstBurstLength: u32,
    /// In bytes.
    pub MaxBurstLength: u32,
    /// MaxConnections.
    pub MaximumConnections: u32,
    /// 0 while it reconnects.
    pub ConnectionCount: u32,
    /// Its connections, NULL if there is none.
    pub Connections: *mut ISCSI_CONNECTION_INFO_EX,
}

/// A device of a session.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_DEVICE_ON_SESSION<C> {
    /// Initiator instance.
    pub InitiatorName: [C; 256],
    /// iSCSI name of the target.
    pub TargetName: [C; 224],
    /// Its address.
    pub ScsiAddress: SCSI_ADDRESS,
    /// Which kind of device: `GUID_DEVINTERFACE_…`.
    pub DeviceInterfaceType: GUID,
    /// Path that stays the same.
    pub DeviceInterfaceName: [C; 260],
    /// Path of the device node.
    pub LegacyName: [C; 260],
    /// Its number.
    pub StorageDeviceNumber: STORAGE_DEVICE_NUMBER,
    /// 0.
    pub DeviceInstance: u32,
}

/// A login that is made again at every start of the service.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PERSISTENT_ISCSI_LOGIN_INFO<C> {
    /// iSCSI name of the target.
    pub TargetName: [C; 224],
    /// Its LUNs are not shown as devices.
    pub IsInformationalSession: BOOLEAN,
    /// Initiator instance, empty for any.
    pub InitiatorInstance: [C; 256],
    /// Port of the initiator, 0xFFFFFFFF for any.
    pub InitiatorPortNumber: u32,
    /// Portal; an empty address means any.
    pub TargetPortal: ISCSI_TARGET_PORTAL<C>,
    /// `ISCSI_SECURITY_FLAG_…`.
    pub SecurityFlags: u64,
    /// One mapping, or NULL.
    pub Mappings: *mut ISCSI_TARGET_MAPPING<C>,
    /// Its options, without the password.
    pub LoginOptions: ISCSI_LOGIN_OPTIONS,
}

/// Version of the initiator.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ISCSI_VERSION_INFO {
    /// Major.
    pub MajorVersion: u32,
    /// Minor.
    pub MinorVersion: u32,
    /// Build.
    pub BuildNumber: u32,
}

/// `ISCSI_TARGET_MAPPINGA`: its text is UTF-8.
pub type ISCSI_TARGET_MAPPINGA = ISCSI_TARGET_MAPPING<u8>;
/// `ISCSI_TARGET_MAPPINGW`: its text is UTF-16.
pub type ISCSI_TARGET_MAPPINGW = ISCSI_TARGET_MAPPING<u16>;
/// `ISCSI_TARGET_PORTALA`: its text is UTF-8.
pub type ISCSI_TARGET_PORTALA = ISCSI_TARGET_PORTAL<u8>;
/// `ISCSI_TARGET_PORTALW`: its text is UTF-16.
pub type ISCSI_TARGET_PORTALW = ISCSI_TARGET_PORTAL<u16>;
/// `ISCSI_TARGET_PORTAL_INFOA`: its text is UTF-8.
pub type ISCSI_TARGET_PORTAL_INFOA = ISCSI_TARGET_PORTAL_INFO<u8>;
/// `ISCSI_TARGET_PORTAL_INFOW`: its text is UTF-16.
pub type ISCSI_TARGET_PORTAL_INFOW = ISCSI_TARGET_PORTAL_INFO<u16>;
/// `ISCSI_TARGET_PORTAL_INFO_EXA`: its text is UTF-8.
pub type ISCSI_TARGET_PORTAL_INFO_EXA = ISCSI_TARGET_PORTAL_INFO_EX<u8>;
/// `ISCSI_TARGET_PORTAL_INFO_EXW`: its text is UTF-16.
pub type ISCSI_TARGET_PORTAL_INFO_EXW = ISCSI_TARGET_PORTAL_INFO_EX<u16>;
/// `ISCSI_TARGET_PORTAL_GROUPA`: its text is UTF-8.
pub type ISCSI_TARGET_PORTAL_GROUPA = ISCSI_TARGET_PORTAL_GROUP<u8>;
/// `ISCSI_TARGET_PORTAL_GROUPW`: its text is UTF-16.
pub type ISCSI_TARGET_PORTAL_GROUPW = ISCSI_TARGET_PORTAL_GROUP<u16>;
/// `ISCSI_CONNECTION_INFOA`: its text is UTF-8.
pub type ISCSI_CONNECTION_INFOA = ISCSI_CONNECTION_INFO<u8>;
/// `ISCSI_CONNECTION_INFOW`: its text is UTF-16.
pub type ISCSI_CONNECTION_INFOW = ISCSI_CONNECTION_INFO<u16>;
/// `ISCSI_SESSION_INFOA`: its text is UTF-8.
pub type ISCSI_SESSION_INFOA = ISCSI_SESSION_INFO<u8>;
/// `ISCSI_SESSION_INFOW`: its text is UTF-16.
pub type ISCSI_SESSION_INFOW = ISCSI_SESSION_INFO<u16>;
/// `ISCSI_DEVICE_ON_SESSIONA`: its text is UTF-8.
pub type ISCSI_DEVICE_ON_SESSIONA = ISCSI_DEVICE_ON_SESSION<u8>;
/// `ISCSI_DEVICE_ON_SESSIONW`: its text is UTF-16.
pub type ISCSI_DEVICE_ON_SESSIONW = ISCSI_DEVICE_ON_SESSION<u16>;
/// `PERSISTENT_ISCSI_LOGIN_INFOA`: its text is UTF-8.
pub type PERSISTENT_ISCSI_LOGIN_INFOA = PERSISTENT_ISCSI_LOGIN_INFO<u8>;
/// `PERSISTENT_ISCSI_LOGIN_INFOW`: its text is UTF-16.
pub type PERSISTENT_ISCSI_LOGIN_INFOW = PERSISTENT_ISCSI_LOGIN_INFO<u16>;
