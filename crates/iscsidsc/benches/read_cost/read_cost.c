/*
 * The cost of each call that only reads: made again and again with room enough, as a program makes it that knows how
 * much there is. Prints a line for each: name, size of the answer, median and 99th percentile in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "iscsidsc.h"

enum { ROOM = 16 << 20, ROUNDS = 300 };

static unsigned char *buffer;
static ISCSI_UNIQUE_SESSION_ID session;
static WCHAR target[MAX_ISCSI_NAME_LEN + 1];

/* Each call fills `buffer` and gives the size or count that it says. */
typedef ISDSC_STATUS (*reading)(ULONG *size);

static ISDSC_STATUS initiators(ULONG *size)
{
    return ReportIScsiInitiatorListW(size, (WCHAR *)(void *)buffer);
}

static ISDSC_STATUS node_name(ULONG *size)
{
    *size = 1;
    return GetIScsiInitiatorNodeNameW((WCHAR *)(void *)buffer);
}

static ISDSC_STATUS mappings(ULONG *size)
{
    ULONG count = 0;
    return ReportActiveIScsiTargetMappingsW(size, &count, (ISCSI_TARGET_MAPPINGW *)(void *)buffer);
}

static ISDSC_STATUS portals(ULONG *size)
{
    *size = ROOM / sizeof(ISCSI_TARGET_PORTAL_INFOW);
    return ReportIScsiSendTargetPortalsW(size, (ISCSI_TARGET_PORTAL_INFOW *)(void *)buffer);
}

static ISDSC_STATUS portals_ex(ULONG *size)
{
    ULONG count = 0;
    return ReportIScsiSendTargetPortalsExW(&count, size, (ISCSI_TARGET_PORTAL_INFO_EXW *)(void *)buffer);
}

static ISDSC_STATUS targets(ULONG *size)
{
    return ReportIScsiTargetsW(FALSE, size, (WCHAR *)(void *)buffer);
}

static ISDSC_STATUS information(ULONG *size)
{
    return GetIScsiTargetInformationW(target, NULL, PortalGroups, size, buffer);
}

static ISDSC_STATUS target_portals(ULONG *size)
{
    *size = ROOM / sizeof(ISCSI_TARGET_PORTALW);
    return ReportIScsiTargetPortalsW(NULL, target, NULL, size, (ISCSI_TARGET_PORTALW *)(void *)buffer);
}

static ISDSC_STATUS sessions(ULONG *size)
{
    ULONG count = 0;
    return GetIScsiSessionListW(size, &count, (ISCSI_SESSION_INFOW *)(void *)buffer);
}

static ISDSC_STATUS sessions_ex(ULONG *size)
{
    ULONG count = 0;
    return GetIScsiSessionListEx(size, &count, (ISCSI_SESSION_INFO_EX *)(void *)buffer);
}

static ISDSC_STATUS devices(ULONG *size)
{
    *size = ROOM / sizeof(ISCSI_DEVICE_ON_SESSIONW);
    return GetDevicesForIScsiSessionW(&session, size, (ISCSI_DEVICE_ON_SESSIONW *)(void *)buffer);
}

static ISDSC_STATUS logins(ULONG *size)
{
    ULONG count = 0;
    return ReportIScsiPersistentLoginsW(&count, (PERSISTENT_ISCSI_LOGIN_INFOW *)(void *)buffer, size);
}

static ISDSC_STATUS bound(ULONG *size)
{
    return ReportPersistentIScsiDevicesW(size, (WCHAR *)(void *)buffer);
}

static ISDSC_STATUS isns(ULONG *size)
{
    return ReportISNSServerListW(size, (WCHAR *)(void *)buffer);
}

static ISDSC_STATUS radius(ULONG *size)
{
    return ReportRadiusServerListW(size, (WCHAR *)(void *)buffer);
}

static const struct {
    const char *name;
    reading call;
} CALLS[] = {
    {"ReportIScsiInitiatorListW", initiators},
    {"GetIScsiInitiatorNodeNameW", node_name},
    {"ReportActiveIScsiTargetMappingsW", mappings},
    {"ReportIScsiSendTargetPortalsW", portals},
    {"ReportIScsiSendTargetPortalsExW", portals_ex},
    {"ReportIScsiTargetsW", targets},
    {"GetIScsiTargetInformationW", information},
    {"ReportIScsiTargetPortalsW", target_portals},
    {"GetIScsiSessionListW", sessions},
    {"GetIScsiSessionListEx", sessions_ex},
    {"GetDevicesForIScsiSessionW", devices},
    {"ReportIScsiPersistentLoginsW", logins},
    {"ReportPersistentIScsiDevicesW", bound},
    {"ReportISNSServerListW", isns},
    {"ReportRadiusServerListW", radius},
};

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void time_call(const char *name, reading call)
{
    static double took[ROUNDS];
    ULONG size = 0;
    for (int round = 0; round < ROUNDS; round++) {
        size = ROOM / sizeof(WCHAR);
        double begun = now();
        ISDSC_STATUS status = call(&size);
        took[round] = now() - begun;
        if (status != ERROR_SUCCESS) {
            fprintf(stderr, "%s: 0x%08x\n", name, (unsigned)status);
            exit(1);
        }
    }
    qsort(took, ROUNDS, sizeof *took, by_size);
    printf("%s\t%u\t%.0f\t%.0f\n", name, (unsigned)size, took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
}

/* The first session of the list, for the calls that ask for one. */
static void find_session(void)
{
    ULONG size = ROOM;
    if (sessions(&size) != ERROR_SUCCESS) {
        fprintf(stderr, "no list of sessions\n");
        exit(1);
    }
    const ISCSI_SESSION_INFOW *first = (const ISCSI_SESSION_INFOW *)(void *)buffer;
    session = first->SessionId;
    for (size_t at = 0; at < MAX_ISCSI_NAME_LEN && first->TargetName[at] != 0; at++)
        target[at] = first->TargetName[at];
}

int main(void)
{
    buffer = aligned_alloc(8, ROOM);
    if (buffer == NULL)
        return 1;
    memset(buffer, 0, ROOM);
    find_session();
    for (size_t at = 0; at < sizeof CALLS / sizeof *CALLS; at++)
        time_call(CALLS[at].name, CALLS[at].call);
    free(buffer);
    return 0;
}
