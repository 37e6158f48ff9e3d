/* Reports of lists that another thread makes longer and shorter meanwhile. What a call says must be true of one
 * moment: the size is one that the list had, and what is in the buffer is the whole list of that size. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "guarded.h"
#include "sweep.h"

/* How often each list must have been seen, in a buffer that it fits and in one that it does not. */
#define SEEN_ENOUGH 20

/* What comes and goes. */
struct change {
    const char *report; /* Which of the table shows it. */
    void (*come)(const struct subject *subject);
    void (*go)(const struct subject *subject);
};

/* One of the two lists: how it looks, and how often it was met. */
struct state {
    ULONG size;
    ULONG count;
    struct walk walk;
    unsigned seen[2]; /* Not fitting, fitting. */
};

struct changing {
    const struct change *change;
    const struct report *report;
    const struct subject *subject;
    struct guarded memory;
    struct state states[2]; /* Without and with what comes and goes. */
    atomic_bool enough;
};

static CHAR server[] = "a-server-that-comes-and-goes.test";

static void server_comes(const struct subject *subject)
{
    (void)subject;
    CHECK_EQUAL(AddRadiusServerA(server), ERROR_SUCCESS);
}

static void server_goes(const struct subject *subject)
{
    (void)subject;
    CHECK_EQUAL(RemoveRadiusServerA(server), ERROR_SUCCESS);
}

/* The portal by which the login that comes and goes differs from others to its target. */
static ISCSI_TARGET_PORTALA own_portal(void)
{
    return (ISCSI_TARGET_PORTALA){.Address = "192.0.2.77", .Socket = 3260};
}

static void login_comes(const struct subject *subject)
{
    UCHAR name[] = "a name that comes and goes";
    SCSI_LUN_LIST lun = {.OSLUN = 7, .TargetLUN = 0x100};
    ISCSI_TARGET_MAPPINGA mapping = {.OSBusNumber = 1, .OSTargetNumber = 2, .LUNCount = 1, .LUNList = &lun};
    ISCSI_LOGIN_OPTIONS options = {.InformationSpecified = ISCSI_LOGIN_OPTIONS_USERNAME, .Username = name,
                                   .UsernameLength = sizeof(name) - 1};
    ISCSI_TARGET_PORTALA portal = own_portal();
    ISCSI_UNIQUE_SESSION_ID session;
    ISCSI_UNIQUE_CONNECTION_ID connection;
    CHECK_EQUAL(LoginIScsiTargetA(subject->target, TRUE, NULL, ISCSI_ANY_INITIATOR_PORT, &portal, 0, &mapping, &options,
                                  0, NULL, TRUE, &session, &connection),
                ERROR_SUCCESS);
}

static void login_goes(const struct subject *subject)
{
    ISCSI_TARGET_PORTALA portal = own_portal();
    CHECK_EQUAL(RemoveIScsiPersistentTargetA(NULL, ISCSI_ALL_INITIATOR_PORTS, subject->target, &portal), ERROR_SUCCESS);
}

static const struct change changes[] = {
    {"ReportRadiusServerListA", server_comes, server_goes},
    {"ReportRadiusServerListW", server_comes, server_goes},
    {"ReportIScsiPersistentLoginsA", login_comes, login_goes},
    {"ReportIScsiPersistentLoginsW", login_comes, login_goes},
};

static void *come_and_go(void *of)
{
    struct changing *changing = of;
    while (!atomic_load(&changing->enough)) {
        changing->change->come(changing->subject);
        changing->change->go(changing->subject);
    }
    return NULL;
}

static ISDSC_STATUS call(const struct changing *changing, PULONG size, PULONG count, void *buffer, const char *how)
{
    now = (struct now){changing->report->name, how, *size, now.calls + 1};
    return changing->report->call(changing->report, changing->subject, size, count, buffer);
}

