"""The C declarations of the iSCSI Discovery Library for ctypes, typed from the fact sheet (§1.8, §2, §3).

Nothing here is taken from our own header or Rust code: this file and they must come to the same layout on their own.
A struct with text is declared once and made twice, `…A` with 8-bit and `…W` with 16-bit characters.
Text arrays are arrays of numbers (`UCHAR`, `WCHAR`): ctypes' own `c_wchar` has 32 bits here.
"""

import ctypes
from ctypes import POINTER

# §1.1: the widths, whatever those of `long` and `wchar_t` are on this machine.
BOOLEAN = ctypes.c_uint8
UCHAR = ctypes.c_uint8
WCHAR = ctypes.c_uint16
USHORT = ctypes.c_uint16
ULONG = ctypes.c_uint32
ULONGLONG = ctypes.c_uint64
ENUM = ctypes.c_int32
ISDSC_STATUS = ULONG

# §1.6 and §1.8.
MAX_PATH = 260
MAX_ISCSI_HBANAME_LEN = 256
MAX_ISCSI_NAME_LEN = 223
MAX_ISCSI_ALIAS_LEN = 255
MAX_ISCSI_PORTAL_NAME_LEN = 256
MAX_ISCSI_PORTAL_ALIAS_LEN = 256
MAX_ISCSI_TEXT_ADDRESS_LEN = 256
MAX_ISCSI_PORTAL_ADDRESS_LEN = 256
MAX_ISCSI_DISCOVERY_DOMAIN_LEN = 256
MAX_RADIUS_ADDRESS_LEN = 41
ISCSI_LOGIN_OPTIONS_VERSION = 0
ISCSI_ANY_INITIATOR_PORT = 0xFFFFFFFF
ISCSI_ALL_INITIATOR_PORTS = 0xFFFFFFFF

# §3.1.
ISCSI_DIGEST_TYPE_NONE = 0
ISCSI_DIGEST_TYPE_CRC32C = 1
ISCSI_NO_AUTH_TYPE = 0
ISCSI_CHAP_AUTH_TYPE = 1
ISCSI_MUTUAL_CHAP_AUTH_TYPE = 2
IKE_AUTHENTICATION_PRESHARED_KEY_METHOD = 1
ISCSI_TCP_PROTOCOL_TYPE = 0
# TARGET_INFORMATION_CLASS
ProtocolType = 0
TargetAlias = 1
DiscoveryMechanisms = 2
PortalGroups = 3
PersistentTargetMappings = 4
InitiatorName = 5
TargetFlags = 6
LoginOptions = 7

# §3.2.
ISCSI_LOGIN_OPTIONS_HEADER_DIGEST = 0x01
ISCSI_LOGIN_OPTIONS_DATA_DIGEST = 0x02
ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS = 0x04
ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT = 0x08
ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_RETAIN = 0x10
ISCSI_LOGIN_OPTIONS_USERNAME = 0x20
ISCSI_LOGIN_OPTIONS_PASSWORD = 0x40
ISCSI_LOGIN_OPTIONS_AUTH_TYPE = 0x80
ISCSI_LOGIN_FLAG_REQUIRE_IPSEC = 0x01
ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED = 0x02
ISCSI_LOGIN_FLAG_RESERVED1 = 0x04
ISCSI_LOGIN_FLAG_ALLOW_PORTAL_HOPPING = 0x08
ISCSI_LOGIN_FLAG_USE_RADIUS_RESPONSE = 0x10
ISCSI_LOGIN_FLAG_USE_RADIUS_VERIFICATION = 0x20
ISCSI_SECURITY_FLAG_VALID = 0x01
ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED = 0x02
ISCSI_SECURITY_FLAG_MAIN_MODE_ENABLED = 0x04
ISCSI_SECURITY_FLAG_AGGRESSIVE_MODE_ENABLED = 0x08
ISCSI_SECURITY_FLAG_PFS_ENABLED = 0x10
ISCSI_SECURITY_FLAG_TRANSPORT_MODE_PREFERRED = 0x20
ISCSI_SECURITY_FLAG_TUNNEL_MODE_PREFERRED = 0x40
ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET = 0x2
ISCSI_TARGET_FLAG_MERGE_TARGET_INFORMATION = 0x4
ID_IPV4_ADDR = 1
ID_FQDN = 2
ID_USER_FQDN = 3
ID_IPV6_ADDR = 5
# First field of DeviceInterfaceType; the rest is DEVINTERFACE_REST for all.
GUID_DEVINTERFACE_DISK = 0x53F56307
GUID_DEVINTERFACE_CDROM = 0x53F56308
GUID_DEVINTERFACE_TAPE = 0x53F5630B
GUID_DEVINTERFACE_WRITEONCEDISK = 0x53F5630C
GUID_DEVINTERFACE_VOLUME = 0x53F5630D
GUID_DEVINTERFACE_MEDIUMCHANGER = 0x53F56310
GUID_DEVINTERFACE_FLOPPY = 0x53F56311
GUID_DEVINTERFACE_CDCHANGER = 0x53F56312
DEVINTERFACE_REST = (0xB6BF, 0x11D0, bytes.fromhex("94f200a0c91efb8b"))

