/*
 * iscsidsc.h - the iSCSI Discovery Library of Hawser.
 *
 * A program that was written to the Windows header of this name compiles against this one and links with
 * -liscsidsc. It is for gcc and clang on 64-bit systems (LP64 and LLP64), for C11 and later and C++11 and later.
 * docs/porting.md of Hawser says what differs from Windows.
 *
 * Text: functions and structs that end in A take UTF-8, those that end in W take UTF-16 in units of 16 bits
 * (WCHAR is char16_t, not wchar_t). Names without suffix are macros for the W variants if UNICODE is defined,
 * else for the A variants; TCHAR and TEXT("...") are of the same width.
 *
 * Sizes of buffers are counted in characters, bytes or elements; the comment of each function says which. A buffer
 * that is NULL has no room whatever its size says. Without enough room a call returns ERROR_INSUFFICIENT_BUFFER,
 * writes the size it needs, and leaves the buffer alone.
 *
 * Define ISCSIDSC_HAVE_WINDOWS_TYPES before including this file if ULONG, WCHAR and the like are defined already.
 *
 * SPDX-License-Identifier: Apache-2.0 OR MIT
 */
#ifndef HAWSER_ISCSIDSC_H
#define HAWSER_ISCSIDSC_H

#include <stddef.h>
#include <stdint.h>

#include "iscsierr.h"

#ifndef __cplusplus
#include <assert.h>
#include <uchar.h>
#endif

#ifdef __cplusplus
#define ISCSIDSC_ASSERT(condition, text) static_assert(condition, text)
#define ISCSIDSC_ALIGNOF(type) alignof(type)
extern "C" {
#else
#define ISCSIDSC_ASSERT(condition, text) _Static_assert(condition, text)
#define ISCSIDSC_ALIGNOF(type) _Alignof(type)
#endif

/* ---- Base types ------------------------------------------------------------------------------------------ */

#ifndef ISCSIDSC_HAVE_WINDOWS_TYPES
typedef char CHAR;
typedef uint8_t UCHAR;
typedef char16_t WCHAR;
typedef uint8_t BOOLEAN;
typedef uint16_t USHORT;
typedef uint32_t ULONG;
typedef uint32_t DWORD;
typedef uint64_t ULONGLONG;
typedef void *PVOID;
typedef CHAR *PCHAR;
typedef CHAR *PSTR;
typedef UCHAR *PUCHAR;
typedef WCHAR *PWCHAR;
typedef WCHAR *PWSTR;
typedef USHORT *PUSHORT;
typedef ULONG *PULONG;
typedef int BOOL;
typedef CHAR *LPSTR;
typedef const CHAR *PCSTR;
typedef const CHAR *LPCSTR;
typedef WCHAR *LPWSTR;
typedef const WCHAR *PCWSTR;
typedef const WCHAR *LPCWSTR;
/* Generic text: of the width of the names without suffix. */
#ifdef UNICODE
typedef WCHAR TCHAR;
#ifndef TEXT
#define ISCSIDSC_WIDE(literal) u##literal
#define TEXT(literal) ISCSIDSC_WIDE(literal)
#endif
#else
typedef CHAR TCHAR;
#ifndef TEXT
#define TEXT(literal) literal
#endif
#endif
typedef TCHAR *PTCHAR;
typedef TCHAR *PTSTR;
typedef TCHAR *LPTSTR;
typedef const TCHAR *PCTSTR;
typedef const TCHAR *LPCTSTR;
#ifndef GUID_DEFINED
#define GUID_DEFINED
typedef struct _GUID {
    uint32_t Data1;
    uint16_t Data2;
    uint16_t Data3;
    uint8_t Data4[8];
} GUID;
#endif
#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#ifndef MAX_PATH
#define MAX_PATH 260
#endif
#ifndef WINAPI
#define WINAPI
#endif
#endif /* ISCSIDSC_HAVE_WINDOWS_TYPES */

ISCSIDSC_ASSERT(sizeof(CHAR) == 1 && sizeof(UCHAR) == 1 && sizeof(BOOLEAN) == 1, "one byte");
ISCSIDSC_ASSERT(sizeof(WCHAR) == 2 && sizeof(USHORT) == 2, "two bytes");
ISCSIDSC_ASSERT(sizeof(ULONG) == 4 && sizeof(DWORD) == 4, "four bytes: not unsigned long on LP64");
ISCSIDSC_ASSERT(sizeof(ULONGLONG) == 8 && sizeof(PVOID) == 8, "eight bytes: a 64-bit system");

#define ISDSC_API WINAPI

/* ---- Constants ------------------------------------------------------------------------------------------- */

#define MAX_ISCSI_HBANAME_LEN 256 /* initiator instance, with its NUL */
#define MAX_ISCSI_NAME_LEN 223 /* iSCSI name, without its NUL */
#define MAX_ISCSI_ALIAS_LEN 255 /* without its NUL */
#define MAX_ISCSI_PORTAL_NAME_LEN 256 /* symbolic name, with its NUL */
#define MAX_ISCSI_PORTAL_ALIAS_LEN 256 /* with its NUL */
#define MAX_ISCSI_TEXT_ADDRESS_LEN 256 /* with its NUL */
#define MAX_ISCSI_PORTAL_ADDRESS_LEN 256 /* with its NUL */
#define MAX_ISCSI_DISCOVERY_DOMAIN_LEN 256 /* with its NUL */
#define MAX_RADIUS_ADDRESS_LEN 41

#define ISCSI_LOGIN_OPTIONS_VERSION 0x00000000
#define ISCSI_ANY_INITIATOR_PORT ((ULONG)0xFFFFFFFF) /* the route decides */
#define ISCSI_ALL_INITIATOR_PORTS ((ULONG)0xFFFFFFFF) /* every port */

/* ISCSI_LOGIN_OPTIONS.InformationSpecified: which fields count */
typedef ULONG ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED, *PISCSI_LOGIN_OPTIONS_INFO_SPECIFIED;
#define ISCSI_LOGIN_OPTIONS_HEADER_DIGEST 0x00000001
#define ISCSI_LOGIN_OPTIONS_DATA_DIGEST 0x00000002
#define ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS 0x00000004
#define ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT 0x00000008
#define ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_RETAIN 0x00000010
#define ISCSI_LOGIN_OPTIONS_USERNAME 0x00000020
#define ISCSI_LOGIN_OPTIONS_PASSWORD 0x00000040
#define ISCSI_LOGIN_OPTIONS_AUTH_TYPE 0x00000080

typedef ULONG ISCSI_LOGIN_FLAGS, *PISCSI_LOGIN_FLAGS;
#define ISCSI_LOGIN_FLAG_REQUIRE_IPSEC 0x00000001
#define ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED 0x00000002
#define ISCSI_LOGIN_FLAG_RESERVED1 0x00000004
#define ISCSI_LOGIN_FLAG_ALLOW_PORTAL_HOPPING 0x00000008
#define ISCSI_LOGIN_FLAG_USE_RADIUS_RESPONSE 0x00000010
#define ISCSI_LOGIN_FLAG_USE_RADIUS_VERIFICATION 0x00000020

typedef ULONGLONG ISCSI_SECURITY_FLAGS, *PISCSI_SECURITY_FLAGS;
#define ISCSI_SECURITY_FLAG_VALID 0x00000001
#define ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED 0x00000002
#define ISCSI_SECURITY_FLAG_MAIN_MODE_ENABLED 0x00000004
#define ISCSI_SECURITY_FLAG_AGGRESSIVE_MODE_ENABLED 0x00000008
#define ISCSI_SECURITY_FLAG_PFS_ENABLED 0x00000010
#define ISCSI_SECURITY_FLAG_TRANSPORT_MODE_PREFERRED 0x00000020
#define ISCSI_SECURITY_FLAG_TUNNEL_MODE_PREFERRED 0x00000040

typedef ULONG ISCSI_TARGET_FLAGS, *PISCSI_TARGET_FLAGS;
#define ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET 0x00000002
#define ISCSI_TARGET_FLAG_MERGE_TARGET_INFORMATION 0x00000004

typedef UCHAR IKE_IDENTIFICATION_PAYLOAD_TYPE, *PIKE_IDENTIFICATION_PAYLOAD_TYPE;
#define ID_IPV4_ADDR 1
#define ID_FQDN 2
#define ID_USER_FQDN 3
#define ID_IPV6_ADDR 5

typedef enum {
    ISCSI_DIGEST_TYPE_NONE = 0,
    ISCSI_DIGEST_TYPE_CRC32C = 1
} ISCSI_DIGEST_TYPES, *PISCSI_DIGEST_TYPES;
ISCSIDSC_ASSERT(sizeof(ISCSI_DIGEST_TYPES) == 4, "ISCSI_DIGEST_TYPES");

typedef enum {
    ISCSI_NO_AUTH_TYPE = 0,
    ISCSI_CHAP_AUTH_TYPE = 1,
    ISCSI_MUTUAL_CHAP_AUTH_TYPE = 2
} ISCSI_AUTH_TYPES, *PISCSI_AUTH_TYPES;
ISCSIDSC_ASSERT(sizeof(ISCSI_AUTH_TYPES) == 4, "ISCSI_AUTH_TYPES");

typedef enum {
    IKE_AUTHENTICATION_PRESHARED_KEY_METHOD = 1
} IKE_AUTHENTICATION_METHOD, *PIKE_AUTHENTICATION_METHOD;
ISCSIDSC_ASSERT(sizeof(IKE_AUTHENTICATION_METHOD) == 4, "IKE_AUTHENTICATION_METHOD");

typedef enum {
    ISCSI_TCP_PROTOCOL_TYPE = 0
} TARGETPROTOCOLTYPE, *PTARGETPROTOCOLTYPE;
ISCSIDSC_ASSERT(sizeof(TARGETPROTOCOLTYPE) == 4, "TARGETPROTOCOLTYPE");

typedef enum {
    ProtocolType = 0,
    TargetAlias = 1,
    DiscoveryMechanisms = 2,
    PortalGroups = 3,
    PersistentTargetMappings = 4,
    InitiatorName = 5,
    TargetFlags = 6,
    LoginOptions = 7
} TARGET_INFORMATION_CLASS, *PTARGET_INFORMATION_CLASS;
ISCSIDSC_ASSERT(sizeof(TARGET_INFORMATION_CLASS) == 4, "TARGET_INFORMATION_CLASS");

/* ---- Structs --------------------------------------------------------------------------------------------- */

/* Size and alignment of a struct; where a field of it is. */
#define ISCSIDSC_SIZE(type, size, alignment) \
    ISCSIDSC_ASSERT(sizeof(type) == (size) && ISCSIDSC_ALIGNOF(type) == (alignment), #type)
#define ISCSIDSC_AT(type, field, offset) ISCSIDSC_ASSERT(offsetof(type, field) == (offset), #type "." #field)

/* A globally unique identifier, as DeviceInterfaceType holds one. */
ISCSIDSC_SIZE(GUID, 16, 4); ISCSIDSC_AT(GUID, Data1, 0); ISCSIDSC_AT(GUID, Data2, 4); ISCSIDSC_AT(GUID, Data3, 6);
ISCSIDSC_AT(GUID, Data4, 8);

/* Address of a device on its adapter; ntddscsi.h has it on Windows. */
typedef struct _SCSI_ADDRESS {
    ULONG Length; /* Size of this struct, 8. */
    UCHAR PortNumber; /* Adapter number. */
    UCHAR PathId; /* Bus. */
    UCHAR TargetId; /* Target on the bus. */
    UCHAR Lun; /* LUN of the operating system. */
} SCSI_ADDRESS, *PSCSI_ADDRESS;
ISCSIDSC_SIZE(SCSI_ADDRESS, 8, 4); ISCSIDSC_AT(SCSI_ADDRESS, Length, 0); ISCSIDSC_AT(SCSI_ADDRESS, PortNumber, 4);
ISCSIDSC_AT(SCSI_ADDRESS, PathId, 5); ISCSIDSC_AT(SCSI_ADDRESS, TargetId, 6); ISCSIDSC_AT(SCSI_ADDRESS, Lun, 7);

/* Number of a device; winioctl.h has it on Windows. */
typedef struct _STORAGE_DEVICE_NUMBER {
    ULONG DeviceType; /* 7 disk, 2 CD-ROM, 31 tape, 48 changer. */
    ULONG DeviceNumber; /* 0xFFFFFFFF until the device is ready. */
    ULONG PartitionNumber; /* 0 for a whole disk, 0xFFFFFFFF if it cannot be partitioned. */
} STORAGE_DEVICE_NUMBER, *PSTORAGE_DEVICE_NUMBER;
ISCSIDSC_SIZE(STORAGE_DEVICE_NUMBER, 12, 4); ISCSIDSC_AT(STORAGE_DEVICE_NUMBER, DeviceType, 0);
ISCSIDSC_AT(STORAGE_DEVICE_NUMBER, DeviceNumber, 4); ISCSIDSC_AT(STORAGE_DEVICE_NUMBER, PartitionNumber, 8);

/* Names a session, and under its other name a connection. Opaque; all zero is never valid. */
typedef struct _ISCSI_UNIQUE_SESSION_ID {
    ULONGLONG AdapterUnique; /* Names the initiator; the same in all its sessions and connections. */
    ULONGLONG AdapterSpecific; /* Names the session or connection on it. */
} ISCSI_UNIQUE_SESSION_ID, *PISCSI_UNIQUE_SESSION_ID;
typedef ISCSI_UNIQUE_SESSION_ID ISCSI_UNIQUE_CONNECTION_ID, *PISCSI_UNIQUE_CONNECTION_ID;
ISCSIDSC_SIZE(ISCSI_UNIQUE_SESSION_ID, 16, 8); ISCSIDSC_AT(ISCSI_UNIQUE_SESSION_ID, AdapterUnique, 0);
ISCSIDSC_AT(ISCSI_UNIQUE_SESSION_ID, AdapterSpecific, 8);

/* One LUN of a mapping. */
typedef struct _SCSI_LUN_LIST {
    ULONG OSLUN; /* Number that the operating system uses. */
    ULONGLONG TargetLUN; /* The eight LUN bytes in memory order, read as a little-endian number: LUN 1 is 0x100. */
} SCSI_LUN_LIST, *PSCSI_LUN_LIST;
ISCSIDSC_SIZE(SCSI_LUN_LIST, 16, 8); ISCSIDSC_AT(SCSI_LUN_LIST, OSLUN, 0); ISCSIDSC_AT(SCSI_LUN_LIST, TargetLUN, 8);

/* Options of a login, the same for A and W. */
typedef struct _ISCSI_LOGIN_OPTIONS {
    ULONG Version; /* Must be ISCSI_LOGIN_OPTIONS_VERSION, 0. */
    ISCSI_LOGIN_OPTIONS_INFO_SPECIFIED InformationSpecified; /* Which fields count: ISCSI_LOGIN_OPTIONS_... */
    ISCSI_LOGIN_FLAGS LoginFlags; /* ISCSI_LOGIN_FLAG_...; always counts. */
    ISCSI_AUTH_TYPES AuthType; /* Who proves who they are. */
    ISCSI_DIGEST_TYPES HeaderDigest; /* Digest of headers. */
    ISCSI_DIGEST_TYPES DataDigest; /* Digest of data. */
    ULONG MaximumConnections; /* Most connections of the session. */
    ULONG DefaultTime2Wait; /* Seconds to wait before a reconnect. */
    ULONG DefaultTime2Retain; /* Seconds after those during which tasks can be taken over. */
    ULONG UsernameLength; /* Bytes at Username, without a NUL. */
    ULONG PasswordLength; /* Bytes at Password, without a NUL. */
    PUCHAR Username; /* CHAP name that we send: raw bytes. */
    PUCHAR Password; /* CHAP secret of the target: raw bytes; never filled in reports. */
} ISCSI_LOGIN_OPTIONS, *PISCSI_LOGIN_OPTIONS;
ISCSIDSC_SIZE(ISCSI_LOGIN_OPTIONS, 64, 8); ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, Version, 0);
ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, InformationSpecified, 4); ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, LoginFlags, 8);
ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, AuthType, 12); ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, HeaderDigest, 16);
ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, DataDigest, 20); ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, MaximumConnections, 24);
ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, DefaultTime2Wait, 28); ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, DefaultTime2Retain, 32);
ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, UsernameLength, 36); ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, PasswordLength, 40);
ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, Username, 48); ISCSIDSC_AT(ISCSI_LOGIN_OPTIONS, Password, 56);