/* Follows a report of this size. */
static void walk_report(const struct changing *changing, struct walk *walk, const void *buffer, ULONG size, ULONG count)
{
    walk_begin(walk, buffer, size * changing->report->unit, count);
    changing->report->walk(walk);
    walk_end(walk);
}

/* Keeps how the list looks now, while nobody changes it. */
static void remember(const struct changing *changing, struct state *state)
{
    state->size = 0;
    CHECK_EQUAL(call(changing, &state->size, &state->count, NULL, "NULL"), ERROR_INSUFFICIENT_BUFFER);
    void *buffer = malloc(state->size * changing->report->unit);
    CHECK(buffer != NULL);
    CHECK_EQUAL(call(changing, &state->size, &state->count, buffer, "reference"), ERROR_SUCCESS);
    walk_report(changing, &state->walk, buffer, state->size, state->count);
    free(buffer);
}

/* One call while the list changes, with room for so many units. */
static void try(struct changing *changing, ULONG capacity)
{
    const size_t unit = changing->report->unit;
    unsigned char *buffer = guarded_place(&changing->memory, capacity * unit, changing->report->alignment, 0);
    ULONG size = capacity;
    ULONG count = 0;
    guarded_fill(&changing->memory, 0);
    const ISDSC_STATUS status = call(changing, &size, &count, buffer, "changing");
    struct state *state = &changing->states[size == changing->states[1].size];
    CHECK_EQUAL(size, state->size);
    CHECK(!changing->report->counts || count == state->count);
    const bool fits = capacity >= size;
    CHECK_EQUAL(status, fits ? ERROR_SUCCESS : ERROR_INSUFFICIENT_BUFFER);
    CHECK(guarded_intact(&changing->memory, 0, buffer, fits ? size * unit : 0));
    if (fits) {
        struct walk walk;
        walk_report(changing, &walk, buffer, size, count);
        CHECK(memcmp(walk.plain, state->walk.plain, walk.bytes) == 0);
        walk_free(&walk);
    }
    state->seen[fits]++;
}

static bool seen_enough(const struct changing *changing)
{
    const struct state *without = &changing->states[0];
    const struct state *with = &changing->states[1];
    return without->seen[0] >= SEEN_ENOUGH && without->seen[1] >= SEEN_ENOUGH && with->seen[0] >= SEEN_ENOUGH
        && with->seen[1] >= SEEN_ENOUGH;
}

static void sweep_change(struct changing *changing)
{
    pthread_t other;
    struct state *states = changing->states;
    remember(changing, &states[0]);
    changing->change->come(changing->subject);
    remember(changing, &states[1]);
    changing->change->go(changing->subject);
    CHECK(states[0].size < states[1].size);
    const ULONG capacities[] = {states[0].size - 1, states[0].size, states[1].size - 1, states[1].size};
    guarded_open(&changing->memory, (states[1].size + 8) * changing->report->unit);
    CHECK(pthread_create(&other, NULL, come_and_go, changing) == 0);
    for (size_t index = 0; !seen_enough(changing); index = (index + 1) % 4) {
        try(changing, capacities[index]);
    }
    atomic_store(&changing->enough, true);
    CHECK(pthread_join(other, NULL) == 0);
    guarded_close(&changing->memory);
    walk_free(&states[0].walk);
    walk_free(&states[1].walk);
}

void sweep_changing(const struct subject *subject)
{
    for (size_t index = 0; index < sizeof(changes) / sizeof(changes[0]); index++) {
        struct changing changing = {.change = &changes[index], .subject = subject};
        const unsigned long long before = now.calls;
        for (size_t at = 0; at < reports_length; at++) {
            if (strcmp(reports[at].name, changes[index].report) == 0) {
                changing.report = &reports[at];
            }
        }
        CHECK(changing.report != NULL);
        sweep_change(&changing);
        printf("%s changing calls %llu\n", changing.report->name, now.calls - before);
    }
}