# What stands for the character in a declaration that is made twice.
TCHAR = object()
PTSTR = object()

#: All structs by name.
STRUCTS = {}


class Struct(ctypes.Structure):
    """A struct of the header; two are equal if all their bytes are."""

    def __eq__(self, other):
        return type(self) is type(other) and bytes(self) == bytes(other)

    __hash__ = None

    def __repr__(self):
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name, *_ in self._fields_)
        return f"{type(self).__name__}({fields})"


def _checked(name, fields, size, alignment, offsets):
    """Makes one struct and holds it to the size, alignment and offsets of the sheet."""
    struct = type(name, (Struct,), {"_fields_": fields})
    found = [getattr(struct, field).offset for field, _ in fields]
    assert ctypes.sizeof(struct) == size, f"{name}: size {ctypes.sizeof(struct)}, not {size}"
    assert ctypes.alignment(struct) == alignment, f"{name}: alignment"
    assert found == offsets, f"{name}: offsets {found}, not {offsets}"
    STRUCTS[name] = struct
    return struct


def _plain(name, size, alignment, *fields):
    """A struct without text: (field, type, offset) each."""
    named = [(field, kind) for field, kind, _ in fields]
    return _checked(name, named, size, alignment, [offset for _, _, offset in fields])


def _of_width(kind, suffix):
    """A type of a declaration that is made twice, in one of its widths."""
    unit = UCHAR if suffix == "A" else WCHAR
    if kind is PTSTR:
        return POINTER(unit)
    if isinstance(kind, str):
        pointed = kind.startswith("*")
        struct = STRUCTS[kind.lstrip("*") + suffix]
        return POINTER(struct) if pointed else struct
    if isinstance(kind, tuple):
        element, length = kind
        return (unit if element is TCHAR else _of_width(element, suffix)) * length
    return kind


def _pair(name, sizes, alignment, *fields):
    """A struct with text: (field, type, offset in A, offset in W) each."""
    made = []
    for column, suffix in enumerate("AW"):
        named = [(field[0], _of_width(field[1], suffix)) for field in fields]
        offsets = [field[2 + column] for field in fields]
        made.append(_checked(name + suffix, named, sizes[column], alignment, offsets))
    return made


# §3.3.
ISCSI_UNIQUE_SESSION_ID = _plain(
    "ISCSI_UNIQUE_SESSION_ID",
    16,
    8,
    ("AdapterUnique", ULONGLONG, 0),
    ("AdapterSpecific", ULONGLONG, 8),
)
ISCSI_UNIQUE_CONNECTION_ID = ISCSI_UNIQUE_SESSION_ID
STRUCTS["ISCSI_UNIQUE_CONNECTION_ID"] = ISCSI_UNIQUE_CONNECTION_ID

