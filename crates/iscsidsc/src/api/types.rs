//! What calls take and give: owned, without pointers, lengths or character widths.

use crate::api::{LoginOptions, Status};

/// `ISCSI_ANY_INITIATOR_PORT` and `ISCSI_ALL_INITIATOR_PORTS` (§1.6): the route decides when connecting, every port
/// when configuring or removing.
pub const ANY_PORT: u32 = 0xffff_ffff;

/// What a call gives that can be carried out with a reservation: the value, and the warning status if there is
/// one (§1.2: `0xAFFFxxxx`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome<T> {
    /// What the call gives.
    pub value: T,
    /// `ISDSC_OPERATION_NOT_ALL_SUCCESS`, `ISDSC_OPERATION_REQUIRES_REBOOT` or `ISDSC_SHORT_CHAP_SECRET`.
    pub warning: Option<Status>,
}

impl<T> Outcome<T> {
    /// A value with the warning of a response, where 0 is none.
    pub(crate) fn new(value: T, warning: u32) -> Self {
        let warning = Some(Status::from_code(warning)).filter(|status| status.is_warning());
        Self { value, warning }
    }

    /// What the C function returns: the warning, else success.
    #[must_use]
    pub fn status(&self) -> Status {
        self.warning.unwrap_or(Status::ERROR_SUCCESS)
    }
}

macro_rules! unique_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            /// Names the initiator: the same in all its sessions and connections.
            pub adapter_unique: u64,
            /// Names the one thing on it.
            pub adapter_specific: u64,
        }

        impl From<hawser_api::v1::$name> for $name {
            fn from(id: hawser_api::v1::$name) -> Self {
                Self {
                    adapter_unique: id.adapter_unique,
                    adapter_specific: id.adapter_specific,
                }
            }
        }

        impl From<$name> for hawser_api::v1::$name {
            fn from(id: $name) -> Self {
                Self {
                    adapter_unique: id.adapter_unique,
                    adapter_specific: id.adapter_specific,
                }
            }
        }
    };
}
unique_id! {
    /// `ISCSI_UNIQUE_SESSION_ID` (§1.6). All-zero is never valid.
    SessionId
}
unique_id! {
    /// `ISCSI_UNIQUE_CONNECTION_ID` (§1.6), the same structure in C.
    ConnectionId
}

/// `ISCSI_VERSION_INFO` (§3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Build number.
    pub build: u32,
}

/// An initiator instance and one of its ports (§1.6), as most calls name where they start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitiatorPort {
    /// Initiator instance. Empty: any (NULL in C).
    pub instance: String,
    /// Index of the port, or [`ANY_PORT`]. 0 is a real port.
    pub port_number: u32,
}

impl InitiatorPort {
    /// Any initiator and any port.
    #[must_use]
    pub const fn any() -> Self {
        Self {
            instance: String::new(),
            port_number: ANY_PORT,
        }
    }

    /// As C functions are given it: NULL and the empty string are the same.
    #[must_use]
    pub fn new(instance: Option<&str>, port_number: u32) -> Self {
        Self {
            instance: instance.unwrap_or_default().to_owned(),
            port_number,
        }
    }
}

impl Default for InitiatorPort {
    fn default() -> Self {
        Self::any()
    }
}

/// `ISCSI_TARGET_PORTAL` (§1.7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Portal {
    /// Free text, no part of the portal's identity.
    pub symbolic_name: String,
    /// IPv4 or IPv6 literal or DNS name. Empty: not specified.
    pub address: String,
    /// TCP port. 0 on input: 3260.
    pub socket: u16,
}

impl Portal {
    /// A portal without a symbolic name.
    #[must_use]
    pub fn new(address: &str, socket: u16) -> Self {
        Self {
            symbolic_name: String::new(),
            address: address.to_owned(),
            socket,
        }
    }
}

/// `ISCSI_TARGET_PORTAL_GROUP` (§3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortalGroup {
    /// Its portals, in the order in which they are tried.
    pub portals: Vec<Portal>,
}