/* A preshared key for IKE and whom it is for. */
typedef struct _IKE_AUTHENTICATION_PRESHARED_KEY {
    ISCSI_SECURITY_FLAGS SecurityFlags; /* ISCSI_SECURITY_FLAG_... */
    IKE_IDENTIFICATION_PAYLOAD_TYPE IdType; /* ID_IPV4_ADDR, ID_FQDN, ID_USER_FQDN or ID_IPV6_ADDR. */
    ULONG IdLengthInBytes; /* 4, 16 or the length of the text. */
    PUCHAR Id; /* Address in network order, or text without a NUL. */
    ULONG KeyLengthInBytes; /* Bytes at Key. */
    PUCHAR Key; /* The key; never filled in answers. */
} IKE_AUTHENTICATION_PRESHARED_KEY, *PIKE_AUTHENTICATION_PRESHARED_KEY;
ISCSIDSC_SIZE(IKE_AUTHENTICATION_PRESHARED_KEY, 40, 8);
ISCSIDSC_AT(IKE_AUTHENTICATION_PRESHARED_KEY, SecurityFlags, 0);
ISCSIDSC_AT(IKE_AUTHENTICATION_PRESHARED_KEY, IdType, 8);
ISCSIDSC_AT(IKE_AUTHENTICATION_PRESHARED_KEY, IdLengthInBytes, 12);
ISCSIDSC_AT(IKE_AUTHENTICATION_PRESHARED_KEY, Id, 16);
ISCSIDSC_AT(IKE_AUTHENTICATION_PRESHARED_KEY, KeyLengthInBytes, 24);
ISCSIDSC_AT(IKE_AUTHENTICATION_PRESHARED_KEY, Key, 32);

