//! Every struct of the library has the size, alignment and offsets that Windows programs were compiled against, and every
//! constant its value: those of `windows-sys`, whose metadata come from the SDK header. (A `bool` there is one byte as our
//! BOOLEAN is.)
#![cfg(target_pointer_width = "64")]

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::mem::{align_of, offset_of, size_of};

use hawser_api::Status;
use iscsidsc::abi::{constants, types as ours};
use windows_sys::Win32::Foundation;
use windows_sys::Win32::Storage::IscsiDisc as theirs;
use windows_sys::Win32::System::Ioctl::{
    self, STORAGE_DEVICE_NUMBER as THEIR_STORAGE_DEVICE_NUMBER,
};
use windows_sys::core::{GUID as THEIR_GUID, PCSTR};

macro_rules! same_layout {
    ($ours:ty, $theirs:ty, $size:literal: $($field:ident = $offset:literal),+ $(,)?) => {
        assert_eq!(size_of::<$ours>(), $size, stringify!($ours));
        assert_eq!(size_of::<$theirs>(), $size, stringify!($theirs));
        assert_eq!(align_of::<$ours>(), align_of::<$theirs>(), stringify!($ours));
        $(
            let place = concat!(stringify!($ours), ".", stringify!($field));
            assert_eq!(offset_of!($ours, $field), $offset, "{place}");
            assert_eq!(offset_of!($theirs, $field), $offset, "{place} of windows-sys");
            assert_eq!(
                width(|value: &$ours| &raw const value.$field),
                width(|value: &$theirs| &raw const value.$field),
                "{place}"
            );
        )+
    };
}

/// Size of the field that `get` points to.
fn width<S, F>(get: impl Fn(&S) -> *const F) -> usize {
    let _ = get;
    size_of::<F>()
}

#[test]
fn ids_options_and_keys() {
    assert_eq!(size_of::<ours::GUID>(), size_of::<THEIR_GUID>());
    assert_eq!(align_of::<ours::GUID>(), align_of::<THEIR_GUID>());
    assert_eq!(offset_of!(ours::GUID, Data1), offset_of!(THEIR_GUID, data1));
    assert_eq!(offset_of!(ours::GUID, Data2), offset_of!(THEIR_GUID, data2));
    assert_eq!(offset_of!(ours::GUID, Data3), offset_of!(THEIR_GUID, data3));
    assert_eq!(offset_of!(ours::GUID, Data4), offset_of!(THEIR_GUID, data4));
    same_layout!(ours::SCSI_ADDRESS, theirs::SCSI_ADDRESS, 8: Length = 0, PortNumber = 4, PathId = 5, TargetId = 6, Lun = 7);
    same_layout!(ours::STORAGE_DEVICE_NUMBER, THEIR_STORAGE_DEVICE_NUMBER, 12: DeviceType = 0, DeviceNumber = 4, PartitionNumber = 8);
    same_layout!(ours::ISCSI_UNIQUE_SESSION_ID, theirs::ISCSI_UNIQUE_SESSION_ID, 16: AdapterUnique = 0, AdapterSpecific = 8);
    same_layout!(ours::SCSI_LUN_LIST, theirs::SCSI_LUN_LIST, 16: OSLUN = 0, TargetLUN = 8);
    same_layout!(ours::ISCSI_LOGIN_OPTIONS, theirs::ISCSI_LOGIN_OPTIONS, 64: Version = 0, InformationSpecified = 4, LoginFlags = 8, AuthType = 12, HeaderDigest = 16, DataDigest = 20, MaximumConnections = 24, DefaultTime2Wait = 28, DefaultTime2Retain = 32, UsernameLength = 36, PasswordLength = 40, Username = 48, Password = 56);
    same_layout!(ours::IKE_AUTHENTICATION_PRESHARED_KEY, theirs::IKE_AUTHENTICATION_PRESHARED_KEY, 40: SecurityFlags = 0, IdType = 8, IdLengthInBytes = 12, Id = 16, KeyLengthInBytes = 24, Key = 32);
    same_layout!(ours::ISCSI_VERSION_INFO, theirs::ISCSI_VERSION_INFO, 12: MajorVersion = 0, MinorVersion = 4, BuildNumber = 8);
}