/// `ISCSI_TARGET_PORTAL_INFO` and `ISCSI_TARGET_PORTAL_INFO_EX` (§3.3): a stored send-targets portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendTargetPortal {
    /// As it was given.
    pub initiator: InitiatorPort,
    /// The portal.
    pub portal: Portal,
    /// As they were given.
    pub security_flags: u64,
    /// Options of its discovery sessions, without the password.
    pub login_options: LoginOptions,
}

/// `SCSI_LUN_LIST` (§3.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LunMapping {
    /// The operating system's LUN number.
    pub os_lun: u32,
    /// The eight LUN bytes read as a little-endian number: LUN 1 is 0x100.
    pub target_lun: u64,
}

/// `ISCSI_TARGET_MAPPING` (§3.3). On input only the numbers and LUNs count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetMapping {
    /// Initiator instance; empty on input.
    pub initiator_name: String,
    /// Name of the target; empty on input.
    pub target_name: String,
    /// The adapter's device; empty on input.
    pub os_device_name: String,
    /// Session; zero on input.
    pub session_id: SessionId,
    /// Bus, or 0xFFFFFFFF for any.
    pub os_bus_number: u32,
    /// Target number, or 0xFFFFFFFF for any.
    pub os_target_number: u32,
    /// LUNs.
    pub luns: Vec<LunMapping>,
}

/// A static target to add (`AddIScsiStaticTarget`, §2.2).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StaticTarget {
    /// iSCSI name.
    pub name: String,
    /// Alias; `None` and empty are the same.
    pub alias: Option<String>,
    /// `ISCSI_TARGET_FLAGS`: 0x2 hide, 0x4 merge.
    pub flags: u32,
    /// Keep it over a restart of the daemon.
    pub persist: bool,
    /// Numbers for its LUNs.
    pub mapping: Option<TargetMapping>,
    /// Default options of logins to it.
    pub login_options: Option<LoginOptions>,
    /// Where it is reached. `None` and a group without portals are the same.
    pub portal_group: Option<PortalGroup>,
}

/// `TARGET_INFORMATION_CLASS` (§3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum InformationClass {
    /// `ProtocolType`.
    ProtocolType = 0,
    /// `TargetAlias`.
    TargetAlias = 1,
    /// `DiscoveryMechanisms`.
    DiscoveryMechanisms = 2,
    /// `PortalGroups`.
    PortalGroups = 3,
    /// `PersistentTargetMappings`.
    PersistentTargetMappings = 4,
    /// `InitiatorName`.
    InitiatorName = 5,
    /// `TargetFlags`.
    TargetFlags = 6,
    /// `LoginOptions`.
    LoginOptions = 7,
}

impl TryFrom<u32> for InformationClass {
    type Error = Status;

    /// An unknown class is `ERROR_INVALID_PARAMETER` (§2.2).
    fn try_from(class: u32) -> Result<Self, Status> {
        Ok(match class {
            0 => Self::ProtocolType,
            1 => Self::TargetAlias,
            2 => Self::DiscoveryMechanisms,
            3 => Self::PortalGroups,
            4 => Self::PersistentTargetMappings,
            5 => Self::InitiatorName,
            6 => Self::TargetFlags,
            7 => Self::LoginOptions,
            _ => return Err(Status::ERROR_INVALID_PARAMETER),
        })
    }
}

/// What `GetIScsiTargetInformation` gives, a variant for each class (§2.2).
#[derive(Debug, Clone, PartialEq)]
pub enum TargetInformation {
    /// `TARGETPROTOCOLTYPE`: 0, TCP.
    ProtocolType(u32),
    /// The alias, empty if there is none.
    TargetAlias(String),
    /// The mechanisms by which the target is known.
    DiscoveryMechanisms(Vec<String>),
    /// Its portal groups; none: size 0 in C.
    PortalGroups(Vec<PortalGroup>),
    /// The mapping stored for it, if any.
    PersistentTargetMappings(Option<TargetMapping>),
    /// The initiator instance that reaches it, if it is known.
    InitiatorName(Option<String>),
    /// `ISCSI_TARGET_FLAGS`.
    TargetFlags(u32),
    /// The default options of logins to it, if any, without the password.
    LoginOptions(Option<LoginOptions>),
}

