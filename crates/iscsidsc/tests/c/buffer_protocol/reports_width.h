/* The reports with text, once for each width. Include it with WIDE(name), the A or W variant of a name; UNIT, a
 * character of it; and NAME(text), the name of a call for messages. */

/* The text in the field of a struct at an offset. */
#define TEXT_OF(walk, at, type, field)                                                              \
    walk_text_array((walk), (at) + offsetof(type, field), sizeof(((type *)0)->field), sizeof(UNIT))

typedef WIDE(ISCSI_TARGET_PORTAL) WIDE(portal);
typedef WIDE(ISCSI_TARGET_PORTAL_GROUP) WIDE(group);
typedef WIDE(ISCSI_TARGET_PORTAL_INFO) WIDE(info);
typedef WIDE(ISCSI_TARGET_PORTAL_INFO_EX) WIDE(info_ex);
typedef WIDE(ISCSI_TARGET_MAPPING) WIDE(mapping);
typedef WIDE(ISCSI_SESSION_INFO) WIDE(session);
typedef WIDE(ISCSI_CONNECTION_INFO) WIDE(connection);
typedef WIDE(ISCSI_DEVICE_ON_SESSION) WIDE(device);
typedef WIDE(PERSISTENT_ISCSI_LOGIN_INFO) WIDE(login);

/* ---- What they hold -------------------------------------------------------------------------------------- */

static void WIDE(walk_texts)(struct walk *walk)
{
    walk_list(walk, sizeof(UNIT));
}

static void WIDE(walk_text)(struct walk *walk)
{
    walk_own(walk, 0, walk_text_length(walk, 0, sizeof(UNIT)), sizeof(UNIT));
}

static void WIDE(portal_at)(const struct walk *walk, size_t at)
{
    TEXT_OF(walk, at, WIDE(portal), SymbolicName);
    TEXT_OF(walk, at, WIDE(portal), Address);
    CHECK(walk->buffer[at + offsetof(WIDE(portal), Address)] != 0);
}

static void WIDE(walk_portals)(struct walk *walk)
{
    for (ULONG index = 0; index < walk->count; index++) {
        const size_t at = index * sizeof(WIDE(portal));
        walk_own(walk, at, sizeof(WIDE(portal)), _Alignof(WIDE(portal)));
        WIDE(portal_at)(walk, at);
    }
}

/* Steps through the groups as Microsoft's client does. */
static void WIDE(walk_groups)(struct walk *walk)
{
    const ULONG groups = walk_number(walk, 0);
    size_t at = sizeof(groups);
    walk_own(walk, 0, sizeof(groups), _Alignof(ULONG));
    CHECK(groups > 0);
    for (ULONG group = 0; group < groups; group++) {
        const ULONG portals = walk_number(walk, at);
        size_t stride = sizeof(ULONG);
        if (portals > 0) {
            stride = (sizeof(WIDE(group)) + (portals - 1) * sizeof(WIDE(portal)) + 3) & ~(size_t)3;
        }
        walk_own(walk, at, stride, _Alignof(ULONG));
        for (ULONG portal = 0; portal < portals; portal++) {
            WIDE(portal_at)(walk, at + offsetof(WIDE(group), Portals) + portal * sizeof(WIDE(portal)));
        }
        at += stride;
    }
}

static void WIDE(walk_infos)(struct walk *walk)
{
    for (ULONG index = 0; index < walk->count; index++) {
        const size_t at = index * sizeof(WIDE(info));
        walk_own(walk, at, sizeof(WIDE(info)), _Alignof(WIDE(info)));
        TEXT_OF(walk, at, WIDE(info), InitiatorName);
        TEXT_OF(walk, at, WIDE(info), SymbolicName);
        TEXT_OF(walk, at, WIDE(info), Address);
    }
}

static void WIDE(walk_infos_ex)(struct walk *walk)
{
    for (ULONG index = 0; index < walk->count; index++) {
        const size_t at = index * sizeof(WIDE(info_ex));
        walk_own(walk, at, sizeof(WIDE(info_ex)), _Alignof(WIDE(info_ex)));
        TEXT_OF(walk, at, WIDE(info_ex), InitiatorName);
        TEXT_OF(walk, at, WIDE(info_ex), SymbolicName);
        TEXT_OF(walk, at, WIDE(info_ex), Address);
        walk_login_options(walk, at + offsetof(WIDE(info_ex), LoginOptions));
    }
}

/* The texts and LUNs of a mapping that somebody owns already. */
static void WIDE(mapping_at)(struct walk *walk, size_t at)
{
    TEXT_OF(walk, at, WIDE(mapping), InitiatorName);
    TEXT_OF(walk, at, WIDE(mapping), TargetName);
    TEXT_OF(walk, at, WIDE(mapping), OSDeviceName);
    walk_luns(walk, at + offsetof(WIDE(mapping), LUNList), walk_number(walk, at + offsetof(WIDE(mapping), LUNCount)));
}

static void WIDE(walk_mappings)(struct walk *walk)
{
    for (ULONG index = 0; index < walk->count; index++) {
        const size_t at = index * sizeof(WIDE(mapping));
        walk_own(walk, at, sizeof(WIDE(mapping)), _Alignof(WIDE(mapping)));
        WIDE(mapping_at)(walk, at);
    }
}

static void WIDE(walk_mapping)(struct walk *walk)
{
    walk->count = 1;
    WIDE(walk_mappings)(walk);
}

