#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "guarded.h"

/* A size or count that no report has. */
#define GARBAGE 0x5a5a5a5au
/* Between the capacities that `options.some` takes; a prime, so that all remainders modulo 8 come up. */
#define STRIDE 127
/* How many capacities after 0, and before what is needed, are all taken. */
#define NEAR 4

struct answer {
    ISDSC_STATUS status;
    ULONG size;
    ULONG count;
};

struct sweeper {
    const struct report *report;
    const struct subject *subject;
    struct options options;
    struct guarded memory;
    ULONG needed; /* In units. */
    ULONG count;
    bool nothing; /* GetIScsiTargetInformation has no value. */
    struct walk reference;
    unsigned which; /* The filling of the next call; they take turns. */
    unsigned long long calls_before;
};

static struct answer call(const struct sweeper *sweeper, ULONG claimed, void *buffer, const char *how)
{
    struct answer answer = {.size = claimed, .count = GARBAGE};
    now = (struct now){sweeper->report->name, how, claimed, now.calls + 1};
    answer.status = sweeper->report->call(sweeper->report, sweeper->subject, &answer.size, &answer.count, buffer);
    return answer;
}

/* What a call says beside its status: the same whether or not the report fits. */
static void check_told(const struct sweeper *sweeper, const struct answer *answer)
{
    CHECK_EQUAL(answer->size, sweeper->needed);
    CHECK_EQUAL(answer->count, sweeper->report->counts ? sweeper->count : GARBAGE);
}

/* `options.some` leaves out some of what is tried besides capacities. */
static size_t step(const struct sweeper *sweeper)
{
    return sweeper->options.some ? 3 : 1;
}

static size_t bytes_of(const struct sweeper *sweeper, ULONG units)
{
    return units * sweeper->report->unit;
}

/* The number of elements, for those calls whose size is that number too. */
static ULONG elements(const struct report *report, const struct answer *answer)
{
    return report->counts ? answer->count : answer->size;
}

/* ---- What is needed -------------------------------------------------------------------------------------- */

/* Asks with NULL, whose size says nothing: for valgrind it is not even written to. */
static struct answer ask(const struct sweeper *sweeper)
{
    ULONG *never_written = malloc(sizeof(ULONG));
    struct answer answer = {.count = GARBAGE};
    CHECK(never_written != NULL);
    now = (struct now){sweeper->report->name, "NULL", 0, now.calls + 1};
    answer.status = sweeper->report->call(sweeper->report, sweeper->subject, never_written, &answer.count, NULL);
    answer.size = *never_written;
    free(never_written);
    return answer;
}

static void find_needed(struct sweeper *sweeper)
{
    const ULONG sizes[] = {0, 1, 4, GARBAGE, 0x7fffffff, 0x80000000, 0xffffffff};
    const struct answer asked = ask(sweeper);
    sweeper->needed = asked.size;
    sweeper->count = asked.count;
    CHECK_EQUAL(asked.status, asked.size > 0 ? ERROR_INSUFFICIENT_BUFFER : ERROR_SUCCESS);
    CHECK(asked.size > 0 || sweeper->report->nothing == NOTHING_IS_SIZE_ZERO
          || sweeper->report->nothing == NOTHING_IS_EMPTY);
    for (size_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index += step(sweeper)) {
        const struct answer again = call(sweeper, sizes[index], NULL, "NULL");
        CHECK_EQUAL(again.status, asked.status);
        check_told(sweeper, &again);
    }
}

