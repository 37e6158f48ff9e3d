/*
 * iscsierr.h - the status codes of the iSCSI Discovery Library; iscsidsc.h includes it.
 *
 * SPDX-License-Identifier: Apache-2.0 OR MIT
 */
#ifndef HAWSER_ISCSIERR_H
#define HAWSER_ISCSIERR_H

#include <stdint.h>

/* What every function returns. */
typedef uint32_t ISDSC_STATUS;

/* 0xEFFFxxxx is an error; 0xAFFFxxxx is a warning, and a warning means that the operation was carried out. */
#define ISDSC_STATUS_IS_WARNING(status) ((((ISDSC_STATUS)(status)) >> 30) == 2)
#define ISDSC_STATUS_IS_ERROR(status) ((status) != 0 && !ISDSC_STATUS_IS_WARNING(status))

#define ISDSC_NON_SPECIFIC_ERROR ((ISDSC_STATUS)0xEFFF0001) /* unclassified failure */
#define ISDSC_LOGIN_FAILED ((ISDSC_STATUS)0xEFFF0002) /* login failed (no more precise reason) */
#define ISDSC_CONNECTION_FAILED ((ISDSC_STATUS)0xEFFF0003) /* TCP/iSCSI connection could not be made */
#define ISDSC_INITIATOR_NODE_ALREADY_EXISTS ((ISDSC_STATUS)0xEFFF0004) /* initiator node already present */
#define ISDSC_INITIATOR_NODE_NOT_FOUND ((ISDSC_STATUS)0xEFFF0005) /* initiator node not present */
#define ISDSC_TARGET_MOVED_TEMPORARILY ((ISDSC_STATUS)0xEFFF0006) /* target moved temporarily (redirect) */
#define ISDSC_TARGET_MOVED_PERMANENTLY ((ISDSC_STATUS)0xEFFF0007) /* target moved permanently (redirect) */
#define ISDSC_INITIATOR_ERROR ((ISDSC_STATUS)0xEFFF0008) /* initiator made an error */
#define ISDSC_AUTHENTICATION_FAILURE ((ISDSC_STATUS)0xEFFF0009) /* authentication failed */
#define ISDSC_AUTHORIZATION_FAILURE ((ISDSC_STATUS)0xEFFF000A) /* target refuses authorization */
#define ISDSC_NOT_FOUND ((ISDSC_STATUS)0xEFFF000B) /* target not found (login status) */
#define ISDSC_TARGET_REMOVED ((ISDSC_STATUS)0xEFFF000C) /* target was removed */
#define ISDSC_UNSUPPORTED_VERSION ((ISDSC_STATUS)0xEFFF000D) /* protocol version unsupported */
#define ISDSC_TOO_MANY_CONNECTIONS ((ISDSC_STATUS)0xEFFF000E) /* too many connections */
#define ISDSC_MISSING_PARAMETER ((ISDSC_STATUS)0xEFFF000F) /* a required parameter is missing */
#define ISDSC_CANT_INCLUDE_IN_SESSION ((ISDSC_STATUS)0xEFFF0010) /* connection cannot join this session */
#define ISDSC_SESSION_TYPE_NOT_SUPPORTED ((ISDSC_STATUS)0xEFFF0011) /* session type unsupported */
#define ISDSC_TARGET_ERROR ((ISDSC_STATUS)0xEFFF0012) /* target-side error */
#define ISDSC_SERVICE_UNAVAILABLE ((ISDSC_STATUS)0xEFFF0013) /* target service unavailable */
#define ISDSC_OUT_OF_RESOURCES ((ISDSC_STATUS)0xEFFF0014) /* target out of resources */
#define ISDSC_CONNECTION_ALREADY_EXISTS ((ISDSC_STATUS)0xEFFF0015) /* the initiator node still has connections */
#define ISDSC_SESSION_ALREADY_EXISTS ((ISDSC_STATUS)0xEFFF0016) /* such a session exists */
#define ISDSC_INITIATOR_INSTANCE_NOT_FOUND ((ISDSC_STATUS)0xEFFF0017) /* no such initiator instance */
#define ISDSC_TARGET_ALREADY_EXISTS ((ISDSC_STATUS)0xEFFF0018) /* such a target exists */
#define ISDSC_DRIVER_BUG ((ISDSC_STATUS)0xEFFF0019) /* driver broke its contract */
#define ISDSC_INVALID_TEXT_KEY ((ISDSC_STATUS)0xEFFF001A) /* bad text key in negotiation */
#define ISDSC_INVALID_SENDTARGETS_TEXT ((ISDSC_STATUS)0xEFFF001B) /* bad SendTargets answer */
#define ISDSC_INVALID_SESSION_ID ((ISDSC_STATUS)0xEFFF001C) /* no such session */
#define ISDSC_SCSI_REQUEST_FAILED ((ISDSC_STATUS)0xEFFF001D) /* SCSI command failed; see status + sense */
#define ISDSC_TOO_MANY_SESSIONS ((ISDSC_STATUS)0xEFFF001E) /* initiator's session limit reached */
#define ISDSC_SESSION_BUSY ((ISDSC_STATUS)0xEFFF001F) /* session busy with another request/device in use */
#define ISDSC_TARGET_MAPPING_UNAVAILABLE ((ISDSC_STATUS)0xEFFF0020) /* requested mapping not available */
#define ISDSC_ADDRESS_TYPE_NOT_SUPPORTED ((ISDSC_STATUS)0xEFFF0021) /* address type unsupported */
#define ISDSC_LOGON_FAILED ((ISDSC_STATUS)0xEFFF0022) /* logon failed (driver variant of 02) */
#define ISDSC_SEND_FAILED ((ISDSC_STATUS)0xEFFF0023) /* TCP send failed */
#define ISDSC_TRANSPORT_ERROR ((ISDSC_STATUS)0xEFFF0024) /* TCP transport error */
#define ISDSC_VERSION_MISMATCH ((ISDSC_STATUS)0xEFFF0025) /* iSCSI version mismatch */
#define ISDSC_TARGET_MAPPING_OUT_OF_RANGE ((ISDSC_STATUS)0xEFFF0026) /* mapping address outside what the adapter supports */
#define ISDSC_TARGET_PRESHAREDKEY_UNAVAILABLE ((ISDSC_STATUS)0xEFFF0027) /* no preshared key for that target/IKE identity */
#define ISDSC_TARGET_AUTHINFO_UNAVAILABLE ((ISDSC_STATUS)0xEFFF0028) /* no authentication information for the target */
#define ISDSC_TARGET_NOT_FOUND ((ISDSC_STATUS)0xEFFF0029) /* target unknown or hidden from login */
#define ISDSC_LOGIN_USER_INFO_BAD ((ISDSC_STATUS)0xEFFF002A) /* login parameters invalid */
#define ISDSC_TARGET_MAPPING_EXISTS ((ISDSC_STATUS)0xEFFF002B) /* such a mapping exists */
#define ISDSC_HBA_SECURITY_CACHE_FULL ((ISDSC_STATUS)0xEFFF002C) /* HBA security cache full */
#define ISDSC_INVALID_PORT_NUMBER ((ISDSC_STATUS)0xEFFF002D) /* port number not valid for this initiator */
#define ISDSC_OPERATION_NOT_ALL_SUCCESS ((ISDSC_STATUS)0xAFFF002E) /* WARNING: not successful on every initiator */
#define ISDSC_HBA_SECURITY_CACHE_NOT_SUPPORTED ((ISDSC_STATUS)0xEFFF002F) /* HBA has no security cache */
#define ISDSC_IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED ((ISDSC_STATUS)0xEFFF0030) /* IKE id type unsupported */
#define ISDSC_IKE_ID_PAYLOAD_INCORRECT_SIZE ((ISDSC_STATUS)0xEFFF0031) /* IKE id length wrong */
#define ISDSC_TARGET_PORTAL_ALREADY_EXISTS ((ISDSC_STATUS)0xEFFF0032) /* portal already present */
#define ISDSC_TARGET_ADDRESS_ALREADY_EXISTS ((ISDSC_STATUS)0xEFFF0033) /* target address already present */
#define ISDSC_NO_AUTH_INFO_AVAILABLE ((ISDSC_STATUS)0xEFFF0034) /* no IKE authentication information */
#define ISDSC_NO_TUNNEL_OUTER_MODE_ADDRESS ((ISDSC_STATUS)0xEFFF0035) /* no tunnel outer address set */
#define ISDSC_CACHE_CORRUPTED ((ISDSC_STATUS)0xEFFF0036) /* authentication/tunnel cache corrupt */
#define ISDSC_REQUEST_NOT_SUPPORTED ((ISDSC_STATUS)0xEFFF0037) /* request unsupported */
#define ISDSC_TARGET_OUT_OF_RESORCES ((ISDSC_STATUS)0xEFFF0038) /* target lacks resources (name is misspelt in the header) */
#define ISDSC_SERVICE_DID_NOT_RESPOND ((ISDSC_STATUS)0xEFFF0039) /* initiator service did not answer the driver */
#define ISDSC_ISNS_SERVER_NOT_FOUND ((ISDSC_STATUS)0xEFFF003A) /* iSNS server unknown or unreachable */
#define ISDSC_OPERATION_REQUIRES_REBOOT ((ISDSC_STATUS)0xAFFF003B) /* WARNING: done, effective after driver reload/restart */
#define ISDSC_NO_PORTAL_SPECIFIED ((ISDSC_STATUS)0xEFFF003C) /* no portal known for the login */
#define ISDSC_CANT_REMOVE_LAST_CONNECTION ((ISDSC_STATUS)0xEFFF003D) /* last connection must not be removed */
#define ISDSC_SERVICE_NOT_RUNNING ((ISDSC_STATUS)0xEFFF003E) /* initiator service not started */
#define ISDSC_TARGET_ALREADY_LOGGED_IN ((ISDSC_STATUS)0xEFFF003F) /* target already logged in */
#define ISDSC_DEVICE_BUSY_ON_SESSION ((ISDSC_STATUS)0xEFFF0040) /* logout refused: a device is in use */
#define ISDSC_COULD_NOT_SAVE_PERSISTENT_LOGIN_DATA ((ISDSC_STATUS)0xEFFF0041) /* persistent login not saved */
#define ISDSC_COULD_NOT_REMOVE_PERSISTENT_LOGIN_DATA ((ISDSC_STATUS)0xEFFF0042) /* persistent login not removed */
#define ISDSC_PORTAL_NOT_FOUND ((ISDSC_STATUS)0xEFFF0043) /* portal unknown (docs table swaps 43 and 44 texts) */
#define ISDSC_INITIATOR_NOT_FOUND ((ISDSC_STATUS)0xEFFF0044) /* initiator unknown */
#define ISDSC_DISCOVERY_MECHANISM_NOT_FOUND ((ISDSC_STATUS)0xEFFF0045) /* discovery mechanism unknown */
#define ISDSC_IPSEC_NOT_SUPPORTED_ON_OS ((ISDSC_STATUS)0xEFFF0046) /* no IPsec for iSCSI on this OS */
#define ISDSC_PERSISTENT_LOGIN_TIMEOUT ((ISDSC_STATUS)0xEFFF0047) /* service gave up waiting for persistent logins */
#define ISDSC_SHORT_CHAP_SECRET ((ISDSC_STATUS)0xAFFF0048) /* WARNING: CHAP secret under 96 bits, unusable without IPsec */
#define ISDSC_EVALUATION_PEROID_EXPIRED ((ISDSC_STATUS)0xEFFF0049) /* evaluation period over (misspelt name) */
#define ISDSC_INVALID_CHAP_SECRET ((ISDSC_STATUS)0xEFFF004A) /* CHAP secret breaks the CHAP rules */
#define ISDSC_INVALID_TARGET_CHAP_SECRET ((ISDSC_STATUS)0xEFFF004B) /* target CHAP secret invalid */
#define ISDSC_INVALID_INITIATOR_CHAP_SECRET ((ISDSC_STATUS)0xEFFF004C) /* initiator CHAP secret invalid */
#define ISDSC_INVALID_CHAP_USER_NAME ((ISDSC_STATUS)0xEFFF004D) /* CHAP user name invalid */
#define ISDSC_INVALID_LOGON_AUTH_TYPE ((ISDSC_STATUS)0xEFFF004E) /* authentication type invalid */
#define ISDSC_INVALID_TARGET_MAPPING ((ISDSC_STATUS)0xEFFF004F) /* target mapping invalid */
#define ISDSC_INVALID_TARGET_ID ((ISDSC_STATUS)0xEFFF0050) /* target id in the mapping invalid */
#define ISDSC_INVALID_ISCSI_NAME ((ISDSC_STATUS)0xEFFF0051) /* iSCSI name too long or with illegal characters */
#define ISDSC_INCOMPATIBLE_ISNS_VERSION ((ISDSC_STATUS)0xEFFF0052) /* iSNS protocol version incompatible */
#define ISDSC_FAILED_TO_CONFIGURE_IPSEC ((ISDSC_STATUS)0xEFFF0053) /* IPsec configuration failed */
#define ISDSC_BUFFER_TOO_SMALL ((ISDSC_STATUS)0xEFFF0054) /* buffer too small (driver-level; library calls return 122) */
#define ISDSC_INVALID_LOAD_BALANCE_POLICY ((ISDSC_STATUS)0xEFFF0055) /* load-balance policy invalid */
#define ISDSC_INVALID_PARAMETER ((ISDSC_STATUS)0xEFFF0056) /* parameter invalid (driver-level; library calls return 87) */
#define ISDSC_DUPLICATE_PATH_SPECIFIED ((ISDSC_STATUS)0xEFFF0057) /* path listed twice in policy */
#define ISDSC_PATH_COUNT_MISMATCH ((ISDSC_STATUS)0xEFFF0058) /* policy path count differs from reality */
#define ISDSC_INVALID_PATH_ID ((ISDSC_STATUS)0xEFFF0059) /* path id in policy invalid */
#define ISDSC_MULTIPLE_PRIMARY_PATHS_SPECIFIED ((ISDSC_STATUS)0xEFFF005A) /* more than one primary path */
#define ISDSC_NO_PRIMARY_PATH_SPECIFIED ((ISDSC_STATUS)0xEFFF005B) /* no primary path */
#define ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND ((ISDSC_STATUS)0xEFFF005C) /* device already bound */
#define ISDSC_DEVICE_NOT_FOUND ((ISDSC_STATUS)0xEFFF005D) /* device not found */
#define ISDSC_DEVICE_NOT_ISCSI_OR_PERSISTENT ((ISDSC_STATUS)0xEFFF005E) /* device not on iSCSI, or login not persistent */
#define ISDSC_DNS_NAME_UNRESOLVED ((ISDSC_STATUS)0xEFFF005F) /* DNS name unresolved */
#define ISDSC_NO_CONNECTION_AVAILABLE ((ISDSC_STATUS)0xEFFF0060) /* session has no usable connection */
#define ISDSC_LB_POLICY_NOT_SUPPORTED ((ISDSC_STATUS)0xEFFF0061) /* load-balance policy unsupported */
#define ISDSC_REMOVE_CONNECTION_IN_PROGRESS ((ISDSC_STATUS)0xEFFF0062) /* connection removal already running */
#define ISDSC_INVALID_CONNECTION_ID ((ISDSC_STATUS)0xEFFF0063) /* no such connection in the session */
#define ISDSC_CANNOT_REMOVE_LEADING_CONNECTION ((ISDSC_STATUS)0xEFFF0064) /* leading connection must not be removed */
#define ISDSC_RESTRICTED_BY_GROUP_POLICY ((ISDSC_STATUS)0xEFFF0065) /* forbidden by group policy */
#define ISDSC_ISNS_FIREWALL_BLOCKED ((ISDSC_STATUS)0xEFFF0066) /* iSNS blocked by firewall */
#define ISDSC_FAILURE_TO_PERSIST_LB_POLICY ((ISDSC_STATUS)0xEFFF0067) /* could not persist the load-balance policy */
#define ISDSC_INVALID_HOST ((ISDSC_STATUS)0xEFFF0068) /* invalid host (name not accepted) */

