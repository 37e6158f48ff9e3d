/* Loads the library at the path it is given, calls it, unloads it, and does so again. */
#include <iscsidsc.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);             \
            return 1;                                                           \
        }                                                                       \
    } while (0)

typedef ISDSC_STATUS (ISDSC_API *report)(BOOLEAN, PULONG, PSTR);

/* What dlsym gives is no pointer to a function in ISO C, but has the bytes of one. */
static report report_of(void *library)
{
    void *symbol = dlsym(library, "ReportIScsiTargetsA");
    report call = NULL;

    memcpy(&call, &symbol, sizeof(call));
    return call;
}

int main(int count, char **words)
{
    report first = NULL;
    int round;

    CHECK(count == 2);
    for (round = 0; round < 3; round++) {
        void *library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
        void *still;
        report call;
        ULONG size = 0;

        CHECK(library != NULL);
        call = report_of(library);
        CHECK(call != NULL);
        CHECK(first == NULL || call == first);
        first = call;
        /* A thread of the library looks for the service. */
        CHECK(call(FALSE, &size, NULL) == ISDSC_SERVICE_NOT_RUNNING);
        CHECK(dlclose(library) == 0);
        /* It is there without anybody holding it, and works: the thread may run in it. */
        still = dlopen(words[1], RTLD_NOW | RTLD_NOLOAD);
        CHECK(still != NULL && dlclose(still) == 0);
        CHECK(call(FALSE, &size, NULL) == ISDSC_SERVICE_NOT_RUNNING);
    }
    puts("done");
    return 0;
}