/// A login (`LoginIScsiTarget`, §2.3).
#[derive(Debug, Default)]
pub struct Login {
    /// Name of a known target.
    pub target_name: String,
    /// Do not show its LUNs as devices.
    pub informational: bool,
    /// Where to start from. With no instance the port must be [`ANY_PORT`].
    pub initiator: InitiatorPort,
    /// Use exactly this portal. `None` and an empty address: any that is known.
    pub portal: Option<Portal>,
    /// `ISCSI_SECURITY_FLAGS`.
    pub security_flags: u64,
    /// Numbers for its LUNs.
    pub mapping: Option<TargetMapping>,
    /// Options. `None`: the target's stored defaults.
    pub login_options: Option<LoginOptions>,
    /// IKE preshared key.
    pub key: Option<Secret>,
    /// Only store a persistent login, do not log in now.
    pub persistent: bool,
}

/// What a login made; both are zero if it was only stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoggedIn {
    /// The session.
    pub session_id: SessionId,
    /// Its first connection.
    pub connection_id: ConnectionId,
}

/// A connection to add to a session (`AddIScsiConnection`, §2.3).
#[derive(Debug, Default)]
pub struct NewConnection {
    /// The session.
    pub session_id: SessionId,
    /// Source port, or [`ANY_PORT`].
    pub port_number: u32,
    /// Portal. `None`: that of the leading connection.
    pub portal: Option<Portal>,
    /// `ISCSI_SECURITY_FLAGS`.
    pub security_flags: u64,
    /// Options of this connection.
    pub login_options: Option<LoginOptions>,
    /// IKE preshared key.
    pub key: Option<Secret>,
}

/// `ISCSI_CONNECTION_INFO` (§3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Its id.
    pub id: ConnectionId,
    /// Our address.
    pub initiator_address: String,
    /// The target's address.
    pub target_address: String,
    /// Our TCP port.
    pub initiator_socket: u16,
    /// The target's TCP port.
    pub target_socket: u16,
    /// CID, little-endian.
    pub cid: [u8; 2],
}

/// `ISCSI_SESSION_INFO` (§3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Node name that we sent in the login. (`TargetNodeName` is NULL, §6 row 17.)
    pub initiator_name: String,
    /// iSCSI name of the target.
    pub target_name: String,
    /// ISID in wire order.
    pub isid: [u8; 6],
    /// TSIH, little-endian.
    pub tsid: [u8; 2],
    /// Its connections; none while it reconnects.
    pub connections: Vec<ConnectionInfo>,
}

/// `ISCSI_CONNECTION_INFO_EX` (§3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfoEx {
    /// Its id.
    pub id: ConnectionId,
    /// 0 login phase, 1 full feature, 2 logout.
    pub state: u8,
    /// 6: TCP.
    pub protocol: u8,
    /// 0 none, 1 CRC32C.
    pub header_digest: u8,
    /// 0 none, 1 CRC32C.
    pub data_digest: u8,
    /// Bytes.
    pub max_recv_data_segment_length: u32,
    /// `ISCSI_AUTH_TYPES`.
    pub auth_type: u32,
    /// Bytes a second; 0: not estimated.
    pub estimated_throughput: u64,
    /// Bytes.
    pub max_datagram_size: u32,
}

/// `ISCSI_SESSION_INFO_EX` (§3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfoEx {
    /// Its id.
    pub id: SessionId,
    /// InitialR2T.
    pub initial_r2t: bool,
    /// ImmediateData.
    pub immediate_data: bool,
    /// 0 discovery, 1 informational, 2 data.
    pub session_type: u8,
    /// DataSequenceInOrder.
    pub data_sequence_in_order: bool,
    /// DataPDUInOrder.
    pub data_pdu_in_order: bool,
    /// ErrorRecoveryLevel.
    pub error_recovery_level: u8,
    /// MaxOutstandingR2T.
    pub max_outstanding_r2t: u32,
    /// FirstBurstLength in bytes.
    pub first_burst_length: u32,
    /// MaxBurstLength in bytes.
    pub max_burst_length: u32,
    /// MaxConnections.
    pub maximum_connections: u32,
    /// Its connections; none while it reconnects.
    pub connections: Vec<ConnectionInfoEx>,
}

/// `SCSI_ADDRESS` (§3.3) without its length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScsiAddress {
    /// Adapter number.
    pub port_number: u8,
    /// Bus.
    pub path_id: u8,
    /// Target.
    pub target_id: u8,
    /// LUN.
    pub lun: u8,
}