#[test]
fn portals_and_mappings() {
    same_layout!(ours::ISCSI_TARGET_MAPPINGA, theirs::ISCSI_TARGET_MAPPINGA, 784: InitiatorName = 0, TargetName = 256, OSDeviceName = 480, SessionId = 744, OSBusNumber = 760, OSTargetNumber = 764, LUNCount = 768, LUNList = 776);
    same_layout!(ours::ISCSI_TARGET_MAPPINGW, theirs::ISCSI_TARGET_MAPPINGW, 1520: InitiatorName = 0, TargetName = 512, OSDeviceName = 960, SessionId = 1480, OSBusNumber = 1496, OSTargetNumber = 1500, LUNCount = 1504, LUNList = 1512);
    same_layout!(ours::ISCSI_TARGET_PORTALA, theirs::ISCSI_TARGET_PORTALA, 514: SymbolicName = 0, Address = 256, Socket = 512);
    same_layout!(ours::ISCSI_TARGET_PORTALW, theirs::ISCSI_TARGET_PORTALW, 1026: SymbolicName = 0, Address = 512, Socket = 1024);
    same_layout!(ours::ISCSI_TARGET_PORTAL_INFOA, theirs::ISCSI_TARGET_PORTAL_INFOA, 776: InitiatorName = 0, InitiatorPortNumber = 256, SymbolicName = 260, Address = 516, Socket = 772);
    same_layout!(ours::ISCSI_TARGET_PORTAL_INFOW, theirs::ISCSI_TARGET_PORTAL_INFOW, 1544: InitiatorName = 0, InitiatorPortNumber = 512, SymbolicName = 516, Address = 1028, Socket = 1540);
    same_layout!(ours::ISCSI_TARGET_PORTAL_INFO_EXA, theirs::ISCSI_TARGET_PORTAL_INFO_EXA, 848: InitiatorName = 0, InitiatorPortNumber = 256, SymbolicName = 260, Address = 516, Socket = 772, SecurityFlags = 776, LoginOptions = 784);
    same_layout!(ours::ISCSI_TARGET_PORTAL_INFO_EXW, theirs::ISCSI_TARGET_PORTAL_INFO_EXW, 1616: InitiatorName = 0, InitiatorPortNumber = 512, SymbolicName = 516, Address = 1028, Socket = 1540, SecurityFlags = 1544, LoginOptions = 1552);
    same_layout!(ours::ISCSI_TARGET_PORTAL_GROUPA, theirs::ISCSI_TARGET_PORTAL_GROUPA, 520: Count = 0, Portals = 4);
    same_layout!(ours::ISCSI_TARGET_PORTAL_GROUPW, theirs::ISCSI_TARGET_PORTAL_GROUPW, 1032: Count = 0, Portals = 4);
}

#[test]
fn sessions_and_connections() {
    same_layout!(ours::ISCSI_CONNECTION_INFOA, theirs::ISCSI_CONNECTION_INFOA, 40: ConnectionId = 0, InitiatorAddress = 16, TargetAddress = 24, InitiatorSocket = 32, TargetSocket = 34, CID = 36);
    same_layout!(ours::ISCSI_CONNECTION_INFOW, theirs::ISCSI_CONNECTION_INFOW, 40: ConnectionId = 0, InitiatorAddress = 16, TargetAddress = 24, InitiatorSocket = 32, TargetSocket = 34, CID = 36);
    same_layout!(ours::ISCSI_SESSION_INFOA, theirs::ISCSI_SESSION_INFOA, 64: SessionId = 0, InitiatorName = 16, TargetNodeName = 24, TargetName = 32, ISID = 40, TSID = 46, ConnectionCount = 48, Connections = 56);
    same_layout!(ours::ISCSI_SESSION_INFOW, theirs::ISCSI_SESSION_INFOW, 64: SessionId = 0, InitiatorName = 16, TargetNodeName = 24, TargetName = 32, ISID = 40, TSID = 46, ConnectionCount = 48, Connections = 56);
    same_layout!(ours::ISCSI_CONNECTION_INFO_EX, theirs::ISCSI_CONNECTION_INFO_EX, 48: ConnectionId = 0, State = 16, Protocol = 17, HeaderDigest = 18, DataDigest = 19, MaxRecvDataSegmentLength = 20, AuthType = 24, EstimatedThroughput = 32, MaxDatagramSize = 40);
    same_layout!(ours::ISCSI_SESSION_INFO_EX, theirs::ISCSI_SESSION_INFO_EX, 56: SessionId = 0, InitialR2t = 16, ImmediateData = 17, Type = 18, DataSequenceInOrder = 19, DataPduInOrder = 20, ErrorRecoveryLevel = 21, MaxOutstandingR2t = 24, FirstBurstLength = 28, MaxBurstLength = 32, MaximumConnections = 36, ConnectionCount = 40, Connections = 48);
}