/* Names that Microsoft's pages use or that are spelt right. */
#define ISDSC_VOLUME_ALREADY_PERSISTENTLY_BOUND ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND
#define ISDSC_TARGET_OUT_OF_RESOURCES ISDSC_TARGET_OUT_OF_RESORCES
#define ISDSC_EVALUATION_PERIOD_EXPIRED ISDSC_EVALUATION_PEROID_EXPIRED

/* Codes of Windows and of its sockets that the functions return too. */
#ifndef ERROR_SUCCESS
#define ERROR_SUCCESS 0
#endif
#ifndef ERROR_FILE_NOT_FOUND
#define ERROR_FILE_NOT_FOUND 2
#endif
#ifndef ERROR_ACCESS_DENIED
#define ERROR_ACCESS_DENIED 5
#endif
#ifndef ERROR_NOT_ENOUGH_MEMORY
#define ERROR_NOT_ENOUGH_MEMORY 8
#endif
#ifndef ERROR_NOT_SUPPORTED
#define ERROR_NOT_SUPPORTED 50
#endif
#ifndef ERROR_INVALID_PARAMETER
#define ERROR_INVALID_PARAMETER 87
#endif
#ifndef ERROR_DISK_FULL
#define ERROR_DISK_FULL 112
#endif
#ifndef ERROR_CALL_NOT_IMPLEMENTED
#define ERROR_CALL_NOT_IMPLEMENTED 120
#endif
#ifndef ERROR_INSUFFICIENT_BUFFER
#define ERROR_INSUFFICIENT_BUFFER 122
#endif
#ifndef ERROR_INVALID_NAME
#define ERROR_INVALID_NAME 123
#endif
#ifndef ERROR_ALREADY_EXISTS
#define ERROR_ALREADY_EXISTS 183
#endif
#ifndef ERROR_MORE_DATA
#define ERROR_MORE_DATA 234
#endif
#ifndef ERROR_NOACCESS
#define ERROR_NOACCESS 998
#endif
#ifndef ERROR_SERVICE_NOT_ACTIVE
#define ERROR_SERVICE_NOT_ACTIVE 1062
#endif
#ifndef ERROR_NOT_FOUND
#define ERROR_NOT_FOUND 1168
#endif
#ifndef ERROR_TIMEOUT
#define ERROR_TIMEOUT 1460
#endif
#ifndef RPC_S_SERVER_UNAVAILABLE
#define RPC_S_SERVER_UNAVAILABLE 1722
#endif
#ifndef WSAENETUNREACH
#define WSAENETUNREACH 10051
#endif
#ifndef WSAETIMEDOUT
#define WSAETIMEDOUT 10060
#endif
#ifndef WSAECONNREFUSED
#define WSAECONNREFUSED 10061
#endif
#ifndef WSAEHOSTUNREACH
#define WSAEHOSTUNREACH 10065
#endif
#ifndef WSAHOST_NOT_FOUND
#define WSAHOST_NOT_FOUND 11001
#endif

#endif /* HAWSER_ISCSIERR_H */