/// `STORAGE_DEVICE_NUMBER` (§3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageDeviceNumber {
    /// 7 disk, 2 CD-ROM, 31 tape, 48 changer.
    pub device_type: u32,
    /// 0xFFFFFFFF until the device is ready.
    pub device_number: u32,
    /// 0 for a whole disk, 0xFFFFFFFF for what cannot be partitioned.
    pub partition_number: u32,
}

/// `GUID_DEVINTERFACE_*` (§3.2): the first field; the rest is the same in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum InterfaceType {
    /// Disk.
    Disk = 0x53f5_6307,
    /// CD-ROM.
    Cdrom = 0x53f5_6308,
    /// Tape.
    Tape = 0x53f5_630b,
    /// Write-once disk.
    WriteOnceDisk = 0x53f5_630c,
    /// Medium changer.
    MediumChanger = 0x53f5_6310,
}

/// `ISCSI_DEVICE_ON_SESSION` (§3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Initiator instance.
    pub initiator_name: String,
    /// iSCSI name of the target.
    pub target_name: String,
    /// Address.
    pub scsi_address: ScsiAddress,
    /// Kind of device.
    pub interface_type: InterfaceType,
    /// Stable path to it, or empty.
    pub interface_name: String,
    /// Path of the device, or empty.
    pub legacy_name: String,
    /// Its number.
    pub storage_device_number: StorageDeviceNumber,
}

/// `PERSISTENT_ISCSI_LOGIN_INFO` (§3.3).
#[derive(Debug, Clone, PartialEq)]
pub struct PersistentLogin {
    /// iSCSI name of the target.
    pub target_name: String,
    /// Its LUNs are not shown as devices.
    pub informational: bool,
    /// Initiator and port.
    pub initiator: InitiatorPort,
    /// Portal; an empty address means any.
    pub portal: Portal,
    /// `ISCSI_SECURITY_FLAGS`.
    pub security_flags: u64,
    /// Numbers for its LUNs.
    pub mapping: Option<TargetMapping>,
    /// Options, without the password.
    pub login_options: LoginOptions,
}

/// How a SCSI command ended (§2.6). A command that the device refused is one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScsiAnswer {
    /// SAM status byte.
    pub scsi_status: u8,
    /// What the device sent.
    pub data: Vec<u8>,
    /// Sense data, or empty.
    pub sense: Vec<u8>,
    /// Bytes that were expected and not moved.
    pub underflow: u32,
    /// Bytes that the device had beyond those expected.
    pub overflow: u32,
}

impl ScsiAnswer {
    /// What the C function returns: `ISDSC_SCSI_REQUEST_FAILED` unless the status is GOOD (§2.6).
    #[must_use]
    pub fn status(&self) -> Status {
        if self.scsi_status == 0 {
            Status::ERROR_SUCCESS
        } else {
            Status::SCSI_REQUEST_FAILED
        }
    }
}

/// Whom an IKE preshared key is for (§2.7): `IdType` with `Id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IkeIdentity {
    /// `ID_IPV4_ADDR` 1, `ID_FQDN` 2, `ID_USER_FQDN` 3, `ID_IPV6_ADDR` 5.
    pub id_type: u8,
    /// Address in network order, or text without a NUL.
    pub id: Vec<u8>,
}

/// IKE authentication information to store (`SetIScsiIKEInfo`, §2.7).
#[derive(Debug)]
pub struct IkeInfo {
    /// `IKE_AUTHENTICATION_METHOD`: must be 1, a preshared key.
    pub auth_method: u32,
    /// `ISCSI_SECURITY_FLAGS`.
    pub security_flags: u64,
    /// Whom it is for.
    pub identity: IkeIdentity,
    /// The key. `None`: remove the key of this identity.
    pub key: Option<Secret>,
}

/// A secret: never printed, wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(hawser_api::v1::Secret);

impl Secret {
    /// Takes the bytes of a secret.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(hawser_api::v1::Secret::new(bytes))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.expose().len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_wire(self) -> hawser_api::v1::Secret {
        self.0
    }
}

/// Never shows the bytes.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}