/* What SetIScsiIKEInfo stores. */
typedef struct _IKE_AUTHENTICATION_INFORMATION {
    IKE_AUTHENTICATION_METHOD AuthMethod; /* Must be IKE_AUTHENTICATION_PRESHARED_KEY_METHOD. */
    union {
        IKE_AUTHENTICATION_PRESHARED_KEY PsKey; /* The key. */
    };
} IKE_AUTHENTICATION_INFORMATION, *PIKE_AUTHENTICATION_INFORMATION;
ISCSIDSC_SIZE(IKE_AUTHENTICATION_INFORMATION, 48, 8); ISCSIDSC_AT(IKE_AUTHENTICATION_INFORMATION, AuthMethod, 0);
ISCSIDSC_AT(IKE_AUTHENTICATION_INFORMATION, PsKey, 8);

/* Which numbers the operating system gives the LUNs of a session. On input texts and session are empty. */
typedef struct _ISCSI_TARGET_MAPPINGA {
    CHAR InitiatorName[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance. */
    CHAR TargetName[MAX_ISCSI_NAME_LEN + 1]; /* iSCSI name of the target. */
    CHAR OSDeviceName[MAX_PATH]; /* Device of the adapter. */
    ISCSI_UNIQUE_SESSION_ID SessionId; /* The session; output only. */
    ULONG OSBusNumber; /* Bus, 0xFFFFFFFF for any. */
    ULONG OSTargetNumber; /* Target, 0xFFFFFFFF for any. */
    ULONG LUNCount; /* Elements at LUNList. */
    SCSI_LUN_LIST *LUNList; /* The LUNs. */
} ISCSI_TARGET_MAPPINGA, *PISCSI_TARGET_MAPPINGA;
ISCSIDSC_SIZE(ISCSI_TARGET_MAPPINGA, 784, 8); ISCSIDSC_AT(ISCSI_TARGET_MAPPINGA, InitiatorName, 0);
ISCSIDSC_AT(ISCSI_TARGET_MAPPINGA, TargetName, 256); ISCSIDSC_AT(ISCSI_TARGET_MAPPINGA, OSDeviceName, 480);
ISCSIDSC_AT(ISCSI_TARGET_MAPPINGA, SessionId, 744); ISCSIDSC_AT(ISCSI_TARGET_MAPPINGA, OSBusNumber, 760);
ISCSIDSC_AT(ISCSI_TARGET_MAPPINGA, OSTargetNumber, 764); ISCSIDSC_AT(ISCSI_TARGET_MAPPINGA, LUNCount, 768);
ISCSIDSC_AT(ISCSI_TARGET_MAPPINGA, LUNList, 776);

typedef struct _ISCSI_TARGET_MAPPINGW {
    WCHAR InitiatorName[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance. */
    WCHAR TargetName[MAX_ISCSI_NAME_LEN + 1]; /* iSCSI name of the target. */
    WCHAR OSDeviceName[MAX_PATH]; /* Device of the adapter. */
    ISCSI_UNIQUE_SESSION_ID SessionId; /* The session; output only. */
    ULONG OSBusNumber; /* Bus, 0xFFFFFFFF for any. */
    ULONG OSTargetNumber; /* Target, 0xFFFFFFFF for any. */
    ULONG LUNCount; /* Elements at LUNList. */
    SCSI_LUN_LIST *LUNList; /* The LUNs. */
} ISCSI_TARGET_MAPPINGW, *PISCSI_TARGET_MAPPINGW;
ISCSIDSC_SIZE(ISCSI_TARGET_MAPPINGW, 1520, 8); ISCSIDSC_AT(ISCSI_TARGET_MAPPINGW, InitiatorName, 0);
ISCSIDSC_AT(ISCSI_TARGET_MAPPINGW, TargetName, 512); ISCSIDSC_AT(ISCSI_TARGET_MAPPINGW, OSDeviceName, 960);
ISCSIDSC_AT(ISCSI_TARGET_MAPPINGW, SessionId, 1480); ISCSIDSC_AT(ISCSI_TARGET_MAPPINGW, OSBusNumber, 1496);
ISCSIDSC_AT(ISCSI_TARGET_MAPPINGW, OSTargetNumber, 1500); ISCSIDSC_AT(ISCSI_TARGET_MAPPINGW, LUNCount, 1504);
ISCSIDSC_AT(ISCSI_TARGET_MAPPINGW, LUNList, 1512);

/* A portal of a target. Aligned to 2: arrays have the stride of its size. */
typedef struct _ISCSI_TARGET_PORTALA {
    CHAR SymbolicName[MAX_ISCSI_PORTAL_NAME_LEN]; /* Free text, no part of the identity. */
    CHAR Address[MAX_ISCSI_PORTAL_ADDRESS_LEN]; /* IP literal or DNS name; empty where any portal will do. */
    USHORT Socket; /* TCP port in host order; 0 means 3260. */
} ISCSI_TARGET_PORTALA, *PISCSI_TARGET_PORTALA;
ISCSIDSC_SIZE(ISCSI_TARGET_PORTALA, 514, 2); ISCSIDSC_AT(ISCSI_TARGET_PORTALA, SymbolicName, 0);
ISCSIDSC_AT(ISCSI_TARGET_PORTALA, Address, 256); ISCSIDSC_AT(ISCSI_TARGET_PORTALA, Socket, 512);

typedef struct _ISCSI_TARGET_PORTALW {
    WCHAR SymbolicName[MAX_ISCSI_PORTAL_NAME_LEN]; /* Free text, no part of the identity. */
    WCHAR Address[MAX_ISCSI_PORTAL_ADDRESS_LEN]; /* IP literal or DNS name; empty where any portal will do. */
    USHORT Socket; /* TCP port in host order; 0 means 3260. */
} ISCSI_TARGET_PORTALW, *PISCSI_TARGET_PORTALW;
ISCSIDSC_SIZE(ISCSI_TARGET_PORTALW, 1026, 2); ISCSIDSC_AT(ISCSI_TARGET_PORTALW, SymbolicName, 0);
ISCSIDSC_AT(ISCSI_TARGET_PORTALW, Address, 512); ISCSIDSC_AT(ISCSI_TARGET_PORTALW, Socket, 1024);

/* A stored send-targets portal. */
typedef struct _ISCSI_TARGET_PORTAL_INFOA {
    CHAR InitiatorName[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance, or empty. */
    ULONG InitiatorPortNumber; /* Port of the initiator, 0xFFFFFFFF for all. */
    CHAR SymbolicName[MAX_ISCSI_PORTAL_NAME_LEN]; /* Free text. */
    CHAR Address[MAX_ISCSI_PORTAL_ADDRESS_LEN]; /* IP literal or DNS name. */
    USHORT Socket; /* TCP port in host order. */
} ISCSI_TARGET_PORTAL_INFOA, *PISCSI_TARGET_PORTAL_INFOA;
ISCSIDSC_SIZE(ISCSI_TARGET_PORTAL_INFOA, 776, 4); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOA, InitiatorName, 0);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOA, InitiatorPortNumber, 256);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOA, SymbolicName, 260); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOA, Address, 516);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOA, Socket, 772);

typedef struct _ISCSI_TARGET_PORTAL_INFOW {
    WCHAR InitiatorName[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance, or empty. */
    ULONG InitiatorPortNumber; /* Port of the initiator, 0xFFFFFFFF for all. */
    WCHAR SymbolicName[MAX_ISCSI_PORTAL_NAME_LEN]; /* Free text. */
    WCHAR Address[MAX_ISCSI_PORTAL_ADDRESS_LEN]; /* IP literal or DNS name. */
    USHORT Socket; /* TCP port in host order. */
} ISCSI_TARGET_PORTAL_INFOW, *PISCSI_TARGET_PORTAL_INFOW;
ISCSIDSC_SIZE(ISCSI_TARGET_PORTAL_INFOW, 1544, 4); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOW, InitiatorName, 0);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOW, InitiatorPortNumber, 512);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOW, SymbolicName, 516); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOW, Address, 1028);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFOW, Socket, 1540);

/* A stored send-targets portal with its options; the members are inline, not pointers. */
typedef struct _ISCSI_TARGET_PORTAL_INFO_EXA {
    CHAR InitiatorName[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance, or empty. */
    ULONG InitiatorPortNumber; /* Port of the initiator, 0xFFFFFFFF for all. */
    CHAR SymbolicName[MAX_ISCSI_PORTAL_NAME_LEN]; /* Free text. */
    CHAR Address[MAX_ISCSI_PORTAL_ADDRESS_LEN]; /* IP literal or DNS name. */
    USHORT Socket; /* TCP port in host order. */
    ISCSI_SECURITY_FLAGS SecurityFlags; /* As they were stored. */
    ISCSI_LOGIN_OPTIONS LoginOptions; /* Without the password; its pointers lead into the tail of the buffer. */
} ISCSI_TARGET_PORTAL_INFO_EXA, *PISCSI_TARGET_PORTAL_INFO_EXA;
ISCSIDSC_SIZE(ISCSI_TARGET_PORTAL_INFO_EXA, 848, 8); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXA, InitiatorName, 0);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXA, InitiatorPortNumber, 256);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXA, SymbolicName, 260);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXA, Address, 516); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXA, Socket, 772);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXA, SecurityFlags, 776);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXA, LoginOptions, 784);