SCSI_LUN_LIST = _plain("SCSI_LUN_LIST", 16, 8, ("OSLUN", ULONG, 0), ("TargetLUN", ULONGLONG, 8))

ISCSI_LOGIN_OPTIONS = _plain(
    "ISCSI_LOGIN_OPTIONS",
    64,
    8,
    ("Version", ULONG, 0),
    ("InformationSpecified", ULONG, 4),
    ("LoginFlags", ULONG, 8),
    ("AuthType", ENUM, 12),
    ("HeaderDigest", ENUM, 16),
    ("DataDigest", ENUM, 20),
    ("MaximumConnections", ULONG, 24),
    ("DefaultTime2Wait", ULONG, 28),
    ("DefaultTime2Retain", ULONG, 32),
    ("UsernameLength", ULONG, 36),
    ("PasswordLength", ULONG, 40),
    ("Username", POINTER(UCHAR), 48),
    ("Password", POINTER(UCHAR), 56),
)

IKE_AUTHENTICATION_PRESHARED_KEY = _plain(
    "IKE_AUTHENTICATION_PRESHARED_KEY",
    40,
    8,
    ("SecurityFlags", ULONGLONG, 0),
    ("IdType", UCHAR, 8),
    ("IdLengthInBytes", ULONG, 12),
    ("Id", POINTER(UCHAR), 16),
    ("KeyLengthInBytes", ULONG, 24),
    ("Key", POINTER(UCHAR), 32),
)

IKE_AUTHENTICATION_INFORMATION = _plain(
    "IKE_AUTHENTICATION_INFORMATION",
    48,
    8,
    ("AuthMethod", ENUM, 0),
    ("PsKey", IKE_AUTHENTICATION_PRESHARED_KEY, 8),
)

ISCSI_TARGET_MAPPINGA, ISCSI_TARGET_MAPPINGW = _pair(
    "ISCSI_TARGET_MAPPING",
    (784, 1520),
    8,
    ("InitiatorName", (TCHAR, 256), 0, 0),
    ("TargetName", (TCHAR, 224), 256, 512),
    ("OSDeviceName", (TCHAR, 260), 480, 960),
    ("SessionId", ISCSI_UNIQUE_SESSION_ID, 744, 1480),
    ("OSBusNumber", ULONG, 760, 1496),
    ("OSTargetNumber", ULONG, 764, 1500),
    ("LUNCount", ULONG, 768, 1504),
    ("LUNList", POINTER(SCSI_LUN_LIST), 776, 1512),
)

ISCSI_TARGET_PORTALA, ISCSI_TARGET_PORTALW = _pair(
    "ISCSI_TARGET_PORTAL",
    (514, 1026),
    2,
    ("SymbolicName", (TCHAR, 256), 0, 0),
    ("Address", (TCHAR, 256), 256, 512),
    ("Socket", USHORT, 512, 1024),
)

ISCSI_TARGET_PORTAL_INFOA, ISCSI_TARGET_PORTAL_INFOW = _pair(
    "ISCSI_TARGET_PORTAL_INFO",
    (776, 1544),
    4,
    ("InitiatorName", (TCHAR, 256), 0, 0),
    ("InitiatorPortNumber", ULONG, 256, 512),
    ("SymbolicName", (TCHAR, 256), 260, 516),
    ("Address", (TCHAR, 256), 516, 1028),
    ("Socket", USHORT, 772, 1540),
)

