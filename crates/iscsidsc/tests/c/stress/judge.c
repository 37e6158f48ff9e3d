/* What each call may answer, and what is said of one that answers something else. */
#include "stress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longest time of a call in seconds: the deadline that the library gives calls that look and change. Those that talk to
   targets have minutes; here all targets answer, so that these limits tell more. */
#define LOOK 10
#define CHANGE 30
#define NETWORK 60

static const unsigned limits[EXPORT_COUNT] = {
#define LIMIT(name, limit) [E_##name] = limit,
    EXPORTS(LIMIT)
#undef LIMIT
};

static const char *const names[EXPORT_COUNT] = {
#define NAME(name, limit) [E_##name] = #name,
    EXPORTS(NAME)
#undef NAME
};

const ISDSC_STATUS invalid_parameter[] = {ERROR_INVALID_PARAMETER, END};
const ISDSC_STATUS invalid_name[] = {ISDSC_INVALID_ISCSI_NAME, END};

static _Atomic unsigned found;

const char *export_name(enum export call)
{
    return names[call];
}

unsigned violations(void)
{
    return atomic_load(&found);
}

void violation(struct thread *t, const char *format, ...)
{
    char what[2 * TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    /* The first ones tell it; those that follow from them would hide it. */
    if (atomic_fetch_add(&found, 1) < 20) {
        printf("VIOLATION: %s(%s) = 0x%08x (%s): %s; thread %u, seed %llu, epoch %u to %u\n", names[t->call],
               t->arguments, t->status, IScsiStatusText(t->status), what, t->number,
               (unsigned long long)world.seed, t->before, t->after);
        fflush(stdout);
    }
}

void with(struct thread *t, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(t->arguments, sizeof(t->arguments), format, arguments);
    va_end(arguments);
}

void begin(struct thread *t, enum export call)
{
    t->call = call;
    t->before = atomic_load(&world.shared->epoch);
    clock_gettime(CLOCK_MONOTONIC, &t->begun);
    atomic_store(&t->is_calling, 1);
}

static void note_called(enum export call)
{
    static _Atomic int was_called[EXPORT_COUNT];

    if (!atomic_exchange(&was_called[call], 1))
        atomic_fetch_add(&world.shared->called, 1);
}

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

void end(struct thread *t, ISDSC_STATUS status)
{
    struct statistics *of = &t->of[t->call];
    double took = seconds_since(&t->begun);

    atomic_store(&t->is_calling, 0);
    t->after = atomic_load(&world.shared->epoch);
    t->status = status;
    of->calls++;
    note_called(t->call);
    if (took > of->slowest)
        of->slowest = took;
    if (took > limits[t->call] * world.patience)
        violation(t, "took %.1f s", took);
}

int was_up(const struct thread *t)
{
    return t->before == t->after && t->before % 2 == 0;
}

static int is_among(ISDSC_STATUS status, const ISDSC_STATUS *list)
{
    for (; *list != END; list++)
        if (*list == status)
            return 1;
    return 0;
}

/* Success, a warning, or the answer to who asks for a size. */
static int is_success(ISDSC_STATUS status)
{
    return status == ERROR_SUCCESS || ISDSC_STATUS_IS_WARNING(status) || status == ERROR_INSUFFICIENT_BUFFER;
}

static void count(struct thread *t, enum intent intent)
{
    struct statistics *of = &t->of[t->call];

    if (!was_up(t))
        of->away++;
    else if (is_success(t->status))
        of->ok++;
    else if (intent == GOOD)
        of->failed++;
    else
        of->refused++;
}

/* The daemon was not there, or went away during the call: what became of it is not known. Where all is slow, a call may
   also wait for a daemon that comes until its deadline. */
static int is_away(const struct thread *t, enum intent intent)
{
    int is_late = world.patience > 1 && t->status == ERROR_TIMEOUT;

    return !was_up(t) && intent != WRONG_HERE && (t->status == ISDSC_SERVICE_NOT_RUNNING || is_late);
}

enum verdict judge(struct thread *t, enum intent intent, const ISDSC_STATUS *expected, const ISDSC_STATUS *possible)
{
    count(t, intent);
    if (is_away(t, intent))
        return FATE_UNKNOWN;
    if (!is_among(t->status, expected) && !is_among(t->status, possible))
        violation(t, "0x%08x is expected%s", expected[0], expected[1] == END ? "" : ", or another");
    return is_success(t->status) ? DONE : REFUSED;
}

enum verdict judge_removal(struct thread *t, struct thing *thing, ISDSC_STATUS missing)
{
    enum presence was = seen(t, thing);
    enum verdict verdict;

    if (was == PRESENT)
        verdict = judge(t, GOOD, S(0), NONE);
    else if (was == ABSENT)
        verdict = judge(t, WRONG, S(missing), NONE);
    else
        verdict = judge(t, EITHER, S(0, missing), NONE);
    if (verdict != FATE_UNKNOWN)
        removed(t, thing);
    else if (was != ABSENT)
        lost_sight(t, thing);
    return verdict;
}

void note_added(struct thread *t, struct thing *thing, int persist, enum verdict verdict)
{
    if (verdict == DONE)
        added(t, thing, persist);
    else if (verdict == FATE_UNKNOWN)
        lost_sight(t, thing);
}