typedef struct _ISCSI_TARGET_PORTAL_INFO_EXW {
    WCHAR InitiatorName[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance, or empty. */
    ULONG InitiatorPortNumber; /* Port of the initiator, 0xFFFFFFFF for all. */
    WCHAR SymbolicName[MAX_ISCSI_PORTAL_NAME_LEN]; /* Free text. */
    WCHAR Address[MAX_ISCSI_PORTAL_ADDRESS_LEN]; /* IP literal or DNS name. */
    USHORT Socket; /* TCP port in host order. */
    ISCSI_SECURITY_FLAGS SecurityFlags; /* As they were stored. */
    ISCSI_LOGIN_OPTIONS LoginOptions; /* Without the password; its pointers lead into the tail of the buffer. */
} ISCSI_TARGET_PORTAL_INFO_EXW, *PISCSI_TARGET_PORTAL_INFO_EXW;
ISCSIDSC_SIZE(ISCSI_TARGET_PORTAL_INFO_EXW, 1616, 8); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXW, InitiatorName, 0);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXW, InitiatorPortNumber, 512);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXW, SymbolicName, 516);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXW, Address, 1028); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXW, Socket, 1540);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXW, SecurityFlags, 1544);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_INFO_EXW, LoginOptions, 1552);

/* Portals of one target portal group: an array of variable length. */
typedef struct _ISCSI_TARGET_PORTAL_GROUPA {
    ULONG Count; /* Number of portals. */
    ISCSI_TARGET_PORTALA Portals[1]; /* The first of Count portals. */
} ISCSI_TARGET_PORTAL_GROUPA, *PISCSI_TARGET_PORTAL_GROUPA;
ISCSIDSC_SIZE(ISCSI_TARGET_PORTAL_GROUPA, 520, 4); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_GROUPA, Count, 0);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_GROUPA, Portals, 4);

typedef struct _ISCSI_TARGET_PORTAL_GROUPW {
    ULONG Count; /* Number of portals. */
    ISCSI_TARGET_PORTALW Portals[1]; /* The first of Count portals. */
} ISCSI_TARGET_PORTAL_GROUPW, *PISCSI_TARGET_PORTAL_GROUPW;
ISCSIDSC_SIZE(ISCSI_TARGET_PORTAL_GROUPW, 1032, 4); ISCSIDSC_AT(ISCSI_TARGET_PORTAL_GROUPW, Count, 0);
ISCSIDSC_AT(ISCSI_TARGET_PORTAL_GROUPW, Portals, 4);

/* A connection of a session. */
typedef struct _ISCSI_CONNECTION_INFOA {
    ISCSI_UNIQUE_CONNECTION_ID ConnectionId; /* What the login or AddIScsiConnection gave. */
    PSTR InitiatorAddress; /* Our IP address as text. */
    PSTR TargetAddress; /* Its IP address as text. */
    USHORT InitiatorSocket; /* Our TCP port. */
    USHORT TargetSocket; /* Its TCP port. */
    UCHAR CID[2]; /* CID, little-endian. */
} ISCSI_CONNECTION_INFOA, *PISCSI_CONNECTION_INFOA;
ISCSIDSC_SIZE(ISCSI_CONNECTION_INFOA, 40, 8); ISCSIDSC_AT(ISCSI_CONNECTION_INFOA, ConnectionId, 0);
ISCSIDSC_AT(ISCSI_CONNECTION_INFOA, InitiatorAddress, 16); ISCSIDSC_AT(ISCSI_CONNECTION_INFOA, TargetAddress, 24);
ISCSIDSC_AT(ISCSI_CONNECTION_INFOA, InitiatorSocket, 32); ISCSIDSC_AT(ISCSI_CONNECTION_INFOA, TargetSocket, 34);
ISCSIDSC_AT(ISCSI_CONNECTION_INFOA, CID, 36);

typedef struct _ISCSI_CONNECTION_INFOW {
    ISCSI_UNIQUE_CONNECTION_ID ConnectionId; /* What the login or AddIScsiConnection gave. */
    PWSTR InitiatorAddress; /* Our IP address as text. */
    PWSTR TargetAddress; /* Its IP address as text. */
    USHORT InitiatorSocket; /* Our TCP port. */
    USHORT TargetSocket; /* Its TCP port. */
    UCHAR CID[2]; /* CID, little-endian. */
} ISCSI_CONNECTION_INFOW, *PISCSI_CONNECTION_INFOW;
ISCSIDSC_SIZE(ISCSI_CONNECTION_INFOW, 40, 8); ISCSIDSC_AT(ISCSI_CONNECTION_INFOW, ConnectionId, 0);
ISCSIDSC_AT(ISCSI_CONNECTION_INFOW, InitiatorAddress, 16); ISCSIDSC_AT(ISCSI_CONNECTION_INFOW, TargetAddress, 24);
ISCSIDSC_AT(ISCSI_CONNECTION_INFOW, InitiatorSocket, 32); ISCSIDSC_AT(ISCSI_CONNECTION_INFOW, TargetSocket, 34);
ISCSIDSC_AT(ISCSI_CONNECTION_INFOW, CID, 36);

/* A session. */
typedef struct _ISCSI_SESSION_INFOA {
    ISCSI_UNIQUE_SESSION_ID SessionId; /* Its id. */
    PSTR InitiatorName; /* Node name that we gave in the login. */
    PSTR TargetNodeName; /* NULL. */
    PSTR TargetName; /* iSCSI name of the target. */
    UCHAR ISID[6]; /* ISID in wire order. */
    UCHAR TSID[2]; /* TSIH, little-endian. */
    ULONG ConnectionCount; /* 0 while it reconnects. */
    ISCSI_CONNECTION_INFOA *Connections; /* Its connections, NULL if there is none. */
} ISCSI_SESSION_INFOA, *PISCSI_SESSION_INFOA;
ISCSIDSC_SIZE(ISCSI_SESSION_INFOA, 64, 8); ISCSIDSC_AT(ISCSI_SESSION_INFOA, SessionId, 0);
ISCSIDSC_AT(ISCSI_SESSION_INFOA, InitiatorName, 16); ISCSIDSC_AT(ISCSI_SESSION_INFOA, TargetNodeName, 24);
ISCSIDSC_AT(ISCSI_SESSION_INFOA, TargetName, 32); ISCSIDSC_AT(ISCSI_SESSION_INFOA, ISID, 40);
ISCSIDSC_AT(ISCSI_SESSION_INFOA, TSID, 46); ISCSIDSC_AT(ISCSI_SESSION_INFOA, ConnectionCount, 48);
ISCSIDSC_AT(ISCSI_SESSION_INFOA, Connections, 56);

typedef struct _ISCSI_SESSION_INFOW {
    ISCSI_UNIQUE_SESSION_ID SessionId; /* Its id. */
    PWSTR InitiatorName; /* Node name that we gave in the login. */
    PWSTR TargetNodeName; /* NULL. */
    PWSTR TargetName; /* iSCSI name of the target. */
    UCHAR ISID[6]; /* ISID in wire order. */
    UCHAR TSID[2]; /* TSIH, little-endian. */
    ULONG ConnectionCount; /* 0 while it reconnects. */
    ISCSI_CONNECTION_INFOW *Connections; /* Its connections, NULL if there is none. */
} ISCSI_SESSION_INFOW, *PISCSI_SESSION_INFOW;
ISCSIDSC_SIZE(ISCSI_SESSION_INFOW, 64, 8); ISCSIDSC_AT(ISCSI_SESSION_INFOW, SessionId, 0);
ISCSIDSC_AT(ISCSI_SESSION_INFOW, InitiatorName, 16); ISCSIDSC_AT(ISCSI_SESSION_INFOW, TargetNodeName, 24);
ISCSIDSC_AT(ISCSI_SESSION_INFOW, TargetName, 32); ISCSIDSC_AT(ISCSI_SESSION_INFOW, ISID, 40);
ISCSIDSC_AT(ISCSI_SESSION_INFOW, TSID, 46); ISCSIDSC_AT(ISCSI_SESSION_INFOW, ConnectionCount, 48);
ISCSIDSC_AT(ISCSI_SESSION_INFOW, Connections, 56);

