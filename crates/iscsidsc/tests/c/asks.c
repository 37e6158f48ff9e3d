/* Says who it is, makes a call, and says what that came to. */
#define _DEFAULT_SOURCE
#include <iscsidsc.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    ULONG size = 0;
    ISDSC_STATUS status = ReportIScsiTargetsA(FALSE, &size, NULL);

    printf("%lu %lu %lx\n", (unsigned long)getuid(), (unsigned long)geteuid(), (unsigned long)status);
    return 0;
}
