/* Looks at targets and portals in text whose width the build decides. */
#include <iscsidsc.h>

static size_t length_of(LPCTSTR text)
{
    size_t length = 0;

    while (text[length] != TEXT('\0'))
        length++;
    return length;
}

/* Whether a list has a name; the list ends with an empty one. */
static BOOL has(PTSTR list, PCTSTR wanted)
{
    PTCHAR at = list;

    while (*at != 0) {
        size_t index = 0;

        while (at[index] == wanted[index] && wanted[index] != 0)
            index++;
        if (at[index] == wanted[index])
            return TRUE;
        at += length_of(at) + 1;
    }
    return FALSE;
}

ISDSC_STATUS add_and_look(LPTSTR path, LPSTR narrow, LPWSTR wide, BOOL *found);
ISDSC_STATUS add_and_look(LPTSTR path, LPSTR narrow, LPWSTR wide, BOOL *found)
{
    static TCHAR name[] = TEXT("iqn.2026-01.example:") TEXT("disk");
    static TCHAR list[4096];
    ISCSI_TARGET_PORTAL portal = {TEXT("san"), TEXT("192.0.2.10"), 3260};
    LPCSTR first = narrow;
    LPCWSTR second = wide;
    ULONG size = sizeof(list) / sizeof(TCHAR);
    ISDSC_STATUS status = AddIScsiSendTargetPortal(NULL, ISCSI_ANY_INITIATOR_PORT, NULL, 0, &portal);

    if (status == ERROR_SUCCESS)
        status = ReportIScsiTargets(TRUE, &size, list);
    if (status == ERROR_SUCCESS)
        status = AddPersistentIScsiDevice(path);
    *found = has(list, name) && *first != 0 && *second != 0;
    return status;
}

#ifdef UNICODE
ISCSIDSC_ASSERT(sizeof(TCHAR) == 2, "wide");
#else
ISCSIDSC_ASSERT(sizeof(TCHAR) == 1, "narrow");
#endif
ISCSIDSC_ASSERT(sizeof(BOOL) == 4, "an int");
ISCSIDSC_ASSERT(sizeof(TEXT("four")) == 5 * sizeof(TCHAR), "a literal has the width of its characters");