/* What was negotiated for a connection. */
typedef struct _ISCSI_CONNECTION_INFO_EX {
    ISCSI_UNIQUE_CONNECTION_ID ConnectionId; /* Its id. */
    UCHAR State; /* 0 login phase, 1 full feature, 2 logout. */
    UCHAR Protocol; /* 6: TCP. */
    UCHAR HeaderDigest; /* 0 none, 1 CRC32C. */
    UCHAR DataDigest; /* 0 none, 1 CRC32C. */
    ULONG MaxRecvDataSegmentLength; /* In bytes. */
    ISCSI_AUTH_TYPES AuthType; /* Who proved who they are. */
    ULONGLONG EstimatedThroughput; /* Bytes a second, 0 if nobody knows. */
    ULONG MaxDatagramSize; /* In bytes. */
} ISCSI_CONNECTION_INFO_EX, *PISCSI_CONNECTION_INFO_EX;
ISCSIDSC_SIZE(ISCSI_CONNECTION_INFO_EX, 48, 8); ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, ConnectionId, 0);
ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, State, 16); ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, Protocol, 17);
ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, HeaderDigest, 18); ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, DataDigest, 19);
ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, MaxRecvDataSegmentLength, 20);
ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, AuthType, 24); ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, EstimatedThroughput, 32);
ISCSIDSC_AT(ISCSI_CONNECTION_INFO_EX, MaxDatagramSize, 40);

/* What was negotiated for a session. */
typedef struct _ISCSI_SESSION_INFO_EX {
    ISCSI_UNIQUE_SESSION_ID SessionId; /* Its id. */
    BOOLEAN InitialR2t; /* InitialR2T. */
    BOOLEAN ImmediateData; /* ImmediateData. */
    UCHAR Type; /* 0 discovery, 1 informational, 2 data, 3 boot. */
    BOOLEAN DataSequenceInOrder; /* DataSequenceInOrder. */
    BOOLEAN DataPduInOrder; /* DataPDUInOrder. */
    UCHAR ErrorRecoveryLevel; /* 0 to 2. */
    ULONG MaxOutstandingR2t; /* MaxOutstandingR2T. */
    ULONG FirstBurstLength; /* In bytes. */
    ULONG MaxBurstLength; /* In bytes. */
    ULONG MaximumConnections; /* MaxConnections. */
    ULONG ConnectionCount; /* 0 while it reconnects. */
    ISCSI_CONNECTION_INFO_EX *Connections; /* Its connections, NULL if there is none. */
} ISCSI_SESSION_INFO_EX, *PISCSI_SESSION_INFO_EX;
ISCSIDSC_SIZE(ISCSI_SESSION_INFO_EX, 56, 8); ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, SessionId, 0);
ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, InitialR2t, 16); ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, ImmediateData, 17);
ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, Type, 18); ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, DataSequenceInOrder, 19);
ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, DataPduInOrder, 20); ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, ErrorRecoveryLevel, 21);
ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, MaxOutstandingR2t, 24); ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, FirstBurstLength, 28);
ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, MaxBurstLength, 32); ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, MaximumConnections, 36);
ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, ConnectionCount, 40); ISCSIDSC_AT(ISCSI_SESSION_INFO_EX, Connections, 48);

/* A device of a session. */
typedef struct _ISCSI_DEVICE_ON_SESSIONA {
    CHAR InitiatorName[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance. */
    CHAR TargetName[MAX_ISCSI_NAME_LEN + 1]; /* iSCSI name of the target. */
    SCSI_ADDRESS ScsiAddress; /* Its address. */
    GUID DeviceInterfaceType; /* Which kind of device: GUID_DEVINTERFACE_... */
    CHAR DeviceInterfaceName[MAX_PATH]; /* Path that stays the same. */
    CHAR LegacyName[MAX_PATH]; /* Path of the device node. */
    STORAGE_DEVICE_NUMBER StorageDeviceNumber; /* Its number. */
    DWORD DeviceInstance; /* 0. */
} ISCSI_DEVICE_ON_SESSIONA, *PISCSI_DEVICE_ON_SESSIONA;
ISCSIDSC_SIZE(ISCSI_DEVICE_ON_SESSIONA, 1040, 4); ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONA, InitiatorName, 0);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONA, TargetName, 256); ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONA, ScsiAddress, 480);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONA, DeviceInterfaceType, 488);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONA, DeviceInterfaceName, 504);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONA, LegacyName, 764);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONA, StorageDeviceNumber, 1024);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONA, DeviceInstance, 1036);

typedef struct _ISCSI_DEVICE_ON_SESSIONW {
    WCHAR InitiatorName[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance. */
    WCHAR TargetName[MAX_ISCSI_NAME_LEN + 1]; /* iSCSI name of the target. */
    SCSI_ADDRESS ScsiAddress; /* Its address. */
    GUID DeviceInterfaceType; /* Which kind of device: GUID_DEVINTERFACE_... */
    WCHAR DeviceInterfaceName[MAX_PATH]; /* Path that stays the same. */
    WCHAR LegacyName[MAX_PATH]; /* Path of the device node. */
    STORAGE_DEVICE_NUMBER StorageDeviceNumber; /* Its number. */
    DWORD DeviceInstance; /* 0. */
} ISCSI_DEVICE_ON_SESSIONW, *PISCSI_DEVICE_ON_SESSIONW;
ISCSIDSC_SIZE(ISCSI_DEVICE_ON_SESSIONW, 2040, 4); ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONW, InitiatorName, 0);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONW, TargetName, 512); ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONW, ScsiAddress, 960);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONW, DeviceInterfaceType, 968);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONW, DeviceInterfaceName, 984);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONW, LegacyName, 1504);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONW, StorageDeviceNumber, 2024);
ISCSIDSC_AT(ISCSI_DEVICE_ON_SESSIONW, DeviceInstance, 2036);

/* A login that is made again at every start of the service. */
typedef struct _PERSISTENT_ISCSI_LOGIN_INFOA {
    CHAR TargetName[MAX_ISCSI_NAME_LEN + 1]; /* iSCSI name of the target. */
    BOOLEAN IsInformationalSession; /* Its LUNs are not shown as devices. */
    CHAR InitiatorInstance[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance, empty for any. */
    ULONG InitiatorPortNumber; /* Port of the initiator, 0xFFFFFFFF for any. */
    ISCSI_TARGET_PORTALA TargetPortal; /* Portal; an empty address means any. */
    ISCSI_SECURITY_FLAGS SecurityFlags; /* ISCSI_SECURITY_FLAG_... */
    ISCSI_TARGET_MAPPINGA *Mappings; /* One mapping, or NULL. */
    ISCSI_LOGIN_OPTIONS LoginOptions; /* Its options, without the password. */
} PERSISTENT_ISCSI_LOGIN_INFOA, *PPERSISTENT_ISCSI_LOGIN_INFOA;
ISCSIDSC_SIZE(PERSISTENT_ISCSI_LOGIN_INFOA, 1088, 8); ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOA, TargetName, 0);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOA, IsInformationalSession, 224);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOA, InitiatorInstance, 225);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOA, InitiatorPortNumber, 484);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOA, TargetPortal, 488);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOA, SecurityFlags, 1008);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOA, Mappings, 1016);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOA, LoginOptions, 1024);

typedef struct _PERSISTENT_ISCSI_LOGIN_INFOW {
    WCHAR TargetName[MAX_ISCSI_NAME_LEN + 1]; /* iSCSI name of the target. */
    BOOLEAN IsInformationalSession; /* Its LUNs are not shown as devices. */
    WCHAR InitiatorInstance[MAX_ISCSI_HBANAME_LEN]; /* Initiator instance, empty for any. */
    ULONG InitiatorPortNumber; /* Port of the initiator, 0xFFFFFFFF for any. */
    ISCSI_TARGET_PORTALW TargetPortal; /* Portal; an empty address means any. */
    ISCSI_SECURITY_FLAGS SecurityFlags; /* ISCSI_SECURITY_FLAG_... */
    ISCSI_TARGET_MAPPINGW *Mappings; /* One mapping, or NULL. */
    ISCSI_LOGIN_OPTIONS LoginOptions; /* Its options, without the password. */
} PERSISTENT_ISCSI_LOGIN_INFOW, *PPERSISTENT_ISCSI_LOGIN_INFOW;
ISCSIDSC_SIZE(PERSISTENT_ISCSI_LOGIN_INFOW, 2080, 8); ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOW, TargetName, 0);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOW, IsInformationalSession, 448);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOW, InitiatorInstance, 450);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOW, InitiatorPortNumber, 964);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOW, TargetPortal, 968);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOW, SecurityFlags, 2000);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOW, Mappings, 2008);
ISCSIDSC_AT(PERSISTENT_ISCSI_LOGIN_INFOW, LoginOptions, 2016);

/* Version of the initiator. */
typedef struct _ISCSI_VERSION_INFO {
    ULONG MajorVersion; /* Major. */
    ULONG MinorVersion; /* Minor. */
    ULONG BuildNumber; /* Build. */
} ISCSI_VERSION_INFO, *PISCSI_VERSION_INFO;
ISCSIDSC_SIZE(ISCSI_VERSION_INFO, 12, 4); ISCSIDSC_AT(ISCSI_VERSION_INFO, MajorVersion, 0);
ISCSIDSC_AT(ISCSI_VERSION_INFO, MinorVersion, 4); ISCSIDSC_AT(ISCSI_VERSION_INFO, BuildNumber, 8);


/* ---- Functions ------------------------------------------------------------------------------------------- */

/* Version of this library; needs no service. */
ISDSC_STATUS ISDSC_API GetIScsiVersionInformation(PISCSI_VERSION_INFO VersionInfo);