ISCSI_TARGET_PORTAL_INFO_EXA, ISCSI_TARGET_PORTAL_INFO_EXW = _pair(
    "ISCSI_TARGET_PORTAL_INFO_EX",
    (848, 1616),
    8,
    ("InitiatorName", (TCHAR, 256), 0, 0),
    ("InitiatorPortNumber", ULONG, 256, 512),
    ("SymbolicName", (TCHAR, 256), 260, 516),
    ("Address", (TCHAR, 256), 516, 1028),
    ("Socket", USHORT, 772, 1540),
    ("SecurityFlags", ULONGLONG, 776, 1544),
    ("LoginOptions", ISCSI_LOGIN_OPTIONS, 784, 1552),
)

ISCSI_TARGET_PORTAL_GROUPA, ISCSI_TARGET_PORTAL_GROUPW = _pair(
    "ISCSI_TARGET_PORTAL_GROUP",
    (520, 1032),
    4,
    ("Count", ULONG, 0, 0),
    ("Portals", ("ISCSI_TARGET_PORTAL", 1), 4, 4),
)

ISCSI_CONNECTION_INFOA, ISCSI_CONNECTION_INFOW = _pair(
    "ISCSI_CONNECTION_INFO",
    (40, 40),
    8,
    ("ConnectionId", ISCSI_UNIQUE_CONNECTION_ID, 0, 0),
    ("InitiatorAddress", PTSTR, 16, 16),
    ("TargetAddress", PTSTR, 24, 24),
    ("InitiatorSocket", USHORT, 32, 32),
    ("TargetSocket", USHORT, 34, 34),
    ("CID", (UCHAR, 2), 36, 36),
)

ISCSI_SESSION_INFOA, ISCSI_SESSION_INFOW = _pair(
    "ISCSI_SESSION_INFO",
    (64, 64),
    8,
    ("SessionId", ISCSI_UNIQUE_SESSION_ID, 0, 0),
    ("InitiatorName", PTSTR, 16, 16),
    ("TargetNodeName", PTSTR, 24, 24),
    ("TargetName", PTSTR, 32, 32),
    ("ISID", (UCHAR, 6), 40, 40),
    ("TSID", (UCHAR, 2), 46, 46),
    ("ConnectionCount", ULONG, 48, 48),
    ("Connections", "*ISCSI_CONNECTION_INFO", 56, 56),
)

ISCSI_CONNECTION_INFO_EX = _plain(
    "ISCSI_CONNECTION_INFO_EX",
    48,
    8,
    ("ConnectionId", ISCSI_UNIQUE_CONNECTION_ID, 0),
    ("State", UCHAR, 16),
    ("Protocol", UCHAR, 17),
    ("HeaderDigest", UCHAR, 18),
    ("DataDigest", UCHAR, 19),
    ("MaxRecvDataSegmentLength", ULONG, 20),
    ("AuthType", ENUM, 24),
    ("EstimatedThroughput", ULONGLONG, 32),
    ("MaxDatagramSize", ULONG, 40),
)

ISCSI_SESSION_INFO_EX = _plain(
    "ISCSI_SESSION_INFO_EX",
    56,
    8,
    ("SessionId", ISCSI_UNIQUE_SESSION_ID, 0),
    ("InitialR2t", BOOLEAN, 16),
    ("ImmediateData", BOOLEAN, 17),
    ("Type", UCHAR, 18),
    ("DataSequenceInOrder", BOOLEAN, 19),
    ("DataPduInOrder", BOOLEAN, 20),
    ("ErrorRecoveryLevel", UCHAR, 21),
    ("MaxOutstandingR2t", ULONG, 24),
    ("FirstBurstLength", ULONG, 28),
    ("MaxBurstLength", ULONG, 32),
    ("MaximumConnections", ULONG, 36),
    ("ConnectionCount", ULONG, 40),
    ("Connections", POINTER(ISCSI_CONNECTION_INFO_EX), 48),
)

SCSI_ADDRESS = _plain(
    "SCSI_ADDRESS",
    8,
    4,
    ("Length", ULONG, 0),
    ("PortNumber", UCHAR, 4),
    ("PathId", UCHAR, 5),
    ("TargetId", UCHAR, 6),
    ("Lun", UCHAR, 7),
)