static void WIDE(walk_sessions)(struct walk *walk)
{
    for (ULONG index = 0; index < walk->count; index++) {
        const size_t at = index * sizeof(WIDE(session));
        const ULONG connections = walk_number(walk, at + offsetof(WIDE(session), ConnectionCount));
        walk_own(walk, at, sizeof(WIDE(session)), _Alignof(WIDE(session)));
        walk_text_pointer(walk, at + offsetof(WIDE(session), InitiatorName), sizeof(UNIT));
        walk_null(walk, at + offsetof(WIDE(session), TargetNodeName));
        walk_text_pointer(walk, at + offsetof(WIDE(session), TargetName), sizeof(UNIT));
        if (connections == 0) {
            walk_null(walk, at + offsetof(WIDE(session), Connections));
            continue;
        }
        const size_t first = walk_pointer(walk, at + offsetof(WIDE(session), Connections),
                                          connections * sizeof(WIDE(connection)), _Alignof(WIDE(connection)));
        for (ULONG connection = 0; connection < connections; connection++) {
            const size_t of = first + connection * sizeof(WIDE(connection));
            walk_text_pointer(walk, of + offsetof(WIDE(connection), InitiatorAddress), sizeof(UNIT));
            walk_text_pointer(walk, of + offsetof(WIDE(connection), TargetAddress), sizeof(UNIT));
        }
    }
}

static void WIDE(walk_devices)(struct walk *walk)
{
    for (ULONG index = 0; index < walk->count; index++) {
        const size_t at = index * sizeof(WIDE(device));
        walk_own(walk, at, sizeof(WIDE(device)), _Alignof(WIDE(device)));
        TEXT_OF(walk, at, WIDE(device), InitiatorName);
        TEXT_OF(walk, at, WIDE(device), TargetName);
        TEXT_OF(walk, at, WIDE(device), DeviceInterfaceName);
        TEXT_OF(walk, at, WIDE(device), LegacyName);
    }
}

static void WIDE(walk_logins)(struct walk *walk)
{
    for (ULONG index = 0; index < walk->count; index++) {
        const size_t at = index * sizeof(WIDE(login));
        const size_t mapping = at + offsetof(WIDE(login), Mappings);
        PVOID to;
        walk_own(walk, at, sizeof(WIDE(login)), _Alignof(WIDE(login)));
        TEXT_OF(walk, at, WIDE(login), TargetName);
        TEXT_OF(walk, at, WIDE(login), InitiatorInstance);
        TEXT_OF(walk, at, WIDE(login), TargetPortal.SymbolicName);
        TEXT_OF(walk, at, WIDE(login), TargetPortal.Address);
        memcpy(&to, walk->buffer + mapping, sizeof(to));
        if (to != NULL) {
            WIDE(mapping_at)(walk, walk_pointer(walk, mapping, sizeof(WIDE(mapping)), _Alignof(WIDE(mapping))));
        }
        walk_login_options(walk, at + offsetof(WIDE(login), LoginOptions));
    }
}

/* ---- The calls ------------------------------------------------------------------------------------------- */

/* The heading of a function that makes a call. Most look at few of its parameters. */
#define CALL(name)                                                                                  \
    static ISDSC_STATUS WIDE(name)(const struct report *report, const struct subject *subject, PULONG size,  \
                                   PULONG count, void *buffer)
#define UNUSED(parameter) ((void)(parameter))

CALL(call_initiators)
{
    UNUSED(report), UNUSED(subject), UNUSED(count);
    return WIDE(ReportIScsiInitiatorList)(size, buffer);
}

CALL(call_targets)
{
    UNUSED(report), UNUSED(subject), UNUSED(count);
    return WIDE(ReportIScsiTargets)(FALSE, size, buffer);
}

CALL(call_information)
{
    UNUSED(count);
    return WIDE(GetIScsiTargetInformation)(WIDE(target_of)(subject), NULL, report->class, size, buffer);
}

CALL(call_target_portals)
{
    UNUSED(report), UNUSED(count);
    return WIDE(ReportIScsiTargetPortals)(NULL, WIDE(target_of)(subject), NULL, size, buffer);
}

CALL(call_infos)
{
    UNUSED(report), UNUSED(subject), UNUSED(count);
    return WIDE(ReportIScsiSendTargetPortals)(size, buffer);
}

CALL(call_infos_ex)
{
    UNUSED(report), UNUSED(subject);
    return WIDE(ReportIScsiSendTargetPortalsEx)(count, size, buffer);
}

CALL(call_mappings)
{
    UNUSED(report), UNUSED(subject);
    return WIDE(ReportActiveIScsiTargetMappings)(size, count, buffer);
}

CALL(call_sessions)
{
    UNUSED(report), UNUSED(subject);
    return WIDE(GetIScsiSessionList)(size, count, buffer);
}

CALL(call_devices)
{
    UNUSED(report), UNUSED(count);
    ISCSI_UNIQUE_SESSION_ID session = subject->session;
    return WIDE(GetDevicesForIScsiSession)(&session, size, buffer);
}

CALL(call_logins)
{
    UNUSED(report), UNUSED(subject);
    return WIDE(ReportIScsiPersistentLogins)(count, buffer, size);
}

CALL(call_bound)
{
    UNUSED(report), UNUSED(subject), UNUSED(count);
    return WIDE(ReportPersistentIScsiDevices)(size, buffer);
}

CALL(call_isns_servers)
{
    UNUSED(report), UNUSED(subject), UNUSED(count);
    return WIDE(ReportISNSServerList)(size, buffer);
}

CALL(call_radius_servers)
{
    UNUSED(report), UNUSED(subject), UNUSED(count);
    return WIDE(ReportRadiusServerList)(size, buffer);
}

#undef CALL
#undef UNUSED
#undef TEXT_OF