/* The initiator instances. BufferSize in characters. */
ISDSC_STATUS ISDSC_API ReportIScsiInitiatorListA(PULONG BufferSize, PCHAR Buffer);
ISDSC_STATUS ISDSC_API ReportIScsiInitiatorListW(PULONG BufferSize, PWCHAR Buffer);

/* Our node name. The buffer must have room for MAX_ISCSI_NAME_LEN + 1 characters. */
ISDSC_STATUS ISDSC_API GetIScsiInitiatorNodeNameA(PCHAR InitiatorNodeName);
ISDSC_STATUS ISDSC_API GetIScsiInitiatorNodeNameW(PWCHAR InitiatorNodeName);

/* Changes our node name for logins to come; NULL goes back to the default. */
ISDSC_STATUS ISDSC_API SetIScsiInitiatorNodeNameA(PSTR InitiatorNodeName);
ISDSC_STATUS ISDSC_API SetIScsiInitiatorNodeNameW(PWSTR InitiatorNodeName);

/* Which LUNs are which disks. BufferSize in bytes. */
ISDSC_STATUS ISDSC_API ReportActiveIScsiTargetMappingsA(
    PULONG BufferSize, PULONG MappingCount, PISCSI_TARGET_MAPPINGA Mappings);
ISDSC_STATUS ISDSC_API ReportActiveIScsiTargetMappingsW(
    PULONG BufferSize, PULONG MappingCount, PISCSI_TARGET_MAPPINGW Mappings);

/* Adds a portal and asks it for its targets. It stays added if it does not answer. */
ISDSC_STATUS ISDSC_API AddIScsiSendTargetPortalA(
    PSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_LOGIN_OPTIONS LoginOptions,
    ISCSI_SECURITY_FLAGS SecurityFlags, PISCSI_TARGET_PORTALA Portal);
ISDSC_STATUS ISDSC_API AddIScsiSendTargetPortalW(
    PWSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_LOGIN_OPTIONS LoginOptions,
    ISCSI_SECURITY_FLAGS SecurityFlags, PISCSI_TARGET_PORTALW Portal);

/* Removes a portal. The symbolic name is not read. */
ISDSC_STATUS ISDSC_API RemoveIScsiSendTargetPortalA(
    PSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_TARGET_PORTALA Portal);
ISDSC_STATUS ISDSC_API RemoveIScsiSendTargetPortalW(
    PWSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_TARGET_PORTALW Portal);

/* Asks a portal again for its targets. The symbolic name is not read. */
ISDSC_STATUS ISDSC_API RefreshIScsiSendTargetPortalA(
    PSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_TARGET_PORTALA Portal);
ISDSC_STATUS ISDSC_API RefreshIScsiSendTargetPortalW(
    PWSTR InitiatorInstance, ULONG InitiatorPortNumber, PISCSI_TARGET_PORTALW Portal);

/* The portals. PortalCount in elements: room, then filled or needed. */
ISDSC_STATUS ISDSC_API ReportIScsiSendTargetPortalsA(
    PULONG PortalCount, PISCSI_TARGET_PORTAL_INFOA PortalInfo);
ISDSC_STATUS ISDSC_API ReportIScsiSendTargetPortalsW(
    PULONG PortalCount, PISCSI_TARGET_PORTAL_INFOW PortalInfo);

/* The portals with their options. PortalInfoSize in bytes. */
ISDSC_STATUS ISDSC_API ReportIScsiSendTargetPortalsExA(
    PULONG PortalCount, PULONG PortalInfoSize, PISCSI_TARGET_PORTAL_INFO_EXA PortalInfo);
ISDSC_STATUS ISDSC_API ReportIScsiSendTargetPortalsExW(
    PULONG PortalCount, PULONG PortalInfoSize, PISCSI_TARGET_PORTAL_INFO_EXW PortalInfo);

/* Adds a target by hand, without asking the network. */
ISDSC_STATUS ISDSC_API AddIScsiStaticTargetA(
    PSTR TargetName, PSTR TargetAlias, ISCSI_TARGET_FLAGS TargetFlags, BOOLEAN Persist,
    PISCSI_TARGET_MAPPINGA Mappings, PISCSI_LOGIN_OPTIONS LoginOptions,
    PISCSI_TARGET_PORTAL_GROUPA PortalGroup);
ISDSC_STATUS ISDSC_API AddIScsiStaticTargetW(
    PWSTR TargetName, PWSTR TargetAlias, ISCSI_TARGET_FLAGS TargetFlags, BOOLEAN Persist,
    PISCSI_TARGET_MAPPINGW Mappings, PISCSI_LOGIN_OPTIONS LoginOptions,
    PISCSI_TARGET_PORTAL_GROUPW PortalGroup);

/* Removes a target that was added by hand. */
ISDSC_STATUS ISDSC_API RemoveIScsiStaticTargetA(PSTR TargetName);
ISDSC_STATUS ISDSC_API RemoveIScsiStaticTargetW(PWSTR TargetName);

/* Names of the known targets. BufferSize in characters. */
ISDSC_STATUS ISDSC_API ReportIScsiTargetsA(BOOLEAN ForceUpdate, PULONG BufferSize, PCHAR Buffer);
ISDSC_STATUS ISDSC_API ReportIScsiTargetsW(BOOLEAN ForceUpdate, PULONG BufferSize, PWCHAR Buffer);

/* What one mechanism knows of a target. BufferSize in bytes. Groups of portals follow the ULONG with their number
   back to back; one takes 4 bytes if it is empty, else
   (sizeof(ISCSI_TARGET_PORTAL_GROUP) + (Count - 1) * sizeof(ISCSI_TARGET_PORTAL) + 3) & ~3 bytes. */
ISDSC_STATUS ISDSC_API GetIScsiTargetInformationA(
    PSTR TargetName, PSTR DiscoveryMechanism, TARGET_INFORMATION_CLASS InfoClass, PULONG BufferSize,
    PVOID Buffer);
ISDSC_STATUS ISDSC_API GetIScsiTargetInformationW(
    PWSTR TargetName, PWSTR DiscoveryMechanism, TARGET_INFORMATION_CLASS InfoClass, PULONG BufferSize,
    PVOID Buffer);

/* Portals of a target. ElementCount in elements: room, then filled or needed. */
ISDSC_STATUS ISDSC_API ReportIScsiTargetPortalsA(
    PSTR InitiatorName, PSTR TargetName, PUSHORT TargetPortalTag, PULONG ElementCount,
    PISCSI_TARGET_PORTALA Portals);
ISDSC_STATUS ISDSC_API ReportIScsiTargetPortalsW(
    PWSTR InitiatorName, PWSTR TargetName, PUSHORT TargetPortalTag, PULONG ElementCount,
    PISCSI_TARGET_PORTALW Portals);

/* Logs in to a target; with IsPersistent it only stores that it shall be logged in to at every start. */
ISDSC_STATUS ISDSC_API LoginIScsiTargetA(
    PSTR TargetName, BOOLEAN IsInformationalSession, PSTR InitiatorInstance, ULONG InitiatorPortNumber,
    PISCSI_TARGET_PORTALA TargetPortal, ISCSI_SECURITY_FLAGS SecurityFlags, PISCSI_TARGET_MAPPINGA Mappings,
    PISCSI_LOGIN_OPTIONS LoginOptions, ULONG KeySize, PCHAR Key, BOOLEAN IsPersistent,
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PISCSI_UNIQUE_CONNECTION_ID UniqueConnectionId);
ISDSC_STATUS ISDSC_API LoginIScsiTargetW(
    PWSTR TargetName, BOOLEAN IsInformationalSession, PWSTR InitiatorInstance, ULONG InitiatorPortNumber,
    PISCSI_TARGET_PORTALW TargetPortal, ISCSI_SECURITY_FLAGS SecurityFlags, PISCSI_TARGET_MAPPINGW Mappings,
    PISCSI_LOGIN_OPTIONS LoginOptions, ULONG KeySize, PCHAR Key, BOOLEAN IsPersistent,
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PISCSI_UNIQUE_CONNECTION_ID UniqueConnectionId);

/* Ends a session, unless one of its disks is in use. */
ISDSC_STATUS ISDSC_API LogoutIScsiTarget(PISCSI_UNIQUE_SESSION_ID UniqueSessionId);

/* Adds a connection to a session. ConnectionId may be NULL. */
ISDSC_STATUS ISDSC_API AddIScsiConnectionA(
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PVOID Reserved, ULONG InitiatorPortNumber,
    PISCSI_TARGET_PORTALA TargetPortal, ISCSI_SECURITY_FLAGS SecurityFlags, PISCSI_LOGIN_OPTIONS LoginOptions,
    ULONG KeySize, PCHAR Key, PISCSI_UNIQUE_CONNECTION_ID ConnectionId);
ISDSC_STATUS ISDSC_API AddIScsiConnectionW(
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PVOID Reserved, ULONG InitiatorPortNumber,
    PISCSI_TARGET_PORTALW TargetPortal, ISCSI_SECURITY_FLAGS SecurityFlags, PISCSI_LOGIN_OPTIONS LoginOptions,
    ULONG KeySize, PCHAR Key, PISCSI_UNIQUE_CONNECTION_ID ConnectionId);

