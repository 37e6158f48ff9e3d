/*
 * Binds the disks of an iSCSI target: from then on the services that need them start only when they are there.
 *
 *     cc -I crates/iscsidsc/include examples/c/bind.c -L target/release -liscsidsc -o bind
 *     ./bind 192.0.2.10 3260 iqn.2026-11.example:disk
 *
 * Discovers, logs in now and at every start, waits for the disks, binds them, and reports what is bound. Needs a
 * running hawserd and the right to change what it does.
 */
#define _POSIX_C_SOURCE 200809L
#include <iscsidsc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TENTHS_OF_PATIENCE = 300, MOST_DEVICES = 256 };

static int fail(const char *what, ISDSC_STATUS status)
{
    fprintf(stderr, "%s: %s (0x%08x)\n", what, IScsiStatusText(status), (unsigned)status);
    return 1;
}

/* Reads a list of texts by the size protocol: the size is asked for until the list fits. */
static CHAR *list(ISDSC_STATUS (*report)(PULONG, PCHAR), ISDSC_STATUS *status)
{
    CHAR *texts = NULL;
    ULONG size = 0;
    while ((*status = report(&size, texts)) == ERROR_INSUFFICIENT_BUFFER) {
        CHAR *larger = realloc(texts, size);
        if (larger == NULL) {
            *status = ERROR_NOT_ENOUGH_MEMORY;
            break;
        }
        texts = larger;
    }
    if (*status != ERROR_SUCCESS || size == 0) {
        free(texts);
        return NULL;
    }
    return texts;
}

static ISDSC_STATUS targets(PULONG size, PCHAR buffer)
{
    return ReportIScsiTargetsA(FALSE, size, buffer);
}

static int print(const char *what, ISDSC_STATUS (*report)(PULONG, PCHAR))
{
    ISDSC_STATUS status;
    CHAR *texts = list(report, &status);
    if (status != ERROR_SUCCESS)
        return fail(what, status);
    for (const CHAR *text = texts; text != NULL && *text != '\0'; text += strlen(text) + 1)
        printf("%s: %s\n", what, text);
    free(texts);
    return 0;
}

static ISDSC_STATUS login(PSTR target, BOOLEAN persistent, PISCSI_UNIQUE_SESSION_ID session)
{
    ISCSI_UNIQUE_CONNECTION_ID connection;
    return LoginIScsiTargetA(target, FALSE, NULL, ISCSI_ANY_INITIATOR_PORT, NULL, 0, NULL, NULL, 0, NULL, persistent,
                             session, &connection);
}

/* Disks appear some time after a login; there is no call that waits for them. */
static ISDSC_STATUS disks(PISCSI_UNIQUE_SESSION_ID session, PISCSI_DEVICE_ON_SESSIONA devices, ULONG *count)
{
    const struct timespec tenth = {0, 100 * 1000 * 1000};
    for (int tenths = 0; tenths < TENTHS_OF_PATIENCE; tenths++) {
        *count = MOST_DEVICES;
        ISDSC_STATUS status = GetDevicesForIScsiSessionA(session, count, devices);
        if (status != ERROR_SUCCESS)
            return status;
        ULONG ready = 0;
        for (ULONG i = 0; i < *count; i++)
            ready += devices[i].StorageDeviceNumber.DeviceNumber != (DWORD)-1;
        if (*count > 0 && ready == *count)
            return ERROR_SUCCESS;
        nanosleep(&tenth, NULL);
    }
    return ISDSC_DEVICE_NOT_FOUND;
}

static int bind_disks(PISCSI_UNIQUE_SESSION_ID session)
{
    static ISCSI_DEVICE_ON_SESSIONA devices[MOST_DEVICES];
    ULONG count = 0;
    ISDSC_STATUS status = disks(session, devices, &count);
    if (status != ERROR_SUCCESS)
        return fail("the disks did not come", status);
    for (ULONG i = 0; i < count; i++) {
        printf("disk: %s\n", devices[i].LegacyName);
        status = AddPersistentIScsiDeviceA(devices[i].DeviceInterfaceName);
        if (status != ERROR_SUCCESS && status != ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND)
            return fail("cannot bind it", status);
    }
    return print("bound", ReportPersistentIScsiDevicesA);
}

int main(int argc, char **argv)
{
    ISCSI_TARGET_PORTALA portal = {0};
    ISCSI_UNIQUE_SESSION_ID session;
    if (argc != 4) {
        fprintf(stderr, "usage: bind ADDRESS PORT TARGET\n");
        return 2;
    }
    snprintf(portal.Address, sizeof(portal.Address), "%s", argv[1]);
    portal.Socket = (USHORT)strtoul(argv[2], NULL, 10);

    ISDSC_STATUS status = AddIScsiSendTargetPortalA(NULL, ISCSI_ALL_INITIATOR_PORTS, NULL, 0, &portal);
    if (status != ERROR_SUCCESS)
        return fail("the portal does not answer", status);
    if (print("target", targets) != 0)
        return 1;
    /* As on Windows a persistent login is only stored: the session of today is another call. */
    status = login(argv[3], TRUE, &session);
    if (status != ERROR_SUCCESS)
        return fail("the login is not stored", status);
    status = login(argv[3], FALSE, &session);
    if (status != ERROR_SUCCESS)
        return fail("cannot log in", status);
    return bind_disks(&session);
}