STORAGE_DEVICE_NUMBER = _plain(
    "STORAGE_DEVICE_NUMBER",
    12,
    4,
    ("DeviceType", ULONG, 0),
    ("DeviceNumber", ULONG, 4),
    ("PartitionNumber", ULONG, 8),
)

GUID = _plain(
    "GUID",
    16,
    4,
    ("Data1", ULONG, 0),
    ("Data2", USHORT, 4),
    ("Data3", USHORT, 6),
    ("Data4", UCHAR * 8, 8),
)

ISCSI_DEVICE_ON_SESSIONA, ISCSI_DEVICE_ON_SESSIONW = _pair(
    "ISCSI_DEVICE_ON_SESSION",
    (1040, 2040),
    4,
    ("InitiatorName", (TCHAR, 256), 0, 0),
    ("TargetName", (TCHAR, 224), 256, 512),
    ("ScsiAddress", SCSI_ADDRESS, 480, 960),
    ("DeviceInterfaceType", GUID, 488, 968),
    ("DeviceInterfaceName", (TCHAR, 260), 504, 984),
    ("LegacyName", (TCHAR, 260), 764, 1504),
    ("StorageDeviceNumber", STORAGE_DEVICE_NUMBER, 1024, 2024),
    ("DeviceInstance", ULONG, 1036, 2036),
)

PERSISTENT_ISCSI_LOGIN_INFOA, PERSISTENT_ISCSI_LOGIN_INFOW = _pair(
    "PERSISTENT_ISCSI_LOGIN_INFO",
    (1088, 2080),
    8,
    ("TargetName", (TCHAR, 224), 0, 0),
    ("IsInformationalSession", BOOLEAN, 224, 448),
    ("InitiatorInstance", (TCHAR, 256), 225, 450),
    ("InitiatorPortNumber", ULONG, 484, 964),
    ("TargetPortal", "ISCSI_TARGET_PORTAL", 488, 968),
    ("SecurityFlags", ULONGLONG, 1008, 2000),
    ("Mappings", "*ISCSI_TARGET_MAPPING", 1016, 2008),
    ("LoginOptions", ISCSI_LOGIN_OPTIONS, 1024, 2016),
)

ISCSI_VERSION_INFO = _plain(
    "ISCSI_VERSION_INFO",
    12,
    4,
    ("MajorVersion", ULONG, 0),
    ("MinorVersion", ULONG, 4),
    ("BuildNumber", ULONG, 8),
)