/* Removes a connection that is neither the last nor the leading one. */
ISDSC_STATUS ISDSC_API RemoveIScsiConnection(
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PISCSI_UNIQUE_CONNECTION_ID ConnectionId);

/* The sessions. BufferSize in bytes. */
ISDSC_STATUS ISDSC_API GetIScsiSessionListA(
    PULONG BufferSize, PULONG SessionCount, PISCSI_SESSION_INFOA SessionInfo);
ISDSC_STATUS ISDSC_API GetIScsiSessionListW(
    PULONG BufferSize, PULONG SessionCount, PISCSI_SESSION_INFOW SessionInfo);

/* What was negotiated for the sessions. BufferSize in bytes. */
ISDSC_STATUS ISDSC_API GetIScsiSessionListEx(
    PULONG BufferSize, PULONG SessionCountPtr, PISCSI_SESSION_INFO_EX SessionInfo);

/* Disks of a session. DeviceCount in elements: room, then filled or needed. */
ISDSC_STATUS ISDSC_API GetDevicesForIScsiSessionA(
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PULONG DeviceCount, PISCSI_DEVICE_ON_SESSIONA Devices);
ISDSC_STATUS ISDSC_API GetDevicesForIScsiSessionW(
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PULONG DeviceCount, PISCSI_DEVICE_ON_SESSIONW Devices);

/* The logins made at every start. Mind the order of the parameters; the size is in bytes. */
ISDSC_STATUS ISDSC_API ReportIScsiPersistentLoginsA(
    PULONG Count, PPERSISTENT_ISCSI_LOGIN_INFOA PersistentLoginInfo, PULONG BufferSizeInBytes);
ISDSC_STATUS ISDSC_API ReportIScsiPersistentLoginsW(
    PULONG Count, PPERSISTENT_ISCSI_LOGIN_INFOW PersistentLoginInfo, PULONG BufferSizeInBytes);

/* Removes stored logins; the sessions stay. Mind the order of the parameters. */
ISDSC_STATUS ISDSC_API RemoveIScsiPersistentTargetA(
    PSTR InitiatorInstance, ULONG InitiatorPortNumber, PSTR TargetName, PISCSI_TARGET_PORTALA Portal);
ISDSC_STATUS ISDSC_API RemoveIScsiPersistentTargetW(
    PWSTR InitiatorInstance, ULONG InitiatorPortNumber, PWSTR TargetName, PISCSI_TARGET_PORTALW Portal);

/* Binds all volumes and disks of sessions that come back at every start, and no others. */
ISDSC_STATUS ISDSC_API SetupPersistentIScsiDevices(void);

/* Another name of SetupPersistentIScsiDevices. */
ISDSC_STATUS ISDSC_API SetupPersistentIScsiVolumes(void);

/* Binds a mount point or a disk: services that depend on bound volumes wait for it. */
ISDSC_STATUS ISDSC_API AddPersistentIScsiDeviceA(PSTR DevicePath);
ISDSC_STATUS ISDSC_API AddPersistentIScsiDeviceW(PWSTR DevicePath);

/* Unbinds one, there or not. */
ISDSC_STATUS ISDSC_API RemovePersistentIScsiDeviceA(PSTR DevicePath);
ISDSC_STATUS ISDSC_API RemovePersistentIScsiDeviceW(PWSTR DevicePath);

/* Unbinds all. */
ISDSC_STATUS ISDSC_API ClearPersistentIScsiDevices(void);

/* The bound ones. BufferSizeInChar in characters. */
ISDSC_STATUS ISDSC_API ReportPersistentIScsiDevicesA(PULONG BufferSizeInChar, PCHAR Buffer);
ISDSC_STATUS ISDSC_API ReportPersistentIScsiDevicesW(PULONG BufferSizeInChar, PWCHAR Buffer);

/* INQUIRY. ResponseSize and SenseSize in bytes. */
ISDSC_STATUS ISDSC_API SendScsiInquiry(
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, ULONGLONG Lun, UCHAR EvpdCmddt, UCHAR PageCode,
    PUCHAR ScsiStatus, PULONG ResponseSize, PUCHAR ResponseBuffer, PULONG SenseSize, PUCHAR SenseBuffer);

/* READ CAPACITY (10). ResponseSize and SenseSize in bytes. */
ISDSC_STATUS ISDSC_API SendScsiReadCapacity(
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, ULONGLONG Lun, PUCHAR ScsiStatus, PULONG ResponseSize,
    PUCHAR ResponseBuffer, PULONG SenseSize, PUCHAR SenseBuffer);

/* REPORT LUNS. ResponseSize and SenseSize in bytes. */
ISDSC_STATUS ISDSC_API SendScsiReportLuns(
    PISCSI_UNIQUE_SESSION_ID UniqueSessionId, PUCHAR ScsiStatus, PULONG ResponseSize, PUCHAR ResponseBuffer,
    PULONG SenseSize, PUCHAR SenseBuffer);

/* Our secret, which a target proves to know; NULL with 0 clears it. */
ISDSC_STATUS ISDSC_API SetIScsiInitiatorCHAPSharedSecret(ULONG SharedSecretLength, PUCHAR SharedSecret);

/* IKE key where none is set for the peer; NULL with 0 clears it. */
ISDSC_STATUS ISDSC_API SetIScsiGroupPresharedKey(ULONG KeyLength, PUCHAR Key, BOOLEAN Persist);

/* IKE key of a peer. */
ISDSC_STATUS ISDSC_API SetIScsiIKEInfoA(
    PSTR InitiatorName, ULONG InitiatorPortNumber, PIKE_AUTHENTICATION_INFORMATION AuthInfo, BOOLEAN Persist);
ISDSC_STATUS ISDSC_API SetIScsiIKEInfoW(
    PWSTR InitiatorName, ULONG InitiatorPortNumber, PIKE_AUTHENTICATION_INFORMATION AuthInfo,
    BOOLEAN Persist);

/* Flags of the IKE key of a peer; the key is never returned. */
ISDSC_STATUS ISDSC_API GetIScsiIKEInfoA(
    PSTR InitiatorName, ULONG InitiatorPortNumber, PULONG Reserved, PIKE_AUTHENTICATION_INFORMATION AuthInfo);
ISDSC_STATUS ISDSC_API GetIScsiIKEInfoW(
    PWSTR InitiatorName, ULONG InitiatorPortNumber, PULONG Reserved,
    PIKE_AUTHENTICATION_INFORMATION AuthInfo);

/* Outer address of IPsec tunnels. */
ISDSC_STATUS ISDSC_API SetIScsiTunnelModeOuterAddressA(
    PSTR InitiatorName, ULONG InitiatorPortNumber, PSTR DestinationAddress, PSTR OuterModeAddress,
    BOOLEAN Persist);
ISDSC_STATUS ISDSC_API SetIScsiTunnelModeOuterAddressW(
    PWSTR InitiatorName, ULONG InitiatorPortNumber, PWSTR DestinationAddress, PWSTR OuterModeAddress,
    BOOLEAN Persist);

/* Adds an iSNS server and asks it for targets. */
ISDSC_STATUS ISDSC_API AddISNSServerA(PSTR Address);
ISDSC_STATUS ISDSC_API AddISNSServerW(PWSTR Address);

/* Removes an iSNS server; the targets it told of stay known. */
ISDSC_STATUS ISDSC_API RemoveISNSServerA(PSTR Address);
ISDSC_STATUS ISDSC_API RemoveISNSServerW(PWSTR Address);

/* Asks an iSNS server again; NULL asks all. */
ISDSC_STATUS ISDSC_API RefreshISNSServerA(PSTR Address);
ISDSC_STATUS ISDSC_API RefreshISNSServerW(PWSTR Address);

/* The iSNS servers. BufferSizeInChar in characters. */
ISDSC_STATUS ISDSC_API ReportISNSServerListA(PULONG BufferSizeInChar, PCHAR Buffer);
ISDSC_STATUS ISDSC_API ReportISNSServerListW(PULONG BufferSizeInChar, PWCHAR Buffer);

/* Adds a RADIUS server. */
ISDSC_STATUS ISDSC_API AddRadiusServerA(PSTR Address);
ISDSC_STATUS ISDSC_API AddRadiusServerW(PWSTR Address);

/* Removes a RADIUS server. */
ISDSC_STATUS ISDSC_API RemoveRadiusServerA(PSTR Address);
ISDSC_STATUS ISDSC_API RemoveRadiusServerW(PWSTR Address);

/* The RADIUS servers. BufferSizeInChar in characters. */
ISDSC_STATUS ISDSC_API ReportRadiusServerListA(PULONG BufferSizeInChar, PCHAR Buffer);
ISDSC_STATUS ISDSC_API ReportRadiusServerListW(PULONG BufferSizeInChar, PWCHAR Buffer);