#[test]
fn devices_and_persistent_logins() {
    same_layout!(ours::ISCSI_DEVICE_ON_SESSIONA, theirs::ISCSI_DEVICE_ON_SESSIONA, 1040: InitiatorName = 0, TargetName = 256, ScsiAddress = 480, DeviceInterfaceType = 488, DeviceInterfaceName = 504, LegacyName = 764, StorageDeviceNumber = 1024, DeviceInstance = 1036);
    same_layout!(ours::ISCSI_DEVICE_ON_SESSIONW, theirs::ISCSI_DEVICE_ON_SESSIONW, 2040: InitiatorName = 0, TargetName = 512, ScsiAddress = 960, DeviceInterfaceType = 968, DeviceInterfaceName = 984, LegacyName = 1504, StorageDeviceNumber = 2024, DeviceInstance = 2036);
    same_layout!(ours::PERSISTENT_ISCSI_LOGIN_INFOA, theirs::PERSISTENT_ISCSI_LOGIN_INFOA, 1088: TargetName = 0, IsInformationalSession = 224, InitiatorInstance = 225, InitiatorPortNumber = 484, TargetPortal = 488, SecurityFlags = 1008, Mappings = 1016, LoginOptions = 1024);
    same_layout!(ours::PERSISTENT_ISCSI_LOGIN_INFOW, theirs::PERSISTENT_ISCSI_LOGIN_INFOW, 2080: TargetName = 0, IsInformationalSession = 448, InitiatorInstance = 450, InitiatorPortNumber = 964, TargetPortal = 968, SecurityFlags = 2000, Mappings = 2008, LoginOptions = 2016);
}

/// The key is a member of an anonymous union there, which has another name in `windows-sys`.
#[test]
fn ike_information() {
    type Ours = ours::IKE_AUTHENTICATION_INFORMATION;
    type Theirs = theirs::IKE_AUTHENTICATION_INFORMATION;
    assert_eq!(size_of::<Ours>(), 48);
    assert_eq!(size_of::<Theirs>(), 48);
    assert_eq!(align_of::<Ours>(), align_of::<Theirs>());
    assert_eq!(offset_of!(Ours, AuthMethod), offset_of!(Theirs, AuthMethod));
    assert_eq!(offset_of!(Ours, PsKey), offset_of!(Theirs, Anonymous));
    assert_eq!(offset_of!(Ours, PsKey), 8);
}

/// A number of whatever width.
fn number(value: impl TryInto<i64>) -> Option<i64> {
    value.try_into().ok()
}

/// Constants that are numbers there too.
macro_rules! same_numbers {
    ($theirs:ident: $($name:ident),+ $(,)?) => {
        $(assert_eq!(
            number(constants::$name),
            number($theirs::$name),
            stringify!($name)
        );)+
    };
}

#[test]
fn lengths_and_flags() {
    same_numbers!(Foundation: MAX_PATH);
    same_numbers!(theirs:
        MAX_ISCSI_HBANAME_LEN,
        MAX_ISCSI_NAME_LEN,
        MAX_ISCSI_ALIAS_LEN,
        MAX_ISCSI_PORTAL_NAME_LEN,
        MAX_ISCSI_PORTAL_ALIAS_LEN,
        MAX_ISCSI_TEXT_ADDRESS_LEN,
        MAX_ISCSI_PORTAL_ADDRESS_LEN,
        MAX_ISCSI_DISCOVERY_DOMAIN_LEN,
        MAX_RADIUS_ADDRESS_LEN,
        ISCSI_LOGIN_OPTIONS_VERSION,
        ISCSI_LOGIN_FLAG_REQUIRE_IPSEC,
        ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED,
        ISCSI_LOGIN_FLAG_RESERVED1,
        ISCSI_LOGIN_FLAG_ALLOW_PORTAL_HOPPING,
        ISCSI_LOGIN_FLAG_USE_RADIUS_RESPONSE,
        ISCSI_LOGIN_FLAG_USE_RADIUS_VERIFICATION,
        ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET,
        ISCSI_TARGET_FLAG_MERGE_TARGET_INFORMATION,
    );
}

#[test]
fn enumerations() {
    same_numbers!(theirs:
        ISCSI_DIGEST_TYPE_NONE,
        ISCSI_DIGEST_TYPE_CRC32C,
        ISCSI_NO_AUTH_TYPE,
        ISCSI_CHAP_AUTH_TYPE,
        ISCSI_MUTUAL_CHAP_AUTH_TYPE,
        IKE_AUTHENTICATION_PRESHARED_KEY_METHOD,
        ISCSI_TCP_PROTOCOL_TYPE,
        ProtocolType,
        TargetAlias,
        DiscoveryMechanisms,
        PortalGroups,
        PersistentTargetMappings,
        InitiatorName,
        TargetFlags,
        LoginOptions,
    );
}