# §2. `{T}` is A or W, PTSTR a text that is read, PTCHAR a buffer that is written.
_PROTOTYPES = """
GetIScsiVersionInformation(PISCSI_VERSION_INFO VersionInfo)
ReportIScsiInitiatorList{T}(PULONG BufferSize, PTCHAR Buffer)
GetIScsiInitiatorNodeName{T}(PTCHAR InitiatorNodeName)
SetIScsiInitiatorNodeName{T}(PTSTR InitiatorNodeName)
ReportActiveIScsiTargetMappings{T}(PULONG BufferSize, PULONG MappingCount, PISCSI_TARGET_MAPPING{T} Mappings)
AddIScsiSendTargetPortal{T}(PTSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_LOGIN_OPTIONS LoginOptions,
    ISCSI_SECURITY_FLAGS SecurityFlags, PISCSI_TARGET_PORTAL{T} Portal)
RemoveIScsiSendTargetPortal{T}(PTSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_TARGET_PORTAL{T} Portal)
RefreshIScsiSendTargetPortal{T}(PTSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_TARGET_PORTAL{T} Portal)
ReportIScsiSendTargetPortals{T}(PULONG PortalCount, PISCSI_TARGET_PORTAL_INFO{T} PortalInfo)
ReportIScsiSendTargetPortalsEx{T}(PULONG PortalCount, PULONG PortalInfoSize,
    PISCSI_TARGET_PORTAL_INFO_EX{T} PortalInfo)
AddIScsiStaticTarget{T}(PTSTR TargetName, PTSTR TargetAlias, ISCSI_TARGET_FLAGS TargetFlags, BOOLEAN Persist,
    PISCSI_TARGET_MAPPING{T} Mappings, PISCSI_LOGIN_OPTIONS LoginOptions, PISCSI_TARGET_PORTAL_GROUP{T} PortalGroup)
RemoveIScsiStaticTarget{T}(PTSTR TargetName)
ReportIScsiTargets{T}(BOOLEAN ForceUpdate, PULONG BufferSize, PTCHAR Buffer)
GetIScsiTargetInformation{T}(PTSTR TargetName, PTSTR DiscoveryMechanism, TARGET_INFORMATION_CLASS InfoClass,
    PULONG BufferSize, PVOID Buffer)
ReportIScsiTargetPortals{T}(PTSTR InitiatorName, PTSTR TargetName, PUSHORT TargetPortalTag, PULONG ElementCount,
    PISCSI_TARGET_PORTAL{T} Portals)
LoginIScsiTarget{T}(PTSTR TargetName, BOOLEAN IsInformationalSession, PTSTR InitiatorInstance,
    ULONG InitiatorPortNumber, PISCSI_TARGET_PORTAL{T} TargetPortal, ISCSI_SECURITY_FLAGS SecurityFlags,
    PISCSI_TARGET_MAPPING{T} Mappings, PISCSI_LOGIN_OPTIONS LoginOptions, ULONG KeySize, PCHAR Key,
    BOOLEAN IsPersistent, PISCSI_UNIQUE_SESSION_ID UniqueSessionId,
    PISCSI_UNIQUE_CONNECTION_ID UniqueConnectionId)
LogoutIScsiTarget(PISCSI_UNIQUE_SESSION_ID UniqueSessionId)
AddIScsiConnection{T}(PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PVOID Reserved, ULONG InitiatorPortNumber,
    PISCSI_TARGET_PORTAL{T} TargetPortal, ISCSI_SECURITY_FLAGS SecurityFlags, PISCSI_LOGIN_OPTIONS LoginOptions,
    ULONG KeySize, PCHAR Key, PISCSI_UNIQUE_CONNECTION_ID ConnectionId)
RemoveIScsiConnection(PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PISCSI_UNIQUE_CONNECTION_ID ConnectionId)
GetIScsiSessionList{T}(PULONG BufferSize, PULONG SessionCount, PISCSI_SESSION_INFO{T} SessionInfo)
GetIScsiSessionListEx(PULONG BufferSize, PULONG SessionCountPtr, PISCSI_SESSION_INFO_EX SessionInfo)
GetDevicesForIScsiSession{T}(PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PULONG DeviceCount,
    PISCSI_DEVICE_ON_SESSION{T} Devices)
ReportIScsiPersistentLogins{T}(PULONG Count, PPERSISTENT_ISCSI_LOGIN_INFO{T} PersistentLoginInfo,
    PULONG BufferSizeInBytes)
RemoveIScsiPersistentTarget{T}(PTSTR InitiatorInstance, ULONG InitiatorPortNumber, PTSTR TargetName,
    PISCSI_TARGET_PORTAL{T} Portal)
SetupPersistentIScsiDevices(void)
SetupPersistentIScsiVolumes(void)
AddPersistentIScsiDevice{T}(PTSTR DevicePath)
RemovePersistentIScsiDevice{T}(PTSTR DevicePath)
ClearPersistentIScsiDevices(void)
ReportPersistentIScsiDevices{T}(PULONG BufferSizeInChar, PTCHAR Buffer)
SendScsiInquiry(PISCSI_UNIQUE_SESSION_ID UniqueSessionId, ULONGLONG Lun, UCHAR EvpdCmddt, UCHAR PageCode,
    PUCHAR ScsiStatus, PULONG ResponseSize, PUCHAR ResponseBuffer, PULONG SenseSize, PUCHAR SenseBuffer)
SendScsiReadCapacity(PISCSI_UNIQUE_SESSION_ID UniqueSessionId, ULONGLONG Lun, PUCHAR ScsiStatus, PULONG ResponseSize,
    PUCHAR ResponseBuffer, PULONG SenseSize, PUCHAR SenseBuffer)
SendScsiReportLuns(PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PUCHAR ScsiStatus, PULONG ResponseSize,
    PUCHAR ResponseBuffer, PULONG SenseSize, PUCHAR SenseBuffer)
SetIScsiInitiatorCHAPSharedSecret(ULONG SharedSecretLength, PUCHAR SharedSecret)
SetIScsiGroupPresharedKey(ULONG KeyLength, PUCHAR Key, BOOLEAN Persist)
SetIScsiIKEInfo{T}(PTSTR InitiatorName, ULONG InitiatorPortNumber, PIKE_AUTHENTICATION_INFORMATION AuthInfo,
    BOOLEAN Persist)
GetIScsiIKEInfo{T}(PTSTR InitiatorName, ULONG InitiatorPortNumber, PULONG Reserved,
    PIKE_AUTHENTICATION_INFORMATION AuthInfo)
SetIScsiTunnelModeOuterAddress{T}(PTSTR InitiatorName, ULONG InitiatorPortNumber, PTSTR DestinationAddress,
    PTSTR OuterModeAddress, BOOLEAN Persist)
AddISNSServer{T}(PTSTR Address)
RemoveISNSServer{T}(PTSTR Address)
RefreshISNSServer{T}(PTSTR Address)
ReportISNSServerList{T}(PULONG BufferSizeInChar, PTCHAR Buffer)
AddRadiusServer{T}(PTSTR Address)
RemoveRadiusServer{T}(PTSTR Address)
ReportRadiusServerList{T}(PULONG BufferSizeInChar, PTCHAR Buffer)
SetIScsiInitiatorRADIUSSharedSecret(ULONG SharedSecretLength, PUCHAR SharedSecret)
"""