/* The secret we share with the RADIUS servers: 22 to 26 bytes; NULL with 0 clears it. */
ISDSC_STATUS ISDSC_API SetIScsiInitiatorRADIUSSharedSecret(ULONG SharedSecretLength, PUCHAR SharedSecret);

/* Hawser's own: what a status means, a sentence in English, UTF-8, never NULL, valid for ever. */
const CHAR *ISDSC_API IScsiStatusText(ISDSC_STATUS Status);

/* ---- Names without suffix -------------------------------------------------------------------------------- */

#ifdef UNICODE
#define ISCSI_TARGET_MAPPING ISCSI_TARGET_MAPPINGW
#define PISCSI_TARGET_MAPPING PISCSI_TARGET_MAPPINGW
#define ISCSI_TARGET_PORTAL ISCSI_TARGET_PORTALW
#define PISCSI_TARGET_PORTAL PISCSI_TARGET_PORTALW
#define ISCSI_TARGET_PORTAL_INFO ISCSI_TARGET_PORTAL_INFOW
#define PISCSI_TARGET_PORTAL_INFO PISCSI_TARGET_PORTAL_INFOW
#define ISCSI_TARGET_PORTAL_INFO_EX ISCSI_TARGET_PORTAL_INFO_EXW
#define PISCSI_TARGET_PORTAL_INFO_EX PISCSI_TARGET_PORTAL_INFO_EXW
#define ISCSI_TARGET_PORTAL_GROUP ISCSI_TARGET_PORTAL_GROUPW
#define PISCSI_TARGET_PORTAL_GROUP PISCSI_TARGET_PORTAL_GROUPW
#define ISCSI_CONNECTION_INFO ISCSI_CONNECTION_INFOW
#define PISCSI_CONNECTION_INFO PISCSI_CONNECTION_INFOW
#define ISCSI_SESSION_INFO ISCSI_SESSION_INFOW
#define PISCSI_SESSION_INFO PISCSI_SESSION_INFOW
#define ISCSI_DEVICE_ON_SESSION ISCSI_DEVICE_ON_SESSIONW
#define PISCSI_DEVICE_ON_SESSION PISCSI_DEVICE_ON_SESSIONW
#define PERSISTENT_ISCSI_LOGIN_INFO PERSISTENT_ISCSI_LOGIN_INFOW
#define PPERSISTENT_ISCSI_LOGIN_INFO PPERSISTENT_ISCSI_LOGIN_INFOW
#define ReportIScsiInitiatorList ReportIScsiInitiatorListW
#define GetIScsiInitiatorNodeName GetIScsiInitiatorNodeNameW
#define SetIScsiInitiatorNodeName SetIScsiInitiatorNodeNameW
#define ReportActiveIScsiTargetMappings ReportActiveIScsiTargetMappingsW
#define AddIScsiSendTargetPortal AddIScsiSendTargetPortalW
#define RemoveIScsiSendTargetPortal RemoveIScsiSendTargetPortalW
#define RefreshIScsiSendTargetPortal RefreshIScsiSendTargetPortalW
#define ReportIScsiSendTargetPortals ReportIScsiSendTargetPortalsW
#define ReportIScsiSendTargetPortalsEx ReportIScsiSendTargetPortalsExW
#define AddIScsiStaticTarget AddIScsiStaticTargetW
#define RemoveIScsiStaticTarget RemoveIScsiStaticTargetW
#define ReportIScsiTargets ReportIScsiTargetsW
#define GetIScsiTargetInformation GetIScsiTargetInformationW
#define ReportIScsiTargetPortals ReportIScsiTargetPortalsW
#define LoginIScsiTarget LoginIScsiTargetW
#define AddIScsiConnection AddIScsiConnectionW
#define GetIScsiSessionList GetIScsiSessionListW
#define GetDevicesForIScsiSession GetDevicesForIScsiSessionW
#define ReportIScsiPersistentLogins ReportIScsiPersistentLoginsW
#define RemoveIScsiPersistentTarget RemoveIScsiPersistentTargetW
#define AddPersistentIScsiDevice AddPersistentIScsiDeviceW
#define RemovePersistentIScsiDevice RemovePersistentIScsiDeviceW
#define ReportPersistentIScsiDevices ReportPersistentIScsiDevicesW
#define SetIScsiIKEInfo SetIScsiIKEInfoW
#define GetIScsiIKEInfo GetIScsiIKEInfoW
#define SetIScsiTunnelModeOuterAddress SetIScsiTunnelModeOuterAddressW
#define AddISNSServer AddISNSServerW
#define RemoveISNSServer RemoveISNSServerW
#define RefreshISNSServer RefreshISNSServerW
#define ReportISNSServerList ReportISNSServerListW
#define AddRadiusServer AddRadiusServerW
#define RemoveRadiusServer RemoveRadiusServerW
#define ReportRadiusServerList ReportRadiusServerListW
#else
#define ISCSI_TARGET_MAPPING ISCSI_TARGET_MAPPINGA
#define PISCSI_TARGET_MAPPING PISCSI_TARGET_MAPPINGA
#define ISCSI_TARGET_PORTAL ISCSI_TARGET_PORTALA
#define PISCSI_TARGET_PORTAL PISCSI_TARGET_PORTALA
#define ISCSI_TARGET_PORTAL_INFO ISCSI_TARGET_PORTAL_INFOA
#define PISCSI_TARGET_PORTAL_INFO PISCSI_TARGET_PORTAL_INFOA
#define ISCSI_TARGET_PORTAL_INFO_EX ISCSI_TARGET_PORTAL_INFO_EXA
#define PISCSI_TARGET_PORTAL_INFO_EX PISCSI_TARGET_PORTAL_INFO_EXA
#define ISCSI_TARGET_PORTAL_GROUP ISCSI_TARGET_PORTAL_GROUPA
#define PISCSI_TARGET_PORTAL_GROUP PISCSI_TARGET_PORTAL_GROUPA
#define ISCSI_CONNECTION_INFO ISCSI_CONNECTION_INFOA
#define PISCSI_CONNECTION_INFO PISCSI_CONNECTION_INFOA
#define ISCSI_SESSION_INFO ISCSI_SESSION_INFOA
#define PISCSI_SESSION_INFO PISCSI_SESSION_INFOA
#define ISCSI_DEVICE_ON_SESSION ISCSI_DEVICE_ON_SESSIONA
#define PISCSI_DEVICE_ON_SESSION PISCSI_DEVICE_ON_SESSIONA
#define PERSISTENT_ISCSI_LOGIN_INFO PERSISTENT_ISCSI_LOGIN_INFOA
#define PPERSISTENT_ISCSI_LOGIN_INFO PPERSISTENT_ISCSI_LOGIN_INFOA
#define ReportIScsiInitiatorList ReportIScsiInitiatorListA
#define GetIScsiInitiatorNodeName GetIScsiInitiatorNodeNameA
#define SetIScsiInitiatorNodeName SetIScsiInitiatorNodeNameA
#define ReportActiveIScsiTargetMappings ReportActiveIScsiTargetMappingsA
#define AddIScsiSendTargetPortal AddIScsiSendTargetPortalA
#define RemoveIScsiSendTargetPortal RemoveIScsiSendTargetPortalA
#define RefreshIScsiSendTargetPortal RefreshIScsiSendTargetPortalA
#define ReportIScsiSendTargetPortals ReportIScsiSendTargetPortalsA
#define ReportIScsiSendTargetPortalsEx ReportIScsiSendTargetPortalsExA
#define AddIScsiStaticTarget AddIScsiStaticTargetA
#define RemoveIScsiStaticTarget RemoveIScsiStaticTargetA
#define ReportIScsiTargets ReportIScsiTargetsA
#define GetIScsiTargetInformation GetIScsiTargetInformationA
#define ReportIScsiTargetPortals ReportIScsiTargetPortalsA
#define LoginIScsiTarget LoginIScsiTargetA
#define AddIScsiConnection AddIScsiConnectionA
#define GetIScsiSessionList GetIScsiSessionListA
#define GetDevicesForIScsiSession GetDevicesForIScsiSessionA
#define ReportIScsiPersistentLogins ReportIScsiPersistentLoginsA
#define RemoveIScsiPersistentTarget RemoveIScsiPersistentTargetA
#define AddPersistentIScsiDevice AddPersistentIScsiDeviceA
#define RemovePersistentIScsiDevice RemovePersistentIScsiDeviceA
#define ReportPersistentIScsiDevices ReportPersistentIScsiDevicesA
#define SetIScsiIKEInfo SetIScsiIKEInfoA
#define GetIScsiIKEInfo GetIScsiIKEInfoA
#define SetIScsiTunnelModeOuterAddress SetIScsiTunnelModeOuterAddressA
#define AddISNSServer AddISNSServerA
#define RemoveISNSServer RemoveISNSServerA
#define RefreshISNSServer RefreshISNSServerA
#define ReportISNSServerList ReportISNSServerListA
#define AddRadiusServer AddRadiusServerA
#define RemoveRadiusServer RemoveRadiusServerA
#define ReportRadiusServerList ReportRadiusServerListA
#endif

#ifdef __cplusplus
}
#endif

#endif /* HAWSER_ISCSIDSC_H */
