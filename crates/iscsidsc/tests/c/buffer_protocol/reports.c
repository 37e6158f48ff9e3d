#include "reports.h"

#include <string.h>

#include "check.h"

static PSTR target_ofA(const struct subject *subject)
{
    return subject->target;
}

static PWSTR target_ofW(const struct subject *subject)
{
    return subject->wide_target;
}

#define WIDE(name) name##A
#define UNIT CHAR
#include "reports_width.h"
#undef WIDE
#undef UNIT

#define WIDE(name) name##W
#define UNIT WCHAR
#include "reports_width.h"
#undef WIDE
#undef UNIT

/* ---- Those without text ---------------------------------------------------------------------------------- */

static void walk_one_number(struct walk *walk)
{
    walk_own(walk, 0, sizeof(ULONG), _Alignof(ULONG));
}

static void walk_options(struct walk *walk)
{
    walk_own(walk, 0, sizeof(ISCSI_LOGIN_OPTIONS), _Alignof(ISCSI_LOGIN_OPTIONS));
    walk_login_options(walk, 0);
}

static void walk_sessions_ex(struct walk *walk)
{
    for (ULONG index = 0; index < walk->count; index++) {
        const size_t at = index * sizeof(ISCSI_SESSION_INFO_EX);
        const size_t pointer = at + offsetof(ISCSI_SESSION_INFO_EX, Connections);
        const ULONG connections = walk_number(walk, at + offsetof(ISCSI_SESSION_INFO_EX, ConnectionCount));
        walk_own(walk, at, sizeof(ISCSI_SESSION_INFO_EX), _Alignof(ISCSI_SESSION_INFO_EX));
        if (connections > 0) {
            walk_pointer(walk, pointer, connections * sizeof(ISCSI_CONNECTION_INFO_EX),
                         _Alignof(ISCSI_CONNECTION_INFO_EX));
        } else {
            walk_null(walk, pointer);
        }
    }
}

static ISDSC_STATUS call_sessions_ex(const struct report *report, const struct subject *subject, PULONG size,
                                     PULONG count, void *buffer)
{
    (void)report;
    (void)subject;
    return GetIScsiSessionListEx(size, count, buffer);
}

/* ---- The table ------------------------------------------------------------------------------------------- */

/* Lists of texts, counted in characters. */
#define LIST(function, width, character, call_, nothing_)                                           \
    {.name = #function #width, .about = ABOUT_ALL, .nothing = nothing_, .unit = sizeof(character),  \
     .alignment = sizeof(character), .call = call_##width, .walk = walk_texts##width}

/* A class of GetIScsiTargetInformation, counted in bytes. The buffer is one that malloc gives. */
#define CLASS(width, class_, walk_)                                                       \
    {.name = "GetIScsiTargetInformation" #width "(" #class_ ")", .about = ABOUT_A_TARGET,           \
     .nothing = NOTHING_WANTS_A_BUFFER, .unit = 1, .alignment = 8, .class = class_, \
     .call = call_information##width, .walk = walk_}

/* Structs and what they point to, counted in bytes, with a number of elements. */
#define STRUCTS(function, suffix, call_, walk_, type)                                     \
    {.name = #function #suffix, .about = ABOUT_ALL, .nothing = NOTHING_IS_EMPTY, .unit = 1,         \
     .alignment = _Alignof(type), .counts = true, .call = call_, .walk = walk_}

/* Arrays, counted in elements. */
#define ARRAY(function, width, about_, call_, walk_, type)                                          \
    {.name = #function #width, .about = about_, .nothing = NOTHING_IS_EMPTY, .unit = sizeof(type##width), \
     .alignment = _Alignof(type##width), .call = call_##width, .walk = walk_##width}

#define BOTH_WIDTHS(width, character)                                                               \
    LIST(ReportIScsiInitiatorList, width, character, call_initiators, NOTHING_IS_TWO_NULS),         \
    LIST(ReportIScsiTargets, width, character, call_targets, NOTHING_IS_TWO_NULS),                  \
    LIST(ReportPersistentIScsiDevices, width, character, call_bound, NOTHING_IS_SIZE_ZERO),         \
    LIST(ReportISNSServerList, width, character, call_isns_servers, NOTHING_IS_SIZE_ZERO),          \
    LIST(ReportRadiusServerList, width, character, call_radius_servers, NOTHING_IS_SIZE_ZERO),      \
    CLASS(width, ProtocolType, walk_one_number),                                                 \
    CLASS(width, TargetAlias, walk_text##width),                                                 \
    CLASS(width, DiscoveryMechanisms, walk_texts##width),                                        \
    CLASS(width, PortalGroups, walk_groups##width),                                              \
    CLASS(width, PersistentTargetMappings, walk_mapping##width),                                 \
    CLASS(width, InitiatorName, walk_text##width),                                               \
    CLASS(width, TargetFlags, walk_one_number),                                                  \
    CLASS(width, LoginOptions, walk_options),                                                    \
    STRUCTS(ReportActiveIScsiTargetMappings, width, call_mappings##width, walk_mappings##width,     \
            ISCSI_TARGET_MAPPING##width),                                                        \
    STRUCTS(GetIScsiSessionList, width, call_sessions##width, walk_sessions##width,                 \
            ISCSI_SESSION_INFO##width),                                                          \
    STRUCTS(ReportIScsiSendTargetPortalsEx, width, call_infos_ex##width, walk_infos_ex##width,      \
            ISCSI_TARGET_PORTAL_INFO_EX##width),                                                 \
    STRUCTS(ReportIScsiPersistentLogins, width, call_logins##width, walk_logins##width,             \
            PERSISTENT_ISCSI_LOGIN_INFO##width),                                                 \
    ARRAY(ReportIScsiTargetPortals, width, ABOUT_A_TARGET, call_target_portals, walk_portals,       \
          ISCSI_TARGET_PORTAL),                                                                     \
    ARRAY(ReportIScsiSendTargetPortals, width, ABOUT_ALL, call_infos, walk_infos,                   \
          ISCSI_TARGET_PORTAL_INFO),                                                                \
    ARRAY(GetDevicesForIScsiSession, width, ABOUT_A_SESSION, call_devices, walk_devices,            \
          ISCSI_DEVICE_ON_SESSION)

const struct report reports[] = {
    BOTH_WIDTHS(A, CHAR),
    BOTH_WIDTHS(W, WCHAR),
    STRUCTS(GetIScsiSessionListEx, , call_sessions_ex, walk_sessions_ex, ISCSI_SESSION_INFO_EX),
};
const size_t reports_length = sizeof(reports) / sizeof(reports[0]);