/// The number that a text of theirs is, in decimal or behind `0x`.
fn number_of(text: PCSTR) -> u64 {
    // SAFETY: it is a literal of `windows-sys`, which ends them with a NUL.
    let text = unsafe { CStr::from_ptr(text.cast()) }.to_str().unwrap();
    let read = text
        .strip_prefix("0x")
        .map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16));
    read.unwrap_or_else(|_| panic!("{text}"))
}

/// Constants that are texts there, because the header casts them.
macro_rules! same_as_texts {
    ($($name:ident),+ $(,)?) => {
        $(assert_eq!(
            u64::from(constants::$name),
            number_of(theirs::$name),
            stringify!($name)
        );)+
    };
}

#[test]
fn bits_and_identity_types() {
    same_as_texts!(
        ISCSI_LOGIN_OPTIONS_HEADER_DIGEST,
        ISCSI_LOGIN_OPTIONS_DATA_DIGEST,
        ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS,
        ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT,
        ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_RETAIN,
        ISCSI_LOGIN_OPTIONS_USERNAME,
        ISCSI_LOGIN_OPTIONS_PASSWORD,
        ISCSI_LOGIN_OPTIONS_AUTH_TYPE,
        ISCSI_SECURITY_FLAG_VALID,
        ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED,
        ISCSI_SECURITY_FLAG_MAIN_MODE_ENABLED,
        ISCSI_SECURITY_FLAG_AGGRESSIVE_MODE_ENABLED,
        ISCSI_SECURITY_FLAG_PFS_ENABLED,
        ISCSI_SECURITY_FLAG_TRANSPORT_MODE_PREFERRED,
        ISCSI_SECURITY_FLAG_TUNNEL_MODE_PREFERRED,
        ID_IPV4_ADDR,
        ID_FQDN,
        ID_USER_FQDN,
        ID_IPV6_ADDR,
    );
}

/// Those of our statuses that `windows-sys` knows with these features: it has neither `ISDSC_*` nor the rest of Winsock
/// and RPC.
#[test]
fn statuses_of_win32() {
    macro_rules! known {
        ($($name:ident),+ $(,)?) => {
            [$((stringify!($name), Foundation::$name)),+]
        };
    }
    let known = known![
        ERROR_SUCCESS,
        ERROR_FILE_NOT_FOUND,
        ERROR_ACCESS_DENIED,
        ERROR_NOT_ENOUGH_MEMORY,
        ERROR_NOT_SUPPORTED,
        ERROR_INVALID_PARAMETER,
        ERROR_DISK_FULL,
        ERROR_CALL_NOT_IMPLEMENTED,
        ERROR_INSUFFICIENT_BUFFER,
        ERROR_INVALID_NAME,
        ERROR_ALREADY_EXISTS,
        ERROR_MORE_DATA,
        ERROR_NOACCESS,
        ERROR_SERVICE_NOT_ACTIVE,
        ERROR_NOT_FOUND,
        ERROR_TIMEOUT,
    ];
    for (name, code) in known {
        let ours = Status::from_name(name).map(Status::code);
        assert_eq!(ours, Some(code), "{name}");
    }
    let listed: BTreeSet<&str> = known.iter().map(|(name, _)| *name).collect();
    let all = Status::ALL.iter().map(|info| info.name);
    let ours: BTreeSet<&str> = all.filter(|name| name.starts_with("ERROR_")).collect();
    assert_eq!(listed, ours, "none is left out");
}

#[test]
fn device_interfaces() {
    use iscsidsc::api::InterfaceType;
    let pairs = [
        (InterfaceType::Disk, Ioctl::GUID_DEVINTERFACE_DISK),
        (InterfaceType::Cdrom, Ioctl::GUID_DEVINTERFACE_CDROM),
        (InterfaceType::Tape, Ioctl::GUID_DEVINTERFACE_TAPE),
        (
            InterfaceType::WriteOnceDisk,
            Ioctl::GUID_DEVINTERFACE_WRITEONCEDISK,
        ),
        (
            InterfaceType::MediumChanger,
            Ioctl::GUID_DEVINTERFACE_MEDIUMCHANGER,
        ),
    ];
    for (kind, theirs) in pairs {
        let ours = constants::device_interface(kind as u32);
        let fields = (ours.Data1, ours.Data2, ours.Data3, ours.Data4);
        let expected = (theirs.data1, theirs.data2, theirs.data3, theirs.data4);
        assert_eq!(fields, expected, "{kind:?}");
    }
}