/* A first look with ample room, in memory of malloc's: what all others are compared with. */
static void take_reference(struct sweeper *sweeper)
{
    const size_t bytes = bytes_of(sweeper, sweeper->needed);
    void *buffer = malloc(bytes + 1);
    CHECK(buffer != NULL);
    const struct answer answer = call(sweeper, sweeper->needed, buffer, "reference");
    CHECK_EQUAL(answer.status, ERROR_SUCCESS);
    if (sweeper->report->nothing == NOTHING_WANTS_A_BUFFER && answer.size == 0) {
        CHECK_EQUAL(sweeper->needed, 4);
        sweeper->nothing = true;
        sweeper->needed = 0;
    }
    check_told(sweeper, &answer);
    walk_begin(&sweeper->reference, buffer, bytes_of(sweeper, sweeper->needed), elements(sweeper->report, &answer));
    if (sweeper->needed > 0) {
        sweeper->report->walk(&sweeper->reference);
    }
    walk_end(&sweeper->reference);
    free(buffer);
}

/* ---- One call -------------------------------------------------------------------------------------------- */

/* The report in `buffer` is whole, leads nowhere else, and is the one of the reference. */
static void check_report(const struct sweeper *sweeper, const unsigned char *buffer, const struct answer *answer)
{
    struct walk walk;
    walk_begin(&walk, buffer, bytes_of(sweeper, answer->size), elements(sweeper->report, answer));
    if (answer->size > 0) {
        sweeper->report->walk(&walk);
    }
    walk_end(&walk);
    CHECK_EQUAL(walk.bytes, sweeper->reference.bytes);
    CHECK(memcmp(walk.plain, sweeper->reference.plain, walk.bytes) == 0);
    walk_free(&walk);
}

/* How many bytes a call with so much room may write, and must. */
static size_t written(const struct sweeper *sweeper, ULONG claimed)
{
    if (sweeper->needed == 0 && sweeper->report->nothing == NOTHING_IS_SIZE_ZERO) {
        return bytes_of(sweeper, claimed < 2 ? claimed : 2);
    }
    return claimed < sweeper->needed ? 0 : bytes_of(sweeper, sweeper->needed);
}

/* Calls with a buffer in guarded memory. */
static void try_at(struct sweeper *sweeper, ULONG claimed, unsigned char *buffer, const char *how)
{
    static const unsigned char nuls[4];
    const unsigned which = sweeper->which++ % 2;
    guarded_fill(&sweeper->memory, which);
    const struct answer answer = call(sweeper, claimed, buffer, how);
    const bool fits = claimed >= sweeper->needed;
    CHECK_EQUAL(answer.status, fits ? ERROR_SUCCESS : ERROR_INSUFFICIENT_BUFFER);
    check_told(sweeper, &answer);
    CHECK(guarded_intact(&sweeper->memory, which, buffer, written(sweeper, claimed)));
    if (fits && sweeper->needed > 0) {
        check_report(sweeper, buffer, &answer);
    } else {
        CHECK(memcmp(buffer, nuls, written(sweeper, claimed)) == 0 || !fits);
    }
}

/* The same with a buffer of malloc's, which nobody filled if the report fits: a byte that the call does not write is
 * then one that valgrind finds when it is compared. */
static void try_heap(struct sweeper *sweeper, ULONG claimed)
{
    const size_t bytes = bytes_of(sweeper, claimed);
    unsigned char *buffer = malloc(bytes);
    const bool fits = claimed >= sweeper->needed;
    CHECK(buffer != NULL);
    if (!fits) {
        memset(buffer, 0x5a, bytes);
    }
    const struct answer answer = call(sweeper, claimed, buffer, "heap");
    CHECK_EQUAL(answer.status, fits ? ERROR_SUCCESS : ERROR_INSUFFICIENT_BUFFER);
    check_told(sweeper, &answer);
    if (fits) {
        check_report(sweeper, buffer, &answer);
    }
    for (size_t at = 0; !fits && at < bytes; at++) {
        CHECK_EQUAL(buffer[at], 0x5a);
    }
    free(buffer);
}

/* ---- All of them ----------------------------------------------------------------------------------------- */

/* Whether a capacity is taken: all are, or those near 0, near what is needed, and near each edge of a structure. */
static bool taken(const struct sweeper *sweeper, ULONG capacity)
{
    if (!sweeper->options.some || capacity < NEAR || capacity + NEAR > sweeper->needed || capacity % STRIDE == 0) {
        return true;
    }
    const size_t at = bytes_of(sweeper, capacity);
    const size_t unit = sweeper->report->unit;
    const unsigned char *edges = sweeper->reference.edges;
    return edges[at - unit] || edges[at] || edges[at + unit];
}