_SCALARS = {
    "BOOLEAN": BOOLEAN,
    "UCHAR": UCHAR,
    "ULONG": ULONG,
    "ULONGLONG": ULONGLONG,
    "ISCSI_SECURITY_FLAGS": ULONGLONG,
    "ISCSI_TARGET_FLAGS": ULONG,
    "TARGET_INFORMATION_CLASS": ENUM,
    "PVOID": ctypes.c_void_p,
    "PCHAR": POINTER(UCHAR),
    "PUCHAR": POINTER(UCHAR),
    "PUSHORT": POINTER(USHORT),
    "PULONG": POINTER(ULONG),
}


def _parameter(text, suffix):
    """One parameter of a prototype, as (name, type)."""
    kind, name = text.split()
    kind = kind.replace("{T}", suffix)
    if kind in ("PTSTR", "PTCHAR"):
        return name, POINTER(UCHAR if suffix == "A" else WCHAR)
    if kind in _SCALARS:
        return name, _SCALARS[kind]
    return name, POINTER(STRUCTS[kind.removeprefix("P")])


def _read_prototypes():
    """All exports: {name: [(parameter, type)]}."""
    exports = {}
    for line in _PROTOTYPES.replace("\n    ", " ").strip().splitlines():
        name, _, parameters = line.rstrip(")").partition("(")
        parameters = [] if parameters == "void" else parameters.split(", ")
        for suffix in "AW" if "{T}" in name else " ":
            own = [_parameter(parameter, suffix) for parameter in parameters]
            exports[name.replace("{T}", suffix)] = own
    return exports


#: Every export with its parameters.
PROTOTYPES = _read_prototypes()
assert len(PROTOTYPES) == 79, len(PROTOTYPES)
