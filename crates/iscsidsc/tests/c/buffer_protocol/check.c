#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct now now = {"nothing", "", 0, 0};

void fail(const char *file, int line, const char *what, unsigned long long got, unsigned long long wanted)
{
    fprintf(stderr, "%s:%d: %s, %s, room for %llu (call %llu): %s is 0x%llx, not 0x%llx\n", file, line, now.call,
            now.how, now.room, now.calls, what, got, wanted);
    exit(1);
}

static void fault(int number)
{
    char said[256];
    const int length = snprintf(said, sizeof(said), "%s, %s, room for %llu (call %llu): signal %d\n", now.call, now.how,
                                now.room, now.calls, number);
    if (length > 0 && write(STDERR_FILENO, said, (size_t)length) < 0) {
        _exit(3);
    }
    _exit(2);
}

void report_faults(void)
{
    struct sigaction action = {.sa_handler = fault};
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    CHECK(sigaction(SIGBUS, &action, NULL) == 0);
}
