#define _DEFAULT_SOURCE
#include "guarded.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

void guarded_open(struct guarded *memory, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t length = page + (bytes + page - 1) / page * page;
    memory->start = mmap(NULL, length + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory->start != MAP_FAILED);
    memory->guard = memory->start + length;
    CHECK(mprotect(memory->guard, page, PROT_NONE) == 0);
    for (size_t which = 0; which < 2; which++) {
        memory->canaries[which] = malloc(length);
        CHECK(memory->canaries[which] != NULL);
        for (size_t at = 0; at < length; at++) {
            const unsigned char canary = (unsigned char)(0xa5 + 167 * at);
            memory->canaries[which][at] = which == 0 ? canary : (unsigned char)~canary;
        }
    }
}

void guarded_close(struct guarded *memory)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    CHECK(munmap(memory->start, (size_t)(memory->guard - memory->start) + page) == 0);
    free(memory->canaries[0]);
    free(memory->canaries[1]);
}

unsigned char *guarded_place(const struct guarded *memory, size_t bytes, size_t alignment, size_t back)
{
    CHECK(bytes + back <= (size_t)(memory->guard - memory->start));
    unsigned char *place = memory->guard - bytes;
    return place - (uintptr_t)place % alignment - back;
}

void guarded_fill(const struct guarded *memory, unsigned which)
{
    memcpy(memory->start, memory->canaries[which], (size_t)(memory->guard - memory->start));
}

bool guarded_intact(const struct guarded *memory, unsigned which, const unsigned char *but, size_t bytes)
{
    const unsigned char *canaries = memory->canaries[which];
    const size_t before = (size_t)(but - memory->start);
    const size_t behind = (size_t)(memory->guard - but) - bytes;
    return memcmp(memory->start, canaries, before) == 0
        && memcmp(but + bytes, canaries + before + bytes, behind) == 0;
}
