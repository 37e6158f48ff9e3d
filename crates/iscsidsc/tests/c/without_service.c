/* Links to the library and calls it while no service runs. */
#include <iscsidsc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);             \
            return 1;                                                           \
        }                                                                       \
    } while (0)

/* Options that are filled as far as they count; valgrind sees who reads on. */
static int options_end_where_they_count(void)
{
    ISCSI_TARGET_PORTALA portal = {"", "192.0.2.1", 3260};
    ISCSI_LOGIN_OPTIONS *partly = malloc(sizeof(*partly));
    ISCSI_LOGIN_OPTIONS *shorter = malloc(offsetof(ISCSI_LOGIN_OPTIONS, AuthType));
    ISDSC_STATUS status;
    CHAR name[] = "iqn.2026-01.example:a";

    CHECK(partly != NULL && shorter != NULL);
    partly->Version = shorter->Version = ISCSI_LOGIN_OPTIONS_VERSION;
    partly->InformationSpecified = shorter->InformationSpecified = 0;
    partly->LoginFlags = shorter->LoginFlags = ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED;
    status = AddIScsiSendTargetPortalA(NULL, ISCSI_ANY_INITIATOR_PORT, partly, 0, &portal);
    CHECK(status == ISDSC_SERVICE_NOT_RUNNING);
    status = AddIScsiStaticTargetA(name, NULL, 0, FALSE, NULL, shorter, NULL);
    CHECK(status == ISDSC_SERVICE_NOT_RUNNING);
    free(partly);
    free(shorter);
    return 0;
}

int main(void)
{
    ISCSI_VERSION_INFO version = {99, 99, 99};
    ISCSI_TARGET_PORTALW portal;
    ULONG size = 7;
    ULONG count = 8;
    WCHAR buffer[16];
    WCHAR address[] = u"192.0.2.1";
    CHAR path[] = "/srv/a volume";

    CHECK(GetIScsiVersionInformation(&version) == ERROR_SUCCESS);
    CHECK(version.MajorVersion != 99);
    CHECK(ReportPersistentIScsiDevicesW(&size, buffer) == ISDSC_SERVICE_NOT_RUNNING);
    CHECK(ReportPersistentIScsiDevicesW(NULL, buffer) == ERROR_INVALID_PARAMETER);
    CHECK(GetIScsiSessionListA(&size, &count, NULL) == ISDSC_SERVICE_NOT_RUNNING);
    CHECK(size == 7 && count == 8);
    CHECK(AddPersistentIScsiDeviceA(NULL) == ERROR_INVALID_PARAMETER);
    CHECK(RemovePersistentIScsiDeviceA(path) == ISDSC_SERVICE_NOT_RUNNING);

    /* As Microsoft's client does: the symbolic name is not filled. */
    memset(portal.SymbolicName, 0xff, sizeof(portal.SymbolicName));
    memcpy(portal.Address, address, sizeof(address));
    portal.Socket = 3260;
    CHECK(RemoveIScsiSendTargetPortalW(NULL, ISCSI_ALL_INITIATOR_PORTS, &portal) == ISDSC_SERVICE_NOT_RUNNING);

    CHECK(options_end_where_they_count() == 0);

    CHECK(strlen(IScsiStatusText(ISDSC_TARGET_NOT_FOUND)) > 0);
    CHECK(IScsiStatusText(0x12345678) != NULL);
    CHECK(ISDSC_STATUS_IS_WARNING(ISDSC_SHORT_CHAP_SECRET) && !ISDSC_STATUS_IS_ERROR(ISDSC_SHORT_CHAP_SECRET));
    puts("done");
    return 0;
}