static void every_capacity(struct sweeper *sweeper)
{
    /* Where nothing is reported there is still something to be seen: two NULs, and that no more are written. */
    const ULONG last = sweeper->needed > 3 ? sweeper->needed + 1 : 4;
    for (ULONG capacity = 0; capacity <= last; capacity++) {
        if (!taken(sweeper, capacity)) {
            continue;
        }
        const size_t bytes = bytes_of(sweeper, capacity);
        try_at(sweeper, capacity, guarded_place(&sweeper->memory, bytes, sweeper->report->alignment, 0), "aligned");
        if (sweeper->options.some) {
            try_heap(sweeper, capacity);
        }
    }
}

/* A caller who claims more room than there is: nothing behind the report is touched. */
static void false_capacities(struct sweeper *sweeper)
{
    const ULONG needed = sweeper->needed;
    const ULONG claims[] = {needed + 2, 0x10000, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};
    const size_t bytes = bytes_of(sweeper, needed) + written(sweeper, 2) * (needed == 0);
    for (size_t index = 0; index < sizeof(claims) / sizeof(claims[0]); index += step(sweeper)) {
        unsigned char *buffer = guarded_place(&sweeper->memory, bytes, sweeper->report->alignment, 0);
        try_at(sweeper, claims[index], buffer, "false claim");
    }
}

/* Buffers at every distance from the guard page, thus at every address modulo 8: no buffer need be aligned. */
static void misaligned(struct sweeper *sweeper)
{
    const ULONG needed = sweeper->needed;
    for (size_t back = 0; back < 8; back += step(sweeper)) {
        unsigned char *buffer = guarded_place(&sweeper->memory, bytes_of(sweeper, needed), 1, back);
        try_at(sweeper, needed, buffer, "misaligned");
        if (needed > 0) {
            try_at(sweeper, needed - 1, buffer, "misaligned");
        }
    }
}

/* The size, and the count if there is one, must be given; without them nothing is written anywhere. */
static void without_places(struct sweeper *sweeper)
{
    const struct report *report = sweeper->report;
    unsigned char *buffer = guarded_place(&sweeper->memory, bytes_of(sweeper, sweeper->needed), report->alignment, 0);
    ULONG place = sweeper->needed;
    guarded_fill(&sweeper->memory, 0);
    now = (struct now){report->name, "no size", 0, now.calls + 1};
    CHECK_EQUAL(report->call(report, sweeper->subject, NULL, &place, buffer), ERROR_INVALID_PARAMETER);
    CHECK_EQUAL(place, sweeper->needed);
    if (report->counts) {
        now = (struct now){report->name, "no count", 0, now.calls + 1};
        CHECK_EQUAL(report->call(report, sweeper->subject, &place, NULL, buffer), ERROR_INVALID_PARAMETER);
        CHECK_EQUAL(place, sweeper->needed);
    }
    CHECK(guarded_intact(&sweeper->memory, 0, buffer, 0));
}

void sweep(const struct report *report, const struct subject *subject, struct options options)
{
    struct sweeper sweeper = {.report = report, .subject = subject, .options = options, .calls_before = now.calls};
    find_needed(&sweeper);
    take_reference(&sweeper);
    guarded_open(&sweeper.memory, bytes_of(&sweeper, sweeper.needed + 8) + 64);
    every_capacity(&sweeper);
    false_capacities(&sweeper);
    misaligned(&sweeper);
    without_places(&sweeper);
    guarded_close(&sweeper.memory);
    walk_free(&sweeper.reference);
    printf("%s %s needs %u count %u calls %llu\n", report->name, subject->name, sweeper.needed,
           report->counts ? sweeper.count : sweeper.needed, now.calls - sweeper.calls_before);
}
